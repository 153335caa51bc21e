//! Conversions between the records of the contract and those of the core, field by field.

use sql_batcher_core as core;

use crate::bindings::sql_batcher::core::types as wit;

/// Conversions of an enumeration, from the left side's cases to the right side's.
macro_rules! cases {
    ($from:ty => $into:ty { $($left:ident => $right:ident),* $(,)? }) => {
        impl From<$from> for $into {
            fn from(case: $from) -> Self {
                match case {
                    $(<$from>::$left => <$into>::$right,)*
                }
            }
        }
    };
}

cases!(wit::Dialect => core::Dialect {
    Generic => Generic, Sqlite => Sqlite, Postgresql => PostgreSql, Mysql => MySql,
    Trino => Trino, Snowflake => Snowflake,
});

cases!(wit::Transactions => core::Transactions { Batch => Batch, Run => Run, None => None });

cases!(wit::HookPolicy => core::HookPolicy { Abort => Abort, Ignore => Ignore });

cases!(core::Kind => wit::Kind {
    Select => Select, Insert => Insert, Replace => Replace, Update => Update, Delete => Delete,
    Merge => Merge, Copy => Copy, Create => Create, Alter => Alter, Drop => Drop,
    Truncate => Truncate, Grant => Grant, Set => Set, Begin => Begin, Commit => Commit,
    Rollback => Rollback, Savepoint => Savepoint, Lock => Lock, Call => Call,
    Maintain => Maintain, Other => Other,
});

cases!(core::Scope => wit::Scope { Atomic => Atomic, Bare => Bare, Scripted => Scripted });

cases!(core::CopyPart => wit::CopyPart {
    Whole => Whole, First => First, Middle => Middle, Last => Last,
});

cases!(core::SealReason => wit::SealReason {
    Bytes => Bytes, Statements => Statements, Rows => Rows, Age => Age, Alone => Alone,
    Transaction => Transaction, Flush => Flush, Finish => Finish, Refusal => Refusal,
});

cases!(core::Cause => wit::Cause {
    Failed => Failed, Unknown => Unknown, Cancelled => Cancelled,
});

cases!(wit::Cause => core::Cause {
    Failed => Failed, Unknown => Unknown, Cancelled => Cancelled,
});

cases!(core::FailureKind => wit::FailureKind {
    InvalidOptions => InvalidOptions, InvalidQuery => InvalidQuery,
    BatchSizeExceeded => BatchSizeExceeded, Hook => Hook, Execution => Execution,
    Misuse => Misuse,
});

impl From<wit::Options> for core::Options {
    fn from(options: wit::Options) -> Self {
        let limits = options.limits;
        Self {
            dialect: options.dialect.into(),
            limits: core::Limits {
                max_batch_bytes: limits.max_batch_bytes,
                max_batch_characters: limits.max_batch_characters,
                max_statement_bytes: limits.max_statement_bytes,
                max_statements: limits.max_statements,
                max_commands: limits.max_commands,
                max_rows: limits.max_rows,
                max_age_ms: limits.max_age_ms,
                max_in_flight: limits.max_in_flight,
                sequential: limits.sequential,
            },
            oversized: match options.oversized {
                wit::Oversized::Refuse => core::Oversized::Refuse,
                wit::Oversized::SendAlone(bytes) => core::Oversized::SendAlone(bytes),
            },
            transactions: options.transactions.into(),
            merging: options.merging.map(|merging| core::Merging {
                max_rows: merging.max_rows,
                locates_rows: merging.locates_rows,
                joins_conflicts: merging.joins_conflicts,
            }),
            hooks: options
                .hooks
                .into_iter()
                .map(|hook| core::HookOptions { name: hook.name, policy: hook.policy.into() })
                .collect(),
            hook_room: options.hook_room,
        }
    }
}

impl From<wit::OutcomeResult> for core::Outcome {
    fn from(outcome: wit::OutcomeResult) -> Self {
        Self {
            settled: outcome.settled,
            rejected: outcome.rejected,
            rows: outcome.rows,
            interruption: outcome.interruption.map(core::Interruption::from),
        }
    }
}

impl<'a> From<&'a core::Outcome> for wit::OutcomeParam<'a> {
    fn from(outcome: &'a core::Outcome) -> Self {
        Self {
            settled: outcome.settled,
            rejected: &outcome.rejected,
            rows: outcome.rows,
            interruption: outcome.interruption.map(wit::Interruption::from),
        }
    }
}

impl From<wit::Interruption> for core::Interruption {
    fn from(interruption: wit::Interruption) -> Self {
        let wit::Interruption { cause, statements, statement } = interruption;
        Self { cause: cause.into(), statements, statement }
    }
}

impl From<core::Interruption> for wit::Interruption {
    fn from(interruption: core::Interruption) -> Self {
        let core::Interruption { cause, statements, statement } = interruption;
        Self { cause: cause.into(), statements, statement }
    }
}

