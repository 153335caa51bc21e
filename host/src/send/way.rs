//! Where the ledger's row of a piece is written.

use std::ops::Range;

use sql_batcher_adapters::{CopyPart, Scope};

use crate::{
    batch::{Batch, StatementKind},
    ledger::{Row, State, commits_before, row_of},
};

/// What rows are written with the pieces of a batch.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Rows {
    /// None: there is no ledger.
    None,
    /// One for each piece that is applied by itself.
    Each {
        /// The row that is to be written with it and stands for earlier batches, too.
        span: Option<Row>,
        /// Whether the whole run is one transaction.
        spans_run: bool,
    },
}

/// Where the row of a piece is written.
#[derive(Debug)]
pub(super) enum Way {
    /// Nowhere: it has none.
    Plain,
    /// Before the statement of this index in the piece, in the same request.
    Within(Row, usize),
    /// Before and after the statement, which cannot share a transaction with it.
    Around(Row),
    /// After what the last statement commits before it is applied itself.
    Split(Option<Row>),
    /// After the data of a `COPY`.
    Copy(Option<Row>),
    /// Nowhere, and so it is not sent: the statement of this index in the batch is of a
    /// distributed transaction.
    Refused(usize),
}

impl Way {
    pub(super) fn of(batch: &Batch, range: Range<usize>, rows: Rows) -> Self {
        let Rows::Each { span, spans_run } = rows else { return Self::Plain };
        if batch.copy.is_some() {
            return Self::of_copy(batch, span, spans_run);
        }
        let row = || row_of(batch, range.clone(), State::Applied);
        match batch.scope {
            Scope::Atomic => Self::Within(row(), 0),
            Scope::Bare if is_of_session(batch, range.clone()) => Self::Plain,
            Scope::Bare => Self::Around(row()),
            Scope::Scripted if spans_run => Self::Within(row(), 0),
            Scope::Scripted => match range.clone().find(|index| is_distributed(batch, *index)) {
                Some(index) => Self::Refused(index),
                None => Self::of_transaction(batch, range.len(), span),
            },
        }
    }

    fn of_copy(batch: &Batch, span: Option<Row>, spans_run: bool) -> Self {
        let whole = batch.copy == Some(CopyPart::Whole);
        let has_own = batch.scope != Scope::Scripted || spans_run;
        let own = || row_of(batch, 0..1, State::Applied);
        Self::Copy(span.or_else(|| (whole && has_own).then(own)))
    }

    fn of_transaction(batch: &Batch, statements: usize, span: Option<Row>) -> Self {
        if commits_before(batch) {
            return Self::Split(span);
        }
        let Some(row) = span else { return Self::Plain };
        match batch.last_kind() {
            Some(StatementKind::Rollback) => Self::Within(row, statements),
            _ => Self::Within(row, statements.saturating_sub(1)),
        }
    }
}

/// Whether it only changes the session, which is done again for each new one.
fn is_of_session(batch: &Batch, range: Range<usize>) -> bool {
    use StatementKind::{Begin, Lock, Savepoint, Select, Set};
    let mut stretches = batch.stretches_of(range);
    stretches.all(|(stretch, _)| matches!(stretch.kind, Begin | Lock | Savepoint | Select | Set))
}

fn is_distributed(batch: &Batch, index: usize) -> bool {
    let kinds = [StatementKind::Begin, StatementKind::Commit];
    let text = batch.statement(index).unwrap_or_default();
    let text = text.trim_ascii_start();
    let starts =
        |word: &[u8]| text.get(..word.len()).is_some_and(|head| head.eq_ignore_ascii_case(word));
    batch.kind(index).is_some_and(|kind| kinds.contains(&kind))
        && (starts(b"XA ") || starts(b"PREPARE "))
}
