//! Reads rows that look as the ones before them do, as most rows of most scripts: whole numbers,
//! decimals, texts and `NULL`, each column with constants of one family. Anything else is left to
//! the reader of all constants; what is read here is what that one reads, only faster.

use crate::family::{Families, Family, FamilyRule, MOST_PLACES, of_text};
use crate::lanes::{LANES, Lanes, PART, Part, Splat};

/// A text that may go on beyond what is read, so that many bytes can be looked at at once. What ends
/// a statement is no part of any row, so nothing is read beyond it.
#[derive(Clone, Copy)]
pub(crate) struct Alike<'a> {
    text: &'a [u8],
    /// Whether a backslash escapes in texts.
    backslash: bool,
    rule: FamilyRule,
    /// Families of the columns of the rows before.
    known: &'a Families,
}

/// A constant, what stands right behind it, and where the next one may begin.
struct Constant {
    family: Family,
    follows: u8,
    behind: usize,
}

impl<'a> Alike<'a> {
    /// Rows like those that `known` is of.
    pub(crate) fn new(
        text: &'a [u8],
        backslash: bool,
        rule: FamilyRule,
        known: &'a Families,
    ) -> Self {
        Self { text, backslash, rule, known }
    }

    /// Where the row ends that begins at `at`.
    #[inline]
    pub(crate) fn row(self, at: usize) -> Option<usize> {
        match self.rule {
            FamilyRule::Free => self.read::<true>(at),
            _ => self.read::<false>(at),
        }
    }

    /// Where the last of the rows ends that stand at `at` behind commas, and how many these are.
    #[inline]
    pub(crate) fn more(self, mut at: usize) -> (usize, u32) {
        let mut count = 0_u32;
        while self.text.get(at) == Some(&b',') {
            let mut next = at + 1;
            while self.text.get(next).is_some_and(|byte| matches!(byte, b' ' | b'\n')) {
                next += 1;
            }
            let Some(end) = self.row(next).filter(|_| count < u32::MAX - 1) else { break };
            at = end;
            count += 1;
        }
        (at, count)
    }

    /// `FREE`: the constants of a column need nothing in common.
    #[inline(never)]
    fn read<const FREE: bool>(self, at: usize) -> Option<usize> {
        if self.text.get(at) != Some(&b'(') {
            return None;
        }
        let mut at = at + 1;
        let mut left = self.known.width();
        let mut families = self.known.columns().iter();
        loop {
            let mut word = self.word(at)?;
            if word as u8 == b' ' {
                at += 1;
                word = self.word(at)?;
            }
            let constant = self.constant::<FREE>(at, word)?;
            if !FREE && families.next() != Some(&constant.family.under(self.rule)) {
                return None;
            }
            at = constant.behind;
            left = left.checked_sub(1)?;
            match constant.follows {
                b',' if left > 0 => {}
                b')' if left == 0 => return Some(at),
                _ => return None,
            }
        }
    }

    /// The constant at `at`, whose first bytes are `word`.
    #[inline(always)]
    fn constant<const FREE: bool>(self, at: usize, word: u64) -> Option<Constant> {
        let first = word as u8;
        if first.is_ascii_digit() {
            self.number::<FREE>(at, word)
        } else if first == b'\'' {
            self.string::<FREE>(at + 1)
        } else if first == b'-' {
            let word = self.word(at + 1).filter(|word| (*word as u8).is_ascii_digit())?;
            self.number::<FREE>(at + 1, word)
        } else {
            let upper = (word as u32) & u32::from_le_bytes([0xdf; 4]);
            let is_null = upper == u32::from_le_bytes(*b"NULL");
            let follows = (word >> 32) as u8;
            is_null.then_some(Constant { family: Family::Null, follows, behind: at + 5 })
        }
    }

    /// The next eight bytes.
    #[inline(always)]
    fn word(self, at: usize) -> Option<u64> {
        self.text.get(at..)?.first_chunk().map(|word| u64::from_le_bytes(*word))
    }

    /// A number that begins with a digit, whose first bytes are `word`.
    #[inline(always)]
    fn number<const FREE: bool>(self, at: usize, word: u64) -> Option<Constant> {
        let whole = self.digits(at, word)?;
        let mut family = Family::Integer;
        let mut last = whole;
        if whole.follows == b'.' {
            last = self.digits(whole.behind, self.word(whole.behind)?)?;
            let places = last.behind - whole.behind - 1;
            if places == 0 {
                return None;
            }
            family = Family::Decimal(places.min(MOST_PLACES) as u8);
        }
        if !FREE && self.rule == FamilyRule::Numbering && whole.bits | last.bits == 0 {
            family = Family::Zero;
        }
        let Digits { follows, behind, .. } = last;
        Some(Constant { family, follows, behind })
    }

    /// All digits from `at` on, where the first bytes are `word`.
    #[inline(always)]
    fn digits(self, mut at: usize, mut word: u64) -> Option<Digits> {
        let mut all = 0;
        loop {
            let (count, bits) = digits_of(word);
            all |= bits;
            if count < size_of::<u64>() {
                let follows = (word >> (8 * count)) as u8;
                return Some(Digits { bits: all, follows, behind: at + count + 1 });
            }
            at += count;
            word = self.word(at)?;
        }
    }

