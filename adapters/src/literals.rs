//! The rows of an INSERT of constants, read strictly. Not a parser of SQL: what is not understood to
//! the last byte is [`Unclear`], and such a statement is sent as it is.
//!
//! Understood are `NULL`, `TRUE`, `FALSE`, decimal numbers with at most one sign, `'…'` with doubled
//! quotes, and, where the syntax has them, `X'…'`. Blanks may stand between all of these, comments
//! may not. A value borrows from the text: nothing is copied.

use memchr::memchr;

/// What differs between databases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Syntax {
    /// PostgreSQL with `standard_conforming_strings`: a backslash is a character like any other.
    /// `X'…'` is a string of bits there, and not understood.
    PostgreSql,
    /// SQLite: `X'…'` is a blob.
    Sqlite,
}

/// Something that is not understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unclear;

/// A constant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Literal<'a> {
    Null,
    Boolean(bool),
    Number(Number<'a>),
    Text(Text<'a>),
    /// Pairs of hexadecimal digits.
    Blob(&'a [u8]),
}

/// A number: a sign apart from its digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Number<'a> {
    pub(crate) is_negative: bool,
    /// Digits, and for a number that is not whole a point, an exponent, or both.
    pub(crate) text: &'a [u8],
    /// Whether it has neither point nor exponent.
    pub(crate) is_whole: bool,
    /// Whether all digits before the exponent are 0.
    pub(crate) is_zero: bool,
}

/// A text in quotes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Text<'a> {
    /// What is between the quotes.
    pub(crate) quoted: &'a [u8],
    /// Whether there are doubled quotes in it.
    pub(crate) has_quotes: bool,
}

/// The rows that are left to be read.
#[derive(Clone, Debug)]
pub(crate) struct Rows<'a> {
    rest: &'a [u8],
    syntax: Syntax,
    is_first: bool,
}

impl<'a> Rows<'a> {
    /// Rows from the parenthesis of the first to that of the last.
    pub(crate) fn new(rows: &'a [u8], syntax: Syntax) -> Self {
        Self { rest: rows, syntax, is_first: true }
    }

    /// Reads the next row, gives its constants one by one, each with the number of its column, and
    /// says how many there were; none where there is no row. What `each` does not take is unclear.
    #[inline]
    pub(crate) fn read(
        &mut self,
        mut each: impl FnMut(usize, Literal<'a>) -> Option<()>,
    ) -> Result<Option<usize>, Unclear> {
        self.skip_blanks();
        if !self.is_first {
            if self.rest.is_empty() {
                return Ok(None);
            }
            self.take(b',')?;
            self.skip_blanks();
        }
        self.is_first = false;
        self.take(b'(')?;
        let mut column = 0;
        loop {
            self.skip_blanks();
            each(column, self.literal()?).ok_or(Unclear)?;
            column += 1;
            self.skip_blanks();
            match self.rest {
                [b',', rest @ ..] => self.rest = rest,
                [b')', rest @ ..] => {
                    self.rest = rest;
                    return Ok(Some(column));
                }
                _ => return Err(Unclear),
            }
        }
    }

    #[inline]
    fn literal(&mut self) -> Result<Literal<'a>, Unclear> {
        match self.rest {
            [b'\'', rest @ ..] => {
                self.rest = rest;
                self.text().map(Literal::Text)
            }
            [b'0'..=b'9' | b'.', ..] => self.number(false),
            [b'-', rest @ ..] => self.signed(rest, true),
            [b'+', rest @ ..] => self.signed(rest, false),
            [b'x' | b'X', b'\'', rest @ ..] if self.syntax == Syntax::Sqlite => {
                self.rest = rest;
                let digits = self.text()?.quoted;
                let is_hex = digits.iter().all(u8::is_ascii_hexdigit);
                if is_hex && digits.len() % 2 == 0 {
                    Ok(Literal::Blob(digits))
                } else {
                    Err(Unclear)
                }
            }
            [b'a'..=b'z' | b'A'..=b'Z', ..] => self.word(),
            _ => Err(Unclear),
        }
    }

