/*!40101 SET NAMES utf8 */;
/*! SELECT ';' */;
/*M!100100 SELECT 1; SELECT 2 */;
SELECT 1 /*! + 1 */ + 2;
/*!99999 SELECT 3 */;
SELECT '/*!' ; SELECT 4 /*!*/;
/*!50003 CREATE*/ /*!50017 DEFINER=`root`@`localhost`*/ /*!50003 PROCEDURE p() SELECT 1 */;
