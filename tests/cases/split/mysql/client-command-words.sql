SELECT
quit
;
help_table: SELECT 1;
status x;
quit x;
quit
