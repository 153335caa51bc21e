//! What the INSERTs had around their rows that were understood last: most of those that follow have one
//! of these, too, so that only their rows are to be read.

use std::mem;

use super::sample::Sample;
use crate::alike::Near;
use crate::family::{Families, FamilyRule, Numbering};

/// How many are kept.
const MOST_HEADS: usize = 8;

/// Bytes of the longest that is kept together with those before it. A longer one takes the place of all
/// of them, so that there is one such at most.
const LONGEST: usize = 16 * 1024;

/// What INSERTs have around their rows, and what these are.
#[derive(Debug, Default)]
pub(super) struct Head {
    pub(super) prefix: Sample,
    pub(super) tail: Vec<u8>,
    /// Of the rows that were joined last.
    pub(super) families: Families,
    /// Those of them that number their rows.
    pub(super) numbering: Numbering,
    /// Whether it has control characters or other than ASCII.
    pub(super) is_unusual: bool,
}

/// Those of the INSERTs that were understood last. The last of all has been one of them.
#[derive(Debug, Default)]
pub(super) struct Heads {
    list: Vec<Head>,
    last: usize,
    /// Which is replaced next.
    oldest: usize,
}

impl Heads {
    /// That of the last INSERT.
    pub(super) fn last(&self) -> Option<&Head> {
        self.list.get(self.last)
    }

    /// More rows, of families that fit, are joined to those of the last INSERT.
    pub(super) fn join_to_last(&mut self, rule: FamilyRule, families: &Families) {
        if let Some(head) = self.list.get_mut(self.last) {
            head.families.join(rule, families);
            head.numbering = Numbering::new(&head.families);
        }
    }

    pub(super) fn last_index(&self) -> usize {
        self.last
    }

    pub(super) fn get(&self, index: usize) -> Option<&Head> {
        self.list.get(index)
    }

    /// The last INSERT has this one.
    pub(super) fn set_last(&mut self, index: usize) {
        self.last = index;
    }

    /// The last INSERT has this around its rows, which are of these families; others are given for
    /// them.
    pub(super) fn put(&mut self, (prefix, tail): (&[u8], &[u8]), families: &mut Families) {
        if prefix.len() + tail.len() > LONGEST {
            self.forget();
        }
        let prefix = Sample::new(prefix);
        let is_it = |head: &Head| head.prefix == prefix && head.tail == tail;
        let known = self.list.iter().position(is_it);
        self.last = known.unwrap_or_else(|| self.add(prefix, tail));
        if let Some(head) = self.list.get_mut(self.last) {
            mem::swap(&mut head.families, families);
            head.numbering = Numbering::new(&head.families);
        }
    }

    fn add(&mut self, prefix: Sample, tail: &[u8]) -> usize {
        let index = self.oldest;
        self.oldest = (index + 1) % MOST_HEADS;
        if index == self.list.len() {
            self.list.push(Head::default());
        }
        if let Some(head) = self.list.get_mut(index) {
            let mut around = prefix.bytes.iter().chain(tail);
            head.is_unusual = around.any(|byte| !matches!(byte, b' '..=0x7f));
            head.prefix = prefix;
            head.tail.clear();
            head.tail.extend_from_slice(tail);
        }
        index
    }

    /// None of them may be taken for understood any more.
    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }

    /// One that a text begins with, and of which the first letter is this one. Those that were there
    /// behind this one are asked first, as tables come in the same order again and again.
    #[inline]
    pub(super) fn beginning(&self, near: &Near<'_>, letter: u8, behind: usize) -> Option<usize> {
        let mut index = behind;
        loop {
            index = if index + 1 < self.list.len() { index + 1 } else { 0 };
            let prefix = &self.list.get(index)?.prefix;
            if prefix.is_letter(letter) && prefix.begins(near) {
                return Some(index);
            }
            if index == behind {
                return None;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_are_kept_as_may_be_and_the_oldest_goes_first() {
        let prefix = |table: usize| format!("INSERT INTO table_{table} VALUES ");
        let mut heads = Heads::default();
        let put = |heads: &mut Heads, table: usize| {
            heads.put((prefix(table).as_bytes(), b""), &mut Families::default());
        };
        (0..MOST_HEADS).for_each(|table| put(&mut heads, table));
        let is_kept = |heads: &Heads, table: usize, last: usize| {
            let text = format!("{}(1){}", prefix(table), " ".repeat(256));
            let near = Near::new(text.as_bytes(), 0, 0).unwrap();
            heads.beginning(&near, b'I', last).is_some()
        };
        assert!((0..MOST_HEADS).all(|table| is_kept(&heads, table, 0)));
        put(&mut heads, 3);
        assert_eq!(heads.last_index(), 3, "it is known");
        put(&mut heads, MOST_HEADS);
        let kept = |table| is_kept(&heads, table, heads.last_index());
        assert!(!kept(0) && (1..=MOST_HEADS).all(kept));
        assert!(!kept(MOST_HEADS + 1));
    }

    #[test]
    fn a_long_one_takes_the_place_of_all() {
        for (length, count) in [(LONGEST, 3), (LONGEST + 1, 1)] {
            let mut heads = Heads::default();
            let long = ["a", "b"].map(|letter| letter.repeat(length));
            for prefix in ["INSERT INTO t VALUES ", &long[0], &long[1]] {
                heads.put((prefix.as_bytes(), b""), &mut Families::default());
            }
            assert_eq!(heads.list.len(), count, "{length}");
            assert_eq!(heads.last().map(|head| head.prefix.len()), Some(length));
        }
    }
}
