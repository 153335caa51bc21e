//! Which INSERTs of a script may be sent as one: those that stand one behind the other and differ in
//! their rows only, of constants that mean the same alone and together. In doubt none.

mod sample;
#[cfg(test)]
mod tests;
mod unread;
mod unsettled;

use std::mem;

use self::sample::Sample;
use self::unread::Unread;
use self::unsettled::Said;
use crate::alike::{Alike, Marks, Near};
use crate::constant::escapes;
use crate::dialect::{Dialect, Rules};
use crate::family::{Columns, Families, FamilyRule, Free, Numbering, Ruled};
use crate::following::Statements;
use crate::insert::{InsertRows, Text, rows_behind, rows_of};
use crate::joined::saved_by_one;
use crate::types::{Join, Kind, Merging};

/// Bytes of the longest INSERT that is joined to others. Longer ones have many rows already, and take
/// longer to read than what would be gained; unless somebody wants to know where all rows are.
const LONGEST: usize = 16 * 1024;

/// An INSERT whose rows were found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    /// Bytes of it before its first row.
    pub(crate) prefix: u32,
    /// Bytes of it behind its last row.
    pub(crate) tail: u32,
    /// How many rows it has.
    pub(crate) rows: u32,
    /// Whether it may be joined to the one before it.
    pub(crate) joins: bool,
}

impl Found {
    /// Bytes of it that are not sent, as it is joined.
    pub(crate) fn saved(self) -> usize {
        if !self.joins {
            return 0;
        }
        saved_by_one(self.prefix as usize + self.tail as usize)
    }
}

/// Statements that may be joined to the one before.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Like {
    /// How many rows they have.
    pub(crate) rows: u32,
    /// Whether their rows may have control characters, newlines among them, or other than ASCII.
    pub(crate) is_unusual: bool,
}

/// One of them.
struct One {
    end: usize,
    rows: u32,
    is_unusual: bool,
}

/// What is known of the INSERTs that a next one could be joined to.
#[derive(Debug)]
pub(crate) struct Merger {
    rules: &'static Rules,
    options: Merging,
    /// Whether a statement of the script has made joining unsafe.
    is_off: bool,
    /// Whether the last statement was an INSERT that was understood.
    open: bool,
    prefix: Sample,
    tail: Vec<u8>,
    rows: u32,
    families: Families,
    /// Those of the statement that is looked at, where these are not the same.
    own: Families,
    adds_to_families: bool,
    /// Bytes of the longest INSERT that is looked at.
    longest: usize,
    unread: Unread,
}

impl Merger {
    pub(crate) fn new(dialect: Dialect, options: Merging) -> Self {
        Self {
            rules: dialect.rules(),
            options,
            longest: if options.locates_rows { usize::MAX } else { LONGEST },
            is_off: false,
            open: false,
            prefix: Sample::default(),
            tail: Vec::new(),
            rows: 0,
            families: Families::default(),
            own: Families::default(),
            adds_to_families: false,
            unread: Unread::new(),
        }
    }

    /// A batch is closed, and nothing is joined to what is in it. Says what was joined only, unless
    /// all rows are wanted.
    pub(crate) fn part(&mut self, joins: &mut Vec<Join>) {
        self.open = false;
        if !self.options.locates_rows {
            joins.retain(|join| join.statements > 1);
        }
    }

    /// Looks at the text of the next INSERT or REPLACE, without terminator. None where it is none of
    /// constants. Nothing comes of it before [`Merger::take`].
    #[must_use]
    #[inline]
    pub(crate) fn look(&mut self, text: Text<'_>, backslash: Option<bool>) -> Option<Found> {
        let Some(rows) = self.rows_of_one(text, backslash).filter(|rows| *rows <= self.rows_left())
        else {
            return self.look_closer(text, backslash);
        };
        self.adds_to_families = false;
        let (prefix, tail) = (self.prefix.len(), self.tail.len());
        let end = text.get().len().saturating_sub(tail);
        found(text.get(), InsertRows { prefix, end, count: rows }, true)
    }

