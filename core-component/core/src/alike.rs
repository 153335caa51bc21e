//! Reads rows that look as the ones before them do, as most rows of most scripts: whole numbers,
//! decimals, texts and `NULL`, each column with constants of one family. Anything else is left to
//! the reader of all constants; what is read here is what that one reads, only faster.

use std::hint::cold_path;

use crate::family::{Anew, Columns, Family, FamilyRule, MOST_PLACES, of_text};
use crate::lanes::{LANES, Lanes, PART, Part, Splat};

/// Bytes that are at hand from a place on: so reading them needs few checks. What ends a statement
/// is no part of any row, so nothing is read beyond it.
const NEAR: usize = 256;

// Bytes as numbers of 32 bits: a narrower one that may come from several places is made narrow again in
// the sandbox before each comparison.
const SPACE: u32 = b' ' as u32;
const NEWLINE: u32 = b'\n' as u32;
const COMMA: u32 = b',' as u32;
const CLOSING: u32 = b')' as u32;
const QUOTE: u32 = b'\'' as u32;
const MINUS: u32 = b'-' as u32;
const POINT: u32 = b'.' as u32;
const ZERO: u32 = b'0' as u32;

/// How rows must look.
pub(crate) struct Alike<C> {
    marks: Marks,
    /// Those of the rows before.
    columns: C,
    /// How many there are, at least 1.
    width: usize,
    lengths: Lengths,
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
    /// Not 0 if anything was read that is no ASCII in one line: see [`Part::is_unusual`].
    unusual: u32,
}

/// Which part of a constant.
#[derive(Clone, Copy)]
enum Of {
    /// The digits that a number begins with.
    Whole,
    /// Those behind a sign.
    Signed,
    /// Those behind a point.
    Places,
    /// What is in quotes.
    Text,
}

/// How long the parts of the constants of each column were last. Most rows of a script are as the ones
/// before: so where the next constant begins is mostly known before this one is read, and a processor
/// can read both at the same time.
struct Lengths([[u32; 4]; Self::COLUMNS]);

impl Lengths {
    /// Columns beyond share them with others: what is known is only a guess.
    const COLUMNS: usize = 32;

    fn new() -> Self {
        Self([[1; 4]; Self::COLUMNS])
    }

    /// The place of the lowest of these bits, at least one of which must be set.
    #[inline(always)]
    fn lowest(&mut self, bits: u32, column: usize, part: Of) -> usize {
        let known = &mut self.0[column % Self::COLUMNS][part as usize];
        let mut bit = *known;
        // Asked in this way, it does not become the place itself.
        if bits & (bit ^ bit.wrapping_sub(1)) != bit {
            cold_path();
            bit = bits & bits.wrapping_neg();
            *known = bit;
        }
        bit.trailing_zeros() as usize
    }
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

impl<'a> Near<'a> {
    /// None where the text has too few bytes from `place` on. `unusual`: not 0 if anything was that
    /// was read before.
    #[inline(always)]
    pub(crate) fn new(text: &'a [u8], place: usize, unusual: u32) -> Option<Self> {
        let bytes = text.get(place..)?.first_chunk()?;
        Some(Self { text, base: place, bytes, at: 0, unusual })
    }

    /// Not 0 if control characters or other than ASCII were read.
    #[inline(always)]
    pub(crate) fn unusual(&self) -> u32 {
        self.unusual
    }

