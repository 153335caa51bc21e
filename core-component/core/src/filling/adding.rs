//! Many statements added at a time.

use std::ops::Range;

use super::{Filling, SEPARATOR};
use crate::merging::{Found, Merger};
use crate::position::Spot;
use crate::types::Kind;

/// How many statements are added at once.
const FEW: usize = 32;

/// What a batch may have.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Room {
    /// Bytes that are sent.
    pub(crate) bytes: u64,
    /// Bytes of the body.
    pub(crate) body_bytes: u64,
    pub(crate) statements: usize,
}

/// Adds statements that end in a semicolon of their own, many at a time: a few are kept apart from
/// the lists, so that these need not be looked at for each.
#[derive(Debug)]
pub(crate) struct Adding<'a> {
    filling: &'a mut Filling,
    window: &'a [u8],
    /// Input before the window.
    offset: u64,
    /// Bytes and statements that there is room for.
    bytes: usize,
    statements: usize,
    /// Bytes of the body with all that was added, and the most that it may have.
    filled: usize,
    most: usize,
    /// What joins INSERTs, where that is wanted, and how backslashes are read.
    merger: Option<(&'a mut Merger, Option<bool>)>,
    /// What is added last and side by side in the window, and not in the body yet.
    held: Range<usize>,
    count: usize,
    ends: [u32; FEW],
    offsets: [u64; FEW],
    lines: [u32; FEW],
    columns: [u32; FEW],
    lengths: [u32; FEW],
    kinds: [Kind; FEW],
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
            filled: filling.body.len(),
            most: bytes(room.body_bytes),
            merger: None,
            held: 0..0,
            count: 0,
            ends: [0; FEW],
            offsets: [0; FEW],
            lines: [0; FEW],
            columns: [0; FEW],
            lengths: [0; FEW],
            kinds: [Kind::Other; FEW],
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

    /// What merging makes of the statement from `start` to `end`.
    #[inline]
    pub(crate) fn look(&mut self, start: usize, end: usize, kind: Kind) -> Option<Found> {
        let (merger, backslash) = self.merger.as_mut()?;
        match kind {
            Kind::Insert | Kind::Replace => {
                merger.look(self.window.get(start..end).unwrap_or_default(), *backslash)
            }
            _ => None,
        }
    }

    /// Whether there is room for a statement of so many bytes and its terminator.
    #[inline]
    pub(crate) fn has_room(&self, length: usize, found: Option<Found>) -> bool {
        let saved = found.map_or(0, |found| self.filling.saved_by(found) as usize);
        length < self.bytes.saturating_add(saved)
            && self.statements > 0
            && length < self.most.saturating_sub(self.filled)
    }

    /// Adds the statement from `spot` to `end`, for which there is room.
    #[inline]
    pub(crate) fn add(&mut self, spot: Spot, end: usize, kind: Kind, found: Option<Found>) {
        let length = end.saturating_sub(spot.at);
        let index = self.count % FEW;
        self.join(spot.at, end, found);
        self.bytes = self.bytes.saturating_sub(length + 2);
        self.statements -= 1;
        self.filled += length + 2;
        self.ends[index] = narrow(self.filled);
        self.offsets[index] = self.offset.wrapping_add(spot.at as u64);
        self.lines[index] = spot.line;
        self.columns[index] = spot.column;
        self.lengths[index] = narrow(length);
        self.kinds[index] = kind;
        let newline = self.window.get(end + 1) == Some(&b'\n');
        if newline && self.held.end == spot.at {
            self.held.end = end + 2;
        } else {
            self.add_text(spot.at..end + 1, newline);
        }
        self.count += 1;
        if self.count == FEW {
            self.flush();
        }
    }

    /// Joins the statement that is added to the one before, if it may be.
    #[inline]
    fn join(&mut self, start: usize, end: usize, found: Option<Found>) {
        let Some((merger, _)) = &mut self.merger else { return };
        merger.take(self.window.get(start..end).unwrap_or_default(), found);
        if let Some(found) = found {
            self.bytes = self.bytes.saturating_add(self.filling.saved_by(found) as usize);
            let statement = self.filling.ends.len() + self.count;
            self.filling.locate_rows_of(statement, found);
        }
        self.filling.separator = SEPARATOR.len() as u64 + 1;
    }

    #[cold]
    fn add_text(&mut self, text: Range<usize>, newline: bool) {
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

    fn flush(&mut self) {
        let count = std::mem::take(&mut self.count);
        let Some(last) = count.checked_sub(1) else { return };
        self.taken += count as u64;
        self.read = self.offsets[last] + u64::from(self.lengths[last]) + 1;
        self.changes |= self.kinds[..count].iter().any(|kind| *kind != Kind::Select);
        let filling = &mut *self.filling;
        filling.ends.extend_from_slice(&self.ends[..count]);
        filling.offsets.extend_from_slice(&self.offsets[..count]);
        filling.lines.extend_from_slice(&self.lines[..count]);
        filling.columns.extend_from_slice(&self.columns[..count]);
        filling.lengths.extend_from_slice(&self.lengths[..count]);
        filling.kinds.extend_from_slice(&self.kinds[..count]);
    }

    /// Ends it: what was added is part of the batch.
    pub(crate) fn end(mut self) -> Added {
        self.flush();
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

/// Bodies stay below 4 GiB.
#[inline]
fn narrow(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}
