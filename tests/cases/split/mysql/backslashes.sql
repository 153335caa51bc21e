SELECT 'a\';b', "c\";d", 'e\\';
SELECT 'f''\'';
SELECT `g\`;
SELECT \N;
SELECT '\
;';
