//! Reads rows that look as the ones before them do, as most rows of most scripts: whole numbers,
//! decimals, texts and `NULL`, each column with constants of one family. Anything else is left to
//! the reader of all constants; what is read here is what that one reads, only faster.

use crate::family::{Families, Family, FamilyRule, MOST_PLACES, of_text};
use crate::lanes::{LANES, Lanes, Part, Splat};

/// Bytes that are at hand from a place on: so reading them needs few checks. What ends a statement
/// is no part of any row, so nothing is read beyond it.
pub(crate) const NEAR: usize = 256;

/// How rows must look.
#[derive(Clone, Copy)]
pub(crate) struct Alike<'a> {
    /// Whether a backslash escapes in texts.
    backslash: bool,
    rule: FamilyRule,
    /// Families of the columns of the rows before.
    known: &'a Families,
}

/// A place in a text that may go on beyond what is read.
#[derive(Clone, Copy)]
pub(crate) struct Near<'a> {
    text: &'a [u8],
    base: usize,
    /// What stands from `base` on.
    bytes: &'a [u8; NEAR],
    /// Bytes between `base` and the place.
    at: usize,
}

/// A constant, and what stands right behind it.
struct Constant {
    family: Family,
    follows: u8,
}

impl<'a> Near<'a> {
    /// None where the text has too few bytes from `place` on.
    #[inline(always)]
    pub(crate) fn new(text: &'a [u8], place: usize) -> Option<Self> {
        Some(Self { text, base: place, bytes: text.get(place..)?.first_chunk()?, at: 0 })
    }

    /// The first bytes from `base` on.
    #[inline(always)]
    pub(crate) fn bytes(&self) -> &'a [u8; NEAR] {
        self.bytes
    }

    /// Moves on by so many bytes.
    #[inline(always)]
    pub(crate) fn pass(&mut self, bytes: usize) -> Option<()> {
        self.at += bytes;
        self.renew()
    }

    #[inline(always)]
    pub(crate) fn place(&self) -> usize {
        self.base + self.at
    }

    /// Sees to it that enough is at hand.
    #[inline(always)]
    fn renew(&mut self) -> Option<()> {
        if self.at > NEAR / 2 {
            *self = Self::new(self.text, self.place())?;
        }
        Some(())
    }

    #[inline(always)]
    fn byte(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    /// Moves on behind a comma, to the next row.
    #[inline(always)]
    pub(crate) fn comma(&mut self) -> Option<()> {
        (self.byte()? == b',').then_some(())?;
        self.at += 1;
        while matches!(self.byte()?, b' ' | b'\n') {
            self.at += 1;
        }
        self.renew()
    }

    /// The next eight bytes.
    #[inline(always)]
    fn word(&self) -> Option<u64> {
        self.bytes.get(self.at..)?.first_chunk().map(|word| u64::from_le_bytes(*word))
    }

    /// Moves on behind all digits, of which the first eight bytes are `word`; the bits of their
    /// values, and what stands behind them. None where there are more than most numbers have.
    #[inline(always)]
    fn digits(&mut self, mut word: u64) -> Option<(u64, u8)> {
        const MOST_WORDS: usize = 3;
        let mut all = 0;
        for _ in 0..MOST_WORDS {
            let (count, bits) = digits_of(word);
            all |= bits;
            self.at += count;
            if count < size_of::<u64>() {
                return Some((all, (word >> (8 * count)) as u8));
            }
            word = self.word()?;
        }
        None
    }

    /// Moves on to the quote that ends a text, which begins here; what stands behind it.
    #[inline(always)]
    fn closing_quote(&mut self, backslash: bool) -> Option<u8> {
        let quote = Splat::new(b'\'');
        // Where a backslash is none, that is the same again.
        let escape = Splat::new(if backslash { b'\\' } else { b'\'' });
        // Most texts are short, and have none of these but at their end.
        let part = Part::load(self.bytes.get(self.at..)?.first_chunk()?);
        let found = part.equal(quote).or(part.equal(escape)).bits();
        if found != 0 {
            let end = self.at + found.trailing_zeros() as usize;
            let [this, follows] = *self.bytes.get(end..)?.first_chunk()?;
            if this == b'\'' && follows != b'\'' {
                self.at = end;
                return Some(follows);
            }
        }
        let end = closing_quote(self.text, self.place(), [quote, escape])?;
        *self = Self::new(self.text, end)?;
        self.bytes.get(1).copied()
    }
}

/// Where the quote stands that ends a text, which begins at `at`. A doubled one stands for itself,
/// and so does what is escaped.
#[inline(never)]
fn closing_quote(text: &[u8], mut at: usize, [quote, escape]: [Splat; 2]) -> Option<usize> {
    loop {
        let lanes = Lanes::load(text.get(at..)?.first_chunk::<LANES>()?);
        let found = lanes.equal(quote).or(lanes.equal(escape)).bits();
        at += found.trailing_zeros() as usize;
        if found != 0 {
            let [this, follows] = *text.get(at..)?.first_chunk()?;
            if this == b'\'' && follows != b'\'' {
                return Some(at);
            }
            at += 2;
        }
    }
}

