//! INSERTs that are merged end in the same tables, and fail in the same place, as those that are
//! sent one by one: for every row of the table of what may be merged, and for random scripts, on each
//! database.
#![expect(clippy::unwrap_used, reason = "a test ends where something of its own fails")]

mod types;

use std::fmt::Write as _;
use std::process;
use std::sync::{Arc, Mutex};

use proptest::{
    collection::vec,
    prelude::*,
    test_runner::{Config, TestRunner},
};
use sql_batcher::{Batcher, Options, Reject, Transactions, adapters};
use sql_batcher_tests::{
    direct::Direct,
    servers::{mysql_url, postgres_url},
};
use tokio::runtime::Runtime;

/// Random scripts for each database.
const CASES: u32 = 60;

/// A database that the scripts run on, and what they are made of. `{t}` is the table.
#[derive(Debug, Default)]
struct Target {
    url: String,
    table: String,
    /// What `{kind}` stands for in `create`.
    kind: String,
    create: &'static [&'static str],
    /// What INSERTs begin and end with.
    heads: &'static [(&'static str, &'static str)],
    /// Values for each column; some of them are refused.
    columns: &'static [&'static [&'static str]],
    /// Other statements.
    others: &'static [&'static str],
    /// Gives each row as text, its number before a `#`, in the order of numbers.
    dump: &'static str,
}

/// What a run has left.
#[derive(Debug, PartialEq, Eq)]
struct Left {
    rows: Vec<String>,
    /// Where it failed, and with which code.
    error: Option<(u64, u32, u32, u64, String)>,
    /// Numbers of the statements that were left out.
    rejected: Vec<u64>,
    applied: u64,
}

impl Left {
    /// Leaves out what rows are numbered with, and so their order.
    fn forget_numbers(&mut self) {
        for row in &mut self.rows {
            *row = row.split_once('#').map_or("", |(_, rest)| rest).to_owned();
        }
        self.rows.sort_unstable();
    }
}

/// How INSERTs are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Apart,
    Merged,
    Fast,
}

/// How a script is run.
#[derive(Clone, Debug)]
struct How {
    options: Options,
    skips: bool,
}

impl Target {
    fn named(&self, text: &str) -> String {
        text.replace("{t}", &self.table).replace("{kind}", &self.kind)
    }

