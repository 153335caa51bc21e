SELECT E'a\';b', e'\\', E'it''s\'';
SELECT E'\\\'' || '\';
SELECT E'
\';
';
SELECT namE'\';
SELECT 2;
