//! What becomes of bad statements that a run leaves out: they are handed to whoever keeps them,
//! before the run goes on. And the file that the command line keeps them in.

use std::{
    collections::HashSet,
    fmt,
    fs::{File, OpenOptions},
    io::{self, BufRead as _, BufReader, Seek as _, SeekFrom, Write as _},
    ops::Range,
    path::Path,
    sync::Mutex,
};

use sql_batcher_adapters::{CopyPart, Dialect};

use crate::{Error, Position, batch::Batch, session_memory::Replay};

/// What the first line of an entry begins with.
const MARK: &str = "-- rejected: statement ";

/// A bad statement that was left out; or a whole transaction of the script's own.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Reject<'a> {
    /// Where it starts in the input.
    pub position: &'a Position,
    /// How many statements it is: 1, but for a transaction.
    pub statements: u64,
    /// What the database said, with the position of the very statement.
    pub error: &'a Error,
    /// The text as a script, ready to be run again once the cause is removed.
    pub sql: &'a [u8],
    /// The settings that the script had made before it and after the last reject (`SET`, `USE`), as
    /// a script.
    pub settings: &'a [u8],
}

/// Whoever keeps rejected statements. Called once for each, before the run goes on.
pub trait Rejects: Send {
    /// Keeps a bad statement.
    ///
    /// # Errors
    /// Where it cannot be kept: the run ends then.
    fn reject(&mut self, reject: &Reject<'_>) -> io::Result<()>;
}

impl<F: FnMut(&Reject<'_>) -> io::Result<()> + Send> Rejects for F {
    fn reject(&mut self, reject: &Reject<'_>) -> io::Result<()> {
        self(reject)
    }
}

/// A file of rejected statements, which is a script: each entry has its error and position in
/// comments, and runs once the cause is removed.
#[derive(Debug)]
pub struct RejectsFile {
    file: File,
    /// Numbers of the statements that are in it from an earlier process.
    known: HashSet<u64>,
}

impl RejectsFile {
    /// Begins a file.
    ///
    /// # Errors
    /// Where it cannot be made, or exists and is not empty.
    pub fn create(path: impl AsRef<Path>) -> io::Result<Self> {
        let path = path.as_ref();
        let file = OpenOptions::new().write(true).create(true).truncate(false).open(path)?;
        if file.metadata()?.len() > 0 {
            let message = "it exists and is not empty: remove it, or choose another";
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, message));
        }
        Ok(Self { file, known: HashSet::new() })
    }

    /// Goes on with the file of a run that is resumed, or begins one. An entry that was not
    /// written to its end is taken off; what is in it is not written again.
    ///
    /// # Errors
    /// Where it cannot be opened, or is no file of rejected statements.
    pub fn resume(path: impl AsRef<Path>) -> io::Result<Self> {
        let path = path.as_ref();
        let mut file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        let (known, end) = entries(&file)?;
        file.set_len(end)?;
        file.seek(SeekFrom::End(0))?;
        Ok(Self { file, known })
    }
}

impl Rejects for RejectsFile {
    fn reject(&mut self, reject: &Reject<'_>) -> io::Result<()> {
        let number = reject.position.statement;
        if self.known.contains(&number) {
            return Ok(());
        }
        self.file.write_all(&entry(reject))?;
        self.file.flush()
    }
}

/// An entry: a line with its length, the error in comments, the settings, the statements.
fn entry(reject: &Reject<'_>) -> Vec<u8> {
    let error = reject.error.to_string();
    let mut text = Vec::new();
    for line in error.lines() {
        text.extend_from_slice(format!("-- {line}\n").as_bytes());
    }
    text.extend_from_slice(reject.settings);
    text.extend_from_slice(reject.sql);
    if !text.ends_with(b"\n") {
        text.push(b'\n');
    }
    let number = reject.position.statement;
    let mut entry = format!("{MARK}{number}, {} bytes follow\n", text.len()).into_bytes();
    entry.append(&mut text);
    entry
}

/// The numbers of the entries of a file, and where the last whole one ends.
fn entries(file: &File) -> io::Result<(HashSet<u64>, u64)> {
    let length = file.metadata()?.len();
    let mut reader = BufReader::new(file);
    let (mut known, mut end) = (HashSet::new(), 0);
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = reader.read_until(b'\n', &mut line)? as u64;
        let Some((number, bytes)) = mark(&line) else {
            let torn = read > 0 && !line.ends_with(b"\n");
            if read == 0 || torn {
                return Ok((known, end));
            }
            let message = "it is no file of rejected statements";
            return Err(io::Error::new(io::ErrorKind::InvalidData, message));
        };
        if end + read + bytes > length {
            return Ok((known, end));
        }
        end += read + bytes;
        reader.seek(SeekFrom::Start(end))?;
        known.insert(number);
    }
}

/// The number and the length that the first line of an entry says.
fn mark(line: &[u8]) -> Option<(u64, u64)> {
    let line = std::str::from_utf8(line).ok()?.strip_prefix(MARK)?;
    let (number, bytes) = line.strip_suffix(" bytes follow\n")?.split_once(", ")?;
    Some((number.parse().ok()?, bytes.parse().ok()?))
}

/// What a run does with bad statements.
pub(crate) struct Skipping {
    /// The most that may be left out.
    max: Option<u64>,
    kept: Mutex<Kept>,
}

struct Kept {
    by: Box<dyn Rejects>,
    statements: u64,
    /// How many settings were said with rejects.
    settings: usize,
}

/// Why something was not left out.
pub(crate) enum Unkept {
    TooMany(u64),
    Unwritten(io::Error),
}

