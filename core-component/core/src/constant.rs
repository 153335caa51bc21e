//! Reads constants, as they stand in the rows of an INSERT: literals, signs, casts of literals and
//! constructors. Anything else, comments included, is not understood.

use crate::dialect::{InsertRules, Rules};
use crate::family::{Families, Family, FamilyRule, MOST_PLACES, of_text};

/// How deep constructors may nest.
const MOST_DEEP: u32 = 16;
/// A place in a text.
pub(crate) struct Reader<'a> {
    rules: &'static InsertRules,
    text: &'a [u8],
    at: usize,
    /// Whether a backslash escapes in ordinary strings.
    backslash: bool,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(
        rules: &'static Rules,
        backslash: Option<bool>,
        text: &'a [u8],
        at: usize,
    ) -> Self {
        Self { rules: &rules.inserts, text, at, backslash: escapes(rules, backslash) }
    }

    pub(crate) fn at(&self) -> usize {
        self.at
    }

    pub(crate) fn go_to(&mut self, at: usize) {
        self.at = at;
    }

    /// A row in parentheses; how many constants it has.
    #[inline]
    pub(crate) fn row(&mut self, families: &mut Families) -> Option<usize> {
        self.eat(b'(').then_some(())?;
        let rule = self.rules.families;
        let mut column = 0;
        loop {
            self.space();
            let family = self.constant(0)?;
            if rule != FamilyRule::Free {
                families.put(rule, column, family).then_some(())?;
            }
            column += 1;
            self.space();
            if !self.eat(b',') {
                return self.eat(b')').then_some(column);
            }
        }
    }

    /// A constant, with what it is cast to.
    fn constant(&mut self, depth: u32) -> Option<Family> {
        let mut family = match self.peek()? {
            b'\'' => self.string(self.backslash)?,
            b'0'..=b'9' | b'.' => self.number()?,
            b'+' | b'-' => {
                self.at += 1;
                self.space();
                self.number()?
            }
            b'"' if self.rules.double_quoted_strings => self.quoted(b'"', self.backslash)?,
            byte if byte.is_ascii_alphabetic() || byte == b'_' => self.word(depth)?,
            _ => return None,
        };
        while self.rules.casts && self.text[self.at..].starts_with(b"::") {
            self.at += 2;
            family = Family::Typed(self.type_name()?);
        }
        Some(family)
    }

    fn string(&mut self, backslash: bool) -> Option<Family> {
        self.quoted(b'\'', backslash)
    }

    /// A text in quotes, a doubled one of which stands for itself.
    fn quoted(&mut self, quote: u8, backslash: bool) -> Option<Family> {
        let start = self.at + 1;
        let mut at = start;
        loop {
            let byte = *self.text.get(at)?;
            if byte == quote {
                if self.text.get(at + 1) != Some(&quote) {
                    break;
                }
                at += 1;
            } else if byte == b'\\' && backslash {
                at += 1;
            }
            at += 1;
        }
        self.at = at + 1;
        // Adjacent strings would be one.
        Some(match self.rules.families {
            FamilyRule::Free => Family::Text,
            rule => of_text(rule, &self.text[start..at]),
        })
    }

    fn number(&mut self) -> Option<Family> {
        let start = self.at;
        if self.rules.hexadecimal && matches!(self.text[start..], [b'0', b'x' | b'X', ..]) {
            self.at += 2;
            let digits = self.while_in(|byte| byte.is_ascii_hexdigit());
            return (digits > 0 && !self.is_in_word()).then_some(Family::Typed(b'x'));
        }
        let whole = self.while_in(|byte| byte.is_ascii_digit());
        let (mut places, mut float) = (None, false);
        if self.eat(b'.') {
            places = Some(self.while_in(|byte| byte.is_ascii_digit()));
        }
        if whole + places.unwrap_or(0) == 0 {
            return None;
        }
        let mantissa = &self.text[start..self.at];
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            let _signed = self.eat(b'+') || self.eat(b'-');
            float = self.while_in(|byte| byte.is_ascii_digit()) > 0;
            float.then_some(())?;
        }
        if self.is_in_word() || self.peek() == Some(b'.') {
            return None;
        }
        let is_zero = || mantissa.iter().all(|byte| matches!(byte, b'0' | b'.'));
        Some(match (self.rules.families, places) {
            (FamilyRule::Free, _) => Family::Integer,
            (FamilyRule::Numbering, _) if is_zero() => Family::Zero,
            _ if float => Family::Float,
            (_, Some(places)) => Family::Decimal(places.min(MOST_PLACES) as u8),
            (_, None) => Family::Integer,
        })
    }

    /// What begins with a letter: a name of a constant, of a type, or of a kind of strings.
    fn word(&mut self, depth: u32) -> Option<Family> {
        let word = self.name();
        let is = |name: &str| word.eq_ignore_ascii_case(name.as_bytes());
        if self.peek() == Some(b'\'') {
            return self.prefixed(word);
        }
        if is("NULL") {
            return Some(Family::Null);
        }
        if is("TRUE") || is("FALSE") {
            return Some(Family::Boolean);
        }
        if is("DEFAULT") {
            return self.rules.defaults.then_some(Family::Default);
        }
        if is("CAST") {
            return self.cast(depth);
        }
        if self.rules.constructors && is("ARRAY") {
            return self.list((b'[', b']'), depth).then_some(Family::Typed(b'['));
        }
        if self.rules.constructors && is("ROW") {
            return self.list((b'(', b')'), depth).then_some(Family::Typed(b'('));
        }
        if self.rules.character_sets && word.starts_with(b"_") {
            self.space();
            return self.string(self.backslash);
        }
        self.typed(word)
    }

    /// A string right behind a letter that says what it is.
    fn prefixed(&mut self, word: &[u8]) -> Option<Family> {
        if word.starts_with(b"_") && self.rules.character_sets {
            return self.string(self.backslash);
        }
        let &[letter] = word else { return self.typed(word) };
        let letter = letter.to_ascii_uppercase();
        let known = self.rules.string_letters.contains(&letter);
        known.then_some(())?;
        let text = self.string(letter == b'E' || (letter == b'N' && self.backslash))?;
        Some(if matches!(letter, b'E' | b'N') { text } else { Family::Typed(letter) })
    }

    /// `DATE '…'` and its like, of which the first word is read.
    fn typed(&mut self, first: &[u8]) -> Option<Family> {
        let known = |word: &[u8]| TYPES.iter().any(|t| word.eq_ignore_ascii_case(t.as_bytes()));
        (self.rules.typed && known(first)).then_some(())?;
        let mut digest = of_name(0, first);
        self.space();
        while self.peek() != Some(b'\'') {
            let word = self.name();
            known(word).then_some(())?;
            digest = of_name(digest, word);
            self.space();
        }
        self.string(self.backslash)?;
        self.units(&mut digest)?;
        Some(Family::Typed(digest))
    }

    /// `DAY TO SECOND` behind an interval.
    fn units(&mut self, digest: &mut u8) -> Option<()> {
        loop {
            let before = self.at;
            self.space();
            let word = self.name();
            if word.is_empty() {
                self.at = before;
                return Some(());
            }
            let known = |unit: &str| word.eq_ignore_ascii_case(unit.as_bytes());
            UNITS.iter().any(|unit| known(unit)).then_some(())?;
            *digest = of_name(*digest, word);
        }
    }

    /// `CAST(constant AS type)`, of which the word is read.
    fn cast(&mut self, depth: u32) -> Option<Family> {
        (self.eat(b'(') && depth < MOST_DEEP).then_some(())?;
        self.space();
        self.constant(depth + 1)?;
        self.space();
        self.name().eq_ignore_ascii_case(b"AS").then_some(())?;
        self.space();
        let digest = self.type_name()?;
        self.space();
        self.eat(b')').then_some(Family::Typed(digest))
    }

    /// A list of constants, or of lists, in brackets.
    fn list(&mut self, (open, close): (u8, u8), depth: u32) -> bool {
        self.space();
        if depth >= MOST_DEEP || !self.eat(open) {
            return false;
        }
        self.space();
        if self.eat(close) {
            return true;
        }
        loop {
            self.space();
            let item = match self.peek() {
                Some(b'[') if open == b'[' => self.list((open, close), depth + 1),
                _ => self.constant(depth + 1).is_some_and(|family| family != Family::Default),
            };
            self.space();
            if !item || !self.eat(b',') {
                return item && self.eat(close);
            }
        }
    }

    /// The name of a type, with lengths and brackets; a digest of it.
    fn type_name(&mut self) -> Option<u8> {
        let start = self.at;
        loop {
            match self.peek() {
                Some(b'"') => {
                    let rest = &self.text[self.at + 1..];
                    self.at += 2 + rest.iter().position(|byte| *byte == b'"')?;
                }
                _ => (!self.name().is_empty()).then_some(())?,
            }
            if self.eat(b'(') {
                self.while_in(|byte| byte.is_ascii_digit() || matches!(byte, b',' | b' '));
                self.eat(b')').then_some(())?;
            }
            let before = self.at;
            self.space();
            let goes_on = self.eat(b'.')
                || self.peek().is_some_and(|byte| byte.is_ascii_alphabetic() && before < self.at);
            if !goes_on {
                self.at = before;
                break;
            }
            if !self.is_part_of_type() {
                self.at = before;
                break;
            }
        }
        while self.text[self.at..].starts_with(b"[]") {
            self.at += 2;
        }
        Some(of_name(0, &self.text[start..self.at]))
    }

    /// Whether what follows belongs to the name of a type: a part behind a point, or a word as in
    /// `timestamp with time zone`.
    fn is_part_of_type(&self) -> bool {
        if self.at > 0 && self.text[self.at - 1] == b'.' {
            return true;
        }
        let rest = &self.text[self.at..];
        let length = rest.iter().position(|byte| !is_name(*byte)).unwrap_or(rest.len());
        let word = &rest[..length];
        ["WITH", "WITHOUT", "TIME", "ZONE", "PRECISION", "VARYING", "LOCAL"]
            .iter()
            .any(|part| word.eq_ignore_ascii_case(part.as_bytes()))
    }

    /// The letters, digits and underscores that follow.
    fn name(&mut self) -> &'a [u8] {
        let start = self.at;
        self.while_in(is_name);
        &self.text[start..self.at]
    }

    fn while_in(&mut self, fits: impl Fn(u8) -> bool) -> usize {
        let start = self.at;
        while self.text.get(self.at).is_some_and(|byte| fits(*byte)) {
            self.at += 1;
        }
        self.at - start
    }

    /// Whether a word or a number goes on here.
    fn is_in_word(&self) -> bool {
        self.peek().is_some_and(|byte| is_name(byte) || byte == b'$' || byte >= 0x80)
    }

    #[inline]
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    #[inline]
    pub(crate) fn eat(&mut self, byte: u8) -> bool {
        let fits = self.peek() == Some(byte);
        self.at += usize::from(fits);
        fits
    }

    #[inline]
    pub(crate) fn space(&mut self) {
        while self.peek().is_some_and(is_space) {
            self.at += 1;
        }
    }
}

