//! The account: what became of every statement. Each is in exactly one column; what is open is
//! derived, never stored.

use crate::types::{Cause, Outcome, Report, Scope};

/// How many statements a batch stands for, and where they end up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Weight {
    /// Statements that this batch decides.
    pub(crate) statements: u64,
    pub(crate) scope: Scope,
    /// The transaction of the script's own ends with it.
    pub(crate) ends_transaction: bool,
    /// It is a piece of a `COPY` that others follow: applied, it decides nothing yet.
    pub(crate) partial: bool,
}

#[derive(Debug, Default)]
pub(crate) struct Account {
    totals: Report,
    /// Applied inside a transaction that is still open, and the rows that it affected.
    undecided: u64,
    undecided_rows: u64,
    /// The whole run is one transaction, which the host ends after the report.
    spans_run: bool,
}

impl Account {
    pub(crate) fn new(spans_run: bool) -> Self {
        Self { spans_run, ..Self::default() }
    }

    pub(crate) fn report(&self) -> Report {
        let totals = &self.totals;
        let decided = totals.applied
            + totals.failed
            + totals.rolled_back
            + totals.rejected
            + totals.skipped
            + totals.unknown
            + totals.not_reached;
        let rows = totals.rows.saturating_add(self.undecided_rows);
        Report { open: totals.statements - decided, rows, ..*totals }
    }

    /// A statement was found; its last byte is the `read`th of the input.
    pub(crate) fn found(&mut self, read: u64) {
        self.totals.statements += 1;
        self.totals.read = read;
    }

    /// As [`found`](Self::found), for many.
    pub(crate) fn found_many(&mut self, statements: u64, read: u64) {
        self.totals.statements += statements;
        self.totals.read = read;
    }

    pub(crate) fn number_of_next(&self) -> u64 {
        self.totals.statements + 1
    }

    pub(crate) fn read(&mut self, read: u64) {
        self.totals.read = read;
    }

    pub(crate) fn sent(&mut self, bytes: u64) {
        self.totals.batches += 1;
        self.totals.bytes += bytes;
    }

    pub(crate) fn skipped(&mut self, statements: u64) {
        self.totals.skipped += statements;
    }

    /// A batch has ended.
    pub(crate) fn ended(&mut self, weight: Weight, outcome: &Outcome) {
        let rows = match weight.scope {
            Scope::Scripted => &mut self.undecided_rows,
            Scope::Atomic | Scope::Bare => &mut self.totals.rows,
        };
        *rows = rows.saturating_add(outcome.rows.unwrap_or(0));
        let all = weight.statements;
        let Some(interruption) = outcome.interruption else {
            if !weight.partial {
                let rejected = self.rejected(outcome, all);
                self.applied(all - rejected, weight);
            }
            return;
        };
        let settled = u64::from(outcome.settled).min(all);
        let rejected = self.rejected(outcome, settled);
        self.totals.applied += settled - rejected;
        if settled > 0 && weight.scope == Scope::Scripted {
            // They stay, so there was a commit among them, and it kept what was before it, too.
            self.keep_open();
        }
        // What was sent has at least one statement: a piece of a COPY says none.
        let left = all - settled;
        let sent = u64::from(interruption.statements).max(1).min(left);
        self.totals.not_reached += left - sent;
        self.interrupted(weight.scope, interruption.cause, sent);
    }

    fn rejected(&mut self, outcome: &Outcome, most: u64) -> u64 {
        let rejected = (outcome.rejected.len() as u64).min(most);
        self.totals.rejected += rejected;
        rejected
    }

    /// What becomes of the statements that were sent together last.
    fn interrupted(&mut self, scope: Scope, cause: Cause, sent: u64) {
        match cause {
            Cause::Failed => {
                let failed = sent.min(1);
                self.totals.failed += failed;
                match scope {
                    Scope::Bare => self.totals.not_reached += sent - failed,
                    Scope::Atomic | Scope::Scripted => self.totals.rolled_back += sent - failed,
                }
                self.roll_back();
            }
            Cause::Unknown => {
                self.totals.unknown += sent + std::mem::take(&mut self.undecided);
                self.undecided_rows = 0;
            }
            Cause::Cancelled => {
                self.totals.not_reached += sent;
                self.roll_back();
            }
        }
    }

    fn applied(&mut self, statements: u64, weight: Weight) {
        if weight.scope == Scope::Scripted {
            self.undecided += statements;
            if weight.ends_transaction && !self.spans_run {
                self.keep_open();
            }
        } else {
            self.totals.applied += statements;
        }
    }

    /// What was applied inside the open transaction stays.
    pub(crate) fn keep_open(&mut self) {
        self.totals.applied += std::mem::take(&mut self.undecided);
        let rows = std::mem::take(&mut self.undecided_rows);
        self.totals.rows = self.totals.rows.saturating_add(rows);
    }

    /// What was applied inside the open transaction is taken back.
    pub(crate) fn roll_back(&mut self) {
        self.totals.rolled_back += std::mem::take(&mut self.undecided);
        self.undecided_rows = 0;
    }

    /// The run ends early: whatever is neither decided nor under way is not reached.
    pub(crate) fn stop(&mut self, under_way: u64) {
        let left = self.report().open - self.undecided - under_way;
        self.totals.not_reached += left;
    }
}
