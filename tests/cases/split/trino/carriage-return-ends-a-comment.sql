SELECT 1 -- one;, 2;
SELECT 3;
