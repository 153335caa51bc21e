//! The hooks of a run: their names and policies, how each is called so that whatever it does stays
//! its own, and what the report is to say of them.

use std::{
    any::Any,
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    time::{Duration, Instant},
};

use super::{BatchInfo, Hook, HookError, HookPolicy, Outcome, SandboxedHook, Verdict};
use crate::{Error, ErrorKind, Result, batch::Batch, metrics::Instruments, sandbox::HookInstance};

/// The most bytes of a reason that are shown.
const MOST_OF_A_REASON: usize = 400;

/// What runs when a hook is called.
enum Runner {
    Native(Box<dyn Hook>),
    /// A component that has not been started.
    Waiting(Box<SandboxedHook>),
    Sandboxed(Box<HookInstance>),
}

struct Registered {
    name: String,
    policy: HookPolicy,
    runner: Runner,
}

/// The hooks of a run, in the order of registration.
#[derive(Default)]
pub(crate) struct Hooks {
    list: Vec<Registered>,
    told: Vec<Told>,
    changed: bool,
    /// Who is told how long each call took.
    instruments: Option<Instruments>,
    /// How long the calls took that nobody has asked about yet.
    spent: Duration,
}

/// What is told of a hook in the report.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Told {
    name: String,
    /// How often it failed and was passed over, and why the first time.
    pub(crate) ignored: u64,
    first_failure: String,
    /// How many batches it left out, and why the first one.
    skipped: u64,
    first_skip: String,
}

impl Hooks {
    pub(crate) fn add(&mut self, name: String, policy: HookPolicy, hook: impl Hook + 'static) {
        self.register(name, policy, Runner::Native(Box::new(hook)));
    }

    pub(crate) fn add_sandboxed(&mut self, name: String, policy: HookPolicy, hook: SandboxedHook) {
        self.register(name, policy, Runner::Waiting(Box::new(hook)));
    }

    fn register(&mut self, name: String, policy: HookPolicy, runner: Runner) {
        self.told.push(Told { name: name.clone(), ..Told::default() });
        self.list.push(Registered { name, policy, runner });
    }

    pub(crate) fn count(&self) -> u32 {
        u32::try_from(self.list.len()).unwrap_or(u32::MAX)
    }

    /// Tells these how long each call takes.
    pub(crate) fn measure_with(&mut self, instruments: Instruments) {
        self.instruments = Some(instruments);
    }

    /// How long calls took since this was asked last.
    pub(crate) fn take_spent(&mut self) -> Duration {
        std::mem::take(&mut self.spent)
    }

    fn note(&mut self, hook: u32, phase: &'static str, started: Instant) {
        let elapsed = started.elapsed();
        self.spent += elapsed;
        if let (Some(instruments), Some(hook)) = (&self.instruments, self.list.get(hook as usize)) {
            instruments.hook(&hook.name, phase, elapsed);
        }
    }

    /// Names and policies, in their order.
    pub(crate) fn known(&self) -> impl Iterator<Item = (&str, HookPolicy)> {
        self.list.iter().map(|hook| (hook.name.as_str(), hook.policy))
    }

    /// Starts those that are components, which may give bodies of so many bytes, so that one that
    /// cannot be used is known before the run begins.
    pub(crate) fn start(&mut self, max_body_bytes: u64) -> Result<()> {
        for hook in &mut self.list {
            let Runner::Waiting(component) = &hook.runner else { continue };
            let started = HookInstance::start(component, max_body_bytes).map_err(|reason| {
                let reason = one_line(&reason);
                let message = format!("hook {:?} cannot be used: {reason}", hook.name);
                Error::new(ErrorKind::InvalidOptions, message)
            })?;
            hook.runner = Runner::Sandboxed(Box::new(started));
        }
        Ok(())
    }

    /// Asks one hook. What went wrong is one line.
    pub(crate) fn pre_batch(&mut self, hook: u32, batch: Batch) -> Result<Verdict, String> {
        let started = Instant::now();
        let answer = match self.runner(hook)? {
            Runner::Native(native) => caught(|| native.pre_batch(&batch)),
            Runner::Sandboxed(instance) => instance.pre_batch(batch),
            Runner::Waiting(_) => Err("it was not started".to_owned()),
        };
        self.note(hook, "pre", started);
        match answer {
            Ok(Verdict::Skip(reason)) => Ok(Verdict::Skip(one_line(&reason))),
            Ok(Verdict::Abort(reason)) => Ok(Verdict::Abort(one_line(&reason))),
            Ok(verdict) => Ok(verdict),
            Err(reason) => Err(one_line(&reason)),
        }
    }

