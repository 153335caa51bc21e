//! The sequence of hooks around a batch: forward before it, backward after it.

use crate::filling::{Sealed, is_barrier};
use crate::replace::replace;
use crate::types::{
    Batch, BatchInfo, CopyPart, Event, Failure, FailureKind, HookEvent, HookOptions, HookPolicy,
    Host, Options, Outcome, Scope, Transactions, Verdict,
};

/// What the hooks make of a batch before it is executed.
pub(crate) enum Decision {
    Execute,
    Skip,
    Stop(Failure),
}

/// A hook that failed: what kind of failure that is, and the facts.
pub(crate) type Fault = (FailureKind, String);

/// Lets every hook look at the batch, in order. A verdict that may not be is a failure of its hook.
pub(crate) fn before(host: &mut impl Host, options: &Options, sealed: &mut Sealed) -> Decision {
    if options.hooks.is_empty() {
        return Decision::Execute;
    }
    let batch = sealed.batch.id;
    // They are shown the statements of the script.
    let apart = sealed.batch.apart();
    let mut replaced: Option<Batch> = None;
    for (hook, known) in numbered(&options.hooks) {
        let shown = replaced.as_ref().unwrap_or(&apart);
        let fault = match host.pre_batch(hook, shown) {
            Ok(Verdict::Proceed) => continue,
            Ok(Verdict::Skip(reason)) => match may_skip(options, sealed) {
                Ok(()) => {
                    host.emit(Event::BatchSkipped(HookEvent { hook, batch, reason }));
                    return Decision::Skip;
                }
                Err(fact) => (FailureKind::Hook, fact.to_owned()),
            },
            Ok(Verdict::Abort(reason)) => {
                let message = format!("hook {:?} ended the run: {reason}", known.name);
                return Decision::Stop(Failure::new(FailureKind::Hook, message).in_batch(batch));
            }
            Ok(Verdict::Replace(body)) => match replace(options, shown, sealed.reading, body) {
                Ok(other) => {
                    replaced = other.or(replaced);
                    continue;
                }
                Err(fault) => fault,
            },
            Err(reason) => (FailureKind::Hook, reason),
        };
        if let Some(failure) = failed(host, (hook, known), batch, fault) {
            return Decision::Stop(failure);
        }
    }
    if let Some(replaced) = replaced {
        sealed.batch = replaced.into_sent();
        sealed.barrier = is_barrier(&sealed.batch, options.limits.sequential);
    }
    Decision::Execute
}

/// Tells every hook how the batch ended, in reverse order.
pub(crate) fn after(
    host: &mut impl Host,
    hooks: &[HookOptions],
    info: BatchInfo,
    outcome: &Outcome,
) -> Option<Failure> {
    let mut failure = None;
    for hook in numbered(hooks).rev() {
        let Err(reason) = host.post_batch(hook.0, info, outcome) else { continue };
        let ended = failed(host, hook, info.id, (FailureKind::Hook, reason));
        failure = failure.or(ended);
    }
    failure
}

/// What follows from the failure of a hook; none where the run goes on without it.
fn failed(
    host: &mut impl Host,
    (hook, known): (u32, &HookOptions),
    batch: u64,
    (kind, reason): Fault,
) -> Option<Failure> {
    match known.policy {
        HookPolicy::Ignore => {
            host.emit(Event::HookIgnored(HookEvent { hook, batch, reason }));
            None
        }
        HookPolicy::Abort => {
            let message = format!("hook {:?} failed: {reason}", known.name);
            Some(Failure::new(kind, message).in_batch(batch))
        }
    }
}

/// Whether the script means the same to what follows without this batch.
fn may_skip(options: &Options, sealed: &Sealed) -> Result<(), &'static str> {
    let batch = &sealed.batch;
    if batch.scope == Scope::Scripted && options.transactions != Transactions::Run {
        return Err("part of a transaction of the script's own cannot be skipped");
    }
    if batch.copy.is_some_and(|part| part != CopyPart::Whole) {
        return Err("part of a copy cannot be skipped");
    }
    if sealed.reading.changes {
        return Err("a setting that changes how strings are read cannot be skipped");
    }
    Ok(())
}

fn numbered(
    hooks: &[HookOptions],
) -> impl DoubleEndedIterator<Item = (u32, &HookOptions)> + ExactSizeIterator {
    hooks.iter().enumerate().map(|(index, hook)| (index as u32, hook))
}