    async fn run(&self, script: &str, how: &How, way: Way) -> Left {
        let mut direct = Direct::to(&self.url).await;
        for statement in self.create {
            direct.run(&[&self.named(statement)]).await;
        }
        let pool = adapters::PoolOptions::default();
        let adapter = adapters::connect(&self.url, &pool).await.unwrap();
        let options = how.options.clone().merge_inserts(way != Way::Apart);
        let options = options.fast_path(way == Way::Fast);
        let rejected = Arc::new(Mutex::new(Vec::new()));
        let mut builder = Batcher::builder_boxed(adapter).options(options);
        if how.skips {
            let kept = Arc::clone(&rejected);
            let keep = move |reject: &Reject<'_>| {
                kept.lock().unwrap().push(reject.position.statement);
                Ok(())
            };
            builder = builder.skip_bad(keep, None);
        }
        let mut batcher = builder.build().await.unwrap();
        // What is wrong is said at the end, too.
        let _ = batcher.push_str(script).await;
        let (report, error) = match batcher.finish().await {
            Ok(report) => (report, None),
            Err(error) => {
                let at = error.position().unwrap_or_else(|| panic!("{error}"));
                let code = error.code().unwrap_or_default().to_owned();
                let place = (at.statement, at.line, at.column, at.offset, code);
                (error.report().unwrap().clone(), Some(place))
            }
        };
        let rows = direct.texts(&self.named(self.dump)).await;
        direct.close().await;
        let rejected = rejected.lock().unwrap().clone();
        Left { rows, error, rejected, applied: report.applied }
    }

    /// Runs a script one by one, merged, and the fast way, and holds one against the others.
    async fn agrees(&self, script: &str, how: &How) {
        let script = self.named(script);
        let mut apart = self.run(&script, how, Way::Apart).await;
        let fails = apart.error.is_some() || !apart.rejected.is_empty();
        if fails {
            // What fails takes numbers that no other row gets, each time that it is tried.
            apart.forget_numbers();
        }
        for way in [Way::Merged, Way::Fast] {
            let mut other = self.run(&script, how, way).await;
            if fails {
                other.forget_numbers();
            }
            assert_eq!(apart, other, "\n{way:?} {how:?}\n{script}");
        }
    }

    /// A random script.
    fn scripts(&self) -> impl Strategy<Value = String> + use<> {
        let (heads, columns, others) = (self.heads, self.columns, self.others);
        let row = || columns.iter().map(|values| prop::sample::select(*values)).collect::<Vec<_>>();
        let rows = (0..heads.len(), vec(vec(row(), 1..3), 1..12));
        let inserts = rows.prop_map(move |(head, statements)| {
            let mut text = String::new();
            for rows in statements {
                let rows: Vec<String> =
                    rows.iter().map(|row| format!("({})", row.join(", "))).collect();
                let (before, behind) = heads[head];
                writeln!(text, "{before}{}{behind};", rows.join(", ")).unwrap();
            }
            text
        });
        let other = prop::sample::select(others).prop_map(|text| format!("{text};\n"));
        vec(prop_oneof![4 => inserts, 1 => other], 1..6).prop_map(|parts| parts.concat())
    }

    /// Holds random scripts against each other, run in every way.
    fn agrees_on_random_scripts(&self) {
        let runtime = Runtime::new().unwrap();
        let config = Config { cases: CASES, failure_persistence: None, ..Config::default() };
        let ways = (any::<bool>(), any::<bool>(), any::<bool>());
        TestRunner::new(config)
            .run(&(self.scripts(), ways), |(script, (skips, bare, small))| {
                let mut options = Options::default();
                if bare {
                    options = options.transactions(Transactions::None);
                }
                // What a batch that fails takes back differs with its size, but not its statements.
                if small && (skips || bare) {
                    options = options.max_bytes(500);
                }
                let script = script.replace("BEGIN;", if bare { "" } else { "BEGIN;" });
                let script = script.replace("COMMIT;", if bare { "" } else { "COMMIT;" });
                runtime.block_on(self.agrees(&script, &How { options, skips }));
                Ok(())
            })
            .unwrap();
    }

    /// How many statements the database is sent for these.
    fn commands(&self, script: &str) -> usize {
        let dialect = self.url.split(':').next().unwrap();
        let dialect = match dialect {
            "sqlite" => sql_batcher::Dialect::Sqlite,
            "postgres" => sql_batcher::Dialect::PostgreSql,
            _ => sql_batcher::Dialect::MySql,
        };
        let options = Options::default().dialect(dialect).merge_inserts(true);
        let mut splitter = sql_batcher::Splitter::new(options).unwrap();
        let mut batches = splitter.push(self.named(script).as_bytes()).unwrap();
        splitter.end().unwrap();
        batches.extend(splitter.take_batches());
        batches.iter().map(sql_batcher::Batch::commands).sum()
    }

    async fn agrees_on_the_table(&self, rows: &[(&str, usize)]) {
        for (script, commands) in rows {
            assert_eq!(self.commands(script), *commands, "{script}");
            let how = How { options: Options::default(), skips: false };
            self.agrees(script, &how).await;
        }
    }
}