    /// Where the next quote is, or what may escape one. Most texts are short.
    #[inline(always)]
    fn mark(self, mut at: usize) -> Option<usize> {
        let quote = Splat::new(b'\'');
        // Where a backslash is none, that is the same again.
        let escape = Splat::new(if self.backslash { b'\\' } else { b'\'' });
        let part = Part::load(self.text.get(at..)?.first_chunk()?);
        let found = part.equal(quote).or(part.equal(escape)).bits();
        if found != 0 {
            return Some(at + found.trailing_zeros() as usize);
        }
        at += PART;
        loop {
            let lanes = Lanes::load(self.text.get(at..)?.first_chunk::<LANES>()?);
            let found = lanes.equal(quote).or(lanes.equal(escape)).bits();
            if found != 0 {
                return Some(at + found.trailing_zeros() as usize);
            }
            at += LANES;
        }
    }

    /// The rest of a text in quotes, a doubled one of which stands for itself.
    #[inline(always)]
    fn string<const FREE: bool>(self, start: usize) -> Option<Constant> {
        let mut at = start;
        loop {
            at = self.mark(at)?;
            let [this, follows] = *self.text.get(at..)?.first_chunk()?;
            if this == b'\'' && follows != b'\'' {
                let family = if FREE { Family::Text } else { of_text(self.text.get(start..at)?) };
                return Some(Constant { family, follows, behind: at + 2 });
            }
            at += 2;
        }
    }
}

/// Digits, what stands right behind them, and where that ends.
#[derive(Clone, Copy)]
struct Digits {
    /// 0 where all of them are.
    bits: u64,
    follows: u8,
    behind: usize,
}

/// How many digits a text of eight bytes begins with, and the bits of their values.
#[inline]
fn digits_of(word: u64) -> (usize, u64) {
    const EACH: u64 = u64::MAX / 0xff;
    // A digit becomes its value, and anything else more than 9.
    let values = word ^ (EACH * 0x30);
    // A carry only reaches bytes behind the first that is none.
    let others = (values.wrapping_add(EACH * 0x76) | values) & (EACH * 0x80);
    let count = others.trailing_zeros() as usize / 8;
    let bits = match others {
        0 => values,
        _ => values & ((1 << (8 * count)) - 1),
    };
    (count, bits)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::constant::Reader;
    use crate::dialect::Dialect;

    /// A row, read by this reader after another like `first`, and by that of all constants.
    fn both(dialect: Dialect, first: &str, row: &str) -> (Option<usize>, Option<usize>) {
        let rule = dialect.rules().inserts.families;
        let mut known = Families::default();
        let mut reader = Reader::new(dialect.rules(), None, first.as_bytes(), 0);
        let width = reader.row(&mut known).unwrap();
        known.is_as_wide(width);
        let text = format!("{row}{}", ";".repeat(2 * LANES));
        let backslash = dialect == Dialect::MySql;
        let read = Alike::new(text.as_bytes(), backslash, rule, &known).row(0);
        let mut own = Families::default();
        let mut reader = Reader::new(dialect.rules(), None, row.as_bytes(), 0);
        let width = reader.row(&mut own);
        let fits = width.is_some_and(|width| {
            own.is_as_wide(width);
            known.fits(rule, &own)
        });
        (read, fits.then(|| reader.at()))
    }

    #[test]
    fn digits_are_counted_and_told_from_zeros() {
        for (text, expected) in [
            (*b"12345678", (8, false)),
            (*b"00000000", (8, true)),
            (*b"00,11111", (2, true)),
            (*b"0010)abc", (4, false)),
            (*b":0000000", (0, true)),
            (*b"1/000000", (1, false)),
            ([b'7', 0xff, b'1', b'1', b'1', b'1', b'1', b'1'], (1, false)),
        ] {
            let (count, bits) = digits_of(u64::from_le_bytes(text));
            assert_eq!((count, bits == 0), expected, "{text:?}");
        }
    }

    #[test]
    fn what_is_read_is_what_the_reader_of_all_constants_reads() {
        let constants = [
            "1",
            "0",
            "-5",
            "007",
            "000",
            "1234567890123456789",
            "1.5",
            "0.0",
            "2.25",
            "1.",
            ".5",
            "1e5",
            "'a'",
            "''",
            "'it''s'",
            "''''",
            "'12'",
            "'0'",
            "'a\\'b'",
            "'a\\\\'",
            "NULL",
            "null",
            "nil",
            "TRUE",
            "x'00'",
            "+1",
            "- 1",
            "'a' 'b'",
            "'ä😀'",
            "'123456789012345678901234567890123456789012345678901234567890123'",
            "'1234567890123456789012345678901234567890123456789012345678901234567890'",
        ];
        let dialects = [Dialect::Sqlite, Dialect::PostgreSql, Dialect::MySql, Dialect::Trino];
        let mut read = 0;
        for dialect in dialects {
            for first in ["(1, 'a')", "(NULL, '12')", "(1.5, 'a')"] {
                for one in constants {
                    for other in constants {
                        for row in [format!("({one}, {other})"), format!("({one},{other} )")] {
                            let (own, all) = both(dialect, first, &row);
                            assert!(own.is_none() || own == all, "{dialect:?}: {first} {row}");
                            read += usize::from(own.is_some());
                        }
                    }
                }
            }
        }
        assert!(read > 1000, "{read}");
    }
}
