//! The batch that is being filled, and its exact size.

mod adding;
mod few;
mod joining;
mod runs;
mod writing;

use std::ops::Range;

use self::adding::narrow;
use crate::account::Weight;
use crate::collected::Collected;
use crate::joined::{Around, PARTED};
use crate::lanes::is_ascii;
use crate::merging::Found;
use crate::position::Cursor;
use crate::splitter::Statement;
use crate::types::{Batch, CopyPart, Join, Kind, Position, Scope, SealReason, Stretch};

pub(crate) use self::adding::{Adding, Room};
pub(crate) use self::few::{FEW, Few};
pub(crate) use self::runs::Runs;

/// What every statement in a body is followed by, if its own terminator is not a semicolon.
const SEPARATOR: &[u8] = b";";
/// The most bytes of a body that room is made for in advance.
const MOST_EXPECTED_BYTES: usize = 1 << 20;

/// A batch that was closed, and what it stands for.
#[derive(Debug)]
pub(crate) struct Sealed {
    pub(crate) batch: Batch,
    pub(crate) weight: Weight,
    /// Whether it may not be under way beside others.
    pub(crate) barrier: bool,
    /// How its strings are read, as far as the script has said anything of that.
    pub(crate) reading: Reading,
    /// Whether the hooks have had their say.
    pub(crate) asked: bool,
}

/// What the script has said of backslashes in strings, where a batch begins and inside it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Reading {
    pub(crate) backslash: Option<bool>,
    /// Whether a statement of the batch says something new.
    pub(crate) changes: bool,
}

/// Statements collected for one request.
#[derive(Debug, Default)]
pub(crate) struct Filling {
    body: Collected,
    /// Whether some of it is of a text that is not ASCII.
    is_beyond_ascii: bool,
    ends: Vec<u32>,
    stretches: Vec<Stretch>,
    /// Where the next statement stands in the input if a newline is all that parts it from the last
    /// one; none where it cannot go on with the last stretch.
    goes_on_at: Option<u64>,
    rows: u32,
    joins: Joins,
    /// Which of the statements that are being added are sent as one.
    runs: Runs,
    /// Units of UTF-16 that are sent, where they are counted.
    characters: u64,
    first_statement: u64,
    opened_ms: u64,
    scope: Option<Scope>,
    reading: Reading,
    ends_transaction: bool,
    expected: Expected,
    /// A `COPY` whose data is being collected; true once a part of it was sent.
    copy: Option<bool>,
}

/// Which statements are sent as one.
#[derive(Debug, Default)]
struct Joins {
    /// INSERTs of constants, be they joined or not.
    list: Vec<Join>,
    /// How many are joined to the one before them.
    joined: usize,
    /// Bytes that are not sent because of that.
    saved: usize,
}

impl Joins {
    /// So many statements, from this index on, are sent as one.
    fn add(&mut self, first: usize, statements: usize, around: Around) {
        let (first, Around { prefix, tail }) = (narrow(first), around);
        self.list.push(Join { first, statements: narrow(statements), prefix, tail });
        self.count(statements.saturating_sub(1), around);
    }

    /// So many more are joined to the last one.
    fn add_to_last(&mut self, statements: usize, around: Around) {
        let Some(join) = self.list.last_mut() else { return };
        join.statements = join.statements.saturating_add(narrow(statements));
        self.count(statements, around);
    }

    fn count(&mut self, joined: usize, around: Around) {
        self.joined += joined;
        self.saved += joined * around.saved_by_one();
    }
}

/// What a batch will have.
#[derive(Clone, Copy, Debug, Default)]
struct Expected {
    bytes: usize,
    statements: usize,
}

impl Expected {
    /// A little more than the last one had.
    fn like(last: &Filling) -> Self {
        let a_little_more = |count: usize| count + count / 16;
        let bytes = a_little_more(last.body.len().min(MOST_EXPECTED_BYTES));
        Self { bytes, statements: a_little_more(last.ends.len()) }
    }
}

/// A statement as it will stand in a body.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Piece {
    /// Where its text starts in the window.
    start: usize,
    /// Where its text ends; its terminator and the newline behind it belong to it if the body has
    /// them, too.
    end: usize,
    length: u32,
    tail: &'static [u8],
}

impl Piece {
    /// The statement with a terminator that the database itself knows: what stands in the input
    /// where that is a semicolon.
    pub(crate) fn new(window: &[u8], statement: &Statement) -> Self {
        let &Statement { start, end, after, .. } = statement;
        let length = u32::try_from(end - start).unwrap_or(u32::MAX);
        let (end, tail): (_, &[u8]) = if window[end..after] != *SEPARATOR {
            (end, if statement.ends_in_comment { b"\n;\n" } else { b";\n" })
        } else if window.get(after) == Some(&b'\n') {
            (after + 1, b"")
        } else {
            (after, b"\n")
        };
        Self { start, end, length, tail }
    }

