//! What PostgreSQL says when something goes wrong.

use sqlx::{
    Error,
    postgres::{PgDatabaseError, PgErrorPosition, PgSeverity},
};

use crate::{
    Fault, Problem,
    connect::{io_passes, io_words},
    failure::{Said, causes},
    values::{Quotes, quoted},
};

/// What a SQLSTATE or its class means to a batcher; the longest that fits counts
/// (<https://www.postgresql.org/docs/current/errcodes-appendix.html>).
const FAULTS: &[(&str, Fault)] = &[
    ("08", Fault::Connection),
    ("25P03", Fault::Timeout), // idle_in_transaction_session_timeout
    ("25P04", Fault::Timeout), // transaction_timeout
    ("28", Fault::Authentication),
    ("40", Fault::Conflict),      // serialization_failure, deadlock_detected
    ("53", Fault::Resources),     // disk_full, out_of_memory, too_many_connections
    ("55000", Fault::Conflict),   // object_not_in_prerequisite_state
    ("55006", Fault::Conflict),   // object_in_use
    ("55P03", Fault::Conflict),   // lock_not_available
    ("57014", Fault::Cancelled),  // query_canceled; the time limit of a statement, see below
    ("57P01", Fault::Connection), // admin_shutdown
    ("57P02", Fault::Connection), // crash_shutdown
    ("57P03", Fault::Connection), // cannot_connect_now
    ("57P04", Fault::Connection), // database_dropped
    ("57P05", Fault::Timeout),    // idle_session_timeout
    ("58000", Fault::Resources),  // system_error
    ("58030", Fault::Resources),  // io_error
];

/// SQLSTATEs after which the same may succeed a moment later: those that Npgsql calls transient
/// (`PostgresException.IsTransient`, <https://www.npgsql.org/doc/api/Npgsql.PostgresException.html>)
/// without `08007`, whose outcome is unknown.
const TRANSIENT: &[&str] = &[
    "08000", // connection_exception
    "08001", // sqlclient_unable_to_establish_sqlconnection
    "08003", // connection_does_not_exist
    "08004", // sqlserver_rejected_establishment_of_sqlconnection
    "08006", // connection_failure
    "40001", // serialization_failure
    "40P01", // deadlock_detected
    "53000", // insufficient_resources
    "53100", // disk_full
    "53200", // out_of_memory
    "53300", // too_many_connections
    "53400", // configuration_limit_exceeded
    "55000", // object_not_in_prerequisite_state
    "55006", // object_in_use
    "55P03", // lock_not_available
    "57P01", // admin_shutdown
    "57P02", // crash_shutdown
    "57P03", // cannot_connect_now
    "57P05", // idle_session_timeout
    "58000", // system_error
    "58030", // io_error
];

/// Classes of SQLSTATEs whose messages quote names only: connections, features, transactions,
/// constraints, cursors, access rules, resources, the state of things, operators
/// (<https://www.postgresql.org/docs/current/errcodes-appendix.html>).
const NAMES_ONLY: &[&str] = &[
    "08", "0A", "23", "25", "28", "2B", "34", "3B", "3D", "3F", "40", "42", "53", "54", "55", "57",
    "58",
];

/// The function of the server that speaks with the words of a `RAISE`.
const RAISES: &str = "exec_stmt_raise";

/// Answers that sqlx does not expect, as its error names them.
const COPY_IN: &str = "CopyInResponse";
const COPY_OUT: &str = "CopyOutResponse";

/// The code of a statement in an aborted transaction.
pub(super) const IN_FAILED_TRANSACTION: &str = "25P02";

