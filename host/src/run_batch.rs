//! One batch on one connection. What is to happen around an attempt (time limits, retries,
//! metrics) wraps the adapter, not this.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures_util::FutureExt;
use sql_batcher_adapters::{Adapter, AdapterError, Connection, Effects, Fault, Problem};
use tokio::time::{Instant, timeout};

use crate::{batch::Batch, progress::Outcome};

/// How long the polite end of a session may take. After it the connection is dropped, and the
/// server takes back what is open.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// A place for one batch under way: a connection, once there is need of one.
pub(crate) struct Slot {
    adapter: Arc<dyn Adapter>,
    connection: Option<Box<dyn Connection>>,
    /// Whether the whole run is one transaction.
    spans_run: bool,
}

/// A batch that has ended, one way or the other.
pub(crate) struct Landed {
    pub(crate) slot: Slot,
    pub(crate) batch: Batch,
    pub(crate) result: Result<Effects, Trouble>,
    pub(crate) elapsed: Duration,
}

/// Why a batch was not applied, or not known to be.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// There was no connection to send it on.
    Unreachable(AdapterError),
    /// It was sent.
    Refused(Problem),
}

/// Runs one batch, once, and hands the slot back.
pub(crate) async fn attempt(mut slot: Slot, batch: Batch) -> Landed {
    let started = Instant::now();
    let execution = AssertUnwindSafe(slot.execute(&batch));
    let result = execution.catch_unwind().await.unwrap_or_else(|_| Err(panicked()));
    if result.as_ref().is_err_and(Trouble::breaks_connection) {
        slot.connection = None;
    }
    Landed { slot, batch, result, elapsed: started.elapsed() }
}

impl Slot {
    pub(crate) fn new(adapter: Arc<dyn Adapter>, spans_run: bool) -> Self {
        Self { adapter, connection: None, spans_run }
    }

    async fn execute(&mut self, batch: &Batch) -> Result<Effects, Trouble> {
        let connection = self.connect().await?;
        connection.execute(batch.request()).await.map_err(Trouble::Refused)
    }

    async fn connect(&mut self) -> Result<&mut Box<dyn Connection>, Trouble> {
        if self.connection.is_none() {
            let mut connection = self.adapter.acquire().await.map_err(Trouble::Unreachable)?;
            if self.spans_run {
                connection.begin().await.map_err(Trouble::Refused)?;
            }
            self.connection = Some(connection);
        }
        self.connection.as_mut().ok_or_else(panicked)
    }

    /// Ends the session, and keeps the transaction that spans the run, if there is one.
    pub(crate) async fn commit(mut self) -> Result<(), Problem> {
        let committed = match &mut self.connection {
            Some(connection) if self.spans_run => connection.commit().await,
            _ => Ok(()),
        };
        self.close().await;
        committed
    }

    /// Ends the session; what is open is taken back.
    pub(crate) async fn close(self) {
        if let Some(connection) = self.connection {
            // Too late or not: the connection is gone afterwards.
            let _ = timeout(CLOSE_TIMEOUT, connection.close()).await;
        }
    }
}

/// Closes what the adapter has opened.
pub(crate) async fn close_adapter(adapter: &dyn Adapter) {
    let _ = timeout(CLOSE_TIMEOUT, adapter.close()).await;
}

impl Trouble {
    /// What the component is told.
    pub(crate) fn outcome(&self) -> Outcome {
        match self {
            Self::Unreachable(_) => Outcome::Cancelled,
            Self::Refused(problem) if problem.outcome_unknown => Outcome::Unknown,
            Self::Refused(problem) if problem.fault == Fault::Cancelled && problem.kept == 0 => {
                Outcome::Cancelled
            }
            Self::Refused(Problem { statement, kept, .. }) => {
                Outcome::Failed { statement: *statement, kept: *kept }
            }
        }
    }

    fn breaks_connection(&self) -> bool {
        match self {
            Self::Unreachable(_) => true,
            Self::Refused(problem) => {
                problem.outcome_unknown
                    || matches!(problem.fault, Fault::Connection | Fault::Timeout)
            }
        }
    }
}

fn panicked() -> Trouble {
    Trouble::Refused(Problem {
        fault: Fault::Connection,
        message: "the adapter panicked".into(),
        code: None,
        statement: None,
        offset: None,
        kept: 0,
        outcome_unknown: true,
        transient: false,
        source: None,
    })
}
