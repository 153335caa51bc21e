//! Which of a few statements are sent as one.

use std::ops::Range;

use crate::joined::Around;

/// Statements one behind the other.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Run {
    /// The index of the first.
    first: usize,
    /// Whether each of them is sent by itself.
    is_apart: bool,
    /// What is around the rows of each, where they are INSERTs that are sent as one.
    around: Around,
}

/// A few statements as runs, from the first statement on.
#[derive(Debug, Default)]
pub(crate) struct Runs {
    list: Vec<Run>,
    all: Sum,
}

/// What runs come to.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sum {
    runs: usize,
    /// Whether the first statement, too, is joined to the one before it.
    goes_on: bool,
    /// How many statements are joined to the ones before.
    pub(crate) joined: usize,
    /// Bytes that are not sent because of that.
    pub(crate) saved: usize,
}

/// Statements of one run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Section {
    pub(crate) statements: Range<usize>,
    pub(crate) is_apart: bool,
    pub(crate) around: Around,
    /// Whether the first of them, too, is joined to the one before it.
    pub(crate) goes_on: bool,
}

impl Runs {
    /// There are none any more.
    pub(crate) fn clear(&mut self) {
        self.cut(Sum::default());
    }

    /// What all of them come to.
    pub(crate) fn all(&self) -> Sum {
        self.all
    }

    /// There are only those that came to this.
    pub(crate) fn cut(&mut self, all: Sum) {
        self.list.truncate(all.runs);
        self.all = all;
    }

    /// The next statements, which have these indices, are INSERTs that are sent as one. `joins`: with the
    /// one before, too.
    #[inline]
    pub(crate) fn put(&mut self, range: Range<usize>, around: Around, joins: bool) {
        let joined = range.len() - usize::from(!joins);
        self.all.joined += joined;
        self.all.saved += joined * around.saved_by_one();
        if joins && self.all.runs > 0 {
            return;
        }
        self.all.goes_on |= joins;
        self.push(Run { first: range.start, is_apart: false, around });
    }

    /// Each of the next statements, from this index on, is sent by itself.
    pub(crate) fn put_single(&mut self, first: usize) {
        if self.list.last().is_none_or(|last| !last.is_apart) {
            self.push(Run { first, is_apart: true, around: Around::default() });
        }
    }

    #[inline]
    fn push(&mut self, run: Run) {
        self.list.push(run);
        self.all.runs = self.list.len();
    }

    /// Whether there are INSERTs that may be sent as one.
    pub(crate) fn may_join(&self) -> bool {
        self.list.iter().any(|run| !run.is_apart)
    }

    /// The statements of this range, run by run; their indices are those in the range.
    #[inline]
    pub(crate) fn within(&self, range: Range<usize>) -> impl Iterator<Item = Section> {
        let (runs, all) = (&self.list, self.all);
        let index = runs.partition_point(|run| run.first <= range.start).saturating_sub(1);
        (index..runs.len()).map_while(move |index| {
            let Run { first, is_apart, around } = *runs.get(index)?;
            let next = runs.get(index + 1).map_or(usize::MAX, |run| run.first);
            let statements = first.max(range.start)..next.min(range.end);
            let goes_on = statements.start > first || (index == 0 && all.goes_on);
            let statements = statements.start - range.start..statements.end - range.start;
            (!statements.is_empty()).then_some(Section { statements, is_apart, around, goes_on })
        })
    }

    /// Bytes that are not sent because statements of this range are joined to the ones before.
    pub(crate) fn saved(&self, range: Range<usize>) -> usize {
        self.within(range).map(|section| section.joined() * section.around.saved_by_one()).sum()
    }

    /// Those of each statement.
    pub(crate) fn saved_by_each(&self, range: Range<usize>) -> impl Iterator<Item = usize> {
        self.within(range).flat_map(|section| {
            let apart = section.statements.len() - section.joined();
            let saved = section.around.saved_by_one();
            section
                .statements
                .enumerate()
                .map(move |(index, _)| if index < apart { 0 } else { saved })
        })
    }
}

impl Section {
    /// How many of them are joined to the ones before.
    pub(crate) fn joined(&self) -> usize {
        if self.is_apart { 0 } else { self.statements.len() - usize::from(!self.goes_on) }
    }
}