fn postgres(url: String, name: &str) -> Target {
    Target {
        url,
        table: format!("merged_{name}_{}", process::id()),
        create: &[
            "DROP TABLE IF EXISTS {t}",
            "CREATE TABLE {t} (id integer GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, \
             a integer CHECK (a <> 13), b varchar(5) NOT NULL DEFAULT 'd', c numeric(6, 2), \
             d timestamp, e double precision, f boolean, g integer[], j jsonb, \
             u integer UNIQUE, s text GENERATED ALWAYS AS (b || a) STORED)",
        ],
        heads: &[
            ("INSERT INTO {t} (a, b, c, d, e, f, g, j, u) VALUES ", ""),
            ("INSERT INTO {t} (a, b, c, d, e, f, g, j, u) VALUES ", " ON CONFLICT DO NOTHING"),
            (
                "INSERT INTO {t} (a, b, c, d, e, f, g, j, u) VALUES ",
                " ON CONFLICT (u) DO UPDATE SET a = excluded.a",
            ),
            ("INSERT INTO {t} (a, b, c, d, e, f, g, j, u) VALUES ", " RETURNING id"),
        ],
        columns: &[
            &["1", "-5", "NULL", "'12'", "DEFAULT", "2.6", "13", "'x'", "'7'::int"],
            &["'a'", "'it''s'", "DEFAULT", "E'\\''", "5", "'too long'", "NULL", "'ä😀'::text"],
            &["1.5", "2", "-0.005", "1e2", "NULL", "'NaN'", "+3", "12345.6"],
            &["'2020-01-02 03:04:05'", "DATE '2020-01-02'", "NULL", "TIMESTAMP '2020-01-02'"],
            &["0.1", "1e-3", "5", "'Infinity'", "NULL"],
            &["TRUE", "false", "NULL", "'yes'", "'t'::boolean"],
            &["ARRAY[1, 2]", "'{1,NULL}'", "NULL", "ARRAY[[1], [2]]", "ARRAY['1']::int[]"],
            &["'{}'", "'[1, \"a\"]'", "NULL", "'{'"],
            &["1", "2", "3", "4", "5", "6", "7", "NULL", "NULL", "NULL"],
        ],
        others: &[
            "UPDATE {t} SET a = 0 WHERE u = 1",
            "DELETE FROM {t} WHERE u = 2",
            "SELECT 1",
            "INSERT INTO {t} (b) SELECT 'q'",
            "INSERT INTO {t} (b) VALUES (lower('Q'))",
            "BEGIN;\nINSERT INTO {t} (u) VALUES (21);\nINSERT INTO {t} (u) VALUES (22);\nCOMMIT",
        ],
        dump: "SELECT id || '#' || CAST((a, b, c, d, e, f, g, j, u, s) AS text) FROM {t} ORDER BY id",
        ..Target::default()
    }
}

fn mariadb(url: String, name: &str) -> Target {
    Target {
        url,
        table: format!("merged_{name}_{}", process::id()),
        create: &[
            "DROP TABLE IF EXISTS {t}",
            "CREATE TABLE {t} (id INT AUTO_INCREMENT PRIMARY KEY, a INT CHECK (a <> 13), \
             b VARCHAR(5) NOT NULL DEFAULT 'd', c DECIMAL(6, 2), d DATETIME, e DOUBLE, \
             u INT UNIQUE, s VARCHAR(50) AS (CONCAT(b, a)) STORED) ENGINE=InnoDB \
             DEFAULT CHARSET=utf8mb4",
        ],
        heads: &[
            ("INSERT INTO {t} (id, a, b, c, d, e, u) VALUES ", ""),
            ("INSERT IGNORE INTO {t} (id, a, b, c, d, e, u) VALUES ", ""),
            ("REPLACE INTO {t} (id, a, b, c, d, e, u) VALUES ", ""),
            (
                "INSERT INTO {t} (id, a, b, c, d, e, u) VALUES ",
                " ON DUPLICATE KEY UPDATE a = a + 1, b = VALUES(b)",
            ),
        ],
        columns: &[
            // Numbers that are given lie far apart, so that those that are asked for never reach them.
            &["NULL", "NULL", "NULL", "DEFAULT", "0", "100001", "200001", "'300001'"],
            &["1", "-5", "NULL", "'12'", "DEFAULT", "13", "2.6", "'x'"],
            &["'a'", "'it''s'", "DEFAULT", "'a\\'b'", "5", "'too long'", "NULL", "_utf8'b'"],
            &["1.5", "2", "-0.005", "1e2", "NULL", "+3", "0x1F"],
            &["'2020-01-02 03:04:05'", "DATE '2020-01-02'", "NULL", "'2020-13-01'"],
            &["0.1", "1e-3", "5", "NULL"],
            &["1", "2", "3", "4", "5", "6", "7", "NULL", "NULL", "NULL"],
        ],
        others: &[
            "UPDATE {t} SET a = 0 WHERE u = 1",
            "DELETE FROM {t} WHERE u = 2",
            "SELECT 1",
            "INSERT INTO {t} (b) SELECT 'q'",
            "INSERT INTO {t} (b) VALUES (LOWER('Q'))",
            "BEGIN;\nINSERT INTO {t} (u) VALUES (21);\nINSERT INTO {t} (u) VALUES (22);\nCOMMIT",
        ],
        dump: "SELECT CONCAT_WS('|', CONCAT(id, '#'), COALESCE(a, 'N'), b, COALESCE(c, 'N'), \
               COALESCE(d, 'N'), COALESCE(e, 'N'), COALESCE(u, 'N'), COALESCE(s, 'N')) \
               FROM {t} ORDER BY id",
        ..Target::default()
    }
}