    /// Goes on at this place.
    #[inline(always)]
    fn go_to(&mut self, place: usize) -> Option<()> {
        *self = Self::new(self.text, place, self.unusual)?;
        Some(())
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

    /// Whether this stands at the place.
    pub(crate) fn goes_on_with(&self, what: &[u8]) -> bool {
        self.text.get(self.place()..).is_some_and(|rest| rest.starts_with(what))
    }

    #[inline(always)]
    pub(crate) fn place(&self) -> usize {
        self.base + self.at
    }

    /// Sees to it that enough is at hand.
    #[inline(always)]
    fn renew(&mut self) -> Option<()> {
        if self.at > NEAR / 2 {
            self.go_to(self.place())?;
        }
        Some(())
    }

    #[inline(always)]
    fn byte(&self) -> Option<u32> {
        self.bytes.get(self.at).map(|byte| u32::from(*byte))
    }

    /// Moves on behind a comma, to the next row.
    #[inline(always)]
    pub(crate) fn comma(&mut self) -> Option<()> {
        (self.byte()? == COMMA).then_some(())?;
        self.at += 1;
        while let byte @ (SPACE | NEWLINE) = self.byte()? {
            self.unusual |= u32::from(byte == NEWLINE);
            self.at += 1;
        }
        self.renew()
    }

    /// How many digits stand from `at` on. None where there are more than most numbers have.
    #[inline(always)]
    fn digits(&self, at: usize, lengths: &mut Lengths, column: usize, part: Of) -> Option<usize> {
        let found = behind_digits(self.bytes.get(at..)?.first_chunk()?);
        let count = lengths.lowest(found, column, part);
        if count < PART {
            return Some(count);
        }
        let more = behind_digits(self.bytes.get(at + PART..)?.first_chunk()?).trailing_zeros();
        let more = more as usize;
        (more < PART).then_some(PART + more)
    }

    /// Whether the number that stands from `start` to the place, and begins with 0, is 0.
    #[inline(always)]
    fn is_zero(&self, start: usize) -> bool {
        // Most end in another digit.
        self.bytes.get(self.at.wrapping_sub(1)) == Some(&b'0')
            && is_zero(self.bytes, start, self.at)
    }

    /// Moves on to the quote that ends a text, which begins here; what stands behind it.
    #[inline(always)]
    fn closing_quote(
        &mut self,
        marks: &Marks,
        lengths: &mut Lengths,
        column: usize,
    ) -> Option<u32> {
        // Most texts are short, and have none of these but at their end.
        let part = Part::load(self.bytes.get(self.at..)?.first_chunk()?);
        let found = u32::from(part.equal(marks.quote).or(part.equal(marks.escape)).bits());
        if found != 0 {
            let end = self.at + lengths.lowest(found, column, Of::Text);
            let [this, follows] = *self.bytes.get(end..)?.first_chunk()?;
            if this == b'\'' && follows != b'\'' {
                let before = found ^ found.wrapping_sub(1);
                self.unusual |= u32::from(part.is_unusual().bits()) & before;
                self.at = end;
                return Some(u32::from(follows));
            }
        }
        let (end, is_unusual) = closing_quote(self.text, self.place(), marks)?;
        self.unusual |= u32::from(is_unusual);
        self.go_to(end)?;
        self.bytes.get(1).map(|byte| u32::from(*byte))
    }
}

/// Where the quote stands that ends a text, which begins at `at`, and whether anything before it may
/// be unusual. A doubled one stands for itself, and so does what is escaped.
#[inline(never)]
fn closing_quote(text: &[u8], mut at: usize, marks: &Marks) -> Option<(usize, bool)> {
    let mut is_unusual = false;
    loop {
        let lanes = Lanes::load(text.get(at..)?.first_chunk::<LANES>()?);
        let found = lanes.equal(marks.quote).or(lanes.equal(marks.escape)).bits();
        is_unusual |= lanes.is_unusual();
        at += found.trailing_zeros() as usize;
        if found != 0 {
            let [this, follows] = *text.get(at..)?.first_chunk()?;
            if this == b'\'' && follows != b'\'' {
                return Some((at, is_unusual));
            }
            at += 2;
        }
    }
}

impl<C: Columns> Alike<Anew<C>> {
    /// The next rows have so many columns, which the first of them makes what they are.
    pub(crate) fn begin(&mut self, columns: C, width: usize) {
        (self.columns, self.width) = (Anew::new(columns, true), width);
    }

    /// The first of them is read.
    #[inline(always)]
    pub(crate) fn go_on(&mut self) {
        self.columns.is_first = false;
    }
}

impl<C: Columns> Alike<C> {
    /// Rows like others of so many columns, at least 1.
    pub(crate) fn new(marks: Marks, columns: C, width: usize) -> Self {
        Self { marks, columns, width, lengths: Lengths::new() }
    }

