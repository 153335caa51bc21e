CREATE TABLE t (a text, b text);
COPY t FROM stdin;
1	x;y
2	'z
3	\\.
\\.	4
\.
COPY t (a, b) FROM STDIN WITH (DELIMITER ';'); -- to the end; of the line
1;'
\.
SELECT 1;
copy t from stdin;
\.
COPY t FROM stdin WITH (FORMAT csv);
1,"a;
b"
2,\.
\.
SELECT 2;
