//! One batch on one connection: its pieces, their attempts, and when there may be another.
//!
//! A piece is tried once more only where the failure may pass by itself, nothing of it is known to
//! be applied, and it stands for itself: it is a transaction of its own, or a whole one of the
//! script's. What the script has done to its session is done again on a new one, or, where that
//! cannot be, the piece is not tried once more. What is bad in itself is left out, where that is
//! wanted, and the rest goes on in pieces.

use std::{ops::Range, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures_util::FutureExt;
use sql_batcher_adapters::{CopyPart, Effects, Fault, Scope};
use tokio::time::Instant;
use tracing::{Instrument as _, Span, debug, field, info, info_span};

use crate::{
    batch::Batch,
    input::Sources,
    ledger::{Fate, Part},
    metrics::UnderWay,
    narrow::{Narrowed, narrow},
    progress::{Cause, Interruption, Outcome},
    retry::{Attempts, RetryCounts},
    send::{Piece, Ready, Rows, can_be_apart},
    session_memory::is_whole_transaction,
    slot::Slot,
    trouble::{End, Failed, Trouble},
};

/// A batch on its way.
pub(crate) struct Flight {
    pub(crate) batch: Batch,
    /// What of it is to be sent, and what is known already.
    pub(crate) parts: Vec<Part>,
    /// The ledger's rows that are to be written with it.
    pub(crate) rows: Rows,
    /// Its text, where that was made before.
    pub(crate) ready: Option<Ready>,
    pub(crate) sources: Arc<Sources>,
    /// Counts it as long as it is under way; none where nothing is sent.
    pub(crate) _under_way: Option<UnderWay>,
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

/// What is to be done with statements of a batch.
enum Task {
    Send(Range<usize>),
    /// With some of them not joined.
    SendApart(Range<usize>, Range<usize>),
    Reject(Range<usize>, Failed),
}

/// A batch under way.
struct Work<'a> {
    slot: &'a mut Slot,
    flight: &'a Flight,
    ready: Option<Ready>,
    outcome: Outcome,
    tries: Tries,
    around: u32,
}

/// Runs one batch, piece by piece, and hands the slot back.
pub(crate) async fn run(mut slot: Slot, mut flight: Flight) -> Landed {
    let started = Instant::now();
    let ready = flight.ready.take();
    let mut work = Work {
        slot: &mut slot,
        flight: &flight,
        ready,
        outcome: Outcome::default(),
        tries: Tries::default(),
        around: 0,
    };
    let failed = work.parts().await.err();
    let Work { outcome, tries, around, .. } = work;
    let elapsed = started.elapsed();
    match &failed {
        None => info!(rows = outcome.rows, attempts = tries.attempts, ?elapsed, "batch ended"),
        Some(failed) => note(&failed.trouble),
    }
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
            let (range, apart) = match &task {
                Task::Send(range) => (range.clone(), 0..0),
                Task::SendApart(range, apart) => (range.clone(), apart.clone()),
                Task::Reject(range, _) => (range.clone(), 0..0),
            };
            let failed = match task {
                Task::Send(_) | Task::SendApart(..) => {
                    match self.send(range.clone(), apart.clone()).await {
                        Ok(effects) => {
                            self.settle(range, Fate::Applied, effects.rows);
                            continue;
                        }
                        Err(failed) => (range, failed),
                    }
                }
                Task::Reject(range, failed) => match self.reject(range.clone(), failed).await {
                    Ok(()) => continue,
                    Err(failed) => (range, failed),
                },
            };
            let (range, mut failed) = failed;
            if let Some(task) = self.take_apart(&range, apart, &mut failed).await {
                tasks.push(task);
                continue;
            }
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

    /// Where statements that are one to the database were refused, they are sent apart: so it says
    /// which it means, or takes them.
    async fn take_apart(
        &mut self,
        range: &Range<usize>,
        before: Range<usize>,
        failed: &mut Failed,
    ) -> Option<Task> {
        let Trouble::Refused(refusal) = &mut *failed.trouble else { return None };
        let joined = refusal.joined.clone()?;
        // What was apart stays so: otherwise two that are refused joined would take turns for ever.
        let apart = match before.is_empty() {
            true => joined,
            false => before.start.min(joined.start)..before.end.max(joined.end),
        };
        if !can_be_apart(&self.flight.batch, range, &self.slot.bounds) {
            // Which of them it is must be found otherwise.
            refusal.problem.statement = None;
            return None;
        }
        let problem = &refusal.problem;
        let refuses = matches!(problem.fault, Fault::Statement | Fault::Unsupported);
        if failed.end != End::Final || !refuses || problem.outcome_unknown || refusal.by_ledger {
            return None;
        }
        let start = range.start.max(problem.kept as usize);
        let scripted = self.flight.batch.scope == Scope::Scripted;
        if scripted && start > range.start {
            return None;
        }
        if start > range.start {
            self.settle(range.start..start, Fate::Applied, None);
        }
        if scripted && !self.slot.has_open_transaction() {
            self.slot.roll_back(Scope::Scripted).await;
        }
        Some(Task::SendApart(start..range.end, apart))
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
    async fn send(&mut self, range: Range<usize>, apart: Range<usize>) -> Result<Effects, Failed> {
        let how = (self.slot.bounds, self.slot.has_open_transaction());
        let mut piece = Piece::new(&self.flight.batch, range, self.flight.rows, how);
        if piece.apart.is_empty() {
            piece.apart = apart;
        }
        let is_whole = piece.range == (0..self.flight.batch.statements());
        piece.ready = self.ready.take().filter(|_| is_whole && piece.apart.is_empty());
        let mut attempts = Attempts::new(&self.slot.retries);
        loop {
            self.tries.attempts += 1;
            let trouble = match attempt(self.slot, &piece, attempts.count).await {
                Ok(effects) => {
                    self.around += u32::from(piece.is_around());
                    return Ok(effects);
                }
                Err(trouble) => trouble,
            };
            match again(self.slot, &piece, &trouble, &mut attempts).await {
                Ok(()) => {
                    self.tries.retries.count(trouble.fault());
                    self.slot.instruments.retry(trouble.error_type());
                }
                Err(end) => {
                    let trouble = Box::new(trouble);
                    return Err(Failed { trouble, attempts: attempts.count, end });
                }
            }
        }
    }
}

fn clamp(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}

/// One attempt. A connection that is of no further use is let go; what cannot be known is looked
/// up, if there is a ledger.
async fn attempt(slot: &mut Slot, piece: &Piece<'_>, number: u32) -> Result<Effects, Trouble> {
    let span = info_span!(
        "attempt",
        otel.kind = "client",
        db.system.name = slot.instruments.system(),
        sql_batcher.attempt = number,
        sql_batcher.statements = piece.range.len(),
        error.r#type = field::Empty,
        db.response.status_code = field::Empty,
        otel.status_code = field::Empty,
    );
    let started = Instant::now();
    let result = try_once(slot, piece).instrument(span.clone()).await;
    let error = result.as_ref().err();
    slot.instruments.attempt(started.elapsed(), error.map(Trouble::error_type));
    if let Some(trouble) = error {
        span.in_scope(|| note(trouble));
    }
    result
}

/// Writes down what went wrong in the span of the moment: never the database's own words, which may
/// have values in them.
fn note(trouble: &Trouble) {
    let (error_type, code) = (trouble.error_type(), trouble.code());
    let span = Span::current();
    span.record("error.type", error_type);
    span.record("otel.status_code", "ERROR");
    if let Some(code) = code {
        span.record("db.response.status_code", code);
    }
    debug!(error.r#type = error_type, db.response.status_code = code, "failed");
}

async fn try_once(slot: &mut Slot, piece: &Piece<'_>) -> Result<Effects, Trouble> {
    let execution = AssertUnwindSafe(slot.execute(piece));
    let result = match execution.catch_unwind().await {
        Ok(result) => result,
        Err(_) => Err(Trouble::panicked()),
    };
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
async fn again(
    slot: &mut Slot,
    piece: &Piece<'_>,
    trouble: &Trouble,
    attempts: &mut Attempts,
) -> Result<(), End> {
    if !trouble.may_pass() || slot.retries.max_retries == 0 {
        return Err(End::Final);
    }
    stands_alone(slot, piece.batch, trouble).map_err(End::Prevented)?;
    // Locks are not held while waiting.
    slot.roll_back(piece.batch.scope).await;
    match slot.lacks_for(piece) {
        Some(lacks) => Err(End::Prevented(lacks)),
        None => attempts.again(&mut slot.guard).await,
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
        Scope::Bare if batch.commands() == 1 => Ok(()),
        Scope::Bare => Err("its statements stand each for itself"),
        Scope::Scripted if slot.memory().in_transaction() || !is_whole_transaction(batch) => {
            Err(IN_TRANSACTION)
        }
        Scope::Scripted if trouble.is_of_commit(batch) => Err("its commit may have been done"),
        Scope::Scripted => Ok(()),
    }
}
