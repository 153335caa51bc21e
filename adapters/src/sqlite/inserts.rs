//! INSERTs of constants, without SQLite reading the constants as SQL: the rows are read here, and
//! SQLite fetches their values from a virtual table, `INSERT INTO t (a, b) SELECT … FROM rows`.
//!
//! That is one statement, as the one with `VALUES` is: the same constraints, triggers, affinities,
//! defaults and conflict clauses, the same error, whole or not at all, and the same `changes()`. Bound
//! values would be several statements instead, as their number is limited.

use std::{ffi::CStr, ops::Range};

use crate::{
    InsertRows,
    insert::{Insert, holds},
    literals::{Literal, Number, Rows, Syntax, digits, value_of},
};

/// What is not worth being prepared twice, in bytes of rows.
const MIN_BYTES: usize = 512;

/// The most digits of a number with a point that SQLite and Rust turn into the same floating-point
/// number for certain. SQLite multiplies by powers of ten with about 100 bits: that is exact enough
/// for those of [`TENS`], but not for all.
const MAX_DIGITS: usize = 15;

/// How many bytes of text a value has, about: room is made for so many.
const EXPECTED_BYTES: usize = 8;

/// The most values that are held in memory, 16 bytes each; an INSERT of more is sent as text.
const MAX_VALUES: usize = 1 << 21;

/// Powers of ten that are exact, by which a whole number below 2^53 is multiplied or divided with
/// one rounding: so the result is the nearest to the number that is written.
const TENS: [f64; 16] =
    [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15];

/// A value as SQLite stores it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Value {
    Null,
    Integer(i64),
    Real(f64),
    /// A text that is what stands between the quotes.
    Text(Place),
    /// A text with doubled quotes, as it stands between quotes itself.
    Quoted(Place),
    /// Pairs of hexadecimal digits.
    Blob(Place),
}

/// Where in the rows something stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    start: u32,
    length: u32,
}

impl Place {
    /// Of a part of the rows.
    #[inline]
    fn of(part: &[u8], rows: &[u8]) -> Option<Self> {
        let start = part.as_ptr().addr().checked_sub(rows.as_ptr().addr())?;
        Some(Self { start: u32::try_from(start).ok()?, length: u32::try_from(part.len()).ok()? })
    }

    /// What stands there.
    #[inline]
    pub(super) fn get(self, rows: &[u8]) -> Option<&[u8]> {
        rows.get(self.start as usize..)?.get(..self.length as usize)
    }
}

/// An INSERT that can be sent so.
#[derive(Debug, PartialEq)]
pub(super) struct Plan {
    /// Where the rows are in the statement.
    pub(super) rows: Range<usize>,
    /// The values, row by row.
    pub(super) values: Vec<Value>,
    /// Values of a row.
    pub(super) columns: usize,
    /// What the virtual table is called.
    pub(super) source: &'static CStr,
    /// The statement that takes the place of the one with `VALUES`.
    pub(super) sql: Vec<u8>,
}

/// What the virtual table is called. The parentheses behind it keep the name apart from those of
/// tables, which cannot be called.
const SOURCE: &CStr = c"sql_batcher_rows";

impl Plan {
    /// Reads all rows; none where it is not certain that the result would be the same.
    pub(super) fn of(statement: &[u8], at: &InsertRows) -> Option<Self> {
        let Insert { into, rows, tail } = Insert::of(statement, at)?;
        if rows.len() < MIN_BYTES || !is_plain(into) || !is_known(tail) {
            return None;
        }
        let (values, columns) = read(rows)?;
        let mut sql = into.to_vec();
        sql.extend_from_slice(b" SELECT ");
        for column in 0..columns {
            let comma = if column == 0 { "" } else { "," };
            sql.extend_from_slice(format!("{comma}c{column}").as_bytes());
        }
        // Without a condition, ON would belong to the source.
        sql.extend_from_slice(b" FROM ");
        sql.extend_from_slice(SOURCE.to_bytes());
        sql.extend_from_slice(b"() WHERE true ");
        sql.extend_from_slice(tail);
        let start = at.prefix as usize;
        Some(Self { rows: start..start + rows.len(), values, columns, source: SOURCE, sql })
    }
}

