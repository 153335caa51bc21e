//! The mariadb client: what the server writes to its general log while a script runs.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::process::{Command, Stdio};
use std::sync::Mutex;

use sql_batcher_core::Dialect;
use sql_batcher_tests::servers::mysql_url;

use super::{Comparison, Explained, File, cases, folder, program, scripts, texts};

/// The file of the server's general log.
const LOG: &str = "SQL_BATCHER_TEST_MYSQL_GENERAL_LOG";
const SCRIPTS: &str = "SQL_BATCHER_TEST_MYSQL_SCRIPTS";

const EXPLAINED_CASES: &[Explained] = &[
    (
        "delimiter-in-a-line",
        "behind a statement the client reads the next line into the delimiter; it cannot be meant",
    ),
    ("nul", "the client stops at a NUL byte unless it is told --binary-mode"),
];
const EXPLAINED_SCRIPTS: &[Explained] = &[];

/// The general log is one for the whole server.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

#[test]
fn cases_are_split_as_mariadb_splits_them() {
    let Some(server) = Server::from_environment() else { return };
    let mut comparison = Comparison::new(Dialect::MySql, texts::mysql, EXPLAINED_CASES);
    server.logging(|| {
        for (name, script) in cases("mysql") {
            comparison.compare(&name, &script, &|script| server.sent(script));
        }
    });
    comparison.finish();
}

/// The scripts with which MariaDB sets itself up, or those of another folder.
#[test]
fn scripts_of_the_server_are_split_as_mariadb_splits_them() {
    let Some(folder) = folder(SCRIPTS, "scripts for the mariadb client") else { return };
    let Some(server) = Server::from_environment() else { return };
    let mut comparison = Comparison::new(Dialect::MySql, texts::mysql, EXPLAINED_SCRIPTS);
    let mut commands = 0;
    server.logging(|| {
        for (name, script) in scripts(&folder) {
            let (script, removed) = without_commands(&script);
            commands += removed;
            comparison.compare(&name, &script, &|script| server.sent(script));
        }
    });
    println!("{commands} lines with commands of the client taken out");
    comparison.finish();
}

/// A script without the lines that begin with a command of the client, and how many there were.
fn without_commands(script: &[u8]) -> (Vec<u8>, usize) {
    const COMMANDS: [&str; 11] = [
        "charset", "connect", "edit", "exit", "print", "prompt", "quit", "source", "status",
        "system", "tee",
    ];
    let is_command = |line: &&[u8]| {
        let word = line.trim_ascii_start().split(|byte| !byte.is_ascii_alphabetic()).next();
        word.is_some_and(|word| {
            COMMANDS.iter().any(|name| word.eq_ignore_ascii_case(name.as_bytes()))
        })
    };
    let (commands, lines): (Vec<&[u8]>, Vec<&[u8]>) =
        script.split_inclusive(|byte| *byte == b'\n').partition(is_command);
    (lines.concat(), commands.len())
}

/// A server of whose log we are told.
struct Server {
    arguments: Vec<String>,
    log: OsString,
    database: String,
}

impl Server {
    fn from_environment() -> Option<Self> {
        let url = mysql_url()?;
        let log = env::var_os(LOG)
            .unwrap_or_else(|| panic!("{LOG} must name the file of the server's general log"));
        let rest = url.split_once("://").expect("a URL has a scheme").1;
        let rest = rest.split_once('/').map_or(rest, |(authority, _)| authority);
        let (user, address) = rest.rsplit_once('@').unwrap_or(("root", rest));
        let (user, password) = user.split_once(':').unwrap_or((user, ""));
        let (host, port) = address.rsplit_once(':').unwrap_or((address, "3306"));
        let mut arguments =
            vec![format!("--user={user}"), format!("--host={host}"), format!("--port={port}")];
        if !password.is_empty() {
            arguments.push(format!("--password={password}"));
        }
        let database = format!("sql_batcher_split_{}", std::process::id());
        Some(Self { arguments, log, database })
    }

