//! What one row stands for where several batches are applied together: a transaction of the
//! script's own, or a `COPY` in parts. Fed with the batches in their order.

use sql_batcher_adapters::{CopyPart, Scope};

use super::{Digest, Row, State, digest::Growing};
use crate::batch::{Batch, StatementKind};

/// Follows what is open.
#[derive(Debug)]
pub(crate) struct Spans {
    /// Whether the whole run is one transaction: then each batch has a row of its own.
    spans_run: bool,
    open: Option<Row>,
    copy: Option<Growing>,
}

impl Spans {
    pub(crate) fn new(spans_run: bool) -> Self {
        Self { spans_run, open: None, copy: None }
    }

    /// Takes the next batch; gives the row that is to be written with it, where that stands for
    /// more than the batch. A definition that commits what is before it is not in it.
    pub(crate) fn next(&mut self, batch: &Batch) -> Option<Row> {
        let transaction = batch.scope == Scope::Scripted && !self.spans_run;
        let in_parts = is_in_parts(batch);
        if !transaction && !in_parts {
            return None;
        }
        let alone = usize::from(commits_before(batch));
        let range = 0..batch.statements() - alone.min(batch.statements());
        let row = self.open.get_or_insert_with(|| empty(batch));
        row.batch = batch.id;
        row.statements += range.len() as u64;
        if let Some(last) = range.end.checked_sub(1) {
            row.input.1 = end_of(batch, last);
        }
        if in_parts {
            let copy = self.copy.get_or_insert_with(|| Growing::new(batch.first_statement));
            copy.add_part(batch);
            if batch.copy == Some(CopyPart::Last)
                && let Some(copy) = self.copy.take()
            {
                row.checksum += copy.end();
            }
        } else {
            row.checksum += Digest::of(batch, range);
        }
        let ends = match transaction {
            true => batch.ends_transaction,
            false => batch.copy == Some(CopyPart::Last),
        };
        if ends { self.open.take().filter(|row| row.statements > 0) } else { None }
    }
}

/// The row of some statements of a batch that are applied together, by index.
pub(crate) fn row_of(batch: &Batch, range: std::ops::Range<usize>, state: State) -> Row {
    Row {
        first_statement: batch.first_statement + range.start as u64,
        statements: range.len() as u64,
        batch: batch.id,
        input: (
            batch.offset(range.start).unwrap_or_default(),
            range.end.checked_sub(1).map_or(0, |last| end_of(batch, last)),
        ),
        checksum: Digest::of(batch, range),
        state,
    }
}

fn empty(batch: &Batch) -> Row {
    Row { statements: 0, checksum: Digest::default(), ..row_of(batch, 0..0, State::Applied) }
}

fn end_of(batch: &Batch, index: usize) -> u64 {
    let length = batch.text(index).map_or(0, |text| text.len() as u64);
    batch.offset(index).unwrap_or_default() + length
}

fn is_in_parts(batch: &Batch) -> bool {
    matches!(batch.copy, Some(CopyPart::First | CopyPart::Middle | CopyPart::Last))
}

/// Whether the last statement of the batch ends a transaction by committing what is before it, as
/// MySQL's definitions do, and is then applied by itself.
pub(crate) fn commits_before(batch: &Batch) -> bool {
    use StatementKind::{Begin, Commit, Rollback, Savepoint, Set};
    let ends_as_written =
        |kind: StatementKind| matches!(kind, Begin | Commit | Rollback | Savepoint | Set);
    batch.ends_transaction && !batch.last_kind().is_some_and(ends_as_written)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::tests::{batch, rewrite};

    fn scripted(statements: &[&str], last: StatementKind, ends: bool) -> Batch {
        let mut batch = batch(statements);
        batch.scope = Scope::Scripted;
        batch.ends_transaction = ends;
        batch.stretches.last_mut().unwrap().kind = last;
        batch
    }

    #[test]
    fn a_transaction_over_several_batches_has_one_row() {
        let mut spans = Spans::new(false);
        let first = scripted(&["BEGIN", "INSERT 1"], StatementKind::Insert, false);
        let mut second = scripted(&["INSERT 2", "COMMIT"], StatementKind::Commit, true);
        (second.id, second.first_statement) = (2, 3);
        assert_eq!(spans.next(&first), None);
        let row = spans.next(&second).unwrap();
        assert_eq!((row.first_statement, row.statements, row.batch), (1, 4, 2));
        let mut sum = Digest::of(&first, 0..2);
        sum += Digest::of(&second, 0..2);
        assert_eq!(row.checksum, sum);
        assert!(spans.open.is_none());
    }

    #[test]
    fn a_definition_that_commits_is_not_in_the_row_before_it() {
        let mut spans = Spans::new(false);
        let both = scripted(&["BEGIN", "CREATE TABLE t (a INT)"], StatementKind::Create, true);
        assert_eq!(spans.next(&both).unwrap().statements, 1);
        let alone = scripted(&["CREATE TABLE t (a INT)"], StatementKind::Create, true);
        assert_eq!(spans.next(&alone), None);
    }

    #[test]
    fn a_batch_that_stands_for_itself_has_no_span() {
        assert_eq!(Spans::new(false).next(&batch(&["INSERT 1"])), None);
        let of_run = scripted(&["INSERT 1"], StatementKind::Insert, false);
        assert_eq!(Spans::new(true).next(&of_run), None);
    }

    #[test]
    fn a_copy_in_parts_has_a_row_at_its_end() {
        let mut first = batch(&["COPY t FROM stdin"]);
        first.copy = Some(CopyPart::First);
        rewrite(&mut first, |body, _| body.extend_from_slice(b"1\n"));
        let mut last = batch(&[]);
        last.copy = Some(CopyPart::Last);
        rewrite(&mut last, |body, _| *body = b"2\n".to_vec());
        let mut spans = Spans::new(false);
        assert_eq!(spans.next(&first), None);
        let row = spans.next(&last).unwrap();
        assert_eq!(row.checksum, Digest::of_statement(1, b"COPY t FROM stdin1\n2\n"));
        assert_eq!((row.first_statement, row.statements), (1, 1));
    }
}