/// Whether it begins as an INSERT does: `INSERT INTO`, `INSERT OR IGNORE INTO`, `REPLACE INTO`.
fn is_plain(into: &[u8]) -> bool {
    let mut words = into.split(|byte| byte.is_ascii_whitespace()).filter(|word| !word.is_empty());
    let mut next = |expected: &[u8]| words.next().is_some_and(|w| w.eq_ignore_ascii_case(expected));
    let begins = match into.first() {
        Some(b'r' | b'R') => next(b"REPLACE"),
        _ => next(b"INSERT"),
    };
    begins && !holds(into, b"SELECT")
}

/// Whether the tail belongs to INSERT whatever its rows come from.
fn is_known(tail: &[u8]) -> bool {
    let words = || tail.split(|byte| byte.is_ascii_whitespace()).filter(|word| !word.is_empty());
    let begins = |expected: [&[u8]; 2]| {
        words().zip(expected).filter(|(word, is)| word.eq_ignore_ascii_case(is)).count() == 2
    };
    tail.is_empty() || (begins([b"ON", b"CONFLICT"]) || tail.starts_with(b"ON CONFLICT("))
}

/// All values, and how many each of the rows has, if they are as many and all of them understood. Of
/// one row alone there is nothing to gain, and SQLite looks at its foreign keys before it is
/// inserted: then a failure leaves `last_insert_rowid()` as it was.
fn read(text: &[u8]) -> Option<(Vec<Value>, usize)> {
    let mut values = Vec::with_capacity((text.len() / EXPECTED_BYTES).min(MAX_VALUES));
    let mut rows = Rows::new(text, Syntax::Sqlite);
    let mut columns = None;
    let mut put = |_, literal| {
        let has_room = values.len() < MAX_VALUES;
        values.push(value(&literal, text).filter(|_| has_room)?);
        Some(())
    };
    while let Some(count) = rows.read(&mut put).ok()? {
        if count != *columns.get_or_insert(count) {
            return None;
        }
    }
    columns.filter(|columns| values.len() > *columns).map(|columns| (values, columns))
}

/// The value of a literal of these rows; none where it is not certain.
#[inline]
fn value(literal: &Literal<'_>, rows: &[u8]) -> Option<Value> {
    Some(match literal {
        Literal::Null => Value::Null,
        Literal::Boolean(value) => Value::Integer(i64::from(*value)),
        Literal::Number(number) if number.is_whole => Value::Integer(whole(number)?),
        Literal::Number(number) => Value::Real(real(number)?),
        Literal::Text(text) if text.has_quotes => Value::Quoted(Place::of(text.quoted, rows)?),
        Literal::Text(text) => Value::Text(Place::of(text.quoted, rows)?),
        Literal::Blob(digits) => Value::Blob(Place::of(digits, rows)?),
    })
}

/// A whole number; none where SQLite makes a floating-point number of it.
fn whole(number: &Number<'_>) -> Option<i64> {
    if number.text.len() < 19 {
        let value = value_of(number.text).cast_signed();
        return Some(if number.is_negative { -value } else { value });
    }
    // Negative, because there is one more of those.
    let mut value = 0_i64;
    for byte in number.text {
        value = value.checked_mul(10)?.checked_sub(i64::from(byte - b'0'))?;
    }
    if number.is_negative { Some(value) } else { value.checked_neg() }
}

/// A number with a point or an exponent; none where SQLite may not round it to the nearest.
fn real(number: &Number<'_>) -> Option<f64> {
    let [whole, fraction, power] = parts(number.text);
    let places = fraction.len();
    // Zeros before all others are no digits that count.
    let mut digits = whole.len() + places;
    if digits > MAX_DIGITS {
        let zeros = whole.iter().chain(fraction).take_while(|digit| **digit == b'0').count();
        digits -= zeros;
    }
    let shift = exponent(power)? - i64::try_from(places).ok()?;
    let scale = TENS.get(places);
    let mantissa = match scale {
        _ if digits > MAX_DIGITS => return None,
        // Powers of ten up to this one are whole numbers, too.
        Some(scale) => value_of(whole) * (*scale as u64) + value_of(fraction),
        None => value_of(fraction),
    };
    if scale.is_none() && value_of(whole) > 0 {
        return None;
    }
    let tens = TENS.get(usize::try_from(shift.unsigned_abs()).ok()?)?;
    // Exact: at most 15 digits are below 2^53.
    let mantissa = mantissa as f64;
    let value = if shift < 0 { mantissa / tens } else { mantissa * tens };
    Some(if number.is_negative { -value } else { value })
}