fn sqlite(folder: &tempfile::TempDir) -> Target {
    Target {
        url: format!("sqlite://{}", folder.path().join("merged.db").display()),
        table: "merged".into(),
        create: &[
            "DROP TABLE IF EXISTS {t}",
            "DROP TABLE IF EXISTS seen",
            "CREATE TABLE {t} (id INTEGER PRIMARY KEY, a INTEGER CHECK (a <> 13), \
             b TEXT NOT NULL DEFAULT 'd', c NUMERIC, d, e REAL, u INTEGER UNIQUE, \
             s AS (b || a) STORED)",
            "CREATE TABLE seen (id INTEGER PRIMARY KEY, row INTEGER)",
            "CREATE TRIGGER after_{t} AFTER INSERT ON {t} BEGIN \
             INSERT INTO seen (row) VALUES (new.id); END",
        ],
        heads: &[
            ("INSERT INTO {t} (id, a, b, c, d, e, u) VALUES ", ""),
            ("INSERT OR IGNORE INTO {t} (id, a, b, c, d, e, u) VALUES ", ""),
            ("INSERT OR REPLACE INTO {t} (id, a, b, c, d, e, u) VALUES ", ""),
            ("REPLACE INTO {t} (id, a, b, c, d, e, u) VALUES ", ""),
            ("INSERT INTO {t} (id, a, b, c, d, e, u) VALUES ", " ON CONFLICT DO NOTHING"),
            (
                "INSERT INTO {t} (id, a, b, c, d, e, u) VALUES ",
                " ON CONFLICT (u) DO UPDATE SET a = a + 1, b = excluded.b",
            ),
        ],
        columns: &[
            &["NULL", "NULL", "NULL", "1", "7", "'8'", "'x'"],
            &["1", "-5", "NULL", "'12'", "13", "2.6", "'x'", "0x1F", "9223372036854775808"],
            &["'a'", "'it''s'", "'ä😀'", "5", "NULL", "X'00ff'", "1.50"],
            &["1.5", "2", "-0.005", "1e2", "NULL", "'3.0'", "'0x1'", "+3"],
            &["'t'", "1", "1.0", "X''", "NULL", "TRUE", "'1'"],
            &["0.1", "1e-3", "5", "NULL", "'7'", "''"],
            &["1", "2", "3", "4", "5", "6", "7", "NULL", "NULL", "NULL"],
        ],
        others: &[
            "UPDATE {t} SET a = 0 WHERE u = 1",
            "DELETE FROM {t} WHERE u = 2",
            "SELECT 1",
            "INSERT INTO {t} (b) SELECT 'q'",
            "INSERT INTO {t} (b) VALUES (lower('Q'))",
            "BEGIN;\nINSERT INTO {t} (u) VALUES (21);\nINSERT INTO {t} (u) VALUES (22);\nCOMMIT",
        ],
        dump: "SELECT quote(id) || '#' || quote(a) || quote(b) || quote(c) || quote(d) || quote(e) || \
               quote(u) || quote(s) FROM {t} UNION ALL SELECT row || '# seen ' || id FROM seen",
        ..Target::default()
    }
}

