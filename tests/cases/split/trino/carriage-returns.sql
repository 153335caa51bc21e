SELECT 1;
-- a comment;
SELECT 'a
b;',
  2;

SELECT 3