    /// Where the last of the rows ends that stand at `at` behind commas, and how many these are.
    #[inline(never)]
    pub(crate) fn more(mut self, text: &[u8], at: usize) -> (usize, u32) {
        let (mut end, mut count) = (at, 0_u32);
        let Some(mut near) = Near::new(text, at, 0) else { return (end, count) };
        while near.comma().is_some() && self.read(&mut near).is_some() {
            end = near.place();
            count += 1;
        }
        (end, count)
    }

    /// Reads a row.
    fn read(&mut self, near: &mut Near<'_>) -> Option<()> {
        self.open(near)?;
        (0..self.width).try_for_each(|column| self.column(near, column).map(drop))
    }

    /// Reads rows that end at `most` at the latest; how many they are.
    #[inline(always)]
    pub(crate) fn rows(&mut self, near: &mut Near<'_>, most: usize) -> Option<u32> {
        let (mut rows, mut column) = (0_u32, 0);
        self.open(near)?;
        // One loop for all of them, and three columns a turn, as each turn costs something in the sandbox.
        loop {
            let is_read = self.column(near, column)?
                || self.column(near, column + 1)?
                || self.column(near, column + 2)?;
            if !is_read {
                column += 3;
                continue;
            }
            rows = rows.checked_add(1)?;
            (near.place() <= most).then_some(())?;
            // What stands behind the last row does not begin with one.
            if near.byte()? != COMMA {
                return Some(rows);
            }
            near.comma()?;
            self.open(near)?;
            column = 0;
        }
    }

    /// What a row begins with.
    #[inline(always)]
    fn open(&self, near: &mut Near<'_>) -> Option<()> {
        near.at += 1;
        (near.bytes.get(near.at - 1) == Some(&b'(')).then_some(())
    }

    /// Reads the constant of a column, and what is behind it; whether that was the last one.
    #[inline(always)]
    fn column(&mut self, near: &mut Near<'_>, column: usize) -> Option<bool> {
        if near.byte()? == SPACE {
            near.at += 1;
        }
        let follows = self.constant(near, column)?;
        near.at += 1;
        near.renew()?;
        let is_last = column + 1 == self.width;
        (follows == if is_last { CLOSING } else { COMMA }).then_some(is_last)
    }

    /// The constant that comes next, which is one of this column; what follows it.
    #[inline(always)]
    fn constant(&mut self, near: &mut Near<'_>, column: usize) -> Option<u32> {
        let start = near.at;
        let first = near.byte()?;
        // Asked in this way, it becomes no jump through a table.
        if first == QUOTE {
            near.at = start + 1;
            return self.string(near, column);
        }
        let count = near.digits(start, &mut self.lengths, column, Of::Whole)?;
        if count != 0 {
            near.at = start + count;
            self.number(near, (first, start), column)
        } else if first & 0xfe == MINUS & 0xfe {
            let (digit, count) = (
                near.bytes.get(start + 1)?,
                near.digits(start + 1, &mut self.lengths, column, Of::Signed)?,
            );
            if first != MINUS || count == 0 {
                return None;
            }
            near.at = start + 1 + count;
            self.number(near, (u32::from(*digit), start + 1), column)
        } else {
            let word = u32::from_le_bytes(*near.bytes.get(start..)?.first_chunk()?);
            let upper = word & u32::from_le_bytes([0xdf; 4]);
            near.at = start + 4;
            let is_null = upper == u32::from_le_bytes(*b"NULL");
            (is_null && self.columns.take(column, Family::Null)).then_some(near.byte()?)
        }
    }

    /// A number whose digits begin at `start` with this one, and of which the whole part is read.
    #[inline(always)]
    fn number(
        &mut self,
        near: &mut Near<'_>,
        (first, start): (u32, usize),
        column: usize,
    ) -> Option<u32> {
        let mut follows = near.byte()?;
        let mut family = Family::Integer;
        if follows == POINT {
            let point = near.at;
            let places = near.digits(point + 1, &mut self.lengths, column, Of::Places)?;
            if places == 0 {
                return None;
            }
            near.at = point + 1 + places;
            follows = near.byte()?;
            family = Family::Decimal(places.min(MOST_PLACES) as u8);
        }
        let is_numbering = self.columns.rule() == FamilyRule::Numbering;
        if is_numbering && first == ZERO && near.is_zero(start) {
            family = Family::Zero;
        }
        self.columns.take(column, family).then_some(follows)
    }