    /// The rest of a text behind its first quote.
    #[inline]
    fn text(&mut self) -> Result<Text<'a>, Unclear> {
        let text = self.rest;
        let mut has_quotes = false;
        let mut from = 0;
        loop {
            let end = from + quote(text.get(from..).unwrap_or_default()).ok_or(Unclear)?;
            if text.get(end + 1) != Some(&b'\'') {
                let (quoted, rest) = text.split_at(end);
                self.rest = rest.get(1..).unwrap_or_default();
                return Ok(Text { quoted, has_quotes });
            }
            has_quotes = true;
            from = end + 2;
        }
    }

    fn signed(&mut self, rest: &'a [u8], is_negative: bool) -> Result<Literal<'a>, Unclear> {
        self.rest = rest;
        self.skip_blanks();
        // A second sign would be another operator, or a comment.
        self.number(is_negative)
    }

    #[inline]
    fn number(&mut self, is_negative: bool) -> Result<Literal<'a>, Unclear> {
        let whole = digits(self.rest);
        let mut length = whole;
        let mut is_whole = true;
        let mut fraction = 0;
        if self.rest.get(length) == Some(&b'.') {
            is_whole = false;
            fraction = digits(self.rest.get(length + 1..).unwrap_or_default());
            length += 1 + fraction;
        }
        if whole + fraction == 0 {
            return Err(Unclear);
        }
        // Most begin with another digit.
        let is_zero = matches!(self.rest.first(), Some(b'0' | b'.'))
            && self.rest.iter().take(length).all(|byte| matches!(byte, b'0' | b'.'));
        if let Some(b'e' | b'E') = self.rest.get(length) {
            is_whole = false;
            let sign = usize::from(matches!(self.rest.get(length + 1), Some(b'+' | b'-')));
            let exponent = digits(self.rest.get(length + 1 + sign..).unwrap_or_default());
            if exponent == 0 {
                return Err(Unclear);
            }
            length += 1 + sign + exponent;
        }
        let (text, rest) = self.rest.split_at(length);
        self.rest = rest;
        Ok(Literal::Number(Number { is_negative, text, is_whole, is_zero }))
    }

    fn word(&mut self) -> Result<Literal<'a>, Unclear> {
        let length = self.rest.iter().take_while(|byte| byte.is_ascii_alphabetic()).count();
        let (word, rest) = self.rest.split_at(length);
        self.rest = rest;
        let is = |name: &[u8]| word.eq_ignore_ascii_case(name);
        match () {
            () if is(b"null") => Ok(Literal::Null),
            () if is(b"true") => Ok(Literal::Boolean(true)),
            () if is(b"false") => Ok(Literal::Boolean(false)),
            () => Err(Unclear),
        }
    }

    fn take(&mut self, byte: u8) -> Result<(), Unclear> {
        match self.rest.split_first() {
            Some((first, rest)) if *first == byte => {
                self.rest = rest;
                Ok(())
            }
            _ => Err(Unclear),
        }
    }

    fn skip_blanks(&mut self) {
        while let [first, rest @ ..] = self.rest
            && is_blank(*first)
        {
            self.rest = rest;
        }
    }
}

impl<'a> Text<'a> {
    /// The pieces whose bytes, one behind the other, are the text.
    pub(crate) fn pieces(self) -> impl Iterator<Item = &'a [u8]> {
        let mut rest = Some(self.quoted);
        std::iter::from_fn(move || {
            let text = rest?;
            let quote = if self.has_quotes { memchr(b'\'', text) } else { None };
            // Of two quotes, the first belongs to the text.
            let end = quote.map_or(text.len(), |quote| quote + 1);
            rest = quote.and_then(|quote| text.get(quote + 2..));
            text.get(..end)
        })
    }
}

impl<'a> Number<'a> {
    /// The text without zeros that say nothing, one digit at least.
    pub(crate) fn without_leading_zeros(&self) -> &'a [u8] {
        let zeros = self.text.iter().take_while(|byte| **byte == b'0').count();
        let followed = self.text.get(zeros).is_some_and(u8::is_ascii_digit);
        let zeros = if followed { zeros } else { zeros.saturating_sub(1) };
        self.text.get(zeros..).unwrap_or_default()
    }
}

/// What both databases take for a blank, and their lexers for nothing else.
pub(crate) fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | b'\x0c')
}

/// A byte in each of eight.
pub(crate) const fn eight(byte: u8) -> u64 {
    u64::from_ne_bytes([byte; 8])
}

/// Flags a byte that is 0 in its highest bit; those above the first that is may be wrong.
#[inline]
pub(crate) fn zeros(bytes: u64) -> u64 {
    bytes.wrapping_sub(eight(1)) & !bytes & eight(0x80)
}

