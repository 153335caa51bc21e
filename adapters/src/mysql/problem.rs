//! What MySQL and MariaDB say when something goes wrong.

use std::ops::RangeInclusive;

use sqlx::{Error, mysql::MySqlDatabaseError};

use crate::{
    Fault, Problem,
    connect::{io_passes, io_words},
    failure::{Said, causes},
    values::{Quotes, quoted},
};

/// What a number means to a batcher
/// (<https://dev.mysql.com/doc/mysql-errors/9.4/en/server-error-reference.html>,
/// <https://mariadb.com/kb/en/mariadb-error-code-reference/>).
const FAULTS: &[(u16, Fault)] = &[
    (1020, Fault::Conflict), // ER_CHECKREAD: the row has changed since it was read
    (1021, Fault::Resources), // ER_DISK_FULL
    (1037, Fault::Resources), // ER_OUTOFMEMORY
    (1038, Fault::Resources), // ER_OUT_OF_SORTMEMORY
    (1040, Fault::Resources), // ER_CON_COUNT_ERROR
    (1041, Fault::Resources), // ER_OUT_OF_RESOURCES
    (1044, Fault::Authentication), // ER_DBACCESS_DENIED_ERROR
    (1045, Fault::Authentication), // ER_ACCESS_DENIED_ERROR
    (1053, Fault::Connection), // ER_SERVER_SHUTDOWN
    (1114, Fault::Resources), // ER_RECORD_FILE_FULL
    (1152, Fault::Connection), // ER_ABORTING_CONNECTION
    (1153, Fault::Statement), // ER_NET_PACKET_TOO_LARGE
    (1158, Fault::Connection), // ER_NET_READ_ERROR
    (1159, Fault::Connection), // ER_NET_READ_INTERRUPTED
    (1160, Fault::Connection), // ER_NET_ERROR_ON_WRITE
    (1161, Fault::Connection), // ER_NET_WRITE_INTERRUPTED
    (1203, Fault::Resources), // ER_TOO_MANY_USER_CONNECTIONS
    (1205, Fault::Conflict), // ER_LOCK_WAIT_TIMEOUT
    (1213, Fault::Conflict), // ER_LOCK_DEADLOCK
    (1226, Fault::Resources), // ER_USER_LIMIT_REACHED
    (1317, Fault::Cancelled), // ER_QUERY_INTERRUPTED
    (1614, Fault::Conflict), // ER_XA_RBDEADLOCK
    (1637, Fault::Resources), // ER_TOO_MANY_CONCURRENT_TRXS
    (1698, Fault::Authentication), // ER_ACCESS_DENIED_NO_PASSWORD_ERROR
    (1927, Fault::Connection), // ER_CONNECTION_KILLED
    (1969, Fault::Timeout),  // ER_STATEMENT_TIMEOUT of MariaDB
    (2006, Fault::Connection), // CR_SERVER_GONE_ERROR
    (2013, Fault::Connection), // CR_SERVER_LOST
    (3024, Fault::Timeout),  // ER_QUERY_TIMEOUT of MySQL
    (3101, Fault::Conflict), // ER_TRANSACTION_ROLLBACK_DURING_COMMIT of MySQL's group replication
    (3572, Fault::Conflict), // ER_LOCK_NOWAIT of MySQL
    (4031, Fault::Connection), // ER_CLIENT_INTERACTION_TIMEOUT of MySQL
];

/// Numbers after which the same may succeed a moment later: what collides, what is full for now,
/// and what ends a connection (sources as above). Not those of time limits and cancels, which
/// somebody wanted, nor those of a full disk.
const TRANSIENT: &[u16] = &[
    1020, // ER_CHECKREAD
    1037, // ER_OUTOFMEMORY
    1040, // ER_CON_COUNT_ERROR
    1041, // ER_OUT_OF_RESOURCES
    1053, // ER_SERVER_SHUTDOWN
    1152, // ER_ABORTING_CONNECTION
    1158, // ER_NET_READ_ERROR
    1159, // ER_NET_READ_INTERRUPTED
    1160, // ER_NET_ERROR_ON_WRITE
    1161, // ER_NET_WRITE_INTERRUPTED
    1203, // ER_TOO_MANY_USER_CONNECTIONS
    1205, // ER_LOCK_WAIT_TIMEOUT
    1213, // ER_LOCK_DEADLOCK
    1226, // ER_USER_LIMIT_REACHED
    1614, // ER_XA_RBDEADLOCK
    1637, // ER_TOO_MANY_CONCURRENT_TRXS
    1927, // ER_CONNECTION_KILLED
    2006, // CR_SERVER_GONE_ERROR
    2013, // CR_SERVER_LOST
    3101, // ER_TRANSACTION_ROLLBACK_DURING_COMMIT
    3572, // ER_LOCK_NOWAIT
    4031, // ER_CLIENT_INTERACTION_TIMEOUT
];

