//! What the batching component hands out: batches, as plain data of the host. Nothing here knows
//! of the sandbox that they come from, or of the database that they go to.

mod forms;

use std::ops::Range;

use memchr::{memchr_iter, memrchr};
use serde::Serialize;
use sql_batcher_adapters::{CopyPart, Request, Scope};

#[cfg(test)]
use self::forms::Form;
pub(crate) use self::forms::{Forms, PARTED, Parts};

/// What a statement does, by its first words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum StatementKind {
    /// `SELECT`, `VALUES`, `TABLE`, `SHOW` and others that only read.
    Select,
    /// `INSERT`
    Insert,
    /// `REPLACE`
    Replace,
    /// `UPDATE`
    Update,
    /// `DELETE`
    Delete,
    /// `MERGE`
    Merge,
    /// `COPY`
    Copy,
    /// `CREATE`
    Create,
    /// `ALTER`, `RENAME`, `COMMENT ON` and others that change a definition.
    Alter,
    /// `DROP`
    Drop,
    /// `TRUNCATE`
    Truncate,
    /// `GRANT`, `REVOKE`
    Grant,
    /// `SET`, `USE`, `PRAGMA`, `RESET` and others that change the session.
    Set,
    /// `BEGIN`, `START TRANSACTION`
    Begin,
    /// `COMMIT`, `END`
    Commit,
    /// `ROLLBACK`, `ABORT`
    Rollback,
    /// `SAVEPOINT`, `RELEASE`, `ROLLBACK TO`
    Savepoint,
    /// `LOCK`, `UNLOCK`
    Lock,
    /// `CALL`, `DO`, `EXECUTE`
    Call,
    /// `VACUUM`, `ANALYZE`, `REINDEX` and others that maintain.
    Maintain,
    /// Anything else, `WITH` included.
    Other,
}

/// Why a batch was closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum SealReason {
    /// The next statement would have exceeded the most bytes of a batch.
    Bytes,
    /// The most statements of a batch were reached.
    Statements,
    /// The most rows of a batch would have been exceeded.
    Rows,
    /// Its first statement had waited long enough.
    Age,
    /// The statement, or the next one, goes alone.
    Alone,
    /// A transaction of the script's own begins or ends.
    Transaction,
    /// A flush was asked for.
    Flush,
    /// The input has ended.
    Finish,
    /// What comes next is refused; what came before is applied.
    Refusal,
}

impl SealReason {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Bytes => "bytes",
            Self::Statements => "statements",
            Self::Rows => "rows",
            Self::Age => "age",
            Self::Alone => "alone",
            Self::Transaction => "transaction",
            Self::Flush => "flush",
            Self::Finish => "finish",
            Self::Refusal => "refusal",
        }
    }
}

/// INSERTs that stand one behind the other and differ in their rows only. They are sent as one: in
/// place of what stands between the last row of one and the first row of the next, a comma.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Join {
    /// The index of the first.
    pub first: u32,
    /// How many there are.
    pub statements: u32,
    /// Bytes of each from its beginning to its first row.
    pub prefix: u32,
    /// Bytes of each behind its last row, up to its terminator.
    pub tail: u32,
}

/// Statements of one kind that stand in the input as they do in the body of a batch, one behind the
/// other and each in a line of its own behind the first. It reaches to the next stretch, or to the
/// last statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stretch {
    /// The index of the first.
    pub first: u32,
    /// Where the first starts in the input: bytes before it, over all inputs of the run.
    pub offset: u64,
    /// The line in which the first starts, from 1, in its own input.
    pub line: u32,
    /// The column at which the first starts, from 1, in characters.
    pub column: u32,
    /// Bytes in the body behind the text of each, without the newline that parts it from the next
    /// statement.
    pub terminator: u32,
    /// What each does.
    pub kind: StatementKind,
}

/// One request to a database.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Batch {
    /// Its number in the run, from 1.
    pub id: u64,
    /// The number of its first statement in the run, from 1.
    pub first_statement: u64,
    /// Its text.
    pub(crate) forms: Forms,
    /// Whether its text is UTF-8.
    pub is_text: bool,
    /// Whether it is known to be ASCII.
    pub(crate) is_ascii: bool,
    /// Where the statements come from, and what they do.
    pub stretches: Vec<Stretch>,
    /// Rows of `VALUES`; counted only where a limit on rows is set.
    pub rows: u32,
    /// Which statements are sent as one, in their order.
    pub joins: Vec<Join>,
    /// How it is to be applied.
    pub scope: Scope,
    /// Whether a transaction of the script's own ends with its last statement.
    pub ends_transaction: bool,
    /// Where it is part of a `COPY … FROM stdin` block: which.
    pub copy: Option<CopyPart>,
    /// Why it was closed.
    pub sealed_by: SealReason,
}

