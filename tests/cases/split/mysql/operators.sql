SELECT 5--1, 6---1, 7 - -1;
SELECT 1 -- 2;
+1;
SELECT 1--
+1;
SELECT 1--	;
;
SELECT 4/*;*/+2, 8/-9;
