-- A PostgreSQL database with a bit of everything that pg_dump writes down, and texts that are hard
-- to split around. No statement of its dump is longer than 1 KB.

CREATE SCHEMA "odd; ""schema"" --";
CREATE SCHEMA shop;
COMMENT ON SCHEMA shop IS 'it''s a "shop"; -- not a comment /* nor this';

-- Types.
CREATE TYPE shop.mood AS ENUM ('it''s fine; really', 'so-so -- ok', '/* bad', '😀', '$$');
CREATE TYPE shop.size AS (width integer, "height; in ""cm""" numeric(8, 2), note text);
CREATE DOMAIN shop.code AS text DEFAULT 'a;b' CONSTRAINT "has; semicolon" CHECK (VALUE LIKE '%;%');
COMMENT ON DOMAIN shop.code IS $$a comment; with 'quotes' and \ and
a second line$$;
CREATE TYPE shop.float_range AS RANGE (subtype = float8, subtype_diff = float8mi);
CREATE COLLATION shop."german; de" (provider = libc, locale = 'C');

CREATE TABLE shop.numbers (
    id integer GENERATED ALWAYS AS IDENTITY (START WITH 10 INCREMENT BY 5) PRIMARY KEY,
    small smallint,
    big bigint DEFAULT 9223372036854775807,
    exact numeric,
    scaled numeric(12, 4),
    single real,
    double double precision,
    price money,
    twice numeric GENERATED ALWAYS AS (exact * 2) STORED
);
INSERT INTO shop.numbers (small, big, exact, scaled, single, double, price) VALUES
    (1, 2, 3, 4.5, 0.1, 0.1, 12.34),
    (-32768, -9223372036854775808, 'NaN', 'NaN', 'NaN', 'NaN', -0.01),
    (32767, 9223372036854775807, 'Infinity', -99999999.9999, 'Infinity', '-Infinity', 0),
    (0, 0, 1e-100, 0.0001, 1.1754944e-38, 4.94065645841246544e-324, 1e9),
    (NULL, NULL, 123456789012345678901234567890.123456789, NULL, -0.0, 1.7976931348623157e308, NULL);

