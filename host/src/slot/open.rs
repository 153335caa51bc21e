//! How the ledger is opened: on the connection that the first batch will have.

use super::Slot;
use crate::{
    Error,
    guard::Guarded,
    ledger::{History, Ledger, LedgerOptions, Unopened},
    options::Settings,
    retry::Attempts,
    trouble::End,
};

impl Slot {
    /// Opens the ledger, as often as may be and is needed.
    pub(crate) async fn open_ledger(
        &mut self,
        options: &LedgerOptions,
        settings: &Settings,
    ) -> Result<(Ledger, History), Error> {
        let mut attempts = Attempts::new(&self.retries);
        loop {
            let unopened = match self.try_ledger(options, settings).await {
                Ok(opened) => return Ok(opened),
                Err(unopened) => unopened,
            };
            let again = match unopened.may_pass() {
                true => attempts.again(&mut self.guard).await,
                false => Err(End::Final),
            };
            if let Err(end) = again {
                return Err(unopened.explain().after(attempts.count, end));
            }
        }
    }

    async fn try_ledger(
        &mut self,
        options: &LedgerOptions,
        settings: &Settings,
    ) -> Result<(Ledger, History), Unopened> {
        let mut connection = self.acquire().await.map_err(Unopened::Unreachable)?;
        let cancel = connection.cancel_handle();
        let work = async { Ok(Ledger::open(&mut *connection, options, settings).await) };
        let Guarded { result, interrupted } = self.guard.request(cancel, work).await;
        if !interrupted {
            self.spare = Some(connection);
        }
        result.map_err(Unopened::Refused)?
    }
}
