SELECT 'ä😀'; SELECT '日本;語'; /* 😀 */ SELECT 3;
   SELECT 4;
