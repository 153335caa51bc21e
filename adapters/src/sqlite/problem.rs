//! What SQLite says when something goes wrong.

use std::{error::Error as StdError, fmt};

use libsqlite3_sys as ffi;
use sqlx::{Error, error::DatabaseError, sqlite::SqliteError};

use crate::{
    Fault, Problem,
    failure::Said,
    values::{Quotes, quoted},
};

use super::raw::Failure;

/// What a primary result code means to a batcher (<https://www.sqlite.org/rescode.html>).
const FAULTS: &[(i32, Fault)] = &[
    (ffi::SQLITE_BUSY, Fault::Conflict),
    (ffi::SQLITE_LOCKED, Fault::Conflict),
    (ffi::SQLITE_NOMEM, Fault::Resources),
    (ffi::SQLITE_INTERRUPT, Fault::Cancelled),
    (ffi::SQLITE_IOERR, Fault::Resources),
    (ffi::SQLITE_FULL, Fault::Resources),
    (ffi::SQLITE_CANTOPEN, Fault::Connection),
    (ffi::SQLITE_PROTOCOL, Fault::Conflict),
];

/// Primary result codes after which the same may succeed a moment later: another connection is in
/// the way (<https://www.sqlite.org/rescode.html>).
const TRANSIENT: &[i32] = &[ffi::SQLITE_BUSY, ffi::SQLITE_LOCKED, ffi::SQLITE_PROTOCOL];

/// Codes with their names.
macro_rules! named {
    ($($code:ident)*) => { &[$((ffi::$code, stringify!($code))),*] };
}

/// Names of result codes, extended ones included.
const NAMES: &[(i32, &str)] = named! {
    SQLITE_ERROR SQLITE_INTERNAL SQLITE_PERM SQLITE_ABORT SQLITE_BUSY SQLITE_LOCKED SQLITE_NOMEM
    SQLITE_READONLY SQLITE_INTERRUPT SQLITE_IOERR SQLITE_CORRUPT SQLITE_NOTFOUND SQLITE_FULL
    SQLITE_CANTOPEN SQLITE_PROTOCOL SQLITE_SCHEMA SQLITE_TOOBIG SQLITE_CONSTRAINT SQLITE_MISMATCH
    SQLITE_MISUSE SQLITE_NOLFS SQLITE_AUTH SQLITE_RANGE SQLITE_NOTADB
    SQLITE_ABORT_ROLLBACK SQLITE_BUSY_RECOVERY SQLITE_BUSY_SNAPSHOT SQLITE_BUSY_TIMEOUT
    SQLITE_LOCKED_SHAREDCACHE SQLITE_LOCKED_VTAB
    SQLITE_CONSTRAINT_CHECK SQLITE_CONSTRAINT_COMMITHOOK SQLITE_CONSTRAINT_DATATYPE
    SQLITE_CONSTRAINT_FOREIGNKEY SQLITE_CONSTRAINT_FUNCTION SQLITE_CONSTRAINT_NOTNULL
    SQLITE_CONSTRAINT_PINNED SQLITE_CONSTRAINT_PRIMARYKEY SQLITE_CONSTRAINT_ROWID
    SQLITE_CONSTRAINT_TRIGGER SQLITE_CONSTRAINT_UNIQUE SQLITE_CONSTRAINT_VTAB
    SQLITE_CANTOPEN_DIRTYWAL SQLITE_CANTOPEN_FULLPATH SQLITE_CANTOPEN_ISDIR SQLITE_CANTOPEN_SYMLINK
    SQLITE_CORRUPT_INDEX SQLITE_CORRUPT_SEQUENCE SQLITE_CORRUPT_VTAB
    SQLITE_ERROR_MISSING_COLLSEQ SQLITE_ERROR_RETRY SQLITE_ERROR_SNAPSHOT
    SQLITE_IOERR_ACCESS SQLITE_IOERR_FSTAT SQLITE_IOERR_FSYNC SQLITE_IOERR_LOCK SQLITE_IOERR_NOMEM
    SQLITE_IOERR_READ SQLITE_IOERR_SHORT_READ SQLITE_IOERR_TRUNCATE SQLITE_IOERR_WRITE
    SQLITE_READONLY_CANTINIT SQLITE_READONLY_CANTLOCK SQLITE_READONLY_DBMOVED
    SQLITE_READONLY_DIRECTORY SQLITE_READONLY_RECOVERY SQLITE_READONLY_ROLLBACK
};

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", name(self.code), self.message)
    }
}

