//! What the batching component hands out: batches, as plain data of the host. Nothing here knows
//! of the sandbox that they come from, or of the database that they go to.

use std::{borrow::Cow, ops::Range};

use serde::Serialize;
use sql_batcher_adapters::{CopyPart, Request, Scope};

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

/// One request to a database. The lists have one item for each statement.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Batch {
    /// Its number in the run, from 1.
    pub id: u64,
    /// The number of its first statement in the run, from 1.
    pub first_statement: u64,
    /// What is sent: statements, each with its separator.
    pub body: Vec<u8>,
    /// Whether `body` is UTF-8.
    pub is_text: bool,
    /// Where each statement ends in `body`, its separator included.
    pub ends: Vec<u32>,
    /// Where each statement starts in the input: bytes before it, over all inputs of the run.
    pub offsets: Vec<u64>,
    /// The line in which each statement starts, from 1, in its own input.
    pub lines: Vec<u32>,
    /// The column at which each statement starts, from 1, in characters.
    pub columns: Vec<u32>,
    /// Bytes of each statement in the input, without its terminator.
    pub lengths: Vec<u32>,
    /// What each statement does.
    pub kinds: Vec<StatementKind>,
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
        self.ends.len()
    }

    /// Where the statement of this index (from 0) is in `body`, its separator included; none where
    /// there is no such statement.
    pub fn range(&self, index: usize) -> Option<Range<usize>> {
        let end = *self.ends.get(index)?;
        let start = match index.checked_sub(1) {
            Some(before) => *self.ends.get(before)?,
            None => 0,
        };
        Some(start as usize..end as usize)
    }

    /// The text of the statement of this index (from 0), without its terminator; none where there
    /// is no such statement.
    pub fn statement(&self, index: usize) -> Option<&[u8]> {
        let range = self.range(index)?;
        let length = *self.lengths.get(index)? as usize;
        let text = self.body.get(range)?;
        Some(text.get(..length).unwrap_or(text))
    }

    /// Bytes of the request as it is sent.
    pub fn sent_bytes(&self) -> usize {
        let saved: usize = self.joins.iter().map(|join| self.saved_by(join)).sum();
        self.body.len().saturating_sub(saved)
    }

    /// Bytes that are not sent because statements are joined: all that stands between the
    /// beginnings of the first and the last, without the rows and a comma for each.
    fn saved_by(&self, join: &Join) -> usize {
        let (first, others) = (join.first as usize, (join.statements as usize).saturating_sub(1));
        let lengths = self.lengths.get(first..first + others).unwrap_or_default();
        let texts: usize = lengths.iter().map(|&length| length as usize).sum();
        let start = |index| self.range(index).map_or(0, |range| range.start);
        let around = (join.prefix as usize + join.tail as usize) * others;
        let between = start(first + others).saturating_sub(start(first));
        (between + around).saturating_sub(texts + others)
    }

    /// What is sent: `body`, but for what is joined.
    pub fn sent(&self) -> Cow<'_, [u8]> {
        if self.joins.is_empty() {
            return Cow::Borrowed(&self.body);
        }
        let mut sent = Vec::with_capacity(self.body.len());
        let mut from = 0;
        for join in &self.joins {
            let others = join.first as usize + 1..(join.first + join.statements) as usize;
            for gap in others.filter_map(|index| self.gap_before(index, *join)) {
                sent.extend_from_slice(self.body.get(from..gap.start).unwrap_or_default());
                sent.push(b',');
                from = gap.end;
            }
        }
        sent.extend_from_slice(self.body.get(from..).unwrap_or_default());
        Cow::Owned(sent)
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

    /// What of `body` stands between the rows of the statement of this index and those of the one
    /// before it, with which it is joined.
    pub(crate) fn gap_before(&self, index: usize, join: Join) -> Option<Range<usize>> {
        let before = index.checked_sub(1)?;
        let length = *self.lengths.get(before)? as usize;
        let rows_end = (self.range(before)?.start + length).checked_sub(join.tail as usize)?;
        let rows_start = self.range(index)?.start + join.prefix as usize;
        Some(rows_end..rows_start)
    }

    /// The index of the statement that this offset of `body` belongs to; the last, for its end.
    pub(crate) fn statement_at(&self, offset: usize) -> usize {
        let index = self.ends.partition_point(|&end| end as usize <= offset);
        index.min(self.ends.len().saturating_sub(1))
    }

    /// The statement as the adapters take it.
    pub fn request(&self) -> Request<'_> {
        let Self { body, ends, scope, copy, .. } = self;
        Request { body, ends, scope: *scope, copy: *copy, inserts: &[] }
    }

    /// Where the statement of this index (from 0) starts.
    pub(crate) fn place(&self, index: usize) -> Option<Place> {
        Some(Place {
            statement: self.first_statement + index as u64,
            offset: *self.offsets.get(index)?,
            line: *self.lines.get(index)?,
            column: *self.columns.get(index)?,
        })
    }

    /// Where the byte at this offset of `body` is in the input. An offset in the data of a `COPY`
    /// counts from its statement; one that is beyond the end is at the end.
    pub(crate) fn locate(&self, offset: usize) -> Option<Place> {
        let last = self.ends.len().checked_sub(1)?;
        let index = self.statement_at(offset).min(last);
        let start = self.range(index)?.start;
        let before = self.body.get(start..offset.min(self.body.len()))?;
        let place = self.place(index)?;
        Some(advance(place, before))
    }
}

