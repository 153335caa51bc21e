//! What is said between the driver and a session of the component, as plain data of the host.

use crate::{ErrorKind, account::Account, batch::Place};

/// What the host may do next.
#[derive(Clone, Debug, Default)]
pub(crate) struct Progress {
    /// Batches under way.
    pub(crate) in_flight: u32,
    /// Whether more input is wanted.
    pub(crate) ready: bool,
    /// When `tick` is due, in milliseconds of the session's clock.
    pub(crate) deadline_ms: Option<u64>,
    /// The failure that ended the run, if one did.
    pub(crate) failure: Option<SessionFailure>,
    /// The account, once the run has ended and nothing is under way.
    pub(crate) account: Option<Account>,
}

/// Why the component ended a run.
#[derive(Clone, Debug)]
pub(crate) struct SessionFailure {
    /// What happened; none where a batch failed, of which the host knows more.
    pub(crate) kind: Option<ErrorKind>,
    pub(crate) message: String,
    pub(crate) at: Option<Place>,
    pub(crate) batch: Option<u64>,
}

/// How a batch ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// Statements, from the first on, that stay applied or were left out as bad: all of them where
    /// nothing interrupted the batch, whatever is said here.
    pub(crate) settled: u32,
    /// Those of them that were left out as bad, by index, ascending.
    pub(crate) rejected: Vec<u32>,
    /// Rows that the database says were affected, where it says so.
    pub(crate) rows: Option<u64>,
    /// Why not all statements are settled, where they are not.
    pub(crate) interruption: Option<Interruption>,
}

/// Where a batch was interrupted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Interruption {
    pub(crate) cause: Cause,
    /// How many statements after the settled ones share the cause, as they were sent together.
    pub(crate) statements: u32,
    /// The index of the statement at fault, where it is known.
    pub(crate) statement: Option<u32>,
}

/// Why the database did not deal with a whole batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// It refused a request.
    Failed,
    /// It cannot be known whether a request was applied.
    Unknown,
    /// The rest was never sent, or taken back before it could change anything.
    Cancelled,
}

impl Outcome {
    /// As it is written where runs are watched.
    pub(crate) fn name(&self) -> &'static str {
        match self.interruption.map(|interruption| interruption.cause) {
            None => "applied",
            Some(Cause::Failed) => "failed",
            Some(Cause::Unknown) => "unknown",
            Some(Cause::Cancelled) => "cancelled",
        }
    }

    /// All of it is applied.
    pub(crate) fn applied(rows: Option<u64>) -> Self {
        Self { rows, ..Self::default() }
    }
}
