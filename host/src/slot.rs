//! A place for one batch under way: a connection, once there is need of one, and what is known of
//! its session.

use std::{
    ops::Range,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use sql_batcher_adapters::{
    Adapter, AdapterError, Cancel, Connection, Effects, Fault, Problem, Request, Scope,
};
use tokio::time::timeout;

use crate::{
    Error,
    batch::Batch,
    guard::{Guard, Guarded, Waited},
    input::Sources,
    ledger::{History, Ledger, LedgerOptions, State, Unopened, row_of},
    options::Settings,
    rejects::{Reject, Skipping, Unkept, script},
    retry::RetryOptions,
    run_batch::{End, Failed, Trouble},
    send::{Piece, Refusal, send},
    session_memory::SessionMemory,
};

/// How long the polite end of a session may take. After it the connection is dropped, and the
/// server takes back what is open.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);
/// How long one question to the ledger may take.
const LOOK_UP_TIMEOUT: Duration = Duration::from_secs(10);
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
    /// What ends the session of the last connection.
    pub(crate) last: Option<Box<dyn Cancel>>,
    /// How many of the settings in the memory the session was given.
    pub(crate) settings: usize,
    pub(crate) retries: RetryOptions,
    pub(crate) guard: Guard,
    pub(crate) memory: Arc<Mutex<SessionMemory>>,
    pub(crate) ledger: Option<Ledger>,
    /// What becomes of bad statements; none: they end the run.
    pub(crate) skipping: Option<Arc<Skipping>>,
    /// Whether the whole run is one transaction.
    pub(crate) spans_run: bool,
    /// The last row of the transaction that spans the run.
    pub(crate) last_key: Option<(u64, State)>,
}

impl Slot {
    pub(crate) fn memory(&self) -> MutexGuard<'_, SessionMemory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn skips_bad(&self) -> bool {
        self.skipping.is_some()
    }

    /// Sends the piece, on a new connection if there is none.
    pub(crate) async fn execute(&mut self, piece: &Piece<'_>) -> Result<Effects, Trouble> {
        if self.connection.is_none() {
            self.connect(piece.batch).await?;
        } else if self.settings < self.memory().settings() {
            self.catch_up().await?;
        }
        let Some(connection) = &mut self.connection else { return Err(no_connection()) };
        let cancel = connection.cancel_handle();
        let work = send(&mut **connection, piece, self.ledger.as_ref());
        let Guarded { result, interrupted } = self.guard.request(cancel, work).await;
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
        if self.spans_run && self.ledger.is_some() {
            self.last_key = piece.key().or(self.last_key);
        }
    }

    /// Opens the ledger, on a connection that the first batch will have.
    pub(crate) async fn open_ledger(
        &mut self,
        options: &LedgerOptions,
        settings: &Settings,
    ) -> Result<(Ledger, History), Error> {
        let mut delays = self.retries.delays();
        let mut attempts = 0;
        loop {
            attempts += 1;
            let opened = self.try_ledger(options, settings).await;
            let error = match opened {
                Ok(opened) => return Ok(opened),
                Err(Unopened::Unfit(error)) => return Err(error),
                Err(Unopened::Unreachable(error)) if !error.transient => return Err(error.into()),
                Err(Unopened::Refused(problem)) if !problem.transient => {
                    return Err(Error::of_problem(problem).about("the ledger cannot be opened"));
                }
                Err(Unopened::Unreachable(error)) => Error::from(error),
                Err(Unopened::Refused(problem)) => Error::of_problem(problem),
            };
            let Some(delay) = delays.next() else {
                return Err(error.about("the ledger cannot be opened").after(attempts, End::Final));
            };
            match self.guard.wait(delay).await {
                Waited::Enough => {}
                Waited::TooLate => return Err(error.after(attempts, End::TooLate)),
                Waited::Stopped => return Err(error.after(attempts, End::Stopped)),
            }
        }
    }

    async fn try_ledger(
        &mut self,
        options: &LedgerOptions,
        settings: &Settings,
    ) -> Result<(Ledger, History), Unopened> {
        let mut connection = self.acquire().await.map_err(Unopened::Unreachable)?;
        let cancel = connection.cancel_handle();
        let work = async { Ok(Ledger::open(&mut *connection, options, settings).await) };
        let Guarded { result, interrupted } = self.guard.request(cancel, work).await;
        if !interrupted {
            self.spare = Some(connection);
        }
        result.map_err(Unopened::Refused)?
    }

    /// Makes a connection, and its session what it was before.
    async fn connect(&mut self, batch: &Batch) -> Result<(), Trouble> {
        if let Some(lacks) = self.lacks_for(batch) {
            let message = format!("the connection was lost, and a new one would lack {lacks}");
            return Err(Trouble::Unreachable(AdapterError::new(Fault::Connection, message)));
        }
        let mut connection = match self.spare.take() {
            Some(spare) => spare,
            None => self.acquire().await.map_err(Trouble::Unreachable)?,
        };
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
        self.guard.session(self.adapter.acquire()).await
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

    /// What a new connection would lack for this batch, if there was one before and there is
    /// anything.
    pub(crate) fn lacks_for(&self, batch: &Batch) -> Option<&'static str> {
        self.memory().lacks_for(batch)
    }

    /// Drops the connection; the server takes back what is open.
    pub(crate) fn let_go(&mut self) {
        self.connection = None;
    }

    /// Takes back what a failed transaction of the script's own has left open; a connection on
    /// which that fails is let go.
    pub(crate) async fn roll_back(&mut self, batch: &Batch) {
        let Some(connection) = &mut self.connection else { return };
        if batch.scope != Scope::Scripted {
            return;
        }
        if !matches!(timeout(CLOSE_TIMEOUT, connection.rollback()).await, Ok(Ok(()))) {
            self.let_go();
        }
    }

    /// Ends the session, and keeps the transaction that spans the run, if there is one.
    pub(crate) async fn commit(mut self) -> Result<(), Problem> {
        let committed = match &mut self.connection {
            Some(connection) if self.spans_run => {
                let cancel = connection.cancel_handle();
                let ended = self.guard.request(cancel, connection.commit()).await;
                if ended.interrupted {
                    self.let_go();
                }
                ended.result
            }
            _ => Ok(()),
        };
        let committed = match committed {
            Err(problem) if problem.outcome_unknown => {
                self.let_go();
                self.settled(problem).await
            }
            committed => committed,
        };
        self.close().await;
        committed
    }

    /// Ends the session; what is open is taken back.
    pub(crate) async fn close(self) {
        for connection in self.connection.into_iter().chain(self.spare) {
            // Too late or not: the connection is gone afterwards.
            let _ = timeout(CLOSE_TIMEOUT, connection.close()).await;
        }
    }
}

