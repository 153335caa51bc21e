//! The batching core linked as a library, without a sandbox around it: what the sandbox is measured
//! against. No user runs it so.

use std::hint::black_box;

use sql_batcher_core::{
    Batch, BatchInfo, Event, Execution, Host, Options, Outcome, Report, Session, Verdict,
};

/// The bytes that are pushed at once, as the host does it.
pub const CHUNK_BYTES: usize = 256 * 1024;

/// A database that has applied whatever it is given at once.
#[derive(Debug)]
pub struct Applies;

impl Host for Applies {
    fn execute(&mut self, batch: Batch) -> Execution {
        black_box(&batch);
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

/// Splits and batches a whole script.
///
/// # Panics
/// If the options or the script are refused.
#[must_use]
pub fn split(script: &[u8], options: Options) -> Report {
    let mut session = Session::open(options).expect("the options are valid");
    for chunk in script.chunks(CHUNK_BYTES) {
        session.push(&mut Applies, chunk.to_vec(), 0);
    }
    let progress = session.finish(&mut Applies, 0);
    assert_eq!(progress.failure, None);
    progress.report.expect("nothing is in flight")
}
