//! SQLite's own interface: with its virtual table in `rows`, the only unsafe code of the adapters.
//!
//! All of it works on the handle of a connection that sqlx has locked, so no other thread uses the
//! handle meanwhile ([`LockedSqliteHandle`]). Statements live no longer than one call.

use std::{
    ffi::{CStr, c_char, c_int},
    marker::PhantomData,
    ptr::{self, NonNull},
    slice,
};

use libsqlite3_sys as ffi;
use sqlx::sqlite::LockedSqliteHandle;

use super::inserts::Plan;

mod rows;

/// A database whose handle nobody else uses.
pub(super) struct Database<'a> {
    handle: NonNull<ffi::sqlite3>,
    locked: PhantomData<&'a mut LockedSqliteHandle<'a>>,
}

/// What SQLite said to a statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    /// Extended result code.
    pub(super) code: c_int,
    pub(super) message: String,
    /// Bytes before the place of the error, where SQLite says it.
    pub(super) offset: Option<usize>,
}

/// A prepared statement; finalized when dropped.
struct Statement(NonNull<ffi::sqlite3_stmt>);

impl<'a> Database<'a> {
    /// The database of a locked connection.
    pub(super) fn of(locked: &'a mut LockedSqliteHandle<'_>) -> Self {
        Self { handle: locked.as_raw_handle(), locked: PhantomData }
    }