/// The place after `text`, which starts at `place`.
fn advance(place: Place, text: &[u8]) -> Place {
    let newlines = text.iter().filter(|&&byte| byte == b'\n').count();
    let last_line = text.rsplit(|&byte| byte == b'\n').next().unwrap_or_default();
    let first_column = if newlines == 0 { place.column } else { 1 };
    Place {
        offset: place.offset + text.len() as u64,
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
        let mut batch = Batch {
            id: 1,
            first_statement: 1,
            body: Vec::new(),
            is_text: true,
            ends: Vec::new(),
            offsets: Vec::new(),
            lines: Vec::new(),
            columns: Vec::new(),
            lengths: Vec::new(),
            kinds: Vec::new(),
            rows: 0,
            joins: Vec::new(),
            scope: Scope::Atomic,
            ends_transaction: false,
            copy: None,
            sealed_by: SealReason::Finish,
        };
        let mut line = 1;
        for statement in statements {
            batch.offsets.push(batch.body.len() as u64);
            batch.lines.push(line);
            batch.columns.push(1);
            batch.lengths.push(statement.len() as u32);
            batch.kinds.push(StatementKind::Other);
            batch.body.extend_from_slice(statement.as_bytes());
            batch.body.extend_from_slice(b";\n");
            batch.ends.push(batch.body.len() as u32);
            line += 1 + statement.matches('\n').count() as u32;
        }
        batch
    }

    #[test]
    fn a_statement_is_given_without_its_separator() {
        let batch = batch(&["SELECT 1", "SELECT 22"]);
        assert_eq!(batch.statement(0), Some(&b"SELECT 1"[..]));
        assert_eq!(batch.statement(1), Some(&b"SELECT 22"[..]));
        assert_eq!(batch.statement(2), None);
        assert_eq!(batch.range(1), Some(10..21));
    }

    #[test]
    fn what_is_sent_has_a_comma_between_joined_rows() {
        let mut batch = batch(&["x", "INSERT (1) y", "INSERT (2) y", "INSERT (3) y", "z"]);
        assert_eq!(batch.sent(), &batch.body[..]);
        batch.joins = vec![Join { first: 1, statements: 3, prefix: 7, tail: 2 }];
        assert_eq!(&*batch.sent(), b"x;\nINSERT (1),(2),(3) y;\nz;\n");
        assert_eq!(batch.sent().len(), batch.sent_bytes());
        assert_eq!(batch.commands(), 3);
    }

    #[test]
    fn an_offset_on_the_first_line_of_a_statement_adds_to_its_column() {
        let mut batch = batch(&["SELECT 1", "SELECT 22"]);
        batch.columns[1] = 5;
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
        batch.body[1] = 0xff;
        batch.body[2] = 0xe2;
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
        batch.body = b"1\t2\n".to_vec();
        assert_eq!(batch.locate(0), None);
        assert_eq!(batch.statements(), 0);
    }
}
