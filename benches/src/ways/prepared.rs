//! What somebody writes in C who wants SQLite to be fast: one transaction, one prepared INSERT of
//! many rows, values bound to it. All unsafe code of the benchmarks is here: SQLite is called as the
//! C library that it is, each handle is used by this thread only and given back when dropped.

use std::{
    ffi::{CStr, CString},
    os::raw::c_int,
    ptr::{self, NonNull},
};

use libsqlite3_sys as ffi;

use crate::{peer::Failed, rows::Row};

/// Rows of one statement: more are not faster.
const ROWS: usize = 500;
const COLUMNS: usize = 3;

/// Brings rows into the table `bench_rows` of a database file.
pub(super) fn run(file: &str, rows: &[Row]) -> Result<(), Failed> {
    let database = Database::open(file)?;
    database.run(c"BEGIN")?;
    let whole = rows.chunks_exact(ROWS);
    let rest = whole.remainder();
    let mut statement = database.prepare(&insert(ROWS))?;
    for rows in whole {
        statement.execute(rows)?;
    }
    if !rest.is_empty() {
        database.prepare(&insert(rest.len()))?.execute(rest)?;
    }
    drop(statement);
    Ok(database.run(c"COMMIT")?)
}

/// Placeholders without numbers: SQLite looks numbered ones up one by one.
fn insert(rows: usize) -> String {
    let places = vec!["(?, ?, ?)"; rows].join(", ");
    format!("INSERT INTO bench_rows VALUES {places}")
}

struct Database(NonNull<ffi::sqlite3>);

struct Statement<'a> {
    handle: NonNull<ffi::sqlite3_stmt>,
    database: &'a Database,
}

impl Database {
    fn open(file: &str) -> Result<Self, Failed> {
        let file = CString::new(file)?;
        let mut handle = ptr::null_mut();
        // SAFETY: the name ends with a zero and lives as long as the call; the handle is written.
        let code = unsafe { ffi::sqlite3_open(file.as_ptr(), &mut handle) };
        let database = NonNull::new(handle).map(Self).ok_or("no memory for a database")?;
        database.expect(code, ffi::SQLITE_OK)?;
        Ok(database)
    }

    fn run(&self, sql: &CStr) -> Result<(), String> {
        let none = ptr::null_mut();
        // SAFETY: the handle is open; the text ends with a zero; without a callback and a place for
        // the message both may be null.
        let code = unsafe {
            ffi::sqlite3_exec(self.0.as_ptr(), sql.as_ptr(), None, none, ptr::null_mut())
        };
        self.expect(code, ffi::SQLITE_OK)
    }

    fn prepare(&self, sql: &str) -> Result<Statement<'_>, Failed> {
        let bytes = c_int::try_from(sql.len())?;
        let mut handle = ptr::null_mut();
        // SAFETY: the handle is open, the text has as many bytes as is said, the statement is
        // written.
        let code = unsafe {
            ffi::sqlite3_prepare_v2(
                self.0.as_ptr(),
                sql.as_ptr().cast(),
                bytes,
                &mut handle,
                ptr::null_mut(),
            )
        };
        self.expect(code, ffi::SQLITE_OK)?;
        let handle = NonNull::new(handle).ok_or("a statement without text")?;
        Ok(Statement { handle, database: self })
    }

    fn expect(&self, code: c_int, wanted: c_int) -> Result<(), String> {
        if code == wanted {
            return Ok(());
        }
        // SAFETY: the handle is open; the message is copied before SQLite is called again.
        let message = unsafe { CStr::from_ptr(ffi::sqlite3_errmsg(self.0.as_ptr())) };
        Err(format!("{} ({code})", message.to_string_lossy()))
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        // SAFETY: the handle is open, and no statement outlives its borrow of this.
        unsafe { ffi::sqlite3_close(self.0.as_ptr()) };
    }
}

impl Statement<'_> {
    /// Runs the statement with these rows, which must be as many as it has places for.
    fn execute(&mut self, rows: &[Row]) -> Result<(), Failed> {
        let handle = self.handle.as_ptr();
        for (index, row) in rows.iter().enumerate() {
            let place = c_int::try_from(index * COLUMNS)?;
            let bytes = c_int::try_from(row.name.len())?;
            // SAFETY: the statement is prepared and reset. The name is not copied: it lives as long
            // as `rows`, which is longer than the step below, and each further step binds anew.
            let codes = unsafe {
                [
                    ffi::sqlite3_bind_int64(handle, place + 1, row.id),
                    ffi::sqlite3_bind_text(
                        handle,
                        place + 2,
                        row.name.as_ptr().cast(),
                        bytes,
                        ffi::SQLITE_STATIC(),
                    ),
                    ffi::sqlite3_bind_double(handle, place + 3, row.value),
                ]
            };
            for code in codes {
                self.database.expect(code, ffi::SQLITE_OK)?;
            }
        }
        // SAFETY: the statement is prepared and all its places are bound.
        let code = unsafe { ffi::sqlite3_step(handle) };
        self.database.expect(code, ffi::SQLITE_DONE)?;
        // SAFETY: the statement is prepared.
        let code = unsafe { ffi::sqlite3_reset(handle) };
        Ok(self.database.expect(code, ffi::SQLITE_OK)?)
    }
}

impl Drop for Statement<'_> {
    fn drop(&mut self) {
        // SAFETY: the statement is prepared, and its database is open.
        unsafe { ffi::sqlite3_finalize(self.handle.as_ptr()) };
    }
}

#[cfg(test)]
mod tests {
    use sqlx::{Connection as _, SqliteConnection};

    use crate::{
        peer::Peer as _,
        rows::{CREATE_TABLE, Rows},
    };

    use super::*;

    #[tokio::test]
    async fn all_rows_arrive_as_they_are() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("t.db").display().to_string();
        let url = format!("sqlite://{file}?mode=rwc");
        let mut connection = SqliteConnection::connect(&url).await.unwrap();
        connection.run(CREATE_TABLE).await.unwrap();
        let rows = Rows::new(2 * ROWS + 1).values;
        run(&file, &rows).unwrap();
        let query = "SELECT id, name, value FROM bench_rows ORDER BY id";
        let found: Vec<(i64, String, f64)> =
            sqlx::query_as(query).fetch_all(&mut connection).await.unwrap();
        let found = found.into_iter().map(|(id, name, value)| Row { id, name, value });
        assert_eq!(found.collect::<Vec<_>>(), rows);
    }

    #[test]
    fn what_sqlite_says_is_the_error() {
        let error = run(":memory:", &Rows::new(1).values).unwrap_err();
        assert_eq!(error.to_string(), "no such table: bench_rows (1)");
    }
}
