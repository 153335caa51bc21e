//! What became of the statements: counted by the component, and by the host where the component
//! can no longer be asked.

use crate::progress::Outcome;

/// What became of the statements, as the component counts them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) statements: u64,
    pub(crate) applied: u64,
    pub(crate) failed: u64,
    pub(crate) rolled_back: u64,
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
            self.skipped,
            self.unknown,
            self.not_reached,
            self.open,
        ];
        parts.into_iter().try_fold(0_u64, u64::checked_add) == Some(self.statements)
    }

    /// Writes down how a batch ended where the component can no longer be told.
    pub(crate) fn settle(&mut self, statements: u64, outcome: Outcome) {
        let statements = statements.min(self.open);
        self.open -= statements;
        match outcome {
            Outcome::Applied { rows } => {
                self.applied += statements;
                self.rows += rows.unwrap_or(0);
            }
            Outcome::Failed { kept, .. } => {
                let kept = u64::from(kept).min(statements);
                let failed = (statements - kept).min(1);
                self.applied += kept;
                self.failed += failed;
                self.rolled_back += statements - kept - failed;
            }
            Outcome::Unknown => self.unknown += statements,
            Outcome::Cancelled => self.not_reached += statements,
        }
    }

    /// Statements whose fate the database has decided.
    pub(crate) fn decided(&self) -> u64 {
        self.applied + self.failed + self.rolled_back + self.unknown
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

    #[test]
    fn an_account_that_counts_a_statement_twice_does_not_add_up() {
        let account = Account { statements: 1, applied: 1, failed: 1, ..Account::default() };
        assert!(!account.adds_up());
    }

    #[test]
    fn settling_counts_each_statement_once_whatever_the_outcome() {
        let outcomes = [
            Outcome::Applied { rows: Some(3) },
            Outcome::Failed { statement: Some(2), kept: 0 },
            Outcome::Failed { statement: Some(2), kept: 2 },
            Outcome::Failed { statement: None, kept: 9 },
            Outcome::Unknown,
            Outcome::Cancelled,
        ];
        for outcome in outcomes {
            let mut account = Account { statements: 7, applied: 2, open: 5, ..Account::default() };
            account.settle(4, outcome);
            assert!(account.adds_up(), "{outcome:?}: {account:?}");
            account.give_up(1);
            assert!(account.adds_up() && account.open == 0, "{outcome:?}: {account:?}");
        }
    }
}