/// How many digits a text begins with, eight at a time.
#[inline]
pub(crate) fn digits(text: &[u8]) -> usize {
    let mut count = 0;
    while let Some(word) = text.get(count..).and_then(|rest| rest.first_chunk()) {
        // A digit becomes its value, and what is greater than 9 has its highest bit set then; a
        // carry only reaches bytes behind the first of those.
        let values = u64::from_le_bytes(*word) ^ eight(b'0');
        let others = (values.wrapping_add(eight(0x76)) | values) & eight(0x80);
        count += others.trailing_zeros() as usize / 8;
        if others != 0 {
            return count;
        }
    }
    let rest = text.get(count..).unwrap_or_default();
    count + rest.iter().take_while(|byte| byte.is_ascii_digit()).count()
}

/// Where the first quote of a text is; most are near.
#[inline]
fn quote(text: &[u8]) -> Option<usize> {
    const NEAR: usize = 8;
    let (words, _) = text.as_chunks();
    for (index, word) in words.iter().take(NEAR).enumerate() {
        let found = zeros(u64::from_le_bytes(*word) ^ eight(b'\''));
        if found != 0 {
            return Some(8 * index + found.trailing_zeros() as usize / 8);
        }
    }
    let from = 8 * words.len().min(NEAR);
    memchr(b'\'', text.get(from..)?).map(|at| from + at)
}

/// The value of digits, at most 19 of which count for something.
#[inline]
pub(crate) fn value_of(digits: &[u8]) -> u64 {
    const TENS: [u64; 8] = [1, 10, 100, 1000, 10_000, 100_000, 1_000_000, 10_000_000];
    let (eights, rest) = digits.as_chunks();
    let whole = eights.iter().fold(0, |value: u64, digits| {
        value.wrapping_mul(100_000_000).wrapping_add(value_of_eight(u64::from_le_bytes(*digits)))
    });
    match rest.len() {
        0 => whole,
        count => {
            let value = value_of_eight(word_of(rest) << (64 - 8 * count));
            whole.wrapping_mul(TENS[count % 8]).wrapping_add(value)
        }
    }
}

/// At most seven bytes as a number, the first of them lowest.
#[inline]
fn word_of(bytes: &[u8]) -> u64 {
    let behind = bytes.len().saturating_sub(4);
    if let (Some(first), Some(last)) = (bytes.first_chunk(), bytes.last_chunk()) {
        // Where they overlap, they are the same.
        let [first, last] = [first, last].map(|four| u64::from(u32::from_le_bytes(*four)));
        return first | last << (8 * behind);
    }
    bytes.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte))
}

