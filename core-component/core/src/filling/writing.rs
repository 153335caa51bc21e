//! Writes statements into a body of which some are sent as one. What most scripts are made of goes
//! without a call for each statement.

use std::ops::Range;

use super::adding::narrow;
use super::runs::Section;
use crate::joined::PARTED;

/// Bytes of a piece that are copied without a call.
const SHORT: usize = 64;

/// Bytes that are written behind what counts.
pub(super) const SLACK: usize = 2 * SHORT;

/// Statements that stand side by side in a text, and are written one behind the other.
pub(super) struct Writing<'a> {
    pub(super) text: &'a [u8],
    /// Where each begins and ends.
    pub(super) places: (&'a [u32], &'a [u32]),
    pub(super) to: &'a mut [u8],
    /// Where the next is written.
    pub(super) at: usize,
    /// Where all statements end there, their separators included.
    pub(super) list: &'a mut [u32],
    /// How many of these there are before the first that is written.
    pub(super) before: usize,
}

impl Writing<'_> {
    /// Writes statements each of which is sent by itself.
    pub(super) fn apart(&mut self, statements: Range<usize>) {
        let (start, ends) = (self.places.0[statements.start], &self.places.1[statements.clone()]);
        let end = ends.last().map_or(start, |end| *end);
        // A newline is all that parts them.
        self.put(start as usize..end as usize);
        self.put_behind(end as usize, 0);
        let list = &mut self.list[self.before + statements.start..self.before + statements.end];
        let moved = narrow(self.at).wrapping_sub(end);
        list.iter_mut().zip(ends).for_each(|(to, end)| *to = end.wrapping_add(moved));
    }

    /// Writes INSERTs that are sent as one.
    pub(super) fn joined(&mut self, section: Section) {
        let Section { statements, around, goes_on, .. } = section;
        let (prefix, tail) = (around.prefix(), around.tail());
        let (from, until) = (self.before + statements.start, self.before + statements.end);
        if goes_on {
            // For what is behind the rows of the last one, a comma comes.
            self.at -= tail + PARTED.len() - 1;
            self.to[self.at - 1] = b',';
            self.list[from - 1] = narrow(self.at);
        }
        let (starts, ends) = (&self.places.0[statements.clone()], &self.places.1[statements]);
        let end = ends.last().map_or(0, |end| *end);
        let list = &mut self.list[from..until];
        let mut skipped = if goes_on { prefix } else { 0 };
        let mut at = self.at;
        let mut put = |start: u32, end: u32, to: &mut u32| {
            let rows = start as usize + skipped..end as usize - tail;
            let length = rows.end - rows.start;
            copy_and_part(self.to, at, self.text, rows);
            at += length + 1;
            *to = narrow(at);
            skipped = prefix;
        };
        // Two at once, as each turn of a loop costs something in the sandbox.
        let (starts, last_start) = starts.as_chunks::<2>();
        let (ends, last_end) = ends.as_chunks::<2>();
        let (list, last_to) = list.as_chunks_mut::<2>();
        for ((starts, ends), to) in starts.iter().zip(ends).zip(list) {
            put(starts[0], ends[0], &mut to[0]);
            put(starts[1], ends[1], &mut to[1]);
        }
        if let ([start], [end], [to]) = (last_start, last_end, last_to) {
            put(*start, *end, to);
        }
        // The last of them is followed by no comma, but by what is behind its rows.
        self.at = at - 1;
        self.put_behind(end as usize, tail);
        self.list[until - 1] = narrow(self.at);
    }

    /// Writes the tail of a statement that ends here, of so many bytes, and what parts it from the next.
    fn put_behind(&mut self, end: usize, tail: usize) {
        if tail > 0 {
            self.put(end - tail..end);
        }
        let behind = self.at + PARTED.len();
        self.to[self.at..behind].copy_from_slice(PARTED);
        self.at = behind;
    }

    fn put(&mut self, text: Range<usize>) {
        let behind = self.at + text.len();
        self.to[self.at..behind].copy_from_slice(&self.text[text]);
        self.at = behind;
    }
}

/// Copies a piece of a text to this place, and a comma behind it.
#[inline(always)]
fn copy_and_part(to: &mut [u8], at: usize, text: &[u8], piece: Range<usize>) {
    let length = piece.end - piece.start;
    let from = text.get(piece.start..).and_then(|from| from.first_chunk::<SLACK>());
    let room = to.get_mut(at..).and_then(|to| to.first_chunk_mut::<SLACK>());
    // Most rows are short: a call for each would take longer than to copy it.
    if let Some((from, room)) = from.zip(room)
        && length < SLACK
    {
        copy_part(room, from, 0);
        if length >= SHORT / 2 {
            copy_part(room, from, SHORT / 2);
        }
        if length >= SHORT {
            copy_part(room, from, SHORT);
            copy_part(room, from, SHORT + SHORT / 2);
        }
        room[length] = b',';
    } else {
        to[at..at + length].copy_from_slice(&text[piece]);
        to[at + length] = b',';
    }
}

#[inline(always)]
fn copy_part(to: &mut [u8; SLACK], from: &[u8; SLACK], at: usize) {
    to[at..at + SHORT / 2].copy_from_slice(&from[at..at + SHORT / 2]);
}
