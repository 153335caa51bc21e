//! Reads INSERTs that have around their rows what others had before, by their rows alone.

use std::hint::cold_path;

use super::Merger;
use super::heads::Head;
use crate::alike::{Alike, Marks, Near};
use crate::constant::escapes;
use crate::family::{Anew, Columns, FamilyRule, Free, Ruled};
use crate::following::Statements;
use crate::insert::Text;
use crate::joined::Around;

/// So many INSERTs say whether it is worth it to read more of them by their rows: where most have other
/// neighbours, it takes less to find their ends.
const TRIED: usize = 8;

/// INSERTs that were found by their rows.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Like {
    /// How many they are.
    pub(crate) count: usize,
    /// How many of them are joined to the ones before.
    pub(super) joined: usize,
    /// What the last of them has around its rows.
    pub(super) head: usize,
    /// How many rows the last of them and those that it is joined to have.
    pub(super) rows: u32,
    /// Whether they may have control characters, newlines among them, or other than ASCII.
    pub(crate) is_unusual: bool,
}

/// How far statements are read.
struct Place {
    /// How many are read.
    count: usize,
    /// Where the next one begins; none where there is no more.
    next: Option<usize>,
    /// How many rows may be joined to those of the last one.
    left: u32,
    /// Not 0 if they have control characters or other than ASCII.
    unusual: u32,
}

/// INSERTs that are sent as one, while they are read.
struct Series<'a> {
    /// What they have around their rows, and its index.
    head: &'a Head,
    index: usize,
    /// Whether the first of them is joined to the one before.
    joins: bool,
    /// The index of the first.
    first: usize,
}

impl Series<'_> {
    /// It ends before the statement of this index; all that are joined in it have so many rows.
    #[inline]
    fn end(&self, like: &mut Like, statements: &mut impl Statements, (end, rows): (usize, u32)) {
        let Self { head, index, joins, first } = *self;
        if end > first {
            statements.join(first..end, head.around(), joins);
            like.count = end;
            like.joined += end - first - usize::from(!joins);
            like.is_unusual |= head.is_unusual;
            (like.head, like.rows) = (index, rows);
        }
    }
}

/// A statement that was read.
struct One {
    end: usize,
    rows: u32,
    unusual: u32,
}

impl Head {
    /// How many bytes it has.
    pub(super) fn around(&self) -> Around {
        let narrow = |bytes: usize| u32::try_from(bytes).unwrap_or(u32::MAX);
        Around { prefix: narrow(self.prefix.len()), tail: narrow(self.tail.len()) }
    }

    /// Reads those statements, from the first on, that have this around their rows, of which so many may
    /// be joined. What does not change stands still here: most scripts are read by this loop.
    #[inline(never)]
    fn read_on<C: Columns>(
        &self,
        mut alike: Alike<C>,
        text: &[u8],
        statements: &mut impl Statements,
        mut left: u32,
    ) -> Place {
        let (mut count, mut next, mut unusual) = (0, statements.first(), 0);
        while let Some(place) =
            next.and_then(|start| Some((start, statements.latest_end(count, start)?)))
        {
            let Some(one) = self.read_one(&mut alike, text, place, unusual) else { break };
            let Some(rest) = left.checked_sub(one.rows) else { break };
            if !statements.take(text, count, (place.0, one.end)) {
                break;
            }
            count += 1;
            left = rest;
            unusual = one.unusual;
            next = statements.behind(text, one.end, count);
        }
        Place { count, next, left, unusual }
    }

    /// Reads a statement that begins here in a text, and whose rows end at `most` at the latest.
    #[inline(always)]
    fn read_one<C: Columns>(
        &self,
        alike: &mut Alike<C>,
        text: &[u8],
        (start, most): (usize, usize),
        unusual: u32,
    ) -> Option<One> {
        let mut near = Near::new(text, start, unusual)?;
        if !self.prefix.begins(&near) {
            return None;
        }
        self.rows(alike, &mut near, most)
    }

    /// Reads the rows of a statement that begins here and with all of this, and what is behind them.
    #[inline(always)]
    fn rows<C: Columns>(
        &self,
        alike: &mut Alike<C>,
        near: &mut Near<'_>,
        most: usize,
    ) -> Option<One> {
        near.pass(self.prefix.len())?;
        let rows = alike.rows(near, most)?;
        let end = near.place() + self.tail.len();
        // Most statements have no tail.
        let is_tail = self.tail.is_empty() || near.goes_on_with(&self.tail);
        is_tail.then_some(One { end, rows, unusual: near.unusual() })
    }
}

impl Merger {
    /// The rows of a statement that differs from the last INSERT in these only, where they look as
    /// those before them.
    pub(super) fn rows_of_one(&self, text: Text<'_>, backslash: Option<bool>) -> Option<u32> {
        let head = self.last()?;
        let marks = Marks::new(escapes(self.rules, backslash));
        let columns = Ruled::new(self.rules.inserts.families, &head.families);
        let mut alike = Alike::new(marks, columns, head.families.width());
        let length = text.get().len();
        let one = head.read_one(&mut alike, text.wide(), (0, length), 0)?;
        (one.end == length).then_some(one.rows)
    }

