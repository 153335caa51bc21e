-- An SQLite database with a bit of everything that `.dump` writes down, and texts that are hard to
-- split around. No statement of its dump is longer than 1 KB.

CREATE TABLE texts (id INTEGER PRIMARY KEY AUTOINCREMENT, what, [short; "it's"] TEXT DEFAULT ';''--', "a ""b""; c", `d;`);
INSERT INTO texts (what) VALUES
    ('it''s; "quoted"'), ('-- no comment'), ('/* no comment'), ('*/'), ('a backslash \'), ('\'''), ('\n'),
    ('$$ $a$ ;'), (''''), (''), (NULL), (';'), ('; END;'), ('BEGIN; CASE'), ('[a;b'), ('`a;b'),
    ('emoji 😀 👩‍👩‍👧 é é ß 漢字 ﷽'), (char(0xfeff) || 'bom' || char(0x2028)),
    ('two lines' || char(10) || '.dump' || char(10) || '/' || char(10) || 'go' || char(10)),
    (char(13, 10) || 'a' || char(13)), (x''), (x'00'), (x'00ff27223b0a0d'),
    (0), (-9223372036854775808), (9223372036854775807), (0.1), (1e999), (-1e999), (1e-300),
    (1.7976931348623157e308), (-0.0), (3.0), (CAST(x'ff27fe' AS TEXT));
WITH RECURSIVE code(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM code WHERE n < 31)
    INSERT INTO texts (what) SELECT 'a' || char(n) || ';' FROM code;
WITH RECURSIVE code(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM code WHERE n < 255)
    INSERT INTO texts (what) SELECT CAST(group_concat(char(n), '') AS BLOB) FROM code;
DELETE FROM texts WHERE id = 3;
CREATE INDEX "an index; ""quoted""" ON texts (lower(what || ';''') DESC) WHERE CASE WHEN 1 THEN 0 END < id AND what <> 'x';
CREATE TABLE "Table; with 'quotes' and
a new line" ("select" INT, [/* a] TEXT CHECK ([/* a] <> ';'), "*/ b" TEXT DEFAULT ';''');
INSERT INTO "Table; with 'quotes' and
a new line" VALUES (1, '--', '/*');
CREATE TABLE keyed (a TEXT, b INT, PRIMARY KEY (b, a)) WITHOUT ROWID, STRICT;
INSERT INTO keyed VALUES ('z;', 2), ('y''', 1);
CREATE TABLE -- a comment; with 'an open quote
    commented (a /* ; " */ INT, b INT
    -- the end);
    );
CREATE TABLE computed (a INT, b TEXT AS (CASE WHEN a > 1 THEN ';' ELSE '''' END) STORED, c AS (a || ';') VIRTUAL);
INSERT INTO computed (a) VALUES (1), (2), (NULL);
CREATE TABLE parent (id INTEGER PRIMARY KEY, kind TEXT, changed INT DEFAULT 0);
CREATE TABLE child (id INTEGER PRIMARY KEY, parent INT REFERENCES parent ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED);
INSERT INTO child VALUES (1, 7);
INSERT INTO parent VALUES (1, 'a;', 0), (7, '''', 1);
CREATE TABLE log (at INT, what TEXT);
CREATE VIEW "a view; ""quoted""" AS SELECT id AS "the id;", CASE kind WHEN ';' THEN 'END;' ELSE '--' END AS "end" FROM parent;
CREATE TRIGGER "a trigger;" AFTER INSERT ON parent WHEN NEW.kind <> ';' BEGIN
    -- a comment; END;
    INSERT INTO log VALUES (NEW.id, CASE WHEN NEW.kind = 'x' THEN 'it''s; "x"' ELSE CASE NEW.id WHEN 1 THEN ';' END END);
    UPDATE parent SET changed = changed + 1 WHERE id = NEW.id AND kind <> 'END;'; /* ; END; */
    SELECT 1; SELECT RAISE(IGNORE) WHERE NEW.id = -1;
END;
CREATE TEMP TRIGGER not_in_the_dump AFTER INSERT ON log BEGIN SELECT 1; END;
CREATE TRIGGER instead INSTEAD OF DELETE ON "a view; ""quoted""" FOR EACH ROW BEGIN
    DELETE FROM parent WHERE id = OLD."the id;"; DELETE FROM log; END;
CREATE TRIGGER "begin" BEFORE UPDATE OF kind ON parent BEGIN SELECT CASE WHEN 1 THEN 2 END AS "end;"; END;
INSERT INTO parent VALUES (8, 'x', 0);