/// The text of a batch, where it is UTF-8.
fn body(batch: &core::Batch) -> wit::BodyParam<'_> {
    let bytes = batch.body.as_slice();
    if batch.is_ascii {
        // SAFETY: what is ASCII is UTF-8. (The host checks it, too.)
        return wit::BodyParam::Text(unsafe { str::from_utf8_unchecked(bytes) });
    }
    match simdutf8::basic::from_utf8(bytes) {
        Ok(text) => wit::BodyParam::Text(text),
        Err(_) => wit::BodyParam::Bytes(bytes),
    }
}

fn bytes(body: wit::BodyResult) -> Vec<u8> {
    match body {
        wit::BodyResult::Text(text) => text.into_bytes(),
        wit::BodyResult::Bytes(bytes) => bytes,
    }
}

impl From<wit::Verdict> for core::Verdict {
    fn from(verdict: wit::Verdict) -> Self {
        match verdict {
            wit::Verdict::Proceed => Self::Proceed,
            wit::Verdict::Replace(body) => Self::Replace(bytes(body)),
            wit::Verdict::Skip(reason) => Self::Skip(reason),
            wit::Verdict::Abort(reason) => Self::Abort(reason),
        }
    }
}

/// What the contract has otherwise than the core of a batch.
pub(crate) struct Lists {
    stretches: Vec<wit::Stretch>,
    joins: Vec<wit::Join>,
}

impl Lists {
    pub(crate) fn of(batch: &core::Batch) -> Self {
        Self {
            stretches: batch.stretches.iter().copied().map(wit::Stretch::from).collect(),
            joins: batch.joins.iter().copied().map(wit::Join::from).collect(),
        }
    }

    /// The batch that they are of, as the contract has it.
    pub(crate) fn with<'a>(&'a self, batch: &'a core::Batch) -> wit::BatchParam<'a> {
        wit::BatchParam {
            id: batch.id,
            first_statement: batch.first_statement,
            body: body(batch),
            ends: &batch.ends,
            stretches: &self.stretches,
            rows: batch.rows,
            joins: &self.joins,
            scope: batch.scope.into(),
            ends_transaction: batch.ends_transaction,
            copy: batch.copy.map(wit::CopyPart::from),
            sealed_by: batch.sealed_by.into(),
        }
    }
}

impl From<core::Stretch> for wit::Stretch {
    fn from(stretch: core::Stretch) -> Self {
        let core::Stretch { first, offset, line, column, terminator, kind } = stretch;
        Self { first, offset, line, column, terminator, kind: kind.into() }
    }
}

impl From<core::Join> for wit::Join {
    fn from(join: core::Join) -> Self {
        let core::Join { first, statements, prefix, tail } = join;
        Self { first, statements, prefix, tail }
    }
}

impl From<core::BatchInfo> for wit::BatchInfo {
    fn from(info: core::BatchInfo) -> Self {
        Self {
            id: info.id,
            first_statement: info.first_statement,
            statements: info.statements,
            bytes: info.bytes,
            sealed_by: info.sealed_by.into(),
        }
    }
}

impl From<core::Position> for wit::Position {
    fn from(position: core::Position) -> Self {
        Self {
            statement: position.statement,
            offset: position.offset,
            line: position.line,
            column: position.column,
        }
    }
}

impl From<core::Failure> for wit::Failure {
    fn from(failure: core::Failure) -> Self {
        Self {
            kind: failure.kind.into(),
            message: failure.message,
            at: failure.at.map(wit::Position::from),
            batch: failure.batch,
        }
    }
}

impl From<core::Report> for wit::Report {
    fn from(report: core::Report) -> Self {
        Self {
            statements: report.statements,
            applied: report.applied,
            failed: report.failed,
            rolled_back: report.rolled_back,
            rejected: report.rejected,
            skipped: report.skipped,
            unknown: report.unknown,
            not_reached: report.not_reached,
            open: report.open,
            batches: report.batches,
            bytes: report.bytes,
            rows: report.rows,
            read: report.read,
        }
    }
}

impl From<core::Progress> for wit::Progress {
    fn from(progress: core::Progress) -> Self {
        Self {
            in_flight: progress.in_flight,
            ready: progress.ready,
            deadline_ms: progress.deadline_ms,
            failure: progress.failure.map(wit::Failure::from),
            report: progress.report.map(wit::Report::from),
        }
    }
}

impl<'a> From<&'a core::Event> for wit::Event<'a> {
    fn from(event: &'a core::Event) -> Self {
        match event {
            core::Event::Sealed(info) => Self::Sealed((*info).into()),
            core::Event::CommandPassedOver(position) => Self::CommandPassedOver((*position).into()),
            core::Event::MergingEnded(position) => Self::MergingEnded((*position).into()),
            core::Event::HookIgnored(event) => Self::HookIgnored(event.into()),
            core::Event::BatchSkipped(event) => Self::BatchSkipped(event.into()),
        }
    }
}

impl<'a> From<&'a core::HookEvent> for wit::HookEvent<'a> {
    fn from(event: &'a core::HookEvent) -> Self {
        let core::HookEvent { hook, batch, reason } = event;
        Self { hook: *hook, batch: *batch, reason }
    }
}
