//! One batch on one connection: its attempts, and when there may be another.
//!
//! A batch is tried once more only where the failure may pass by itself, nothing of the batch is
//! known to be applied, and the batch stands for itself: it is a transaction of its own, or a
//! whole one of the script's. What the script has done to its session is done again on a new one,
//! or, where that cannot be, the batch is not tried once more.

use std::{panic::AssertUnwindSafe, time::Duration};

use futures_util::FutureExt;
use sql_batcher_adapters::{AdapterError, CopyPart, Effects, Fault, Problem, Scope};
use tokio::time::Instant;

use crate::{
    batch::Batch, guard::Waited, progress::Outcome, retry::RetryCounts,
    session_memory::is_whole_transaction, slot::Slot,
};

/// A batch that has ended, one way or the other.
pub(crate) struct Landed {
    pub(crate) slot: Slot,
    pub(crate) batch: Batch,
    pub(crate) result: Result<Effects, Failed>,
    pub(crate) elapsed: Duration,
    pub(crate) attempts: u32,
    pub(crate) retries: RetryCounts,
}

/// A batch that was not applied, or not known to be.
#[derive(Debug)]
pub(crate) struct Failed {
    pub(crate) trouble: Trouble,
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
    /// The run was stopped before the next.
    Stopped,
}

/// Why an attempt failed.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// There was no connection to send it on.
    Unreachable(AdapterError),
    /// It was sent.
    Refused(Problem),
}

/// Runs one batch, as often as may be and is needed, and hands the slot back.
pub(crate) async fn run(mut slot: Slot, batch: Batch) -> Landed {
    let started = Instant::now();
    let mut retries = RetryCounts::default();
    let mut delays = slot.retries.delays();
    let mut attempts = 1;
    let result = loop {
        let trouble = match attempt(&mut slot, &batch).await {
            Ok(effects) => break Ok(effects),
            Err(trouble) => trouble,
        };
        let end = next(&mut slot, &batch, &trouble, &mut delays).await;
        let end = match end {
            None => {
                retries.count(trouble.fault());
                attempts += 1;
                continue;
            }
            Some(End::Exhausted { .. }) if attempts == 1 => End::Final,
            Some(End::Exhausted { .. }) => End::Exhausted { over: started.elapsed() },
            Some(end) => end,
        };
        break Err(Failed { trouble, attempts, end });
    };
    Landed { slot, batch, result, elapsed: started.elapsed(), attempts, retries }
}

/// One attempt. A connection that is of no further use is let go.
async fn attempt(slot: &mut Slot, batch: &Batch) -> Result<Effects, Trouble> {
    let execution = AssertUnwindSafe(slot.execute(batch));
    let result = execution.catch_unwind().await.unwrap_or_else(|_| Err(panicked()));
    match &result {
        Ok(_) => slot.memory.learn(batch),
        Err(trouble) if trouble.breaks_connection() => slot.connection = None,
        Err(_) => {}
    }
    result
}

/// Waits for the next attempt; or says why there is none.
async fn next(
    slot: &mut Slot,
    batch: &Batch,
    trouble: &Trouble,
    delays: &mut impl Iterator<Item = Duration>,
) -> Option<End> {
    if !trouble.may_pass() || slot.retries.max_retries == 0 {
        return Some(End::Final);
    }
    if let Err(why) = stands_alone(slot, batch, trouble) {
        return Some(End::Prevented(why));
    }
    if slot.connection.is_none()
        && let Some(lacks) = slot.lacks_for(batch)
    {
        return Some(End::Prevented(lacks));
    }
    let Some(delay) = delays.next() else {
        return Some(End::Exhausted { over: Duration::ZERO });
    };
    // Locks are not held while waiting.
    slot.roll_back(batch).await;
    if slot.connection.is_none()
        && let Some(lacks) = slot.lacks_for(batch)
    {
        return Some(End::Prevented(lacks));
    }
    match slot.guard.wait(delay).await {
        Waited::Enough => None,
        Waited::TooLate => Some(End::TooLate),
        Waited::Stopped => Some(End::Stopped),
    }
}

/// Whether the batch can be sent again without what was sent before it.
fn stands_alone(slot: &Slot, batch: &Batch, trouble: &Trouble) -> Result<(), &'static str> {
    const IN_COPY: &str = "earlier parts of its COPY are gone with it";
    const IN_TRANSACTION: &str = "earlier batches of its transaction are gone with it";
    if matches!(trouble, Trouble::Unreachable(_)) {
        return Ok(());
    }
    if matches!(batch.copy, Some(CopyPart::First | CopyPart::Middle | CopyPart::Last)) {
        return Err(IN_COPY);
    }
    match batch.scope {
        Scope::Atomic => Ok(()),
        Scope::Bare if batch.statements() == 1 => Ok(()),
        Scope::Bare => Err("its statements stand each for itself"),
        Scope::Scripted if slot.memory.in_transaction() || !is_whole_transaction(batch) => {
            Err(IN_TRANSACTION)
        }
        Scope::Scripted if trouble.is_of_commit(batch) => Err("its commit may have been done"),
        Scope::Scripted => Ok(()),
    }
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

    fn fault(&self) -> Fault {
        match self {
            Self::Unreachable(error) => error.fault,
            Self::Refused(problem) => problem.fault,
        }
    }

    /// Whether nothing is applied, and another attempt may succeed.
    fn may_pass(&self) -> bool {
        match self {
            Self::Unreachable(error) => error.transient,
            Self::Refused(problem) => {
                problem.transient && !problem.outcome_unknown && problem.kept == 0
            }
        }
    }

    /// Whether the script's own commit failed, and not for a collision, which takes it back.
    fn is_of_commit(&self, batch: &Batch) -> bool {
        let Self::Refused(problem) = self else { return false };
        let last = batch.statements().checked_sub(1);
        problem.fault != Fault::Conflict
            && problem.statement.is_none_or(|statement| Some(statement as usize) == last)
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
    let problem = Problem::new(Fault::Connection, "the adapter panicked");
    Trouble::Refused(Problem { outcome_unknown: true, ..problem })
}
