//! How fast a script is split and batched: by the core itself, and by the same core in the sandbox;
//! and what it costs to look for INSERTs that can be merged, where there are some and where there
//! are none. Nothing is sent anywhere. What a script costs on its way in (one copy of each chunk)
//! and what a batch costs on its way out are part of it.

use std::time::Duration;

use criterion::{BatchSize, BenchmarkGroup, BenchmarkId, Criterion, Throughput};
use sql_batcher::{Dialect, Options, Splitter};
use sql_batcher_benches::{
    estimates::Estimates,
    goal::Goal,
    is_measuring, native,
    scripts::{self, Script},
    table::{Row, Table, rounded},
};
use sql_batcher_core as core;

/// Long enough that the opening of a session, which has a measurement of its own, does not count.
const SCRIPT_BYTES: usize = 256 << 20;

type Group<'a> = BenchmarkGroup<'a, criterion::measurement::WallTime>;

/// Where the core runs, and what it is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Engine {
    sandboxed: bool,
    merges: bool,
}

impl Engine {
    /// All of them, in the order of measurement.
    const ALL: [Self; 4] = [
        Self { sandboxed: false, merges: false },
        Self { sandboxed: true, merges: false },
        Self { sandboxed: false, merges: true },
        Self { sandboxed: true, merges: true },
    ];

    fn name(self) -> &'static str {
        match (self.sandboxed, self.merges) {
            (false, false) => "native",
            (true, false) => "sandbox",
            (false, true) => "native, merging",
            (true, true) => "sandbox, merging",
        }
    }

    /// Splits the script of a case, and gives how many statements it found.
    fn split(self, case: &Case) -> u64 {
        let script = case.script.text.as_bytes();
        match self.sandboxed {
            true => in_sandbox(script, case.dialects.0, self.merges),
            false => natively(script, case.dialects.1, self.merges),
        }
    }
}

struct Case {
    name: String,
    dialects: (Dialect, core::Dialect),
    script: Script,
    /// Whether it is the one that a goal is about.
    is_goal: bool,
    /// Whether there is something to merge.
    has_inserts: bool,
}

fn cases() -> Vec<Case> {
    let dialects = [
        ("postgresql", Dialect::PostgreSql, core::Dialect::PostgreSql),
        ("mysql", Dialect::MySql, core::Dialect::MySql),
        ("sqlite", Dialect::Sqlite, core::Dialect::Sqlite),
    ];
    let cases = dialects.into_iter().flat_map(|(name, dialect, native)| {
        [
            ("60-byte INSERTs", scripts::inserts(SCRIPT_BYTES, 60)),
            ("600-byte INSERTs", scripts::inserts(SCRIPT_BYTES, 600)),
            ("INSERTs into two tables by turns", scripts::by_turns(SCRIPT_BYTES)),
            ("dump", scripts::dump(SCRIPT_BYTES, dialect)),
            ("UPDATEs", scripts::updates(SCRIPT_BYTES)),
        ]
        .map(|(kind, script)| Case {
            name: format!("{kind}, {name}"),
            dialects: (dialect, native),
            script,
            is_goal: kind == "60-byte INSERTs",
            has_inserts: kind != "UPDATEs",
        })
    });
    cases.collect()
}

fn natively(script: &[u8], dialect: core::Dialect, merges: bool) -> u64 {
    let mut options = core::Options::new(dialect);
    options.merging = merges.then_some(core::Merging::default());
    native::split(script, options).statements
}

fn in_sandbox(script: &[u8], dialect: Dialect, merges: bool) -> u64 {
    let options = Options::default().dialect(dialect).merge_inserts(merges);
    let mut splitter = Splitter::new(options).expect("the defaults are valid");
    for chunk in script.chunks(native::CHUNK_BYTES) {
        drop(splitter.push(chunk).expect("the script is valid"));
    }
    splitter.finish().expect("the script is valid").1.statements
}

fn measure(group: &mut Group<'_>, case: &Case) {
    let Script { text, statements } = &case.script;
    group.throughput(Throughput::ElementsAndBytes {
        elements: *statements,
        bytes: text.len() as u64,
    });
    for engine in Engine::ALL {
        assert_eq!(engine.split(case), *statements);
        group.bench_function(BenchmarkId::new(engine.name(), &case.name), |bencher| {
            bencher.iter_batched(|| (), |()| engine.split(case), BatchSize::PerIteration);
        });
    }
}

/// A row for each engine; none where this run has left one out.
fn rows(case: &Case, estimates: &Estimates) -> Option<[Row; 4]> {
    let mut rows = Vec::new();
    for engine in Engine::ALL {
        let ns = estimates.median_ns(&["split", engine.name(), &case.name])?;
        let bytes_per_ns = case.script.text.len() as f64 / ns;
        let millions = rounded(case.script.statements as f64 / ns * 1e3);
        let row = Row::new(format!("{}, {}", case.name, engine.name()), bytes_per_ns, "GB/s");
        rows.push(row.with_note(format!("{millions} million statements/s")));
    }
    rows.try_into().ok()
}

fn table(cases: &[Case], estimates: &Estimates) -> Table {
    let mut table = Table::new("splitting");
    for case in cases {
        let Some([native, sandbox, native_merging, sandbox_merging]) = rows(case, estimates) else {
            continue;
        };
        let confined = match case.is_goal {
            true => sandbox.clone().with_goal(Goal::at_least(1.5)).with_ratio(
                &native,
                "native",
                Goal::at_least(0.8),
            ),
            false => sandbox.clone().against(&native, "native"),
        };
        // Nothing, but for what two medians of the same differ by.
        let cost = Goal::at_least(if case.has_inserts { 0.7 } else { 0.97 });
        let native_merging = native_merging.with_ratio(&native, "not merging", cost);
        let sandbox_merging = sandbox_merging.with_ratio(&sandbox, "not merging", cost);
        for row in [native, confined, native_merging, sandbox_merging] {
            table.push(row);
        }
    }
    table
}

fn main() {
    let cases = if is_measuring() { cases() } else { Vec::new() };
    let estimates = Estimates::from_now(env!("CARGO_TARGET_TMPDIR"));
    let mut criterion = Criterion::default().configure_from_args();
    let mut group = criterion.benchmark_group("split");
    group.sample_size(20).warm_up_time(Duration::from_millis(300));
    group.measurement_time(Duration::from_millis(1200));
    for case in &cases {
        measure(&mut group, case);
    }
    group.finish();
    criterion.final_summary();
    if is_measuring() {
        let table = table(&cases, &estimates);
        if !table.is_empty() {
            table.publish(env!("CARGO_TARGET_TMPDIR"));
        }
    }
}
