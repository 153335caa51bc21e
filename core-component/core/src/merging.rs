//! Which INSERTs of a script may be sent as one: those that stand one behind the other and differ in
//! their rows only, of constants that mean the same alone and together. In doubt none.

mod heads;
mod sample;
mod series;
#[cfg(test)]
mod tests;
mod unread;
mod unsettled;

use self::heads::{Head, Heads};
pub(crate) use self::series::Like;
use self::unread::Unread;
use self::unsettled::Said;
use crate::dialect::{Dialect, Rules};
use crate::family::Families;
use crate::insert::{InsertRows, Text, rows_behind, rows_of};
use crate::joined::Around;
use crate::types::{Join, Kind, Merging};

/// Bytes of the longest INSERT that is joined to others. Longer ones have many rows already, and take
/// longer to read than what would be gained; unless somebody wants to know where all rows are.
const LONGEST: usize = 16 * 1024;

/// An INSERT whose rows were found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) around: Around,
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
        self.around.saved_by_one()
    }
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
    heads: Heads,
    /// Rows that are joined, those of the last statement among them.
    rows: u32,
    /// Families of the statement that is looked at, where these are not those of the ones before it.
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
            heads: Heads::default(),
            rows: 0,
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
        let (prefix, tail) = self.last().map(|head| (head.prefix.len(), head.tail.len()))?;
        let end = text.get().len().saturating_sub(tail);
        found(text.get(), InsertRows { prefix, end, count: rows }, true)
    }

    /// What was found by [`read_like`](Self::read_like) is taken.
    pub(crate) fn take_like(&mut self, like: &Like) {
        if like.joined > 0 {
            self.unread.succeed();
        }
        self.heads.set_last(like.head);
        self.rows = like.rows;
        self.open = true;
    }

    /// What the last INSERT has around its rows, if others may be joined to it.
    fn last(&self) -> Option<&Head> {
        self.heads.last().filter(|_| self.open)
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
        self.last().is_some_and(|head| text.starts_with(&head.prefix.bytes))
    }

    /// How many rows may be joined to the last INSERT.
    fn rows_left(&self) -> u32 {
        self.options.max_rows.saturating_sub(self.rows)
    }

    /// As [`look`](Self::look), where the rows do not look as those before them.
    #[inline(never)]
    pub(crate) fn look_closer(&mut self, text: Text<'_>, backslash: Option<bool>) -> Option<Found> {
        let statement = text.get();
        self.unread.meet(statement);
        let begins_alike = self.begins_alike(statement);
        let is_left = !begins_alike && self.unread.passes_over(statement.len());
        if self.is_off || is_left || statement.len() > self.longest {
            return None;
        }
        self.adds_to_families = true;
        if let Some(head) = self.heads.last().filter(|_| begins_alike)
            && let prefix = head.prefix.len()
            && let Some(rows) = rows_behind(self.rules, backslash, text, prefix, &mut self.own)
            && statement[rows.end..] == head.tail
        {
            let all = self.rows.checked_add(rows.count);
            let joins = all.is_some_and(|all| all <= self.options.max_rows)
                && head.families.fits(self.rules.inserts.families, &self.own);
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
            self.heads.join_to_last(self.rules.inserts.families, &self.own);
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
        let Around { prefix, tail } = found.around;
        let around = (&text[..prefix as usize], &text[text.len() - tail as usize..]);
        self.heads.put(around, &mut self.own);
        self.open = true;
        self.rows = found.rows;
    }

    /// Takes note of a statement that is no INSERT; true where nothing can be joined any more.
    pub(crate) fn note(&mut self, dialect: Dialect, kind: Kind, text: &[u8]) -> bool {
        self.meet_other();
        let said = Said::by(dialect, kind, text);
        let goes_off = !self.is_off && said.unsettles;
        self.is_off |= goes_off;
        self.options.joins_conflicts &= !said.tells_rows_apart;
        if goes_off || said.tells_rows_apart {
            self.heads.forget();
        }
        goes_off
    }
}

fn found(text: &[u8], rows: InsertRows, joins: bool) -> Option<Found> {
    let narrow = |bytes: usize| u32::try_from(bytes).ok();
    Some(Found {
        around: Around { prefix: narrow(rows.prefix)?, tail: narrow(text.len() - rows.end)? },
        rows: rows.count,
        joins,
    })
}