impl<'a> Alike<'a> {
    /// Rows like those that `known` is of.
    pub(crate) fn new(backslash: bool, rule: FamilyRule, known: &'a Families) -> Self {
        Self { backslash, rule, known }
    }

    /// Whether the constants of a column need nothing in common.
    pub(crate) fn is_free(self) -> bool {
        self.rule == FamilyRule::Free
    }

    /// Where the last of the rows ends that stand at `at` behind commas, and how many these are.
    pub(crate) fn more(self, text: &[u8], at: usize) -> (usize, u32) {
        match self.is_free() {
            true => self.behind_commas::<true>(text, at),
            false => self.behind_commas::<false>(text, at),
        }
    }

    #[inline(never)]
    fn behind_commas<const FREE: bool>(self, text: &[u8], at: usize) -> (usize, u32) {
        let (mut end, mut count) = (at, 0_u32);
        let Some(mut near) = Near::new(text, at) else { return (end, count) };
        while near.comma().is_some() && self.read::<FREE>(&mut near).is_some() {
            end = near.place();
            count += 1;
        }
        (end, count)
    }

    /// Reads a row. `FREE`: the constants of a column need nothing in common.
    #[inline(always)]
    pub(crate) fn read<const FREE: bool>(self, near: &mut Near<'_>) -> Option<()> {
        (near.byte()? == b'(').then_some(())?;
        near.at += 1;
        let mut left = self.known.width();
        let mut families = self.known.columns().iter();
        loop {
            let mut word = near.word()?;
            if word as u8 == b' ' {
                near.at += 1;
                word = near.word()?;
            }
            let constant = self.constant::<FREE>(near, word)?;
            if !FREE && families.next() != Some(&constant.family.under(self.rule)) {
                return None;
            }
            near.at += 1;
            near.renew()?;
            left = left.checked_sub(1)?;
            match constant.follows {
                b',' if left > 0 => {}
                b')' if left == 0 => return Some(()),
                _ => return None,
            }
        }
    }

    /// The next constant, whose first bytes are `word`; moves on to what follows it.
    #[inline(always)]
    fn constant<const FREE: bool>(self, near: &mut Near<'_>, word: u64) -> Option<Constant> {
        // What is not first asked in this way becomes a jump through a table.
        let start = near.at;
        let (bits, follows) = near.digits(word)?;
        if near.at > start {
            return self.number::<FREE>(near, bits, follows);
        }
        let first = word as u8;
        if first == b'\'' {
            near.at += 1;
            self.string::<FREE>(near)
        } else if first == b'-' {
            near.at += 1;
            let (bits, follows) = near.digits(near.word()?)?;
            if near.at == start + 1 {
                return None;
            }
            self.number::<FREE>(near, bits, follows)
        } else {
            let upper = (word as u32) & u32::from_le_bytes([0xdf; 4]);
            near.at += 4;
            let is_null = upper == u32::from_le_bytes(*b"NULL");
            let follows = (word >> 32) as u8;
            is_null.then_some(Constant { family: Family::Null, follows })
        }
    }

    /// A number of which the whole part is read.
    #[inline(always)]
    fn number<const FREE: bool>(
        self,
        near: &mut Near<'_>,
        mut bits: u64,
        mut follows: u8,
    ) -> Option<Constant> {
        let mut family = Family::Integer;
        if follows == b'.' {
            near.at += 1;
            let whole = near.at;
            let (more, behind) = near.digits(near.word()?)?;
            (bits, follows) = (bits | more, behind);
            let places = near.at - whole;
            if places == 0 {
                return None;
            }
            family = Family::Decimal(places.min(MOST_PLACES) as u8);
        }
        if !FREE && self.rule == FamilyRule::Numbering && bits == 0 {
            family = Family::Zero;
        }
        Some(Constant { family, follows })
    }

    /// The rest of a text in quotes, a doubled one of which stands for itself.
    #[inline(always)]
    fn string<const FREE: bool>(self, near: &mut Near<'_>) -> Option<Constant> {
        let start = near.place();
        let follows = near.closing_quote(self.backslash)?;
        let family = match FREE {
            true => Family::Text,
            false => of_text(near.text.get(start..near.place())?),
        };
        near.at += 1;
        Some(Constant { family, follows })
    }
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
        let text = format!("{row}{}", ";".repeat(NEAR));
        let backslash = dialect == Dialect::MySql;
        let alike = Alike::new(backslash, rule, &known);
        let mut near = Near::new(text.as_bytes(), 0).unwrap();
        let read = match alike.is_free() {
            true => alike.read::<true>(&mut near),
            false => alike.read::<false>(&mut near),
        };
        let read = read.map(|()| near.place());
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
