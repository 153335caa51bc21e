//! How fast a script is split and batched: by the core itself, and by the same core in the sandbox.
//! Nothing is sent anywhere. What a script costs on its way in (one copy of each chunk) and what a
//! batch costs on its way out are part of it.

use std::time::Duration;

use criterion::{BatchSize, BenchmarkGroup, BenchmarkId, Criterion, Throughput};
use sql_batcher::{Dialect, Options, Splitter};
use sql_batcher_benches::{
    estimates::Estimates,
    is_measuring, native,
    scripts::{self, Script},
    table::{Row, Table, rounded},
};
use sql_batcher_core as core;

const SCRIPT_BYTES: usize = 16 << 20;
/// Engines, in the order of measurement.
const ENGINES: [&str; 2] = ["native", "sandbox"];

type Group<'a> = BenchmarkGroup<'a, criterion::measurement::WallTime>;

struct Case {
    name: String,
    dialects: (Dialect, core::Dialect),
    script: Script,
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
            ("dump", scripts::dump(SCRIPT_BYTES, dialect)),
        ]
        .map(|(kind, script)| Case {
            name: format!("{kind}, {name}"),
            dialects: (dialect, native),
            script,
        })
    });
    cases.collect()
}

fn in_sandbox(case: &Case) -> u64 {
    let options = Options::default().dialect(case.dialects.0);
    let mut splitter = Splitter::new(options).expect("the defaults are valid");
    for chunk in case.script.text.as_bytes().chunks(native::CHUNK_BYTES) {
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
    let found = native::split(text.as_bytes(), case.dialects.1).statements;
    assert_eq!((found, in_sandbox(case)), (*statements, *statements));
    group.bench_function(BenchmarkId::new(ENGINES[0], &case.name), |bencher| {
        bencher.iter_batched(
            || (),
            |()| native::split(text.as_bytes(), case.dialects.1),
            BatchSize::PerIteration,
        );
    });
    group.bench_function(BenchmarkId::new(ENGINES[1], &case.name), |bencher| {
        bencher.iter_batched(|| (), |()| in_sandbox(case), BatchSize::PerIteration);
    });
}

fn table(cases: &[Case], estimates: &Estimates) -> Table {
    let mut table = Table::new("splitting");
    for case in cases {
        let medians = ENGINES.map(|engine| estimates.median_ns(&["split", engine, &case.name]));
        let [Some(native), Some(sandbox)] = medians else {
            // Left out by the filter that this run was given.
            continue;
        };
        let [native, sandbox] = [("native", native), ("sandbox", sandbox)].map(|(engine, ns)| {
            let bytes_per_ns = case.script.text.len() as f64 / ns;
            let millions = rounded(case.script.statements as f64 / ns * 1e3);
            Row::new(format!("{}, {engine}", case.name), bytes_per_ns, "GB/s")
                .with_note(format!("{millions} million statements/s"))
        });
        let sandbox = sandbox.against(&native, "native");
        table.push(native);
        table.push(sandbox);
    }
    table
}

fn main() {
    let cases = if is_measuring() { cases() } else { Vec::new() };
    let estimates = Estimates::from_now(env!("CARGO_TARGET_TMPDIR"));
    let mut criterion = Criterion::default().configure_from_args();
    let mut group = criterion.benchmark_group("split");
    group.sample_size(20).warm_up_time(Duration::from_millis(500));
    group.measurement_time(Duration::from_secs(2));
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
