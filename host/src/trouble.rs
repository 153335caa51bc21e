//! Why statements were not applied, what that means for the connection and for another attempt, and
//! why there was none.

use std::time::Duration;

use sql_batcher_adapters::{AdapterError, Fault, Problem};

use crate::{batch::Batch, progress::Cause, send::Refusal};

/// A piece that was not applied, or not known to be.
#[derive(Debug)]
pub(crate) struct Failed {
    pub(crate) trouble: Box<Trouble>,
    pub(crate) attempts: u32,
    pub(crate) end: End,
}

/// Why there was no further attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// Another would be of no use, or apply something twice.
    Final,
    /// All that were permitted were made.
    Exhausted { over: Duration },
    /// Another would have been beyond the deadline of the run.
    TooLate,
    /// Another might have been of use, but this is in its way.
    Prevented(&'static str),
    /// It is bad in itself, and yet cannot be left out.
    Kept(&'static str),
    /// As many as may be were left out before it.
    TooMany(u64),
    /// The run was stopped before the next.
    Stopped,
}

/// Why an attempt failed.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// There was no connection to send it on.
    Unreachable(AdapterError),
    /// Its session is gone, for this reason, and a new one would lack something.
    Lacking { gone: &'static str, lacks: &'static str },
    /// It was sent.
    Refused(Refusal),
    /// What is left out could not be written down.
    Unwritten(std::io::Error),
}

impl Trouble {
    /// What the caller's code inside an adapter does to a run: nobody knows what was sent.
    pub(crate) fn panicked() -> Self {
        let problem = Problem::new(Fault::Connection, "the adapter panicked");
        Self::Refused(Problem { outcome_unknown: true, ..problem }.into())
    }

    /// What the component is told: why, how many statements stay applied all the same, and which
    /// is at fault.
    pub(crate) fn interruption(&self) -> (Cause, u32, Option<u32>) {
        let Self::Refused(Refusal { problem, .. }) = self else {
            let cause = match self {
                Self::Unwritten(_) => Cause::Failed,
                _ => Cause::Cancelled,
            };
            return (cause, 0, None);
        };
        let Problem { kept, statement, .. } = *problem;
        if problem.outcome_unknown {
            return (Cause::Unknown, 0, statement);
        }
        match problem.fault == Fault::Cancelled && kept == 0 {
            true => (Cause::Cancelled, 0, statement),
            false => (Cause::Failed, kept, statement),
        }
    }

    pub(crate) fn fault(&self) -> Fault {
        match self {
            Self::Unreachable(error) => error.fault,
            Self::Lacking { .. } => Fault::Connection,
            Self::Refused(Refusal { problem, .. }) => problem.fault,
            Self::Unwritten(_) => Fault::Resources,
        }
    }

    /// What went wrong, as one of a few words.
    pub(crate) fn error_type(&self) -> &'static str {
        match self.fault() {
            Fault::Statement => "statement",
            Fault::Connection => "connection",
            Fault::Authentication => "authentication",
            Fault::Timeout => "timeout",
            Fault::Cancelled => "cancelled",
            Fault::Resources => "resources",
            Fault::Conflict => "conflict",
            Fault::Options => "options",
            Fault::Unsupported => "unsupported",
            _ => "_OTHER",
        }
    }

    /// SQLSTATE or vendor code, where there is one.
    pub(crate) fn code(&self) -> Option<&str> {
        match self {
            Self::Unreachable(error) => error.code.as_deref(),
            Self::Refused(Refusal { problem, .. }) => problem.code.as_deref(),
            Self::Lacking { .. } | Self::Unwritten(_) => None,
        }
    }

    /// Whether nothing is applied, and another attempt may succeed.
    pub(crate) fn may_pass(&self) -> bool {
        match self {
            Self::Unreachable(error) => error.transient,
            Self::Refused(Refusal { problem, .. }) => {
                problem.transient && !problem.outcome_unknown && problem.kept == 0
            }
            Self::Lacking { .. } | Self::Unwritten(_) => false,
        }
    }

    /// Whether the script's own commit failed, not for a collision, which takes it back, and it is
    /// not known otherwise that it was not done.
    pub(crate) fn is_of_commit(&self, batch: &Batch) -> bool {
        let Self::Refused(Refusal { problem, is_certain: false, .. }) = self else { return false };
        let last = batch.statements().checked_sub(1);
        problem.fault != Fault::Conflict
            && problem.statement.is_none_or(|statement| Some(statement as usize) == last)
    }

    pub(crate) fn breaks_connection(&self) -> bool {
        match self {
            Self::Unreachable(_) => true,
            Self::Refused(Refusal { problem, .. }) => {
                problem.outcome_unknown
                    || matches!(problem.fault, Fault::Connection | Fault::Timeout)
            }
            Self::Lacking { .. } | Self::Unwritten(_) => false,
        }
    }
}