impl StdError for Failure {}

impl Failure {
    /// As an error of the driver, to go the way of its others.
    pub(super) fn into_driver_error(self) -> Error {
        Error::Configuration(Box::new(self))
    }

    /// A statement that was not begun, since the session was asked to stop.
    pub(super) fn interrupted() -> Self {
        Self { code: ffi::SQLITE_INTERRUPT, message: "interrupted".to_owned(), offset: None }
    }

    /// The problem of the statement; where it stands in the request is for the caller to say.
    pub(super) fn into_problem(self) -> Problem {
        Problem {
            fault: fault_of(self.code),
            message: self.message.clone(),
            quoted: quoted(&self.message, quotes_of(self.code)),
            code: Some(name(self.code)),
            statement: None,
            offset: None,
            kept: 0,
            outcome_unknown: false,
            transient: passes(self.code),
            source: Some(Box::new(self)),
        }
    }
}

/// An error of the driver, while a session is made.
pub(super) fn classify_connect(error: &Error) -> Said {
    match error {
        Error::Database(database) => {
            let sqlite = database.try_downcast_ref::<SqliteError>();
            let code = sqlite.and_then(DatabaseError::code);
            let code = code.and_then(|code| code.parse().ok()).unwrap_or(ffi::SQLITE_ERROR);
            of_code(code, database.message())
        }
        Error::Configuration(inner) => match inner.downcast_ref::<Failure>() {
            Some(failure) => of_code(failure.code, &failure.message),
            None => Said::lasting(Fault::Options, inner.to_string()),
        },
        _ => Said::lasting(Fault::Connection, error.to_string()),
    }
}

fn of_code(code: i32, message: &str) -> Said {
    Said {
        fault: fault_of(code),
        code: Some(name(code)),
        message: message.to_owned(),
        quoted: quoted(message, quotes_of(code)),
        transient: passes(code),
    }
}

fn passes(code: i32) -> bool {
    TRANSIENT.contains(&(code & 0xff))
}

fn fault_of(code: i32) -> Fault {
    FAULTS
        .iter()
        .find(|(primary, _)| *primary == code & 0xff)
        .map_or(Fault::Statement, |(_, fault)| *fault)
}

/// What the message of a code quotes. Triggers speak with the words of their `RAISE`; the general
/// error has the token that is near it (<https://www.sqlite.org/rescode.html#error>).
fn quotes_of(code: i32) -> Quotes {
    match code {
        ffi::SQLITE_CONSTRAINT_TRIGGER => Quotes::Whole,
        code if code & 0xff == ffi::SQLITE_ERROR => Quotes::Marked,
        _ => Quotes::Names,
    }
}

/// The name of a code; `SQLITE_` and the number where it has none here.
fn name(code: i32) -> String {
    NAMES
        .iter()
        .find(|(known, _)| *known == code)
        .map_or_else(|| format!("SQLITE_{code}"), |(_, name)| (*name).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extended_codes_have_the_fault_of_their_primary_code() {
        assert_eq!(fault_of(ffi::SQLITE_BUSY_SNAPSHOT), Fault::Conflict);
        assert_eq!(fault_of(ffi::SQLITE_CONSTRAINT_UNIQUE), Fault::Statement);
        assert_eq!(name(ffi::SQLITE_CONSTRAINT_UNIQUE), "SQLITE_CONSTRAINT_UNIQUE");
        assert_eq!(name(99_999), "SQLITE_99999");
    }

    #[test]
    fn only_what_is_in_the_way_of_another_is_transient() {
        for (code, name) in NAMES {
            let waits = ["SQLITE_BUSY", "SQLITE_LOCKED", "SQLITE_PROTOCOL"];
            let expected = waits.iter().any(|wait| name.starts_with(wait));
            assert_eq!(passes(*code), expected, "{name}");
            assert!(!expected || fault_of(*code) == Fault::Conflict, "{name}");
        }
    }
}
