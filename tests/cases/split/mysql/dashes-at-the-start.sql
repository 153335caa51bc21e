--x; no statement
SELECT 1; --y; nor this
/* z */ --z; nor this
SELECT 2
--3;
--; a comment
