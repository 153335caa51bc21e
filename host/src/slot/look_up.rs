//! What cannot be known from the database's answer, and can be from the ledger.

use std::time::Duration;

use sql_batcher_adapters::{Effects, Problem, Scope};

use super::{CLOSE_TIMEOUT, Slot};
use crate::{
    ledger::State,
    retry::Attempts,
    send::{Piece, Refusal},
    trouble::Trouble,
};

/// How long one question to the ledger may take.
const LOOK_UP_TIMEOUT: Duration = Duration::from_secs(10);

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
        let Some(key) = piece.key().filter(|_| may_be_there) else {
            return Err(Trouble::Refused(refusal));
        };
        let is_over = !unknown || self.end_last().await;
        match self.is_in_ledger(key, piece.batch.scope).await {
            Some(true) => {
                // What was sent in vain is open still, and what comes next would keep it.
                self.roll_back(piece.batch.scope).await;
                if self.spans_run {
                    self.let_go();
                }
                Ok(Effects::default())
            }
            Some(false) if unknown && is_over => {
                let message = format!("{}; the ledger says: not applied", refusal.problem.message);
                let problem =
                    Problem { outcome_unknown: false, transient: true, message, ..refusal.problem };
                Err(Trouble::Refused(Refusal { is_certain: true, ..Refusal::from(problem) }))
            }
            _ => Err(Trouble::Refused(refusal)),
        }
    }

    /// What became of the transaction that spans the run, as its last row says.
    pub(super) async fn settled(&mut self, problem: Problem) -> Result<(), Problem> {
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
        let mut attempts = Attempts::new(&self.retries);
        loop {
            let ended = self.guard.briefly(LOOK_UP_TIMEOUT, last.terminate()).await;
            if matches!(ended, Some(Ok(()))) {
                return true;
            }
            if attempts.again(&mut self.guard).await.is_err() {
                return false;
            }
        }
    }

    /// Whether the ledger has a row; none where it cannot be asked.
    async fn is_in_ledger(&mut self, key: (u64, State), scope: Scope) -> Option<bool> {
        if scope != Scope::Scripted
            && let (Some(connection), Some(ledger)) = (&mut self.connection, &self.ledger)
        {
            let asking = ledger.holds(&mut **connection, key);
            if let Some(Ok(held)) = self.guard.briefly(LOOK_UP_TIMEOUT, asking).await {
                return Some(held);
            }
        }
        self.ask(key).await
    }

    /// Asks on a connection of its own.
    pub(super) async fn ask(&mut self, key: (u64, State)) -> Option<bool> {
        let ledger = self.ledger.clone()?;
        let mut attempts = Attempts::new(&self.retries);
        loop {
            if let Ok(mut connection) = self.acquire().await {
                let asking = ledger.holds(&mut *connection, key);
                let asked = self.guard.briefly(LOOK_UP_TIMEOUT, asking).await;
                self.guard.briefly(CLOSE_TIMEOUT, connection.close()).await;
                if let Some(Ok(held)) = asked {
                    return Some(held);
                }
            }
            attempts.again(&mut self.guard).await.ok()?;
        }
    }
}
