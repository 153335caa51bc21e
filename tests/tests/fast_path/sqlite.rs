//! On SQLite: all affinities, strict tables, generated columns, checks, triggers, keys.

use proptest::{collection::vec, prelude::*, sample::select, test_runner::TestRunner};
use sql_batcher_adapters::{Adapter as _, Connection, Scope, Sqlite};
use sql_batcher_tests::{conformance::bare, types::sqlite::LITERALS};
use tokio::runtime::Runtime;

use super::{Fate, Insert, literals, rows, run};

/// Columns with literals that fit them.
const COLUMNS: &[(&str, &[&str])] = &[
    ("INTEGER", &["1", "-2", "'7'", "7.0", "'7.0'", "NULL", "1.5", "'x'", "9223372036854775807"]),
    ("INT UNIQUE", &["1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "NULL", "'11'"]),
    ("INTEGER NOT NULL DEFAULT 5", &["1", "2", "'3'", "4.0"]),
    ("TEXT", &["'a'", "''", "'it''s'", "1", "1.5", "007", "1e3", "x'61'", "NULL", "'ä€'"]),
    ("TEXT COLLATE NOCASE UNIQUE", &["'a'", "'b'", "'c'", "'d'", "'e'", "'f'", "'g'", "'A'"]),
    ("VARCHAR(3)", &["'abc'", "'abcdef'", "12"]),
    ("REAL", &["1", "1.5", "-0.0", "'2'", "'x'", "NULL", "123456.789012345", "TRUE"]),
    ("NUMERIC", &["1", "1.0", "'1.0'", "'1e3'", "1.5", "'0x1F'", "x'31'", "TRUE", "1e3"]),
    ("BLOB", &["x'00ff'", "'a'", "1", "1.0", "NULL", "-0.0", "TRUE"]),
    ("", &["1", "1.0", "'1'", "x'31'", "NULL", "FALSE", "-5", ".5"]),
    ("BOOLEAN CHECK (c{} IN (0, 1))", &["0", "1", "TRUE", "FALSE", "NULL", "'1'", "1.0"]),
    ("CHECK (typeof(c{}) <> 'text')", &["0", "1.5", "x'00'", "'a'"]),
    ("DATE DEFAULT CURRENT_DATE", &["'2020-01-01'", "20200101"]),
];

/// Columns of a strict table.
const STRICT: &[(&str, &[&str])] = &[
    ("INTEGER", &["1", "'7'", "7.0", "NULL", "-3"]),
    ("INT NOT NULL", &["1", "2", "'3'"]),
    ("REAL", &["1", "1.5", "'2'", "NULL"]),
    ("TEXT", &["'a'", "1", "1.5", "NULL"]),
    ("BLOB", &["x'00'", "NULL"]),
    ("ANY", &["1", "1.0", "'1'", "x'31'", "NULL", "TRUE"]),
];

/// What else a table may have, behind its columns.
const FEATURES: &[&str] = &[
    "",
    "",
    ", id INTEGER PRIMARY KEY",
    ", id INTEGER PRIMARY KEY AUTOINCREMENT",
    ", g AS (typeof(c0)) VIRTUAL",
    ", g AS (c0 || '!') STORED",
    ", n DEFAULT (7 + 1), o DEFAULT 'x'",
    ", PRIMARY KEY (c0)",
    ", UNIQUE (c0) ON CONFLICT REPLACE",
    ", UNIQUE (c0) ON CONFLICT IGNORE",
    ", UNIQUE (c0) ON CONFLICT FAIL",
    ", UNIQUE (c0) ON CONFLICT ROLLBACK",
    ", FOREIGN KEY (c0) REFERENCES parent (id)",
    ", FOREIGN KEY (c0) REFERENCES parent (id) DEFERRABLE INITIALLY DEFERRED",
];

const TRIGGERS: &[&str] = &[
    "",
    "",
    "",
    "CREATE TRIGGER g AFTER INSERT ON t BEGIN \
       INSERT INTO log VALUES (typeof(NEW.c0), changes(), last_insert_rowid()); END;",
    "CREATE TRIGGER g BEFORE INSERT ON t WHEN NEW.c0 = 2 BEGIN SELECT RAISE(ABORT, 'two'); END;",
    "CREATE TRIGGER g BEFORE INSERT ON t WHEN NEW.c0 = 2 BEGIN SELECT RAISE(ROLLBACK, 'two'); END;",
    "CREATE TRIGGER g BEFORE INSERT ON t WHEN NEW.c0 = 1 BEGIN SELECT RAISE(IGNORE); END;",
    "CREATE TRIGGER g AFTER INSERT ON t BEGIN UPDATE t SET c0 = c0 WHERE c0 = NEW.c0; END;",
];

const INTO: &[&str] = &[
    "INSERT INTO t",
    "INSERT INTO t",
    "insert into \"t\"",
    "INSERT INTO main.t",
    "INSERT INTO t AS x",
    "INSERT OR IGNORE INTO t",
    "INSERT OR REPLACE INTO t",
    "INSERT OR FAIL INTO t",
    "INSERT OR ROLLBACK INTO t",
    "REPLACE INTO t",
    "INSERT INTO none",
    "WITH q AS (SELECT 1) INSERT INTO t",
];

const TAILS: &[&str] = &[
    "",
    "",
    "",
    " ",
    " ON CONFLICT DO NOTHING",
    "\nON CONFLICT (c0) DO UPDATE SET c0 = excluded.c0",
    " ON CONFLICT DO UPDATE SET c0 = 9 WHERE c0 < 3",
    " RETURNING c0",
];

#[derive(Clone, Debug)]
struct Case {
    schema: Vec<String>,
    insert: Insert,
    scope: Scope,
    first: &'static str,
}

fn case() -> impl Strategy<Value = Case> {
    let shape =
        (any::<bool>(), 1..5_usize, 0..4_u8).prop_flat_map(|(is_strict, count, listing)| {
            let known = if is_strict { STRICT } else { COLUMNS };
            (Just(is_strict), vec(select(known), count), Just(listing))
        });
    let around = (select(FEATURES), select(TRIGGERS), select(INTO), select(TAILS));
    let scope = select(vec![Scope::Atomic, Scope::Bare, Scope::Scripted]);
    let first = select(vec!["", "INSERT INTO parent VALUES (3);", "PRAGMA foreign_keys = ON;"]);
    (shape, around, scope, first).prop_flat_map(
        |((is_strict, columns, listing), (feature, trigger, into, tail), scope, first)| {
            let columns_of = columns.iter().enumerate();
            let defined: Vec<String> = columns_of
                .map(|(index, (definition, _))| {
                    format!("c{index} {}", definition.replace("{}", &index.to_string()))
                })
                .collect();
            let strict = if is_strict { " STRICT" } else { "" };
            let feature = if is_strict && feature.contains(" AS ") || feature.contains("DEFAULT (")
            {
                ""
            } else {
                feature
            };
            let table = format!("CREATE TABLE t ({}{feature}){strict};", defined.join(", "));
            let names: Vec<String> = (0..columns.len()).map(|index| format!("c{index}")).collect();
            // Without a list, now and then; with one column too many, seldom.
            let list = match listing {
                0 => String::new(),
                _ => format!(" ({})", names.join(", ")),
            };
            let prefix = format!("{into}{list} VALUES ");
            let fitting = columns.iter().map(|(_, fitting)| fitting.to_vec()).collect();
            let schema = vec![table, trigger.to_owned()];
            literals(fitting, LITERALS).prop_map(move |rows| Case {
                schema: schema.clone(),
                insert: Insert::new(prefix.clone(), &rows, tail),
                scope,
                first,
            })
        },
    )
}

/// What a case leaves behind: what became of the request, and all that can be asked for.
#[derive(Debug, PartialEq)]
struct Left {
    fate: Fate,
    stored: Vec<Vec<String>>,
}

async fn session(schema: &[String]) -> (Sqlite, Box<dyn Connection>) {
    let adapter = Sqlite::connect("sqlite::memory:").await.expect("the database does it");
    let mut session = adapter.acquire().await.expect("the database does it");
    let common = [
        "CREATE TABLE parent (id INTEGER PRIMARY KEY);",
        "INSERT INTO parent VALUES (1), (2);",
        "CREATE TABLE log (a, b, c);",
    ];
    bare(&mut *session, &common).await.expect("the database does it");
    for statement in schema.iter().filter(|statement| !statement.is_empty()) {
        bare(&mut *session, &[statement]).await.unwrap_or_else(|problem| {
            panic!("{statement}: {problem:?}");
        });
    }
    (adapter, session)
}

async fn leave(case: &Case, is_fast: bool) -> Left {
    let (_adapter, mut session) = session(&case.schema).await;
    let session = &mut *session;
    if case.scope == Scope::Scripted {
        bare(session, &["BEGIN;"]).await.expect("the database does it");
    }
    let statements = [Err(case.first), Ok(&case.insert)];
    let statements = if case.first.is_empty() { &statements[1..] } else { &statements[..] };
    let fate = run(session, case.scope, statements, is_fast).await;
    let mut stored = Vec::new();
    for query in [
        "SELECT changes(), total_changes(), last_insert_rowid()".to_owned(),
        columns(session).await,
        "SELECT * FROM log".to_owned(),
        "SELECT name, seq FROM sqlite_sequence".to_owned(),
    ] {
        let found = session.fetch(&query).await;
        stored.push(found.iter().map(|rows| format!("{rows:?}")).collect());
    }
    if case.scope == Scope::Scripted {
        let committed = bare(session, &["COMMIT;"]).await;
        stored.push(vec![format!("{:?}", committed.map_err(super::said))]);
    }
    stored.push(rows(session, "SELECT count(*) FROM t").await);
    Left { fate, stored }
}

/// What asks for all values of the table, as they are stored.
async fn columns(session: &mut dyn Connection) -> String {
    let names = session
        .fetch("SELECT name FROM pragma_table_xinfo('t')")
        .await
        .expect("the database does it");
    let name = |row: &Vec<Option<String>>| row[0].clone().expect("it is not null");
    let values = names.iter().map(name).map(|name| format!("typeof({name}), quote({name})"));
    format!("SELECT rowid, {} FROM t ORDER BY rowid", values.collect::<Vec<_>>().join(", "))
}

#[test]
fn whatever_is_inserted_is_the_same_in_both_ways() {
    let runtime = Runtime::new().unwrap();
    let mut runner = TestRunner::new(ProptestConfig::with_cases(1500));
    let (mut applied, mut refused) = (0, 0);
    let cases = runner.run(&case(), |case| {
        let (text, fast) =
            runtime.block_on(async { (leave(&case, false).await, leave(&case, true).await) });
        // Behind the largest rowid SQLite takes one by chance.
        let has_last = case.insert.rows.contains("9223372036854775807");
        if !(has_last && case.schema[0].contains("PRIMARY KEY")) {
            prop_assert_eq!(&text, &fast);
        }
        Ok(())
    });
    cases.unwrap_or_else(|error| panic!("{error}"));
    // Each literal by itself in each column, so that none is missed.
    for (definition, _) in COLUMNS.iter().chain(STRICT) {
        let strict =
            if STRICT.iter().any(|(strict, _)| strict == definition) { " STRICT" } else { "" };
        let table = format!("CREATE TABLE t (c0 {}){strict};", definition.replace("{}", "0"));
        for literal in LITERALS {
            // One row alone is never sent in the fast way.
            let rows = vec![vec![(*literal).to_owned()]; 2];
            let insert = Insert::new("INSERT INTO t VALUES ", &rows, "");
            let schema = vec![table.clone()];
            let case = Case { schema, insert, scope: Scope::Atomic, first: "" };
            let both = async { (leave(&case, false).await, leave(&case, true).await) };
            let (text, fast) = runtime.block_on(both);
            assert_eq!(text, fast, "{table} {literal}");
            match text.fate.0 {
                Ok(_) => applied += 1,
                Err(_) => refused += 1,
            }
        }
    }
    assert!(applied > 300 && refused > 50, "{applied} and {refused}");
}

#[test]
fn numbers_are_read_as_sqlite_reads_them() {
    let runtime = Runtime::new().unwrap();
    // As many digits and places as are read here, and one more of each, which are not.
    let number = "-?[0-9]{1,16}(\\.[0-9]{0,16})?(e[+-]?[0-9]{1,2})?";
    let mut runner = TestRunner::new(ProptestConfig::with_cases(60));
    let checked = runner.run(&vec(number, 400), |numbers| {
        let rows: Vec<_> = numbers.iter().map(|number| vec![number.clone()]).collect();
        let insert = |row: &Vec<String>| {
            let rows = [row.clone(), row.clone()];
            Insert::padded("INSERT INTO t VALUES ", &rows, 600)
        };
        let each: Vec<Insert> = rows.iter().map(insert).collect();
        let left = |is_fast| {
            let each = &each;
            async move {
                let (_adapter, mut session) = session(&["CREATE TABLE t (a);".into()]).await;
                let statements: Vec<_> = each.iter().map(Ok).collect();
                run(&mut *session, Scope::Atomic, &statements, is_fast).await.0.unwrap();
                // Each bit of a floating-point number counts: 17 digits tell them apart.
                super::rows(&mut *session, "SELECT typeof(a), printf('%!.17g', a) FROM t").await
            }
        };
        let (text, fast) = runtime.block_on(async { (left(false).await, left(true).await) });
        prop_assert_eq!(text, fast);
        Ok(())
    });
    checked.unwrap_or_else(|error| panic!("{error}"));
}