    /// The rows of a statement that differs from the last INSERT in these only, where they look as
    /// those before them.
    fn rows_of_one(&self, text: Text<'_>, backslash: Option<bool>) -> Option<u32> {
        let marks = Marks::new(escapes(self.rules, backslash));
        let columns = Ruled::new(self.rules.inserts.families, &self.families);
        let mut alike = Alike::new(&marks, columns, self.families.width());
        let length = text.get().len();
        let like = self.rows_like(&mut alike, text.wide(), (0, length), false)?;
        (like.end == length).then_some(like.rows)
    }

    /// As [`rows_of_one`](Self::rows_of_one), of a statement that begins here in a text and whose
    /// rows end at `most` at the latest.
    #[inline(always)]
    fn rows_like<C: Columns>(
        &self,
        alike: &mut Alike<'_, C>,
        text: &[u8],
        (start, most): (usize, usize),
        is_unusual: bool,
    ) -> Option<One> {
        let mut near = Near::new(text, start, is_unusual)?;
        if !self.open || !self.prefix.begins(&near) {
            return None;
        }
        near.pass(self.prefix.len())?;
        let rows = alike.rows(&mut near, most)?;
        let last = near.place();
        let end = last + self.tail.len();
        // Most statements have no tail.
        let is_tail = self.tail.is_empty() || text.get(last..end)? == self.tail;
        is_tail.then_some(One { end, rows, is_unusual: near.is_unusual() })
    }

    /// Takes as many of these statements, from the first on, as differ from the last INSERT in rows
    /// only, which look as those before them.
    pub(crate) fn read_like(
        &self,
        text: &[u8],
        statements: &mut impl Statements,
        backslash: Option<bool>,
    ) -> Like {
        let marks = Marks::new(escapes(self.rules, backslash));
        let (families, width) = (&self.families, self.families.width());
        match self.rules.inserts.families {
            FamilyRule::Free => self.read(Alike::new(&marks, Free, width), text, statements),
            FamilyRule::Numbering => {
                self.read(Alike::new(&marks, Numbering::new(families), width), text, statements)
            }
            rule => {
                self.read(Alike::new(&marks, Ruled::new(rule, families), width), text, statements)
            }
        }
    }

    #[inline(never)]
    fn read<C: Columns>(
        &self,
        mut alike: Alike<'_, C>,
        text: &[u8],
        statements: &mut impl Statements,
    ) -> Like {
        let mut left = self.rows_left();
        let mut is_unusual = false;
        let (mut count, mut next) = (0, statements.first());
        while let Some(place) =
            next.and_then(|start| Some((start, statements.latest_end(count, start)?)))
        {
            let Some(one) = self.rows_like(&mut alike, text, place, is_unusual) else { break };
            let Some(rest) = left.checked_sub(one.rows) else { break };
            if !statements.take(text, count, (place.0, one.end)) {
                break;
            }
            count += 1;
            left = rest;
            is_unusual = one.is_unusual;
            next = statements.behind(text, one.end, count);
        }
        statements.end(count);
        Like { rows: self.rows_left() - left, is_unusual }
    }

    /// So many rows were found by [`read_like`](Self::read_like), and are joined.
    pub(crate) fn take_like(&mut self, rows: u32) {
        self.unread.succeed();
        self.rows += rows;
    }

    /// How many of these INSERTs, from the first on, need not be looked at; the first is not like the one
    /// before. None where all rows are to be located.
    pub(crate) fn unread(&mut self, window: &[u8], places: (&[u32], &[u32])) -> usize {
        let ([start, ..], [end, ..]) = places else { return 0 };
        if self.options.locates_rows {
            return 0;
        }
        let first = Text::new(window, *start as usize, *end as usize).get();
        self.unread.meet(first);
        if self.begins_alike(first) { 0 } else { self.unread.count(window, places) }
    }

    /// So many INSERTs are not looked at.
    pub(crate) fn leave(&mut self, count: usize) {
        self.unread.leave(count);
        self.open = false;
    }

