//! What the host keeps for one instance, and what it gives the component to call.

use std::{collections::VecDeque, time::Duration};

use wasmtime::{ResourceLimiter, Trap};

use super::{
    Answer, TABLE_ELEMENTS,
    bindings::{
        sql_batcher::core::{database, telemetry},
        types,
    },
    broken,
    check::Checks,
};
use crate::{batch::Batch, hooks::Hooks, input::Sources, progress::Outcome, tally::Noticed};

/// What the host keeps for one instance.
pub(super) struct Guest {
    pub(super) answer: Answer,
    pub(super) batches: VecDeque<Batch>,
    pub(super) checks: Checks,
    pub(super) hooks: Hooks,
    /// The names of the inputs, for what the hooks are told.
    pub(super) sources: Sources,
    /// How long hooks have taken in this call: it is not the component's time.
    pub(super) hook_time: Duration,
    pub(super) memory_bytes: u64,
    /// Of its memory, as it is now.
    pub(super) used_bytes: u64,
    pub(super) noticed: Noticed,
    /// What the component or the host's limits were broken by, in words.
    pub(super) violation: Option<String>,
}

impl Guest {
    /// Notes what was broken, and ends the call that broke it.
    pub(super) fn refuse<T>(&mut self, violation: String) -> wasmtime::Result<T> {
        self.violation = Some(violation);
        Err(Trap::UnreachableCodeReached.into())
    }
}

impl database::Host for Guest {
    fn execute(&mut self, batch: types::Batch) -> wasmtime::Result<database::Execution> {
        let batch = Batch::executed(batch);
        if let Err(violation) = self.checks.batch(&batch) {
            return self.refuse(broken(&violation));
        }
        self.batches.push_back(batch);
        if self.answer == Answer::Pending {
            self.checks.in_flight += 1;
            return Ok(database::Execution::Pending);
        }
        let applied = types::Outcome::from(Outcome::applied(None));
        Ok(database::Execution::Finished(applied))
    }
}

impl telemetry::Host for Guest {
    fn emit(&mut self, event: types::Event) -> wasmtime::Result<()> {
        match event {
            types::Event::CommandPassedOver(_) => self.noticed.commands_passed_over += 1,
            types::Event::MergingEnded(place) => {
                let position = self.sources.position(place.into(), None);
                self.noticed.merging_ended.get_or_insert(position);
            }
            types::Event::Sealed(_) => {}
            types::Event::HookIgnored(event) => return self.hook_ignored(event),
            types::Event::BatchSkipped(event) => return self.batch_skipped(event),
        }
        Ok(())
    }
}

impl types::Host for Guest {}

impl ResourceLimiter for Guest {
    fn memory_growing(
        &mut self,
        _current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        if desired as u64 <= self.memory_bytes {
            self.used_bytes = desired as u64;
            return Ok(true);
        }
        let limit = self.memory_bytes;
        self.refuse(format!("sandbox memory of {desired} bytes exceeds the limit of {limit}"))
    }

    fn table_growing(
        &mut self,
        _current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(desired <= TABLE_ELEMENTS)
    }
}