/// A place in the input, as the component counts: offsets over all inputs of the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// Number of the statement in the run, from 1.
    pub(crate) statement: u64,
    /// Bytes before it, over all inputs.
    pub(crate) offset: u64,
    /// Line of its own input, from 1.
    pub(crate) line: u32,
    /// Column in characters, from 1.
    pub(crate) column: u32,
}

impl Batch {
    /// How many statements it has: 0 where it carries only data of a `COPY`.
    pub fn statements(&self) -> usize {
        self.forms.given().ends.len()
    }

    /// What the statement of this index (from 0) does; none where there is no such statement.
    pub fn kind(&self, index: usize) -> Option<StatementKind> {
        self.stretch_of(index).map(|stretch| stretch.kind)
    }

    /// What the first statement does.
    pub(crate) fn first_kind(&self) -> Option<StatementKind> {
        self.stretches.first().map(|stretch| stretch.kind)
    }

    /// What the last statement does.
    pub(crate) fn last_kind(&self) -> Option<StatementKind> {
        self.stretches.last().map(|stretch| stretch.kind)
    }

    /// The stretches that these statements are of, each with those of them that it has, by index.
    pub(crate) fn stretches_of(
        &self,
        range: Range<usize>,
    ) -> impl Iterator<Item = (Stretch, Range<usize>)> {
        let index = self.stretches.partition_point(|stretch| stretch.first as usize <= range.start);
        let from = index.saturating_sub(1);
        (from..self.stretches.len()).map_while(move |index| {
            let stretch = *self.stretches.get(index)?;
            let next = self.stretches.get(index + 1).map(|next| next.first as usize);
            let end = next.unwrap_or(self.statements()).min(range.end);
            let statements = range.start.max(stretch.first as usize)..end;
            (!statements.is_empty()).then_some((stretch, statements))
        })
    }

    /// The stretch that the statement of this index is of.
    fn stretch_of(&self, index: usize) -> Option<Stretch> {
        self.stretches_of(index..index.saturating_add(1)).next().map(|(stretch, _)| stretch)
    }

    /// Statements as the database counts them: those that are joined are one.
    pub fn commands(&self) -> usize {
        let joined: usize = self.joins.iter().map(|join| join.statements as usize - 1).sum();
        self.statements() - joined
    }

    /// Whether the statement of this index is sent as one with the one before it.
    pub fn is_joined(&self, index: usize) -> bool {
        self.join_of(index).is_some_and(|join| (join.first as usize) < index)
    }

    /// What the statement of this index is joined with.
    pub(crate) fn join_of(&self, index: usize) -> Option<Join> {
        let before = self.joins.partition_point(|join| join.first as usize <= index);
        let join = *self.joins.get(before.checked_sub(1)?)?;
        (index < (join.first + join.statements) as usize).then_some(join)
    }

    /// The index of the statement that this offset of [`body`](Self::body) belongs to; the last, for
    /// its end.
    pub(crate) fn statement_at(&self, offset: usize) -> usize {
        let index = self.ends().partition_point(|&end| end as usize <= offset);
        index.min(self.statements().saturating_sub(1))
    }