impl Skipping {
    pub(crate) fn new(by: Box<dyn Rejects>, max: Option<u64>) -> Self {
        Self { max, kept: Mutex::new(Kept { by, statements: 0, settings: 0 }) }
    }

    /// Hands a reject on, unless too many were before it. `settings` gives what was set since the
    /// first so many, and how many there are.
    pub(crate) fn reject(
        &self,
        reject: &Reject<'_>,
        settings: impl FnOnce(usize) -> (Option<Replay>, usize),
    ) -> Result<(), Unkept> {
        let mut kept = self.kept.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let statements = kept.statements + reject.statements;
        if let Some(max) = self.max.filter(|max| statements > *max) {
            return Err(Unkept::TooMany(max));
        }
        let (replay, count) = settings(kept.settings);
        let settings = replay.as_ref().map(Replay::script).unwrap_or_default();
        let reject = Reject { settings: &settings, ..*reject };
        kept.by.reject(&reject).map_err(Unkept::Unwritten)?;
        kept.statements = statements;
        kept.settings = count;
        Ok(())
    }
}

impl fmt::Debug for Skipping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Skipping").field("max", &self.max).finish_non_exhaustive()
    }
}

/// Statements of a batch, by index, as a script that is split as they were.
pub(crate) fn script(batch: &Batch, range: Range<usize>, dialect: Dialect) -> Vec<u8> {
    let mut script = Vec::new();
    for index in range {
        let text = batch.statement(index).unwrap_or_default();
        let with_separator = batch.whole(index);
        if dialect == Dialect::MySql && text.contains(&b';') {
            let delimiter = delimiter(&text);
            let lines: [&[u8]; 7] =
                [b"DELIMITER ", &delimiter, b"\n", &text, b"\n", &delimiter, b"\nDELIMITER ;\n"];
            script.extend(lines.concat());
            continue;
        }
        script.extend_from_slice(with_separator.unwrap_or(text).trim_ascii_end());
        script.push(b'\n');
    }
    if batch.copy == Some(CopyPart::Whole) {
        let data = batch.range(0).map_or(0, |statement| statement.end);
        script.extend_from_slice(batch.body().get(data..).unwrap_or_default());
        if !script.ends_with(b"\n") {
            script.push(b'\n');
        }
        script.extend_from_slice(b"\\.\n");
    }
    script
}

/// A delimiter that is not in the text.
fn delimiter(text: &[u8]) -> Vec<u8> {
    let mut delimiter = b"$$".to_vec();
    while text.windows(delimiter.len()).any(|window| window == delimiter) {
        delimiter.push(b'$');
    }
    delimiter
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        ErrorKind,
        batch::tests::{batch, rewrite},
    };

    fn position(statement: u64) -> Position {
        let input = Some("a.sql".into());
        let offset = 0;
        Position { input, line: 3, column: 1, offset, total_offset: 0, statement, batch: None }
    }

    fn write(rejects: &mut dyn Rejects, statement: u64, sql: &str) -> io::Result<()> {
        let position = position(statement);
        let error = Error::new(ErrorKind::Database, "no\nsuch table").at(Some(position.clone()));
        let (sql, settings) = (sql.as_bytes(), &b"USE d;\n"[..]);
        rejects.reject(&Reject { position: &position, statements: 1, error: &error, sql, settings })
    }

    #[test]
    fn an_entry_is_a_script_with_its_error_in_comments() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rejects.sql");
        let mut file = RejectsFile::create(&path).unwrap();
        write(&mut file, 417, "INSERT 1;\n").unwrap();
        assert_eq!(
            std::fs::read_to_string(&path).unwrap(),
            "-- rejected: statement 417, 63 bytes follow\n\
             -- a.sql:3:1: statement 417: no\n-- such table\nUSE d;\nINSERT 1;\n"
        );
        let again = RejectsFile::create(&path).unwrap_err();
        assert_eq!(again.kind(), io::ErrorKind::AlreadyExists);
    }

    #[test]
    fn a_file_is_gone_on_with_after_its_last_whole_entry() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rejects.sql");
        let mut file = RejectsFile::resume(&path).unwrap();
        write(&mut file, 1, "a;\n").unwrap();
        let one = std::fs::read(&path).unwrap();
        write(&mut file, 2, "b;\n").unwrap();
        let two = std::fs::read(&path).unwrap();
        for torn in one.len()..two.len() {
            std::fs::write(&path, &two[..torn]).unwrap();
            let mut file = RejectsFile::resume(&path).unwrap();
            write(&mut file, 1, "a;\n").unwrap();
            write(&mut file, 2, "b;\n").unwrap();
            assert_eq!(std::fs::read(&path).unwrap(), two, "{torn}");
        }
        std::fs::write(&path, "SELECT 1;\n").unwrap();
        assert!(RejectsFile::resume(&path).is_err());
    }

    #[test]
    fn a_body_with_semicolons_gets_a_delimiter_that_is_not_in_it() {
        let body = batch(&["CREATE TRIGGER x BEGIN a$$; END", "SELECT 1"]);
        assert_eq!(
            script(&body, 0..2, Dialect::MySql),
            b"DELIMITER $$$\nCREATE TRIGGER x BEGIN a$$; END\n$$$\nDELIMITER ;\nSELECT 1;\n"
        );
    }

    #[test]
    fn a_copy_has_its_data_and_their_end() {
        let mut copy = batch(&["COPY t FROM stdin"]);
        copy.copy = Some(CopyPart::Whole);
        rewrite(&mut copy, |body, _| body.extend_from_slice(b"1\n2\n"));
        let expected = b"COPY t FROM stdin;\n1\n2\n\\.\n";
        assert_eq!(script(&copy, 0..1, Dialect::PostgreSql), expected);
    }
}