/// Numbers whose messages quote names only (sources as above), besides those above that are not
/// about a statement.
const NAMES_ONLY: &[u16] = &[
    1007, // ER_DB_CREATE_EXISTS
    1008, // ER_DB_DROP_EXISTS
    1048, // ER_BAD_NULL_ERROR
    1049, // ER_BAD_DB_ERROR
    1050, // ER_TABLE_EXISTS_ERROR
    1051, // ER_BAD_TABLE_ERROR
    1054, // ER_BAD_FIELD_ERROR
    1060, // ER_DUP_FIELDNAME
    1061, // ER_DUP_KEYNAME
    1091, // ER_CANT_DROP_FIELD_OR_KEY
    1100, // ER_TABLE_NOT_LOCKED
    1109, // ER_UNKNOWN_TABLE
    1142, // ER_TABLEACCESS_DENIED_ERROR
    1143, // ER_COLUMNACCESS_DENIED_ERROR
    1146, // ER_NO_SUCH_TABLE
    1264, // ER_WARN_DATA_OUT_OF_RANGE
    1265, // WARN_DATA_TRUNCATED
    1305, // ER_SP_DOES_NOT_EXIST
    1364, // ER_NO_DEFAULT_FOR_FIELD
    1406, // ER_DATA_TOO_LONG
    1451, // ER_ROW_IS_REFERENCED_2
    1452, // ER_NO_REFERENCED_ROW_2
    3819, // ER_CHECK_CONSTRAINT_VIOLATED of MySQL
    4025, // ER_CONSTRAINT_FAILED of MariaDB
];

/// Numbers of the client's side; a proxy sends them when it has lost the server.
const SAYS_NOTHING: RangeInclusive<u16> = 2000..=2999;

/// Errors of `COMMIT` itself that say that the transaction was rolled back.
const ROLLED_BACK: &[u16] = &[1205, 1213];

/// An error, in a batcher's terms.
pub(super) fn classify(error: &Error) -> Said {
    let transient = is_transient(error);
    match error {
        Error::Database(_) => match server_error(error) {
            Some(server) => Said {
                fault: fault_of(server.number()),
                code: Some(server.number().to_string()),
                message: server.message().to_owned(),
                quoted: quoted(server.message(), quotes_of(server.number())),
                transient,
            },
            None => Said::lasting(Fault::Statement, error.to_string()),
        },
        Error::Io(io) => Said { transient, ..Said::lasting(Fault::Connection, io_words(io)) },
        Error::Configuration(inner) => Said::lasting(Fault::Options, inner.to_string()),
        _ => Said { transient, ..Said::lasting(Fault::Connection, error.to_string()) },
    }
}

/// Whether the same may succeed a moment later, by any error of the chain of causes that is in the
/// table.
fn is_transient(error: &Error) -> bool {
    causes(error).any(|cause| match cause.downcast_ref::<Error>() {
        Some(Error::Io(io)) => io_passes(io),
        Some(error) => server_error(error).is_some_and(|server| passes(server.number())),
        None => match cause.downcast_ref::<MySqlDatabaseError>() {
            Some(server) => passes(server.number()),
            None => false,
        },
    })
}

fn passes(number: u16) -> bool {
    TRANSIENT.contains(&number)
}

/// As [`classify`], for an error before there is a session.
pub(super) fn classify_connect(error: &Error) -> Said {
    let said = classify(error);
    match said.code.as_deref() {
        // ER_BAD_DB_ERROR, ER_UNKNOWN_TIME_ZONE, ER_UNKNOWN_CHARACTER_SET
        Some("1049" | "1298" | "1115") => Said { fault: Fault::Options, ..said },
        _ => said,
    }
}

/// What the message of a number quotes: what is not known to be a name counts as a value.
fn quotes_of(number: u16) -> Quotes {
    match number {
        1062 => Quotes::MarkedBefore(" for key "), // ER_DUP_ENTRY
        1644 => Quotes::Whole,                     // ER_SIGNAL_EXCEPTION
        _ if NAMES_ONLY.contains(&number) => Quotes::Names,
        _ if FAULTS.iter().any(|(known, _)| *known == number) => Quotes::Names,
        _ => Quotes::MarkedBefore(" for column "),
    }
}

