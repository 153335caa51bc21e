//! The hooks as the batching component calls them: it says when, the host has them and does not take
//! its word for it. A batch that no hook was shown is not executed.

use std::time::Instant;

use super::{
    Guest,
    bindings::{sql_batcher::core::hooks, types},
    broken,
};
use crate::{
    batch::Batch,
    hooks::{BatchInfo, HookPolicy, Outcome, Verdict},
};

impl hooks::Host for Guest {
    fn pre_batch(
        &mut self,
        hook: u32,
        batch: types::Batch,
    ) -> wasmtime::Result<Result<types::Verdict, String>> {
        let started = Instant::now();
        let batch = Batch::shown(batch);
        if let Err(violation) = self.checks.asked(hook, &batch) {
            return self.refuse(broken(&violation));
        }
        let answer = self.hooks.pre_batch(hook, batch);
        match &answer {
            Ok(Verdict::Replace(body)) => self.checks.replaced(body),
            Ok(Verdict::Skip(_)) => self.checks.may_skip = true,
            Ok(Verdict::Abort(_)) => self.checks.stopped = true,
            Ok(_) => {}
            Err(_) => self.checks.stopped |= self.ends_run(hook),
        }
        self.hook_time += started.elapsed();
        Ok(answer.map(types::Verdict::from))
    }

    fn post_batch(
        &mut self,
        hook: u32,
        batch: types::BatchInfo,
        outcome: types::Outcome,
    ) -> wasmtime::Result<Result<(), String>> {
        let started = Instant::now();
        let under_way = match self.checks.told(hook, batch.id) {
            Ok(under_way) => under_way,
            Err(violation) => return self.refuse(broken(&violation)),
        };
        let from = under_way.map(|place| self.sources.position(place, Some(batch.id)));
        let batch = BatchInfo { from, ..BatchInfo::from(batch) };
        let outcome = Outcome::of(outcome, batch.statements);
        let answer = self.hooks.post_batch(hook, &batch, &outcome);
        if answer.is_err() {
            self.checks.stopped |= self.ends_run(hook);
        }
        self.hook_time += started.elapsed();
        Ok(answer)
    }
}

impl Guest {
    fn ends_run(&self, hook: u32) -> bool {
        let policy = self.hooks.known().nth(hook as usize).map(|(_, policy)| policy);
        policy == Some(HookPolicy::Abort)
    }

    /// The component has passed over what a hook has failed to say.
    pub(super) fn hook_ignored(&mut self, event: types::HookEvent) -> wasmtime::Result<()> {
        if self.ends_run(event.hook) {
            let fact = format!("hook {} may not be passed over", event.hook);
            return self.refuse(broken(&fact));
        }
        self.checks.ignored();
        self.hooks.ignored(event.hook, event.reason);
        Ok(())
    }

    /// The component has left out the batch that a hook wanted left out.
    pub(super) fn batch_skipped(&mut self, event: types::HookEvent) -> wasmtime::Result<()> {
        if let Err(violation) = self.checks.skipped(event.batch) {
            return self.refuse(broken(&violation));
        }
        self.hooks.skipped(event.hook, event.reason);
        Ok(())
    }
}