/// An error, in a batcher's terms.
pub(super) fn classify(error: &Error) -> Said {
    let transient = is_transient(error);
    match error {
        Error::Database(_) => match server_error(error) {
            Some(server) => Said {
                fault: fault_of(server.code(), server.message()),
                code: Some(server.code().to_owned()),
                message: server.message().to_owned(),
                quoted: quoted(server.message(), quotes_of(server.code(), server.routine())),
                transient,
            },
            None => Said::lasting(Fault::Statement, error.to_string()),
        },
        Error::Io(io) => Said { transient, ..Said::lasting(Fault::Connection, io_words(io)) },
        Error::Protocol(said) if said.contains(COPY_IN) || said.contains(COPY_OUT) => {
            let said = "the statement copies from or to the client, and is not sent as such";
            Said::lasting(Fault::Unsupported, said)
        }
        Error::Configuration(inner) => Said::lasting(Fault::Options, inner.to_string()),
        _ => Said { transient, ..Said::lasting(Fault::Connection, error.to_string()) },
    }
}

/// Whether the same may succeed a moment later, by the first error of the chain of causes that is
/// in the table.
fn is_transient(error: &Error) -> bool {
    causes(error).any(|cause| match cause.downcast_ref::<Error>() {
        Some(Error::Io(io)) => io_passes(io),
        Some(error) => server_error(error).is_some_and(|server| passes(server.code())),
        None => match cause.downcast_ref::<PgDatabaseError>() {
            Some(server) => passes(server.code()),
            None => false,
        },
    })
}

fn passes(code: &str) -> bool {
    TRANSIENT.contains(&code)
}

/// As [`classify`], for an error before there is a session.
pub(super) fn classify_connect(error: &Error) -> Said {
    let said = classify(error);
    match said.code.as_deref() {
        // The database does not exist; a value of a setting is refused.
        Some("3D000" | "22023") => Said { fault: Fault::Options, ..said },
        _ => said,
    }
}

/// What the message of a code quotes: what is not known to be a name counts as a value.
fn quotes_of(code: &str, routine: Option<&str>) -> Quotes {
    // External routines speak with their own words, too.
    if routine == Some(RAISES) || code.starts_with("38") || code == "P0004" {
        return Quotes::Whole;
    }
    // syntax_error
    if code == "42601" || !NAMES_ONLY.iter().any(|class| code.starts_with(class)) {
        return Quotes::Marked;
    }
    Quotes::Names
}

fn fault_of(code: &str, message: &str) -> Fault {
    // One code for two things; only the words differ.
    if code == "57014" && message.contains("timeout") {
        return Fault::Timeout;
    }
    FAULTS
        .iter()
        .filter(|(prefix, _)| code.starts_with(prefix))
        .max_by_key(|(prefix, _)| prefix.len())
        .map_or(Fault::Statement, |(_, fault)| *fault)
}

/// The server's own error, where it is one.
pub(super) fn server_error(error: &Error) -> Option<&PgDatabaseError> {
    error.as_database_error()?.try_downcast_ref::<PgDatabaseError>()
}

/// Whether the session is of no use after this.
pub(super) fn is_lost(error: &Error) -> bool {
    match server_error(error) {
        Some(server) => is_fatal(server),
        None => true,
    }
}

/// Whether a request may have been applied although it ended with this error.
///
/// An answer of the server stands before the completion of the last statement, and that is sent
/// after the commit (`exec_simple_query`): so it says that nothing was applied. But not all that
/// looks like the server's is its own: a pooler in between says that it lost the server with a
/// fatal error of class 08. And two codes say themselves that the outcome is unknown.
pub(super) fn is_unknown(error: &Error) -> bool {
    match server_error(error) {
        Some(server) => {
            matches!(server.code(), "08007" | "40003")
                || (is_fatal(server) && server.code().starts_with("08"))
        }
        // The server waits for data, and takes everything back when the connection ends.
        None => !matches!(error, Error::Protocol(said) if said.contains(COPY_IN)),
    }
}

fn is_fatal(server: &PgDatabaseError) -> bool {
    matches!(server.severity(), PgSeverity::Fatal | PgSeverity::Panic)
}