    /// Bytes that it takes in a body, without the newline that parts it from the next.
    pub(crate) fn bytes(&self) -> u64 {
        (self.end - self.start + self.tail.len() - 1) as u64
    }

    /// Bytes behind its text.
    pub(crate) fn separator(&self) -> u64 {
        (self.bytes() + 1).saturating_sub(u64::from(self.length))
    }

    /// Whether another INSERT may be joined to it, as far as that depends on what is behind its text.
    pub(crate) fn takes_rows(&self) -> bool {
        self.separator() == PARTED.len() as u64
    }

    /// Bytes of its terminator in a body.
    fn terminator(&self) -> u32 {
        u32::try_from(self.separator() - 1).unwrap_or(u32::MAX)
    }

    /// Its text.
    pub(crate) fn statement<'a>(&self, window: &'a [u8]) -> &'a [u8] {
        let end = self.start + self.length as usize;
        window.get(self.start..end).unwrap_or_default()
    }

    /// Its text and, perhaps, its terminator and the newline behind it.
    pub(crate) fn text<'a>(&self, window: &'a [u8]) -> &'a [u8] {
        &window[self.start..self.end]
    }
}

impl Filling {
    pub(crate) fn is_empty(&self) -> bool {
        self.body.is_empty()
    }

    /// Bytes that are sent.
    pub(crate) fn bytes(&self) -> u64 {
        self.body.len() as u64
    }

    /// Bytes that the statements have apart.
    pub(crate) fn apart_bytes(&self) -> u64 {
        self.bytes() + self.joins.saved as u64
    }

    /// Units of UTF-16 that are sent, where they are counted.
    pub(crate) fn characters(&self) -> u64 {
        self.characters
    }

    /// Statements as the database counts them.
    pub(crate) fn commands(&self) -> usize {
        self.ends.len() - self.joins.joined
    }

    pub(crate) fn statements(&self) -> usize {
        self.ends.len()
    }

    pub(crate) fn rows(&self) -> u32 {
        self.rows
    }

    /// The number of the first of many statements that were added to an empty batch.
    pub(crate) fn begin_with(&mut self, first_statement: u64) {
        self.first_statement = first_statement;
    }

    pub(crate) fn scope(&self) -> Option<Scope> {
        self.scope
    }

    /// When its first statement came.
    pub(crate) fn opened_ms(&self) -> u64 {
        self.opened_ms
    }

    pub(crate) fn open(&mut self, scope: Scope, backslash: Option<bool>, now_ms: u64) {
        self.scope = Some(scope);
        self.reading = Reading { backslash, changes: false };
        self.opened_ms = now_ms;
        self.make_room();
    }

    /// The statement just added changes how the strings behind it are read.
    pub(crate) fn changes_reading(&mut self) {
        self.reading.changes = true;
    }

    /// Adds a statement of the window; `rows` of it where it is an INSERT of constants. The caller
    /// has checked that it fits, and that bodies stay below 4 GiB.
    pub(crate) fn add(
        &mut self,
        window: &[u8],
        piece: Piece,
        at: Position,
        (kind, count, rows): (Kind, u32, Option<Found>),
    ) {
        let mut start = piece.start;
        if let Some(found) = rows {
            if found.joins {
                start += found.around.prefix();
                self.open_for_rows(window, found.around.tail());
                self.joins.add_to_last(1, found.around);
            } else {
                self.joins.add(self.ends.len(), 1, found.around);
            }
        }
        if self.ends.is_empty() {
            self.first_statement = at.statement;
        }
        self.take(window, start..piece.end);
        let Position { offset, line, column, .. } = at;
        self.place(Cursor { offset, line, column }, kind, piece.terminator());
        let as_in_input = matches!(piece.tail, b"" | b"\n");
        let behind = offset + u64::from(piece.length) + SEPARATOR.len() as u64;
        self.goes_on_at = as_in_input.then_some(behind + 1);
        if !piece.tail.is_empty() {
            self.body.append(window, piece.tail);
        }
        self.ends.push(u32::try_from(self.body.len()).unwrap_or(u32::MAX));
        self.rows = self.rows.saturating_add(count);
    }

    /// Takes away what is behind the rows of the last statement, and puts a comma there.
    fn open_for_rows(&mut self, window: &[u8], tail: usize) {
        self.body.shorten(tail + PARTED.len());
        self.body.append(window, b",");
        let length = u32::try_from(self.body.len()).unwrap_or(u32::MAX);
        self.ends.last_mut().into_iter().for_each(|end| *end = length);
    }

