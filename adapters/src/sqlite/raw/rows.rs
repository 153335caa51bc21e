//! The virtual table that gives SQLite the rows of an INSERT (<https://www.sqlite.org/vtab.html>).
//!
//! It exists while one statement runs: its module is registered before the statement is prepared and
//! taken away after it is finalized, so what SQLite keeps of it never outlives the rows. SQLite
//! calls it back on the thread that runs the statement, one call at a time. No callback can panic.

use std::{
    ffi::{CStr, CString, c_char, c_int, c_void},
    ptr::{self, NonNull},
};

use libsqlite3_sys as ffi;

use super::super::inserts::Value;
use crate::literals::Text;

/// Rows, all of them with as many values.
pub(super) struct Source<'a> {
    /// The rows as they are written.
    pub(super) rows: &'a [u8],
    /// The values, row by row.
    pub(super) values: &'a [Value],
    /// Values of a row, at least 1.
    pub(super) columns: usize,
}

/// A source that statements of a database can select from; until it is dropped.
pub(super) struct Offered<'s> {
    database: NonNull<ffi::sqlite3>,
    name: &'s CStr,
}

/// What SQLite has of the table.
#[repr(C)]
struct Table {
    base: ffi::sqlite3_vtab,
    source: *const Source<'static>,
}

/// What SQLite has of a reading of the table.
#[repr(C)]
struct Cursor {
    base: ffi::sqlite3_vtab_cursor,
    source: *const Source<'static>,
    /// The values from the row on that it stands at.
    rest: &'static [Value],
    /// The rows as they are written.
    rows: &'static [u8],
    columns: usize,
    /// A value that differs from what is written.
    scratch: Vec<u8>,
    number: ffi::sqlite3_int64,
}

/// Without `xCreate` the table is there without having been created, and cannot be.
static MODULE: ffi::sqlite3_module = ffi::sqlite3_module {
    iVersion: 0,
    xCreate: None,
    xConnect: Some(connect),
    xBestIndex: Some(best_index),
    xDisconnect: Some(disconnect),
    xDestroy: None,
    xOpen: Some(open),
    xClose: Some(close),
    xFilter: Some(filter),
    xNext: Some(next),
    xEof: Some(eof),
    xColumn: Some(column),
    xRowid: Some(rowid),
    xUpdate: None,
    xBegin: None,
    xSync: None,
    xCommit: None,
    xRollback: None,
    xFindFunction: None,
    xRename: None,
    xSavepoint: None,
    xRelease: None,
    xRollbackTo: None,
    xShadowName: None,
    xIntegrity: None,
};

impl<'s> Offered<'s> {
    /// Registers the table; none where SQLite refuses that.
    pub(super) fn new(
        database: NonNull<ffi::sqlite3>,
        name: &'s CStr,
        source: &'s Source<'s>,
    ) -> Option<Self> {
        let source = ptr::from_ref(source).cast_mut().cast::<c_void>();
        // SAFETY: the handle is open and locked; the name is copied; the module is a static; the
        // source outlives `Self`, which takes the module away.
        let code = unsafe {
            ffi::sqlite3_create_module_v2(
                database.as_ptr(),
                name.as_ptr(),
                &raw const MODULE,
                source,
                None,
            )
        };
        (code == ffi::SQLITE_OK).then_some(Self { database, name })
    }
}

impl Drop for Offered<'_> {
    fn drop(&mut self) {
        // SAFETY: the handle is open and locked, and all statements that used the table are
        // finalized. No module takes the old one's place, for which SQLite allocates nothing, so
        // it cannot fail; the table is disconnected before it returns.
        unsafe {
            ffi::sqlite3_create_module_v2(
                self.database.as_ptr(),
                self.name.as_ptr(),
                ptr::null(),
                ptr::null_mut(),
                None,
            );
        }
    }
}

/// The columns are without a type, so that their values stay as they are.
fn declaration(columns: usize) -> CString {
    let names: Vec<String> = (0..columns).map(|column| format!("c{column}")).collect();
    CString::new(format!("CREATE TABLE x({})", names.join(","))).unwrap_or_default()
}

unsafe extern "C" fn connect(
    database: *mut ffi::sqlite3,
    source: *mut c_void,
    _: c_int,
    _: *const *const c_char,
    table: *mut *mut ffi::sqlite3_vtab,
    _: *mut *mut c_char,
) -> c_int {
    let source = source.cast_const().cast::<Source<'static>>();
    // SAFETY: `source` is what `Offered` registered, which is alive.
    let declaration = declaration(unsafe { (*source).columns });
    // SAFETY: SQLite calls this with its open handle; the text is a C string.
    let code = unsafe { ffi::sqlite3_declare_vtab(database, declaration.as_ptr()) };
    if code == ffi::SQLITE_OK {
        let base = ffi::sqlite3_vtab { pModule: ptr::null(), nRef: 0, zErrMsg: ptr::null_mut() };
        // SAFETY: SQLite wants the table there; `disconnect` frees it.
        unsafe { *table = Box::into_raw(Box::new(Table { base, source })).cast() };
    }
    code
}

unsafe extern "C" fn disconnect(table: *mut ffi::sqlite3_vtab) -> c_int {
    // SAFETY: made by `connect`, and SQLite does not use it any more.
    drop(unsafe { Box::from_raw(table.cast::<Table>()) });
    ffi::SQLITE_OK
}

unsafe extern "C" fn best_index(
    _: *mut ffi::sqlite3_vtab,
    _: *mut ffi::sqlite3_index_info,
) -> c_int {
    // There is one way to read it.
    ffi::SQLITE_OK
}

