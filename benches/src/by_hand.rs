//! SQLite as a program by hand would use it: a prepared INSERT of several rows, values bound, in one
//! transaction. The only unsafe code of the benchmarks.

use std::{
    ffi::{CString, c_char, c_int},
    path::Path,
    ptr,
};

use libsqlite3_sys as ffi;

/// A row: a number, a text, a number with a point.
pub type Row = (i64, String, f64);

/// Rows of one statement.
const ROWS: usize = 100;

/// Inserts rows into `bench_rows` of a file.
///
/// # Panics
/// If SQLite refuses anything.
pub fn insert(file: &Path, rows: &[Row]) {
    let name = CString::new(file.to_str().expect("the name is UTF-8")).expect("it has no zero");
    let mut handle = ptr::null_mut();
    // SAFETY: the name is a C string, and the handle is written to a valid place.
    let code = unsafe { ffi::sqlite3_open(name.as_ptr(), &raw mut handle) };
    assert_eq!(code, ffi::SQLITE_OK);
    // SAFETY: the handle is open, and used by this thread alone.
    unsafe {
        run(handle, c"BEGIN");
        let (whole, rest) = rows.split_at(rows.len() / ROWS * ROWS);
        insert_all(handle, whole, ROWS);
        insert_all(handle, rest, 1);
        run(handle, c"COMMIT");
        assert_eq!(ffi::sqlite3_close(handle), ffi::SQLITE_OK);
    }
}

/// # Safety
/// The handle must be open.
unsafe fn run(handle: *mut ffi::sqlite3, sql: &std::ffi::CStr) {
    // SAFETY: the handle is open, says the caller; the text is a C string.
    let code =
        unsafe { ffi::sqlite3_exec(handle, sql.as_ptr(), None, ptr::null_mut(), ptr::null_mut()) };
    assert_eq!(code, ffi::SQLITE_OK);
}

/// # Safety
/// The handle must be open; there must be a multiple of `at_once` of rows.
unsafe fn insert_all(handle: *mut ffi::sqlite3, rows: &[Row], at_once: usize) {
    let values = vec!["(?,?,?)"; at_once].join(",");
    let sql = format!("INSERT INTO bench_rows VALUES {values}");
    let mut statement = ptr::null_mut();
    let length = c_int::try_from(sql.len()).expect("it is short");
    // SAFETY: the handle is open; the text has that length; texts that are bound outlive the step.
    unsafe {
        let begin = sql.as_ptr().cast::<c_char>();
        let prepared =
            ffi::sqlite3_prepare_v2(handle, begin, length, &raw mut statement, ptr::null_mut());
        assert_eq!(prepared, ffi::SQLITE_OK);
        for chunk in rows.chunks_exact(at_once) {
            let mut place = 0;
            for (id, name, value) in chunk {
                let length = c_int::try_from(name.len()).expect("it is short");
                let begin = name.as_ptr().cast::<c_char>();
                ffi::sqlite3_bind_int64(statement, place + 1, *id);
                ffi::sqlite3_bind_text(statement, place + 2, begin, length, ffi::SQLITE_STATIC());
                ffi::sqlite3_bind_double(statement, place + 3, *value);
                place += 3;
            }
            assert_eq!(ffi::sqlite3_step(statement), ffi::SQLITE_DONE);
            ffi::sqlite3_reset(statement);
        }
        ffi::sqlite3_finalize(statement);
    }
}