    /// Tells one hook. What went wrong is one line.
    pub(crate) fn post_batch(
        &mut self,
        hook: u32,
        batch: &BatchInfo,
        outcome: &Outcome,
    ) -> Result<(), String> {
        let started = Instant::now();
        let answer = match self.runner(hook)? {
            Runner::Native(native) => caught(|| native.post_batch(batch, outcome)),
            Runner::Sandboxed(instance) => instance.post_batch(batch, outcome),
            Runner::Waiting(_) => Err("it was not started".to_owned()),
        };
        self.note(hook, "post", started);
        answer.map_err(|reason| one_line(&reason))
    }

    fn runner(&mut self, hook: u32) -> Result<&mut Runner, String> {
        let registered = self.list.get_mut(hook as usize);
        registered.map(|hook| &mut hook.runner).ok_or_else(|| "it does not exist".to_owned())
    }

    /// A hook failed and was passed over.
    pub(crate) fn ignored(&mut self, hook: u32, reason: String) {
        let Some(told) = self.told.get_mut(hook as usize) else { return };
        told.ignored += 1;
        self.changed = true;
        if told.ignored == 1 {
            told.first_failure = reason;
        }
    }

    /// A hook left a batch out.
    pub(crate) fn skipped(&mut self, hook: u32, reason: String) {
        let Some(told) = self.told.get_mut(hook as usize) else { return };
        told.skipped += 1;
        self.changed = true;
        if told.skipped == 1 {
            told.first_skip = reason;
        }
    }

    /// What there is to tell, where that has changed.
    pub(crate) fn news(&mut self) -> Option<Vec<Told>> {
        std::mem::take(&mut self.changed).then(|| self.told.clone())
    }
}

impl Told {
    /// What a user should know, one line each.
    pub(crate) fn notes(&self) -> impl Iterator<Item = String> {
        let Self { name, ignored, first_failure, skipped, first_skip } = self;
        let failed = (*ignored > 0).then(|| {
            let times = counted(*ignored, "time", "times");
            format!("hook {name:?} failed and was passed over {times}, first: {first_failure}")
        });
        let left_out = (*skipped > 0).then(|| {
            let batches = counted(*skipped, "batch", "batches");
            format!("hook {name:?} left out {batches}, first: {first_skip}")
        });
        failed.into_iter().chain(left_out)
    }
}

/// `1 batch`, `2 batches`.
fn counted(count: u64, one: &str, several: &str) -> String {
    match count {
        1 => format!("1 {one}"),
        _ => format!("{count} {several}"),
    }
}

/// Calls a native hook; a panic is an error like others.
fn caught<T>(call: impl FnOnce() -> Result<T, HookError>) -> Result<T, String> {
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(answer) => answer.map_err(|error| error.to_string()),
        Err(panic) => Err(format!("it panicked: {}", panic_text(&*panic))),
    }
}

fn panic_text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}

/// What a hook says, as one line without control characters: it may be written to a terminal.
fn one_line(text: &str) -> String {
    let end = text.floor_char_boundary(MOST_OF_A_REASON);
    let shown = text.get(..end).unwrap_or_default();
    let shown = shown.replace(char::is_control, " ");
    let mut line = shown.trim().to_owned();
    if end < text.len() {
        line.push('…');
    }
    line
}

impl fmt::Debug for Hooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.known()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{batch::tests::batch, hooks::before};

    #[test]
    fn a_panic_is_the_hooks_failure_and_the_hook_can_be_called_again() {
        let mut hooks = Hooks::default();
        let mut calls = 0;
        let hook = before(move |_| {
            calls += 1;
            assert!(calls > 1, "call {calls}");
            Ok(Verdict::Proceed)
        });
        hooks.add("a".into(), HookPolicy::Ignore, hook);
        let failed = hooks.pre_batch(0, batch(&["SELECT 1"])).unwrap_err();
        assert_eq!(failed, "it panicked: call 1");
        assert_eq!(hooks.pre_batch(0, batch(&["SELECT 1"])), Ok(Verdict::Proceed));
    }

    #[test]
    fn what_a_hook_says_is_one_short_line_that_cannot_drive_a_terminal() {
        assert_eq!(one_line("a\nb\u{1b}[2Jc "), "a b [2Jc");
        let long = one_line(&"é".repeat(300));
        assert_eq!(long.chars().count(), 201);
        assert!(long.ends_with('…'));
    }

    #[test]
    fn the_first_reason_and_the_number_are_told() {
        let mut hooks = Hooks::default();
        hooks.add("a".into(), HookPolicy::Ignore, before(|_| Ok(Verdict::Proceed)));
        assert_eq!(hooks.news(), None);
        hooks.ignored(0, "one".into());
        hooks.ignored(0, "two".into());
        hooks.skipped(0, "three".into());
        let notes: Vec<String> = hooks.news().unwrap()[0].notes().collect();
        assert_eq!(
            notes,
            [
                "hook \"a\" failed and was passed over 2 times, first: one",
                "hook \"a\" left out 1 batch, first: three"
            ]
        );
        assert_eq!(hooks.news(), None);
    }
}
