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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Applied, with the rows that the database says were affected.
    Applied { rows: Option<u64> },
    /// Refused at this statement (index from 0), the first `kept` of it applied all the same.
    Failed { statement: Option<u32>, kept: u32 },
    /// It cannot be known.
    Unknown,
    /// Never sent.
    Cancelled,
}
