-- A MariaDB database with a bit of everything that mariadb-dump writes down, and texts that are
-- hard to split around. No statement of its dump with one row an INSERT is longer than 1 KB.

SET NAMES utf8mb4;
SET time_zone = '+00:00';

CREATE TABLE numbers (
    id int unsigned NOT NULL AUTO_INCREMENT PRIMARY KEY COMMENT 'it''s; a "key" -- \\ /* `x`',
    tiny tinyint(1) DEFAULT NULL,
    big bigint unsigned DEFAULT 18446744073709551615,
    exact decimal(65, 30),
    single float,
    `double` double,
    bits bit(13) DEFAULT b'1010',
    year year,
    twice decimal(65, 30) GENERATED ALWAYS AS (exact * 2) VIRTUAL,
    kept varchar(100) GENERATED ALWAYS AS (concat(exact, ';''', '\\')) STORED,
    CONSTRAINT `has; semicolon` CHECK (tiny <> 100 OR kept <> ''';--')
) ENGINE = InnoDB AUTO_INCREMENT = 1000 COMMENT = 'a table''s "comment"; with -- and # and \\ and ;;';
INSERT INTO numbers (tiny, big, exact, single, `double`, bits, year) VALUES
    (1, 2, 3.5, 0.1, 0.1, b'1', 2024),
    (-128, 0, -99999999999999999999999999999999999.999999999999999999999999999999, -3.402823466e38,
     -1.7976931348623157e308, b'0', 1901),
    (127, 18446744073709551615, 0.000000000000000000000000000001, 1.175494351e-38, 5e-324,
     b'1111111111111', 2155),
    (NULL, NULL, NULL, NULL, NULL, NULL, NULL);

CREATE TABLE texts (
    id int NOT NULL AUTO_INCREMENT PRIMARY KEY,
    what longtext,
    short varchar(40) NOT NULL DEFAULT ''';\\ "--',
    padded char(5),
    latin varchar(300) CHARACTER SET latin1 COLLATE latin1_german1_ci,
    bytes longblob,
    some_bytes varbinary(900),
    two_bytes binary(2)
) DEFAULT CHARSET = utf8mb4;
INSERT INTO texts (what, short, padded, latin, bytes, some_bytes, two_bytes) VALUES
    ('it''s; "quoted" `x`', ';', ''';', 'äöü ß; ''é''', x'00ff27223b5c0a0d1a', x'27', x'275c'),
    ('-- no comment', '--', '--', '--', x'2d2d', '-- ', '--'),
    ('# no comment', '#', '#', '#', '#', '#', '#'),
    ('/* no comment', '/*', '/*', '*/', '/*', '*/', '/*'),
    ('*/ /* /*! 1 */ /*M! 2 */', '*/', '*/', '/*!', '*/', '*/', '*/'),
    ('a backslash \\', '\\', '\\''', '\\', '\\', '\\\\', '\\'''),
    ('\\''', '\\\\', '\\n', '\\N', '\\N', '\\0', '\\N'),
    ('two lines\nDELIMITER //\n;;\n\\g\n\\G;\ngo\nend //\n', '\n', '\r', '\r\n', '\n\r\0', '\n', '\r\n'),
    ('tab\tand\rreturn\r\nand\b\Z\0', '\t', '\0', '\Z', '\0\Z', '\0', '\0\0'),
    ('NULL', 'NULL', 'null', '\\N', 'NULL', NULL, NULL),
    ('', '', '', '', '', '', ''),
    (NULL, 'x', NULL, NULL, NULL, NULL, NULL),
    ('emoji 😀 👩‍👩‍👧 é é ß 漢字 ﷽', 'żółć; ''ü''', 'äöü', '€ÿÄ', '😀', '😀', 'ü'),
    ('$$ $a$ ; $a$ ''''', '''''''', '""', '"', '''', '"', '``'),
    ('?', ':name', '%s', '@x', '?', '?', '??'),
    (' \\', ' ', ' ', ' ', ' ', ' ', ' ');
INSERT INTO texts (what, short, bytes)
    SELECT concat('a', char(seq USING utf8mb4), ';'), 'control', char(seq) FROM seq_0_to_31;
INSERT INTO texts (what, short, latin, bytes, some_bytes)
    SELECT group_concat(char(seq USING utf8mb4) ORDER BY seq SEPARATOR ''), 'all',
           group_concat(CONVERT(char(seq USING latin1) USING utf8mb4) ORDER BY seq SEPARATOR ''),
           group_concat(char(seq) ORDER BY seq SEPARATOR ''),
           group_concat(char(seq) ORDER BY seq DESC SEPARATOR '')
    FROM seq_1_to_127;
INSERT INTO texts (what, short, bytes)
    SELECT 'every byte', 'bytes', group_concat(char(seq) ORDER BY seq SEPARATOR '') FROM seq_0_to_255;
INSERT INTO texts (what, short, some_bytes)
    SELECT 'between quotes', seq DIV 64, group_concat(concat(char(seq), x'5c') ORDER BY seq SEPARATOR x'27')
    FROM seq_0_to_255 GROUP BY seq DIV 64;

CREATE TABLE latin_only (
    `schlüssel; "ä"` varchar(20) PRIMARY KEY DEFAULT 'ü;'''
) DEFAULT CHARSET = latin1 COMMENT = 'äöü; ''ß''';
INSERT INTO latin_only VALUES ('äöü'), ('é;\\'), ('ÿ''');

CREATE TABLE times (
    day date, moment datetime(6), stamp timestamp(3) NULL DEFAULT NULL ON UPDATE current_timestamp(3),
    clock time(2)
);
INSERT INTO times VALUES ('2024-02-29', '2024-02-29 23:59:59.999999', '2024-03-31 01:59:59.123', '-838:59:59.99'),
    ('9999-12-31', '0001-01-01 00:00:00', '1970-01-01 00:00:01', '838:59:59'), (NULL, NULL, NULL, NULL);

CREATE TABLE things (
    `select` enum('it''s', 'a;b', '--', '\\', '"', '😀') DEFAULT '😀',
    `a ``b``; c` set('a', 'b;', '''') DEFAULT 'a,b;',
    doc longtext CHARACTER SET utf8mb4 COLLATE utf8mb4_bin CHECK (json_valid(doc)),
    address inet6,
    `key` uuid,
    place point NOT NULL,
    area geometry,
    SPATIAL KEY `where; really` (place),
    FULLTEXT KEY words (doc) COMMENT 'it''s; a key'
) ENGINE = InnoDB;
INSERT INTO things VALUES
    ('it''s', '''', '{"a": "it''s; \\"x\\" \\\\ 😀 \\u0000"}', '::1', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11',
     point(1.5, -2), ST_GeomFromText('POLYGON((0 0,0 1,1 1,0 0))')),
    ('\\', 'a,b;,''', '[1, 2]', NULL, NULL, point(39, 92), point(59, 34));

CREATE TABLE parent (
    id int NOT NULL, kind varchar(50), changed int DEFAULT 0, PRIMARY KEY (id), KEY `by; kind` (kind(5) DESC)
) COMMENT = '/*! not run */';
CREATE TABLE child (
    id int NOT NULL, parent int, CONSTRAINT `to "parent";` FOREIGN KEY (parent) REFERENCES parent (id) ON DELETE CASCADE
);
INSERT INTO parent VALUES (1, 'a;', 0), (2, 'b''', 0);
INSERT INTO child VALUES (1, 1), (2, 2), (3, NULL);
CREATE TABLE sales (day date NOT NULL, amount decimal(10, 2)) PARTITION BY RANGE (year(day)) (
    PARTITION p2023 VALUES LESS THAN (2024) COMMENT = 'it''s; old', PARTITION rest VALUES LESS THAN MAXVALUE
);
INSERT INTO sales SELECT '2023-06-01' + INTERVAL seq * 7 DAY, seq + 0.5 FROM seq_0_to_70;
CREATE TABLE `a table; with 'quotes' and "--" #` (`/* a` int, `*/ b` int DEFAULT 3);
INSERT INTO `a table; with 'quotes' and "--" #` VALUES (1, 2);
CREATE TABLE old (a int, b text) ENGINE = MyISAM DEFAULT CHARSET = utf8mb3;
INSERT INTO old VALUES (1, ';'), (2, '''');
CREATE SEQUENCE `a sequence; really` START WITH 90 MINVALUE -90 MAXVALUE 90 INCREMENT BY -3 CYCLE;
DO nextval(`a sequence; really`);

CREATE VIEW names AS SELECT id AS `the "id";`, CASE WHEN kind = ';''' THEN '-- end' ELSE "\\'" END AS kind FROM parent;
CREATE ALGORITHM = MERGE SQL SECURITY INVOKER VIEW `a view; "quoted"` AS
    SELECT id, kind FROM parent WHERE kind <> ''';--' WITH CASCADED CHECK OPTION;
CREATE VIEW after_a AS SELECT * FROM names;

DELIMITER //
CREATE FUNCTION plain(a int, b varchar(20)) RETURNS text CHARSET utf8mb4 DETERMINISTIC
    COMMENT 'it''s; a "function" -- /*'
BEGIN
    DECLARE result text DEFAULT ';'; -- a comment; with 'an open quote
    # another; "one
    IF a > 0 THEN
        SET result = CASE WHEN b = ';' THEN 'it''s' ELSE '\';\n' END;
    ELSEIF a < 0 THEN SET result = "a \"b\"; c";
    END IF;
    CASE a WHEN 1 THEN SET result = '1;'; ELSE BEGIN END; END CASE;
    RETURN concat(result, 5--1); /* ; */
END//
CREATE PROCEDURE work(IN a int, INOUT b int, OUT c text)
    MODIFIES SQL DATA
BEGIN
    DECLARE n, `end` int DEFAULT 0;
    DECLARE done bool DEFAULT false;
    DECLARE rows_of CURSOR FOR SELECT id FROM parent WHERE kind <> 'END;';
    DECLARE CONTINUE HANDLER FOR NOT FOUND SET done = true;
    DECLARE EXIT HANDLER FOR SQLSTATE '45000' BEGIN SET c = 'oops; //'; END;
    OPEN rows_of;
    outer_loop: LOOP
        FETCH rows_of INTO n;
        IF done THEN LEAVE outer_loop; END IF;
        WHILE n > 0 DO SET n = n - 1; END WHILE;
        REPEAT SET n = n + 1; UNTIL n >= CASE WHEN a > 3 THEN 3 ELSE 1 END END REPEAT;
    END LOOP outer_loop;
    CLOSE rows_of;
    SET @sql = 'SELECT '';'''; PREPARE s FROM @sql; EXECUTE s; DEALLOCATE PREPARE s;
END//
CREATE PROCEDURE `a procedure; ;; "quoted"`() SELECT ';', 'it''s;', "//;"//
CREATE TRIGGER `before; insert` BEFORE INSERT ON parent FOR EACH ROW
BEGIN
    IF NEW.kind IS NULL THEN SET NEW.kind = CASE NEW.id WHEN 1 THEN ';' ELSE '''--' END; END IF;
END//
CREATE TRIGGER second_one BEFORE INSERT ON parent FOR EACH ROW FOLLOWS `before; insert` SET NEW.changed = NEW.changed + 0//
CREATE TRIGGER on_delete AFTER DELETE ON child FOR EACH ROW
    UPDATE parent SET changed = changed + 1 WHERE id = OLD.parent AND kind <> ';'//
CREATE EVENT nightly ON SCHEDULE EVERY 1 DAY STARTS '2035-01-01 00:00:00' ON COMPLETION PRESERVE DISABLE
    COMMENT 'it''s; an event' DO
BEGIN
    DELETE FROM parent WHERE kind = 'old; ''''';
    CASE WHEN (SELECT count(*) FROM child) > 0 THEN DELETE FROM child; ELSE DO 0; END CASE;
END//
CREATE EVENT once ON SCHEDULE AT '2037-01-01 00:00:00' DO INSERT INTO child VALUES (9, NULL)//
DELIMITER ;
SET sql_mode = 'ANSI_QUOTES,NO_BACKSLASH_ESCAPES';
CREATE PROCEDURE no_escapes() SELECT 'a \', "id", 'it''s; \' FROM parent;
