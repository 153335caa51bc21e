//! Text collected from a window, copied as late as possible: pieces that stand side by side in the
//! window, as most statements of a script do, are copied at once.

use std::ops::Range;

/// Pieces of a window, and what was put between them, in their order. Before anything is dropped
/// from the window, [`Collected::copy`] must be called.
#[derive(Debug, Default)]
pub(crate) struct Collected {
    copied: Vec<u8>,
    /// What follows it, still in the window only.
    held: Range<usize>,
}

impl Collected {
    pub(crate) fn len(&self) -> usize {
        self.copied.len() + self.held.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) fn reserve(&mut self, bytes: usize) {
        self.copied.reserve(bytes);
    }

    /// Adds a piece of the window.
    pub(crate) fn take(&mut self, window: &[u8], piece: Range<usize>) {
        if self.held.end == piece.start && !self.held.is_empty() {
            self.held.end = piece.end;
        } else {
            self.copy(window);
            self.held = piece;
        }
    }

    /// Adds bytes that are not in the window.
    pub(crate) fn append(&mut self, window: &[u8], bytes: &[u8]) {
        self.copy(window);
        self.copied.extend_from_slice(bytes);
    }

    /// Takes the last bytes away, so many, or as many as there are.
    pub(crate) fn shorten(&mut self, bytes: usize) {
        let held = bytes.min(self.held.len());
        self.held.end -= held;
        self.copied.truncate(self.copied.len().saturating_sub(bytes - held));
    }

    /// What is copied, once nothing is needed of the window any more.
    pub(crate) fn copied(&mut self, window: &[u8]) -> &mut Vec<u8> {
        self.copy(window);
        &mut self.copied
    }

    /// Needs nothing of the window any more.
    pub(crate) fn copy(&mut self, window: &[u8]) {
        self.copied.extend_from_slice(window.get(self.held.clone()).unwrap_or_default());
        self.held = 0..0;
    }

    pub(crate) fn into_bytes(mut self, window: &[u8]) -> Vec<u8> {
        self.copy(window);
        self.copied
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_come_out_in_their_order() {
        let window = b"ab-cd+";
        let mut collected = Collected::default();
        collected.take(window, 0..1);
        collected.take(window, 1..2);
        collected.take(window, 3..6);
        collected.shorten(1);
        collected.append(window, b"!!");
        collected.shorten(1);
        collected.take(window, 0..2);
        assert_eq!(collected.len(), 7);
        collected.shorten(4);
        assert_eq!(collected.copied(window), b"abc");
        collected.take(window, 5..6);
        assert_eq!(collected.into_bytes(window), b"abc+");
    }
}
