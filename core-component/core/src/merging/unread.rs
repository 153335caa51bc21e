//! Which INSERTs are not looked at: what cannot be joined to its neighbours is left alone as soon as that
//! can be told by less than its rows, so that a script of such INSERTs is split nearly as fast as without
//! merging. It is the same however the script is cut: only what stands in it counts.

use std::mem;

use memchr::memchr;

use crate::insert::Text;
use crate::lanes::are_alike_to;
use crate::trials::Trials;

/// The most INSERTs that are not looked at because others before were not understood.
pub(super) const MOST_PAUSED: u32 = 16;

/// Bytes of the longest INSERT that may be one of these: what is lost by it is little.
pub(super) const LONGEST_PAUSED: usize = 1024;

/// When short INSERTs are looked at.
#[derive(Debug)]
pub(super) struct Unread {
    trials: Trials,
    /// Whether the last INSERT was looked at and not understood, and what it begins with: that counts if
    /// the next one begins so, too.
    has_failed: bool,
    head: Vec<u8>,
}

impl Unread {
    pub(super) fn new() -> Self {
        Self { trials: Trials::new(MOST_PAUSED), has_failed: false, head: Vec::new() }
    }

    /// The next statement is this INSERT.
    pub(super) fn meet(&mut self, text: &[u8]) {
        if mem::take(&mut self.has_failed) && text.starts_with(&self.head) {
            self.trials.note(false);
        }
    }

    /// The next statement is no INSERT.
    pub(super) fn meet_other(&mut self) {
        if mem::take(&mut self.has_failed) {
            self.trials.note(false);
        }
    }

    /// Whether an INSERT of so many bytes is passed over.
    pub(super) fn passes_over(&self, length: usize) -> bool {
        length <= LONGEST_PAUSED && !self.trials.is_due()
    }

    /// An INSERT was joined to another.
    pub(super) fn succeed(&mut self) {
        self.trials.note(true);
    }

    /// An INSERT was not understood, or passed over.
    pub(super) fn fail(&mut self, text: &[u8]) {
        if !self.trials.is_due() {
            self.leave(1);
        } else if let Some(head) = head_of(text) {
            self.has_failed = true;
            self.head.clear();
            self.head.extend_from_slice(head);
        }
    }

    /// So many INSERTs were not looked at.
    pub(super) fn leave(&mut self, count: usize) {
        self.trials.pass(count);
    }

    /// How many INSERTs, from the first on, need not be looked at: those that are passed over, and those of
    /// which the one behind begins otherwise. None of them can be joined to the one before. `text`: the
    /// one of this index, as far as they are at hand.
    pub(super) fn count<'a>(&self, text: impl Fn(usize) -> Option<Text<'a>>) -> usize {
        let paused = self.trials.left();
        let is_unread = |index: &usize| {
            let Some(one) = text(*index) else { return false };
            let is_alone = || text(*index + 1).is_some_and(|next| !share_heads(one, next));
            one.get().len() <= LONGEST_PAUSED && (*index < paused || is_alone())
        };
        (0..).take_while(is_unread).count()
    }
}

/// What stands before the columns or rows of an INSERT, and the parenthesis that opens these. Another
/// one that does not begin so cannot be joined to it.
fn head_of(text: &[u8]) -> Option<&[u8]> {
    text.get(..=memchr(b'(', text)?)
}

/// Whether an INSERT begins with the head of the one before it. That may be said of one without a head,
/// too.
fn share_heads(one: Text<'_>, next: Text<'_>) -> bool {
    let alike = match (one.wide().first_chunk(), next.wide().first_chunk()) {
        (Some(one), Some(next)) => are_alike_to(b'(', one, next),
        _ => None,
    };
    alike.unwrap_or_else(|| head_of(one.get()).is_some_and(|head| next.get().starts_with(head)))
}
