//! A batch: its text, where its statements stand in it and in the input, and how it is to be sent.

use std::ops::Range;

use crate::position::Cursor;

/// Where something is in the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// Number of the statement in the whole run.
    pub statement: u64,
    /// Bytes before it, over all inputs of the run.
    pub offset: u64,
    /// Line of its own input.
    pub line: u32,
    /// Column, in characters of UTF-8.
    pub column: u32,
}

/// What a statement does, by its first words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Only reads.
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
    /// Changes a definition.
    Alter,
    /// `DROP`
    Drop,
    /// `TRUNCATE`
    Truncate,
    /// `GRANT`, `REVOKE`
    Grant,
    /// Changes the session.
    Set,
    /// Opens a transaction.
    Begin,
    /// Ends a transaction and keeps it.
    Commit,
    /// Ends a transaction and takes it back.
    Rollback,
    /// Works on a savepoint.
    Savepoint,
    /// `LOCK`, `UNLOCK`
    Lock,
    /// `CALL`, `DO`, `EXECUTE`
    Call,
    /// Maintains.
    Maintain,
    /// Anything else.
    Other,
}

impl Kind {
    /// Whether such statements may run beside each other: their order means nothing to the
    /// database but for the rows themselves.
    #[must_use]
    pub fn is_plain_change(self) -> bool {
        matches!(self, Kind::Insert | Kind::Update | Kind::Delete | Kind::Copy | Kind::Replace)
    }
}

/// How a batch is to be applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// As one transaction of the host's.
    Atomic,
    /// As it is, outside any transaction.
    Bare,
    /// As it is, inside a transaction that spans batches or is the script's own.
    Scripted,
}

/// Which part of a `COPY … FROM stdin` block a batch is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CopyPart {
    /// The statement and all of its data.
    Whole,
    /// The statement and the beginning of its data.
    First,
    /// Data alone.
    Middle,
    /// The last of the data.
    Last,
}

/// Why a batch was closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SealReason {
    /// The next statement would exceed the limit of bytes.
    Bytes,
    /// The limit of statements was reached.
    Statements,
    /// The limit of rows would be exceeded.
    Rows,
    /// The age limit was reached.
    Age,
    /// The statement, or the next one, goes alone.
    Alone,
    /// A transaction of the script's own begins or ends.
    Transaction,
    /// `flush` was called.
    Flush,
    /// The input has ended.
    Finish,
    /// What comes next is refused.
    Refusal,
}

/// INSERTs that stand one behind the other and differ in their rows only. They are sent as one: for
/// what stands between the rows of one and the rows of the next, a comma is sent. Each ends in a
/// semicolon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Join {
    /// The index of the first.
    pub first: u32,
    /// How many there are, at least 1; more than 1 unless the batch locates all rows.
    pub statements: u32,
    /// Bytes of each from its beginning to its first row.
    pub prefix: u32,
    /// Bytes of each behind its last row, up to its terminator.
    pub tail: u32,
}

/// Statements of one kind that stand in the input as they do in the body, one behind the other and
/// each in a line of its own behind the first. It reaches to the next stretch, or to the last
/// statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stretch {
    /// The index of the first.
    pub first: u32,
    /// Bytes of input before the first.
    pub offset: u64,
    /// The line in which the first starts.
    pub line: u32,
    /// The column at which the first starts.
    pub column: u32,
    /// Bytes in the body behind the text of each, without the newline that parts it from the next
    /// statement.
    pub terminator: u32,
    /// What each does.
    pub kind: Kind,
}

