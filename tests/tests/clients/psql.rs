//! psql: what the server logs with `log_statement=all` while a script runs.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use sql_batcher_core::Dialect;
use sql_batcher_tests::servers::postgres_url;

use super::{Comparison, Explained, File, cases, folder, program, scripts, texts};

/// The file that the server logs to, each line after its session's process id and a bar.
const LOG: &str = "SQL_BATCHER_TEST_POSTGRES_LOG";
const REGRESS: &str = "SQL_BATCHER_TEST_POSTGRES_REGRESS";

const EXPLAINED_CASES: &[Explained] = &[
    (
        "escape-string-goes-on",
        "psql reads line by line and forgets that a string with escapes may go on in the next \
         line; the server, for which the script is meant, does not",
    ),
    ("not-utf8", "the server refuses a text that is not in its encoding before it logs it"),
    (
        "separator",
        "psql sends what \\; parts as one text, in which the server finds two statements",
    ),
];
const EXPLAINED_SCRIPTS: &[Explained] = &[
    ("copyselect", "COPY … FROM stdin; stands in one line with other statements, which is refused"),
    ("create_function_c", "psql puts in its variable LAST_ERROR_MESSAGE"),
];

#[test]
fn cases_are_split_as_psql_splits_them() {
    let Some(server) = Server::from_environment() else { return };
    let mut comparison = Comparison::new(Dialect::PostgreSql, texts::postgresql, EXPLAINED_CASES);
    let database = server.database();
    for (name, script) in cases("postgresql") {
        server.run(&database.url(), "DROP SCHEMA public CASCADE; CREATE SCHEMA public");
        comparison.compare(&name, &script, &|script| database.sent(script));
    }
    comparison.finish();
}

/// PostgreSQL's own scripts, which build on one another. Commands of psql are taken out for both
/// sides: lines that begin with one, and what ends a statement in place of its semicolon.
#[test]
fn regression_scripts_are_split_as_psql_splits_them() {
    let Some(folder) = folder(REGRESS, "PostgreSQL's regression scripts") else { return };
    let Some(server) = Server::from_environment() else { return };
    let database = server.database();
    let mut comparison = Comparison::new(Dialect::PostgreSql, texts::postgresql, EXPLAINED_SCRIPTS);
    let schedule = fs::read_to_string(folder.join("parallel_schedule")).unwrap_or_default();
    let place = |name: &str| schedule.split_whitespace().position(|word| word == name);
    let mut all = scripts(&folder.join("sql"));
    all.sort_by_key(|(name, _)| place(name).unwrap_or(usize::MAX));
    let mut commands = 0;
    for (name, script) in all {
        let (script, removed) = without_commands(&script);
        commands += removed;
        comparison.compare(&name, &script, &|script| database.sent(script));
    }
    println!("{commands} commands of psql taken out");
    comparison.finish();
}

/// A script without the commands of psql, and how many there were. A line that begins with one goes,
/// but for `\copy … from stdin`, which becomes a `COPY`; one that stands in place of a semicolon
/// becomes one, and so does `\;`.
fn without_commands(script: &[u8]) -> (Vec<u8>, usize) {
    let mut out = Vec::with_capacity(script.len());
    let mut removed = 0;
    for line in script.split_inclusive(|byte| *byte == b'\n') {
        let is_end_of_data = line.trim_ascii_end() == b"\\.";
        if line.trim_ascii_start().starts_with(b"\\") && !is_end_of_data {
            removed += 1;
            if memmem(line, b"from stdin").is_some() {
                out.extend_from_slice(line.trim_ascii()[1..].trim_ascii());
                out.extend_from_slice(b";\n");
            }
            continue;
        }
        let command = [&b"\\g"[..], b"\\crosstabview", b"\\watch", b"\\bind"]
            .iter()
            .filter_map(|command| memmem(line, command))
            .filter(|at| at.checked_sub(1).is_none_or(|before| line[before] != b'\\'))
            .min();
        match command {
            Some(at) if quotes(&line[..at]).is_multiple_of(2) => {
                out.extend_from_slice(&line[..at]);
                out.extend_from_slice(b";\n");
                removed += 1;
            }
            _ if memmem(line, b"\\;").is_some() && !line.contains(&b'\'') => {
                out.extend(line.iter().filter(|byte| **byte != b'\\'));
                removed += 1;
            }
            _ => out.extend_from_slice(line),
        }
    }
    (out, removed)
}

fn quotes(text: &[u8]) -> usize {
    text.iter().filter(|byte| **byte == b'\'').count()
}