    /// Takes as many of these statements, from the first on, as have around their rows what the last
    /// INSERT has, or another that was understood before, and rows that look as those had.
    pub(crate) fn read_like(
        &self,
        text: &[u8],
        statements: impl Statements,
        backslash: Option<bool>,
    ) -> Like {
        let escapes = escapes(self.rules, backslash);
        match self.rules.inserts.families {
            FamilyRule::Free => self.read(|_| Free, (escapes, text), statements),
            FamilyRule::Numbering => self.read(|head| head.numbering, (escapes, text), statements),
            rule => self.read(|head| Ruled::new(rule, &head.families), (escapes, text), statements),
        }
    }

    /// As [`read_like`](Self::read_like). `escapes`: whether a backslash does so.
    fn read<'m, C: Columns>(
        &'m self,
        columns: impl Fn(&'m Head) -> C,
        (escapes, text): (bool, &[u8]),
        mut statements: impl Statements,
    ) -> Like {
        let (index, joins) = (self.heads.last_index(), self.open);
        let mut like = Like { head: index, ..Like::default() };
        let (Some(head), Some(start)) = (self.heads.last(), statements.first()) else {
            return like;
        };
        let marks = Marks::new(escapes);
        let mut place = Place { count: 0, next: Some(start), left: 0, unusual: 0 };
        if joins {
            let alike = Alike::new(marks, columns(head), head.families.width());
            place = head.read_on(alike, text, &mut statements, self.rows_left());
            let rows = self.options.max_rows - place.left;
            let series = Series { head, index, joins, first: 0 };
            series.end(&mut like, &mut statements, (place.count, rows));
        }
        like.is_unusual |= place.unusual != 0;
        if self.unread.is_idle()
            && let Some(near) = place.next.and_then(|start| Near::new(text, start, 0))
            && let Some(series) = self.next_series(text, &statements, &near, &like)
            // What begins like the last one was not read, unless there was no room for its rows.
            && (series.index != index || place.left == 0)
        {
            let known = Anew::new(columns(series.head), true);
            let alike = Alike::new(marks, known, series.head.families.width());
            self.read_series(&columns, alike, (text, &mut statements), (series, place, &mut like));
        }
        like
    }

    /// As [`read`](Self::read), from this place on and of several series, the first of which is this.
    #[inline(never)]
    fn read_series<'m, C: Columns>(
        &'m self,
        columns: &impl Fn(&'m Head) -> C,
        mut alike: Alike<Anew<C>>,
        (text, statements): (&[u8], &mut impl Statements),
        (mut series, place, like): (Series<'m>, Place, &mut Like),
    ) {
        let Place { mut count, mut next, mut unusual, .. } = place;
        let mut left = self.options.max_rows;
        while let Some(start) = next
            && let Some(most) = statements.latest_end(count, start)
            && let Some(mut near) = Near::new(text, start, unusual)
        {
            if !series.head.prefix.begins(&near) {
                series.end(like, statements, (count, self.options.max_rows - left));
                series.first = count;
                let Some(other) = self.next_series(text, statements, &near, like) else { break };
                series = other;
                left = self.options.max_rows;
                alike.begin(columns(series.head), series.head.families.width());
            }
            if let Some(one) = series.head.rows(&mut alike, &mut near, most)
                && let Some(rest) = left.checked_sub(one.rows)
                && statements.take(text, count, (start, one.end))
            {
                alike.go_on();
                count += 1;
                (left, unusual) = (rest, one.unusual);
                next = statements.behind(text, one.end, count);
                continue;
            }
            cold_path();
            break;
        }
        series.end(like, statements, (count, self.options.max_rows - left));
        like.is_unusual |= unusual != 0;
    }

    /// The series that the next statement begins, if it may be read here although it is joined to none.
    /// `before`: those that are read.
    #[inline]
    fn next_series(
        &self,
        text: &[u8],
        statements: &impl Statements,
        near: &Near<'_>,
        before: &Like,
    ) -> Option<Series<'_>> {
        let first = before.count;
        let is_worth_it = first < TRIED || 4 * before.joined >= first;
        if !is_worth_it {
            return None;
        }
        // All of them are of one kind.
        let letter = *text.get(statements.first()?)?;
        let index = self.heads.beginning(near, letter, before.head)?;
        let head = self.heads.get(index)?;
        // Those whose neighbours begin otherwise are told by less than their rows.
        let after = statements.start(first + 1).filter(|_| !self.options.locates_rows);
        let is_alone =
            |after| !Near::new(text, after, 0).is_some_and(|near| head.prefix.begins(&near));
        (!after.is_some_and(is_alone)).then_some(Series { head, index, joins: false, first })
    }
}
