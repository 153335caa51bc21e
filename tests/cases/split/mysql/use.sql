use test
SELECT 1;
USE `test` 
USE test; use test # comment
SELECT 2;
/* x */ use test
;
SELECT used
;
