//! Rows of constants as the text format of `COPY` has them
//! (<https://www.postgresql.org/docs/current/sql-copy.html>), where that is certain to store the
//! same as `INSERT` does.
//!
//! `COPY` gives each text to the input function of the column's type. `INSERT` does so with a
//! constant in quotes; a number or a boolean has a type of its own there, and is cast. So quotes
//! are always the same, and for the others this table says when both ways meet:
//!
//! | column | number without point | with point or exponent | `TRUE`, `FALSE` |
//! |---|---|---|---|
//! | integers | its digits | no: `INSERT` rounds | no: `INSERT` refuses |
//! | `numeric` | its digits | as it is | no |
//! | `real`, `double precision` | as it is; no `-0`, which `INSERT` makes 0 | the same | no |
//! | texts | its digits without leading zeros | no: `1e3` is written `1000` | no |
//! | `boolean` | no: `INSERT` refuses | no | `t`, `f` |
//! | others | no: `INSERT` refuses most | no | no |

use crate::literals::{Literal, Number, Rows, Syntax, Text, eight, zeros};

/// The longest number, and the longest exponent of one, that are not left to the server: `numeric`
/// holds what is longer in some ways and not in others.
const MAX_NUMBER_BYTES: usize = 100;
const MAX_EXPONENT_DIGITS: usize = 2;

/// What a column takes beside NULL and texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Integer,
    Numeric,
    Float,
    Text,
    Boolean,
    Other,
}

/// The base types whose input functions are the whole of an assignment, by the numbers that they
/// have in every PostgreSQL (`src/include/catalog/pg_type.dat`).
const TYPES: &[(u32, Kind)] = &[
    (16, Kind::Boolean),
    (17, Kind::Other), // bytea
    (20, Kind::Integer),
    (21, Kind::Integer),
    (23, Kind::Integer),
    (25, Kind::Text),
    (114, Kind::Other), // json
    (650, Kind::Other), // cidr
    (700, Kind::Float),
    (701, Kind::Float),
    (774, Kind::Other),  // macaddr8
    (829, Kind::Other),  // macaddr
    (869, Kind::Other),  // inet
    (1042, Kind::Text),  // character
    (1043, Kind::Text),  // character varying
    (1082, Kind::Other), // date
    (1083, Kind::Other), // time
    (1114, Kind::Other), // timestamp
    (1184, Kind::Other), // timestamp with time zone
    (1266, Kind::Other), // time with time zone
    (1700, Kind::Numeric),
    (2950, Kind::Other), // uuid
    (3802, Kind::Other), // jsonb
];

/// The same where the column has no modifier: with one, `INSERT` casts and `COPY` does not.
const WITHOUT_MODIFIER: &[u32] = &[
    1186, // interval
    1000, 1001, 1005, 1007, 1009, 1015, 1016, 1021,
    1022, // arrays: boolean to double precision
    1115, 1182, 1185, 1231, 2951, 3807, 199, // arrays: timestamp to json
];

impl Kind {
    /// The kind of a column's type; none where the two ways may differ. An `enum` is read by its
    /// input function whatever it is called.
    pub(super) fn of(id: u32, modifier: i32, is_enum: bool) -> Option<Self> {
        if is_enum || (modifier == -1 && WITHOUT_MODIFIER.contains(&id)) {
            return Some(Self::Other);
        }
        TYPES.iter().find(|(known, _)| *known == id).map(|(_, kind)| *kind)
    }
}

/// All rows in the format of `COPY`; none where it is not certain that the result would be the
/// same.
pub(super) fn copied(rows: &[u8], kinds: &[Kind]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(rows.len());
    let mut rows = Rows::new(rows, Syntax::PostgreSql);
    loop {
        let read = rows.read(|column, literal| {
            value(&literal, *kinds.get(column)?, &mut out)?;
            out.push(b'\t');
            Some(())
        });
        let Some(count) = read.ok()? else { return Some(out) };
        if count != kinds.len() {
            return None;
        }
        *out.last_mut()? = b'\n';
    }
}

fn value(literal: &Literal<'_>, kind: Kind, out: &mut Vec<u8>) -> Option<()> {
    match literal {
        Literal::Null => out.extend_from_slice(b"\\N"),
        Literal::Text(text) => escaped(*text, out),
        Literal::Boolean(value) if kind == Kind::Boolean => {
            out.push(if *value { b't' } else { b'f' })
        }
        Literal::Number(read) => number(read, kind, out)?,
        Literal::Boolean(_) | Literal::Blob(_) => return None,
    }
    Some(())
}

fn number(number: &Number<'_>, kind: Kind, out: &mut Vec<u8>) -> Option<()> {
    let fits = match kind {
        Kind::Integer | Kind::Text => number.is_whole,
        Kind::Numeric | Kind::Float => true,
        Kind::Boolean | Kind::Other => false,
    };
    if !fits
        || number.text.len() > MAX_NUMBER_BYTES
        || exponent_digits(number) > MAX_EXPONENT_DIGITS
    {
        return None;
    }
    if number.is_negative && !number.is_zero {
        out.push(b'-');
    }
    out.extend_from_slice(number.without_leading_zeros());
    Some(())
}

