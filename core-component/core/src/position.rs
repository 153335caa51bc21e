//! Counts lines and columns along the input.

use memchr::{memchr, memchr_iter, memrchr};

/// A place in the input. Line and column count from 1, per input; the offset runs on over all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cursor {
    pub(crate) offset: u64,
    pub(crate) line: u32,
    pub(crate) column: u32,
}

impl Cursor {
    pub(crate) fn new() -> Self {
        Self { offset: 0, line: 1, column: 1 }
    }

    /// The place behind `text`, which starts here.
    pub(crate) fn after(self, text: &[u8]) -> Self {
        let offset = self.offset.saturating_add(text.len() as u64);
        let Some(newline) = memrchr(b'\n', text) else {
            let column = self.column.saturating_add(characters(text));
            return Self { offset, line: self.line, column };
        };
        let lines = memchr_iter(b'\n', text).count();
        let line = self.line.saturating_add(u32::try_from(lines).unwrap_or(u32::MAX));
        let column = characters(&text[newline + 1..]).saturating_add(1);
        Self { offset, line, column }
    }

    /// The same place, at the start of a new input.
    pub(crate) fn new_input(self) -> Self {
        Self { line: 1, column: 1, ..self }
    }
}

/// Where in a window something is, and where in its input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Spot {
    pub(crate) at: usize,
    pub(crate) line: u32,
    pub(crate) column: u32,
}

/// A place that moves forward through a window of text. It knows where the next newline is, so that
/// each is looked for once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tracker {
    /// The place.
    pub(crate) place: Cursor,
    /// Where in the window that is.
    at: usize,
    /// Where in the window the next newline is; the end of the window where it has none.
    newline: usize,
}

impl Tracker {
    /// At the beginning of an empty window.
    pub(crate) fn new() -> Self {
        Self { place: Cursor::new(), at: 0, newline: 0 }
    }

    /// The place of `window[at]`, which is not behind this one.
    pub(crate) fn ahead(&self, window: &[u8], at: usize) -> Cursor {
        self.place.after(window.get(self.at..at).unwrap_or_default())
    }

    /// Moves on to `window[at]`; does not move back.
    pub(crate) fn move_to(&mut self, window: &[u8], at: usize) {
        let mut from = self.at;
        while self.newline < at {
            from = self.newline + 1;
            self.place.line = self.place.line.saturating_add(1);
            self.place.column = 1;
            self.newline = next_newline(window, from);
        }
        if from < at {
            let rest = characters(window.get(from..at).unwrap_or_default());
            self.place.column = self.place.column.saturating_add(rest);
        }
        let bytes = at.saturating_sub(self.at);
        self.place.offset = self.place.offset.saturating_add(bytes as u64);
        self.at += bytes;
    }

    /// Where in the window the place is.
    pub(crate) fn spot(&self) -> Spot {
        Spot { at: self.at, line: self.place.line, column: self.place.column }
    }

    /// Moves on to a spot that is known, which is not behind this one.
    pub(crate) fn jump(&mut self, window: &[u8], spot: Spot) {
        let bytes = spot.at.saturating_sub(self.at) as u64;
        let offset = self.place.offset.saturating_add(bytes);
        self.place = Cursor { offset, line: spot.line, column: spot.column };
        self.at = spot.at;
        self.newline = next_newline(window, spot.at);
    }

    /// Passes over bytes that have no column and no newline.
    pub(crate) fn pass_over(&mut self, bytes: usize) {
        self.place.offset = self.place.offset.saturating_add(bytes as u64);
        self.at += bytes;
    }

    /// The window has grown at its end, from `length` on.
    pub(crate) fn grow(&mut self, window: &[u8], length: usize) {
        if self.newline == length {
            self.newline = next_newline(window, length);
        }
    }

    /// Goes on at `window[at]` of another window.
    pub(crate) fn go_on_in(&mut self, window: &[u8], at: usize) {
        self.at = at;
        self.newline = next_newline(window, at);
    }

    /// So many bytes were dropped from the front of the window, none of them behind this place.
    pub(crate) fn shift(&mut self, bytes: usize) {
        self.at -= bytes;
        self.newline -= bytes;
    }
}

fn next_newline(window: &[u8], from: usize) -> usize {
    let rest = window.get(from..).unwrap_or_default();
    memchr(b'\n', rest).map_or(window.len(), |length| from + length)
}

/// Characters of UTF-8: the bytes that do not continue one.
pub(crate) fn characters(text: &[u8]) -> u32 {
    let count = text.iter().filter(|byte| **byte & 0xc0 != 0x80).count();
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// Units of UTF-16, as Java and JavaScript count characters: two for what takes four bytes of UTF-8.
pub(crate) fn units_of_utf16(text: &[u8]) -> u64 {
    let units = |byte: &u8| u64::from(*byte & 0xc0 != 0x80) + u64::from(*byte >= 0xf0);
    text.iter().map(units).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_count_characters() {
        let place = Cursor::new().after("a\nbä😀c".as_bytes());
        assert_eq!((place.line, place.column, place.offset), (2, 5, 10));
    }

    #[test]
    fn units_of_utf16_are_those_of_java() {
        for text in ["", "abc", "bä", "😀c", "€𝄞"] {
            assert_eq!(units_of_utf16(text.as_bytes()), text.encode_utf16().count() as u64);
        }
    }

    #[test]
    fn a_tracker_counts_as_a_cursor_does_however_the_window_comes() {
        let text = "a\n\nbä\n😀c\r\nd\n".as_bytes();
        for cut in 0..=text.len() {
            let mut tracker = Tracker::new();
            tracker.grow(&text[..cut], 0);
            tracker.move_to(text, cut / 2);
            tracker.grow(text, cut);
            tracker.move_to(text, cut);
            tracker.shift(cut);
            for at in cut..=text.len() {
                tracker.move_to(&text[cut..], at - cut);
                assert_eq!(tracker.place, Cursor::new().after(&text[..at]), "{cut} {at}");
            }
        }
    }
}