    /// Does something while the server logs, in a database that is there for as long.
    fn logging(&self, work: impl FnOnce()) {
        let _alone = ONE_AT_A_TIME.lock();
        let name = &self.database;
        self.run(&format!(
            "CREATE DATABASE {name}; SET GLOBAL log_output = 'FILE', general_log = ON"
        ));
        work();
        self.run("SET GLOBAL general_log = OFF");
        // A script may have left something that holds it: it is a server for tests.
        self.client().args(["-e", &format!("DROP DATABASE {name}")]).status().ok();
    }

    fn run(&self, sql: &str) {
        let done = self.client().args(["-e", sql]).status().expect("mariadb is installed");
        assert!(done.success(), "mariadb cannot run {sql}");
    }

    fn client(&self) -> Command {
        let mut command = Command::new(program("SQL_BATCHER_TEST_MYSQL_BIN", "mariadb"));
        command.arg("--no-defaults").args(&self.arguments).stdin(Stdio::null());
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command
    }

    /// The statements that the client sends for a script.
    fn sent(&self, script: &[u8]) -> Vec<Vec<u8>> {
        let file = File::new("mariadb.sql", script);
        let input = fs::File::open(&file.0).expect("the file was just written");
        let begin = fs::metadata(&self.log).expect("the server logs to a file").len();
        let marker = "SET SESSION max_statement_time = 20, lock_wait_timeout = 2 /* marker */";
        self.client()
            .args(["--force", "--default-character-set=utf8mb4"])
            .arg(format!("--init-command={marker}"))
            .arg(&self.database)
            .stdin(input)
            .status()
            .expect("mariadb is installed");
        let log = fs::read(&self.log).expect("the log can be read");
        let start = usize::try_from(begin).expect("the log is a file of this machine");
        logged(&log[start..], marker.as_bytes())
    }
}

/// The statements of the session that said the marker.
fn logged(log: &[u8], marker: &[u8]) -> Vec<Vec<u8>> {
    let records = records(log);
    let is_marker = |(_, text): &(&[u8], Vec<u8>)| text == marker;
    let begin = records.iter().position(is_marker).expect("the marker is logged");
    let session = records[begin].0;
    let own = records[begin + 1..].iter().filter(|(thread, _)| *thread == session);
    own.map(|(_, text)| text.clone()).collect()
}

/// The queries of a general log, each with its thread. A record begins with the time, or two tabs
/// where that is the same as before, then come the thread, the command and a tab.
fn records(log: &[u8]) -> Vec<(&[u8], Vec<u8>)> {
    let mut records: Vec<(&[u8], Vec<u8>)> = Vec::new();
    let mut is_query = false;
    for line in log.strip_suffix(b"\n").unwrap_or(log).split(|byte| *byte == b'\n') {
        if let Some((thread, command, text)) = head(line) {
            is_query = command == b"Query";
            if is_query {
                records.push((thread, text.to_vec()));
            }
        } else if let Some((_, text)) = records.last_mut().filter(|_| is_query) {
            text.push(b'\n');
            text.extend_from_slice(line);
        }
    }
    records
}

fn head(line: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    const COMMANDS: [&[u8]; 11] = [
        b"Query",
        b"Quit",
        b"Connect",
        b"Init DB",
        b"Field List",
        b"Statistics",
        b"Prepare",
        b"Execute",
        b"Close stmt",
        b"Reset stmt",
        b"Kill",
    ];
    let rest = match line {
        [b'\t', b'\t', rest @ ..] => rest,
        [b'0'..=b'9', _, _, _, _, b'0'..=b'9', b' ', _, _, b':', ..] => line.get(16..)?,
        _ => return None,
    };
    let rest = rest.trim_ascii_start();
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (thread, rest) = rest.split_at(digits);
    let rest = rest.strip_prefix(b" ").filter(|_| digits > 0)?;
    let tab = rest.iter().position(|byte| *byte == b'\t')?;
    let (command, text) = (&rest[..tab], &rest[tab + 1..]);
    COMMANDS.contains(&command).then_some((thread, command, text))
}
