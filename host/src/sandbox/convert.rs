//! Conversions between the types of the contract, as they are generated, and those of the host.

use sql_batcher_adapters::{CopyPart, Dialect, Scope};

use super::{
    bindings::types as wit,
    handed::{Body, Text},
};
use crate::{
    Error, ErrorKind, Transactions,
    account::Account,
    batch::{Batch, Forms, Join, Place, SealReason, StatementKind, Stretch},
    options::{Merging, Settings},
    progress::{Cause, Interruption, Outcome, Progress, SessionFailure},
};

impl From<&Settings> for wit::Options {
    fn from(settings: &Settings) -> Self {
        Self {
            dialect: settings.dialect.into(),
            limits: wit::Limits {
                max_batch_bytes: settings.max_bytes,
                max_batch_characters: settings.max_characters,
                max_statement_bytes: settings.max_statement_bytes,
                max_statements: settings.max_statements,
                max_commands: settings.max_commands,
                max_rows: settings.max_rows,
                max_age_ms: settings
                    .max_age
                    .map(|age| u64::try_from(age.as_millis()).unwrap_or(u64::MAX)),
                max_in_flight: settings.max_handed_out(),
                sequential: settings.max_in_flight == 1,
            },
            oversized: match settings.send_alone_bytes {
                None => wit::Oversized::Refuse,
                Some(bytes) => wit::Oversized::SendAlone(bytes),
            },
            transactions: match settings.transactions {
                Transactions::Batch => wit::Transactions::Batch,
                Transactions::Run => wit::Transactions::Run,
                Transactions::None => wit::Transactions::None,
            },
            merging: settings.merging.map(|Merging { max_rows, locates_rows, joins_conflicts }| {
                wit::Merging { max_rows, locates_rows, joins_conflicts }
            }),
            hooks: Vec::new(),
            hook_room: settings.hook_room,
        }
    }
}

impl From<Dialect> for wit::Dialect {
    fn from(dialect: Dialect) -> Self {
        match dialect {
            Dialect::Sqlite => Self::Sqlite,
            Dialect::PostgreSql => Self::Postgresql,
            Dialect::MySql => Self::Mysql,
            Dialect::Trino => Self::Trino,
            Dialect::Snowflake => Self::Snowflake,
            _ => Self::Generic,
        }
    }
}

impl From<Outcome> for wit::Outcome {
    fn from(outcome: Outcome) -> Self {
        let Outcome { settled, rejected, rows, interruption } = outcome;
        Self { settled, rejected, rows, interruption: interruption.map(wit::Interruption::from) }
    }
}

impl From<Interruption> for wit::Interruption {
    fn from(interruption: Interruption) -> Self {
        let Interruption { cause, statements, statement } = interruption;
        let cause = match cause {
            Cause::Failed => wit::Cause::Failed,
            Cause::Unknown => wit::Cause::Unknown,
            Cause::Cancelled => wit::Cause::Cancelled,
        };
        Self { cause, statements, statement }
    }
}

impl Batch {
    /// A batch that is to be executed.
    pub(super) fn executed(batch: wit::Batch) -> Self {
        Self::of(batch, Forms::sent)
    }

    /// A batch that is shown to a hook.
    pub(super) fn shown(batch: wit::Batch) -> Self {
        Self::of(batch, Forms::apart)
    }

    fn of(batch: wit::Batch, form: impl FnOnce(Vec<u8>, Vec<u32>, &[Join]) -> Forms) -> Self {
        let (body, is_text, is_ascii) = match batch.body {
            Body::Text(Text { bytes, is_ascii }) => (bytes, true, is_ascii),
            Body::Bytes(bytes) => (bytes, false, false),
        };
        let joins = batch.joins.0;
        Self {
            id: batch.id,
            first_statement: batch.first_statement,
            forms: form(body, batch.ends, &joins),
            is_text,
            is_ascii,
            stretches: batch.stretches.into_iter().map(Stretch::from).collect(),
            rows: batch.rows,
            joins,
            scope: match batch.scope {
                wit::Scope::Atomic => Scope::Atomic,
                wit::Scope::Bare => Scope::Bare,
                wit::Scope::Scripted => Scope::Scripted,
            },
            ends_transaction: batch.ends_transaction,
            copy: batch.copy.map(|part| match part {
                wit::CopyPart::Whole => CopyPart::Whole,
                wit::CopyPart::First => CopyPart::First,
                wit::CopyPart::Middle => CopyPart::Middle,
                wit::CopyPart::Last => CopyPart::Last,
            }),
            sealed_by: batch.sealed_by.into(),
        }
    }
}

