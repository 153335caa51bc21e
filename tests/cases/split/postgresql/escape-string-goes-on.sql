SELECT E'a'
  'b\';c';
SELECT E'a' -- comment;
  'b\';c';
SELECT 'a'
  'b\';
SELECT E'a'
'b' 'c\';