/// What cannot be known from the answer, and can be from the ledger.
impl Slot {
    /// Asks the ledger what became of a piece, where it may know better.
    pub(crate) async fn look_up(
        &mut self,
        piece: &Piece<'_>,
        trouble: Trouble,
    ) -> Result<Effects, Trouble> {
        let Trouble::Refused(refusal) = trouble else { return Err(trouble) };
        let resumed = self.ledger.as_ref().is_some_and(|ledger| ledger.resumed);
        let unknown = refusal.problem.outcome_unknown;
        // Another session may have applied the same: one of this run, that was given up, or one of
        // a process that was killed.
        let may_be_there = unknown || refusal.by_ledger || resumed;
        let Some(key) = piece.key().filter(|_| may_be_there && self.ledger.is_some()) else {
            return Err(Trouble::Refused(refusal));
        };
        let is_over = !unknown || self.end_last().await;
        match self.is_in_ledger(key, piece.batch).await {
            Some(true) => Ok(Effects::default()),
            Some(false) if unknown && is_over => {
                let message = format!("{}; the ledger says: not applied", refusal.problem.message);
                let problem =
                    Problem { outcome_unknown: false, transient: true, message, ..refusal.problem };
                Err(Trouble::Refused(Refusal { problem, by_ledger: false, is_certain: true }))
            }
            _ => Err(Trouble::Refused(refusal)),
        }
    }

    /// What became of the transaction that spans the run, as its last row says.
    async fn settled(&mut self, problem: Problem) -> Result<(), Problem> {
        let Some(key) = self.last_key else { return Err(problem) };
        let is_over = self.end_last().await;
        match self.ask(key).await {
            Some(true) => Ok(()),
            Some(false) if is_over => Err(Problem { outcome_unknown: false, ..problem }),
            _ => Err(problem),
        }
    }

    /// Ends the session that was given up, so that nothing it was sent can take effect any more;
    /// false where that is not certain.
    async fn end_last(&mut self) -> bool {
        let Some(last) = self.last.take() else { return false };
        let mut delays = self.retries.delays();
        loop {
            if matches!(timeout(LOOK_UP_TIMEOUT, last.terminate()).await, Ok(Ok(()))) {
                return true;
            }
            let Some(delay) = delays.next() else { return false };
            if self.guard.wait(delay).await != Waited::Enough {
                return false;
            }
        }
    }

    /// Whether the ledger has a row; none where it cannot be asked.
    async fn is_in_ledger(&mut self, key: (u64, State), batch: &Batch) -> Option<bool> {
        if batch.scope != Scope::Scripted
            && let (Some(connection), Some(ledger)) = (&mut self.connection, &self.ledger)
        {
            let asked = timeout(LOOK_UP_TIMEOUT, ledger.holds(&mut **connection, key)).await;
            if let Ok(Ok(held)) = asked {
                return Some(held);
            }
        }
        self.ask(key).await
    }

