//! Which INSERTs are not looked at: what cannot be joined to its neighbours is left alone as soon as that
//! can be told by less than its rows, so that a script of such INSERTs is split nearly as fast as without
//! merging. It is the same however the script is cut: only what stands in it counts.

use std::mem;

use memchr::memchr;

use crate::lanes::are_alike_to;
use crate::trials::Trials;

/// The most INSERTs that are not looked at because others before were not understood.
pub(super) const MOST_PAUSED: u32 = 64;

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

    /// Whether nothing is passed over, and nothing depends on what comes next.
    pub(super) fn is_idle(&self) -> bool {
        self.trials.is_due() && !self.has_failed
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

    /// How many of these INSERTs, from the first on, need not be looked at: those that are passed over, and
    /// those of which the one behind begins otherwise. None of them can be joined to the one before.
    /// They begin and end here in a text.
    #[inline(never)]
    pub(super) fn count(&self, text: &[u8], (starts, ends): (&[u32], &[u32])) -> usize {
        let is_short = |start: u32, end: u32| end.wrapping_sub(start) as usize <= LONGEST_PAUSED;
        let all = starts.iter().zip(ends);
        let paused =
            all.take(self.trials.left()).take_while(|one| is_short(*one.0, *one.1)).count();
        let nexts = starts.iter().skip(1);
        let pairs = starts.iter().zip(ends).zip(nexts).skip(paused);
        let is_unread = |pair: &((&u32, &u32), &u32)| {
            let ((start, end), next) = *pair;
            is_short(*start, *end) && !share_heads(text, *start as usize, *next as usize)
        };
        let count = paused + pairs.take_while(is_unread).count();
        // What stands behind the last one is not among these.
        let is_last_unread = match (&starts[count..], &ends[count..]) {
            ([start], [end]) => {
                is_short(*start, *end) && differs_from_next(text, *start as usize, *end as usize)
            }
            _ => false,
        };
        count + usize::from(is_last_unread)
    }
}

/// What stands before the columns or rows of an INSERT, and the parenthesis that opens these. Another
/// one that does not begin so cannot be joined to it.
fn head_of(text: &[u8]) -> Option<&[u8]> {
    text.get(..=memchr(b'(', text)?)
}

/// Whether an INSERT that begins here in a text has the head of the one before it. That may be said of
/// one without a head, too.
#[inline]
fn share_heads(text: &[u8], one: usize, next: usize) -> bool {
    let begin = |start: usize| text.get(start..)?.first_chunk();
    let alike = begin(one).zip(begin(next)).and_then(|(one, next)| are_alike_to(b'(', one, next));
    alike.unwrap_or_else(|| have_one_head(text, one, next))
}

/// Whether an INSERT that begins and ends here in a text can be seen to have an INSERT behind it that
/// has another head.
fn differs_from_next(text: &[u8], start: usize, end: usize) -> bool {
    /// Bytes that say that both are INSERTs, or both REPLACEs.
    const WORD: usize = "REPLACE ".len();
    let begin = |start: usize| text.get(start..)?.first_chunk();
    let behind = end + ";\n".len();
    let (Some(one), Some(next)) = (begin(start), begin(behind)) else { return false };
    one[0].is_ascii_alphabetic()
        && text[end..behind] == *b";\n"
        && one[..WORD] == next[..WORD]
        && are_alike_to(b'(', one, next) == Some(false)
}

/// As [`share_heads`], where that cannot be told by what they begin with.
#[cold]
#[inline(never)]
fn have_one_head(text: &[u8], one: usize, next: usize) -> bool {
    let head = text.get(one..next).and_then(head_of);
    head.is_some_and(|head| text.get(next..).is_some_and(|text| text.starts_with(head)))
}
