COPY (SELECT 1) TO stdout;
COPY t TO stdout;
COPY t FROM '/dev/null';
SELECT 'FROM stdin';
COPY t FROM PROGRAM 'true';
