SELECT 1 // ; ' "
 + 2 -- ; ' "
 + 3 /* ; // -- */ + 4;
// alone; alone
SELECT '// no comment; --', "// nor; this", $$// nor; this$$;
SELECT 6 / 2, 7 /2//;
;
SELECT 8 -- one; // two
; /* // */ SELECT 9; // the last
