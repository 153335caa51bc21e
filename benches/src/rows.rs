//! The rows that whole runs bring into a database, in every form in which somebody could have them:
//! the same rows for everyone.

use std::{
    fmt::Write as _,
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use tempfile::TempDir;

/// The table for the rows.
pub const CREATE_TABLE: &str =
    "CREATE TABLE bench_rows (id BIGINT, name VARCHAR(40), value DOUBLE PRECISION)";

/// The same with columns of the types that the constants of an INSERT have by themselves on PostgreSQL. Its
/// server converts none of them then, which is two fifths to a half of its work for the table above.
pub const CREATE_TABLE_UNCONVERTED: &str =
    "CREATE TABLE bench_rows (id INTEGER, name TEXT, value NUMERIC)";

/// What is before the first row of an INSERT.
pub const PREFIX: &str = "INSERT INTO bench_rows VALUES ";

/// Rows of an INSERT that somebody makes by hand to be fast.
pub const HAND_MADE_ROWS: usize = 1000;

/// Where Linux keeps files in memory.
const MEMORY: &str = "/dev/shm";
/// What 1000 rows need there at most, in all forms together.
const BYTES_OF_ROWS: usize = 600_000;

/// One row.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Counts from 0.
    pub id: i64,
    /// 30 bytes, now and then with a quote.
    pub name: String,
    /// A number that is the same in decimal and in binary.
    pub value: f64,
}

/// Rows in memory.
#[derive(Debug)]
pub struct Rows {
    /// As values.
    pub values: Vec<Row>,
    /// As a script with an INSERT for each.
    pub script: String,
    /// As a script with an INSERT for each [`HAND_MADE_ROWS`].
    pub hand_made: String,
    /// As `COPY` takes them, and every program that reads tabs.
    pub tabbed: String,
}

/// The same in files.
#[derive(Debug)]
pub struct Files {
    folder: TempDir,
}

impl Rows {
    /// So many rows.
    #[must_use]
    pub fn new(count: usize) -> Self {
        let values: Vec<Row> = (0..count).map(row).collect();
        let script = values.chunks(1).map(insert).collect();
        let hand_made = values.chunks(HAND_MADE_ROWS).map(insert).collect();
        let tabbed = |row: &Row| format!("{}\t{}\t{}\n", row.id, row.name, row.value);
        let tabbed = values.iter().map(tabbed).collect();
        Self { values, script, hand_made, tabbed }
    }

    /// The single statements, each with its terminator and newline.
    pub fn statements(&self) -> impl Iterator<Item = &str> {
        self.script.split_inclusive('\n')
    }
}

impl Files {
    /// Writes rows into a [`folder`].
    ///
    /// # Errors
    /// If there is no room.
    pub fn new(rows: &Rows) -> io::Result<Self> {
        let files = Self { folder: folder(rows.values.len())? };
        fs::write(files.script(), &rows.script)?;
        fs::write(files.in_transaction(false), in_transaction(&rows.script))?;
        fs::write(files.hand_made(), &rows.hand_made)?;
        fs::write(files.in_transaction(true), in_transaction(&rows.hand_made))?;
        fs::write(files.tabbed(), &rows.tabbed)?;
        Ok(files)
    }

    /// The folder, in which others may have files of their own.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A script with an INSERT for each row.
    #[must_use]
    pub fn script(&self) -> PathBuf {
        self.folder().join("single.sql")
    }

    /// A script with an INSERT for each [`HAND_MADE_ROWS`].
    #[must_use]
    pub fn hand_made(&self) -> PathBuf {
        self.folder().join("hand-made.sql")
    }

    /// One of the two scripts with a transaction around it.
    #[must_use]
    pub fn in_transaction(&self, hand_made: bool) -> PathBuf {
        let name = if hand_made { "hand-made-transaction.sql" } else { "single-transaction.sql" };
        self.folder().join(name)
    }

    /// A line for each row, its columns parted by tabs.
    #[must_use]
    pub fn tabbed(&self) -> PathBuf {
        self.folder().join("rows.tsv")
    }
}

/// A temporary folder with room for so many rows in every form and in a database: in memory where
/// the system has that, because the servers of the benchmarks do not wait for the disk either.
///
/// # Errors
/// If none can be made.
pub fn folder(rows: usize) -> io::Result<TempDir> {
    let in_memory = tempfile::tempdir_in(MEMORY).and_then(|folder| {
        let probe = folder.path().join("probe");
        let piece = vec![0; BYTES_OF_ROWS];
        let mut file = fs::File::create(&probe)?;
        for _ in 0..rows.div_ceil(1000) {
            file.write_all(&piece)?;
        }
        fs::remove_file(&probe).map(|()| folder)
    });
    in_memory.or_else(|_| tempfile::tempdir())
}

fn in_transaction(script: &str) -> String {
    format!("BEGIN;\n{script}COMMIT;\n")
}

fn row(index: usize) -> Row {
    let id = i64::try_from(index).unwrap_or(i64::MAX);
    let first = if index.is_multiple_of(16) { "O'Neill" } else { "Schmidt" };
    Row { id, name: format!("Anna Maria {first}, {index:010}"), value: id as f64 / 4.0 + 0.5 }
}

/// An INSERT of some rows, with its terminator and a newline.
#[must_use]
pub fn insert(rows: &[Row]) -> String {
    let mut text = PREFIX.to_owned();
    for (index, row) in rows.iter().enumerate() {
        let comma = if index == 0 { "" } else { ", " };
        let name = row.name.replace('\'', "''");
        // A `String` takes whatever is written.
        let _ = write!(text, "{comma}({}, '{name}', {})", row.id, row.value);
    }
    text + ";\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_has_the_same_rows() {
        let rows = Rows::new(HAND_MADE_ROWS + 1);
        assert!(rows.values.iter().all(|row| row.name.len() == 30));
        assert_eq!(rows.statements().count(), rows.values.len());
        assert_eq!(rows.tabbed.lines().count(), rows.values.len());
        assert_eq!(rows.hand_made.lines().count(), 2);
        let first = "INSERT INTO bench_rows VALUES (0, 'Anna Maria O''Neill, 0000000000', 0.5);\n";
        assert_eq!(rows.statements().next(), Some(first));
        assert!(rows.hand_made.starts_with(first.trim_end_matches(");\n")));
        assert!(rows.tabbed.starts_with("0\tAnna Maria O'Neill, 0000000000\t0.5\n"));
    }

    #[test]
    fn rows_need_no_more_room_than_is_looked_for() {
        let rows = Rows::new(1000);
        let files = 2 * rows.script.len() + 2 * rows.hand_made.len() + rows.tabbed.len();
        // A database and its journal are not larger than the rows are as text.
        assert!(files + 2 * rows.script.len() < BYTES_OF_ROWS, "{files}");
    }

    #[test]
    fn files_have_what_their_names_say() {
        let rows = Rows::new(3);
        let files = Files::new(&rows).unwrap();
        let read = |path| fs::read_to_string(path).unwrap();
        assert_eq!(read(files.script()), rows.script);
        assert_eq!(
            read(files.in_transaction(true)),
            format!("BEGIN;\n{}COMMIT;\n", rows.hand_made)
        );
        assert_eq!(read(files.tabbed()), rows.tabbed);
    }
}
