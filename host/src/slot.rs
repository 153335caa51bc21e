//! A place for one batch under way: a connection, once there is need of one, and what is known of
//! its session. What the ledger is asked is in `slot/look_up`, how it is opened in `slot/open`,
//! what becomes of bad statements in `slot/reject`.

mod look_up;
mod open;
mod reject;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use sql_batcher_adapters::{
    Adapter, AdapterError, Cancel, Connection, Effects, Fault, Problem, Request, Scope,
};

use tokio::time::Instant;

use crate::{
    guard::{Guard, Guarded},
    ledger::{Ledger, State},
    metrics::Instruments,
    rejects::Skipping,
    retry::RetryOptions,
    send::{Bounds, Piece, send},
    session_memory::SessionMemory,
    trouble::Trouble,
};

/// How long the polite end of a session or a transaction may take. After it the connection is
/// dropped, and the server takes back what is open.
pub(crate) const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);
/// How much longer the server's own limit on statements is, so that the cancel comes first.
const SERVER_GRACE: Duration = Duration::from_secs(1);

/// A place for one batch under way.
pub(crate) struct Slot {
    /// From 0. What changes the session runs in the first.
    pub(crate) number: u32,
    pub(crate) adapter: Arc<dyn Adapter>,
    pub(crate) connection: Option<Box<dyn Connection>>,
    /// A connection that was made and has no session yet.
    pub(crate) spare: Option<Box<dyn Connection>>,
    /// Whether there was a session before.
    pub(crate) was_connected: bool,
    /// What ends the session of the last connection.
    pub(crate) last: Option<Box<dyn Cancel>>,
    /// How many of the settings in the memory the session was given.
    pub(crate) settings: usize,
    pub(crate) retries: RetryOptions,
    pub(crate) guard: Guard,
    pub(crate) instruments: Instruments,
    pub(crate) memory: Arc<Mutex<SessionMemory>>,
    pub(crate) ledger: Option<Ledger>,
    /// What becomes of bad statements; none: they end the run.
    pub(crate) skipping: Option<Arc<Skipping>>,
    /// What a request may be.
    pub(crate) bounds: Bounds,
    /// Whether the whole run is one transaction.
    pub(crate) spans_run: bool,
    /// The last row of the transaction that spans the run.
    pub(crate) last_key: Option<(u64, State)>,
    /// What the server has warned of since the last batch.
    pub(crate) warnings: Vec<String>,
}

impl Slot {
    pub(crate) fn memory(&self) -> MutexGuard<'_, SessionMemory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether what comes next is in a transaction that was opened before.
    pub(crate) fn has_open_transaction(&self) -> bool {
        self.spans_run || self.memory().in_transaction()
    }

    pub(crate) fn skips_bad(&self) -> bool {
        self.skipping.is_some()
    }

    /// Sends the piece, on a new connection if there is none.
    pub(crate) async fn execute(&mut self, piece: &Piece<'_>) -> Result<Effects, Trouble> {
        if let Some(lacks) = self.lacks_for(piece) {
            return Err(self.lacking(lacks));
        }
        if self.connection.is_none() {
            self.connect().await?;
        } else if self.settings < self.memory().settings() {
            self.catch_up().await?;
        }
        let Some(connection) = &mut self.connection else { return Err(no_connection()) };
        let cancel = connection.cancel_handle();
        let work = send(&mut **connection, piece, self.ledger.as_ref());
        let Guarded { result, interrupted } = self.guard.request(cancel, work).await;
        self.warnings.extend(connection.take_warnings());
        if !interrupted {
            return result.map_err(Trouble::Refused);
        }
        self.let_go();
        match result {
            // It ended just then, but its transaction may have gone with the connection.
            Ok(_) if piece.batch.scope == Scope::Scripted => {
                Err(Trouble::Refused(cut_off().into()))
            }
            result => result.map_err(Trouble::Refused),
        }
    }

    /// Takes note of what was applied.
    pub(crate) fn learn(&mut self, piece: &Piece<'_>) {
        let settings = {
            let mut memory = self.memory();
            memory.learn(piece.batch, piece.range.clone());
            memory.settings()
        };
        self.settings = settings;
        if self.spans_run {
            self.last_key = piece.key().or(self.last_key);
        }
    }

