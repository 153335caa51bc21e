/* a /* b; */ SELECT 1;
/*
/*!40101 SET NAMES utf8 */;
*/
SELECT 2;
SELECT 3 /* a /*/ ; */;
SELECT 4 /*/ ; */;
/* /*M! ; */ SELECT 5;