/// Words of types that may stand before a string.
const TYPES: [&str; 12] = [
    "DATE",
    "TIME",
    "TIMESTAMP",
    "INTERVAL",
    "DECIMAL",
    "JSON",
    "UUID",
    "CHAR",
    "WITH",
    "WITHOUT",
    "ZONE",
    "TIMESTAMPTZ",
];
/// Units of intervals.
const UNITS: [&str; 7] = ["YEAR", "MONTH", "DAY", "HOUR", "MINUTE", "SECOND", "TO"];

/// Whether a backslash escapes in ordinary strings, of which the script has said this.
pub(crate) fn escapes(rules: &Rules, said: Option<bool>) -> bool {
    let quote = rules.quotes.iter().find(|quote| quote.open == b'\'');
    said.unwrap_or(quote.is_some_and(|quote| quote.backslash))
}

/// White space in all dialects.
#[inline]
pub(crate) fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\n' | b'\t' | b'\r' | 0x0c)
}

fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// Tells names apart, whatever their case.
fn of_name(digest: u8, name: &[u8]) -> u8 {
    name.iter()
        .fold(digest, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.to_ascii_uppercase()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::Dialect;

    fn reads(dialect: Dialect, row: &str) -> bool {
        let mut reader = Reader::new(dialect.rules(), None, row.as_bytes(), 0);
        reader.row(&mut Families::default()).is_some() && reader.at() == row.len()
    }

    #[test]
    fn constants_are_read() {
        use Dialect::{MySql, PostgreSql, Snowflake, Sqlite, Trino};
        for (dialects, row) in [
            (&[PostgreSql, MySql, Sqlite, Trino, Snowflake][..], "(1, -2.5, +1e10, .5, 'it''s')"),
            (&[PostgreSql, MySql, Sqlite, Trino, Snowflake], "( NULL , true,\nFALSE, X'00ff' )"),
            (&[PostgreSql, MySql], "(DEFAULT, DATE '2020-01-01', N'x')"),
            (&[PostgreSql], "('a'::text, '1'::numeric(10, 2), '{}'::int[], E'\\'', B'01')"),
            (&[PostgreSql], "('x'::timestamp with time zone, '1'::\"My\".\"T\", 1::int::text)"),
            (&[PostgreSql, Trino], "(ARRAY[1, 2], ARRAY[ARRAY['a']], ROW(1, 'a'), ARRAY[])"),
            (&[PostgreSql], "(ARRAY[[1, 2], [3, 4]], INTERVAL '1' DAY, CAST('1' AS int))"),
            (&[PostgreSql, Trino], "(TIMESTAMP '2020-01-01', TIME WITH TIME ZONE '10:00+01')"),
            (&[MySql], "(_utf8'ä', _binary 'x', \"y\", 'a\\'b', 0x1F, b'01')"),
            (&[Sqlite], "(0xFF, x'', 'a\\')"),
        ] {
            for dialect in dialects {
                assert!(reads(*dialect, row), "{dialect:?}: {row}");
            }
        }
    }

    #[test]
    fn what_is_no_constant_is_not_read() {
        for row in [
            "(now())",
            "(a)",
            "(1 + 2)",
            "($1)",
            "(?)",
            "(:a)",
            "(- -1)",
            "(--1\n1)",
            "(1 /* c */)",
            "((SELECT 1))",
            "(1",
            "(1,)",
            "()",
            "('a' 'b')",
            "('a)",
            "(1a)",
            "(1.2.3)",
            "(e'x)",
            "(nextval('s'))",
            "(CURRENT_DATE)",
            "($$a$$)",
            "(ARRAY[now()])",
            "('a'::text || 'b')",
            "(CASE WHEN true THEN 1 END)",
            "(U&'a')",
            "(foo 'a')",
            "(1e)",
            "(.)",
            "('a'::)",
            "(\"a\")",
            "(ARRAY(SELECT 1))",
            "(1::int + 1)",
            "('x' COLLATE \"C\")",
            "(INTERVAL)",
            "(DEFAULT + 1)",
            "(ARRAY[DEFAULT])",
            "(_utf8'x')",
        ] {
            assert!(!reads(Dialect::PostgreSql, row), "{row}");
        }
        assert!(!reads(Dialect::Sqlite, "(\"a\")"), "it may be a column");
        assert!(!reads(Dialect::MySql, "('a' 'b')"));
        assert!(!reads(Dialect::MySql, "(@a)"));
    }
}
