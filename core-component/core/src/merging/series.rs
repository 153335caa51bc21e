//! Reads INSERTs that have around their rows what others had before, by their rows alone.

use std::hint::cold_path;

use super::Merger;
use super::heads::Head;
use crate::alike::{Alike, Marks, Near};
use crate::constant::escapes;
use crate::family::{Columns, Families, FamilyRule, Free, Numbering, Ruled};
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
    /// Whether one of them is joined to the one before it.
    pub(super) joins: bool,
    /// What the last of them has around its rows.
    pub(super) head: usize,
    /// How many rows the last of them and those that it is joined to have.
    pub(super) rows: u32,
    /// Whether they may have control characters, newlines among them, or other than ASCII.
    pub(crate) is_unusual: bool,
}

/// How far INSERTs are read.
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

    /// Reads those statements that come next and have this around their rows, which look as those before
    /// them.
    #[inline(never)]
    fn read<C: Columns>(
        &self,
        alike: &mut Alike<C>,
        statements: &mut impl Statements,
        place: &mut Place,
    ) {
        let Place { count: first, mut next, mut left, mut unusual } = *place;
        let mut count = first;
        loop {
            let one = next.and_then(|start| {
                let most = statements.latest_end(count, start)?;
                let one = self.read_one(alike, statements.text(), (start, most), unusual)?;
                let rest = left.checked_sub(one.rows)?;
                let behind = statements.take(count, (start, one.end))?;
                Some((behind, rest, one.unusual))
            });
            let Some(one) = one else {
                cold_path();
                break;
            };
            alike.loosen();
            count += 1;
            (next, left, unusual) = one;
        }
        if count > first {
            *place = Place { count, next, left, unusual };
        }
    }

    /// Reads a statement that begins here in a text, and whose rows end at `most` at the latest.
    /// `unusual`: as in [`Place`].
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
        near.pass(self.prefix.len())?;
        let rows = alike.rows(&mut near, most)?;
        let last = near.place();
        let end = last + self.tail.len();
        // Most statements have no tail.
        let is_tail = self.tail.is_empty() || text.get(last..end)? == self.tail;
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
    pub(crate) fn read_like(&self, statements: impl Statements, backslash: Option<bool>) -> Like {
        let escapes = escapes(self.rules, backslash);
        match self.rules.inserts.families {
            FamilyRule::Free => self.read(|_| Free, escapes, statements),
            FamilyRule::Numbering => self.read(Numbering::new, escapes, statements),
            rule => self.read(|families| Ruled::new(rule, families), escapes, statements),
        }
    }

    /// As [`read_like`](Self::read_like). `escapes`: whether a backslash does so.
    fn read<'a, C: Columns>(
        &'a self,
        columns: impl Fn(&'a Families) -> C,
        escapes: bool,
        mut statements: impl Statements,
    ) -> Like {
        let last = self.heads.last_index();
        let mut like = Like { count: 0, joins: false, head: last, rows: 0, is_unusual: false };
        let mut place = Place { count: 0, next: statements.first(), left: 0, unusual: 0 };
        let Some(head) = self.heads.last() else { return like };
        let marks = Marks::new(escapes);
        let mut alike = Alike::new(marks, columns(&head.families), head.families.width());
        let mut joined = 0;
        let mut turn = match self.open {
            true => Some((last, true)),
            false => self.turn(&statements, &place, last),
        };
        while let Some((index, joins)) = turn
            && let Some(head) = self.heads.get(index)
        {
            let (first, known) = (place.count, columns(&head.families));
            place.left = if joins { self.rows_left() } else { self.options.max_rows };
            let known = if joins { known } else { known.exactly() };
            alike.go_on(known, head.families.width());
            head.read(&mut alike, &mut statements, &mut place);
            let count = place.count - first;
            if count > 0 {
                statements.join(first..place.count, head.around(), joins);
                joined += count - usize::from(!joins);
                like.is_unusual |= head.is_unusual;
                like.head = index;
                like.rows = self.options.max_rows - place.left;
            } else if !joins {
                break;
            }
            let is_worth_it = place.count < TRIED || 4 * joined >= place.count;
            turn = is_worth_it.then(|| self.turn(&statements, &place, index)).flatten();
        }
        like.joins = joined > 0;
        statements.end(place.count);
        like.count = place.count;
        like.is_unusual |= place.unusual != 0;
        like
    }

    /// What the next statement has before its rows, if it may be read here although it is joined to
    /// none. `last`: what the one before it has.
    fn turn(
        &self,
        statements: &impl Statements,
        place: &Place,
        last: usize,
    ) -> Option<(usize, bool)> {
        let (text, begins_at) = (statements.text(), place.next?);
        if !self.unread.is_idle() {
            return None;
        }
        let near = Near::new(text, begins_at, 0)?;
        // All of them are of one kind.
        let letter = *text.get(statements.first()?)?;
        let index = self.heads.beginning(&near, letter, last)?;
        let is_like_last = index == last && place.left > 0;
        let head = self.heads.get(index).filter(|_| !is_like_last)?;
        // Those whose neighbours begin otherwise are told by less than their rows.
        let after = statements.start(place.count + 1).filter(|_| !self.options.locates_rows);
        let is_alone =
            |after| Near::new(text, after, 0).is_none_or(|near| !head.prefix.begins(&near));
        (!after.is_some_and(is_alone)).then_some((index, false))
    }
}
