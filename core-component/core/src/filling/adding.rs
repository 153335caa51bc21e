//! Many statements added at a time.

use std::ops::Range;

use super::{Filling, SEPARATOR};
use crate::insert::Text;
use crate::merging::Merger;
use crate::position::Spot;
use crate::types::Kind;

/// How many statements are added at once.
const FEW: usize = 64;

/// What a batch may have.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Room {
    /// Bytes that are sent.
    pub(crate) bytes: u64,
    /// Bytes of the body.
    pub(crate) body_bytes: u64,
    pub(crate) statements: usize,
    /// The most bytes of a statement, at least as many as those that are sent.
    pub(crate) longest: usize,
}

/// A few statements of one window, each of which ends in a semicolon.
#[derive(Debug)]
pub(crate) struct Few {
    count: usize,
    /// Whether nothing but a newline stands between any of them.
    in_lines: bool,
    starts: [u32; FEW],
    ends: [u32; FEW],
    lines: [u32; FEW],
    columns: [u32; FEW],
}

impl Few {
    pub(crate) fn new() -> Self {
        let none = [0; FEW];
        Self { count: 0, in_lines: true, starts: none, ends: none, lines: none, columns: none }
    }

    pub(crate) fn clear(&mut self) {
        (self.count, self.in_lines) = (0, true);
    }

    pub(crate) fn count(&self) -> usize {
        self.count
    }

    pub(crate) fn is_full(&self) -> bool {
        self.count >= FEW
    }

    /// Adds the statement from `spot` to `end`, for which there must be room.
    #[inline]
    pub(crate) fn push(&mut self, spot: Spot, end: usize) {
        let index = self.count % FEW;
        self.starts[index] = narrow(spot.at);
        self.ends[index] = narrow(end);
        self.lines[index] = spot.line;
        self.columns[index] = spot.column;
        self.count += 1;
    }

    /// Something else stands before the next than a newline.
    pub(crate) fn part(&mut self) {
        self.in_lines &= self.count == 0;
    }

    /// All but the first are so many lines further down.
    pub(crate) fn add_lines_behind_first(&mut self, lines: u32) {
        for line in self.lines.iter_mut().skip(1) {
            *line = line.saturating_add(lines);
        }
    }

    /// Where the statement of this index begins, if there is one.
    pub(crate) fn spot(&self, index: usize) -> Option<Spot> {
        let exists = index < self.count;
        let index = index % FEW;
        let Self { starts, lines, columns, .. } = self;
        let spot = Spot { at: starts[index] as usize, line: lines[index], column: columns[index] };
        exists.then_some(spot)
    }

    /// Where the statement before the one of this index ends.
    pub(crate) fn end_before(&self, index: usize) -> Option<usize> {
        let before = self.ends[..self.count].get(index.checked_sub(1)?);
        before.map(|end| *end as usize)
    }

    /// Where each begins, and where each ends.
    fn places(&self) -> (&[u32], &[u32]) {
        let count = self.count.min(FEW);
        (&self.starts[..count], &self.ends[..count])
    }
}

/// Adds statements to a batch, a few at once.
#[derive(Debug)]
pub(crate) struct Adding<'a> {
    filling: &'a mut Filling,
    window: &'a [u8],
    /// Input before the window.
    offset: u64,
    /// Bytes and statements that there is room for.
    bytes: usize,
    statements: usize,
    /// The most bytes that the body may have.
    most: usize,
    longest: usize,
    /// What joins INSERTs, where that is wanted, and how backslashes are read.
    merger: Option<(&'a mut Merger, Option<bool>)>,
    /// What is added last and side by side in the window, and not in the body yet.
    held: Range<usize>,
    taken: u64,
    read: u64,
    changes: bool,
}

impl<'a> Adding<'a> {
    /// `offset`: bytes of input before the window.
    pub(crate) fn new(
        filling: &'a mut Filling,
        window: &'a [u8],
        offset: u64,
        room: &Room,
    ) -> Self {
        let bytes = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
        Self {
            window,
            offset,
            bytes: bytes(room.bytes.saturating_sub(filling.bytes())),
            statements: room.statements.saturating_sub(filling.statements()),
            most: bytes(room.body_bytes),
            longest: room.longest,
            merger: None,
            held: 0..0,
            taken: 0,
            read: 0,
            changes: false,
            filling,
        }
    }

    /// Lets INSERTs be joined.
    pub(crate) fn join_by(&mut self, merger: &'a mut Merger, backslash: Option<bool>) {
        self.merger = Some((merger, backslash));
    }

    /// Adds those of a few statements that there is room for, up to the first for which there is
    /// none; how many that are.
    pub(crate) fn add(&mut self, few: &Few, kind: Kind) -> usize {
        let count = match &mut self.merger {
            None => self.fit(few),
            Some((merger, _)) if !matches!(kind, Kind::Insert | Kind::Replace) => {
                if few.count > 0 {
                    merger.take(&[], None);
                    self.filling.separator = SEPARATOR.len() as u64 + 1;
                }
                self.fit(few)
            }
            Some(_) => self.join(few),
        };
        if count > 0 {
            self.append(few, count, kind);
        }
        count
    }

