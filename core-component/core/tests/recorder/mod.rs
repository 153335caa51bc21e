//! A database that applies whatever it is given, and keeps it.

use sql_batcher_core::{Batch, BatchInfo, Event, Execution, Host, Outcome, Verdict};

#[derive(Default)]
pub(crate) struct Recorder(pub(crate) Vec<Batch>);

impl Host for Recorder {
    fn execute(&mut self, batch: Batch) -> Execution {
        self.0.push(batch);
        Execution::Finished(Outcome::applied(None))
    }

    fn pre_batch(&mut self, _: u32, _: &Batch) -> Result<Verdict, String> {
        Ok(Verdict::Proceed)
    }

    fn post_batch(&mut self, _: u32, _: BatchInfo, _: &Outcome) -> Result<(), String> {
        Ok(())
    }

    fn emit(&mut self, _: Event) {}
}
