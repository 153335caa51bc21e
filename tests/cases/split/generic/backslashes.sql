SELECT 'a\';
SELECT '\\', "\";
\g;
