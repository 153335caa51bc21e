//! INSERTs of constants, without SQLite reading the constants as SQL: the rows are read here, and
//! SQLite fetches their values from a virtual table, `INSERT INTO t (a, b) SELECT … FROM rows`.
//!
//! That is one statement, as the one with `VALUES` is: the same constraints, triggers, affinities,
//! defaults and conflict clauses, the same error, whole or not at all, and the same `changes()`. Bound
//! values would be several statements instead, as their number is limited.

use std::ffi::CStr;

use crate::{
    insert::{Insert, holds},
    literals::{Literal, Number, Rows, Syntax},
};

/// What is not worth being prepared twice, in bytes of rows.
const MIN_BYTES: usize = 512;

/// The most digits of a number with a point that SQLite and Rust turn into the same floating-point
/// number for certain, and the most places by which its point may be moved. SQLite multiplies by
/// powers of ten with about 100 bits, and is not exact beyond.
const MAX_DIGITS: usize = 15;
const MAX_SHIFT: i64 = 15;

/// A number as SQLite stores it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Value {
    Integer(i64),
    Real(f64),
}

/// An INSERT that can be sent so.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Plan<'a> {
    pub(super) rows: &'a [u8],
    pub(super) columns: usize,
    /// What the virtual table is called.
    pub(super) source: &'static CStr,
    /// The statement that takes the place of the one with `VALUES`.
    pub(super) sql: Vec<u8>,
}

/// What the virtual table is called. The parentheses behind it keep the name apart from those of
/// tables, which cannot be called.
const SOURCE: &CStr = c"sql_batcher_rows";

impl<'a> Plan<'a> {
    /// Reads all rows; none where it is not certain that the result would be the same.
    pub(super) fn of(insert: Insert<'a>) -> Option<Self> {
        let Insert { into, rows, tail } = insert;
        if rows.len() < MIN_BYTES || !is_plain(into) || !is_known(tail) {
            return None;
        }
        let columns = width(rows)?;
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
        Some(Self { rows, columns, source: SOURCE, sql })
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

/// How many values each of the rows has, if they are as many and all of them understood.
fn width(rows: &[u8]) -> Option<usize> {
    let mut rows = Rows::new(rows, Syntax::Sqlite);
    let mut row = Vec::new();
    let mut columns = None;
    while rows.read(&mut row).ok()? {
        let is_stored = |literal: &Literal<'_>| match literal {
            Literal::Number(number) => is_certain(number),
            _ => true,
        };
        let expected = *columns.get_or_insert(row.len());
        if row.len() != expected || !row.iter().all(is_stored) {
            return None;
        }
    }
    columns
}

fn is_certain(number: &Number<'_>) -> bool {
    match number.is_whole {
        true => number.text.len() < 19 || whole(number).is_some(),
        false => is_exact(number.text),
    }
}

/// The value of a number that is certain.
pub(super) fn value(number: &Number<'_>) -> Option<Value> {
    if number.is_whole {
        return whole(number).map(Value::Integer);
    }
    let real: f64 = std::str::from_utf8(number.text).ok()?.parse().ok()?;
    Some(Value::Real(if number.is_negative { -real } else { real }))
}

/// A whole number; none where SQLite makes a floating-point number of it.
fn whole(number: &Number<'_>) -> Option<i64> {
    // Negative, because there is one more of those.
    let mut value = 0_i64;
    for byte in number.text {
        value = value.checked_mul(10)?.checked_sub(i64::from(byte - b'0'))?;
    }
    if number.is_negative { Some(value) } else { value.checked_neg() }
}

/// Whether SQLite and Rust are certain to agree about a number with a point or an exponent.
fn is_exact(text: &[u8]) -> bool {
    let exponent = text.iter().position(|byte| matches!(byte, b'e' | b'E'));
    let (mantissa, exponent) = text.split_at(exponent.unwrap_or(text.len()));
    let exponent: i64 = match exponent.get(1..).filter(|digits| !digits.is_empty()) {
        None => 0,
        Some(digits) if digits.len() > 4 => return false,
        Some(digits) => match std::str::from_utf8(digits).ok().and_then(|text| text.parse().ok()) {
            Some(exponent) => exponent,
            None => return false,
        },
    };
    let fraction = mantissa.iter().rev().position(|byte| *byte == b'.').unwrap_or(0);
    let digits = mantissa.iter().filter(|byte| **byte != b'.').skip_while(|byte| **byte == b'0');
    let shift = exponent - i64::try_from(fraction).unwrap_or(i64::MAX);
    digits.count() <= MAX_DIGITS && (-MAX_SHIFT..=MAX_SHIFT).contains(&shift)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan<'a>(into: &'a str, rows: &'a str, tail: &'a str) -> Option<Plan<'a>> {
        let (into, rows, tail) = (into.as_bytes(), rows.as_bytes(), tail.as_bytes());
        Plan::of(Insert { into, rows, tail })
    }

    fn long(rows: &str) -> String {
        format!("{rows}{}", " ".repeat(MIN_BYTES))
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
            "(1),(2,3)",
            "(9223372036854775808)",
            "(0.1234567890123456)",
            "(1e16)",
            "(1e-16)",
            "(1e99999)",
            "(0x1F)",
            "(1),(current_time)",
        ] {
            assert!(plan("INSERT INTO t", &long(rows), "").is_none(), "{rows}");
        }
    }

    #[test]
    fn numbers_have_the_value_that_sqlite_gives_them() {
        for (text, is_negative, expected) in [
            ("9223372036854775807", false, Some(Value::Integer(i64::MAX))),
            ("9223372036854775808", true, Some(Value::Integer(i64::MIN))),
            ("9223372036854775808", false, None),
            ("0000000000000000000000001", false, Some(Value::Integer(1))),
            ("1.5", true, Some(Value::Real(-1.5))),
            ("5.", false, Some(Value::Real(5.0))),
            (".5e1", false, Some(Value::Real(5.0))),
        ] {
            let is_whole = text.bytes().all(|byte| byte.is_ascii_digit());
            let number = Number { is_negative, text: text.as_bytes(), is_whole, is_zero: false };
            assert_eq!(value(&number), expected, "{text}");
            assert_eq!(is_certain(&number), expected.is_some(), "{text}");
        }
        let zero = Number { is_negative: true, text: b"0.0", is_whole: false, is_zero: true };
        let Some(Value::Real(zero)) = value(&zero) else { panic!("it is a number") };
        assert!(zero.is_sign_negative());
    }
}
