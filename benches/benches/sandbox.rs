//! How much slower a whole run is because the core is in a sandbox: the same driver, the same
//! adapter, the same rows, with the core in the sandbox and with the core linked as a library. No
//! user runs it so; the run of a user's `Batcher` stands beside, to show what the host does besides.
//!
//! The difference is small against what the machine does meanwhile. So splitting alone is measured,
//! too: what it takes longer in the sandbox is the most by which a run can be longer.
//!
//! `SQL_BATCHER_BENCH_ROWS` says how many rows (100000).

use std::time::{Duration, Instant};

use sql_batcher::{
    Batcher, Dialect,
    adapters::{PoolOptions, connect},
};
use sql_batcher_benches::{
    database::{Database, Kind},
    engine::{Engine, Native, Sandboxed, drive, split},
    goal::Goal,
    is_measuring, number,
    peer::Failed,
    rows::{CREATE_TABLE, Rows},
    sample::{Median, Plan, in_turns},
    table::{Row, Table},
};
use tokio::runtime::Runtime;

const PLAN: Plan = Plan { rounds: 11, budget: Duration::from_secs(30) };

#[derive(Clone, Copy, Debug)]
enum Way {
    Native,
    Sandbox,
    Batcher,
    SplitNative,
    SplitSandbox,
}

impl Way {
    const ALL: [Self; 5] =
        [Self::Native, Self::Sandbox, Self::Batcher, Self::SplitNative, Self::SplitSandbox];

    fn name(self) -> &'static str {
        match self {
            Self::Native => "whole run, core linked natively",
            Self::Sandbox => "whole run, core in the sandbox",
            Self::Batcher => "whole run, the library's Batcher",
            Self::SplitNative => "splitting alone, natively",
            Self::SplitSandbox => "splitting alone, in the sandbox",
        }
    }

    fn engine(self, dialect: Dialect) -> Result<Box<dyn Engine>, Failed> {
        Ok(match self {
            Self::Native | Self::SplitNative => Box::new(Native::new(dialect)?),
            Self::Sandbox | Self::SplitSandbox | Self::Batcher => {
                Box::new(Sandboxed::new(dialect)?)
            }
        })
    }
}

fn dialect(kind: Kind) -> Dialect {
    match kind {
        Kind::Sqlite => Dialect::Sqlite,
        Kind::Postgres => Dialect::PostgreSql,
        Kind::MySql => Dialect::MySql,
    }
}

async fn whole_run(way: Way, database: &Database, rows: &Rows) -> Result<Duration, Failed> {
    database.prepare(CREATE_TABLE).await?;
    let start = Instant::now();
    let adapter = connect(&database.url, &PoolOptions::default()).await?;
    if matches!(way, Way::Batcher) {
        let mut batcher = Batcher::builder_boxed(adapter).build().await?;
        batcher.push_str(&rows.script).await?;
        batcher.finish().await?;
    } else {
        let mut engine = way.engine(dialect(database.kind))?;
        drive(engine.as_mut(), &*adapter, &rows.script).await?;
        adapter.close().await;
    }
    let took = start.elapsed();
    database.check(rows.values.len()).await?;
    Ok(took)
}

fn once(runtime: &Runtime, way: Way, database: &Database, rows: &Rows) -> Result<Duration, Failed> {
    if !matches!(way, Way::SplitNative | Way::SplitSandbox) {
        return runtime.block_on(whole_run(way, database, rows));
    }
    let start = Instant::now();
    split(way.engine(dialect(database.kind))?.as_mut(), &rows.script)?;
    Ok(start.elapsed())
}

fn compare(table: &mut Table, database: &Database, rows: &Rows) {
    let runtime = Runtime::new().expect("a runtime can be started");
    let medians = in_turns(PLAN, &Way::ALL, |way| {
        once(&runtime, *way, database, rows).map_err(|error| error.to_string())
    });
    let measured: Result<Vec<Median>, String> = medians.into_iter().collect();
    let name = database.kind.name();
    let times = match measured {
        Ok(times) => times,
        Err(why) => return table.leave_out(format!("{name}: {why}")),
    };
    let row = |(way, median): (&Way, &Median)| {
        let ms = median.time.as_secs_f64() * 1e3;
        Row::new(format!("{name}, {}", way.name()), ms, "ms")
    };
    let rows: Vec<Row> = Way::ALL.iter().zip(&times).map(row).collect();
    let [native, sandbox, batcher, split_native, split_sandbox] = &rows[..] else { return };
    table.push(native.clone());
    table.push(sandbox.clone().with_ratio(native, "native", Goal::at_most(1.02)));
    table.push(batcher.clone().against(native, "native"));
    table.push(split_native.clone());
    table.push(split_sandbox.clone().against(split_native, "native"));
    let [whole, .., alone, confined] = &times[..] else { return };
    let more = confined.time.as_secs_f64() - alone.time.as_secs_f64();
    let percent = more / whole.time.as_secs_f64() * 1e2;
    let what = format!("{name}, the most that the sandbox can cost a run");
    table.push(Row::new(what, percent, "% of the native run").with_goal(Goal::at_most(2.0)));
}

fn main() {
    if !is_measuring() {
        return;
    }
    let count = number("SQL_BATCHER_BENCH_ROWS", 100_000);
    let rows = Rows::new(usize::try_from(count).expect("the number fits"));
    let mut table = Table::new("sandbox");
    let folder = tempfile::tempdir().expect("a folder can be made");
    for database in Database::all(&mut table, folder.path()) {
        compare(&mut table, &database, &rows);
    }
    table.publish(env!("CARGO_TARGET_TMPDIR"));
}
