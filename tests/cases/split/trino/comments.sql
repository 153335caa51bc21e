-- a comment; alone
/* another; one */
SELECT 1 /* ; */ + 2 -- ; ' "
 + 3;
/* before */ SELECT /**/ 4 /***/ /* * / */;
-- ends with a comment;