SELECT 1;
.tables
SELECT 2;
