//! What a session costs in a process that is warm, and what a call into it costs.

use std::time::Duration;

use criterion::{BatchSize, Criterion};
use sql_batcher::{Core, Options, Splitter};
use sql_batcher_benches::{
    estimates::Estimates,
    goal::Goal,
    is_measuring,
    native::Applies,
    table::{Row, Table},
};
use sql_batcher_core as core;

/// Calls that are measured together.
const CALLS: usize = 1000;

const OPEN_NATIVE: &str = "open and end, native";
const OPEN_AND_END: &str = "open and end, sandbox";
const OPEN: &str = "open, sandbox";

fn splitter() -> Splitter {
    Splitter::new(Options::default()).expect("the defaults are valid")
}

fn session() -> core::Session {
    core::Session::open(core::Options::new(core::Dialect::Generic)).expect("they are valid")
}

fn sessions(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("session");
    group.bench_function(OPEN_NATIVE, |bencher| {
        bencher.iter(|| session().finish(&mut Applies, 0));
    });
    // Compiled before, as in a process that has had a session.
    Core::embedded().expect("the sandbox can be had");
    group.bench_function(OPEN_AND_END, |bencher| {
        bencher.iter(|| splitter().end().expect("an empty run succeeds"));
    });
    // A process has room for a thousand sessions, so that each is dropped before the next one.
    group.bench_function(OPEN, |bencher| {
        bencher.iter_batched(|| (), |()| splitter(), BatchSize::PerIteration);
    });
    group.finish();
}

/// An empty statement is the least that a push can bring. The splitter asks for the account with
/// each push, so that one push is two calls.
fn calls(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("1000 pushes");
    group.measurement_time(Duration::from_secs(3));
    group.bench_function("native", |bencher| {
        bencher.iter_batched_ref(
            session,
            |session| {
                for _ in 0..CALLS {
                    session.push(&mut Applies, b";".to_vec(), 0);
                }
            },
            BatchSize::PerIteration,
        );
    });
    group.bench_function("sandbox", |bencher| {
        bencher.iter_batched_ref(
            splitter,
            |splitter| {
                for _ in 0..CALLS {
                    splitter.push(b";").expect("an empty statement is valid");
                }
            },
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

fn table(estimates: &Estimates) -> Table {
    let mut table = Table::new("sessions");
    for name in [OPEN_NATIVE, OPEN_AND_END, OPEN] {
        if let Some(ns) = estimates.median_ns(&["session", name]) {
            let row = Row::new(format!("session: {name}"), ns / 1e3, "µs");
            let goal = Goal::at_most(20.0);
            table.push(if name == OPEN { row.with_goal(goal) } else { row });
        }
    }
    for engine in ["native", "sandbox"] {
        if let Some(ns) = estimates.median_ns(&["1000 pushes", engine]) {
            let what = format!("one push of one byte, {engine}");
            table.push(Row::new(what, ns / CALLS as f64 / 1e3, "µs"));
        }
    }
    table
}

fn main() {
    let estimates = Estimates::from_now(env!("CARGO_TARGET_TMPDIR"));
    let mut criterion = Criterion::default().configure_from_args();
    sessions(&mut criterion);
    calls(&mut criterion);
    criterion.final_summary();
    if is_measuring() {
        table(&estimates).publish(env!("CARGO_TARGET_TMPDIR"));
    }
}
