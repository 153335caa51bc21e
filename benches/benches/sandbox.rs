//! How much slower a whole run is because the core is in a sandbox: the same driver, the same
//! adapter, the same rows, with the core in the sandbox and with the core linked as a library. No
//! user runs it so; the run of a user's `Batcher` stands beside, to show what the host does besides.
//! As it is, merging, and on the fast path, where the core has the largest share of a run.
//!
//! The difference is small against what the machine does meanwhile, which only makes a run longer. So
//! the fastest of many rounds counts here; and splitting alone is measured, too: what it takes longer
//! in the sandbox, as a part of the run.
//!
//! `SQL_BATCHER_BENCH_ROWS` says how many rows (100000); a tenth of them where a run takes long, so that
//! there are enough rounds: as they are, and merged on a server.

use std::time::{Duration, Instant};

use sql_batcher::{
    Dialect,
    adapters::{PoolOptions, connect},
};
use sql_batcher_benches::{
    database::{Database, Kind},
    engine::{Engine, Native, Sandboxed, drive, split},
    goal::Goal,
    is_measuring, number,
    peer::Failed,
    rows::{CREATE_TABLE, Rows, folder},
    sample::{Plan, Sample, in_turns},
    table::{Row, Table},
    ways::{Mode, library},
};
use tokio::runtime::Runtime;

const PLAN: Plan = Plan { rounds: 41, budget: Duration::from_secs(15) };

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

    fn is_native(self) -> bool {
        matches!(self, Self::Native | Self::SplitNative)
    }
}

/// Where rows go, and what is asked of the core.
#[derive(Clone, Copy)]
struct Case<'a> {
    database: &'a Database,
    rows: &'a Rows,
    mode: Mode,
}

impl Case<'_> {
    fn name(self) -> String {
        let flag = self.mode.flag().map(|flag| format!(" {flag}")).unwrap_or_default();
        format!("{}{flag}", self.database.kind.name())
    }

    fn engine(self, way: Way) -> Result<Box<dyn Engine>, Failed> {
        let dialect = dialect(self.database.kind);
        Ok(match way.is_native() {
            true => Box::new(Native::new(dialect, self.mode)?),
            false => Box::new(Sandboxed::new(dialect, self.mode)?),
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

async fn whole_run(way: Way, case: Case<'_>) -> Result<Duration, Failed> {
    let Case { database, rows, mode } = case;
    database.prepare(CREATE_TABLE).await?;
    let start = Instant::now();
    if matches!(way, Way::Batcher) {
        library(&database.url, mode, &rows.script).await?;
    } else {
        let adapter = connect(&database.url, &PoolOptions::default()).await?;
        drive(case.engine(way)?.as_mut(), &*adapter, &rows.script).await?;
        adapter.close().await;
    }
    let took = start.elapsed();
    database.check(rows.values.len()).await?;
    Ok(took)
}

fn once(runtime: &Runtime, way: Way, case: Case<'_>) -> Result<Duration, Failed> {
    if !matches!(way, Way::SplitNative | Way::SplitSandbox) {
        return runtime.block_on(whole_run(way, case));
    }
    let start = Instant::now();
    split(case.engine(way)?.as_mut(), &case.rows.script)?;
    Ok(start.elapsed())
}

fn compare(table: &mut Table, runtime: &Runtime, case: Case<'_>) {
    let samples = in_turns(PLAN, &Way::ALL, |way| {
        once(runtime, *way, case).map_err(|error| error.to_string())
    });
    let measured: Result<Vec<Sample>, String> = samples.into_iter().collect();
    let name = case.name();
    let times = match measured {
        Ok(times) => times,
        Err(why) => return table.leave_out(format!("{name}: {why}")),
    };
    let row = |(way, sample): (&Way, &Sample)| {
        let ms = |time: Duration| time.as_secs_f64() * 1e3;
        let note =
            format!("the fastest of {}; median {:.1} ms", sample.runs(), ms(sample.median()));
        Row::new(format!("{name}, {}", way.name()), ms(sample.least()), "ms").with_note(note)
    };
    let rows: Vec<Row> = Way::ALL.iter().zip(&times).map(row).collect();
    let [native, sandbox, batcher, split_native, split_sandbox] = &rows[..] else { return };
    table.push(native.clone());
    table.push(sandbox.clone().with_ratio(native, "native", Goal::at_most(1.02)));
    table.push(batcher.clone().against(native, "native"));
    table.push(split_native.clone());
    table.push(split_sandbox.clone().against(split_native, "native"));
    let [whole, .., alone, confined] = &times[..] else { return };
    let more = confined.least().as_secs_f64() - alone.least().as_secs_f64();
    let percent = more / whole.least().as_secs_f64() * 1e2;
    let what = format!("{name}, what splitting takes longer in the sandbox");
    table.push(Row::new(what, percent, "% of the native run"));
}

fn main() {
    if !is_measuring() {
        return;
    }
    let count = number("SQL_BATCHER_BENCH_ROWS", 100_000);
    let count = usize::try_from(count).expect("the number fits");
    let (rows, few) = (Rows::new(count), Rows::new(count.div_ceil(10)));
    let mut table = Table::new("sandbox");
    let folder = folder(rows.values.len()).expect("a folder can be made");
    let runtime = Runtime::new().expect("a runtime can be started");
    for database in Database::all(&mut table, folder.path()) {
        for mode in Mode::of(database.kind) {
            let takes_long = match mode {
                Mode::Plain => true,
                Mode::Merged => database.kind != Kind::Sqlite,
                Mode::Fast => false,
            };
            let rows = if takes_long { &few } else { &rows };
            compare(&mut table, &runtime, Case { database: &database, rows, mode: *mode });
        }
    }
    table.publish(env!("CARGO_TARGET_TMPDIR"));
}
