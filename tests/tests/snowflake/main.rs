//! Snowflake: its adapter and whole runs, against a strict double of the SQL API
//! (`tests/src/snowflake`), and against a foreign emulator.
#![expect(clippy::unwrap_used, reason = "a test ends where something of its own fails")]

mod adapter;
mod credentials;
mod faults;
mod foreign;
mod ledger;
mod program;
mod runs;

use std::time::Duration;

use sql_batcher::{Batcher, Builder, Error, Report, RetryOptions, adapters::PoolOptions, connect};
use sql_batcher_tests::{conformance::Sql, snowflake::Double};

/// What differs in the statements of the conformance tests. They run in SQLite in the end, whose
/// keys are enforced.
const SNOWFLAKE: Sql = Sql {
    create: &[
        "DROP TABLE IF EXISTS batch_conformance;\n",
        "CREATE TABLE batch_conformance (id INTEGER PRIMARY KEY, name TEXT);\n",
    ],
    drop: "DROP TABLE batch_conformance;\n",
    refused: "INSERT INTO batch_conformance VALUES (7, 'again'), (7, 'again');\n",
    require: "SELECT CASE WHEN {} THEN 1 ELSE json('no') END;\n",
    slow: "CALL SYSTEM$WAIT(60);\n",
    big_select: "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 300000) \
                 SELECT i, hex(zeroblob(500)) FROM n;\n",
    set: "SET CONFORMANCE = 1;\n",
    unset: "GETVARIABLE('CONFORMANCE') IS NULL",
    begin: "BEGIN TRANSACTION;\n",
};

/// So many statements, each of a row of its own.
fn rows(count: u32) -> String {
    (1..=count).map(|id| format!("INSERT INTO t VALUES ({id}, 'it''s row {id}');\n")).collect()
}

/// What makes the table of [`rows`], without a key: what came twice is there twice.
const TABLE: &str = "CREATE TABLE t (id INTEGER, name TEXT);\n";

/// How sessions are had; what stays silent is given up after so long.
fn pool(patience: Duration) -> PoolOptions {
    let mut pool = PoolOptions::default();
    pool.connect_timeout = patience;
    pool
}

async fn builder(url: &str, patience: Duration) -> Builder {
    let database = connect(url, &pool(patience), &RetryOptions::none()).await;
    Batcher::builder_boxed(database.expect("the service is there"))
}

/// Runs a script to its end.
async fn run(builder: Builder, script: &str) -> Result<Report, Error> {
    let mut batcher = builder.build().await?;
    batcher.push_str(script).await?;
    batcher.finish().await
}

/// That each of so many rows is there once, and that nothing was sent that the documentation does
/// not allow.
async fn has_each_once(double: &Double, count: u32) {
    let found = double.query("SELECT count(*), count(DISTINCT id), max(id) FROM t").await;
    let text = count.to_string();
    assert_eq!(found, [[Some(text.clone()), Some(text.clone()), Some(text)]]);
    assert_eq!(double.refused(), [""; 0]);
}