    /// The next statement, or the next few side by side, are at a place of the input.
    #[inline]
    fn place(&mut self, at: Cursor, kind: Kind, terminator: u32) {
        let goes_on = |last: &Stretch| last.kind == kind && last.terminator == terminator;
        let follows = self.goes_on_at == Some(at.offset) && at.column == 1;
        if follows && self.stretches.last().is_some_and(goes_on) {
            return;
        }
        let first = u32::try_from(self.ends.len()).unwrap_or(u32::MAX);
        let Cursor { offset, line, column } = at;
        self.stretches.push(Stretch { first, offset, line, column, terminator, kind });
    }

    /// What follows is of another input, whose lines are counted anew.
    pub(crate) fn end_input(&mut self) {
        self.goes_on_at = None;
    }

    /// So many units of UTF-16 more are sent.
    pub(crate) fn count_characters(&mut self, characters: u64) {
        self.characters += characters;
    }

    /// Whether it holds a `COPY` whose data is not at its end.
    pub(crate) fn in_copy(&self) -> bool {
        self.copy.is_some()
    }

    pub(crate) fn ends_transaction(&mut self) {
        self.ends_transaction = true;
    }

    /// What follows is the data of the `COPY` statement just added.
    pub(crate) fn open_copy(&mut self) {
        self.drop_last_newline();
        self.copy = Some(false);
    }

    /// The newline behind the last statement, which parts it from nothing.
    fn drop_last_newline(&mut self) {
        if let Some(end) = self.ends.last_mut() {
            self.body.shorten(1);
            *end -= 1;
        }
    }

    /// Adds data of a `COPY`, which is a piece of the window.
    pub(crate) fn add_data(&mut self, window: &[u8], data: Range<usize>) {
        self.take(window, data);
    }

    fn take(&mut self, window: &[u8], text: Range<usize>) {
        self.is_beyond_ascii = self.is_beyond_ascii || !is_ascii(&window[text.clone()]);
        self.body.take(window, text);
    }

    /// Needs nothing of the window any more.
    pub(crate) fn copy(&mut self, window: &[u8]) {
        self.body.copy(window);
    }

    /// Makes room for a batch like the last one, once: its lists need not grow step by step. Not
    /// before that one is gone, whose memory it takes.
    pub(crate) fn make_room(&mut self) {
        let Expected { bytes, statements } = std::mem::take(&mut self.expected);
        self.body.reserve(bytes);
        self.ends.reserve(statements);
    }

    /// Closes the batch and starts an empty one. `last`: for a `COPY`, whether this is the end of
    /// its data; otherwise true. `sequential`: batches are dealt with one after another.
    pub(crate) fn seal(
        &mut self,
        window: &[u8],
        id: u64,
        reason: SealReason,
        last: bool,
        sequential: bool,
    ) -> Sealed {
        let mut filled = std::mem::take(self);
        if filled.copy.is_none() {
            filled.drop_last_newline();
        }
        let scope = filled.scope.unwrap_or(Scope::Atomic);
        let copy = filled.copy.map(|started| match (started, last) {
            (false, true) => CopyPart::Whole,
            (false, false) => CopyPart::First,
            (true, false) => CopyPart::Middle,
            (true, true) => CopyPart::Last,
        });
        if copy.is_some() && !last {
            self.copy = Some(true);
            self.scope = filled.scope;
            self.first_statement = filled.first_statement;
        }
        let in_parts = copy.is_some_and(|part| part != CopyPart::Whole);
        let weight = Weight {
            statements: if in_parts { 1 } else { filled.ends.len() as u64 },
            scope,
            ends_transaction: filled.ends_transaction,
            partial: in_parts && !last,
        };
        if reason == SealReason::Bytes && copy.is_none() {
            self.expected = Expected::like(&filled);
        }
        let body = filled.body.into_bytes(window);
        let batch = Batch {
            id,
            first_statement: filled.first_statement,
            is_ascii: !filled.is_beyond_ascii || body.is_ascii(),
            body,
            ends: filled.ends,
            stretches: filled.stretches,
            rows: filled.rows,
            joins: filled.joins.list,
            scope,
            ends_transaction: filled.ends_transaction,
            copy,
            sealed_by: reason,
        };
        let barrier = is_barrier(&batch, sequential);
        Sealed { batch, weight, barrier, reading: filled.reading, asked: false }
    }
}

/// Whether a batch may not be under way beside others. `sequential`: none runs while another does.
pub(crate) fn is_barrier(batch: &Batch, sequential: bool) -> bool {
    let in_parts = batch.copy.is_some_and(|part| part != CopyPart::Whole);
    let changes_rows = || {
        batch.scope != Scope::Scripted
            && batch.stretches.iter().all(|stretch| stretch.kind.is_plain_change())
    };
    in_parts || !(sequential || changes_rows())
}