    /// Makes a connection, and its session what it was before.
    async fn connect(&mut self) -> Result<(), Trouble> {
        if let Some(lacks) = self.memory().lacks() {
            return Err(self.lacking(lacks));
        }
        let mut connection = match self.spare.take() {
            Some(spare) => spare,
            None => self.acquire().await.map_err(Trouble::Unreachable)?,
        };
        self.was_connected = true;
        self.last = connection.cancel_handle();
        let cancel = connection.cancel_handle();
        let (begins, limit) = (self.spans_run, self.guard.attempt_timeout);
        let (replay, lock, settings) = {
            let mut memory = self.memory();
            (memory.replay(0), memory.take_lock(), memory.settings())
        };
        let lock = lock.map(|lock| self.with_ledger(lock));
        let prepare = async {
            if let Some(limit) = limit {
                connection.limit_statements(limit + SERVER_GRACE).await?;
            }
            if let Some(replay) = &replay {
                connection.execute(replay.request()).await?;
            }
            if let Some(lock) = &lock {
                connection.execute(alone(lock, &[clamp(lock.len())])).await?;
            }
            if begins { connection.begin().await } else { Ok(()) }
        };
        let Guarded { result, interrupted } = self.guard.request(cancel, prepare).await;
        result.map_err(|problem: Problem| of_preparation(problem))?;
        if !interrupted {
            self.connection = Some(connection);
            self.settings = settings;
        }
        Ok(())
    }

    async fn acquire(&mut self) -> Result<Box<dyn Connection>, AdapterError> {
        let started = Instant::now();
        let taken = self.guard.session(self.adapter.acquire()).await;
        self.instruments.wait(started.elapsed());
        taken
    }

    fn with_ledger(&self, lock: Vec<u8>) -> Vec<u8> {
        let text = lock.trim_ascii_end();
        let text = text.strip_suffix(b";").unwrap_or(text);
        self.ledger.as_ref().and_then(|ledger| ledger.locked_too(text)).unwrap_or(lock)
    }

    /// Gives the session the settings that another has been given since.
    async fn catch_up(&mut self) -> Result<(), Trouble> {
        let (replay, settings) = {
            let memory = self.memory();
            (memory.replay(self.settings), memory.settings())
        };
        let (Some(replay), Some(connection)) = (replay, &mut self.connection) else {
            return Ok(());
        };
        let cancel = connection.cancel_handle();
        let work = connection.execute(replay.request());
        let Guarded { result, interrupted } = self.guard.request(cancel, work).await;
        if interrupted {
            self.let_go();
        }
        result.map_err(of_preparation)?;
        self.settings = settings;
        Ok(())
    }

    /// What the session lacks that this piece needs: what a new one cannot be given, or the id that
    /// the last statement has left in another.
    pub(crate) fn lacks_for(&self, piece: &Piece<'_>) -> Option<&'static str> {
        let memory = self.memory();
        let lacks = memory.lacks().filter(|_| self.connection.is_none());
        let needs_id = || memory.lacks_last_id(piece.batch, piece.range.clone());
        lacks.or_else(|| needs_id().then_some("the last inserted id"))
    }

    fn lacking(&self, lacks: &'static str) -> Trouble {
        let gone = match self.was_connected {
            true => "the connection was lost",
            false => "the session of the earlier process is gone",
        };
        Trouble::Lacking { gone, lacks }
    }

    /// Drops the connection; the server takes back what is open.
    pub(crate) fn let_go(&mut self) {
        if self.connection.take().is_some() {
            self.memory().lose_session();
        }
    }

    /// Takes back what a failed transaction of the script's own has left open; a connection on
    /// which that fails is let go.
    pub(crate) async fn roll_back(&mut self, scope: Scope) {
        let Some(connection) = &mut self.connection else { return };
        if scope != Scope::Scripted {
            return;
        }
        let done = self.guard.briefly(CLOSE_TIMEOUT, connection.rollback()).await;
        if !matches!(done, Some(Ok(()))) {
            self.let_go();
        }
    }

    /// Keeps the transaction that spans the run, if there is one.
    pub(crate) async fn commit(&mut self) -> Result<(), Problem> {
        let Some(connection) = self.connection.as_mut().filter(|_| self.spans_run) else {
            return Ok(());
        };
        let cancel = connection.cancel_handle();
        let Guarded { result, interrupted } = self.guard.request(cancel, connection.commit()).await;
        if interrupted {
            self.let_go();
        }
        match result {
            Err(problem) if problem.outcome_unknown => {
                self.let_go();
                self.settled(problem).await
            }
            committed => committed,
        }
    }

    /// Ends the session; what is open is taken back.
    pub(crate) async fn close(self) {
        for connection in self.connection.into_iter().chain(self.spare) {
            connection.close().await;
        }
    }
}

fn alone<'a>(body: &'a [u8], ends: &'a [u32]) -> Request<'a> {
    Request { body, ends, scope: Scope::Bare, copy: None, inserts: &[] }
}

fn clamp(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

/// Nothing of the batch was sent yet, whatever became of the preparation.
fn of_preparation(problem: Problem) -> Trouble {
    let problem = problem.without_values();
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
