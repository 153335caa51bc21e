//! A place for one batch under way: a connection, once there is need of one, and what is known of
//! its session.

use std::{sync::Arc, time::Duration};

use sql_batcher_adapters::{Adapter, AdapterError, Connection, Effects, Fault, Problem, Scope};
use tokio::time::timeout;

use crate::{
    batch::Batch,
    guard::{Guard, Guarded},
    retry::RetryOptions,
    run_batch::Trouble,
    session_memory::SessionMemory,
};

/// How long the polite end of a session may take. After it the connection is dropped, and the
/// server takes back what is open.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// A place for one batch under way.
pub(crate) struct Slot {
    pub(crate) adapter: Arc<dyn Adapter>,
    pub(crate) connection: Option<Box<dyn Connection>>,
    pub(crate) retries: RetryOptions,
    pub(crate) guard: Guard,
    pub(crate) memory: SessionMemory,
    /// Whether the whole run is one transaction.
    pub(crate) spans_run: bool,
}

impl Slot {
    /// Sends the batch, on a new connection if there is none.
    pub(crate) async fn execute(&mut self, batch: &Batch) -> Result<Effects, Trouble> {
        if self.connection.is_none() {
            self.connect(batch).await?;
        }
        let Some(connection) = &mut self.connection else { return Err(no_connection()) };
        let cancel = connection.cancel_handle();
        let Guarded { result, interrupted } =
            self.guard.request(cancel, connection.execute(batch.request())).await;
        if !interrupted {
            return result.map_err(Trouble::Refused);
        }
        self.connection = None;
        match result {
            // It ended just then, but its transaction may have gone with the connection.
            Ok(_) if batch.scope == Scope::Scripted => Err(Trouble::Refused(cut_off())),
            result => result.map_err(Trouble::Refused),
        }
    }

    /// Makes a connection, and its session what it was before.
    async fn connect(&mut self, batch: &Batch) -> Result<(), Trouble> {
        if let Some(lacks) = self.lacks_for(batch) {
            let message = format!("the connection was lost, and a new one would lack {lacks}");
            return Err(Trouble::Unreachable(AdapterError::new(Fault::Connection, message)));
        }
        let taken = self.guard.session(self.adapter.acquire()).await;
        let mut connection = taken.map_err(Trouble::Unreachable)?;
        let cancel = connection.cancel_handle();
        let begins = self.spans_run;
        let replay = self.memory.replay();
        let prepare = async {
            if let Some(settings) = replay {
                connection.execute(settings).await?;
            }
            if begins { connection.begin().await } else { Ok(()) }
        };
        let Guarded { result, interrupted } = self.guard.request(cancel, prepare).await;
        result.map_err(of_preparation)?;
        if !interrupted {
            self.connection = Some(connection);
        }
        Ok(())
    }

    /// What a new connection would lack for this batch, if there was one before and there is
    /// anything.
    pub(crate) fn lacks_for(&self, batch: &Batch) -> Option<&'static str> {
        self.memory.lacks_for(batch)
    }

    /// Takes back what a failed transaction of the script's own has left open; a connection on
    /// which that fails is let go.
    pub(crate) async fn roll_back(&mut self, batch: &Batch) {
        let Some(connection) = &mut self.connection else { return };
        if batch.scope != Scope::Scripted {
            return;
        }
        if !matches!(timeout(CLOSE_TIMEOUT, connection.rollback()).await, Ok(Ok(()))) {
            self.connection = None;
        }
    }

    /// Ends the session, and keeps the transaction that spans the run, if there is one.
    pub(crate) async fn commit(mut self) -> Result<(), Problem> {
        let committed = match &mut self.connection {
            Some(connection) if self.spans_run => {
                let cancel = connection.cancel_handle();
                let ended = self.guard.request(cancel, connection.commit()).await;
                if ended.interrupted {
                    self.connection = None;
                }
                ended.result
            }
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

/// Nothing of the batch was sent yet, whatever became of the preparation.
fn of_preparation(problem: Problem) -> Trouble {
    Trouble::Unreachable(AdapterError {
        fault: problem.fault,
        message: format!("the session cannot be made ready: {}", problem.message),
        code: problem.code,
        transient: problem.transient,
        source: problem.source,
    })
}

fn cut_off() -> Problem {
    let message = "the time limit was reached as the request ended, and its connection is gone";
    Problem { outcome_unknown: true, ..Problem::new(Fault::Timeout, message) }
}

fn no_connection() -> Trouble {
    let message = "the time limit was reached while the session was made ready";
    let error = AdapterError::new(Fault::Timeout, message);
    Trouble::Unreachable(AdapterError { transient: true, ..error })
}