    /// Whether an INSERT has the same before its rows as the one before it, which was understood.
    fn begins_alike(&self, text: &[u8]) -> bool {
        self.open && text.starts_with(&self.prefix.bytes)
    }

    /// Whether what is around the rows of the last INSERT has control characters or other than ASCII.
    pub(crate) fn is_unusual(&self) -> bool {
        let around = self.prefix.bytes.iter().chain(&self.tail);
        around.fold(false, |found, byte| found | !matches!(byte, b' '..=0x7f))
    }

    /// Bytes of the last INSERT around its rows.
    pub(crate) fn around_rows(&self) -> usize {
        self.prefix.len() + self.tail.len()
    }

    /// How many rows may be joined to the last INSERT.
    fn rows_left(&self) -> u32 {
        self.options.max_rows.saturating_sub(self.rows)
    }

    /// As [`look`](Self::look), where the rows do not look as those before them.
    #[inline(never)]
    pub(crate) fn look_closer(&mut self, text: Text<'_>, backslash: Option<bool>) -> Option<Found> {
        let (statement, prefix) = (text.get(), self.prefix.len());
        self.unread.meet(statement);
        let begins_alike = self.begins_alike(statement);
        let is_left = !begins_alike && self.unread.passes_over(statement.len());
        if self.is_off || is_left || statement.len() > self.longest {
            return None;
        }
        self.adds_to_families = true;
        if begins_alike
            && let Some(rows) = rows_behind(self.rules, backslash, text, prefix, &mut self.own)
            && statement[rows.end..] == self.tail
        {
            let all = self.rows.checked_add(rows.count);
            let joins = all.is_some_and(|all| all <= self.options.max_rows)
                && self.families.fits(self.rules.inserts.families, &self.own);
            return found(statement, rows, joins);
        }
        let how = (self.rules, self.options.joins_conflicts);
        let rows = rows_of(how, backslash, text, &mut self.own)?;
        found(statement, rows, false)
    }

    /// The INSERT or REPLACE that was looked at is taken.
    #[inline]
    pub(crate) fn take(&mut self, text: &[u8], found: Option<Found>) {
        let Some(found) = found else {
            if text.len() <= self.longest {
                self.unread.fail(text);
            }
            return self.close();
        };
        if !found.joins {
            return self.begin(text, found);
        }
        self.unread.succeed();
        if self.adds_to_families {
            self.families.join(self.rules.inserts.families, &self.own);
        }
        self.rows += found.rows;
    }

    /// Bytes of the longest INSERT that is joined to others.
    pub(crate) fn longest(&self) -> usize {
        self.longest
    }

    /// Nothing is joined to the statement that was taken.
    pub(crate) fn close(&mut self) {
        self.open = false;
    }

    /// What follows is no INSERT.
    pub(crate) fn meet_other(&mut self) {
        self.unread.meet_other();
        self.open = false;
    }

    /// Others may be joined to the statement that was looked at.
    #[inline(never)]
    fn begin(&mut self, text: &[u8], found: Found) {
        let tail = text.len() - found.tail as usize;
        self.prefix.set(&text[..found.prefix as usize]);
        self.tail.clear();
        self.tail.extend_from_slice(&text[tail..]);
        self.open = true;
        self.rows = found.rows;
        mem::swap(&mut self.families, &mut self.own);
    }

    /// Takes note of a statement that is no INSERT; true where nothing can be joined any more.
    pub(crate) fn note(&mut self, dialect: Dialect, kind: Kind, text: &[u8]) -> bool {
        self.meet_other();
        let said = Said::by(dialect, kind, text);
        let goes_off = !self.is_off && said.unsettles;
        self.is_off |= goes_off;
        self.options.joins_conflicts &= !said.tells_rows_apart;
        goes_off
    }
}

fn found(text: &[u8], rows: InsertRows, joins: bool) -> Option<Found> {
    let narrow = |bytes: usize| u32::try_from(bytes).ok();
    Some(Found {
        prefix: narrow(rows.prefix)?,
        tail: narrow(text.len() - rows.end)?,
        rows: rows.count,
        joins,
    })
}
