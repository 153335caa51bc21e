//! Hooks that were written to do harm, each in its sandbox: each ends within its limits with an
//! error that says what it did, the account of its run is right, and a run beside it is unharmed.
//! `load` are those that are refused before they run, `run` those that run.
#![expect(clippy::unwrap_used, reason = "a test ends where something of its own fails")]

mod load;
mod run;

use std::time::{Duration, Instant};

use sql_batcher::{
    Batcher, Builder, Error, Report,
    adapters::Scripted,
    hooks::{HookLimits, HookPolicy, SandboxedHook},
};
use sql_batcher_tests::hooks::Parts;

/// How long anything here may take, on a busy machine and without optimisation. What is endless
/// would exceed it.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long a call of a hook may take that ends by itself: the machine that runs tests is busy.
const CALL_TIMEOUT: Duration = Duration::from_secs(10);

/// The default, and more time.
fn patient_limits() -> HookLimits {
    HookLimits { call_timeout: CALL_TIMEOUT, ..HookLimits::default() }
}

/// A run with a good hook that is under way while something else is done.
struct Beside {
    batcher: Batcher,
    database: Scripted,
}

impl Beside {
    async fn begin() -> Self {
        let database = Scripted::new();
        let good = SandboxedHook::compile(&Parts::default().component(), patient_limits());
        let builder = Batcher::builder(database.clone()).max_statements(1).sandboxed_hook(
            "good",
            HookPolicy::Abort,
            good.unwrap(),
        );
        let mut batcher = builder.build().await.unwrap();
        batcher.push_str("INSERT 1; INSERT 2; INS").await.unwrap();
        Self { batcher, database }
    }

    async fn end(mut self) {
        self.batcher.push_str("ERT 3;").await.unwrap();
        let report = self.batcher.finish().await.unwrap();
        assert_eq!((report.applied, report.hook_failures, report.notes.len()), (3, 0, 0));
        assert_eq!(self.database.applied(), ["INSERT 1;", "INSERT 2;", "INSERT 3;"]);
    }
}

async fn run(builder: Builder) -> Result<Report, Error> {
    let mut batcher = builder.build().await?;
    match batcher.push_str("INSERT 1; INSERT 2; INSERT 3;").await {
        Ok(()) => batcher.finish().await,
        Err(error) => Err(error),
    }
}

/// Fails where something took so long that nothing can have limited it.
fn within_limits<T>(name: &str, work: impl FnOnce() -> T) -> T {
    let started = Instant::now();
    let done = work();
    assert!(started.elapsed() < PATIENCE, "{name} took {:?}", started.elapsed());
    done
}
