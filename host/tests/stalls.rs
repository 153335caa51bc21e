//! A network that swallows everything from some moment on: whatever is still said to the database
//! then, a run ends within its limit on time and two seconds. The clock is driven.
#![expect(clippy::unwrap_used, reason = "a test ends where something of its own fails")]

use std::{
    future::pending,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use sql_batcher::{
    Batcher, Error, ErrorKind, LedgerOptions, Report, Transactions,
    adapters::{
        Adapter, AdapterError, Cancel, Capabilities, Connection, Effects, Fault, Problem, Request,
        Scripted, scripted::Answer,
    },
};
use tokio::time::Instant;

const DEADLINE: Duration = Duration::from_secs(7);
/// What a run may take beyond its deadline.
const GRACE: Duration = Duration::from_secs(2);

/// A database whose network stalls once it is told to.
#[derive(Clone)]
struct Stalling {
    database: Scripted,
    stalled: Arc<AtomicBool>,
}

impl Stalling {
    fn new(database: Scripted) -> Self {
        Self { database, stalled: Arc::default() }
    }

    fn stall(&self) {
        self.stalled.store(true, Ordering::Relaxed);
    }

    async fn pass(&self) {
        if self.stalled.load(Ordering::Relaxed) {
            pending::<()>().await;
        }
    }
}

#[async_trait]
impl Adapter for Stalling {
    fn capabilities(&self) -> &Capabilities {
        self.database.capabilities()
    }

    async fn acquire(&self) -> Result<Box<dyn Connection>, AdapterError> {
        self.pass().await;
        let inner = self.database.acquire().await?;
        Ok(Box::new(Stalled { network: self.clone(), inner }))
    }

    async fn close(&self) {
        self.pass().await;
        self.database.close().await;
    }
}

struct Stalled {
    network: Stalling,
    inner: Box<dyn Connection>,
}

#[async_trait]
impl Connection for Stalled {
    async fn execute(&mut self, request: Request<'_>) -> Result<Effects, Problem> {
        self.network.pass().await;
        self.inner.execute(request).await
    }

    async fn begin(&mut self) -> Result<(), Problem> {
        self.network.pass().await;
        self.inner.begin().await
    }

    async fn commit(&mut self) -> Result<(), Problem> {
        self.network.pass().await;
        self.inner.commit().await
    }

    async fn rollback(&mut self) -> Result<(), Problem> {
        self.network.pass().await;
        self.inner.rollback().await
    }

    async fn fetch(&mut self, sql: &str) -> Result<Vec<Vec<Option<String>>>, Problem> {
        self.network.pass().await;
        self.inner.fetch(sql).await
    }

    async fn limit_statements(&mut self, limit: Duration) -> Result<(), Problem> {
        self.network.pass().await;
        self.inner.limit_statements(limit).await
    }

    fn cancel_handle(&self) -> Option<Box<dyn Cancel>> {
        let inner = self.inner.cancel_handle()?;
        Some(Box::new(StalledCancel { network: self.network.clone(), inner }))
    }

    async fn close(self: Box<Self>) {
        self.network.pass().await;
        self.inner.close().await;
    }
}

struct StalledCancel {
    network: Stalling,
    inner: Box<dyn Cancel>,
}

#[async_trait]
impl Cancel for StalledCancel {
    async fn cancel(&self) -> Result<(), AdapterError> {
        self.network.pass().await;
        self.inner.cancel().await
    }

    async fn terminate(&self) -> Result<(), AdapterError> {
        self.network.pass().await;
        self.inner.terminate().await
    }
}

fn lost() -> Problem {
    let lost = Problem::new(Fault::Connection, "the connection was lost");
    Problem { outcome_unknown: true, transient: true, ..lost }
}

fn deadlock() -> Problem {
    Problem { transient: true, ..Problem::new(Fault::Conflict, "deadlock detected") }
}

/// A run with the deadline, whose network stalls once `before` is applied and as `then` is sent.
async fn run(
    database: Scripted,
    change: impl FnOnce(sql_batcher::Builder) -> sql_batcher::Builder,
    (before, then): (&str, &str),
) -> (Result<Report, Error>, Duration) {
    let network = Stalling::new(database);
    let builder = Batcher::builder(network.clone()).deadline(DEADLINE).max_statements(10);
    let mut batcher = change(builder).build().await.unwrap();
    let started = Instant::now();
    batcher.push_str(before).await.unwrap();
    batcher.flush().await.unwrap();
    network.stall();
    batcher.push_str(then).await.unwrap();
    (batcher.finish().await, started.elapsed())
}

fn with_ledger(builder: sql_batcher::Builder) -> sql_batcher::Builder {
    builder.ledger(LedgerOptions { run: Some("r1".into()), ..LedgerOptions::default() })
}

#[track_caller]
fn ends_in_time(ended: (Result<Report, Error>, Duration), kind: ErrorKind) {
    let error = ended.0.unwrap_err();
    assert_eq!(error.kind(), kind, "{error}");
    assert!(ended.1 <= DEADLINE + GRACE, "{:?}: {error}", ended.1);
    let report = error.report().unwrap();
    let known = report.applied + report.failed + report.rolled_back + report.unknown;
    assert_eq!(known + report.not_reached, report.statements, "{report:?}");
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_swallowed() {
    let ended = run(Scripted::new(), |builder| builder, ("INSERT 1;", "INSERT 2;")).await;
    ends_in_time(ended, ErrorKind::OutcomeUnknown);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_swallowed_while_there_is_a_ledger_to_ask() {
    let ended = run(Scripted::new(), with_ledger, ("INSERT 1;", "INSERT 2;")).await;
    ends_in_time(ended, ErrorKind::OutcomeUnknown);
}

#[tokio::test(start_paused = true)]
async fn a_swallowed_request_with_a_limit_of_its_own_and_a_ledger() {
    let change = |builder| with_ledger(builder).attempt_timeout(Duration::from_secs(1));
    let ended = run(Scripted::new(), change, ("INSERT 1;", "INSERT 2;")).await;
    ends_in_time(ended, ErrorKind::OutcomeUnknown);
}

#[tokio::test(start_paused = true)]
async fn a_commit_of_the_run_that_is_swallowed() {
    let change =
        |builder: sql_batcher::Builder| with_ledger(builder.transactions(Transactions::Run));
    let ended = run(Scripted::new(), change, ("INSERT 1;", "")).await;
    ends_in_time(ended, ErrorKind::OutcomeUnknown);
}

/// The goodbyes to the other sessions take no time of their own.
#[tokio::test(start_paused = true)]
async fn a_swallowed_request_with_a_limit_of_its_own_and_no_deadline() {
    let limit = Duration::from_secs(5);
    for in_flight in [1, 4] {
        let network = Stalling::new(Scripted::new());
        let builder = Batcher::builder(network.clone()).max_statements(1).in_flight(in_flight);
        let mut batcher = builder.attempt_timeout(limit).build().await.unwrap();
        batcher.push_str("INSERT 1; INSERT 2; INSERT 3; INSERT 4;").await.unwrap();
        batcher.flush().await.unwrap();
        network.stall();
        let started = Instant::now();
        batcher.push_str("INSERT 5;").await.unwrap();
        let error = batcher.finish().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::OutcomeUnknown, "{error}");
        assert_eq!(started.elapsed(), limit + GRACE, "{in_flight} in flight: {error}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_aborted_run_whose_request_is_swallowed() {
    for in_flight in [1, 4] {
        let network = Stalling::new(Scripted::new());
        let builder = Batcher::builder(network.clone()).max_statements(1).in_flight(in_flight);
        let mut batcher = builder.build().await.unwrap();
        let canceller = batcher.canceller();
        batcher.push_str("INSERT 1; INSERT 2; INSERT 3; INSERT 4;").await.unwrap();
        batcher.flush().await.unwrap();
        network.stall();
        batcher.push_str("INSERT 5;").await.unwrap();
        tokio::time::sleep(Duration::from_secs(1)).await;
        let started = Instant::now();
        canceller.abort();
        let error = batcher.finish().await.unwrap_err();
        assert_eq!((error.kind(), started.elapsed()), (ErrorKind::Cancelled, GRACE), "{error}");
        assert_eq!(error.report().unwrap().unknown, 1);
    }
}

/// The network stalls behind the answer to the second request, so what stalls is the polite end.
#[tokio::test(start_paused = true)]
async fn what_is_said_after_a_failure() {
    for failure in [deadlock(), lost(), Problem::new(Fault::Statement, "no")] {
        let database = Scripted::new();
        let network = Stalling::new(database.clone());
        let stalls = network.clone();
        let builder = Batcher::builder(network).deadline(DEADLINE).in_flight(4);
        let mut batcher = builder.build().await.unwrap();
        database.answer_after(Duration::from_secs(6), Answer::Fails(failure));
        let started = Instant::now();
        batcher.push_str("BEGIN; INSERT 1; COMMIT;").await.unwrap();
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_secs(5)).await;
            stalls.stall();
        });
        let error = batcher.finish().await.unwrap_err();
        let elapsed = started.elapsed();
        assert!(elapsed <= DEADLINE + GRACE, "{elapsed:?}: {error}");
    }
}
