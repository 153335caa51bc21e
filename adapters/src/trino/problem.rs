//! What Trino says when something goes wrong
//! (<https://github.com/trinodb/trino/blob/476/core/trino-spi/src/main/java/io/trino/spi/StandardErrorCode.java>).

use crate::{
    Fault, Problem,
    values::{Quotes, quoted},
};

use super::results::{FailureInfo, Location, QueryError, Stats};

/// Names that mean something else to a batcher than their type says.
const FAULTS: &[(&str, Fault)] = &[
    ("ABANDONED_QUERY", Fault::Timeout),
    ("ABANDONED_TASK", Fault::Timeout),
    ("ADMINISTRATIVELY_KILLED", Fault::Cancelled),
    ("ADMINISTRATIVELY_PREEMPTED", Fault::Cancelled),
    ("EXCEEDED_CPU_LIMIT", Fault::Timeout),
    ("EXCEEDED_TIME_LIMIT", Fault::Timeout),
    ("TRANSACTION_CONFLICT", Fault::Conflict),
    ("USER_CANCELED", Fault::Cancelled),
];

/// Names whose messages have names of things only, and no values.
const NAMES_ONLY: &[&str] = &[
    "ADMINISTRATIVELY_KILLED",
    "CATALOG_NOT_FOUND",
    "COLUMN_NOT_FOUND",
    "DUPLICATE_COLUMN_NAME",
    "EXCEEDED_TIME_LIMIT",
    "FUNCTION_NOT_FOUND",
    "MISSING_CATALOG_NAME",
    "MISSING_SCHEMA_NAME",
    "NOT_SUPPORTED",
    "PERMISSION_DENIED",
    "QUERY_TEXT_TOO_LARGE",
    "SCHEMA_ALREADY_EXISTS",
    "SCHEMA_NOT_FOUND",
    "TABLE_ALREADY_EXISTS",
    "TABLE_NOT_FOUND",
    "TYPE_MISMATCH",
    "USER_CANCELED",
];

/// Words by which the database behind a connector says that it is the statement that it refuses.
const REFUSALS: &[&str] =
    &["violates ", "constraint", "duplicate", "cannot be null", "out of range", "too long"];

/// Exceptions by which a connector says that it has lost its database.
const LOST: &[&str] = &[
    "java.io.",
    "java.net.",
    "java.nio.",
    "javax.net.",
    "java.sql.SQLNonTransientConnectionException",
    "java.sql.SQLTransientConnectionException",
    "java.sql.SQLRecoverableException",
];

/// The problem of a statement that failed.
pub(super) fn problem(error: QueryError, sql: &str, stats: &Stats) -> Problem {
    let QueryError { message, error_name, error_type, error_location, failure_info } = error;
    let failure = failure_info.unwrap_or_default();
    let message = message.unwrap_or_else(|| error_name.clone());
    let message = without_place(&message, error_location);
    let kind = kind_of(&error_name, &error_type, &failure);
    let lost_below = kind == Kind::External && has_lost(&failure) && stats.scheduled;
    Problem {
        quoted: quoted(message, quotes_of(&error_name, kind)),
        code: Some(error_name),
        offset: error_location.and_then(|location| offset_of(sql, location)),
        // What was under way there may have been done.
        outcome_unknown: lost_below,
        transient: kind.passes(),
        ..Problem::new(kind.fault(), message)
    }
}

/// It was cancelled before it could run.
pub(super) fn cancelled_before() -> Problem {
    Problem::new(Fault::Cancelled, "the statement was cancelled before it ran")
}

/// What is to blame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// The statement, or whoever wanted it to end.
    Named(Fault),
    /// The cluster, for now.
    Internal,
    /// What the cluster has, for now.
    Resources,
    /// What is behind a connector.
    External,
}

impl Kind {
    fn fault(self) -> Fault {
        match self {
            Self::Named(fault) => fault,
            Self::Internal | Self::Resources => Fault::Resources,
            Self::External => Fault::Statement,
        }
    }

    /// By the types of errors: those that are not the user's may pass.
    fn passes(self) -> bool {
        match self {
            Self::Named(fault) => fault == Fault::Conflict,
            Self::Internal | Self::Resources | Self::External => true,
        }
    }
}

fn kind_of(name: &str, error_type: &str, failure: &FailureInfo) -> Kind {
    if let Some((_, fault)) = FAULTS.iter().find(|(known, _)| *known == name) {
        return Kind::Named(*fault);
    }
    match error_type {
        "INTERNAL_ERROR" => Kind::Internal,
        "INSUFFICIENT_RESOURCES" => Kind::Resources,
        "EXTERNAL" if is_refusal(failure) => Kind::Named(Fault::Statement),
        "EXTERNAL" => Kind::External,
        _ => Kind::Named(Fault::Statement),
    }
}

/// Whether the database behind the connector refuses the statement for what it is.
fn is_refusal(failure: &FailureInfo) -> bool {
    let says = |failure: &FailureInfo| {
        let message = failure.message.as_deref().unwrap_or_default().to_lowercase();
        REFUSALS.iter().any(|word| message.contains(word))
    };
    failure.chain().any(says)
}

fn has_lost(failure: &FailureInfo) -> bool {
    failure.chain().any(|cause| LOST.iter().any(|class| cause.class.starts_with(class)))
}