    /// The statements one by one, as the adapters take them.
    pub fn request(&self) -> Request<'_> {
        let (scope, copy) = (self.scope, self.copy);
        Request { body: self.body(), ends: self.ends(), scope, copy, inserts: &[] }
    }

    /// Where the statement of this index (from 0) starts.
    pub(crate) fn place(&self, index: usize) -> Option<Place> {
        let stretch = self.stretch_of(index)?;
        let Stretch { first, offset, line, column, .. } = stretch;
        let statement = self.first_statement + index as u64;
        let place = Place { statement, offset, line, column };
        if index == first as usize {
            return Some(place);
        }
        let before = self.start_of(stretch)?..self.range(index)?.start;
        Some(advance(place, self.body().get(before)?))
    }

    /// Where each statement starts, in their order.
    pub(crate) fn places(&self) -> impl Iterator<Item = Place> {
        self.stretches_of(0..self.statements()).flat_map(move |(stretch, statements)| {
            let Stretch { offset, line, column, .. } = stretch;
            let mut next = Place { statement: 0, offset, line, column };
            statements.map(move |index| {
                let place = Place { statement: self.first_statement + index as u64, ..next };
                let text = self.range(index).and_then(|range| self.body().get(range));
                next = advance(next, text.unwrap_or_default());
                place
            })
        })
    }

    /// The line and the column in which the statement of this index (from 0) starts, in its own input,
    /// from 1; columns are characters. None where there is no such statement.
    pub fn line_and_column(&self, index: usize) -> Option<(u32, u32)> {
        self.place(index).map(|place| (place.line, place.column))
    }

    /// Where the statement of this index (from 0) starts: bytes of input before it, over all inputs
    /// of the run. None where there is no such statement.
    pub fn offset(&self, index: usize) -> Option<u64> {
        let stretch = self.stretch_of(index)?;
        let behind = self.range(index)?.start.checked_sub(self.start_of(stretch)?)?;
        Some(stretch.offset.saturating_add(behind as u64))
    }

    /// Where each statement starts in the input.
    pub(crate) fn offsets(&self) -> impl Iterator<Item = u64> {
        (0..self.statements()).filter_map(|index| self.offset(index))
    }

    /// Where a stretch starts in [`body`](Self::body).
    fn start_of(&self, stretch: Stretch) -> Option<usize> {
        self.range(stretch.first as usize).map(|range| range.start)
    }

    /// Where the byte at this offset of [`body`](Self::body) is in the input. An offset in the data of a `COPY`
    /// counts from its statement; one that is beyond the end is at the end.
    pub(crate) fn locate(&self, offset: usize) -> Option<Place> {
        let last = self.statements().checked_sub(1)?;
        let index = self.statement_at(offset).min(last);
        let start = self.range(index)?.start;
        let before = self.body().get(start..offset.min(self.body_bytes()))?;
        let place = self.place(index)?;
        Some(advance(place, before))
    }
}

/// The place after `text`, which starts at `place`.
fn advance(place: Place, text: &[u8]) -> Place {
    let newlines = memchr_iter(b'\n', text).count();
    let last_line =
        memrchr(b'\n', text).and_then(|newline| text.get(newline + 1..)).unwrap_or(text);
    let first_column = if newlines == 0 { place.column } else { 1 };
    Place {
        offset: place.offset.saturating_add(text.len() as u64),
        line: place.line.saturating_add(clamp(newlines)),
        column: first_column.saturating_add(clamp(characters(last_line))),
        ..place
    }
}

/// Characters of a text; a byte that is not UTF-8 counts as one.
fn characters(text: &[u8]) -> usize {
    text.utf8_chunks().map(|chunk| chunk.valid().chars().count() + chunk.invalid().len()).sum()
}

