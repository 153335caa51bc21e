-- Full-text and spatial tables: their dump writes to the schema by itself.

CREATE VIRTUAL TABLE words USING fts5(title, "body; text", tokenize = 'unicode61 separators '';''');
INSERT INTO words VALUES ('it''s; a title', 'some -- words /* and */ more; 😀'), ('two', 'a
line');
INSERT INTO words SELECT 'title ' || value, 'words number ' || value FROM json_each('[1,2,3,4,5,6,7,8,9]');
CREATE VIRTUAL TABLE older USING fts4(body, tokenize=porter);
INSERT INTO older VALUES ('running; runs'), ('it''s');
CREATE VIRTUAL TABLE boxes USING rtree(id, x0, x1);
INSERT INTO boxes VALUES (1, 0.5, 1.5), (2, -1, 3);
CREATE TABLE after_words (a);
INSERT INTO after_words VALUES (';');
