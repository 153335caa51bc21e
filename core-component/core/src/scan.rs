//! Finds the next byte that counts, a block of 64 bytes at a time: one pass over a block notes all
//! such bytes in it as the bits of one number, and each look-up after that is a shift.

use crate::lanes::{LANES as BLOCK, equal};

/// What a position in no block is in.
const NO_BLOCK: usize = usize::MAX;

/// Looks for some bytes in a window of text. The window may grow at its end between two look-ups;
/// where anything else happens to it, [`Scan::forget`] must be called.
#[derive(Debug)]
pub(crate) struct Scan {
    wanted: Vec<u8>,
    /// Which block `found` is of.
    block: usize,
    /// The bytes of the block that are wanted: the first byte is the lowest bit.
    found: u64,
}

impl Scan {
    pub(crate) fn new(wanted: Vec<u8>) -> Self {
        Self { wanted, block: NO_BLOCK, found: 0 }
    }

    /// Looks at the text anew.
    pub(crate) fn forget(&mut self) {
        self.block = NO_BLOCK;
    }

    /// The wanted bytes from `at` on in its block. None where the block is not whole: the text ends
    /// in it.
    pub(crate) fn ahead(&mut self, text: &[u8], at: usize) -> Option<Ahead> {
        let block = at / BLOCK;
        if block != self.block {
            self.found = equal(text.get(block * BLOCK..)?.first_chunk()?, &self.wanted);
            self.block = block;
        }
        Some(Ahead { at, found: self.found >> (at % BLOCK) })
    }

    /// As [`ahead`](Self::ahead), where the block has been looked at before.
    pub(crate) fn known(&self, at: usize) -> Option<Ahead> {
        let known = at / BLOCK == self.block;
        known.then(|| Ahead { at, found: self.found >> (at % BLOCK) })
    }
}

/// The places of wanted bytes in the rest of a block, in their order.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ahead {
    at: usize,
    /// The byte at `at` is the lowest bit.
    found: u64,
}

impl Iterator for Ahead {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        let found = self.found;
        self.found &= found.wrapping_sub(1);
        (found != 0).then(|| self.at + found.trailing_zeros() as usize)
    }
}

/// Where the block ends that `at` is in.
pub(crate) fn block_end(at: usize) -> usize {
    (at / BLOCK + 1) * BLOCK
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(ahead: Option<Ahead>) -> Option<Vec<usize>> {
        ahead.map(Iterator::collect)
    }

    #[test]
    fn every_wanted_byte_is_found_wherever_it_stands() {
        for place in 0..BLOCK {
            let mut text = [b'a'; 2 * BLOCK];
            text[BLOCK + place] = b';';
            let mut scan = Scan::new(b"';".to_vec());
            assert_eq!(places(scan.ahead(&text, 3)), Some(vec![]));
            for at in BLOCK..=BLOCK + place {
                assert_eq!(places(scan.ahead(&text, at)), Some(vec![BLOCK + place]));
            }
        }
    }

    #[test]
    fn a_block_that_is_not_whole_is_left_to_the_caller() {
        let text = [b';'; BLOCK];
        for length in 0..BLOCK {
            assert!(Scan::new(b";".to_vec()).ahead(&text[..length], 3).is_none());
        }
        let all = places(Scan::new(b";".to_vec()).ahead(&text, 3));
        assert_eq!(all, Some((3..BLOCK).collect()));
    }

    #[test]
    fn what_is_known_is_what_was_looked_at() {
        let mut scan = Scan::new(b"'".to_vec());
        let text = [b'\''; 2 * BLOCK];
        assert!(scan.known(3).is_none());
        assert_eq!(places(scan.ahead(&text, 3)), places(scan.known(3)));
        assert!(scan.known(BLOCK).is_none());
        scan.forget();
        assert!(scan.known(3).is_none());
    }
}
