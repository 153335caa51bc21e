//! One batch on one connection: its pieces, their attempts, and when there may be another.
//!
//! A piece is tried once more only where the failure may pass by itself, nothing of it is known to
//! be applied, and it stands for itself: it is a transaction of its own, or a whole one of the
//! script's. What the script has done to its session is done again on a new one, or, where that
//! cannot be, the piece is not tried once more. What is bad in itself is left out, where that is
//! wanted, and the rest goes on in pieces.

use std::{ops::Range, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures_util::FutureExt;
use sql_batcher_adapters::{AdapterError, CopyPart, Effects, Fault, Problem, Scope};
use tokio::time::Instant;

use crate::{
    batch::Batch,
    guard::Waited,
    input::Sources,
    ledger::{Fate, Part, Row},
    narrow::{Narrowed, narrow},
    progress::{Cause, Interruption, Outcome},
    retry::{Delays, RetryCounts},
    send::{Piece, Refusal},
    session_memory::is_whole_transaction,
    slot::Slot,
};

/// A batch on its way.
pub(crate) struct Flight {
    pub(crate) batch: Batch,
    /// What of it is to be sent, and what is known already.
    pub(crate) parts: Vec<Part>,
    /// The ledger's row that is to be written with it and stands for earlier batches, too.
    pub(crate) span: Option<Row>,
    pub(crate) sources: Arc<Sources>,
}

/// A batch that has ended, one way or the other.
pub(crate) struct Landed {
    pub(crate) slot: Slot,
    pub(crate) batch: Batch,
    pub(crate) outcome: Outcome,
    /// What interrupted it, if anything did.
    pub(crate) failed: Option<Failed>,
    pub(crate) elapsed: Duration,
    pub(crate) tries: Tries,
    /// Statements that were applied outside any transaction, so that the ledger's row could not
    /// share one with them.
    pub(crate) around: u32,
}

/// How often it was tried.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tries {
    pub(crate) attempts: u32,
    pub(crate) retries: RetryCounts,
}

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
    /// It was sent.
    Refused(Refusal),
    /// What is left out could not be written down.
    Unwritten(std::io::Error),
}

/// What is to be done with statements of a batch.
enum Task {
    Send(Range<usize>),
    Reject(Range<usize>, Failed),
}

/// A batch under way.
struct Work<'a> {
    slot: &'a mut Slot,
    flight: &'a Flight,
    outcome: Outcome,
    tries: Tries,
    around: u32,
}

/// Runs one batch, piece by piece, and hands the slot back.
pub(crate) async fn run(mut slot: Slot, flight: Flight) -> Landed {
    let started = Instant::now();
    let mut work = Work {
        slot: &mut slot,
        flight: &flight,
        outcome: Outcome::default(),
        tries: Tries::default(),
        around: 0,
    };
    let failed = work.parts().await.err();
    let Work { outcome, tries, around, .. } = work;
    let elapsed = started.elapsed();
    Landed { slot, batch: flight.batch, outcome, failed, elapsed, tries, around }
}

impl Work<'_> {
    async fn parts(&mut self) -> Result<(), Failed> {
        let flight = self.flight;
        for part in &flight.parts {
            let Some(fate) = part.known else {
                self.apply(part.range.clone()).await?;
                continue;
            };
            self.slot.memory().recall(&flight.batch, part.range.clone());
            self.settle(part.range.clone(), fate, None);
        }
        Ok(())
    }

    /// Applies statements; what is bad among them is left out, where that is wanted.
    async fn apply(&mut self, range: Range<usize>) -> Result<(), Failed> {
        let mut tasks = vec![Task::Send(range)];
        while let Some(task) = tasks.pop() {
            let failed = match task {
                Task::Send(range) => match self.send(range.clone()).await {
                    Ok(effects) => {
                        self.settle(range, Fate::Applied, effects.rows);
                        continue;
                    }
                    Err(failed) => (range, failed),
                },
                Task::Reject(range, failed) => match self.reject(range.clone(), failed).await {
                    Ok(()) => continue,
                    Err(failed) => (range, failed),
                },
            };
            let (range, failed) = failed;
            match self.narrow(range.clone(), failed) {
                Ok(narrowed) => tasks.extend(narrowed),
                Err(failed) => {
                    self.interrupt(range, &failed);
                    return Err(failed);
                }
            }
        }
        Ok(())
    }

    fn settle(&mut self, range: Range<usize>, fate: Fate, rows: Option<u64>) {
        if fate == Fate::Rejected {
            self.outcome.rejected.extend(range.clone().map(clamp));
        }
        if let Some(rows) = rows {
            *self.outcome.rows.get_or_insert_default() += rows;
        }
        self.outcome.settled = clamp(range.end);
    }

    fn interrupt(&mut self, range: Range<usize>, failed: &Failed) {
        let (cause, kept, statement) = failed.trouble.interruption();
        self.outcome.settled = self.outcome.settled.max(kept);
        let left = clamp(range.end).saturating_sub(self.outcome.settled);
        // Then what failed is not about a statement that is left.
        let is_settled = left == 0 && !range.is_empty();
        let cause = if is_settled { Cause::Cancelled } else { cause };
        self.outcome.interruption = Some(Interruption { cause, statements: left, statement });
    }

    /// What to do about statements that failed, from the last task to the first; or that nothing
    /// is to be done.
    fn narrow(&mut self, range: Range<usize>, failed: Failed) -> Result<Vec<Task>, Failed> {
        if failed.end != End::Final || !self.slot.skips_bad() {
            return Err(failed);
        }
        let Trouble::Refused(refusal) = &*failed.trouble else { return Err(failed) };
        let Some(narrowed) = narrow(&self.flight.batch, range, refusal, self.slot.spans_run) else {
            return Err(failed);
        };
        match narrowed {
            Narrowed::Kept(why) => Err(Failed { end: End::Kept(why), ..failed }),
            Narrowed::Halves(first, second) => Ok(vec![Task::Send(second), Task::Send(first)]),
            Narrowed::Bad { kept, before, bad, after } => {
                if !kept.is_empty() {
                    self.settle(kept, Fate::Applied, None);
                }
                let mut tasks = Vec::new();
                tasks.extend((!after.is_empty()).then_some(Task::Send(after)));
                tasks.push(Task::Reject(bad, failed));
                tasks.extend((!before.is_empty()).then_some(Task::Send(before)));
                Ok(tasks)
            }
        }
    }

    /// Leaves statements out, unless too many were left out before.
    async fn reject(&mut self, range: Range<usize>, failed: Failed) -> Result<(), Failed> {
        let Flight { batch, sources, .. } = self.flight;
        self.slot.reject(batch, range.clone(), sources, failed).await?;
        self.settle(range.clone(), Fate::Rejected, None);
        self.slot.write_reject(batch, range).await
    }

    /// Sends a piece as often as may be and is needed.
    async fn send(&mut self, range: Range<usize>) -> Result<Effects, Failed> {
        let started = Instant::now();
        let piece = Piece {
            batch: &self.flight.batch,
            range,
            span: self.flight.span,
            spans_run: self.slot.spans_run,
        };
        let mut delays = self.slot.retries.delays();
        let mut attempts = 0;
        let trouble = loop {
            attempts += 1;
            self.tries.attempts += 1;
            let trouble = match attempt(self.slot, &piece).await {
                Ok(effects) => {
                    self.around += u32::from(self.slot.ledger.is_some() && piece.is_around());
                    return Ok(effects);
                }
                Err(trouble) => trouble,
            };
            match next(self.slot, &piece, &trouble, &mut delays).await {
                None => self.tries.retries.count(trouble.fault()),
                Some(end) => break (trouble, end),
            }
        };
        let (trouble, end) = trouble;
        let end = match end {
            End::Exhausted { .. } if attempts == 1 => End::Final,
            End::Exhausted { .. } => End::Exhausted { over: started.elapsed() },
            end => end,
        };
        Err(Failed { trouble: Box::new(trouble), attempts, end })
    }
}

