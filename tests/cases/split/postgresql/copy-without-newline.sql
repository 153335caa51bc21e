CREATE TABLE t (a text);
COPY t FROM stdin;
1
\.