# one;
SELECT 1 # two;
+ 1;
SELECT '#', `#`;#three;
SELECT 2#four