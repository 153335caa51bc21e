//! What the adapters' own queries have in common: values as text, limits in milliseconds, and how
//! often to ask.

use std::time::Duration;

use sqlx::{ColumnIndex, Decode, Row};

use crate::Problem;

/// How long to wait before the server is asked once more whether a session has ended.
pub(crate) const POLL_EVERY: Duration = Duration::from_millis(20);

/// The values of rows that came as text.
pub(crate) fn texts<R>(rows: &[R]) -> Result<Vec<Vec<Option<String>>>, Problem>
where
    R: Row,
    usize: ColumnIndex<R>,
    for<'r> Option<String>: Decode<'r, R::Database>,
{
    let values = |row: &R| {
        (0..row.len())
            .map(|column| row.try_get_unchecked(column).map_err(Problem::not_text))
            .collect()
    };
    rows.iter().map(values).collect()
}

/// A limit in milliseconds: rounded up, at least 1 (0 would mean none), at most what the database
/// can hold.
pub(crate) fn limit_ms(limit: Duration, max_ms: u32) -> u32 {
    let limit_ms = limit.as_nanos().div_ceil(1_000_000).max(1);
    u32::try_from(limit_ms).map_or(max_ms, |limit_ms| limit_ms.min(max_ms))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_rounded_up_and_never_none() {
        for (limit, expected_ms) in [
            (Duration::ZERO, 1),
            (Duration::from_nanos(1), 1),
            (Duration::from_millis(1), 1),
            (Duration::from_micros(1001), 2),
            (Duration::from_millis(999), 999),
            (Duration::from_millis(1000), 1000),
            (Duration::from_millis(1001), 1000),
            (Duration::MAX, 1000),
        ] {
            assert_eq!(limit_ms(limit, 1000), expected_ms, "{limit:?}");
        }
    }
}
