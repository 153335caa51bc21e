SELECT 'naïve;' -- café;
;
SELECT 'ÿþ', 1; SELECT 2;