/// The value of eight digits, the first of them lowest; a byte of 0 is none. Neighbours are put
/// together three times.
#[inline]
fn value_of_eight(digits: u64) -> u64 {
    let ones = digits & eight(0x0f);
    let pairs = (ones.wrapping_mul((10 << 8) + 1) >> 8) & 0x00ff_00ff_00ff_00ff;
    let fours = (pairs.wrapping_mul((100 << 16) + 1) >> 16) & 0x0000_ffff_0000_ffff;
    fours.wrapping_mul((10_000 << 32) + 1) >> 32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, syntax: Syntax) -> Result<Vec<Vec<Literal<'_>>>, Unclear> {
        let mut rows = Rows::new(text.as_bytes(), syntax);
        let mut all = Vec::new();
        loop {
            let mut row = Vec::new();
            let read = rows.read(|column, literal| {
                assert_eq!(column, row.len());
                row.push(literal);
                Some(())
            });
            if read?.is_none() {
                return Ok(all);
            }
            all.push(row);
        }
    }

    fn one(text: &str) -> Result<Literal<'_>, Unclear> {
        let mut rows = Rows::new(text.as_bytes(), Syntax::Sqlite);
        let literal = rows.literal()?;
        if rows.rest.is_empty() { Ok(literal) } else { Err(Unclear) }
    }

    fn number(is_negative: bool, text: &str, is_whole: bool, is_zero: bool) -> Literal<'_> {
        Literal::Number(Number { is_negative, text: text.as_bytes(), is_whole, is_zero })
    }

    #[test]
    fn rows_are_read_one_by_one() {
        let rows = read("( 1 , 'a''b' ),\n(NULL,true)\t", Syntax::PostgreSql).unwrap();
        let text = Literal::Text(Text { quoted: b"a''b", has_quotes: true });
        let first = vec![number(false, "1", true, false), text];
        assert_eq!(rows, [first, vec![Literal::Null, Literal::Boolean(true)]]);
    }

    #[test]
    fn numbers_are_read_as_they_are_written() {
        for (text, expected) in [
            ("007", number(false, "007", true, false)),
            ("-5", number(true, "5", true, false)),
            ("- \n 5", number(true, "5", true, false)),
            ("+.5", number(false, ".5", false, false)),
            ("5.", number(false, "5.", false, false)),
            ("-0.00", number(true, "0.00", false, true)),
            ("0e9", number(false, "0e9", false, true)),
            ("1.5E-3", number(false, "1.5E-3", false, false)),
        ] {
            assert_eq!(one(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_not_a_constant_is_unclear() {
        for text in [
            "",
            "()",
            "(1",
            "(1)(2)",
            "(1),",
            "(1,)",
            "(,1)",
            "(1) x",
            "(1);",
            "1",
            "(a)",
            "(1a)",
            "(0x1F)",
            "(1_000)",
            "(1e)",
            "(.)",
            "(--5\n)",
            "(- -5)",
            "(+-5)",
            "(-'5')",
            "(1+1)",
            "(E'a')",
            "(N'a')",
            "(U&'a')",
            "(b'1')",
            "('a' 'b')",
            "('a'\n'b')",
            "('a)",
            "('a''",
            "('5'::int)",
            "(DATE '2020-01-01')",
            "(DEFAULT)",
            "(NULLS)",
            "(NULL_)",
            "(true1)",
            "(\"a\")",
            "($1)",
            "(?)",
            "(/* */ 1)",
            "((1))",
            "(x'0')",
            "(x'0g')",
            "(x '00')",
            "(1)\u{b},(2)",
            "(1,\u{a0}2)",
            "(current_date)",
            "(1 .5)",
            "(1. 5)",
        ] {
            assert_eq!(read(text, Syntax::Sqlite), Err(Unclear), "{text}");
            assert_eq!(read(text, Syntax::PostgreSql), Err(Unclear), "{text}");
        }
    }

    #[test]
    fn digits_are_counted_and_have_their_value() {
        for length in 0..20 {
            for behind in ["", ".", "/", ":", "\u{e9}", " 12345678"] {
                let number = &"1234567890987654321"[..length];
                let text = format!("{number}{behind}");
                assert_eq!(digits(text.as_bytes()), length, "{text}");
                let expected = if length == 0 { 0 } else { number.parse().unwrap() };
                assert_eq!(value_of(number.as_bytes()), expected, "{text}");
            }
        }
        assert_eq!(value_of(b"000000000000000000000000012"), 12);
    }

    #[test]
    fn the_first_quote_is_found_wherever_it_is() {
        for at in 0..150 {
            let text = format!("{}'{}", "&(\u{a7}a".repeat(at / 5), "'".repeat(at % 5 + 1));
            assert_eq!(quote(text.as_bytes()), text.find('\''), "{text}");
        }
        assert_eq!(quote(b""), None);
        assert_eq!(quote(&[b'&'; 100]), None);
    }

    #[test]
    fn hexadecimal_texts_are_blobs_where_the_syntax_has_them() {
        assert_eq!(read("(x'00fF')", Syntax::Sqlite), Ok(vec![vec![Literal::Blob(b"00fF")]]));
        assert_eq!(read("(X'')", Syntax::Sqlite), Ok(vec![vec![Literal::Blob(b"")]]));
        assert_eq!(read("(x'00fF')", Syntax::PostgreSql), Err(Unclear));
    }

    #[test]
    fn the_pieces_of_a_text_have_each_doubled_quote_once() {
        for (text, expected) in
            [("''", ""), ("'a'", "a"), ("''''", "'"), ("'a''''b'''", "a''b'"), ("'''a'", "'a")]
        {
            let Ok(Literal::Text(read)) = one(text) else { panic!("{text}") };
            let joined: Vec<u8> = read.pieces().flatten().copied().collect();
            assert_eq!(joined, expected.as_bytes(), "{text}");
        }
    }

    #[test]
    fn leading_zeros_say_nothing() {
        for (text, expected) in
            [("007", "7"), ("0", "0"), ("000", "0"), ("10", "10"), ("00.5", "0.5"), (".5", ".5")]
        {
            let Ok(Literal::Number(read)) = one(text) else { panic!("{text}") };
            assert_eq!(read.without_leading_zeros(), expected.as_bytes(), "{text}");
        }
    }
}
