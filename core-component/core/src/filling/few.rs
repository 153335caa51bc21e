//! A few statements that were found, and where they are.

use std::ops::Range;

use super::adding::narrow;
use crate::position::{Cursor, Spot};

/// Some of a few statements, as bits.
pub(crate) type Bits = u128;

/// How many statements are added at once.
pub(crate) const FEW: usize = Bits::BITS as usize;

/// The first so many of a few statements.
#[inline]
pub(crate) fn first_of_few(count: usize) -> Bits {
    if count < FEW { (1 << count) - 1 } else { Bits::MAX }
}

/// A few statements of one window, each of which ends in a semicolon. Where they stand side by side,
/// with nothing but a newline between them, only the first needs a line and a column.
#[derive(Debug)]
pub(crate) struct Few {
    count: usize,
    /// Which of them are not side by side with the one before, as bits: these have a line and a
    /// column.
    parted: Bits,
    starts: [u32; FEW],
    ends: [u32; FEW],
    lines: [u32; FEW],
    columns: [u32; FEW],
}

impl Few {
    pub(crate) fn new() -> Self {
        let none = [0; FEW];
        Self { count: 0, parted: 0, starts: none, ends: none, lines: none, columns: none }
    }

    /// There are none any more; the first will begin at `spot`.
    pub(crate) fn begin(&mut self, spot: Spot) {
        (self.count, self.parted) = (0, 0);
        self.part(spot);
    }

    pub(crate) fn count(&self) -> usize {
        self.count
    }

    pub(crate) fn is_full(&self) -> bool {
        self.count >= FEW
    }

    /// The statement of this index is the one from `start` to `end`, once
    /// [`set_count`](Self::set_count) says that it is there.
    #[inline]
    pub(crate) fn put(&mut self, index: usize, start: usize, end: usize) {
        self.starts[index % FEW] = narrow(start);
        self.ends[index % FEW] = narrow(end);
    }

    pub(crate) fn set_count(&mut self, count: usize) {
        self.count = count;
    }

    /// The next one, which begins at `spot`, is not side by side with the one before.
    pub(crate) fn part(&mut self, spot: Spot) {
        if !self.is_full() {
            self.parted |= 1 << self.count;
            self.lines[self.count % FEW] = spot.line;
            self.columns[self.count % FEW] = spot.column;
        }
    }

    /// All but the first are so many lines further down.
    pub(crate) fn add_lines_behind_first(&mut self, lines: u32) {
        for line in self.lines.iter_mut().skip(1) {
            *line = line.saturating_add(lines);
        }
    }

    /// Where the statement of this index of a window begins, if there is one.
    pub(crate) fn spot(&self, index: usize, window: &[u8]) -> Option<Spot> {
        if index >= self.count.min(FEW) {
            return None;
        }
        let known = (self.parted & first_of_few(index + 1)).checked_ilog2()? as usize;
        let (from, to) = (self.starts[known] as usize, self.starts[index] as usize);
        let (offset, line, column) = (0, self.lines[known], self.columns[known]);
        let at = Cursor { offset, line, column }.after(window.get(from..to)?);
        Some(Spot { at: to, line: at.line, column: at.column })
    }

    /// Line and column of the statement of this index, which is not side by side with the one before.
    pub(super) fn known_place(&self, index: usize) -> (u32, u32) {
        (self.lines[index], self.columns[index])
    }

    /// Those of the first so many that stand side by side, from this index on.
    pub(super) fn side_by_side(&self, index: usize, count: usize) -> Range<usize> {
        let next = (self.parted & !first_of_few(index + 1)).trailing_zeros() as usize;
        index..next.min(count)
    }

    /// Where the statement before the one of this index ends.
    pub(crate) fn end_before(&self, index: usize) -> Option<usize> {
        let before = self.ends[..self.count].get(index.checked_sub(1)?);
        before.map(|end| *end as usize)
    }

    /// Where each begins, and where each ends.
    pub(super) fn places(&self) -> (&[u32], &[u32]) {
        let count = self.count.min(FEW);
        (&self.starts[..count], &self.ends[..count])
    }
}
