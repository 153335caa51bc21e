//! Which INSERTs of a script may be sent as one: those that stand one behind the other and differ in
//! their rows only, of constants that mean the same alone and together. In doubt none.

mod sample;
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

#[cfg(test)]
mod tests {
    use std::iter;

    use super::unread::{LONGEST_PAUSED, MOST_PAUSED};
    use super::*;
    use crate::following::Known;
    use crate::lanes::LANES;

    fn joins(dialect: Dialect, max_rows: u32, texts: &[&str]) -> Vec<Option<bool>> {
        let mut merger =
            Merger::new(dialect, Merging { max_rows, locates_rows: false, joins_conflicts: true });
        texts
            .iter()
            .map(|text| {
                let kind = match text.as_bytes().first() {
                    Some(b'I') => Kind::Insert,
                    Some(b'R') => Kind::Replace,
                    Some(b'S' | b'U') => Kind::Set,
                    _ => Kind::Create,
                };
                if !matches!(kind, Kind::Insert | Kind::Replace) {
                    merger.note(dialect, kind, text.as_bytes());
                    return None;
                }
                let found = merger.look(Text::new(text.as_bytes(), 0, text.len()), None);
                merger.take(text.as_bytes(), found);
                found.map(|found| found.joins)
            })
            .collect()
    }

    #[test]
    fn what_differs_in_rows_only_is_joined() {
        let texts = ["INSERT INTO t VALUES (1)", "INSERT INTO t VALUES (2), (3)"];
        assert_eq!(joins(Dialect::PostgreSql, 9, &texts), [Some(false), Some(true)]);
        let other = ["INSERT INTO t VALUES (1)", "INSERT INTO u VALUES (2)"];
        assert_eq!(joins(Dialect::PostgreSql, 9, &other), [Some(false), Some(false)]);
        let between = [texts[0], "SET x = 1", texts[1]];
        assert_eq!(joins(Dialect::PostgreSql, 9, &between), [Some(false), None, Some(false)]);
        let tail = ["INSERT INTO t VALUES (1)", "INSERT INTO t VALUES (1) ON CONFLICT DO NOTHING"];
        assert_eq!(joins(Dialect::PostgreSql, 9, &tail), [Some(false), Some(false)]);
    }

    #[test]
    fn rows_of_many_columns_are_joined_however_they_are_looked_at() {
        for (columns, counted) in [(64, 1), (65, 0)] {
            let row = vec!["1"; columns].join(", ");
            let text = format!("INSERT INTO t VALUES ({row})");
            let all = Merging { max_rows: 9, locates_rows: false, joins_conflicts: true };
            let mut merger = Merger::new(Dialect::MySql, all);
            let window = format!("{text};{}", " ".repeat(4 * LANES));
            let whole = Text::new(window.as_bytes(), 0, text.len());
            let found = merger.look(whole, None);
            merger.take(whole.get(), found);
            let ends = [text.len() as u32];
            let mut known = Known::new((&[0], &ends), LONGEST);
            merger.read_like(window.as_bytes(), &mut known, None);
            assert_eq!(known.count, counted);
            assert!(merger.look(whole, None).is_some_and(|found| found.joins), "{columns}");
        }
    }

    #[test]
    fn rows_are_joined_up_to_their_limit() {
        let one = "INSERT INTO t VALUES (1)";
        let two = "INSERT INTO t VALUES (1), (2)";
        for (texts, expected) in [
            ([one, one, one], [Some(false), Some(true), Some(true)]),
            ([two, one, one], [Some(false), Some(true), Some(false)]),
            ([two, two, one], [Some(false), Some(false), Some(true)]),
        ] {
            assert_eq!(joins(Dialect::Sqlite, 3, &texts), expected, "{texts:?}");
        }
    }

    #[test]
    fn a_statement_that_might_be_joined_and_begins_a_batch_is_what_the_next_is_joined_to() {
        for (dialect, others, last) in [
            (Dialect::Sqlite, ["(1)", "(2)"], true),
            (Dialect::MySql, ["(1)", "(2)"], true),
            (Dialect::MySql, ["(1)", "(NULL)"], false),
        ] {
            let all = Merging { max_rows: 9, locates_rows: false, joins_conflicts: true };
            let mut merger = Merger::new(dialect, all);
            let mut joins = Vec::new();
            let rows = ["(NULL, 'a'), (NULL, 'b')", "(5)", "(6)", others[0], others[1]];
            for (index, rows) in rows.iter().enumerate() {
                // What follows keeps many bytes at hand.
                let text = format!("INSERT INTO t VALUES {rows}{}", " ".repeat(2 * LANES));
                let end = text.trim_end().len();
                let text = Text::new(text.as_bytes(), 0, end);
                if index == 3 {
                    // It begins a batch.
                    merger.close();
                }
                let found = merger.look(text, None).expect("it is one of constants");
                joins.push(found.joins);
                merger.take(text.get(), Some(found));
            }
            assert_eq!(joins, [false, false, true, false, last], "{dialect:?}");
        }
    }

    #[test]
    fn a_conflict_of_families_begins_anew() {
        let texts = ["INSERT INTO t VALUES (NULL)", "INSERT INTO t VALUES (5)"];
        let more = [texts[0], texts[1], texts[1], texts[0]];
        let expected = [Some(false), Some(false), Some(true), Some(false)];
        assert_eq!(joins(Dialect::MySql, 9, &more), expected);
    }