    /// Version of the library.
    pub(super) fn version() -> &'static str {
        // SAFETY: returns a pointer to a constant C string.
        let version = unsafe { CStr::from_ptr(ffi::sqlite3_libversion()) };
        version.to_str().unwrap_or("of unknown version")
    }

    /// Whether the library can take a virtual table away again (3.30), and reads numbers with the
    /// arithmetic that [`Plan`] relies on (3.43).
    pub(super) fn has_fast_path() -> bool {
        // SAFETY: returns a constant.
        unsafe { ffi::sqlite3_libversion_number() >= 3_043_000 }
    }

    /// The longest text that can be prepared.
    pub(super) fn max_text_bytes(&self) -> u64 {
        // SAFETY: the handle is open and locked; -1 only asks.
        let limit =
            unsafe { ffi::sqlite3_limit(self.handle.as_ptr(), ffi::SQLITE_LIMIT_SQL_LENGTH, -1) };
        u64::try_from(limit).unwrap_or(0)
    }

    /// Whether no transaction is open.
    pub(super) fn in_autocommit(&self) -> bool {
        // SAFETY: the handle is open and locked.
        unsafe { ffi::sqlite3_get_autocommit(self.handle.as_ptr()) != 0 }
    }

    /// Runs all statements of a text; rows are dropped as they come. Gives the rows that were
    /// changed, without those of triggers.
    pub(super) fn run(&mut self, text: &[u8]) -> Result<u64, Failure> {
        let mut rest = text;
        let mut changed = 0;
        while !rest.is_empty() {
            let before = text.len() - rest.len();
            let prepared = self.prepare(rest).map_err(|mut failure| {
                failure.offset = failure.offset.map(|offset| offset + before);
                failure
            })?;
            let (statement, tail) = prepared;
            rest = tail;
            // Without one, what was prepared is blank or a comment.
            if let Some(statement) = statement {
                changed += self.finish(&statement)?;
            }
        }
        Ok(changed)
    }

    /// Runs an INSERT of this text, whose rows were read before; none, with nothing done, where SQLite does not
    /// take it so: only the text itself has the error in its place.
    pub(super) fn insert(&mut self, plan: &Plan, text: &[u8]) -> Option<Result<u64, Failure>> {
        let Plan { values, columns, .. } = plan;
        let rows = text.get(plan.rows.clone())?;
        let source = rows::Source { rows, values, columns: *columns };
        // Dropped after the statement.
        let _offered = rows::Offered::new(self.handle, plan.source, &source)?;
        let (statement, _) = self.prepare(&plan.sql).ok()?;
        Some(self.finish(&statement?))
    }

    /// Runs one statement and gives its rows, each value as text, or none for NULL.
    pub(super) fn rows(&mut self, text: &[u8]) -> Result<Vec<Vec<Option<Vec<u8>>>>, Failure> {
        let mut rows = Vec::new();
        let Some(statement) = self.prepare(text)?.0 else { return Ok(rows) };
        while self.step(&statement)? {
            // SAFETY: the statement is of this handle and not finalized.
            let columns = unsafe { ffi::sqlite3_data_count(statement.0.as_ptr()) };
            let row = (0..columns).map(|column| self.value(&statement, column));
            rows.push(row.collect::<Result<_, _>>()?);
        }
        Ok(rows)
    }

    /// Prepares the first statement of a text, and gives the text after it.
    fn prepare<'t>(&mut self, text: &'t [u8]) -> Result<(Option<Statement>, &'t [u8]), Failure> {
        let length = c_int::try_from(text.len()).map_err(|_| Failure {
            code: ffi::SQLITE_TOOBIG,
            message: "statement too long".to_owned(),
            offset: None,
        })?;
        let begin = text.as_ptr().cast::<c_char>();
        let mut statement = ptr::null_mut();
        let mut tail = ptr::null();
        // SAFETY: the handle is open and locked; `begin` points to `length` bytes, which SQLite
        // copies or reads only during the call; both results are written to valid places.
        let code = unsafe {
            ffi::sqlite3_prepare_v2(
                self.handle.as_ptr(),
                begin,
                length,
                &raw mut statement,
                &raw mut tail,
            )
        };
        if code != ffi::SQLITE_OK {
            return Err(self.failure(code));
        }
        // SQLite lets the tail point into the text, or to its end; anything else would be the end.
        let read = (tail.addr()).saturating_sub(begin.addr());
        let rest = if tail.is_null() { &[] } else { text.get(read.max(1)..).unwrap_or_default() };
        Ok((NonNull::new(statement).map(Statement), rest))
    }

    /// Runs a statement to its end.
    fn finish(&mut self, statement: &Statement) -> Result<u64, Failure> {
        let handle = self.handle.as_ptr();
        // SAFETY: the handle is open and locked.
        let before = unsafe { ffi::sqlite3_total_changes64(handle) };
        while self.step(statement)? {}
        // SAFETY: the handle is open and locked.
        let (after, changed) =
            unsafe { (ffi::sqlite3_total_changes64(handle), ffi::sqlite3_changes64(handle)) };
        // `changes` speaks of the last statement that changes anything, be it another one.
        let changed = if after == before { 0 } else { changed };
        Ok(u64::try_from(changed).unwrap_or(0))
    }

    /// Runs a statement to its next row; false where there is none.
    fn step(&mut self, statement: &Statement) -> Result<bool, Failure> {
        // SAFETY: the statement is of this handle and not finalized.
        match unsafe { ffi::sqlite3_step(statement.0.as_ptr()) } {
            ffi::SQLITE_ROW => Ok(true),
            ffi::SQLITE_DONE => Ok(false),
            code => Err(self.failure(code)),
        }
    }

    /// A value of the row that a statement stands at, as text.
    fn value(&mut self, statement: &Statement, column: c_int) -> Result<Option<Vec<u8>>, Failure> {
        let statement = statement.0.as_ptr();
        // SAFETY: the statement stands at a row that has this column. The type is asked for before
        // the text, and the text before its length, as the conversion changes both.
        let (kind, text, length) = unsafe {
            let kind = ffi::sqlite3_column_type(statement, column);
            let text = ffi::sqlite3_column_text(statement, column);
            (kind, text, ffi::sqlite3_column_bytes(statement, column))
        };
        let length = usize::try_from(length).unwrap_or(0);
        if kind == ffi::SQLITE_NULL {
            return Ok(None);
        }
        if text.is_null() {
            // SAFETY: the handle is open and locked.
            return match unsafe { ffi::sqlite3_errcode(self.handle.as_ptr()) } {
                ffi::SQLITE_NOMEM => Err(self.failure(ffi::SQLITE_NOMEM)),
                _ => Ok(Some(Vec::new())),
            };
        }
        // SAFETY: the text has that many bytes and stays as it is until the statement goes on; it
        // is copied before that.
        Ok(Some(unsafe { slice::from_raw_parts(text, length) }.to_vec()))
    }

    /// What SQLite says about the call that failed just now.
    fn failure(&mut self, code: c_int) -> Failure {
        let handle = self.handle.as_ptr();
        // SAFETY: the handle is open and locked; the message is a C string that stays valid until
        // the next call on the handle, and is copied before that.
        let (message, offset) = unsafe {
            let message = CStr::from_ptr(ffi::sqlite3_errmsg(handle)).to_string_lossy();
            (message.into_owned(), ffi::sqlite3_error_offset(handle))
        };
        Failure { code, message, offset: usize::try_from(offset).ok() }
    }
}

impl Drop for Statement {
    fn drop(&mut self) {
        // SAFETY: the statement was prepared and is finalized only here. What it returns repeats
        // the error of the last step.
        unsafe {
            ffi::sqlite3_finalize(self.0.as_ptr());
        }
    }
}