fn exponent_digits(number: &Number<'_>) -> usize {
    let exponent = number.text.iter().position(|byte| matches!(byte, b'e' | b'E'));
    let digits = exponent.and_then(|at| number.text.get(at + 1..)).unwrap_or_default();
    digits.iter().filter(|byte| byte.is_ascii_digit()).count()
}

fn escaped(text: Text<'_>, out: &mut Vec<u8>) {
    if !text.has_quotes && !may_be_special(text.quoted) {
        return out.extend_from_slice(text.quoted);
    }
    for piece in text.pieces() {
        let mut rest = piece;
        while let Some(at) = rest.iter().position(|byte| is_special(*byte)) {
            let (plain, from) = rest.split_at(at);
            out.extend_from_slice(plain);
            let Some((special, behind)) = from.split_first() else { break };
            out.push(b'\\');
            out.push(match special {
                b'\t' => b't',
                b'\n' => b'n',
                b'\r' => b'r',
                other => *other,
            });
            rest = behind;
        }
        out.extend_from_slice(rest);
    }
}

/// Whether a text may hold what is special, by eight bytes at a time: control characters and
/// backslashes.
#[inline]
fn may_be_special(text: &[u8]) -> bool {
    let (words, rest) = text.as_chunks();
    let found = words.iter().fold(0, |found, word| {
        let word = u64::from_ne_bytes(*word);
        let control = word.wrapping_sub(eight(0x20)) & !word & eight(0x80);
        found | control | zeros(word ^ eight(b'\\'))
    });
    found != 0 || rest.iter().any(|byte| is_special(*byte))
}

/// Whether `COPY` reads more in it than itself.
fn is_special(byte: u8) -> bool {
    matches!(byte, b'\t' | b'\n' | b'\r' | b'\\')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(rows: &str, kinds: &[Kind]) -> Option<String> {
        copied(rows.as_bytes(), kinds).map(|bytes| String::from_utf8(bytes).unwrap())
    }

    #[test]
    fn rows_become_lines_and_values_are_escaped() {
        let kinds = [Kind::Integer, Kind::Text];
        let rows = "(1, 'a\tb\nc\rd\\N'), (-02, ''''),(NULL,''),(+3,'NULL')";
        let lines = "1\ta\\tb\\nc\\rd\\\\N\n-2\t'\n\\N\t\n3\tNULL\n";
        assert_eq!(text(rows, &kinds).as_deref(), Some(lines));
    }

    #[test]
    fn what_is_special_is_found_wherever_it_is() {
        for at in 0..20 {
            for special in ["\t", "\n", "\r", "\\"] {
                let plain = "a\u{e9}'[]~ ".repeat(4);
                let mut quoted: String = plain.chars().take(at).collect();
                quoted = quoted.replace('\'', "b");
                assert!(!may_be_special(quoted.as_bytes()), "{quoted}");
                quoted.push_str(special);
                quoted.push_str("0123456789");
                assert!(may_be_special(quoted.as_bytes()), "{quoted:?}");
            }
        }
    }

    #[test]
    fn each_kind_takes_what_both_ways_store_alike() {
        use Kind::{Boolean, Float, Integer, Numeric, Other, Text};
        for (literal, taken) in [
            ("007", &[(Integer, "7"), (Numeric, "7"), (Float, "7"), (Text, "7")][..]),
            ("-0", &[(Integer, "0"), (Numeric, "0"), (Float, "0"), (Text, "0")]),
            ("-1.50", &[(Numeric, "-1.50"), (Float, "-1.50")]),
            ("-0.0", &[(Numeric, "0.0"), (Float, "0.0")]),
            ("1e3", &[(Numeric, "1e3"), (Float, "1e3")]),
            ("1e300", &[]),
            ("true", &[(Boolean, "t")]),
            ("FALSE", &[(Boolean, "f")]),
            ("x'00'", &[]),
        ] {
            for kind in [Integer, Numeric, Float, Text, Boolean, Other] {
                let expected = taken.iter().find(|(takes, _)| *takes == kind);
                let expected = expected.map(|(_, copied)| format!("{copied}\n"));
                assert_eq!(text(&format!("({literal})"), &[kind]), expected, "{literal} {kind:?}");
            }
        }
    }

    #[test]
    fn rows_of_another_width_are_not_copied() {
        assert_eq!(text("(1,2),(3)", &[Kind::Integer, Kind::Integer]), None);
        assert_eq!(text("(1,2)", &[Kind::Integer]), None);
    }

    #[test]
    fn types_are_known_by_their_numbers() {
        assert_eq!(Kind::of(23, -1, false), Some(Kind::Integer));
        assert_eq!(Kind::of(1043, 14, false), Some(Kind::Text));
        assert_eq!(Kind::of(1186, -1, false), Some(Kind::Other));
        assert_eq!(Kind::of(1186, 3, false), None);
        assert_eq!(Kind::of(790, -1, false), None);
        assert_eq!(Kind::of(99_999, -1, true), Some(Kind::Other));
    }
}
