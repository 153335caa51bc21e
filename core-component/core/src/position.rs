//! Counts lines and columns along the input.

use memchr::{memchr_iter, memrchr};

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

/// Characters of UTF-8: the bytes that do not continue one.
fn characters(text: &[u8]) -> u32 {
    let count = text.iter().filter(|byte| **byte & 0xc0 != 0x80).count();
    u32::try_from(count).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_count_characters() {
        let place = Cursor::new().after("a\nbä😀c".as_bytes());
        assert_eq!((place.line, place.column, place.offset), (2, 5, 10));
    }
}
