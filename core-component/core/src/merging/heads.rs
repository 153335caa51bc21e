//! What the INSERTs had around their rows that were understood last: most of those that follow have one
//! of these, too, so that only their rows are to be read.

use std::mem;

use super::sample::Sample;
use crate::alike::Near;
use crate::family::Families;

/// How many are kept.
const MOST_HEADS: usize = 16;

/// What INSERTs have around their rows, and what these are.
#[derive(Debug, Default)]
pub(super) struct Head {
    pub(super) prefix: Sample,
    pub(super) tail: Vec<u8>,
    /// Of the rows that were joined last.
    pub(super) families: Families,
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

    pub(super) fn last_mut(&mut self) -> Option<&mut Head> {
        self.list.get_mut(self.last)
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
        let is_it = |head: &Head| head.prefix.bytes == prefix && head.tail == tail;
        self.last = self.list.iter().position(is_it).unwrap_or_else(|| self.add(prefix, tail));
        if let Some(head) = self.last_mut() {
            mem::swap(&mut head.families, families);
        }
    }

    fn add(&mut self, prefix: &[u8], tail: &[u8]) -> usize {
        let index = self.oldest;
        self.oldest = (index + 1) % MOST_HEADS;
        if index == self.list.len() {
            self.list.push(Head::default());
        }
        if let Some(head) = self.list.get_mut(index) {
            head.prefix.set(prefix);
            head.tail.clear();
            head.tail.extend_from_slice(tail);
            let mut around = prefix.iter().chain(tail);
            head.is_unusual = around.any(|byte| !matches!(byte, b' '..=0x7f));
        }
        index
    }

    /// None of them may be taken for understood any more.
    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }

    /// One that a text begins with, and of which the first letter is this one. Those that were there
    /// behind this one are asked first, as tables come in the same order again and again.
    pub(super) fn beginning(&self, near: &Near<'_>, letter: u8, behind: usize) -> Option<usize> {
        let count = self.list.len();
        let mut index = behind;
        for _ in 0..count {
            index = if index + 1 < count { index + 1 } else { 0 };
            let prefix = &self.list[index].prefix;
            if prefix.bytes.first() == Some(&letter) && prefix.begins(near) {
                return Some(index);
            }
        }
        None
    }
}
