SELECT 1;
DELIMITER a_delimiter_of_29_characters
SELECT 2
