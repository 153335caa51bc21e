//! What INSERTs begin with that may be joined, as it is compared with many of them.

use crate::alike::Near;
use crate::lanes::{LANES, begin_alike};

/// What many texts begin with; most are no longer than what can be looked at at once.
#[derive(Debug)]
pub(super) struct Sample {
    pub(super) bytes: Vec<u8>,
    /// The first of them.
    first: [u8; LANES],
    /// Ones for each of these that there is.
    mask: [u8; LANES],
}

impl Default for Sample {
    fn default() -> Self {
        Self { bytes: Vec::new(), first: [0; LANES], mask: [0; LANES] }
    }
}

impl Sample {
    pub(super) fn set(&mut self, text: &[u8]) {
        self.bytes.clear();
        self.bytes.extend_from_slice(text);
        self.first.iter_mut().zip(text).for_each(|(byte, own)| *byte = *own);
        self.mask = [0; LANES];
        self.mask.iter_mut().zip(text).for_each(|(byte, _)| *byte = u8::MAX);
    }

    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether a text begins so.
    #[inline(always)]
    pub(super) fn begins(&self, near: &Near<'_>) -> bool {
        let (text, first) = near.rest();
        match first.first_chunk().filter(|_| self.bytes.len() <= LANES) {
            Some(first) => begin_alike(first, &self.first, &self.mask, self.bytes.len()),
            None => text.starts_with(&self.bytes),
        }
    }
}