fn clamp(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}

/// One attempt. A connection that is of no further use is let go; what cannot be known is looked
/// up, if there is a ledger.
async fn attempt(slot: &mut Slot, piece: &Piece<'_>) -> Result<Effects, Trouble> {
    let execution = AssertUnwindSafe(slot.execute(piece));
    let result = execution.catch_unwind().await.unwrap_or_else(|_| Err(panicked()));
    let result = match result {
        Err(trouble) => {
            if trouble.breaks_connection() {
                slot.let_go();
            }
            slot.look_up(piece, trouble).await
        }
        applied => applied,
    };
    if result.is_ok() {
        slot.learn(piece);
    }
    result
}

/// Waits for the next attempt; or says why there is none.
async fn next(
    slot: &mut Slot,
    piece: &Piece<'_>,
    trouble: &Trouble,
    delays: &mut Delays,
) -> Option<End> {
    let batch = piece.batch;
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
    if matches!(trouble, Trouble::Refused(refusal) if refusal.by_ledger && !refusal.is_certain)
        && batch.scope == Scope::Bare
    {
        return Ok(());
    }
    match batch.scope {
        Scope::Atomic => Ok(()),
        Scope::Bare if batch.statements() == 1 => Ok(()),
        Scope::Bare => Err("its statements stand each for itself"),
        Scope::Scripted if slot.memory().in_transaction() || !is_whole_transaction(batch) => {
            Err(IN_TRANSACTION)
        }
        Scope::Scripted if trouble.is_of_commit(batch) => Err("its commit may have been done"),
        Scope::Scripted => Ok(()),
    }
}

impl Trouble {
    /// What the component is told: why, how many statements stay applied all the same, and which
    /// is at fault.
    fn interruption(&self) -> (Cause, u32, Option<u32>) {
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

    fn fault(&self) -> Fault {
        match self {
            Self::Unreachable(error) => error.fault,
            Self::Refused(Refusal { problem, .. }) => problem.fault,
            Self::Unwritten(_) => Fault::Resources,
        }
    }

    /// Whether nothing is applied, and another attempt may succeed.
    fn may_pass(&self) -> bool {
        match self {
            Self::Unreachable(error) => error.transient,
            Self::Refused(Refusal { problem, .. }) => {
                problem.transient && !problem.outcome_unknown && problem.kept == 0
            }
            Self::Unwritten(_) => false,
        }
    }

    /// Whether the script's own commit failed, not for a collision, which takes it back, and it is
    /// not known otherwise that it was not done.
    fn is_of_commit(&self, batch: &Batch) -> bool {
        let Self::Refused(Refusal { problem, is_certain: false, .. }) = self else { return false };
        let last = batch.statements().checked_sub(1);
        problem.fault != Fault::Conflict
            && problem.statement.is_none_or(|statement| Some(statement as usize) == last)
    }

    fn breaks_connection(&self) -> bool {
        match self {
            Self::Unreachable(_) => true,
            Self::Refused(Refusal { problem, .. }) => {
                problem.outcome_unknown
                    || matches!(problem.fault, Fault::Connection | Fault::Timeout)
            }
            Self::Unwritten(_) => false,
        }
    }
}

fn panicked() -> Trouble {
    let problem = Problem::new(Fault::Connection, "the adapter panicked");
    Trouble::Refused(Problem { outcome_unknown: true, ..problem }.into())
}
