//! A database that keeps whatever it is given, and applies it at once, or never answers.

use sql_batcher_core::{Batch, BatchInfo, Event, Execution, Host, Outcome, Verdict};

#[derive(Default)]
pub(crate) struct Recorder {
    pub(crate) batches: Vec<Batch>,
    /// Whether all of them stay under way.
    pub(crate) waits: bool,
}

impl Host for Recorder {
    fn execute(&mut self, batch: Batch) -> Execution {
        self.batches.push(batch);
        match self.waits {
            true => Execution::Pending,
            false => Execution::Finished(Outcome::applied(None)),
        }
    }

    fn pre_batch(&mut self, _: u32, _: &Batch) -> Result<Verdict, String> {
        Ok(Verdict::Proceed)
    }

    fn post_batch(&mut self, _: u32, _: BatchInfo, _: &Outcome) -> Result<(), String> {
        Ok(())
    }

    fn emit(&mut self, _: Event) {}
}