fn memmem(text: &[u8], part: &[u8]) -> Option<usize> {
    text.windows(part.len()).position(|window| window == part)
}

/// A server of whose log we are told.
struct Server {
    url: String,
    log: OsString,
}

/// A database that is there for a while.
struct Database<'a> {
    server: &'a Server,
    name: String,
}

impl Server {
    fn from_environment() -> Option<Self> {
        let url = postgres_url()?;
        let log = env::var_os(LOG).unwrap_or_else(|| {
            panic!("{LOG} must name the file that the server logs to, with log_line_prefix='%p|'")
        });
        Some(Self { url, log })
    }

    fn database(&self) -> Database<'_> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("sql_batcher_split_{}_{number}", std::process::id());
        self.run(&self.url, &format!("CREATE DATABASE {name}"));
        Database { server: self, name }
    }

    fn run(&self, url: &str, sql: &str) {
        let done = self.psql(url).args(["-c", sql]).status().expect("psql is installed");
        assert!(done.success(), "psql cannot run {sql}");
    }

    fn psql(&self, url: &str) -> Command {
        let mut command = Command::new(program("SQL_BATCHER_TEST_POSTGRES_BIN", "psql"));
        command.args(["-X", "-q", "-d", url]).stdin(Stdio::null()).stdout(Stdio::null());
        command.env("PGCLIENTENCODING", "UTF8").stderr(Stdio::null());
        command
    }
}

impl Database<'_> {
    fn url(&self) -> String {
        let base = self.server.url.rsplit_once('/').expect("the URL names a database").0;
        format!("{base}/{}", self.name)
    }

    /// The statements that psql sends for a script.
    fn sent(&self, script: &[u8]) -> Vec<Vec<u8>> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let marker = format!("SELECT 'script {number} of {}'", self.name);
        let file = File::new(&format!("{number}.sql"), script);
        let begin = fs::metadata(&self.server.log).expect("the server logs to a file").len();
        self.server
            .psql(&self.url())
            .args(["-c", &marker, "-f"])
            .arg(&file.0)
            .env("PGOPTIONS", "-c log_statement=all -c statement_timeout=20s")
            .status()
            .expect("psql is installed");
        let log = fs::read(&self.server.log).expect("the log can be read");
        let start = usize::try_from(begin).expect("the log is a file of this machine");
        logged(&log[start..], marker.as_bytes())
    }
}

impl Drop for Database<'_> {
    fn drop(&mut self) {
        // A script may have left something that holds it: it is a server for tests.
        let sql = format!("DROP DATABASE {} WITH (FORCE)", self.name);
        self.server.psql(&self.server.url).args(["-c", &sql]).status().ok();
    }
}

/// The statements of the session that said the marker. One that cannot be parsed is not logged as
/// a statement but with its error.
fn logged(log: &[u8], marker: &[u8]) -> Vec<Vec<u8>> {
    const STATEMENT: &[u8] = b"LOG:  statement: ";
    let records = records(log);
    let first = [STATEMENT, marker].concat();
    let begin = records.iter().position(|(_, text)| *text == first).expect("the marker is logged");
    let session = records[begin].0;
    let mut statements: Vec<Vec<u8>> = Vec::new();
    let mut failed = true;
    for (_, text) in records[begin + 1..].iter().filter(|(process, _)| *process == session) {
        if let Some(statement) = text.strip_prefix(STATEMENT) {
            statements.push(statement.to_vec());
            failed = false;
        } else if let Some(statement) = text.strip_prefix(b"STATEMENT:  ") {
            if failed || statements.last().map(Vec::as_slice) != Some(statement) {
                statements.push(statement.to_vec());
            }
            failed = true;
        }
    }
    statements
}

/// The records of a log, each with its process. Further lines of a record begin with a tab.
fn records(log: &[u8]) -> Vec<(&[u8], Vec<u8>)> {
    let mut records: Vec<(&[u8], Vec<u8>)> = Vec::new();
    for line in log.split(|byte| *byte == b'\n') {
        let bar = line.iter().position(|byte| *byte == b'|');
        let process = bar
            .map(|bar| &line[..bar])
            .filter(|id| !id.is_empty() && id.iter().all(u8::is_ascii_digit));
        match (process, records.last_mut()) {
            (Some(process), _) => records.push((process, line[process.len() + 1..].to_vec())),
            (None, Some((_, text))) if line.starts_with(b"\t") => {
                text.push(b'\n');
                text.extend_from_slice(&line[1..]);
            }
            (None, _) => {}
        }
    }
    records
}
