//! Sizes (`64KiB`) and times (`30s`), as people write them. What range makes sense is not decided
//! here.

use std::{fmt, str::FromStr, time::Duration};

use serde::{Deserialize, Deserializer, de};

/// Digits after the decimal point; more would not change a size that anybody means.
const FRACTION_DIGITS: usize = 9;

/// A number of bytes: `64KiB`, `1.5MiB`, `1MB`, `1000000`. `KB`, `MB`, `GB` are powers of 1000;
/// `KiB`, `MiB`, `GiB` powers of 1024. Case does not matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ByteSize(pub(super) u64);

/// A length of time: `500ms`, `30s`, `1.5m`, `2h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TimeSpan(pub(super) Duration);

/// Text that is no size or no time; says what would be.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct Unreadable(String);

impl FromStr for ByteSize {
    type Err = Unreadable;

    fn from_str(text: &str) -> Result<Self, Unreadable> {
        let (number, unit) = split_unit(text);
        let bytes_per_unit: u128 = match unit.to_ascii_lowercase().as_str() {
            "" | "b" => 1,
            "kb" => 1000,
            "mb" => 1000 * 1000,
            "gb" => 1000 * 1000 * 1000,
            "kib" => 1 << 10,
            "mib" => 1 << 20,
            "gib" => 1 << 30,
            short @ ("k" | "m" | "g") => return Err(ambiguous(number, short)),
            _ => return Err(Unreadable("not a size such as 64KiB, 1MB or 1000000".into())),
        };
        let not_a_number = || Unreadable("not a size such as 64KiB, 1.5MB or 1000000".into());
        let bytes = times(number, bytes_per_unit).ok_or_else(not_a_number)?;
        let too_large = |_| Unreadable("larger than any size can be".into());
        u64::try_from(bytes).map(Self).map_err(too_large)
    }
}

fn ambiguous(number: &str, unit: &str) -> Unreadable {
    let unit = unit.to_ascii_uppercase();
    Unreadable(format!(
        "write {number}{unit}iB for powers of 1024, or {number}{unit}B for powers of 1000"
    ))
}

impl FromStr for TimeSpan {
    type Err = Unreadable;

    fn from_str(text: &str) -> Result<Self, Unreadable> {
        let (number, unit) = split_unit(text);
        let nanos_per_unit: u128 = match unit {
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" | "min" => 60 * 1_000_000_000,
            "h" => 3600 * 1_000_000_000,
            "" if times(number, 1).is_some() => {
                return Err(Unreadable(format!("needs a unit, such as {number}s or {number}ms")));
            }
            _ => return Err(Unreadable("not a time such as 500ms, 30s or 5m".into())),
        };
        let not_a_number = || Unreadable("not a time such as 500ms, 1.5s or 5m".into());
        let nanos = times(number, nanos_per_unit).ok_or_else(not_a_number)?;
        let too_long = |_| Unreadable("longer than any time can be".into());
        u64::try_from(nanos).map(|nanos| Self(Duration::from_nanos(nanos))).map_err(too_long)
    }
}

/// Cuts `1.5 MiB` into `1.5` and `MiB`.
fn split_unit(text: &str) -> (&str, &str) {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    (number, unit.trim_start())
}

/// A decimal number times a whole one, rounded down.
fn times(number: &str, factor: u128) -> Option<u128> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let fraction = fraction.get(..FRACTION_DIGITS).unwrap_or(fraction);
    let scale = 10_u128.pow(u32::try_from(fraction.len()).ok()?);
    let whole = u128::from(whole.parse::<u64>().ok()?);
    let fraction = u128::from(fraction.parse::<u64>().ok()?);
    Some(whole * factor + fraction * factor / scale)
}

impl<'de> Deserialize<'de> for ByteSize {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SizeVisitor)
    }
}

struct SizeVisitor;

impl de::Visitor<'_> for SizeVisitor {
    type Value = ByteSize;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a size such as \"64KiB\", \"1MB\" or 1000000")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<ByteSize, E> {
        text.parse().map_err(|why| E::custom(format_args!("{text:?}: {why}")))
    }

    fn visit_i64<E: de::Error>(self, bytes: i64) -> Result<ByteSize, E> {
        let negative = |_| E::invalid_value(de::Unexpected::Signed(bytes), &self);
        u64::try_from(bytes).map(ByteSize).map_err(negative)
    }

    fn visit_u64<E: de::Error>(self, bytes: u64) -> Result<ByteSize, E> {
        Ok(ByteSize(bytes))
    }
}

impl<'de> Deserialize<'de> for TimeSpan {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TimeVisitor)
    }
}

struct TimeVisitor;

impl de::Visitor<'_> for TimeVisitor {
    type Value = TimeSpan;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a time such as \"500ms\", \"30s\" or \"5m\"")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<TimeSpan, E> {
        text.parse().map_err(|why| E::custom(format_args!("{text:?}: {why}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(text: &str) -> u64 {
        text.parse::<ByteSize>().unwrap_or_else(|why| panic!("{text}: {why}")).0
    }

    fn refused<T: FromStr<Err = Unreadable> + fmt::Debug>(text: &str) -> String {
        text.parse::<T>().unwrap_err().to_string()
    }

    #[test]
    fn sizes_are_bytes_or_have_a_unit() {
        for (text, expected) in [
            ("0", 0),
            ("1000000", 1_000_000),
            ("7B", 7),
            ("1KB", 1000),
            ("1KiB", 1024),
            ("64kib", 65_536),
            ("1 MB", 1_000_000),
            (" 1.5MiB ", 1_572_864),
            ("0.1KiB", 102),
            ("2GB", 2_000_000_000),
            ("1GiB", 1 << 30),
            ("0.1234567899999KB", 123),
            ("18446744073709551615", u64::MAX),
        ] {
            assert_eq!(bytes(text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_size_is_refused_with_what_would_be() {
        for text in ["", "MB", "x", "-1", "1.2.3MB", ".5MB", "1.", "1e6", "1TB", "１"] {
            assert!(refused::<ByteSize>(text).starts_with("not a size such as"), "{text}");
        }
        assert_eq!(
            refused::<ByteSize>("64k"),
            "write 64KiB for powers of 1024, or 64KB for powers of 1000"
        );
        assert_eq!(refused::<ByteSize>("18446744073709551615KB"), "larger than any size can be");
    }

    #[test]
    fn times_have_a_unit() {
        for (text, expected) in [
            ("500ms", Duration::from_millis(500)),
            ("30s", Duration::from_secs(30)),
            ("1.5s", Duration::from_millis(1500)),
            ("5m", Duration::from_secs(300)),
            ("5 min", Duration::from_secs(300)),
            ("2h", Duration::from_secs(7200)),
        ] {
            assert_eq!(text.parse(), Ok(TimeSpan(expected)), "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_refused_with_what_would_be() {
        for text in ["", "s", "30 seconds", "-1s", "1M", "."] {
            assert!(refused::<TimeSpan>(text).starts_with("not a time such as"), "{text}");
        }
        assert_eq!(refused::<TimeSpan>("30"), "needs a unit, such as 30s or 30ms");
        assert_eq!(refused::<TimeSpan>("99999999999h"), "longer than any time can be");
    }
}