fn fault_of(number: u16) -> Fault {
    FAULTS.iter().find(|(code, _)| *code == number).map_or(Fault::Statement, |(_, fault)| *fault)
}

/// The server's own error, where it is one.
fn server_error(error: &Error) -> Option<&MySqlDatabaseError> {
    error.as_database_error()?.try_downcast_ref::<MySqlDatabaseError>()
}

/// Whether the session is of no use after this.
pub(super) fn is_lost(error: &Error) -> bool {
    match server_error(error) {
        // After a packet that is too large the server closes the connection.
        Some(server) => server.number() == 1153 || fault_of(server.number()) == Fault::Connection,
        None => true,
    }
}

/// Whether there is no thread of that number (`ER_NO_SUCH_THREAD`).
pub(super) fn is_unknown_thread(error: &Error) -> bool {
    server_error(error).is_some_and(|server| server.number() == 1094)
}

/// Whether an error of `COMMIT` leaves open if it was done.
pub(super) fn commit_is_unknown(error: &Error) -> bool {
    server_error(error).is_none_or(|server| !ROLLED_BACK.contains(&server.number()))
}

/// The problem of an error. An answer of the server says that the statement was not applied, and
/// that nothing after it was run; a lost connection says nothing.
pub(super) fn problem(error: Error) -> Problem {
    let Said { fault, code, message, quoted, transient } = classify(&error);
    let unknown = server_error(&error).is_none_or(|server| SAYS_NOTHING.contains(&server.number()));
    Problem {
        fault,
        message,
        quoted,
        code,
        statement: None,
        offset: None,
        kept: 0,
        outcome_unknown: unknown,
        transient,
        source: Some(Box::new(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lost_connection_leaves_the_outcome_unknown() {
        let error = Error::Io(std::io::ErrorKind::UnexpectedEof.into());
        assert!(is_lost(&error) && commit_is_unknown(&error));
        let problem = problem(error);
        assert!(problem.outcome_unknown);
        assert_eq!(problem.fault, Fault::Connection);
    }

    #[test]
    fn each_number_stands_once() {
        for (at, (number, _)) in FAULTS.iter().enumerate() {
            assert!(FAULTS[at + 1..].iter().all(|(other, _)| other > number), "{number}");
        }
    }

    #[test]
    fn a_message_shows_names_and_no_values() {
        for (number, message, shown) in [
            (
                1062,
                "Duplicate entry 's' for key 'PRIMARY'",
                "Duplicate entry '…' for key 'PRIMARY'",
            ),
            (1064, "syntax; near 's' at line 1", "syntax; near '…' at line 1"),
            (1366, "value: 's' for column 'a' at row 1", "value: '…' for column 'a' at row 1"),
            (1690, "out of range in '(1 - `s`)'", "out of range in '…'"),
            (1146, "Table 'd.t' doesn't exist", "Table 'd.t' doesn't exist"),
            (1044, "Access denied for user 'u'", "Access denied for user 'u'"),
        ] {
            let quoted = quoted(message, quotes_of(number));
            let said = Problem { quoted, ..Problem::new(Fault::Statement, message) };
            assert_eq!(said.without_values().message, shown, "{number}");
        }
        assert!(NAMES_ONLY.is_sorted());
    }

    #[test]
    fn every_transient_number_is_a_fault_of_the_server_and_stands_once() {
        for (at, number) in TRANSIENT.iter().enumerate() {
            assert!(TRANSIENT[at + 1..].iter().all(|other| other > number), "{number}");
            let fault = fault_of(*number);
            let passing = [Fault::Connection, Fault::Resources, Fault::Conflict];
            assert!(passing.contains(&fault), "{number} is a fault of kind {fault:?}");
        }
    }

    #[test]
    fn what_somebody_wanted_or_what_stays_as_it_is_is_not_transient() {
        // Duplicate keys, NULLs, foreign keys, syntax, permission, a password, a full disk, a time
        // limit, a cancel, a packet too large, a server that is read-only.
        for number in [
            1062, 1048, 1451, 1452, 4025, 1064, 1142, 1044, 1045, 1021, 1114, 1969, 3024, 1317,
            1153, 1290, 1792, 0,
        ] {
            assert!(!passes(number), "{number}");
        }
        for (number, fault) in FAULTS {
            let never = matches!(
                fault,
                Fault::Authentication | Fault::Statement | Fault::Timeout | Fault::Cancelled
            );
            assert!(!(never && passes(*number)), "{number}");
        }
    }
}
