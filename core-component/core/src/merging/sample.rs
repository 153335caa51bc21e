//! What INSERTs begin with that may be joined, as it is compared with many of them.

use crate::alike::Near;
use crate::lanes::{LANES, PART, begin_alike};

/// What many texts begin with; most are no longer than what can be looked at at once.
#[derive(Debug)]
pub(super) struct Sample {
    pub(super) bytes: Vec<u8>,
    /// The first of them.
    first: [u8; LANES],
}

impl Default for Sample {
    fn default() -> Self {
        Self { bytes: Vec::new(), first: [0; LANES] }
    }
}

impl PartialEq for Sample {
    fn eq(&self, other: &Self) -> bool {
        // Most differ in what they begin with.
        begin_alike(&self.first, &other.first, LANES) && self.bytes == other.bytes
    }
}

impl Sample {
    pub(super) fn new(text: &[u8]) -> Self {
        let mut first = [0; LANES];
        let length = text.len().min(LANES);
        first[..length].copy_from_slice(&text[..length]);
        Self { bytes: text.to_vec(), first }
    }

    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether a text begins so.
    #[inline(always)]
    pub(super) fn begins(&self, near: &Near<'_>) -> bool {
        let (text, first) = near.rest();
        let length = self.bytes.len();
        match first.first_chunk().filter(|_| (PART..=LANES).contains(&length)) {
            Some(first) => begin_alike(first, &self.first, length),
            None => {
                std::hint::cold_path();
                self.begins_long(text)
            }
        }
    }

    /// Whether it begins with this letter.
    pub(super) fn is_letter(&self, letter: u8) -> bool {
        self.first[0] == letter
    }

    /// As [`begins`](Self::begins), of a text that may be long, or very short.
    #[inline(never)]
    fn begins_long(&self, text: &[u8]) -> bool {
        let Some(begin) = text.get(..self.bytes.len()) else { return false };
        let Some(last) = self.bytes.last_chunk().zip(begin.last_chunk()) else {
            return begin == self.bytes;
        };
        let (parts, others) = (self.bytes.as_chunks().0, begin.as_chunks().0);
        let mut all = parts.iter().zip(others).chain([last]);
        all.all(|(one, other)| begin_alike(one, other, LANES))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_begins_so_if_all_of_it_is_there() {
        for length in (0..20).chain(60..70).chain(120..130).chain(190..200) {
            let text: Vec<u8> = (b' '..).cycle().take(3 * LANES).chain([0; 256]).collect();
            let sample = Sample::new(&text[..length]);
            let begins = |text: &[u8]| sample.begins(&Near::new(text, 0, 0).unwrap());
            assert!(begins(&text));
            for at in 0..length + 1 {
                let mut other = text.clone();
                other[at] ^= 1;
                assert_eq!(begins(&other), at >= length, "{at} of {length}");
            }
            assert!(!sample.begins_long(&text[..length.saturating_sub(1)]) || length == 0);
        }
    }
}
