delimiter$$ SELECT 1;
SELECT delimiter FROM t;
