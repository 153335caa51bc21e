//! Checksums of statements that can be added: those of two ranges that stand side by side give that
//! of both. So a range is the same however it was cut into batches.

use std::{
    fmt,
    ops::{AddAssign, Range},
    str::FromStr,
};

use sql_batcher_adapters::CopyPart;
use twox_hash::xxhash3_128::Hasher;

use crate::batch::{Batch, Parts};

/// The sum, modulo 2^128, of the XXH3 hashes of statements, each with its number as the seed. It
/// tells an input that was changed from one that was not; it is no protection against somebody who
/// wants to deceive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Digest(u128);

impl Digest {
    /// That of one statement.
    pub(crate) fn of_statement(number: u64, text: &[u8]) -> Self {
        Self(Hasher::oneshot_with_seed(number, text))
    }

    /// That of some statements of a batch, by index; a whole `COPY` has its data in it.
    pub(crate) fn of(batch: &Batch, range: Range<usize>) -> Self {
        if batch.copy == Some(CopyPart::Whole) {
            let mut copy = Growing::new(batch.first_statement);
            copy.add_part(batch);
            return copy.end();
        }
        let (mut sum, mut text) = (Self::default(), Vec::new());
        for index in range {
            let Some(Parts { prefix, rows, tail, .. }) = batch.parts(index) else { continue };
            text.clear();
            [prefix, rows, tail].iter().for_each(|part| text.extend_from_slice(part));
            sum += Self::of_statement(batch.first_statement + index as u64, &text);
        }
        sum
    }
}

impl AddAssign for Digest {
    fn add_assign(&mut self, other: Self) {
        self.0 = self.0.wrapping_add(other.0);
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl FromStr for Digest {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        u128::from_str_radix(text, 16).map(Self)
    }
}

/// A statement whose text comes in pieces: a `COPY` and its data.
pub(crate) struct Growing(Hasher);

impl Growing {
    pub(crate) fn new(number: u64) -> Self {
        Self(Hasher::with_seed(number))
    }

    /// Takes the statement and data of a part of a `COPY`.
    pub(crate) fn add_part(&mut self, batch: &Batch) {
        self.add(&batch.statement(0).unwrap_or_default());
        let data = batch.range(0).map_or(0, |statement| statement.end);
        self.add(batch.body().get(data..).unwrap_or_default());
    }

    fn add(&mut self, text: &[u8]) {
        self.0.write(text);
    }

    pub(crate) fn end(self) -> Digest {
        Digest(self.0.finish_128())
    }
}

impl fmt::Debug for Growing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Growing")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::tests::batch;

    #[test]
    fn ranges_side_by_side_add_up_however_they_are_cut() {
        let whole = batch(&["a", "b", "c"]);
        let mut sum = Digest::of(&whole, 0..1);
        sum += Digest::of(&whole, 1..3);
        assert_eq!(sum, Digest::of(&whole, 0..3));
    }

    #[test]
    fn other_text_or_another_order_is_another_digest() {
        let digest = |statements: &[&str]| Digest::of(&batch(statements), 0..statements.len());
        assert_ne!(digest(&["a", "b"]), digest(&["b", "a"]));
        assert_ne!(digest(&["a", "b"]), digest(&["a", "c"]));
    }

    #[test]
    fn a_text_that_comes_in_pieces_is_the_same_as_at_once() {
        let mut growing = Growing::new(7);
        growing.add(b"COPY t");
        growing.add(b"1\n");
        assert_eq!(growing.end(), Digest::of_statement(7, b"COPY t1\n"));
    }

    #[test]
    fn what_is_written_can_be_read() {
        let digest = Digest::of_statement(1, b"a");
        assert_eq!(digest.to_string().parse(), Ok(digest));
        assert_eq!(digest.to_string().len(), 32);
    }
}
