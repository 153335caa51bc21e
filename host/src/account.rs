//! What became of the statements: counted by the component, and by the host where the component
//! can no longer be asked.

use crate::progress::{Cause, Outcome};

/// What became of the statements, as the component counts them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) statements: u64,
    pub(crate) applied: u64,
    pub(crate) failed: u64,
    pub(crate) rolled_back: u64,
    pub(crate) rejected: u64,
    pub(crate) skipped: u64,
    pub(crate) unknown: u64,
    pub(crate) not_reached: u64,
    pub(crate) open: u64,
    pub(crate) batches: u64,
    pub(crate) bytes: u64,
    pub(crate) rows: u64,
    pub(crate) read: u64,
}

impl Account {
    /// Whether each statement is counted exactly once.
    pub(crate) fn adds_up(&self) -> bool {
        let parts = [
            self.applied,
            self.failed,
            self.rolled_back,
            self.rejected,
            self.skipped,
            self.unknown,
            self.not_reached,
            self.open,
        ];
        parts.into_iter().try_fold(0_u64, u64::checked_add) == Some(self.statements)
    }

    /// Writes down how a batch ended where the component can no longer be told.
    pub(crate) fn settle(&mut self, statements: u64, outcome: &Outcome) {
        let statements = statements.min(self.open);
        self.open -= statements;
        self.rows += outcome.rows.unwrap_or(0);
        let settled = match outcome.interruption {
            None => statements,
            Some(_) => u64::from(outcome.settled).min(statements),
        };
        let rejected = (outcome.rejected.len() as u64).min(settled);
        self.rejected += rejected;
        self.applied += settled - rejected;
        let Some(interruption) = outcome.interruption else { return };
        let left = statements - settled;
        let sent = u64::from(interruption.statements).max(1).min(left);
        self.not_reached += left - sent;
        match interruption.cause {
            Cause::Failed => {
                self.failed += sent.min(1);
                self.rolled_back += sent - sent.min(1);
            }
            Cause::Unknown => self.unknown += sent,
            Cause::Cancelled => self.not_reached += sent,
        }
    }

    /// Statements whose fate the database has decided.
    pub(crate) fn decided(&self) -> u64 {
        self.applied + self.failed + self.rolled_back + self.rejected + self.unknown
    }

    /// What is still open will not be sent any more; these of it were, inside a transaction that
    /// ends with its connection.
    pub(crate) fn give_up(&mut self, inside_transaction: u64) {
        let inside = inside_transaction.min(self.open);
        match self.unknown {
            0 => self.rolled_back += inside,
            _ => self.unknown += inside,
        }
        self.not_reached += self.open - inside;
        self.open = 0;
    }

    /// The transaction of the whole run is kept.
    pub(crate) fn commit(&mut self) {
        self.applied += std::mem::take(&mut self.open);
    }

    /// The transaction of the whole run is taken back.
    pub(crate) fn roll_back(&mut self) {
        self.rolled_back += std::mem::take(&mut self.applied);
        self.rolled_back += std::mem::take(&mut self.unknown);
        self.rolled_back += std::mem::take(&mut self.open);
    }

    /// It cannot be known whether the transaction of the whole run was kept.
    pub(crate) fn lose_track(&mut self) {
        self.unknown += std::mem::take(&mut self.applied);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::progress::Interruption;

    #[test]
    fn an_account_that_counts_a_statement_twice_does_not_add_up() {
        let account = Account { statements: 1, applied: 1, failed: 1, ..Account::default() };
        assert!(!account.adds_up());
    }

    #[test]
    fn settling_counts_each_statement_once_whatever_the_outcome() {
        let interrupted = |cause, settled, statements| Outcome {
            settled,
            rejected: vec![0; settled.min(1) as usize],
            interruption: Some(Interruption { cause, statements, statement: None }),
            ..Outcome::default()
        };
        let outcomes = [
            Outcome::applied(Some(3)),
            Outcome { rejected: vec![0, 3], ..Outcome::default() },
            interrupted(Cause::Failed, 0, 4),
            interrupted(Cause::Failed, 2, 1),
            interrupted(Cause::Failed, 9, 9),
            interrupted(Cause::Unknown, 1, 2),
            interrupted(Cause::Cancelled, 0, 4),
        ];
        for outcome in outcomes {
            let mut account = Account { statements: 7, applied: 2, open: 5, ..Account::default() };
            account.settle(4, &outcome);
            assert!(account.adds_up(), "{outcome:?}: {account:?}");
            account.give_up(1);
            assert!(account.adds_up() && account.open == 0, "{outcome:?}: {account:?}");
        }
    }
}
