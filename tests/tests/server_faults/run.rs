//! Runs of the library, and how they ended.

use std::{fmt, time::Duration};

use sql_batcher::{
    Backoff, Batcher, Builder, Error, ErrorKind, LedgerOptions, Report, RetryOptions,
    adapters::PoolOptions, connect,
};
use sql_batcher_tests::direct::Direct;
use tokio::task::JoinHandle;

/// What makes a session ready before what a test is about: one statement in the report.
pub(crate) const FIRST: &str = "SELECT 1;\n";

/// How a run ended: its report, and its error if it failed.
pub(crate) struct Ended {
    pub(crate) report: Report,
    pub(crate) error: Option<Error>,
}

impl Ended {
    /// Each statement must be counted once, whatever happened.
    pub(crate) fn of(result: Result<Report, Error>) -> Self {
        let (report, error) = match result {
            Ok(report) => (report, None),
            Err(error) => (error.report().cloned().unwrap_or_default(), Some(error)),
        };
        let Report { applied, failed, rolled_back, skipped, unknown, not_reached, .. } = report;
        let counted = applied + failed + rolled_back + skipped + unknown + not_reached;
        assert_eq!((counted, report.open), (report.statements, 0), "{report}");
        Self { report, error }
    }

    pub(crate) fn kind(&self) -> Option<ErrorKind> {
        self.error.as_ref().map(Error::kind)
    }

    pub(crate) fn code(&self) -> Option<&str> {
        self.error.as_ref().and_then(Error::code)
    }

    /// Whether the report is true where each statement makes one row: what it says is applied is
    /// there, and what else is there is unknown.
    #[track_caller]
    pub(crate) fn accounts_for(&self, rows: i64) {
        let Report { applied, unknown, .. } = self.report;
        let rows = u64::try_from(rows).expect("no less than none");
        assert!((applied..=applied + unknown).contains(&rows), "{rows} rows are there: {self}");
        let says_unknown = self.kind() == Some(ErrorKind::OutcomeUnknown);
        let timeout = matches!(self.kind(), Some(ErrorKind::Timeout | ErrorKind::Cancelled));
        assert!(unknown == 0 || says_unknown || timeout, "{self}");
    }
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#}\n  error: {:?}", self.report, self.error.as_ref().map(Error::to_string))
    }
}

pub(crate) async fn builder(url: &str) -> Builder {
    let database = connect(url, &PoolOptions::default(), &RetryOptions::none()).await;
    Batcher::builder_boxed(database.expect("the server is there"))
}

/// As [`builder`], perhaps with a ledger in this table.
pub(crate) async fn builder_with(url: &str, ledger: Option<&str>) -> Builder {
    let builder = builder(url).await;
    match ledger {
        Some(table) => {
            let table = table.to_owned();
            builder.ledger(LedgerOptions { table, ..LedgerOptions::default() })
        }
        None => builder,
    }
}

/// Whether a ledger has so many statements as applied, each once; then it is dropped.
pub(crate) async fn ledger_holds(direct: &mut Direct, ledger: Option<&str>, statements: i64) {
    let Some(table) = ledger else { return };
    let applied = format!("SELECT statements FROM {table} WHERE state = 'applied'");
    assert_eq!(direct.numbers(&applied).await.iter().sum::<i64>(), statements, "{table}");
    direct.run(&[&format!("DROP TABLE {table}")]).await;
}

/// A run that has its session.
pub(crate) async fn ready(builder: Builder) -> Batcher {
    let mut batcher = builder.build().await.expect("it starts");
    batcher.push_str(FIRST).await.expect("it is taken");
    batcher.flush().await.expect("it is applied");
    batcher
}

/// Short waits, and as many as it takes.
pub(crate) fn patient() -> RetryOptions {
    RetryOptions {
        strategy: Backoff::Constant,
        delay: Duration::from_millis(20),
        jitter: false,
        max_retries: 1000,
        ..RetryOptions::default()
    }
}

/// Runs a script to its end.
pub(crate) async fn run(builder: Builder, script: &str) -> Ended {
    let result = async {
        let mut batcher = builder.build().await?;
        batcher.push_str(script).await?;
        batcher.finish().await
    };
    Ended::of(result.await)
}

/// As [`run`], in the background.
pub(crate) fn start(builder: Builder, script: &str) -> JoinHandle<Ended> {
    let script = script.to_owned();
    tokio::spawn(async move { run(builder, &script).await })
}
