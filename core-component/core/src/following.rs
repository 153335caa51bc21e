//! Statements that may be like the INSERT before them: those whose ends are known, and those that
//! are yet to be found. What the rows of one are says where it ends, so nothing else has to look
//! for that.

use crate::filling::{FEW, Few};

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

    /// So many are taken.
    fn end(&mut self, count: usize);
}

/// Statements whose ends were found before.
pub(crate) struct Known<'a> {
    starts: &'a [u32],
    ends: &'a [u32],
    /// Bytes of the longest of them.
    longest: usize,
    /// How many are taken.
    pub(crate) count: usize,
}

impl<'a> Known<'a> {
    /// Those that have at most so many bytes, up to one that has more.
    pub(crate) fn new((starts, ends): (&'a [u32], &'a [u32]), longest: usize) -> Self {
        Self { starts, ends, longest, count: 0 }
    }
}

impl Statements for Known<'_> {
    #[inline(always)]
    fn first(&self) -> Option<usize> {
        self.behind(&[], 0, 0)
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
        self.starts.get(index).map(|start| *start as usize)
    }

    #[inline(always)]
    fn end(&mut self, count: usize) {
        self.count = count;
    }
}

/// A few statements, each of which stands in a line of its own behind the one before.
pub(crate) struct Following<'a> {
    few: &'a mut Few,
    /// Where the first begins.
    start: usize,
}

impl<'a> Following<'a> {
    /// The first of them begins here.
    pub(crate) fn new(start: usize, few: &'a mut Few) -> Self {
        Self { few, start }
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
    fn end(&mut self, count: usize) {
        self.few.set_count(count);
    }
}