CREATE TABLE shop.texts (
    id serial PRIMARY KEY,
    what text NOT NULL DEFAULT 'a '';'' \ default',
    short varchar(40),
    padded char(5),
    name name,
    bytes bytea
);
COMMENT ON TABLE shop.texts IS 'a table''s "comment"; with -- and /* and $$ and \. and
\.
a line of its own';
COMMENT ON COLUMN shop.texts.what IS ''';';
INSERT INTO shop.texts (what, short, padded, name, bytes) VALUES
    ('it''s; "quoted"', ';', ''';', 'a name', '\x00ff27223b5c0a0d'),
    ('-- no comment', '--', '--', '--', ''),
    ('/* no comment', '/*', '/*', '*/', '\x2f2a'),
    ('*/ /* /* */', '*/', '*/', '/*', NULL),
    ('$$ $tag$ $_$ $1', '$$', '$a$', '$$', '\x2424'),
    ('a backslash \', '\', '\''', '\', '\x5c'),
    ('\\''', '\\', '\n', '\N', '\x5c4e'),
    ('\.', '\.', '\.', '\.', '\x5c2e'),
    (E'two lines\n\\.\nwith the end of a COPY between them;\n', E'\n', E'\n', 'x', '\x0a'),
    (E'\\connect nowhere\n\\! false\n\\restrict x\n;', 'x', 'x', 'x', NULL),
    (E'tab\tand\rreturn\r\nand\x08\x0b\x0c', E'\t', E'\r', 'x', '\x09'),
    ('\N', 'NULL', 'null', 'NULL', '\x4e554c4c'),
    ('', '', '', '', ''),
    ('emoji 😀 👩‍👩‍👧 é é ß 漢字 ﷽', 'żółć; ''ü''', 'äöü', 'ÄÖ', '\xf09f9880'),
    (U&'\FEFFbom \2028 line \202E right \FFFD', U&'\00A0', 'x', 'x', NULL),
    ('E''x\'' U&"x" $$;$$ ''''', '''''''', '""', '"', NULL),
    ('DELIMITER //', '\g', '\;', ':name', NULL),
    (':name :''name'' :"name" ::text', '%s %d ?', '?', '?', NULL);
-- Every control character but NUL, by itself and all together.
INSERT INTO shop.texts (what) SELECT 'a' || chr(code) || ';' FROM generate_series(1, 31) AS code;
INSERT INTO shop.texts (what) SELECT string_agg(chr(code), '' ORDER BY code)
    FROM generate_series(1, 159) AS code;
INSERT INTO shop.texts (what, bytes) SELECT 'every byte',
    decode(string_agg(lpad(to_hex(code), 2, '0'), '' ORDER BY code), 'hex')
    FROM generate_series(0, 255) AS code;

CREATE TABLE shop.times (
    day date, moment timestamp, moment_tz timestamptz(3), clock time, clock_tz timetz, span interval
);
INSERT INTO shop.times VALUES
    ('2024-02-29', '2024-02-29 23:59:59.999999', '2024-03-31 01:59:59.5+02', '24:00', '10:00+05:30',
     '1 year 2 mons -3 days 04:05:06.789'),
    ('infinity', '-infinity', 'infinity', '00:00', '23:59:59.999999-12', '-178000000 years'),
    ('4713-01-01 BC', '0001-01-01 00:00:00 BC', '294276-12-31 23:59:59+00', NULL, NULL, '0');

CREATE TABLE shop.things (
    flag boolean,
    key uuid PRIMARY KEY,
    doc json,
    docb jsonb,
    page xml,
    path jsonpath,
    words tsvector,
    query tsquery,
    bits bit(5),
    flags bit varying,
    host inet,
    net cidr,
    card macaddr,
    place point,
    area polygon,
    CONSTRAINT "no; ""nets""" EXCLUDE USING gist (area WITH &&)
);
INSERT INTO shop.things VALUES
    (true, 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '{"a": "it''s; \"x\" \\ \u0000 😀"}',
     '{"a": ["it''s; \"x\" \\", null, 1.50, {"b": "--"}]}', '<a b="c;''">;&lt;</a>',
     '$."a;b"[*] ? (@ > 1)', $$'it''s' 'a;b':1A,2 '\\'$$, $$'it''s' & !'a;b'$$, B'10101', B'',
     '::1/64', '10.0.0.0/8', '08:00:2b:01:02:03', '(1.5,-2)', '((0,0),(1,1),(1,0))'),
    (false, '00000000-0000-0000-0000-000000000000', '[1,  2]', 'null', NULL, '$', '', NULL, B'00000',
     B'111', '192.168.0.1', '::/0', NULL, NULL, NULL),
    (NULL, 'ffffffff-ffff-ffff-ffff-ffffffffffff', NULL, '"\\"', NULL, NULL, NULL, NULL, NULL, NULL,
     NULL, NULL, NULL, NULL, '((5,5),(6,6),(6,5))');

CREATE TABLE shop.compounds (
    numbers integer[],
    texts text[],
    grid text[][] DEFAULT '{{"a;b","c''d"}}',
    size shop.size,
    sizes shop.size[],
    mood shop.mood DEFAULT '😀',
    moods shop.mood[],
    code shop.code,
    span int4range,
    spans tstzmultirange,
    floats shop.float_range
);
INSERT INTO shop.compounds VALUES
    ('{1,NULL,-3}', ARRAY['it''s', '"quoted"', ';', '\', '{', ',', 'NULL', '', NULL, E'\n', '\.'],
     DEFAULT, ROW (1, 2.5, 'a "note"; it''s \'), ARRAY[ROW (1, 2, '(a,b)'), ROW (NULL, NULL, '')]::shop.size[],
     'it''s fine; really', '{"/* bad","$$"}', ';', '[1,5)', '{[2020-01-01 00:00+00,2021-01-01 00:00+00)}',
     '[-Infinity,1.5)'),
    ('[2:3]={7,8}', '{}', '{{a,b},{c,d}}', NULL, '{}', '/* bad', NULL, ''';''', 'empty', '{}', '(,)');

-- Names that need quotes.
CREATE TABLE "odd; ""schema"" --"."Table; with 'quotes' and
a new line" (
    "select" integer PRIMARY KEY,
    "a ""b""; c" text DEFAULT $$ ';' $$,
    "$$" text CHECK ("$$" <> ';'),
    "ümlaut 😀" text COLLATE shop."german; de"
);
INSERT INTO "odd; ""schema"" --"."Table; with 'quotes' and
a new line" VALUES (1, ';', '--', '/*'), (2, NULL, '\', '''');

-- Inheritance, partitions, keys.
CREATE TABLE shop.sales (
    id bigint GENERATED BY DEFAULT AS IDENTITY, day date NOT NULL, amount numeric CHECK (amount > 0)
) PARTITION BY RANGE (day);
CREATE TABLE shop.sales_2023 PARTITION OF shop.sales FOR VALUES FROM ('2023-01-01') TO ('2024-01-01');
CREATE TABLE shop.sales_2024 PARTITION OF shop.sales FOR VALUES FROM ('2024-01-01') TO ('2025-01-01')
    PARTITION BY LIST ((extract(month FROM day)));
CREATE TABLE shop.sales_2024_1 PARTITION OF shop.sales_2024 FOR VALUES IN (1);
CREATE TABLE shop.sales_2024_rest PARTITION OF shop.sales_2024 DEFAULT;
CREATE INDEX sales_day ON shop.sales (day DESC NULLS LAST) INCLUDE (amount) WHERE amount > 10;
INSERT INTO shop.sales (day, amount) SELECT '2023-06-01'::date + n * 7, n + 0.5
    FROM generate_series(0, 70) AS n;
CREATE TABLE shop.parent (id integer PRIMARY KEY, kind text);
CREATE TABLE shop.child (extra text, FOREIGN KEY (id) REFERENCES shop.parent (id) ON DELETE SET NULL
    DEFERRABLE INITIALLY DEFERRED) INHERITS (shop.parent);
INSERT INTO shop.parent VALUES (1, 'a;'), (2, 'b''');
INSERT INTO shop.child VALUES (1, 'c', '--'), (2, 'd', '/*');
CREATE TABLE shop."no columns" ();
INSERT INTO shop."no columns" DEFAULT VALUES;
CREATE UNLOGGED TABLE shop.unlogged (a int) WITH (fillfactor = 70, autovacuum_enabled = off);
INSERT INTO shop.unlogged VALUES (1);

CREATE SEQUENCE shop."a sequence; really" AS smallint INCREMENT BY -3 MAXVALUE 90 MINVALUE -90 CYCLE;
SELECT nextval('shop."a sequence; really"'), nextval('shop."a sequence; really"');

-- Functions.
CREATE FUNCTION shop.plain(a integer, b text DEFAULT 'x;''y') RETURNS text LANGUAGE plpgsql AS $outer$
DECLARE
    result text := ';';
BEGIN
    -- a comment; with 'an open quote
    IF a > 0 THEN
        result := CASE WHEN b = ';' THEN 'it''s' ELSE E'\';\n' END;
    END IF;
    FOR i IN 1..3 LOOP
        EXECUTE $q$SELECT ';' || $a$;$a$$q$;
    END LOOP;
    RETURN result; /* and /* nested */ ; */
EXCEPTION WHEN OTHERS THEN
    RAISE NOTICE '% ; %', a, b;
    RETURN $_$;$_$;
END;
$outer$;
COMMENT ON FUNCTION shop.plain(integer, text) IS '$$ ; $$';
CREATE FUNCTION shop.atomic(a integer) RETURNS TABLE (x integer, y text) LANGUAGE sql
BEGIN ATOMIC
    INSERT INTO shop.parent VALUES (a, CASE a WHEN 1 THEN 'one;' ELSE CASE WHEN a > 5 THEN '--' END END);
    DELETE FROM shop.parent WHERE id = a AND kind = 'END;';
    SELECT id AS "case", CASE WHEN kind IS NULL THEN ';' ELSE kind END AS "end" FROM shop.parent;
END;
CREATE FUNCTION shop.returns(a integer) RETURNS integer LANGUAGE sql IMMUTABLE STRICT
    RETURN CASE WHEN a > 0 THEN a ELSE -a END;
CREATE FUNCTION shop.quoted() RETURNS text LANGUAGE sql AS 'SELECT ''it''''s; fine''::text; SELECT ''\'' || '';''';
CREATE FUNCTION shop.many(VARIADIC a text[], OUT n integer, OUT m text) LANGUAGE plpgsql AS $body$
BEGIN n := 1; m := $$;$$; END $body$ SET search_path = shop, "odd; ""schema"" --" SET work_mem = '1MB';
CREATE PROCEDURE shop.work(INOUT a integer) LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO shop.parent VALUES (a, ';'); COMMIT;
    a := a + 1; ROLLBACK;
END $$;
CREATE PROCEDURE shop.atomic_work(a integer) LANGUAGE sql BEGIN ATOMIC
    UPDATE shop.parent SET kind = CASE WHEN id = a THEN 'begin' ELSE 'end' END;
    INSERT INTO shop.child (id) VALUES (a) RETURNING id;
END;
CREATE PROCEDURE shop.empty() LANGUAGE sql BEGIN ATOMIC END;
CREATE AGGREGATE shop.joined(text) (sfunc = textcat, stype = text, initcond = ';''--');
CREATE FUNCTION shop.differs(text, text) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT $1 <> $2';
CREATE OPERATOR shop.<!-> (leftarg = text, rightarg = text, function = shop.differs, commutator = OPERATOR(shop.<!->));
CREATE CAST (shop.size AS text) WITH INOUT AS ASSIGNMENT;

-- Triggers, rules, views, policies.
CREATE FUNCTION shop.on_change() RETURNS trigger LANGUAGE plpgsql AS $f$
BEGIN
    NEW.kind := coalesce(NEW.kind, TG_ARGV[0]) || ''; RETURN NEW;
END;
$f$;
CREATE TRIGGER "a trigger; ""quoted""" BEFORE INSERT OR UPDATE OF kind ON shop.parent FOR EACH ROW
    WHEN (NEW.kind <> ';' AND NEW.id > CASE WHEN true THEN -1 END)
    EXECUTE FUNCTION shop.on_change('it''s; an "argument"', '--', '\');
CREATE CONSTRAINT TRIGGER later AFTER INSERT ON shop.child DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
    EXECUTE FUNCTION shop.on_change();
ALTER TABLE shop.child DISABLE TRIGGER later;
COMMENT ON TRIGGER later ON shop.child IS ''';';
CREATE TABLE shop.log (at timestamptz DEFAULT now(), what text);
CREATE VIEW shop.names AS SELECT id AS "the ""id"";", kind FROM shop.parent WHERE kind <> ';--' WITH CHECK OPTION;
CREATE RULE "two; things" AS ON INSERT TO shop.names DO INSTEAD (
    INSERT INTO shop.parent VALUES (NEW."the ""id"";", 'a;b');
    INSERT INTO shop.log (what) VALUES ('insert; ' || CASE WHEN NEW.kind IS NULL THEN ')' ELSE '(' END);
    NOTIFY shop, 'it''s; done'
);
CREATE RULE nothing AS ON DELETE TO shop.names WHERE OLD.kind = ');' DO INSTEAD NOTHING;
CREATE RULE one AS ON UPDATE TO shop.names DO INSTEAD UPDATE shop.parent SET kind = NEW.kind WHERE kind = ';';
CREATE RULE also AS ON UPDATE TO shop.parent DO ALSO (SELECT 1; SELECT ';)');
COMMENT ON RULE nothing ON shop.names IS 'nothing; (at all';
CREATE RECURSIVE VIEW shop.counted (n) AS VALUES (1) UNION ALL SELECT n + 1 FROM counted WHERE n < 5;
CREATE MATERIALIZED VIEW shop.totals AS SELECT day, sum(amount) AS "total;" FROM shop.sales GROUP BY day;
CREATE UNIQUE INDEX totals_day ON shop.totals (day);
CREATE MATERIALIZED VIEW shop.empty_totals AS SELECT 1 AS one WITH NO DATA;
CREATE INDEX "an index; ""quoted""" ON shop.texts (lower(what || ';''')) WHERE what <> '\;' AND length(what) < 100;
CREATE UNIQUE INDEX ON shop.texts USING btree (md5(what), id) NULLS NOT DISTINCT;
CREATE INDEX ON shop.things USING gin (docb jsonb_path_ops);
CREATE STATISTICS shop."stats;" (dependencies) ON small, big FROM shop.numbers;
ALTER TABLE shop.parent ENABLE ROW LEVEL SECURITY;
CREATE POLICY "a policy; ""quoted""" ON shop.parent AS RESTRICTIVE FOR UPDATE TO PUBLIC
    USING (kind <> ''';') WITH CHECK (kind <> '--' AND id IN (SELECT id FROM shop.child));
GRANT SELECT, INSERT (what) ON shop.log TO PUBLIC;
REVOKE ALL ON FUNCTION shop.plain(integer, text) FROM PUBLIC;
ALTER DEFAULT PRIVILEGES IN SCHEMA shop GRANT SELECT ON TABLES TO PUBLIC;

CREATE FOREIGN DATA WRAPPER nowhere OPTIONS (a 'it''s; "quoted"', "b;" '\');
CREATE SERVER nowhere TYPE ';' VERSION '''' FOREIGN DATA WRAPPER nowhere OPTIONS (host '--');
CREATE FOREIGN TABLE shop.abroad (a integer OPTIONS (x ';'), b text DEFAULT ';') SERVER nowhere OPTIONS (t '/*');
CREATE USER MAPPING FOR PUBLIC SERVER nowhere OPTIONS (user ';''');
CREATE TEXT SEARCH DICTIONARY shop."simple; dict" (template = simple, accept = false);
CREATE TEXT SEARCH CONFIGURATION shop.config (copy = simple);
CREATE PUBLICATION "a publication;" FOR TABLE shop.log (what) WHERE (what <> ''';');
CREATE FUNCTION shop.on_ddl() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN RAISE NOTICE '';''; END';
CREATE EVENT TRIGGER "on ddl; ""quoted""" ON ddl_command_end WHEN TAG IN ('CREATE TABLE', 'DROP TABLE')
    EXECUTE FUNCTION shop.on_ddl();
SELECT lo_from_bytea(4242, '\x00ff27225c5c3b0a2d2d');
SELECT lo_from_bytea(4343, '');
COMMENT ON LARGE OBJECT 4242 IS 'a large object; it''s \ small';
DO $do$
BEGIN
    IF EXISTS (SELECT FROM pg_available_extensions WHERE name = 'hstore') THEN
        CREATE EXTENSION hstore SCHEMA shop;
        CREATE TABLE shop.stores AS
            SELECT $$"a;b"=>"it's \\ \"x\"", "--"=>NULL$$::shop.hstore AS store;
    END IF;
END
$do$;
