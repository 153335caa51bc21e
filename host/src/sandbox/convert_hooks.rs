//! Conversions of what hooks see and say, between the types of the contract and those of the host.

use sql_batcher_adapters::{CopyPart, Scope};

use super::hook::types as wit;
use crate::{
    batch::{Batch, Join, SealReason, StatementKind, Stretch},
    hooks::{BatchInfo, Ending, HookPolicy, Outcome, Verdict},
};

/// Conversions of an enumeration, from the left side's cases to the right side's.
macro_rules! cases {
    ($from:ty => $into:ty { $($case:ident),* $(,)? }) => {
        impl From<$from> for $into {
            fn from(case: $from) -> Self {
                match case {
                    $(<$from>::$case => <$into>::$case,)*
                }
            }
        }
    };
}

cases!(StatementKind => wit::Kind {
    Select, Insert, Replace, Update, Delete, Merge, Copy, Create, Alter, Drop, Truncate, Grant,
    Set, Begin, Commit, Rollback, Savepoint, Lock, Call, Maintain, Other,
});

cases!(SealReason => wit::SealReason {
    Bytes, Statements, Rows, Age, Alone, Transaction, Flush, Finish, Refusal,
});

cases!(HookPolicy => wit::HookPolicy { Abort, Ignore });

impl From<(&str, HookPolicy)> for wit::HookOptions {
    fn from((name, policy): (&str, HookPolicy)) -> Self {
        Self { name: name.to_owned(), policy: policy.into() }
    }
}

impl From<Batch> for wit::Batch {
    fn from(batch: Batch) -> Self {
        Self {
            id: batch.id,
            first_statement: batch.first_statement,
            body: body(batch.body().to_vec(), batch.is_text),
            ends: batch.ends().to_vec(),
            stretches: batch.stretches.into_iter().map(wit::Stretch::from).collect(),
            rows: batch.rows,
            joins: batch.joins.into_iter().map(wit::Join::from).collect(),
            scope: match batch.scope {
                Scope::Atomic => wit::Scope::Atomic,
                Scope::Bare => wit::Scope::Bare,
                Scope::Scripted => wit::Scope::Scripted,
            },
            ends_transaction: batch.ends_transaction,
            copy: batch.copy.map(|part| match part {
                CopyPart::Whole => wit::CopyPart::Whole,
                CopyPart::First => wit::CopyPart::First,
                CopyPart::Middle => wit::CopyPart::Middle,
                CopyPart::Last => wit::CopyPart::Last,
            }),
            sealed_by: batch.sealed_by.into(),
        }
    }
}

impl From<Stretch> for wit::Stretch {
    fn from(stretch: Stretch) -> Self {
        let Stretch { first, offset, line, column, terminator, kind } = stretch;
        Self { first, offset, line, column, terminator, kind: kind.into() }
    }
}

impl From<Join> for wit::Join {
    fn from(join: Join) -> Self {
        let Join { first, statements, prefix, tail } = join;
        Self { first, statements, prefix, tail }
    }
}

/// A body that may be text: what is not UTF-8 crosses as bytes.
fn body(bytes: Vec<u8>, may_be_text: bool) -> wit::Body {
    if !may_be_text {
        return wit::Body::Bytes(bytes);
    }
    match String::from_utf8(bytes) {
        Ok(text) => wit::Body::Text(text),
        Err(error) => wit::Body::Bytes(error.into_bytes()),
    }
}

impl From<wit::Verdict> for Verdict {
    fn from(verdict: wit::Verdict) -> Self {
        match verdict {
            wit::Verdict::Proceed => Self::Proceed,
            wit::Verdict::Replace(wit::Body::Text(text)) => Self::Replace(text.into_bytes()),
            wit::Verdict::Replace(wit::Body::Bytes(bytes)) => Self::Replace(bytes),
            wit::Verdict::Skip(reason) => Self::Skip(reason),
            wit::Verdict::Abort(reason) => Self::Abort(reason),
        }
    }
}

impl From<Verdict> for wit::Verdict {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Proceed => Self::Proceed,
            Verdict::Replace(bytes) => Self::Replace(body(bytes, true)),
            Verdict::Skip(reason) => Self::Skip(reason),
            Verdict::Abort(reason) => Self::Abort(reason),
        }
    }
}

impl From<wit::BatchInfo> for BatchInfo {
    fn from(info: wit::BatchInfo) -> Self {
        Self {
            id: info.id,
            first_statement: info.first_statement,
            statements: info.statements,
            bytes: info.bytes,
            sealed_by: info.sealed_by.into(),
            from: None,
        }
    }
}

impl From<&BatchInfo> for wit::BatchInfo {
    fn from(info: &BatchInfo) -> Self {
        Self {
            id: info.id,
            first_statement: info.first_statement,
            statements: info.statements,
            bytes: info.bytes,
            sealed_by: info.sealed_by.into(),
        }
    }
}

impl Outcome {
    /// The outcome of a batch of so many statements.
    pub(super) fn of(outcome: wit::Outcome, statements: u32) -> Self {
        let ending = match &outcome.interruption {
            None => Ending::Applied,
            Some(interruption) => match interruption.cause {
                wit::Cause::Failed => Ending::Failed,
                wit::Cause::Unknown => Ending::Unknown,
                wit::Cause::Cancelled => Ending::Cancelled,
            },
        };
        let settled = match ending {
            Ending::Applied => statements,
            _ => outcome.settled,
        };
        let interruption = outcome.interruption;
        Self {
            ending,
            settled,
            rejected: outcome.rejected,
            interrupted: interruption.map_or(0, |interruption| interruption.statements),
            fault: interruption.and_then(|interruption| interruption.statement),
            rows: outcome.rows,
        }
    }
}

impl From<&Outcome> for wit::Outcome {
    fn from(outcome: &Outcome) -> Self {
        let cause = match outcome.ending {
            Ending::Applied => None,
            Ending::Failed => Some(wit::Cause::Failed),
            Ending::Unknown => Some(wit::Cause::Unknown),
            Ending::Cancelled => Some(wit::Cause::Cancelled),
        };
        Self {
            settled: outcome.settled,
            rejected: outcome.rejected.clone(),
            rows: outcome.rows,
            interruption: cause.map(|cause| wit::Interruption {
                cause,
                statements: outcome.interrupted,
                statement: outcome.fault,
            }),
        }
    }
}