/// Scripts that do the same in each database, and how many statements they are when merged.
const COMMON: &[(&str, usize)] = &[
    ("INSERT INTO {t} (u) VALUES (1); INSERT INTO {t} (u) VALUES (2);", 1),
    ("INSERT INTO {t} (u) VALUES (1), (2); INSERT INTO {t} (u) VALUES (3);", 1),
    ("INSERT INTO {t} (u) VALUES (1);\nINSERT INTO {t} (u) VALUES (-2);", 1),
    ("INSERT INTO {t} (u, b) VALUES (1, 'a'); INSERT INTO {t} (u, b) VALUES (2, 'b');", 1),
    // Another column list, a function, another statement in between.
    ("INSERT INTO {t} (u) VALUES (1); INSERT INTO {t} (a) VALUES (2);", 2),
    ("INSERT INTO {t} (u) VALUES (abs(1)); INSERT INTO {t} (u) VALUES (abs(2));", 2),
    ("INSERT INTO {t} (u) VALUES (1); SELECT 1; INSERT INTO {t} (u) VALUES (2);", 3),
    ("INSERT INTO {t} (u) SELECT 1; INSERT INTO {t} (u) SELECT 2;", 2),
    ("INSERT INTO {t} (u) VALUES ((SELECT 1)); INSERT INTO {t} (u) VALUES ((SELECT 2));", 2),
    // What is refused is said where it is.
    (
        "INSERT INTO {t} (u) VALUES (1);\n  INSERT INTO {t} (u) VALUES (2);\n\
         INSERT INTO {t} (u) VALUES (2); INSERT INTO {t} (u) VALUES (3);",
        1,
    ),
];

#[tokio::test]
async fn postgresql_ends_as_the_table_of_merging_says() {
    let Some(url) = postgres_url() else { return };
    let target = postgres(url, "table");
    target.agrees_on_the_table(COMMON).await;
    let insert = "INSERT INTO {t} (u, b) VALUES";
    let two = |values: [&str; 2], tail: &str| {
        format!("{insert} {}{tail};\n{insert} {}{tail};", values[0], values[1])
    };
    for (values, tail, commands) in [
        (["(1, DEFAULT)", "(DEFAULT, 'a')"], "", 1),
        (["(1, 'a'::text)", "(CAST('2' AS int), E'\\'')"], "", 1),
        (["(1, 'a')", "(1, 'b')"], " ON CONFLICT DO NOTHING", 1),
        (["(1, 'a')", "(1, 'b')"], " ON CONFLICT (u) DO UPDATE SET b = excluded.b", 2),
        (["(1, 'a')", "(2, 'b')"], " RETURNING u", 2),
        (["(1, 'a')", "(2, current_user)"], "", 2),
        (["(1, 'a')", "('x', 'b')"], "", 1),
    ] {
        let script = two(values, tail);
        target.agrees_on_the_table(&[(&script, commands)]).await;
    }
}

#[tokio::test]
async fn mariadb_ends_as_the_table_of_merging_says() {
    let Some(url) = mysql_url() else { return };
    let target = mariadb(url, "table");
    target.agrees_on_the_table(COMMON).await;
    target
        .agrees_on_the_table(&[
            ("REPLACE INTO {t} (u) VALUES (1); REPLACE INTO {t} (u) VALUES (1);", 1),
            // As the splitter has it, which knows of no constraints; the run does.
            ("INSERT IGNORE INTO {t} (u) VALUES (1); INSERT IGNORE INTO {t} (a) VALUES (13);", 2),
            // Numbers that are given, and numbers that are asked for.
            ("INSERT INTO {t} (id) VALUES (NULL); INSERT INTO {t} (id) VALUES (5);", 2),
            ("INSERT INTO {t} (id) VALUES (NULL); INSERT INTO {t} (id) VALUES (NULL);", 1),
            // As the splitter has it, which knows of no tables; the run knows of one with numbers.
            (
                "INSERT INTO {t} (u) VALUES (1) ON DUPLICATE KEY UPDATE a = 1;\
                 INSERT INTO {t} (u) VALUES (1) ON DUPLICATE KEY UPDATE a = 1;\
                 INSERT INTO {t} (u) VALUES (2) ON DUPLICATE KEY UPDATE a = 1;",
                1,
            ),
            // Without a strict mode.
            (
                "SET sql_mode = ''; INSERT INTO {t} (u, b) VALUES (1, NULL), (2, NULL); \
                 INSERT INTO {t} (u, b) VALUES (3, 'a'); INSERT INTO {t} (u, b) VALUES (4, NULL);",
                4,
            ),
        ])
        .await;
}

