SELECT 1; quit x; status
x; help 'SELECT'; use test;
source a.sql;
SELECT 2;
