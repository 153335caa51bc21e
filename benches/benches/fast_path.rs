//! What the fast path of an adapter gains by itself, and how near it comes to what the database can
//! take at all: the same rows, in INSERTs of somewhat less than 1 MiB.
//!
//! - as text: an adapter sends the INSERTs as they are;
//! - fast path: the same, told where the rows are;
//! - by hand: on PostgreSQL `COPY` of rows that are formatted already; on SQLite a program with
//!   prepared INSERTs of many rows and bound values.
//!
//! `SQL_BATCHER_BENCH_ROWS` says how many rows (100000). The server is that of
//! `SQL_BATCHER_TEST_POSTGRES_URL`; the table `bench_rows` in it is dropped.

use std::time::{Duration, Instant};

use sql_batcher::adapters::{Adapter, InsertRows, PoolOptions, Request, Scope, connect};
use sql_batcher_benches::{
    database::{Database, Kind},
    is_measuring, number,
    peer::Failed,
    rows::{self, CREATE_TABLE},
    sample::{Plan, Sample, in_turns},
    table::{Row, Table},
    ways::{self, Input},
};
use tokio::runtime::Runtime;

const PLAN: Plan = Plan { rounds: 7, budget: Duration::from_secs(12) };

/// Rows of one INSERT.
const ROWS: usize = 16_384;

/// How rows reach the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Text,
    Fast,
    ByHand,
}

impl Way {
    const ALL: [Self; 3] = [Self::Text, Self::Fast, Self::ByHand];

    fn name(self) -> &'static str {
        match self {
            Self::Text => "as text",
            Self::Fast => "fast path",
            Self::ByHand => "by hand",
        }
    }
}

/// Sends the INSERTs through an adapter, each a request of its own, as the batcher does.
async fn adapted(adapter: &dyn Adapter, inserts: &[String], is_fast: bool) -> Result<(), Failed> {
    let mut session = adapter.acquire().await?;
    for insert in inserts {
        let prefix = u32::try_from(rows::PREFIX.len())?;
        let rows = [InsertRows { statement: 0, prefix, tail: 0 }];
        let inserts = if is_fast { &rows[..] } else { &[] };
        let ends = [u32::try_from(insert.len())?];
        let (body, scope) = (insert.as_bytes(), Scope::Atomic);
        session.execute(Request { body, ends: &ends, scope, copy: None, inserts }).await?;
    }
    session.close().await;
    Ok(())
}

/// How long one way takes, and whether all rows are there.
async fn once(
    way: Way,
    database: &Database,
    input: &Input,
    inserts: &[String],
) -> Result<Duration, Failed> {
    if way == Way::ByHand {
        let by_hand = match database.kind {
            Kind::Sqlite => ways::Way::Prepared,
            Kind::Postgres | Kind::MySql => ways::Way::Copy,
        };
        return ways::run(by_hand, database, input).await;
    }
    database.prepare(CREATE_TABLE).await?;
    let start = Instant::now();
    let adapter = connect(&database.url, &PoolOptions::default()).await?;
    adapted(&*adapter, inserts, way == Way::Fast).await?;
    adapter.close().await;
    let took = start.elapsed();
    database.check(input.count()).await?;
    Ok(took)
}

fn compare(table: &mut Table, runtime: &Runtime, database: &Database, input: &Input) {
    let inserts: Vec<String> = input.rows.values.chunks(ROWS).map(rows::insert).collect();
    let samples = in_turns(PLAN, &Way::ALL, |way| {
        let once = runtime.block_on(once(*way, database, input, &inserts));
        once.map_err(|error| error.to_string())
    });
    let row = |(way, sample): (&Way, Result<Sample, String>)| {
        let what = format!("{}, {}", database.kind.name(), way.name());
        match sample {
            Ok(sample) => {
                Row::new(what, input.count() as f64 / sample.median().as_secs_f64(), "rows/s")
            }
            Err(why) => Row::missing(what, "rows/s").with_note(format!("failed: {why}")),
        }
    };
    let rows: Vec<Row> = Way::ALL.iter().zip(samples).map(row).collect();
    let [text, fast, by_hand] = &rows[..] else { return };
    let fast = fast.clone().against(text, Way::Text.name()).against(by_hand, Way::ByHand.name());
    for row in [text.clone(), fast, by_hand.clone()] {
        table.push(row);
    }
}

fn main() {
    if !is_measuring() {
        return;
    }
    let rows = number("SQL_BATCHER_BENCH_ROWS", 100_000);
    let input = Input::new(usize::try_from(rows).expect("the number fits"));
    let input = input.unwrap_or_else(|error| panic!("{rows} rows: {error}"));
    let runtime = Runtime::new().expect("a runtime can be started");
    let mut table = Table::new("fast_path");
    let all = Database::all(&mut table, input.files.folder());
    for database in all.iter().filter(|database| database.kind != Kind::MySql) {
        compare(&mut table, &runtime, database, &input);
    }
    table.publish(env!("CARGO_TARGET_TMPDIR"));
}