#[tokio::test]
async fn sqlite_ends_as_the_table_of_merging_says() {
    let folder = tempfile::tempdir().unwrap();
    let target = sqlite(&folder);
    target.agrees_on_the_table(COMMON).await;
    target
        .agrees_on_the_table(&[
            ("REPLACE INTO {t} (u) VALUES (1); REPLACE INTO {t} (u) VALUES (1);", 1),
            ("INSERT OR IGNORE INTO {t} (u) VALUES (1); INSERT OR IGNORE INTO {t} (u) VALUES (1);", 1),
            (
                "INSERT INTO {t} (u) VALUES (1) ON CONFLICT (u) DO UPDATE SET a = 1;\
                 INSERT INTO {t} (u) VALUES (1) ON CONFLICT (u) DO UPDATE SET a = 1;",
                1,
            ),
            ("INSERT OR FAIL INTO {t} (u) VALUES (1); INSERT OR FAIL INTO {t} (u) VALUES (2);", 2),
        ])
        .await;
}

#[test]
fn random_scripts_leave_the_same_in_sqlite() {
    sqlite(&tempfile::tempdir().unwrap()).agrees_on_random_scripts();
}

#[test]
fn random_scripts_leave_the_same_in_postgresql() {
    let Some(url) = postgres_url() else { return };
    postgres(url, "random").agrees_on_random_scripts();
}

#[test]
fn random_scripts_leave_the_same_in_mariadb() {
    let Some(url) = mysql_url() else { return };
    mariadb(url, "random").agrees_on_random_scripts();
}

#[test]
fn random_scripts_leave_the_same_in_mariadb_where_no_table_tells_rows_apart() {
    let Some(url) = mysql_url() else { return };
    let database = format!("merging_{}", process::id());
    let runtime = Runtime::new().unwrap();
    let other = |statement: String| {
        runtime.block_on(async {
            let mut direct = Direct::to(&url).await;
            direct.run(&[&statement]).await;
            direct.close().await;
        });
    };
    other(format!("CREATE DATABASE {database}"));
    let (server, _) = url.rsplit_once('/').unwrap();
    let target = mariadb(format!("{server}/{database}"), "free");
    let create = &[
        "DROP TABLE IF EXISTS {t}",
        "CREATE TABLE {t} (id INT UNIQUE, a INT, \
         b VARCHAR(5) NOT NULL DEFAULT 'd', c DECIMAL(6, 2), d DATETIME, e DOUBLE, \
         u INT UNIQUE, s VARCHAR(50) AS (CONCAT(b, a)) STORED) ENGINE=InnoDB \
         DEFAULT CHARSET=utf8mb4",
    ];
    let heads = &[
        ("INSERT IGNORE INTO {t} (id, a, b, c, d, e, u) VALUES ", ""),
        ("REPLACE INTO {t} (id, a, b, c, d, e, u) VALUES ", ""),
        (
            "INSERT INTO {t} (id, a, b, c, d, e, u) VALUES ",
            " ON DUPLICATE KEY UPDATE a = a + 1, b = VALUES(b)",
        ),
    ];
    let dump = "SELECT CONCAT_WS('|', CONCAT(COALESCE(id, 'N'), '#'), COALESCE(a, 'N'), b, \
         COALESCE(c, 'N'), COALESCE(d, 'N'), COALESCE(e, 'N'), COALESCE(u, 'N'), COALESCE(s, 'N')) \
         AS row_text FROM {t} ORDER BY row_text";
    let target = Target { create, heads, dump, ..target };
    let two = "INSERT IGNORE INTO {t} (u) VALUES (1); INSERT IGNORE INTO {t} (u) VALUES (1);";
    assert_eq!(target.commands(two), 1);
    target.agrees_on_random_scripts();
    other(format!("DROP DATABASE {database}"));
}