/// The problem of an error. `sent` is the text that its position counts in.
pub(super) fn problem(error: Error, sent: &str) -> Problem {
    let Said { fault, code, message, quoted, transient } = classify(&error);
    let offset = server_error(&error).and_then(|server| match server.position() {
        Some(PgErrorPosition::Original(position)) => byte_offset(sent, position),
        _ => None,
    });
    Problem {
        fault,
        message,
        quoted,
        code,
        statement: None,
        offset,
        kept: 0,
        outcome_unknown: is_unknown(&error),
        transient,
        source: Some(Box::new(error)),
    }
}

/// From a position in characters, the first being 1, to bytes before it.
fn byte_offset(text: &str, position: usize) -> Option<u32> {
    let before = position.checked_sub(1)?;
    let offset = match text.char_indices().nth(before) {
        Some((offset, _)) => offset,
        None => text.len(),
    };
    u32::try_from(offset).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_in_characters_becomes_an_offset_in_bytes() {
        assert_eq!(byte_offset("äöü x", 5), Some(7));
        assert_eq!(byte_offset("abc", 1), Some(0));
        assert_eq!(byte_offset("abc", 4), Some(3));
        assert_eq!(byte_offset("abc", 0), None);
    }

    #[test]
    fn a_lost_connection_leaves_the_outcome_unknown() {
        let error = Error::Io(std::io::ErrorKind::UnexpectedEof.into());
        assert!(is_lost(&error));
        let problem = problem(error, "");
        assert!(problem.outcome_unknown);
        assert_eq!(problem.fault, Fault::Connection);
        assert_eq!(problem.message, "the server closed the connection");
        assert!(problem.transient);
    }

    #[test]
    fn what_may_pass_is_found_behind_other_errors() {
        for (kind, expected) in [
            (std::io::ErrorKind::ConnectionReset, true),
            (std::io::ErrorKind::PermissionDenied, false),
        ] {
            let cause = Error::Configuration(Box::new(Error::Io(kind.into())));
            let error = Error::AnyDriverError(Box::new(cause));
            assert_eq!(classify(&error).transient, expected, "{error:?}");
        }
    }

    #[test]
    fn a_message_shows_names_and_no_values() {
        for (code, routine, message, shown) in [
            ("22P02", None, "syntax for type integer: \"s\"", "syntax for type integer: \"…\""),
            ("42601", None, "syntax error at or near \"s\"", "syntax error at or near \"…\""),
            ("23505", None, "violates \"t_pkey\"", "violates \"t_pkey\""),
            ("42P01", None, "relation \"t\" does not exist", "relation \"t\" does not exist"),
            ("23505", Some(RAISES), "s", "the words of the error are not shown"),
        ] {
            let quoted = quoted(message, quotes_of(code, routine));
            let said = Problem { quoted, ..Problem::new(Fault::Statement, message) };
            assert_eq!(said.without_values().message, shown, "{code}");
        }
    }

    #[test]
    fn every_transient_code_is_a_fault_of_the_server_and_stands_once() {
        for (at, code) in TRANSIENT.iter().enumerate() {
            assert!(TRANSIENT[at + 1..].iter().all(|other| other > code), "{code}");
            let fault = fault_of(code, "");
            let passing = [Fault::Connection, Fault::Timeout, Fault::Resources, Fault::Conflict];
            assert!(passing.contains(&fault), "{code} is a fault of kind {fault:?}");
        }
    }

    #[test]
    fn no_code_is_transient_for_its_class() {
        for (prefix, _) in FAULTS {
            assert!(passes(prefix) == TRANSIENT.contains(prefix), "{prefix}");
        }
        // Constraints, syntax, permission, a cancel, an aborted transaction, an unknown outcome,
        // a password, a database that was dropped, a rollback that another attempt would repeat.
        for code in [
            "23502", "23503", "23505", "23514", "23P01", "42601", "42501", "42P01", "57014",
            "25P02", "25006", "08007", "08P01", "28P01", "3D000", "57P04", "40002", "40003",
            "53301", "",
        ] {
            assert!(!passes(code), "{code}");
        }
    }
}
