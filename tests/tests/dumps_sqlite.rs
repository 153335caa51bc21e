//! SQLite: what `.dump` of its shell has written, loaded into a new file, is dumped as the same
//! bytes again.

use std::{env, ffi::OsString, fs::File, path::PathBuf, process::Command, process::Stdio};

use sql_batcher_tests::dumps::{Load, assert_same, bulk_bytes, case, output};
use tempfile::TempDir;

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;

/// Bytes of a row of the large table, about.
const ROW_BYTES: u64 = 120;

/// A table of many rows, and one of fields of a megabyte and more.
const LARGE: &str = r"
CREATE TABLE bulk (id INTEGER PRIMARY KEY, key TEXT, amount REAL, note);
WITH RECURSIVE n(id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM n WHERE id < {rows})
    INSERT INTO bulk
    SELECT id, hex(id * 7919), id * 1.5,
           CASE id % 3 WHEN 0 THEN replace(hex(zeroblob(id % 20)), '0', ''';ü')
                       WHEN 1 THEN zeroblob(id % 40) ELSE char(1 + id % 31) || ' -- ;' END FROM n;
CREATE INDEX by_key ON bulk (key);
CREATE TABLE large (id INTEGER PRIMARY KEY, what);
INSERT INTO large VALUES
    (1, replace(hex(zeroblob(20000)), '0', 'it''s; [a] ` -- /* 😀 END;' || char(13, 10))),
    (2, zeroblob(1000000)),
    (3, replace(hex(zeroblob(500000)), '0', ''''));
";

/// A file of a test's own.
struct Database {
    folder: TempDir,
}

impl Database {
    fn empty() -> Self {
        Self { folder: tempfile::tempdir().expect("a folder can be made") }
    }

    /// What a script makes.
    fn of(script: &str) -> Self {
        let database = Self::empty();
        let script = File::open(case(script)).expect("the script is there");
        output(database.shell().arg("-bail").stdin(Stdio::from(script)));
        database
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("a.db")
    }

    fn shell(&self) -> Command {
        let shell = env::var_os("SQL_BATCHER_TEST_SQLITE_SHELL");
        let mut shell = Command::new(shell.unwrap_or_else(|| OsString::from("sqlite3")));
        shell.args(["-init", "/dev/null"]).arg(self.file());
        shell
    }

    fn dump(&self) -> Vec<u8> {
        output(self.shell().arg(".dump").stdin(Stdio::null()))
    }

    /// Dumps it, loads that into a new file in each of the ways, and dumps that.
    fn comes_back(&self, loads: &[Load]) {
        let before = self.dump();
        for load in loads {
            let copy = Self::empty();
            load.run(&format!("sqlite://{}", copy.file().display()), &before);
            assert_same(&format!("{load:?}"), &before, &copy.dump());
        }
    }
}

#[test]
fn a_dump_with_large_tables_comes_back_the_same() {
    let database = Database::of("sqlite.sql");
    let rows = (bulk_bytes() / ROW_BYTES).to_string();
    output(database.shell().arg(LARGE.replace("{rows}", &rows)));
    database.comes_back(&[
        Load::by_program(64 * KIB).larger_alone(),
        Load::by_library(MIB).larger_alone(),
        Load::by_program(16 * MIB),
        Load::by_library(16 * MIB),
    ]);
}

#[test]
fn a_dump_of_small_statements_comes_back_the_same_in_requests_of_1_kib() {
    Database::of("sqlite.sql").comes_back(&[Load::by_program(KIB), Load::by_library(KIB)]);
}

#[test]
fn a_dump_that_writes_to_the_schema_comes_back_the_same() {
    let loads = [KIB, 64 * KIB].map(|max_bytes| Load::by_program(max_bytes).larger_alone());
    let database = Database::of("sqlite_words.sql");
    database.comes_back(&loads);
    database.comes_back(&[Load::by_library(MIB)]);
}
