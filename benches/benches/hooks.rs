//! What a hook costs for each batch: the same run with one and without, divided by its batches. The
//! database is one that applies all at once.

use criterion::Criterion;
use sql_batcher::{
    Batcher, Builder,
    adapters::Scripted,
    hooks::{self, HookLimits, HookPolicy, SandboxedHook, Verdict},
};
use sql_batcher_benches::{
    estimates::Estimates,
    is_measuring,
    table::{Row, Table},
};
use sql_batcher_tests::hooks::{Parts, built};
use tokio::runtime::{Builder as RuntimeBuilder, Runtime};

/// Batches of one run, and the bytes of each.
const RUNS: [(usize, usize, &str); 2] =
    [(2000, 40, "batches of 40 bytes"), (200, 65_536, "batches of 64 KiB")];

const NONE: &str = "without";
const NATIVE: &str = "native, before and after";
const SANDBOXED: &str = "sandboxed, lets pass";
const TAGGER: &str = "tagger";
const GUARD: &str = "guard";

/// The components that are measured.
struct Components {
    passing: SandboxedHook,
    tagger: SandboxedHook,
    guard: SandboxedHook,
}

impl Components {
    fn new() -> Self {
        let limits = HookLimits::default();
        let open =
            |folder| SandboxedHook::open(built(folder, "component"), limits).expect("it is a hook");
        let passing = SandboxedHook::compile(&Parts::default().component(), limits);
        Self {
            passing: passing.expect("it is a hook"),
            tagger: open("tagger").config("application=bench"),
            guard: open("guard"),
        }
    }

    fn register(&self, kind: &str, builder: Builder) -> Builder {
        let sandboxed = |hook: &SandboxedHook, builder: Builder| {
            builder.sandboxed_hook("h", HookPolicy::Abort, hook.clone())
        };
        match kind {
            NATIVE => builder
                .hook("b", HookPolicy::Abort, hooks::before(|_| Ok(Verdict::Proceed)))
                .hook("a", HookPolicy::Abort, hooks::after(|_, _| Ok(()))),
            SANDBOXED => sandboxed(&self.passing, builder),
            TAGGER => sandboxed(&self.tagger, builder),
            GUARD => sandboxed(&self.guard, builder),
            _ => builder,
        }
    }
}

fn script(batches: usize, bytes: usize) -> String {
    let fixed = "INSERT INTO t VALUES ('');\n".len();
    let value = "x".repeat(bytes.saturating_sub(fixed));
    format!("INSERT INTO t VALUES ('{value}');\n").repeat(batches)
}

fn run(runtime: &Runtime, builder: Builder, script: &str) {
    let applied = runtime.block_on(async {
        let mut batcher = builder.max_statements(1).build().await?;
        batcher.push_str(script).await?;
        batcher.finish().await
    });
    applied.expect("the database applies everything");
}

fn measure(criterion: &mut Criterion) {
    let components = Components::new();
    let runtime = RuntimeBuilder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime can be had");
    for (batches, bytes, name) in RUNS {
        let script = script(batches, bytes);
        let mut group = criterion.benchmark_group(name);
        group.sample_size(20);
        for kind in [NONE, NATIVE, SANDBOXED, TAGGER, GUARD] {
            group.bench_function(kind, |bencher| {
                bencher.iter(|| {
                    let builder = Batcher::builder(Scripted::new());
                    run(&runtime, components.register(kind, builder), &script);
                });
            });
        }
        group.finish();
    }
}

fn table(estimates: &Estimates) -> Table {
    let mut table = Table::new("hooks");
    for (batches, _, name) in RUNS {
        let per_batch =
            |kind| estimates.median_ns(&[name, kind]).map(|ns| ns / batches as f64 / 1e3);
        let Some(without) = per_batch(NONE) else { continue };
        table.push(Row::new(format!("{name}: the run without hooks"), without, "µs a batch"));
        for kind in [NATIVE, SANDBOXED, TAGGER, GUARD] {
            let Some(with) = per_batch(kind) else { continue };
            let row = Row::new(format!("{name}: {kind}, more"), with - without, "µs a batch");
            table.push(match kind {
                SANDBOXED => row.with_note("goal: at most 5 µs and the cost of copying its text"),
                _ => row,
            });
        }
    }
    table
}

fn main() {
    let estimates = Estimates::from_now(env!("CARGO_TARGET_TMPDIR"));
    let mut criterion = Criterion::default().configure_from_args();
    measure(&mut criterion);
    criterion.final_summary();
    if is_measuring() {
        table(&estimates).publish(env!("CARGO_TARGET_TMPDIR"));
    }
}
