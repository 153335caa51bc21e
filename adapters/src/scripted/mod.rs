//! A database that does what a test tells it: it keeps a log, answers from a script, and says
//! which statements would be applied now. It holds no data and understands no SQL but the first
//! words that open and end transactions, and what a batcher writes for its ledger: a table with
//! `_ledger` in its name takes no row whose `run`, `first_statement` and `state` it has already.

mod ledger;
mod session;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;

use crate::{
    Adapter, AdapterError, Capabilities, Connection, CopyPart, Dialect, Effects, Problem, Scope,
};

use self::session::Session;

/// What the database answers to a request.
#[derive(Debug)]
pub enum Answer {
    /// It is applied.
    Applies(Effects),
    /// It fails; statements before [`Problem::kept`] are applied all the same.
    Fails(Problem),
    /// It is applied, and yet an error comes back: the connection was lost with the answer.
    AppliesButFails(Problem),
    /// Nothing comes back until the session is cancelled; then it has failed as cancelled.
    Hangs,
}

/// Something that happened to the database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A session was taken.
    Acquired {
        /// Number of the session, from 0.
        session: u32,
    },
    /// A request came.
    Executed {
        /// Number of the session.
        session: u32,
        /// Its body.
        body: Vec<u8>,
        /// Where its statements end.
        ends: Vec<u32>,
        /// How it was to be applied.
        scope: Scope,
        /// Which part of a copy block it was.
        copy: Option<CopyPart>,
    },
    /// [`Connection::begin`].
    Begun {
        /// Number of the session.
        session: u32,
    },
    /// [`Connection::commit`].
    Committed {
        /// Number of the session.
        session: u32,
    },
    /// [`Connection::rollback`].
    RolledBack {
        /// Number of the session.
        session: u32,
    },
    /// [`Cancel::cancel`](crate::Cancel::cancel).
    Cancelled {
        /// Number of the session.
        session: u32,
    },
    /// [`Cancel::terminate`](crate::Cancel::terminate): what was open is taken back, and what the
    /// session is asked for after it fails.
    Terminated {
        /// Number of the session.
        session: u32,
    },
    /// The session ended.
    Ended {
        /// Number of the session.
        session: u32,
        /// Whether by [`Connection::close`]; else it was dropped.
        closed: bool,
    },
}

/// An adapter for tests of what stands above adapters. Clones are the same database.
#[derive(Clone, Debug)]
pub struct Scripted {
    capabilities: Capabilities,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    log: Vec<Event>,
    applied: Vec<String>,
    /// Statements of the open transactions, by session.
    open: BTreeMap<u32, Vec<String>>,
    terminated: BTreeSet<u32>,
    sessions: u32,
    refusals: VecDeque<AdapterError>,
    answers: VecDeque<(Duration, Answer)>,
    commits: VecDeque<Answer>,
}

impl Default for Scripted {
    fn default() -> Self {
        Self::new()
    }
}

impl Scripted {
    /// A database that can do everything and applies all that comes.
    #[must_use]
    pub fn new() -> Self {
        Self {
            capabilities: Capabilities {
                server: "Scripted 1".to_owned(),
                dialect: Dialect::Generic,
                max_request_bytes: 1 << 30,
                max_request_characters: None,
                max_statements_per_request: None,
                max_rows_per_insert: None,
                best_rows_per_insert: None,
                merging_obstacle: None,
                merges_conflicts: true,
                fast_path: false,
                transactions: true,
                transactions_span_requests: true,
                transactional_ddl: true,
                savepoints: true,
                max_writers: None,
                copy: true,
                binary_text: true,
                cancel: true,
                notes: Vec::new(),
            },
            state: Arc::default(),
        }
    }

    /// Changes what the database says it can do.
    #[must_use]
    pub fn with(mut self, change: impl FnOnce(&mut Capabilities)) -> Self {
        change(&mut self.capabilities);
        self
    }

    /// Adds an answer to the next request that has none. Requests after the last answer are
    /// applied.
    pub fn answer(&self, answer: Answer) -> &Self {
        self.answer_after(Duration::ZERO, answer)
    }

    /// As [`Scripted::answer`], after a time on tokio's clock.
    pub fn answer_after(&self, delay: Duration, answer: Answer) -> &Self {
        self.state().answers.push_back((delay, answer));
        self
    }

    /// Adds an answer to the next [`Connection::commit`] that has none.
    pub fn answer_commit(&self, answer: Answer) -> &Self {
        self.state().commits.push_back(answer);
        self
    }

    /// Refuses the next session that was not refused yet.
    pub fn refuse(&self, error: AdapterError) -> &Self {
        self.state().refusals.push_back(error);
        self
    }

    /// What happened so far.
    #[must_use]
    pub fn log(&self) -> Vec<Event> {
        self.state().log.clone()
    }

    /// How many requests came so far.
    #[must_use]
    pub fn requests(&self) -> usize {
        self.state().log.iter().filter(|event| matches!(event, Event::Executed { .. })).count()
    }

    /// The statements that are applied now, in order, each as it came; a copy block is one.
    #[must_use]
    pub fn applied(&self) -> Vec<String> {
        self.state().applied.clone()
    }

    /// As [`Scripted::applied`], without those that create a ledger or insert into one: they are
    /// the batcher's own.
    #[must_use]
    pub fn applied_statements(&self) -> Vec<String> {
        let mut applied = self.applied();
        applied.retain(|statement| !ledger::is_of_ledger(statement));
        applied
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A test that panicked with the lock has failed already.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Adapter for Scripted {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    async fn acquire(&self) -> Result<Box<dyn Connection>, AdapterError> {
        let mut state = self.state();
        if let Some(error) = state.refusals.pop_front() {
            return Err(error);
        }
        let session = state.sessions;
        state.sessions += 1;
        state.log.push(Event::Acquired { session });
        drop(state);
        Ok(Box::new(Session::new(self.clone(), session)))
    }

    async fn close(&self) {}
}
