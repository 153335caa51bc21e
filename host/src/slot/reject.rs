//! What becomes of bad statements: they are handed to whoever keeps them, then noted in the ledger.

use std::ops::Range;

use sql_batcher_adapters::Problem;

use tracing::warn;

use super::{Slot, no_connection};
use crate::{
    Error,
    batch::Batch,
    guard::Guarded,
    input::Sources,
    ledger::{Ledger, Row, State, row_of},
    rejects::{Reject, Unkept, script},
    retry::Attempts,
    send::Refusal,
    trouble::{End, Failed, Trouble},
};

impl Slot {
    /// Hands statements of a batch on as bad.
    pub(crate) async fn reject(
        &mut self,
        batch: &Batch,
        range: Range<usize>,
        sources: &Sources,
        failed: Failed,
    ) -> Result<(), Failed> {
        self.roll_back(batch.scope).await;
        let Failed { trouble, attempts, end } = failed;
        let refused = |trouble, end| Err(Failed { trouble: Box::new(trouble), attempts, end });
        let refusal = match *trouble {
            Trouble::Refused(refusal) => refusal,
            other => return refused(other, end),
        };
        let (Some(skipping), Some(position)) =
            (self.skipping.clone(), sources.of_statement(batch, range.start))
        else {
            return refused(Trouble::Refused(refusal), end);
        };
        let index = refusal.problem.statement.map_or(range.start, |index| index as usize);
        let at = sources.of_statement(batch, index).unwrap_or_else(|| position.clone());
        let error = Error::of_refusal_by_database(&refusal.problem).at(Some(at));
        let dialect = self.memory().dialect();
        let sql = script(batch, range.clone(), dialect);
        let reject = Reject {
            position: &position,
            statements: range.len() as u64,
            error: &error,
            sql: &sql,
            settings: &[],
        };
        let written = skipping.reject(&reject, |known| {
            let memory = self.memory();
            (memory.replay(known), memory.settings())
        });
        match written {
            Ok(()) => {
                let code = error.code();
                warn!(
                    statement = position.statement,
                    line = position.line,
                    db.response.status_code = code,
                    "statement left out"
                );
                Ok(())
            }
            Err(Unkept::TooMany(most)) => refused(Trouble::Refused(refusal), End::TooMany(most)),
            Err(Unkept::Unwritten(error)) => refused(Trouble::Unwritten(error), End::Final),
        }
    }

    /// Writes into the ledger that statements of a batch were left out.
    pub(crate) async fn write_reject(
        &mut self,
        batch: &Batch,
        range: Range<usize>,
    ) -> Result<(), Failed> {
        let Some(ledger) = self.ledger.clone() else { return Ok(()) };
        let row = row_of(batch, range, State::Rejected);
        let mut attempts = Attempts::new(&self.retries);
        loop {
            let trouble = match self.write_row(&ledger, &row).await {
                Ok(()) => return Ok(()),
                Err(trouble) => trouble,
            };
            // It may have been written, be it by a process that was killed.
            if self.ask(row.key()).await == Some(true) {
                return Ok(());
            }
            if let Err(end) = attempts.again(&mut self.guard).await {
                return Err(Failed { trouble: Box::new(trouble), attempts: attempts.count, end });
            }
        }
    }

    async fn write_row(&mut self, ledger: &Ledger, row: &Row) -> Result<(), Trouble> {
        if self.connection.is_none() {
            self.connect().await?;
        }
        let Some(connection) = &mut self.connection else { return Err(no_connection()) };
        let cancel = connection.cancel_handle();
        let work = ledger.write(&mut **connection, row);
        let Guarded { result, interrupted } = self.guard.request(cancel, work).await;
        if interrupted {
            self.let_go();
        }
        result.map_err(|problem| {
            let problem = Problem { outcome_unknown: false, ..problem };
            Trouble::Refused(Refusal { by_ledger: true, ..Refusal::from(problem) })
        })
    }
}
