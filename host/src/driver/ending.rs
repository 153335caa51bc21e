//! The end of a run: what is under way is waited for, what was open is kept or taken back, the
//! account is closed.

use std::sync::{Arc, PoisonError};

use futures_util::future::join_all;
use sql_batcher_adapters::{Problem, Scope};
use tokio::time::{Instant, timeout, timeout_at};

use super::{ABORT_WITHIN, Run, Stop, cancelled};
use tracing::{Span, info, warn};

use crate::{
    Error, ErrorKind, Report, Result,
    batch::Batch,
    progress::{Cause, Interruption, Outcome, SessionFailure},
    report::Failure,
    slot::{CLOSE_TIMEOUT, Slot},
};

impl Run {
    /// Ends what is under way where the component can no longer be asked, and writes down what
    /// became of it.
    pub(super) async fn settle(&mut self) {
        let decided = self.tally().account.decided();
        let inside_transaction = self.landed.saturating_sub(decided);
        if self.stopped == Stop::Abort {
            // What is under way sees the stop, cancels on the server, and ends.
            let ending = timeout(ABORT_WITHIN, self.settle_flights()).await;
            if ending.is_err() {
                self.flights.abort_all();
            }
        }
        self.settle_flights().await;
        let mut tally = self.tally();
        let lost = std::mem::take(&mut tally.under_way);
        let cause = Cause::Unknown;
        let statements = u32::try_from(lost).unwrap_or(u32::MAX);
        let interruption = Some(Interruption { cause, statements, statement: None });
        tally.account.settle(lost, &Outcome { interruption, ..Outcome::default() });
        tally.account.give_up(inside_transaction);
    }

    async fn settle_flights(&mut self) {
        while let Some(landed) = self.flights.join_next().await {
            if let Ok((batch, outcome)) = self.record(landed) {
                let outcome = outcome_alone(&batch, outcome);
                self.tally().account.settle(batch.statements() as u64, &outcome);
            }
        }
    }

    pub(super) async fn close(mut self) -> Result<Report> {
        let mut error = self.ended_by();
        if self.spans_run() {
            let mut tally = self.tally();
            match error {
                None => tally.account.commit(),
                Some(_) => tally.account.roll_back(),
            }
        }
        let mut slots = std::mem::take(&mut self.driver.idle);
        if error.is_none() && self.spans_run() {
            error = self.commit_run(&mut slots).await.err();
        }
        self.close_sessions(slots).await;
        self.report(error)
    }

    /// Says goodbye to the database, for a short time; what does not answer is dropped.
    async fn close_sessions(&mut self, slots: Vec<Slot>) {
        let adapter = Arc::clone(&self.driver.adapter);
        let until = slots.iter().map(|slot| slot.guard.goodbye_until(CLOSE_TIMEOUT)).min();
        let closing = async {
            join_all(slots.into_iter().map(Slot::close)).await;
            adapter.close().await;
        };
        // Too late or not: the connections are gone afterwards.
        let _ = timeout_at(until.unwrap_or_else(Instant::now), closing).await;
    }

    fn report(mut self, error: Option<Error>) -> Result<Report> {
        let mut tally = self.driver.tally.lock().unwrap_or_else(PoisonError::into_inner);
        self.driver.observer.tell_now(|| tally.snapshot());
        tally.count(&self.driver.instruments, true);
        let report = tally.report(error.as_ref().map(Failure::from));
        drop(tally);
        let Some(error) = error else {
            info!(statements = report.statements, applied = report.applied, "run ended");
            return Ok(report);
        };
        let error_type = error.kind().name();
        self.driver.instruments.fail(error_type);
        Span::current().record("error.type", error_type);
        warn!(
            error.r#type = error_type,
            db.response.status_code = error.code(),
            line = error.position().map(|position| position.line),
            statement = error.position().map(|position| position.statement),
            applied = report.applied,
            "run ended early"
        );
        Err(error.with_report(report))
    }

    async fn commit_run(&mut self, slots: &mut [Slot]) -> Result<()> {
        for slot in slots {
            slot.commit().await.map_err(|problem| self.lose_run(problem))?;
        }
        Ok(())
    }

    /// The transaction of the whole run was not committed, or not known to be.
    fn lose_run(&self, problem: Problem) -> Error {
        let mut tally = self.tally();
        match problem.outcome_unknown {
            true => tally.account.lose_track(),
            false => tally.account.roll_back(),
        }
        Error::of_problem(self.shown(problem)).about("commit of the run")
    }

    /// What ended the run early, if anything did: a batch that failed comes before what was found
    /// later in the input.
    fn ended_by(&mut self) -> Option<Error> {
        if let Some(error) = self.failure.take() {
            return Some(error);
        }
        if let Some(deadline) = self.driver.deadline.filter(|_| self.expired) {
            let message = format!("the deadline of the run, {:?}, was reached", deadline.after);
            return Some(Error::new(ErrorKind::Timeout, message));
        }
        // What was not sent because of the stop is no failure.
        let is_own = |failure: &SessionFailure| failure.kind.is_some() || self.stopped == Stop::No;
        if let Some(failure) = self.progress.failure.take().filter(is_own) {
            return Some(Error::of_refusal(failure, &self.sources));
        }
        if self.stopped > Stop::No {
            return Some(cancelled());
        }
        self.history.unmet(self.tally().account.statements)
    }
}

/// How a batch ended as far as the batch alone tells: one that belongs to a transaction of the
/// script's own may or may not have ended it.
pub(super) fn outcome_alone(batch: &Batch, outcome: Outcome) -> Outcome {
    if batch.scope != Scope::Scripted || outcome.interruption.is_some() {
        return outcome;
    }
    let statements = u32::try_from(batch.statements()).unwrap_or(u32::MAX);
    let interruption = Some(Interruption { cause: Cause::Unknown, statements, statement: None });
    Outcome { interruption, ..Outcome::default() }
}
