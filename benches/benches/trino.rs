//! How much faster a run with joined INSERTs is on Trino than one statement a request: the same
//! single-row INSERTs, into the catalog `memory`.
//!
//! `SQL_BATCHER_BENCH_TRINO_ROWS` says how many rows (10000); one by one it is a hundredth of that,
//! as each takes some tenths of a second. The server is that of `SQL_BATCHER_TEST_TRINO_URL`; the
//! table `bench_rows` in it is dropped.

use std::time::{Duration, Instant};

use sql_batcher::{
    Batcher, Error,
    adapters::{PoolOptions, connect},
};
use sql_batcher_benches::{
    is_measuring, number,
    peer::server,
    sample::{Plan, Sample, in_turns},
    scripts,
    table::{Row, Table},
};
use tokio::runtime::Runtime;

const PLAN: Plan = Plan { rounds: 3, budget: Duration::from_secs(120) };
const CREATE: &str =
    "DROP TABLE IF EXISTS bench_rows; CREATE TABLE bench_rows (id BIGINT, name VARCHAR)";

/// How the rows are sent.
#[derive(Clone, Copy, Debug)]
enum Way {
    OneByOne,
    Joined,
}

impl Way {
    fn name(self) -> &'static str {
        match self {
            Self::OneByOne => "one statement a request",
            Self::Joined => "merged INSERTs",
        }
    }
}

async fn apply(url: &str, script: &str, joins: bool) -> Result<u64, Error> {
    let adapter = connect(url, &PoolOptions::default()).await;
    let adapter = adapter.expect("the server takes clients");
    let builder = Batcher::builder_boxed(adapter).max_bytes(16 << 20).merge_inserts(joins);
    let mut batcher = builder.build().await?;
    batcher.push_str(script).await?;
    Ok(batcher.finish().await?.rows)
}

fn main() {
    if !is_measuring() {
        return;
    }
    let mut table = Table::new("trino");
    if let Some(url) = server(&mut table, "Trino", "SQL_BATCHER_TEST_TRINO_URL") {
        let rows = number("SQL_BATCHER_BENCH_TRINO_ROWS", 10_000);
        compare(&mut table, &url, usize::try_from(rows).expect("the number fits"));
    }
    table.publish(env!("CARGO_TARGET_TMPDIR"));
}

fn compare(table: &mut Table, url: &str, rows: usize) {
    let script = scripts::inserts(rows * 60, 60).text;
    let lines: Vec<&str> = script.split_inclusive('\n').collect();
    let few = lines[..lines.len().div_ceil(100)].concat();
    let ways = [Way::OneByOne, Way::Joined];
    let count = |way: Way| match way {
        Way::OneByOne => lines.len().div_ceil(100),
        Way::Joined => lines.len(),
    };
    let runtime = Runtime::new().expect("a runtime can be started");
    let once = |way: &Way| -> Result<Duration, String> {
        let said = |error: Error| error.to_string();
        runtime.block_on(apply(url, CREATE, false)).map_err(said)?;
        let began = Instant::now();
        let applied = match way {
            Way::OneByOne => runtime.block_on(apply(url, &few, false)),
            Way::Joined => runtime.block_on(apply(url, &script, true)),
        };
        let took = began.elapsed();
        let applied = applied.map_err(said)?;
        let wanted = count(*way) as u64;
        if applied == wanted { Ok(took) } else { Err(format!("{applied} rows of {wanted}")) }
    };
    let samples = in_turns(PLAN, &ways, once);
    let row = |way: Way, sample: &Result<Sample, String>| match sample {
        Err(why) => Row::missing(way.name(), "rows/s").with_note(why.clone()),
        Ok(sample) => {
            Row::new(way.name(), count(way) as f64 / sample.median().as_secs_f64(), "rows/s")
        }
    };
    let [naive, joined] = [0, 1].map(|index| row(ways[index], &samples[index]));
    let joined = joined.against(&naive, Way::OneByOne.name());
    table.push(naive);
    table.push(joined);
}
