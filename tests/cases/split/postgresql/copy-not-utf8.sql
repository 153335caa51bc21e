CREATE TABLE t (a text);
COPY t FROM stdin WITH (ENCODING 'latin1');
café;
\.
SELECT 1;