    /// How many of these statements there is room for.
    fn fit(&mut self, few: &Few) -> usize {
        let (starts, ends) = few.places();
        let most = self.bytes.min(self.most.saturating_sub(self.filled()));
        let mut bytes = 0;
        let lengths = starts.iter().zip(ends).map(|(start, end)| (end - start) as usize);
        let fitting = lengths.take(self.statements).take_while(|length| {
            // The last newline is not sent.
            let fits = bytes + length < most;
            bytes += if fits { length + 2 } else { 0 };
            fits
        });
        let count = fitting.count();
        self.bytes = self.bytes.saturating_sub(bytes);
        count
    }

    /// Bytes of the body with all that was added.
    fn filled(&self) -> usize {
        self.filling.body.len() + self.held.len()
    }

    /// Joins those of a few INSERTs to the ones before them that may be, as far as there is room.
    #[inline(never)]
    fn join(&mut self, few: &Few) -> usize {
        let mut room = self.most.saturating_sub(self.filled());
        let Some((merger, backslash)) = &mut self.merger else { return 0 };
        let (starts, ends) = few.places();
        let first = self.filling.ends.len();
        let mut count = 0;
        for (start, end) in starts.iter().zip(ends).take(self.statements) {
            let text = Text::new(self.window, *start as usize, *end as usize);
            let found = merger.look(text, *backslash);
            let text = text.get();
            let saved = found.map_or(0, |found| self.filling.saved_by(found) as usize);
            let bytes = self.bytes.saturating_add(saved);
            if text.len() >= bytes.min(room) || text.len() > self.longest {
                break;
            }
            self.bytes = bytes.saturating_sub(text.len() + 2);
            room = room.saturating_sub(text.len() + 2);
            merger.take(text, found);
            if let Some(found) = found {
                self.filling.locate_rows_of(first + count, found);
            }
            self.filling.separator = SEPARATOR.len() as u64 + 1;
            count += 1;
        }
        count
    }

    /// Puts the first of a few statements into the lists.
    #[inline(never)]
    fn append(&mut self, few: &Few, count: usize, kind: Kind) {
        let (starts, ends) = few.places();
        let (starts, ends) = (&starts[..count], &ends[..count]);
        let mut filled = narrow(self.filled());
        let lengths = || starts.iter().zip(ends).map(|(start, end)| end - start);
        let offset = self.offset;
        let filling = &mut *self.filling;
        if few.in_lines {
            let before = starts[0];
            filling.ends.extend(ends.iter().map(|end| filled.saturating_add(end - before + 2)));
        } else {
            filling.ends.extend(lengths().map(|length| {
                filled = filled.saturating_add(length + 2);
                filled
            }));
        }
        filling.offsets.extend(starts.iter().map(|start| offset.wrapping_add(u64::from(*start))));
        filling.lines.extend_from_slice(&few.lines[..count]);
        filling.columns.extend_from_slice(&few.columns[..count]);
        filling.lengths.extend(lengths());
        filling.kinds.resize(filling.kinds.len() + count, kind);
        filling.has_other_kinds |= !kind.is_plain_change();
        self.statements -= count;
        self.taken += count as u64;
        self.changes |= kind != Kind::Select;
        self.read = offset + u64::from(ends[count - 1]) + 1;
        if few.in_lines {
            self.add_text(starts[0] as usize..ends[count - 1] as usize + 1);
        } else {
            for (start, end) in starts.iter().zip(ends) {
                self.add_text(*start as usize..*end as usize + 1);
            }
        }
    }

    /// Adds text up to a terminator, and a newline.
    fn add_text(&mut self, text: Range<usize>) {
        let newline = self.window.get(text.end) == Some(&b'\n');
        if newline && self.held.end == text.start {
            self.held.end = text.end + 1;
            return;
        }
        let held = std::mem::replace(&mut self.held, text);
        self.hand_over(held);
        if newline {
            self.held.end += 1;
        } else {
            let held = std::mem::take(&mut self.held);
            self.hand_over(held);
            self.filling.body.append(self.window, b"\n");
        }
    }

    fn hand_over(&mut self, text: Range<usize>) {
        if !text.is_empty() {
            self.filling.body.take(self.window, text);
        }
    }

    /// Ends it: what was added is part of the batch.
    pub(crate) fn end(mut self) -> Added {
        let held = std::mem::take(&mut self.held);
        self.hand_over(held);
        Added { statements: self.taken, read: self.read, changes: self.changes }
    }
}

/// What many statements come to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Added {
    pub(crate) statements: u64,
    /// Bytes of input up to the end of the last one.
    pub(crate) read: u64,
    /// Whether any of them does more than read.
    pub(crate) changes: bool,
}

/// Bodies and windows stay below 4 GiB.
#[inline]
fn narrow(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}
