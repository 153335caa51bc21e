//! `sqlite3_complete`: a statement of SQLite ends at the first semicolon at which it says so.

use std::ffi::CString;
use std::fs;
use std::path::PathBuf;

use libsqlite3_sys::sqlite3_complete;
use sql_batcher_core::Dialect;
use sql_batcher_tests::split::split;

use super::{Comparison, Explained, cases, folder, texts};

const REGRESS: &str = "SQL_BATCHER_TEST_SQLITE_REGRESS";

const EXPLAINED_CASES: &[Explained] = &[];

#[test]
fn cases_are_split_as_sqlite3_complete_splits_them() {
    let mut comparison = Comparison::new(Dialect::Sqlite, texts::sqlite, EXPLAINED_CASES);
    for (name, script) in cases("sqlite") {
        comparison.compare(&name, &script, &statements);
        check_every_prefix(&script);
    }
    comparison.finish();
}

/// SQLite's own tests are written in Tcl: what stands between braces there is mostly SQL. Whatever
/// it is, it must be split in the same way.
#[test]
fn regression_scripts_are_split_as_sqlite3_complete_splits_them() {
    let Some(folder) = folder(REGRESS, "SQLite's tests") else { return };
    let mut comparison = Comparison::new(Dialect::Sqlite, texts::sqlite, &[]);
    let entries = fs::read_dir(&folder).expect("the folder can be read");
    let mut files: Vec<PathBuf> =
        entries.map(|entry| entry.expect("it can be read").path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "test"));
    files.sort();
    for file in files {
        let text = fs::read(&file).expect("the file was just listed");
        let pieces = text.split(|byte| matches!(byte, b'{' | b'}'));
        for (index, piece) in pieces.enumerate().filter(|(_, piece)| is_script(piece)) {
            let name = format!("{} piece {index}", file.display());
            comparison.compare(&name, piece, &statements);
        }
    }
    comparison.finish();
}

/// Text with a terminator, that a C string can hold, and that the shell would not take for one of
/// its own commands.
fn is_script(piece: &[u8]) -> bool {
    let command = piece
        .split(|byte| matches!(byte, b';' | b'\n'))
        .any(|line| line.trim_ascii_start().starts_with(b"."));
    piece.contains(&b';') && !piece.contains(&0) && !command
}

fn is_complete(text: &[u8]) -> bool {
    let text = CString::new(text).expect("the scripts hold no NUL byte");
    // SAFETY: the function only reads its argument, which is a C string and outlives the call.
    (unsafe { sqlite3_complete(text.as_ptr()) }) != 0
}

/// The pieces of a script that end at the first semicolon at which each is complete.
fn statements(script: &[u8]) -> Vec<Vec<u8>> {
    let script = script.strip_prefix(b"\xef\xbb\xbf").unwrap_or(script);
    if script.contains(&0) {
        let before = script.split(|byte| *byte == 0).next().unwrap_or_default();
        return statements(before);
    }
    let mut found = Vec::new();
    let mut start = 0;
    for (at, _) in script.iter().enumerate().filter(|(_, byte)| **byte == b';') {
        if is_complete(&script[start..=at]) {
            found.push(script[start..at].to_vec());
            start = at + 1;
        }
    }
    found.push(script[start..].to_vec());
    found
}

/// As the documentation has it: the text up to the end of each statement is complete, up to any
/// semicolon inside it is not.
fn check_every_prefix(script: &[u8]) {
    if script.contains(&0) {
        return;
    }
    for found in split(Dialect::Sqlite, script, []).statements {
        let start = usize::try_from(found.offset).expect("the case is small");
        let end = start + found.text.len();
        for (at, byte) in script.iter().enumerate().take(end + 1).skip(start) {
            let inside = *byte == b';' && at < end;
            let prefix = script[..=at].trim_ascii_start();
            assert!(!inside || !is_complete(prefix), "{}", prefix.escape_ascii());
            let ends = *byte == b';' && at == end;
            assert!(!ends || is_complete(prefix), "{}", prefix.escape_ascii());
        }
    }
}
