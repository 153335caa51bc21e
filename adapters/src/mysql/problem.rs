//! What MySQL and MariaDB say when something goes wrong.

use std::ops::RangeInclusive;

use sqlx::{Error, mysql::MySqlDatabaseError};

use crate::{Fault, Problem, connect::io_words};

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
    (1698, Fault::Authentication), // ER_ACCESS_DENIED_NO_PASSWORD_ERROR
    (1927, Fault::Connection), // ER_CONNECTION_KILLED
    (1969, Fault::Timeout),  // ER_STATEMENT_TIMEOUT of MariaDB
    (2006, Fault::Connection), // CR_SERVER_GONE_ERROR
    (2013, Fault::Connection), // CR_SERVER_LOST
    (3024, Fault::Timeout),  // ER_QUERY_TIMEOUT of MySQL
    (4031, Fault::Connection), // ER_CLIENT_INTERACTION_TIMEOUT of MySQL
];

/// Numbers of the client's side; a proxy sends them when it has lost the server.
const SAYS_NOTHING: RangeInclusive<u16> = 2000..=2999;

/// Errors of `COMMIT` itself that say that the transaction was rolled back.
const ROLLED_BACK: &[u16] = &[1205, 1213];

/// An error, in a batcher's terms.
pub(super) fn classify(error: &Error) -> (Fault, Option<String>, String) {
    match error {
        Error::Database(_) => match server_error(error) {
            Some(server) => {
                let number = server.number();
                (fault_of(number), Some(number.to_string()), server.message().to_owned())
            }
            None => (Fault::Statement, None, error.to_string()),
        },
        Error::Io(io) => (Fault::Connection, None, io_words(io)),
        Error::Configuration(inner) => (Fault::Options, None, inner.to_string()),
        _ => (Fault::Connection, None, error.to_string()),
    }
}

/// As [`classify`], for an error before there is a session.
pub(super) fn classify_connect(error: &Error) -> (Fault, Option<String>, String) {
    let (fault, code, message) = classify(error);
    match code.as_deref() {
        // ER_BAD_DB_ERROR, ER_UNKNOWN_TIME_ZONE, ER_UNKNOWN_CHARACTER_SET
        Some("1049" | "1298" | "1115") => (Fault::Options, code, message),
        _ => (fault, code, message),
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

/// Whether an error of `COMMIT` leaves open if it was done.
pub(super) fn commit_is_unknown(error: &Error) -> bool {
    server_error(error).is_none_or(|server| !ROLLED_BACK.contains(&server.number()))
}

/// The problem of an error. An answer of the server says that the statement was not applied, and
/// that nothing after it was run; a lost connection says nothing.
pub(super) fn problem(error: Error) -> Problem {
    let (fault, code, message) = classify(&error);
    let unknown = server_error(&error).is_none_or(|server| SAYS_NOTHING.contains(&server.number()));
    Problem {
        fault,
        message,
        code,
        statement: None,
        offset: None,
        kept: 0,
        outcome_unknown: unknown,
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
}