/// One request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// Its number.
    pub id: u64,
    /// The number of its first statement in the run.
    pub first_statement: u64,
    /// What is sent. To the hooks: the statements one by one, as [`Batch::apart`] has them.
    pub body: Vec<u8>,
    /// Whether all of the body is ASCII.
    pub is_ascii: bool,
    /// Where each statement ends in the body, its separator included; that is a comma where the next
    /// is joined to it.
    pub ends: Vec<u32>,
    /// Where the statements come from, and what they do.
    pub stretches: Vec<Stretch>,
    /// Rows of `VALUES`, where they are counted.
    pub rows: u32,
    /// Which statements are sent as one, in their order.
    pub joins: Vec<Join>,
    /// How it is to be applied.
    pub scope: Scope,
    /// Whether a transaction of the script's own ends with its last statement.
    pub ends_transaction: bool,
    /// Where it is part of a `COPY` block: which.
    pub copy: Option<CopyPart>,
    /// Why it was closed.
    pub sealed_by: SealReason,
}

impl Batch {
    /// The stretches that these statements are of, each with those of them that it has.
    fn stretches_of(&self, range: Range<usize>) -> impl Iterator<Item = (Stretch, Range<usize>)> {
        let index = self.stretches.partition_point(|stretch| stretch.first as usize <= range.start);
        let from = index.saturating_sub(1);
        (from..self.stretches.len()).map_while(move |index| {
            let stretch = *self.stretches.get(index)?;
            let next = self.stretches.get(index + 1).map(|next| next.first as usize);
            let end = next.unwrap_or(self.ends.len()).min(range.end);
            let statements = range.start.max(stretch.first as usize)..end;
            (!statements.is_empty()).then_some((stretch, statements))
        })
    }

    /// The stretch that a statement is of.
    fn stretch_of(&self, index: usize) -> Option<Stretch> {
        self.stretches_of(index..index.saturating_add(1)).next().map(|(stretch, _)| stretch)
    }

    /// Where each statement starts in the input. Of a batch whose statements are apart.
    pub fn positions(&self) -> impl Iterator<Item = Position> {
        self.stretches_of(0..self.ends.len()).flat_map(move |(stretch, statements)| {
            let Stretch { offset, line, column, .. } = stretch;
            let mut at = Cursor { offset, line, column };
            statements.map(move |index| {
                let Cursor { offset, line, column } = at;
                at =
                    at.after(self.body.get(self.start(index)..self.end(index)).unwrap_or_default());
                Position { statement: self.first_statement + index as u64, offset, line, column }
            })
        })
    }

    /// Where a statement starts in the body.
    pub(crate) fn start(&self, index: usize) -> usize {
        let before = index.checked_sub(1).and_then(|before| self.ends.get(before));
        before.map_or(0, |&end| end as usize)
    }

    /// Where a statement ends in the body, with all that is behind its text.
    pub(crate) fn end(&self, index: usize) -> usize {
        self.ends.get(index).map_or(0, |&end| end as usize)
    }

    /// Bytes of a statement, without terminator. Of a batch whose statements are apart.
    #[must_use]
    pub fn length(&self, index: usize) -> usize {
        let terminator = self.stretch_of(index).map_or(0, |stretch| stretch.terminator as usize);
        let newline = usize::from(index + 1 < self.ends.len());
        (self.end(index) - self.start(index)).saturating_sub(terminator + newline)
    }

    /// The text of a statement, without terminator. Of a batch whose statements are apart.
    #[must_use]
    pub fn statement(&self, index: usize) -> &[u8] {
        let start = self.start(index);
        self.body.get(start..start + self.length(index)).unwrap_or_default()
    }

    /// The batch without its text.
    #[must_use]
    pub fn info(&self) -> BatchInfo {
        BatchInfo {
            id: self.id,
            first_statement: self.first_statement,
            statements: u32::try_from(self.ends.len()).unwrap_or(u32::MAX),
            bytes: self.body.len() as u64,
            sealed_by: self.sealed_by,
        }
    }
}

/// A batch without its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchInfo {
    /// Its number.
    pub id: u64,
    /// The number of its first statement in the run.
    pub first_statement: u64,
    /// How many statements it has.
    pub statements: u32,
    /// Bytes of its body.
    pub bytes: u64,
    /// Why it was closed.
    pub sealed_by: SealReason,
}
