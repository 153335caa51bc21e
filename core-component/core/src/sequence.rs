//! The sequence of hooks around a batch: forward before it, backward after it.

use crate::dialect::Dialect;
use crate::filling::Sealed;
use crate::splitter::{Item, Splitter};
use crate::types::{
    Batch, BatchInfo, Body, Event, Failure, FailureKind, HookPolicy, Host, Options, Outcome,
    Verdict,
};

/// What the hooks make of a batch before it is executed.
pub(crate) enum Decision {
    Execute,
    Skip,
    Stop(Failure),
}

/// Lets every hook look at the batch, in order. A replaced body is split and sized again.
pub(crate) fn before(host: &mut impl Host, options: &Options, sealed: &mut Sealed) -> Decision {
    for (hook, policy) in numbered(&options.hooks) {
        let id = sealed.batch.id;
        let fault = match host.pre_batch(hook, &sealed.batch) {
            Ok(Verdict::Proceed) => continue,
            Ok(Verdict::Skip(_)) => {
                host.emit(Event::BatchSkipped { hook, batch: id });
                return Decision::Skip;
            }
            Ok(Verdict::Abort(reason)) => {
                let message = format!("hook {} ended the run: {reason}", hook + 1);
                return Decision::Stop(Failure::new(FailureKind::Hook, message).in_batch(id));
            }
            Ok(Verdict::Replace(body)) => match replace(options, &mut sealed.batch, body) {
                Ok(()) => continue,
                Err((kind, reason)) => {
                    let message = format!("hook {}: {reason}", hook + 1);
                    return Decision::Stop(Failure::new(kind, message).in_batch(id));
                }
            },
            Err(reason) => format!("hook {} failed: {reason}", hook + 1),
        };
        match policy {
            HookPolicy::Ignore => host.emit(Event::HookIgnored { hook, batch: id }),
            HookPolicy::Abort => {
                return Decision::Stop(Failure::new(FailureKind::Hook, fault).in_batch(id));
            }
        }
    }
    Decision::Execute
}

/// Tells every hook how the batch ended, in reverse order.
pub(crate) fn after(
    host: &mut impl Host,
    hooks: &[HookPolicy],
    info: BatchInfo,
    outcome: &Outcome,
) -> Option<Failure> {
    let mut failure = None;
    for (hook, policy) in numbered(hooks).rev() {
        let Err(reason) = host.post_batch(hook, info, outcome) else { continue };
        match policy {
            HookPolicy::Ignore => host.emit(Event::HookIgnored { hook, batch: info.id }),
            HookPolicy::Abort => {
                let message = format!("hook {} failed: {reason}", hook + 1);
                failure =
                    failure.or(Some(Failure::new(FailureKind::Hook, message).in_batch(info.id)));
            }
        }
    }
    failure
}

fn numbered(
    hooks: &[HookPolicy],
) -> impl DoubleEndedIterator<Item = (u32, HookPolicy)> + ExactSizeIterator {
    hooks.iter().enumerate().map(|(index, policy)| (index as u32, *policy))
}

fn replace(options: &Options, batch: &mut Batch, body: Body) -> Result<(), (FailureKind, String)> {
    if batch.copy.is_some() {
        return Err((FailureKind::Hook, "the data of a copy cannot be replaced".into()));
    }
    let bytes = body.as_bytes().len() as u64;
    let limit = options.limits.max_batch_bytes;
    if bytes > limit {
        let message = format!("replaced body of {bytes} bytes exceeds the limit of {limit}");
        return Err((FailureKind::BatchSizeExceeded, message));
    }
    let Some((ends, kinds)) = split(options.dialect, body.as_bytes()) else {
        return Err((FailureKind::Hook, "the replaced body is no script".into()));
    };
    if ends.len() != batch.ends.len() {
        // Which statement came from where is not known any more: all point to the first.
        let count = ends.len();
        first_for_all(&mut batch.offsets, count);
        first_for_all(&mut batch.lines, count);
        first_for_all(&mut batch.columns, count);
    }
    let starts = std::iter::once(0).chain(ends.iter().copied());
    batch.lengths = starts.zip(&ends).map(|(start, end)| end - start).collect();
    batch.ends = ends;
    batch.kinds = kinds;
    batch.body = body;
    Ok(())
}

fn first_for_all<T: Copy>(list: &mut Vec<T>, count: usize) {
    list.truncate(1);
    if let Some(first) = list.first().copied() {
        list.resize(count, first);
    }
}

/// The ends and kinds of the statements in a body; none where it is no script, or an empty one.
fn split(dialect: Dialect, body: &[u8]) -> Option<(Vec<u32>, Vec<crate::types::Kind>)> {
    let mut splitter = Splitter::new(dialect, body.len(), false);
    let (mut ends, mut kinds) = (Vec::new(), Vec::new());
    loop {
        match splitter.next(body, true) {
            Item::Statement(statement) if !statement.copy => {
                ends.push(u32::try_from(statement.after).ok()?);
                kinds.push(statement.class.kind);
            }
            Item::More => break,
            _ => return None,
        }
    }
    *ends.last_mut()? = u32::try_from(body.len()).ok()?;
    Some((ends, kinds))
}
