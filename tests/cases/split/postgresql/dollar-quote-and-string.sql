SELECT $$a$$E'\';';
SELECT 2;
