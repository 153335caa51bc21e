SELECT 1;
SELECT $$ for ever; SELECT 2;
