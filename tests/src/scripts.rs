//! Random scripts for property tests: statements of every kind that batching tells apart.

use proptest::collection::vec;
use proptest::prelude::*;
use sql_batcher_core::{Dialect, Limits, Merging, Options, Oversized, Transactions};

/// Statements that any dialect knows; each is whole by itself.
const COMMON: [&str; 17] = [
    "INSERT INTO t VALUES (6, 'ä😀')",
    "INSERT INTO t VALUES (7, NULL)",
    "INSERT INTO t VALUES (now())",
    "INSERT INTO t VALUES (1, 'a;b')",
    "INSERT INTO t VALUES (2, 'it''s'), (3, 'ä😀')",
    "UPDATE t SET a = a -- ; no end\n + 1",
    "DELETE FROM t /* ; */ WHERE a = 1",
    "SELECT \";\" FROM t",
    "CREATE TABLE u (a INT)",
    "DROP TABLE u",
    "BEGIN",
    "COMMIT",
    "ROLLBACK",
    "VACUUM",
    "REPLACE INTO t VALUES (4, 'x')",
    "WITH x AS (SELECT 1) SELECT * FROM x",
    "INSERT INTO t VALUES (5, 'a rather long text that takes more room than the others do')",
];

/// Statements of one dialect, with what ends them.
fn own(dialect: Dialect) -> &'static [&'static str] {
    match dialect {
        Dialect::Generic => &["CREATE PROCEDURE p() BEGIN SELECT CASE WHEN 1 THEN 2 END; END;\n"],
        Dialect::Sqlite => &[
            "CREATE TRIGGER r AFTER INSERT ON t BEGIN SELECT 1; SELECT [;]; END;\n",
            "PRAGMA foreign_keys = 1;\n",
            "SAVEPOINT s;\n",
            "RELEASE s;\n",
        ],
        Dialect::PostgreSql => &[
            "SELECT $a$ ; $a$, E'\\';', $$;$$;\n",
            "COPY t FROM stdin;\n1\t2\n3\t4\n\\.\n",
            "COPY t FROM stdin;\n\\.\n",
            "CREATE RULE r AS ON INSERT TO t DO (SELECT 1; SELECT 2);\n",
            "SET LOCAL x = 1;\n",
        ],
        Dialect::MySql => &[
            "SELECT 5--1, '\\';', `;`;\n",
            "DELIMITER $$\nCREATE PROCEDURE p() BEGIN SELECT 1; END$$\nDELIMITER ;\n",
            "/*!40101 SET NAMES utf8 */;\n",
            "SET autocommit = 0;\n",
            "SET autocommit = 1;\n",
        ],
        Dialect::Trino => &["SELECT \";\", ';' -- ;\n;\n"],
        Dialect::Snowflake => &[
            "SELECT '\\';', $$;$$;\n",
            "SELECT 1 // ;\n;\n",
            "BEGIN SELECT 1; CASE (1) WHEN 1 THEN SELECT 2; END CASE; END;\n",
            "DECLARE x INT; BEGIN SELECT 1; END;\n",
            "BEGIN TRANSACTION;\n",
            "SET a = 1;\n",
        ],
    }
}

/// Any dialect.
pub fn dialect() -> impl Strategy<Value = Dialect> {
    prop_oneof![
        Just(Dialect::Generic),
        Just(Dialect::Sqlite),
        Just(Dialect::PostgreSql),
        Just(Dialect::MySql),
        Just(Dialect::Trino),
        Just(Dialect::Snowflake),
    ]
}

/// A script of up to `most` statements in a dialect.
pub fn script(dialect: Dialect, most: usize) -> impl Strategy<Value = String> {
    let common = (0..COMMON.len(), prop_oneof![Just(";"), Just(" ;\n"), Just(";\n-- c\n")])
        .prop_map(|(index, end)| format!("{}{end}", COMMON[index]));
    let own = (0..own(dialect).len()).prop_map(move |index| format!("\n{}", own(dialect)[index]));
    let bits = prop_oneof![Just(";".to_owned()), Just("\n\n".to_owned())];
    let item = prop_oneof![8 => common, 3 => own, 1 => bits];
    (vec(item, 0..most), prop_oneof![Just(""), Just("SELECT 'last'"), Just("-- end")])
        .prop_map(|(items, last)| items.concat() + last)
}

/// Options with small limits.
pub fn options(dialect: Dialect) -> impl Strategy<Value = Options> {
    let limits = (
        prop_oneof![8 => 90_u64..400, 1 => 1_u64..90, 1 => Just(1 << 20)],
        1_u32..8,
        prop::option::of(1_u32..6),
        (1_u32..5, any::<bool>()),
    );
    let sent = (
        prop::option::of(60_u64..300),
        prop::option::of(1_u32..4),
        prop::option::of((1_u32..6, any::<bool>())),
    );
    let transactions = prop_oneof![
        6 => Just(Transactions::Batch),
        1 => Just(Transactions::None),
        1 => Just(Transactions::Run),
    ];
    let all = (limits, sent, transactions, any::<bool>());
    all.prop_map(move |(limits, sent, transactions, alone)| {
        let (max_batch_bytes, max_statements, max_rows, in_flight) = limits;
        let (max_in_flight, sequential) = in_flight;
        let (max_batch_characters, max_commands, merging) = sent;
        let oversized = if alone { Oversized::SendAlone(1 << 20) } else { Oversized::Refuse };
        Options {
            limits: Limits {
                max_batch_bytes,
                max_statement_bytes: 1 << 20,
                max_batch_characters,
                max_statements,
                max_commands,
                max_rows,
                max_age_ms: None,
                max_in_flight,
                sequential,
            },
            oversized,
            transactions,
            merging: merging.map(|(max_rows, locates_rows)| Merging {
                max_rows,
                locates_rows,
                joins_conflicts: true,
            }),
            ..Options::new(dialect)
        }
    })
}

/// `text`, cut at these places (taken modulo its length).
pub fn cut<'a>(text: &'a [u8], places: &[usize]) -> Vec<&'a [u8]> {
    let mut ends: Vec<usize> = places.iter().map(|place| place % (text.len() + 1)).collect();
    ends.push(text.len());
    ends.sort_unstable();
    let mut start = 0;
    ends.into_iter().map(|end| &text[std::mem::replace(&mut start, end)..end]).collect()
}