    #[test]
    fn after_some_that_are_not_understood_a_few_are_passed_over_and_no_long_ones() {
        let (unknown, known) = ("INSERT INTO t VALUES (now())", "INSERT INTO t VALUES (1)");
        let long = format!("INSERT INTO t VALUES ('{}')", "a".repeat(LONGEST_PAUSED));
        let seen = |before: usize, texts: &[&str]| {
            let texts: Vec<&str> =
                iter::repeat_n(unknown, before).chain(texts.iter().copied()).collect();
            joins(Dialect::Sqlite, 9, &texts).split_off(before)
        };
        assert_eq!(seen(1, &[known, known]), [Some(false), Some(true)]);
        assert_eq!(seen(2, &[known, known, known]), [None, Some(false), Some(true)]);
        assert_eq!(seen(2, &[&long, known]), [Some(false), Some(true)]);
        // However many these were, it is soon tried again.
        let many = [known; MOST_PAUSED as usize + 1];
        assert_eq!(seen(1000, &many).last(), Some(&Some(true)));
    }

    #[test]
    fn what_is_not_understood_counts_unless_an_insert_follows_that_begins_otherwise() {
        let (unknown, known) = ("INSERT INTO t VALUES (now())", "INSERT INTO t VALUES (1)");
        let (other, elsewhere) = ("CREATE TABLE u (a INT)", "INSERT INTO u VALUES (now())");
        let last = |between: [&str; 2]| {
            joins(Dialect::Sqlite, 9, &[unknown, between[0], unknown, between[1], known])[4]
        };
        assert_eq!(last([unknown, unknown]), None);
        assert_eq!(last([other, other]), None);
        assert_eq!(last([elsewhere, elsewhere]), Some(false));
    }

    #[test]
    fn an_insert_of_very_many_rows_is_left_as_it_is_unless_its_rows_are_wanted() {
        let rows = vec!["(1)"; LONGEST / 4].join(",");
        let text = format!("INSERT INTO t VALUES {rows}");
        for locates_rows in [false, true] {
            let all = Merging { max_rows: u32::MAX, locates_rows, joins_conflicts: true };
            let mut merger = Merger::new(Dialect::Sqlite, all);
            let found = |text: &str, merger: &mut Merger| {
                merger.look(Text::new(text.as_bytes(), 0, text.len()), None).is_some()
            };
            assert_eq!(found(&text, &mut merger), locates_rows);
            let just_short_enough = &text[..LONGEST - 3];
            let end = just_short_enough.rfind(')').expect("it has rows") + 1;
            assert!(found(&text[..end], &mut merger));
        }
    }

    #[test]
    fn a_text_of_zeros_is_a_text_where_columns_have_one_type() {
        for dialect in [Dialect::Trino, Dialect::Snowflake] {
            for rows in [["(5)", "('000')"], ["('000')", "(5)"], ["('000')", "(0)"]] {
                let texts = rows.map(|row| format!("INSERT INTO t VALUES {row}"));
                let joined = joins(dialect, 9, &[&texts[0], &texts[1]]);
                assert_eq!(joined, [Some(false), Some(false)], "{dialect:?} {rows:?}");
            }
            let texts = ["INSERT INTO t VALUES ('a')", "INSERT INTO t VALUES ('000')"];
            assert_eq!(joins(dialect, 9, &texts), [Some(false), Some(true)], "{dialect:?}");
        }
    }

    #[test]
    fn what_conflicts_is_not_joined_once_a_table_tells_rows_apart() {
        let (ignores, updates) = (
            "INSERT IGNORE INTO t VALUES (1)",
            "INSERT INTO t VALUES (1) ON DUPLICATE KEY UPDATE a = 2",
        );
        for (insert, table) in [
            (ignores, "CREATE TABLE u (a INT CHECK (a > 1))"),
            (updates, "CREATE TABLE u (id INT AUTO_INCREMENT PRIMARY KEY)"),
        ] {
            let expected = [Some(false), Some(true), None, None];
            assert_eq!(joins(Dialect::MySql, 9, &[insert, insert, table, insert]), expected);
        }
        let plain = "INSERT INTO t VALUES (1)";
        let texts = [plain, "CREATE TABLE u (id SERIAL)", plain, plain];
        assert_eq!(joins(Dialect::MySql, 9, &texts)[3], Some(true));
    }

    #[test]
    fn without_a_strict_mode_mysql_is_left_alone() {
        let insert = "INSERT INTO t VALUES (1)";
        let after = |text: &str| joins(Dialect::MySql, 9, &[insert, text, insert, insert])[3];
        for off in [
            "SET SQL_MODE='NO_AUTO_VALUE_ON_ZERO'",
            "SET sql_mode = @old",
            "SET default_storage_engine = MyISAM",
            "USE another",
            "CREATE TABLE t (a INT) ENGINE=MyISAM",
        ] {
            assert_eq!(after(off), None, "{off}");
        }
        for on in [
            "SET NAMES utf8",
            "SET @user = 1",
            "SET sql_mode = 'STRICT_TRANS_TABLES'",
            "CREATE TABLE t (a INT) ENGINE=InnoDB",
        ] {
            assert_eq!(after(on), Some(true), "{on}");
        }
    }
}
