CREATE TABLE t (a text);
COPY t FROM stdout;
1;
\.
SELECT 1;
