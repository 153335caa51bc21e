//! Statements that may be like the INSERT before them: those whose ends are known, and those that
//! are yet to be found. What the rows of one are says where it ends, so nothing else has to look
//! for that.

use std::ops::Range;

use crate::filling::{FEW, Few, Runs};
use crate::joined::Around;

/// Bytes of the longest statement that is found by its rows. Longer ones lose less by being read twice
/// than by being read in vain, where their end is not there yet.
const LONGEST: usize = 4096;

/// One statement after the other, counted by whoever reads them.
pub(crate) trait Statements {
    /// Where the first begins.
    fn first(&self) -> Option<usize>;

    /// Where the one of this index, which begins at `start`, ends at the latest. None where it is too
    /// long.
    fn latest_end(&self, index: usize, start: usize) -> Option<usize>;

    /// Takes the one of this index, if it ends here; else false.
    fn take(&mut self, text: &[u8], index: usize, place: (usize, usize)) -> bool;

    /// Where the one of this index begins, if one before it ends here. None where there is no more.
    fn behind(&self, text: &[u8], end: usize, index: usize) -> Option<usize>;

    /// Where the one of this index begins, if that is known before those before it are read.
    fn start(&self, index: usize) -> Option<usize>;

    /// Those of this range of indices have this around their rows, and are sent as one. `joins`: with
    /// the one before them, too.
    fn join(&mut self, range: Range<usize>, around: Around, joins: bool);
}

/// Statements whose ends were found before.
pub(crate) struct Known<'a> {
    starts: &'a [u32],
    ends: &'a [u32],
    /// Bytes of the longest of them.
    longest: usize,
    runs: &'a mut Runs,
    /// How many statements there are before them.
    before: usize,
}

impl<'a> Known<'a> {
    /// Those from this index on that have at most so many bytes, up to one that has more.
    pub(crate) fn new(
        (starts, ends): (&'a [u32], &'a [u32]),
        (before, longest): (usize, usize),
        runs: &'a mut Runs,
    ) -> Self {
        let (starts, ends) = (&starts[before..], &ends[before..]);
        Self { starts, ends, longest, runs, before }
    }
}

impl Statements for Known<'_> {
    #[inline(always)]
    fn first(&self) -> Option<usize> {
        self.start(0)
    }

    #[inline(always)]
    fn latest_end(&self, index: usize, start: usize) -> Option<usize> {
        let end = *self.ends.get(index)? as usize;
        (end.saturating_sub(start) <= self.longest).then_some(end)
    }

    #[inline(always)]
    fn take(&mut self, _: &[u8], index: usize, (_, end): (usize, usize)) -> bool {
        self.ends.get(index).is_some_and(|known| *known as usize == end)
    }

    #[inline(always)]
    fn behind(&self, _: &[u8], _: usize, index: usize) -> Option<usize> {
        self.start(index)
    }

    #[inline(always)]
    fn start(&self, index: usize) -> Option<usize> {
        self.starts.get(index).map(|start| *start as usize)
    }

    #[inline(always)]
    fn join(&mut self, range: Range<usize>, around: Around, joins: bool) {
        self.runs.put(self.before + range.start..self.before + range.end, around, joins);
    }
}

/// A few statements, each of which stands in a line of its own behind the one before.
pub(crate) struct Following<'a> {
    few: &'a mut Few,
    runs: &'a mut Runs,
    /// Where the first begins.
    start: usize,
}

impl<'a> Following<'a> {
    /// The first of them begins here.
    pub(crate) fn new(start: usize, few: &'a mut Few, runs: &'a mut Runs) -> Self {
        runs.clear();
        Self { few, runs, start }
    }
}

impl Statements for Following<'_> {
    #[inline(always)]
    fn first(&self) -> Option<usize> {
        Some(self.start)
    }

    #[inline(always)]
    fn latest_end(&self, _: usize, start: usize) -> Option<usize> {
        Some(start + LONGEST)
    }

    #[inline(always)]
    fn take(&mut self, text: &[u8], index: usize, (start, end): (usize, usize)) -> bool {
        self.few.put(index, start, end);
        text.get(end) == Some(&b';') && text.len() > end + 1
    }

    #[inline(always)]
    fn behind(&self, text: &[u8], end: usize, index: usize) -> Option<usize> {
        (text.get(end + 1) == Some(&b'\n') && index < FEW).then_some(end + 2)
    }

    #[inline(always)]
    fn start(&self, _: usize) -> Option<usize> {
        None
    }

    #[inline(always)]
    fn join(&mut self, range: Range<usize>, around: Around, joins: bool) {
        self.runs.put(range, around, joins);
    }
}