    /// Asks on a connection of its own.
    async fn ask(&mut self, key: (u64, State)) -> Option<bool> {
        let ledger = self.ledger.clone()?;
        let mut delays = self.retries.delays();
        loop {
            if let Ok(mut connection) = self.acquire().await {
                let asked = timeout(LOOK_UP_TIMEOUT, ledger.holds(&mut *connection, key)).await;
                let _ = timeout(CLOSE_TIMEOUT, connection.close()).await;
                if let Ok(Ok(held)) = asked {
                    return Some(held);
                }
            }
            if self.guard.wait(delays.next()?).await != Waited::Enough {
                return None;
            }
        }
    }
}

/// What is bad.
impl Slot {
    /// Hands statements of a batch on as bad.
    pub(crate) async fn reject(
        &mut self,
        batch: &Batch,
        range: Range<usize>,
        sources: &Sources,
        failed: Failed,
    ) -> Result<(), Failed> {
        self.roll_back(batch).await;
        let Failed { trouble, attempts, end } = failed;
        let refused = |trouble, end| Err(Failed { trouble: Box::new(trouble), attempts, end });
        let refusal = match *trouble {
            Trouble::Refused(refusal) => refusal,
            other => return refused(other, end),
        };
        let (Some(skipping), Some(position)) =
            (self.skipping.clone(), sources.of_statement(batch, range.start))
        else {
            return refused(Trouble::Refused(refusal), end);
        };
        let index = refusal.problem.statement.map_or(range.start, |index| index as usize);
        let at = sources.of_statement(batch, index).unwrap_or_else(|| position.clone());
        let error = Error::of_refusal_by_database(&refusal.problem).at(Some(at));
        let dialect = self.memory().dialect();
        let sql = script(batch, range.clone(), dialect);
        let reject = Reject {
            position: &position,
            statements: range.len() as u64,
            error: &error,
            sql: &sql,
            settings: &[],
        };
        let written = skipping.reject(&reject, |known| {
            let memory = self.memory();
            (memory.replay(known), memory.settings())
        });
        match written {
            Ok(()) => Ok(()),
            Err(Unkept::TooMany(most)) => refused(Trouble::Refused(refusal), End::TooMany(most)),
            Err(Unkept::Unwritten(error)) => refused(Trouble::Unwritten(error), End::Final),
        }
    }

    /// Writes into the ledger that statements of a batch were left out.
    pub(crate) async fn write_reject(
        &mut self,
        batch: &Batch,
        range: Range<usize>,
    ) -> Result<(), Failed> {
        let Some(ledger) = self.ledger.clone() else { return Ok(()) };
        let row = row_of(batch, range, State::Rejected);
        let key = (row.first_statement, row.state);
        let mut delays = self.retries.delays();
        let mut attempts = 0;
        loop {
            attempts += 1;
            let trouble = match self.write_row(&ledger, batch, &row).await {
                Ok(()) => return Ok(()),
                Err(trouble) => trouble,
            };
            // It may have been written, be it by a process that was killed.
            if self.ask(key).await == Some(true) {
                return Ok(());
            }
            let Some(delay) = delays.next() else {
                return Err(Failed { trouble: Box::new(trouble), attempts, end: End::Final });
            };
            if self.guard.wait(delay).await != Waited::Enough {
                return Err(Failed { trouble: Box::new(trouble), attempts, end: End::Stopped });
            }
        }
    }

    async fn write_row(
        &mut self,
        ledger: &Ledger,
        batch: &Batch,
        row: &crate::ledger::Row,
    ) -> Result<(), Trouble> {
        if self.connection.is_none() {
            self.connect(batch).await?;
        }
        let Some(connection) = &mut self.connection else { return Err(no_connection()) };
        let cancel = connection.cancel_handle();
        let work = ledger.write(&mut **connection, row);
        let Guarded { result, interrupted } = self.guard.request(cancel, work).await;
        if interrupted {
            self.let_go();
        }
        result.map_err(|problem| {
            let problem = Problem { outcome_unknown: false, ..problem };
            Trouble::Refused(Refusal { problem, by_ledger: true, is_certain: false })
        })
    }
}

/// Closes what the adapter has opened.
pub(crate) async fn close_adapter(adapter: &dyn Adapter) {
    let _ = timeout(CLOSE_TIMEOUT, adapter.close()).await;
}

fn alone<'a>(body: &'a [u8], ends: &'a [u32]) -> Request<'a> {
    Request { body, ends, scope: Scope::Bare, copy: None }
}

fn clamp(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
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
