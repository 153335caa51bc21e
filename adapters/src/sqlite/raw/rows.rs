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

use super::super::inserts::{Value, value};
use crate::literals::{Literal, Rows, Syntax};

/// Rows, all of them with as many values.
pub(super) struct Source<'a> {
    pub(super) rows: &'a [u8],
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
    rows: Rows<'static>,
    row: Vec<Literal<'static>>,
    /// A value that differs from what is written.
    scratch: Vec<u8>,
    number: ffi::sqlite3_int64,
    is_at_end: bool,
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
        rows: Rows::new(&[], Syntax::Sqlite),
        row: Vec::new(),
        scratch: Vec::new(),
        number: 0,
        is_at_end: true,
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
    // SAFETY: the source and its rows are alive while the table is registered.
    cursor.rows = Rows::new(unsafe { (*cursor.source).rows }, Syntax::Sqlite);
    cursor.number = 0;
    cursor.advance()
}

unsafe extern "C" fn next(cursor: *mut ffi::sqlite3_vtab_cursor) -> c_int {
    // SAFETY: as in `filter`.
    unsafe { &mut *cursor.cast::<Cursor>() }.advance()
}

unsafe extern "C" fn eof(cursor: *mut ffi::sqlite3_vtab_cursor) -> c_int {
    // SAFETY: as in `filter`.
    c_int::from(unsafe { &*cursor.cast::<Cursor>() }.is_at_end)
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
    /// Goes to the next row.
    fn advance(&mut self) -> c_int {
        self.number += 1;
        match self.rows.read(&mut self.row) {
            Ok(has_row) => {
                self.is_at_end = !has_row;
                ffi::SQLITE_OK
            }
            // All rows were read before.
            Err(_) => ffi::SQLITE_INTERNAL,
        }
    }

    /// Gives SQLite a value of the row.
    ///
    /// # Safety
    /// The context must be that of a value which SQLite asks for.
    unsafe fn give(&mut self, context: *mut ffi::sqlite3_context, column: c_int) -> c_int {
        let literal = usize::try_from(column).ok().and_then(|column| self.row.get(column));
        let Some(literal) = literal else { return ffi::SQLITE_INTERNAL };
        // SAFETY: the context is valid, says the caller. A text without doubled quotes is left
        // where it is, in the rows, which outlive the statement; others are copied at once.
        unsafe {
            match literal {
                Literal::Null => ffi::sqlite3_result_null(context),
                Literal::Boolean(value) => ffi::sqlite3_result_int64(context, i64::from(*value)),
                Literal::Number(number) => match value(number) {
                    Some(Value::Integer(value)) => ffi::sqlite3_result_int64(context, value),
                    Some(Value::Real(value)) => ffi::sqlite3_result_double(context, value),
                    None => return ffi::SQLITE_INTERNAL,
                },
                Literal::Text(text) if !text.has_quotes => {
                    let Ok(length) = c_int::try_from(text.quoted.len()) else {
                        return ffi::SQLITE_TOOBIG;
                    };
                    let begin = text.quoted.as_ptr().cast();
                    ffi::sqlite3_result_text(context, begin, length, ffi::SQLITE_STATIC());
                }
                Literal::Text(text) => {
                    self.scratch.clear();
                    text.pieces().for_each(|piece| self.scratch.extend_from_slice(piece));
                    let Ok(length) = c_int::try_from(self.scratch.len()) else {
                        return ffi::SQLITE_TOOBIG;
                    };
                    let begin = self.scratch.as_ptr().cast();
                    ffi::sqlite3_result_text(context, begin, length, ffi::SQLITE_TRANSIENT());
                }
                Literal::Blob(digits) => {
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
