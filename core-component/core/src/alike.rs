//! Reads rows that look as the ones before them do, as most rows of most scripts: whole numbers,
//! decimals, texts and `NULL`, each column with constants of one family. Anything else is left to
//! the reader of all constants; what is read here is what that one reads, only faster.

use crate::family::{Families, Family, FamilyRule, MOST_PLACES, Rule, of_text};
use crate::lanes::{LANES, Lanes, PART, Part, Splat};

/// Bytes that are at hand from a place on: so reading them needs few checks. What ends a statement
/// is no part of any row, so nothing is read beyond it.
const NEAR: usize = 256;

/// How rows must look.
#[derive(Clone, Copy)]
pub(crate) struct Alike<'a, R> {
    marks: &'a Marks,
    rule: R,
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

/// What may end a text.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Marks {
    quote: Splat,
    /// What escapes a quote, or a quote again.
    escape: Splat,
}

impl Marks {
    /// `backslash`: whether one escapes in texts.
    pub(crate) fn new(backslash: bool) -> Self {
        let escape = if backslash { b'\\' } else { b'\'' };
        Self { quote: Splat::new(b'\''), escape: Splat::new(escape) }
    }
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

    /// What stands from the place on where it was made, and as much of it as is at hand.
    #[inline(always)]
    pub(crate) fn rest(&self) -> (&'a [u8], &'a [u8; NEAR]) {
        (self.text.get(self.base..).unwrap_or_default(), self.bytes)
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

    /// How many digits stand from `at` on, and whether all of them are 0. None where there are more
    /// than most numbers have.
    #[inline(always)]
    fn digits(&self, at: usize) -> Option<(usize, bool)> {
        let (count, zeros) = digits_of(self.bytes.get(at..)?.first_chunk()?);
        if count < PART {
            return Some((count, zeros >= count));
        }
        let (more, more_zeros) = digits_of(self.bytes.get(at + PART..)?.first_chunk()?);
        let are_zeros = zeros == PART && more_zeros >= more;
        (more < PART).then_some((PART + more, are_zeros))
    }

    /// Moves on to the quote that ends a text, which begins here; what stands behind it.
    #[inline(always)]
    fn closing_quote(&mut self, marks: &Marks) -> Option<u8> {
        // Most texts are short, and have none of these but at their end.
        let part = Part::load(self.bytes.get(self.at..)?.first_chunk()?);
        let found = part.equal(marks.quote).or(part.equal(marks.escape)).bits();
        if found != 0 {
            let end = self.at + found.trailing_zeros() as usize;
            let [this, follows] = *self.bytes.get(end..)?.first_chunk()?;
            if this == b'\'' && follows != b'\'' {
                self.at = end;
                return Some(follows);
            }
        }
        let end = closing_quote(self.text, self.place(), marks)?;
        *self = Self::new(self.text, end)?;
        self.bytes.get(1).copied()
    }
}

/// Where the quote stands that ends a text, which begins at `at`. A doubled one stands for itself,
/// and so does what is escaped.
#[inline(never)]
fn closing_quote(text: &[u8], mut at: usize, marks: &Marks) -> Option<usize> {
    loop {
        let lanes = Lanes::load(text.get(at..)?.first_chunk::<LANES>()?);
        let found = lanes.equal(marks.quote).or(lanes.equal(marks.escape)).bits();
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

impl<'a, R: Rule> Alike<'a, R> {
    /// Rows like those that `known` is of.
    pub(crate) fn new(marks: &'a Marks, rule: R, known: &'a Families) -> Self {
        Self { marks, rule, known }
    }

    /// Where the last of the rows ends that stand at `at` behind commas, and how many these are.
    #[inline(never)]
    pub(crate) fn more(self, text: &[u8], at: usize) -> (usize, u32) {
        let (mut end, mut count) = (at, 0_u32);
        let Some(mut near) = Near::new(text, at) else { return (end, count) };
        while near.comma().is_some() && self.read(&mut near).is_some() {
            end = near.place();
            count += 1;
        }
        (end, count)
    }

    /// Whether the constants of a column need nothing in common.
    #[inline(always)]
    fn is_free(self) -> bool {
        self.rule.get() == FamilyRule::Free
    }

    /// Reads a row.
    #[inline(always)]
    pub(crate) fn read(self, near: &mut Near<'_>) -> Option<()> {
        (near.byte()? == b'(').then_some(())?;
        near.at += 1;
        let mut left = self.known.width();
        let mut families = self.known.columns().iter();
        loop {
            if near.byte()? == b' ' {
                near.at += 1;
            }
            let constant = self.constant(near)?;
            if !self.is_free() && families.next() != Some(&constant.family.under(self.rule.get())) {
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

    /// The next constant; moves on to what follows it.
    #[inline(always)]
    fn constant(self, near: &mut Near<'_>) -> Option<Constant> {
        let start = near.at;
        let first = near.byte()?;
        let (count, are_zeros) = near.digits(start)?;
        if count != 0 {
            near.at = start + count;
            return self.number(near, are_zeros);
        }
        // Asked in this way, it becomes no jump through a table.
        if first == b'\'' {
            near.at = start + 1;
            self.string(near)
        } else if first & 0xfe == b'-' & 0xfe {
            let (count, are_zeros) = near.digits(start + 1)?;
            if first != b'-' || count == 0 {
                return None;
            }
            near.at = start + 1 + count;
            self.number(near, are_zeros)
        } else {
            let word = u32::from_le_bytes(*near.bytes.get(start..)?.first_chunk()?);
            let upper = word & u32::from_le_bytes([0xdf; 4]);
            near.at = start + 4;
            let is_null = upper == u32::from_le_bytes(*b"NULL");
            is_null.then_some(Constant { family: Family::Null, follows: near.byte()? })
        }
    }

    /// A number of which the whole part is read.
    #[inline(always)]
    fn number(self, near: &mut Near<'_>, mut are_zeros: bool) -> Option<Constant> {
        let mut follows = near.byte()?;
        let mut family = Family::Integer;
        if follows == b'.' {
            let start = near.at + 1;
            let (places, more_zeros) = near.digits(start)?;
            if places == 0 {
                return None;
            }
            near.at = start + places;
            follows = near.byte()?;
            are_zeros &= more_zeros;
            family = Family::Decimal(places.min(MOST_PLACES) as u8);
        }
        if self.rule.get() == FamilyRule::Numbering && are_zeros {
            family = Family::Zero;
        }
        Some(Constant { family, follows })
    }

    /// The rest of a text in quotes, a doubled one of which stands for itself.
    #[inline(always)]
    fn string(self, near: &mut Near<'_>) -> Option<Constant> {
        let start = near.place();
        let follows = near.closing_quote(self.marks)?;
        let family = match self.is_free() {
            true => Family::Text,
            false => of_text(near.text.get(start..near.place())?),
        };
        near.at += 1;
        Some(Constant { family, follows })
    }
}

/// How many digits a text begins with, and how many zeros.
#[inline(always)]
fn digits_of(text: &[u8; PART]) -> (usize, usize) {
    let part = Part::load(text);
    let digits = (u32::from(part.no_digits().bits()) | 1 << PART).trailing_zeros();
    let zeros = (!part.equal(Splat::new(b'0')).bits()).trailing_zeros();
    (digits as usize, zeros as usize)
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
        let marks = Marks::new(backslash);
        let alike = Alike::new(&marks, rule, &known);
        let mut near = Near::new(text.as_bytes(), 0).unwrap();
        let read = alike.read(&mut near).map(|()| near.place());
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
            (*b"1234567812345678", (16, 0)),
            (*b"0000000000000000", (16, 16)),
            (*b"00,1111111111111", (2, 2)),
            (*b"0010)abc00000000", (4, 2)),
            (*b":000000000000000", (0, 0)),
            (*b"1/00000000000000", (1, 0)),
            (*b"7\xff11111111111111", (1, 0)),
        ] {
            assert_eq!(digits_of(&text), expected, "{text:?}");
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
            "0000000000000000",
            "00000000000000000000.000",
            "1234567890123456789012345678901234567890",
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