unsafe extern "C" fn open(
    table: *mut ffi::sqlite3_vtab,
    cursor: *mut *mut ffi::sqlite3_vtab_cursor,
) -> c_int {
    // SAFETY: made by `connect`; its source is alive while the table is registered.
    let source = unsafe { (*table.cast::<Table>()).source };
    let opened = Cursor {
        base: ffi::sqlite3_vtab_cursor { pVtab: table },
        source,
        rest: &[],
        rows: &[],
        columns: 1,
        scratch: Vec::new(),
        number: 0,
    };
    // SAFETY: SQLite wants the cursor there; `close` frees it.
    unsafe { *cursor = Box::into_raw(Box::new(opened)).cast() };
    ffi::SQLITE_OK
}

unsafe extern "C" fn close(cursor: *mut ffi::sqlite3_vtab_cursor) -> c_int {
    // SAFETY: made by `open`, and SQLite does not use it any more.
    drop(unsafe { Box::from_raw(cursor.cast::<Cursor>()) });
    ffi::SQLITE_OK
}

unsafe extern "C" fn filter(
    cursor: *mut ffi::sqlite3_vtab_cursor,
    _: c_int,
    _: *const c_char,
    _: c_int,
    _: *mut *mut ffi::sqlite3_value,
) -> c_int {
    // SAFETY: made by `open`, and nobody else uses it during the call.
    let cursor = unsafe { &mut *cursor.cast::<Cursor>() };
    // SAFETY: the source and its values are alive while the table is registered.
    let source = unsafe { &*cursor.source };
    (cursor.rest, cursor.rows, cursor.columns) = (source.values, source.rows, source.columns);
    cursor.number = 1;
    ffi::SQLITE_OK
}

unsafe extern "C" fn next(cursor: *mut ffi::sqlite3_vtab_cursor) -> c_int {
    // SAFETY: as in `filter`.
    let cursor = unsafe { &mut *cursor.cast::<Cursor>() };
    cursor.rest = cursor.rest.get(cursor.columns..).unwrap_or_default();
    cursor.number += 1;
    ffi::SQLITE_OK
}

unsafe extern "C" fn eof(cursor: *mut ffi::sqlite3_vtab_cursor) -> c_int {
    // SAFETY: as in `filter`.
    c_int::from(unsafe { &*cursor.cast::<Cursor>() }.rest.is_empty())
}

unsafe extern "C" fn rowid(
    cursor: *mut ffi::sqlite3_vtab_cursor,
    number: *mut ffi::sqlite3_int64,
) -> c_int {
    // SAFETY: as in `filter`; SQLite wants the number there.
    unsafe { *number = (*cursor.cast::<Cursor>()).number };
    ffi::SQLITE_OK
}

unsafe extern "C" fn column(
    cursor: *mut ffi::sqlite3_vtab_cursor,
    context: *mut ffi::sqlite3_context,
    column: c_int,
) -> c_int {
    // SAFETY: as in `filter`.
    let cursor = unsafe { &mut *cursor.cast::<Cursor>() };
    // SAFETY: SQLite calls this with its context of the value.
    unsafe { cursor.give(context, column) }
}

impl Cursor {
    /// Gives SQLite a value of the row.
    ///
    /// # Safety
    /// The context must be that of a value which SQLite asks for.
    unsafe fn give(&mut self, context: *mut ffi::sqlite3_context, column: c_int) -> c_int {
        let value = usize::try_from(column).ok().and_then(|column| self.rest.get(column));
        // SAFETY: the context is valid, says the caller.
        unsafe {
            match value {
                None => return ffi::SQLITE_INTERNAL,
                Some(Value::Null) => ffi::sqlite3_result_null(context),
                Some(Value::Integer(value)) => ffi::sqlite3_result_int64(context, *value),
                Some(Value::Real(value)) => ffi::sqlite3_result_double(context, *value),
                Some(Value::Text(place)) => {
                    let Some(text) = place.get(self.rows) else { return ffi::SQLITE_INTERNAL };
                    let Ok(length) = c_int::try_from(text.len()) else { return ffi::SQLITE_TOOBIG };
                    let begin = text.as_ptr().cast();
                    // It stays where it is, in the rows, which outlive the statement.
                    ffi::sqlite3_result_text(context, begin, length, ffi::SQLITE_STATIC());
                }
                Some(Value::Quoted(place)) => {
                    let Some(quoted) = place.get(self.rows) else { return ffi::SQLITE_INTERNAL };
                    self.scratch.clear();
                    let text = Text { quoted, has_quotes: true };
                    text.pieces().for_each(|piece| self.scratch.extend_from_slice(piece));
                    let Ok(length) = c_int::try_from(self.scratch.len()) else {
                        return ffi::SQLITE_TOOBIG;
                    };
                    // It is copied at once.
                    let begin = self.scratch.as_ptr().cast();
                    ffi::sqlite3_result_text(context, begin, length, ffi::SQLITE_TRANSIENT());
                }
                Some(Value::Blob(place)) => {
                    let Some(digits) = place.get(self.rows) else { return ffi::SQLITE_INTERNAL };
                    self.scratch.clear();
                    self.scratch.extend(digits.chunks_exact(2).map(byte));
                    let Ok(length) = c_int::try_from(self.scratch.len()) else {
                        return ffi::SQLITE_TOOBIG;
                    };
                    let begin = self.scratch.as_ptr().cast();
                    ffi::sqlite3_result_blob(context, begin, length, ffi::SQLITE_TRANSIENT());
                }
            }
        }
        ffi::SQLITE_OK
    }
}

/// The byte of two hexadecimal digits.
fn byte(pair: &[u8]) -> u8 {
    let digit = |byte: &u8| char::from(*byte).to_digit(16).unwrap_or_default() as u8;
    pair.iter().fold(0, |byte, next| (byte << 4) | digit(next))
}
