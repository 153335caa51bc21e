//! The exported resource: one session of the core behind a cell.

use std::cell::RefCell;

use sql_batcher_core as core;

use crate::bindings::Component;
use crate::bindings::exports::sql_batcher::core::batching::{
    Failure, Guest, GuestSession, Options, OutcomeResult, Progress, Report, Session,
};
use crate::bindings::sql_batcher::core::{database, hooks, telemetry, types};
use crate::convert::Lists;

/// A session that a host holds.
#[expect(unreachable_pub, reason = "the generated trait wants it public")]
pub struct Held(RefCell<core::Session>);

impl Guest for Component {
    type Session = Held;
}

impl GuestSession for Held {
    fn open(options: Options) -> Result<Session, Failure> {
        let session = core::Session::open(options.into()).map_err(Failure::from)?;
        Ok(Session::new(Self(RefCell::new(session))))
    }

    fn push(&self, chunk: Vec<u8>, now_ms: u64) -> Progress {
        self.0.borrow_mut().push(&mut Imports, chunk, now_ms).into()
    }

    fn push_text(&self, chunk: String, now_ms: u64) -> Progress {
        self.push(chunk.into_bytes(), now_ms)
    }

    fn add(&self, text: String, ends: Vec<u32>, now_ms: u64) -> Progress {
        self.0.borrow_mut().add(&mut Imports, &text, &ends, now_ms).into()
    }

    fn end_input(&self, now_ms: u64) -> Progress {
        self.0.borrow_mut().end_input(&mut Imports, now_ms).into()
    }

    fn tick(&self, now_ms: u64) -> Progress {
        self.0.borrow_mut().tick(&mut Imports, now_ms).into()
    }

    fn flush(&self, now_ms: u64) -> Progress {
        self.0.borrow_mut().flush(&mut Imports, now_ms).into()
    }

    fn complete(&self, batch: u64, outcome: OutcomeResult, now_ms: u64) -> Progress {
        self.0.borrow_mut().complete(&mut Imports, batch, &outcome.into(), now_ms).into()
    }

    fn cancel(&self, now_ms: u64) -> Progress {
        self.0.borrow_mut().cancel(&mut Imports, now_ms).into()
    }

    fn finish(&self, now_ms: u64) -> Progress {
        self.0.borrow_mut().finish(&mut Imports, now_ms).into()
    }

    fn account(&self) -> Report {
        self.0.borrow().account().into()
    }
}

/// The host, as the core sees it.
struct Imports;

impl core::Host for Imports {
    fn execute(&mut self, batch: core::Batch) -> core::Execution {
        match database::execute(Lists::of(&batch).with(&batch)) {
            database::Execution::Finished(outcome) => core::Execution::Finished(outcome.into()),
            database::Execution::Pending => core::Execution::Pending,
        }
    }

    fn pre_batch(&mut self, hook: u32, batch: &core::Batch) -> Result<core::Verdict, String> {
        hooks::pre_batch(hook, Lists::of(batch).with(batch)).map(core::Verdict::from)
    }

    fn post_batch(
        &mut self,
        hook: u32,
        batch: core::BatchInfo,
        outcome: &core::Outcome,
    ) -> Result<(), String> {
        hooks::post_batch(hook, batch.into(), types::OutcomeParam::from(outcome))
    }

    fn emit(&mut self, event: core::Event) {
        telemetry::emit(types::Event::from(&event));
    }
}