fn clamp(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A batch of statements that stand one below the other in the input, each ended by `;\n`.
    pub(crate) fn batch(statements: &[&str]) -> Batch {
        let (mut body, mut ends) = (Vec::new(), Vec::new());
        let mut batch = Batch {
            id: 1,
            first_statement: 1,
            forms: Forms::apart(Vec::new(), Vec::new(), &[]),
            is_text: true,
            is_ascii: false,
            stretches: Vec::new(),
            rows: 0,
            joins: Vec::new(),
            scope: Scope::Atomic,
            ends_transaction: false,
            copy: None,
            sealed_by: SealReason::Finish,
        };
        let mut line = 1;
        for (index, statement) in statements.iter().enumerate() {
            batch.stretches.push(Stretch {
                first: index as u32,
                offset: body.len() as u64,
                line,
                column: 1,
                // The last newline belongs to it.
                terminator: 1 + u32::from(index + 1 == statements.len()),
                kind: StatementKind::Other,
            });
            body.extend_from_slice(statement.as_bytes());
            body.extend_from_slice(b";\n");
            ends.push(body.len() as u32);
            line += 1 + statement.matches('\n').count() as u32;
        }
        batch.forms = Forms::sent(body, ends, &[]);
        batch
    }

    /// Changes the text of a batch.
    pub(crate) fn rewrite(batch: &mut Batch, change: impl FnOnce(&mut Vec<u8>, &mut Vec<u32>)) {
        let Form { body, ends } = batch.forms.given();
        let (mut body, mut ends) = (body.to_vec(), ends.clone());
        change(&mut body, &mut ends);
        batch.forms = Forms::sent(body, ends, &batch.joins);
    }

    /// Joins statements of a batch, of which none are joined yet.
    pub(crate) fn join(batch: &mut Batch, join: Join) {
        let Form { body, ends } = batch.forms.given();
        batch.joins = vec![join];
        batch.forms = Forms::apart(body.to_vec(), ends.clone(), &batch.joins);
        let Form { body, ends } = batch.sent_form();
        batch.forms = Forms::sent(body.to_vec(), ends.clone(), &batch.joins);
    }

    /// Says what each statement does.
    pub(crate) fn set_kinds(batch: &mut Batch, kinds: &[StatementKind]) {
        assert_eq!(batch.stretches.len(), kinds.len());
        for (stretch, kind) in batch.stretches.iter_mut().zip(kinds) {
            stretch.kind = *kind;
        }
    }

    #[test]
    fn statements_of_one_stretch_are_where_each_by_itself_is() {
        let apart = batch(&["SELECT 1", "SELECT\n 'é'", "SELECT\n\n3", "x"]);
        let mut batch = apart.clone();
        rewrite(&mut batch, |body, ends| {
            body.pop();
            ends[3] -= 1;
        });
        (batch.stretches[0].offset, batch.stretches[0].line, batch.stretches[0].column) = (5, 7, 3);
        batch.stretches.truncate(1);
        for index in 0..4 {
            let alone = apart.place(index).unwrap();
            let column = if index == 0 { 3 } else { alone.column };
            let (offset, line) = (alone.offset + 5, alone.line + 6);
            assert_eq!(batch.place(index), Some(Place { offset, line, column, ..alone }));
            assert_eq!(batch.offset(index), Some(offset));
            assert_eq!(batch.line_and_column(index), Some((line, column)));
            assert_eq!(batch.places().nth(index), batch.place(index));
            assert_eq!(batch.statement(index), apart.statement(index));
        }
        assert_eq!(batch.offsets().count(), 4);
    }

    #[test]
    fn a_statement_is_given_without_its_separator() {
        let batch = batch(&["SELECT 1", "SELECT 22"]);
        assert_eq!(batch.statement(0).as_deref(), Some(&b"SELECT 1"[..]));
        assert_eq!(batch.statement(1).as_deref(), Some(&b"SELECT 22"[..]));
        assert_eq!(batch.statement(2), None);
        assert_eq!(batch.range(1), Some(10..21));
    }

    #[test]
    fn what_is_sent_has_a_comma_between_joined_rows() {
        let apart = batch(&["x", "INSERT (1) y", "INSERT (2) y", "INSERT (3) y", "z"]);
        assert_eq!(apart.sent(), apart.body());
        let mut batch = apart.clone();
        join(&mut batch, Join { first: 1, statements: 3, prefix: 7, tail: 2 });
        assert_eq!(batch.sent(), b"x;\nINSERT (1),(2),(3) y;\nz;\n");
        assert_eq!(batch.sent().len(), batch.sent_bytes());
        assert_eq!(batch.commands(), 3);
        assert_eq!(batch.sent_ends(), [3, 25, 28]);
        for index in 0..5 {
            assert_eq!(batch.range(index), apart.range(index));
            assert_eq!(batch.text(index), apart.text(index));
            assert_eq!(batch.statement(index), apart.statement(index));
            assert_eq!(batch.whole(index), apart.whole(index));
            assert_eq!(batch.place(index), apart.place(index));
        }
        assert_eq!(batch.body_bytes(), apart.body_bytes());
        assert_eq!((batch.body(), batch.ends()), (apart.body(), apart.ends()));
    }

    #[test]
    fn an_offset_on_the_first_line_of_a_statement_adds_to_its_column() {
        let mut batch = batch(&["SELECT 1", "SELECT 22"]);
        batch.stretches[1].column = 5;
        let place = batch.locate(10 + 7).unwrap();
        assert_eq!((place.statement, place.line, place.column), (2, 2, 12));
        assert_eq!(place.offset, 17);
    }

    #[test]
    fn an_offset_on_a_later_line_starts_at_column_one() {
        let batch = batch(&["SELECT\n  'é', x"]);
        let place = batch.locate("SELECT\n  'é', ".len()).unwrap();
        assert_eq!((place.line, place.column), (2, 8));
    }

    #[test]
    fn a_byte_that_is_not_utf8_is_one_column() {
        let mut batch = batch(&["abcdef"]);
        rewrite(&mut batch, |body, _| body[1..3].copy_from_slice(&[0xff, 0xe2]));
        assert_eq!(batch.locate(4).unwrap().column, 5);
    }

    #[test]
    fn an_offset_beyond_the_end_is_at_the_end() {
        let batch = batch(&["a", "b"]);
        let place = batch.locate(1000).unwrap();
        assert_eq!((place.statement, place.line, place.column), (2, 3, 1));
    }

    #[test]
    fn data_alone_has_no_place() {
        let mut batch = batch(&[]);
        batch.copy = Some(CopyPart::Middle);
        rewrite(&mut batch, |body, _| *body = b"1\t2\n".to_vec());
        assert_eq!(batch.locate(0), None);
        assert_eq!(batch.statements(), 0);
    }
}
