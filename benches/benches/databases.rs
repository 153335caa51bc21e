//! How much faster than one statement per round trip a whole run is, on each database: the same
//! single-row INSERT statements of 60 bytes, from connecting to the end of the last transaction.
//!
//! - autocommit: each statement is sent by itself and committed by itself;
//! - one transaction: each is sent by itself, between BEGIN and COMMIT;
//! - sql-batcher: the script is given to a batcher with the default options.
//!
//! `SQL_BATCHER_BENCH_STATEMENTS` says how many statements (20000); with autocommit it is a
//! twentieth of that, because most databases wait for the disk each time. The servers are those of
//! `SQL_BATCHER_TEST_POSTGRES_URL` and `SQL_BATCHER_TEST_MYSQL_URL`; the table `bench_rows` in them
//! is dropped.

use std::time::{Duration, Instant};

use sql_batcher::{
    Batcher,
    adapters::{PoolOptions, connect},
};
use sql_batcher_benches::{
    is_measuring, number,
    peer::{Failed, Peer, check, prepare, server},
    sample::in_turns,
    scripts,
    table::{Row, Table},
};
use sqlx::{MySqlConnection, PgConnection, SqliteConnection};
use tokio::runtime::Runtime;

const ROUNDS: usize = 5;

/// How a script is applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Autocommit,
    OneTransaction,
    Batcher,
}

impl Way {
    const ALL: [Self; 3] = [Self::Autocommit, Self::OneTransaction, Self::Batcher];

    fn name(self) -> &'static str {
        match self {
            Self::Autocommit => "one statement per round trip, autocommit",
            Self::OneTransaction => "one statement per round trip, one transaction",
            Self::Batcher => "sql-batcher",
        }
    }
}

/// The statements, each with its terminator and newline, and as a script.
struct Input {
    script: String,
    lines: Vec<String>,
    few: usize,
}

impl Input {
    fn new(statements: usize) -> Self {
        let script = scripts::inserts(statements * 60, 60).text;
        let lines: Vec<String> = script.split_inclusive('\n').map(str::to_owned).collect();
        Self { script, few: lines.len().div_ceil(20), lines }
    }

    fn lines(&self, way: Way) -> &[String] {
        if way == Way::Autocommit { &self.lines[..self.few] } else { &self.lines }
    }
}

async fn one_by_one<C: Peer>(url: &str, lines: &[String], way: Way) -> Result<(), Failed> {
    let mut connection = C::connect(url).await?;
    if way == Way::OneTransaction {
        connection.run("BEGIN").await?;
    }
    for line in lines {
        connection.run(line).await?;
    }
    if way == Way::OneTransaction {
        connection.run("COMMIT").await?;
    }
    Ok(connection.close().await?)
}

async fn batched(url: &str, script: &str) -> Result<(), Failed> {
    let adapter = connect(url, &PoolOptions::default()).await?;
    let mut batcher = Batcher::builder_boxed(adapter).build().await?;
    batcher.push_str(script).await?;
    batcher.finish().await?;
    Ok(())
}

async fn once<C: Peer>(url: &str, input: &Input, way: Way) -> Result<Duration, Failed> {
    prepare::<C>(url).await?;
    let start = Instant::now();
    match way {
        Way::Batcher => batched(url, &input.script).await?,
        Way::Autocommit | Way::OneTransaction => {
            one_by_one::<C>(url, input.lines(way), way).await?;
        }
    }
    let took = start.elapsed();
    check::<C>(url, input.lines(way).len()).await?;
    Ok(took)
}

fn compare<C: Peer>(table: &mut Table, database: &str, url: &str, input: &Input) {
    let runtime = Runtime::new().expect("a runtime can be started");
    let medians = in_turns(ROUNDS, &Way::ALL, |way| {
        let once = runtime.block_on(once::<C>(url, input, *way));
        once.unwrap_or_else(|error| panic!("{database}, {}: {error}", way.name()))
    });
    let row = |(way, took): (&Way, &Duration)| {
        let rate = input.lines(*way).len() as f64 / took.as_secs_f64();
        Row::new(format!("{database}, {}", way.name()), rate, "rows/s")
    };
    let mut rows: Vec<Row> = Way::ALL.iter().zip(&medians).map(row).collect();
    if let Some(batched) = rows.pop() {
        let against = |batched: Row, (row, way): (&Row, Way)| batched.against(row, way.name());
        let batched = rows.iter().zip(Way::ALL).fold(batched, against);
        rows.push(batched);
    }
    for row in rows {
        table.push(row);
    }
}

fn main() {
    if !is_measuring() {
        return;
    }
    let statements = number("SQL_BATCHER_BENCH_STATEMENTS", 20_000);
    let input = Input::new(usize::try_from(statements).expect("the number fits"));
    let mut table = Table::new("databases");
    let folder = tempfile::tempdir().expect("a folder can be made");
    let sqlite = format!("sqlite://{}?mode=rwc", folder.path().join("bench.db").display());
    compare::<SqliteConnection>(&mut table, "SQLite", &sqlite, &input);
    if let Some(url) = server(&mut table, "PostgreSQL", "SQL_BATCHER_TEST_POSTGRES_URL") {
        compare::<PgConnection>(&mut table, "PostgreSQL", &url, &input);
    }
    if let Some(url) = server(&mut table, "MariaDB", "SQL_BATCHER_TEST_MYSQL_URL") {
        compare::<MySqlConnection>(&mut table, "MariaDB", &url, &input);
    }
    table.publish(env!("CARGO_TARGET_TMPDIR"));
}
