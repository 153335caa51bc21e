//! What the ledger costs, and what several batches in flight gain: the same single-row INSERT
//! statements of 60 bytes into each database, in batches of 64 KiB, from connecting to the end of
//! the last transaction.
//!
//! `SQL_BATCHER_BENCH_ROWS` is twice the number of statements (100000). The servers and their table are
//! those of the benchmark `databases`.

use std::time::{Duration, Instant};

use sql_batcher::{
    Batcher, LedgerOptions,
    adapters::{PoolOptions, connect},
};
use sql_batcher_benches::{
    is_measuring, number,
    peer::{Failed, Peer, check, prepare, server},
    rows,
    sample::{Plan, Sample, in_turns},
    scripts::{self, CREATE_TABLE},
    table::{Row, Table},
};
use sqlx::{MySqlConnection, PgConnection, SqliteConnection};
use tokio::runtime::Runtime;

const PLAN: Plan = Plan { rounds: 7, budget: Duration::from_secs(12) };
const MAX_BYTES: u64 = 64 * 1024;

/// How a script is applied.
#[derive(Clone, Copy, Debug)]
struct Way {
    in_flight: u32,
    ledger: bool,
}

impl Way {
    fn name(self) -> String {
        let with = if self.ledger { "with" } else { "without" };
        format!("{} in flight, {with} a ledger", self.in_flight)
    }
}

/// A database, and how many batches it can take at once.
struct Database<'a> {
    name: &'a str,
    url: &'a str,
    most_in_flight: u32,
}

async fn batched(url: &str, script: &str, way: Way) -> Result<(), Failed> {
    let adapter = connect(url, &PoolOptions::default()).await?;
    let mut builder = Batcher::builder_boxed(adapter).max_bytes(MAX_BYTES).in_flight(way.in_flight);
    if way.ledger {
        builder = builder.ledger(LedgerOptions::default());
    }
    let mut batcher = builder.build().await?;
    batcher.push_str(script).await?;
    batcher.finish().await?;
    Ok(())
}

async fn once<C: Peer>(url: &str, script: &str, way: Way) -> Result<Duration, Failed> {
    prepare::<C>(url, CREATE_TABLE).await?;
    let start = Instant::now();
    batched(url, script, way).await?;
    let took = start.elapsed();
    check::<C>(url, script.lines().count()).await?;
    Ok(took)
}

fn compare<C: Peer>(table: &mut Table, database: &Database<'_>, script: &str) {
    let runtime = Runtime::new().expect("a runtime can be started");
    let plain = [1, 2, 4, 8].into_iter().filter(|count| *count <= database.most_in_flight);
    let mut ways: Vec<Way> = plain.map(|in_flight| Way { in_flight, ledger: false }).collect();
    ways.push(Way { in_flight: 1, ledger: true });
    let samples = in_turns(PLAN, &ways, |way| {
        let once = runtime.block_on(once::<C>(database.url, script, *way));
        once.map_err(|error| error.to_string())
    });
    let row = |(way, sample): (&Way, &Result<Sample, String>)| {
        let what = format!("{}, {}", database.name, way.name());
        match sample {
            Ok(sample) => {
                let rate = script.lines().count() as f64 / sample.median().as_secs_f64();
                Row::new(what, rate, "rows/s")
            }
            Err(why) => Row::missing(what, "rows/s").with_note(format!("failed: {why}")),
        }
    };
    let mut rows = ways.iter().zip(&samples).map(row);
    let Some(first) = rows.next() else { return };
    let others: Vec<Row> =
        rows.map(|row| row.against(&first, "1 in flight, without a ledger")).collect();
    table.push(first);
    for row in others {
        table.push(row);
    }
}

fn main() {
    if !is_measuring() {
        return;
    }
    let statements = number("SQL_BATCHER_BENCH_ROWS", 100_000) / 2;
    let bytes = usize::try_from(statements * 60).expect("the number fits");
    let script = scripts::inserts(bytes, 60).text;
    let mut table = Table::new("recovery");
    let folder = rows::folder(script.lines().count()).expect("a folder can be made");
    let sqlite = format!("sqlite://{}?mode=rwc", folder.path().join("bench.db").display());
    let sqlite = Database { name: "SQLite", url: &sqlite, most_in_flight: 1 };
    compare::<SqliteConnection>(&mut table, &sqlite, &script);
    if let Some(url) = server(&mut table, "PostgreSQL", "SQL_BATCHER_TEST_POSTGRES_URL") {
        let postgres = Database { name: "PostgreSQL", url: &url, most_in_flight: 8 };
        compare::<PgConnection>(&mut table, &postgres, &script);
    }
    if let Some(url) = server(&mut table, "MariaDB", "SQL_BATCHER_TEST_MYSQL_URL") {
        let mariadb = Database { name: "MariaDB", url: &url, most_in_flight: 8 };
        compare::<MySqlConnection>(&mut table, &mariadb, &script);
    }
    table.publish(env!("CARGO_TARGET_TMPDIR"));
}