    /// The rest of a text in quotes, a doubled one of which stands for itself.
    #[inline(always)]
    fn string(&mut self, near: &mut Near<'_>, column: usize) -> Option<u32> {
        let rule = self.columns.rule();
        let start = near.place();
        let may_be_number = rule != FamilyRule::Free && (ZERO..ZERO + 10).contains(&near.byte()?);
        let follows = near.closing_quote(&self.marks, &mut self.lengths, column)?;
        let family = match may_be_number {
            true => of_text(rule, near.text.get(start..near.place())?),
            false => Family::Text,
        };
        near.at += 1;
        self.columns.take(column, family).then_some(follows)
    }
}

/// Whether the number that stands from `start` to `end` has no digits but 0.
#[inline(never)]
fn is_zero(text: &[u8; NEAR], start: usize, end: usize) -> bool {
    let number = text.get(start..end).unwrap_or_default();
    number.iter().all(|byte| matches!(byte, b'0' | b'.'))
}

/// What is no digit, as bits, and what is behind all of it.
#[inline(always)]
fn behind_digits(text: &[u8; PART]) -> u32 {
    u32::from(Part::load(text).no_digits().bits()) | 1 << PART
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::constant::Reader;
    use crate::dialect::Dialect;
    use crate::family::{Families, Free, Numbering, Ruled};

    fn read_by(columns: impl Columns, marks: Marks, (text, width): (&str, usize)) -> Option<usize> {
        let mut alike = Alike::new(marks, columns, width);
        let mut near = Near::new(text.as_bytes(), 0, 0).unwrap();
        alike.read(&mut near).map(|()| near.place())
    }

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
        let read = match rule {
            FamilyRule::Numbering => read_by(Numbering::new(&known), marks, (&text, width)),
            rule => read_by(Ruled::new(rule, &known), marks, (&text, width)),
        };
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
    fn the_lowest_bit_is_told_whatever_was_known_before() {
        let mut lengths = Lengths::new();
        let places = (0..32).chain((0..32).rev()).chain([7, 7, 3, 31, 0]);
        for (column, place) in places.enumerate() {
            for others in [u32::MAX, 0x0100_8010, 0x8000_0000, 0] {
                let bits = (others | 1) << place;
                for column in [0, column, 31, 32] {
                    assert_eq!(lengths.lowest(bits, column, Of::Text), place, "{bits:b}");
                }
            }
        }
    }

    #[test]
    fn digits_are_counted() {
        for (text, expected) in [
            (*b"1234567812345678", 16),
            (*b"00,1111111111111", 2),
            (*b"0010)abc00000000", 4),
            (*b":000000000000000", 0),
            (*b"1/00000000000000", 1),
            (*b"7\xff11111111111111", 1),
        ] {
            assert_eq!(behind_digits(&text).trailing_zeros(), expected, "{text:?}");
        }
    }

    #[test]
    fn rows_of_any_width_are_read_and_none_of_another() {
        let row = |columns: usize| format!("({})", vec!["1"; columns].join(", "));
        let behind = ";".repeat(NEAR);
        for width in 1..=10 {
            for (last, expected) in [(width, Some(3)), (width + 1, None), (width - 1, None)] {
                let rows = [width, width, last].map(row).join(", ");
                let text = format!("{rows}{behind}");
                let mut near = Near::new(text.as_bytes(), 0, 0).unwrap();
                let mut alike = Alike::new(Marks::new(false), Free, width);
                assert_eq!(alike.rows(&mut near, text.len()), expected, "{width}: {rows}");
                assert!(expected.is_none() || near.place() == rows.len());
            }
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
            "000000000000000",
            "0000000000000.1",
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