impl From<wit::Stretch> for Stretch {
    fn from(stretch: wit::Stretch) -> Self {
        let wit::Stretch { first, offset, line, column, terminator, kind } = stretch;
        Self { first, offset, line, column, terminator, kind: kind.into() }
    }
}

impl From<wit::Join> for Join {
    fn from(join: wit::Join) -> Self {
        let wit::Join { first, statements, prefix, tail } = join;
        Self { first, statements, prefix, tail }
    }
}

impl From<wit::Kind> for StatementKind {
    fn from(kind: wit::Kind) -> Self {
        match kind {
            wit::Kind::Select => Self::Select,
            wit::Kind::Insert => Self::Insert,
            wit::Kind::Replace => Self::Replace,
            wit::Kind::Update => Self::Update,
            wit::Kind::Delete => Self::Delete,
            wit::Kind::Merge => Self::Merge,
            wit::Kind::Copy => Self::Copy,
            wit::Kind::Create => Self::Create,
            wit::Kind::Alter => Self::Alter,
            wit::Kind::Drop => Self::Drop,
            wit::Kind::Truncate => Self::Truncate,
            wit::Kind::Grant => Self::Grant,
            wit::Kind::Set => Self::Set,
            wit::Kind::Begin => Self::Begin,
            wit::Kind::Commit => Self::Commit,
            wit::Kind::Rollback => Self::Rollback,
            wit::Kind::Savepoint => Self::Savepoint,
            wit::Kind::Lock => Self::Lock,
            wit::Kind::Call => Self::Call,
            wit::Kind::Maintain => Self::Maintain,
            wit::Kind::Other => Self::Other,
        }
    }
}

impl From<wit::SealReason> for SealReason {
    fn from(reason: wit::SealReason) -> Self {
        match reason {
            wit::SealReason::Bytes => Self::Bytes,
            wit::SealReason::Statements => Self::Statements,
            wit::SealReason::Rows => Self::Rows,
            wit::SealReason::Age => Self::Age,
            wit::SealReason::Alone => Self::Alone,
            wit::SealReason::Transaction => Self::Transaction,
            wit::SealReason::Flush => Self::Flush,
            wit::SealReason::Finish => Self::Finish,
            wit::SealReason::Refusal => Self::Refusal,
        }
    }
}

impl From<wit::Progress> for Progress {
    fn from(progress: wit::Progress) -> Self {
        Self {
            in_flight: progress.in_flight,
            ready: progress.ready,
            deadline_ms: progress.deadline_ms,
            failure: progress.failure.map(SessionFailure::from),
            account: progress.report.map(Account::from),
        }
    }
}

impl From<wit::Failure> for SessionFailure {
    fn from(failure: wit::Failure) -> Self {
        Self {
            kind: match failure.kind {
                wit::FailureKind::InvalidOptions => Some(ErrorKind::InvalidOptions),
                wit::FailureKind::InvalidQuery => Some(ErrorKind::InvalidQuery),
                wit::FailureKind::BatchSizeExceeded => Some(ErrorKind::BatchSizeExceeded),
                wit::FailureKind::Hook => Some(ErrorKind::Hook),
                wit::FailureKind::Execution => None,
                wit::FailureKind::Misuse => Some(ErrorKind::Sandbox),
            },
            message: failure.message,
            at: failure.at.map(Place::from),
            batch: failure.batch,
        }
    }
}

/// Where a session could not be opened: there is no input yet, and so no place.
impl From<wit::Failure> for Error {
    fn from(failure: wit::Failure) -> Self {
        let SessionFailure { kind, message, .. } = failure.into();
        Self::new(kind.unwrap_or(ErrorKind::Sandbox), message)
    }
}

impl From<wit::Position> for Place {
    fn from(position: wit::Position) -> Self {
        let wit::Position { statement, offset, line, column } = position;
        Self { statement, offset, line, column }
    }
}

impl From<wit::Report> for Account {
    fn from(report: wit::Report) -> Self {
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