fn quotes_of(name: &str, kind: Kind) -> Quotes {
    match kind {
        _ if NAMES_ONLY.contains(&name) => Quotes::Names,
        // The words of another database, or of a bug.
        Kind::External | Kind::Internal => Quotes::Whole,
        Kind::Named(Fault::Statement) if name == "JDBC_ERROR" => Quotes::Whole,
        _ => Quotes::MarkedBefore(". Expecting: "),
    }
}

/// The message without the place at its beginning, which is given apart.
fn without_place(message: &str, location: Option<Location>) -> &str {
    let Some(Location { line_number, column_number }) = location else { return message };
    message.strip_prefix(&format!("line {line_number}:{column_number}: ")).unwrap_or(message)
}

/// Bytes of the statement before a place: lines end with line feeds, columns are characters.
fn offset_of(sql: &str, location: Location) -> Option<u32> {
    let mut rest = sql;
    for _ in 1..location.line_number {
        rest = rest.split_once('\n')?.1;
    }
    let line = rest.split('\n').next().unwrap_or_default();
    let column = usize::try_from(location.column_number.checked_sub(1)?).ok()?;
    let mut ends = line.char_indices().map(|(at, _)| at).chain([line.len()]);
    let at = ends.nth(column)?;
    u32::try_from(sql.len() - rest.len() + at).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(name: &str, error_type: &str, message: &str) -> QueryError {
        QueryError {
            message: Some(message.to_owned()),
            error_name: name.to_owned(),
            error_type: error_type.to_owned(),
            ..QueryError::default()
        }
    }

    fn at(line_number: u32, column_number: u32) -> Location {
        Location { line_number, column_number }
    }

    #[test]
    fn a_place_is_found_by_lines_and_characters() {
        let sql = "SELECT 'ä😀',\n  y\r\nFROM t";
        for (place, expected) in [
            (at(1, 1), Some(0)),
            (at(1, 10), Some(10)),
            (at(1, 12), Some(15)),
            (at(2, 3), Some(19)),
            (at(3, 1), Some(22)),
            (at(3, 7), Some(28)),
            (at(3, 8), None),
            (at(4, 1), None),
            (at(1, 0), None),
        ] {
            assert_eq!(offset_of(sql, place), expected, "{place:?}");
        }
    }

    #[test]
    fn only_what_is_not_the_users_may_pass() {
        for (name, error_type, fault, passes) in [
            ("SYNTAX_ERROR", "USER_ERROR", Fault::Statement, false),
            ("USER_CANCELED", "USER_ERROR", Fault::Cancelled, false),
            ("EXCEEDED_TIME_LIMIT", "INSUFFICIENT_RESOURCES", Fault::Timeout, false),
            ("QUERY_QUEUE_FULL", "INSUFFICIENT_RESOURCES", Fault::Resources, true),
            ("GENERIC_INTERNAL_ERROR", "INTERNAL_ERROR", Fault::Resources, true),
            ("TRANSACTION_CONFLICT", "USER_ERROR", Fault::Conflict, true),
            ("JDBC_ERROR", "EXTERNAL", Fault::Statement, true),
        ] {
            let problem = problem(error(name, error_type, "x"), "", &Stats::default());
            assert_eq!((problem.fault, problem.transient), (fault, passes), "{name}");
            assert_eq!(problem.code.as_deref(), Some(name));
            assert!(!problem.outcome_unknown);
        }
        assert!(FAULTS.is_sorted_by_key(|(name, _)| name) && NAMES_ONLY.is_sorted());
    }

    #[test]
    fn what_is_behind_a_connector_is_told_apart() {
        let with_cause = |class: &str, message: &str| QueryError {
            failure_info: Some(FailureInfo {
                cause: Some(Box::new(FailureInfo {
                    class: class.to_owned(),
                    message: Some(message.to_owned()),
                    cause: None,
                })),
                ..FailureInfo::default()
            }),
            ..error("JDBC_ERROR", "EXTERNAL", message)
        };
        let pg = "org.postgresql.util.PSQLException";
        for (class, message, scheduled, passes, unknown) in [
            (pg, "ERROR: duplicate key value violates \"k\"", true, false, false),
            (pg, "FATAL: sorry, too many clients already", true, true, false),
            ("java.net.SocketException", "Connection reset", true, true, true),
            ("java.net.ConnectException", "Connection refused", false, true, false),
        ] {
            let problem = problem(with_cause(class, message), "", &Stats { scheduled });
            assert_eq!(
                (problem.transient, problem.outcome_unknown),
                (passes, unknown),
                "{message}"
            );
            assert!(!problem.without_values().message.contains(message));
        }
    }

    #[test]
    fn a_message_shows_names_and_no_values_and_no_place_of_its_own() {
        for (name, message, shown) in [
            (
                "SYNTAX_ERROR",
                "line 1:8: mismatched input 's3c'. Expecting: ')', <EOF>",
                "mismatched input '…'. Expecting: ')', <EOF>",
            ),
            ("INVALID_CAST_ARGUMENT", "Cannot cast 's3c' to INT", "Cannot cast '…' to INT"),
            (
                "TABLE_NOT_FOUND",
                "line 1:8: Table 'a.b.c' does not exist",
                "Table 'a.b.c' does not exist",
            ),
        ] {
            let error =
                QueryError { error_location: Some(at(1, 8)), ..error(name, "USER_ERROR", message) };
            let problem = problem(error, "SELECT x", &Stats::default());
            assert_eq!(problem.offset, Some(7));
            assert_eq!(problem.without_values().message, shown);
        }
    }
}
