//! Statements that may be like the INSERT before them: those whose ends are known, and those that
//! are yet to be found. What the rows of one are says where it ends, so nothing else has to look
//! for that.

use crate::filling::Few;

/// Bytes of the longest statement that is found by its rows. Longer ones lose less by being read twice
/// than by being read in vain, where their end is not there yet.
const LONGEST: usize = 4096;

/// One statement after the other.
pub(crate) trait Statements {
    /// Where the next one begins, and where it ends at the latest. None where there is no more.
    fn next(&self) -> Option<(usize, usize)>;

    /// Takes the next one, if it is one that ends here; else false.
    fn take(&mut self, text: &[u8], end: usize) -> bool;
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
    fn next(&self) -> Option<(usize, usize)> {
        let (start, end) = self.starts.get(self.count).zip(self.ends.get(self.count))?;
        let (start, end) = (*start as usize, *end as usize);
        (end.saturating_sub(start) <= self.longest).then_some((start, end))
    }

    #[inline(always)]
    fn take(&mut self, _: &[u8], end: usize) -> bool {
        let fits = self.ends.get(self.count).is_some_and(|known| *known as usize == end);
        self.count += usize::from(fits);
        fits
    }
}

/// A few statements, each of which stands in a line of its own behind the one before.
pub(crate) struct Following<'a> {
    few: &'a mut Few,
    /// Where the next one begins, if there is room for it.
    next: Option<usize>,
}

impl<'a> Following<'a> {
    /// The first of them begins here.
    pub(crate) fn new(start: usize, few: &'a mut Few) -> Self {
        Self { few, next: Some(start) }
    }
}

impl Statements for Following<'_> {
    #[inline(always)]
    fn next(&self) -> Option<(usize, usize)> {
        self.next.map(|start| (start, start + LONGEST))
    }

    #[inline(always)]
    fn take(&mut self, text: &[u8], end: usize) -> bool {
        let behind = text.get(end..).and_then(|rest| rest.first_chunk());
        let Some((start, [b';', newline])) = self.next.zip(behind) else { return false };
        self.few.push(start, end);
        let goes_on = *newline == b'\n' && !self.few.is_full();
        self.next = goes_on.then_some(end + 2);
        true
    }
}