/// The digits before the point, those behind it, and the exponent.
#[inline]
fn parts(number: &[u8]) -> [&[u8]; 3] {
    let (whole, rest) = number.split_at(digits(number));
    let rest = rest.strip_prefix(b".").unwrap_or(rest);
    let (fraction, rest) = rest.split_at(digits(rest));
    [whole, fraction, rest.get(1..).unwrap_or_default()]
}

fn exponent(digits: &[u8]) -> Option<i64> {
    if digits.is_empty() {
        return Some(0);
    }
    let is_short = digits.len() <= 4;
    std::str::from_utf8(digits).ok().filter(|_| is_short)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(into: &str, rows: &str, tail: &str) -> Option<Plan> {
        let (prefix, tail) = (format!("{into} VALUES "), format!(" {tail}"));
        let at = InsertRows {
            statement: 0,
            prefix: prefix.len() as u32,
            tail: if tail == " " { 0 } else { tail.len() as u32 },
        };
        Plan::of(format!("{prefix}{}{tail};", rows.trim_end()).as_bytes(), &at)
    }

    fn long(rows: &str) -> String {
        let (first, rest) = rows.split_at(1);
        format!("{first}{}{rest}", " ".repeat(MIN_BYTES))
    }

    #[test]
    fn the_statement_selects_what_values_had() {
        let rows = long("(1,'a'),(-2,NULL)");
        let planned = plan("INSERT INTO t (a, b)", &rows, "ON CONFLICT DO NOTHING").unwrap();
        let sql = "INSERT INTO t (a, b) SELECT c0,c1 FROM sql_batcher_rows() WHERE true \
                   ON CONFLICT DO NOTHING";
        assert_eq!(planned.sql, sql.as_bytes());
        assert_eq!(planned.columns, 2);
    }

    #[test]
    fn what_is_not_certain_is_left_as_it_is() {
        let ones = long("(1),(2)");
        assert!(plan("INSERT INTO t", "(1),(2)", "").is_none());
        assert!(plan("REPLACE INTO t", &ones, "").is_some());
        assert!(plan("WITH x AS (SELECT 1) INSERT INTO t", &ones, "").is_none());
        for tail in ["RETURNING a", "UNION SELECT 3", "LIMIT 1", ", (3)"] {
            assert!(plan("INSERT INTO t", &ones, tail).is_none(), "{tail}");
        }
        for rows in [
            "(1)",
            "(1),(2,3)",
            "(1),(9223372036854775808)",
            "(1),(0.1234567890123456)",
            "(1),(1e16)",
            "(1),(1e-16)",
            "(1),(1e99999)",
            "(1),(0x1F)",
            "(1),(current_time)",
        ] {
            assert!(plan("INSERT INTO t", &long(rows), "").is_none(), "{rows}");
        }
    }

    #[test]
    fn numbers_have_the_value_that_sqlite_gives_them() {
        for (text, expected) in [
            ("9223372036854775807", Some(Value::Integer(i64::MAX))),
            ("-9223372036854775808", Some(Value::Integer(i64::MIN))),
            ("9223372036854775808", None),
            ("0000000000000000000000001", Some(Value::Integer(1))),
            ("-42", Some(Value::Integer(-42))),
            ("-1.5", Some(Value::Real(-1.5))),
            ("5.", Some(Value::Real(5.0))),
            (".5e1", Some(Value::Real(5.0))),
            ("0.1", Some(Value::Real(0.1))),
            ("000123456.789012345", Some(Value::Real(123_456.789_012_345))),
            ("1.5e-14", Some(Value::Real(1.5e-14))),
            ("1e15", Some(Value::Real(1e15))),
            ("0.0000000000000001", None),
            ("1e+00015", None),
        ] {
            let rows = format!("({text}),({text})");
            let read = read(rows.as_bytes()).map(|(values, _)| values[0]);
            assert_eq!(read, expected, "{text}");
        }
        let Some((values, 1)) = read(b"(-0.0),(0)") else { panic!("they are numbers") };
        let Value::Real(zero) = values[0] else { panic!("it has a point") };
        assert!(zero.is_sign_negative());
    }
}
