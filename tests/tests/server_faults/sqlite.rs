//! Faults of SQLite: a file that another process holds, and one that is full.

use std::{
    env,
    ffi::OsString,
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use sql_batcher::{ErrorKind, Report, RetryOptions};
use tempfile::TempDir;

use crate::run::{builder, patient, run, start};

/// How long a batch must not end for it to count as waiting.
const WHILE: Duration = Duration::from_millis(200);

const SCRIPT: &str = "INSERT INTO t VALUES (1, '');\nINSERT INTO t VALUES (2, '');\n";
/// The adapter's own patience is 5 s, which this test does not have.
const IMPATIENT: &str = "PRAGMA busy_timeout = 20;\n";

fn url(folder: &TempDir) -> String {
    format!("sqlite://{}?mode=rwc", folder.path().join("a.db").display())
}

fn shell(file: &Path) -> Command {
    let shell = env::var_os("SQL_BATCHER_TEST_SQLITE_SHELL");
    let mut shell = Command::new(shell.unwrap_or_else(|| OsString::from("sqlite3")));
    shell.args(["-init", "/dev/null", "-batch"]).arg(file);
    shell.stdin(Stdio::piped()).stdout(Stdio::piped());
    shell
}

/// Another process that holds the file for writing, until it is told to let go.
struct Holder(Child);

impl Holder {
    fn of(file: &Path) -> Self {
        let mut child = shell(file).spawn().expect("the shell is installed");
        let input = child.stdin.as_mut().expect("it is a pipe");
        input.write_all(b"BEGIN IMMEDIATE;\nSELECT 'held';\n").expect("it listens");
        let output = child.stdout.as_mut().expect("it is a pipe");
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line).expect("it answers");
        assert_eq!(line.trim(), "held");
        Self(child)
    }

    fn lets_go(mut self) {
        drop(self.0.stdin.take());
        self.0.wait().expect("it ends");
    }
}

async fn with_table(folder: &TempDir) {
    let ended = run(builder(&url(folder)).await, "CREATE TABLE t (id, filling);").await;
    assert!(ended.error.is_none(), "{ended}");
}

fn rows(folder: &TempDir) -> String {
    let output = shell(&folder.path().join("a.db")).arg("SELECT count(*) FROM t").output();
    let output = output.expect("the shell is installed");
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).expect("it is a number").trim().to_owned()
}

#[tokio::test]
async fn a_file_of_sqlite_that_another_process_holds_is_an_error_and_nothing_is_applied() {
    let folder = TempDir::new().unwrap();
    with_table(&folder).await;
    let holder = Holder::of(&folder.path().join("a.db"));
    let impatient = builder(&url(&folder)).await.retries(RetryOptions::none());
    let ended = run(impatient, &format!("{IMPATIENT}{SCRIPT}")).await;
    let code = ended.code();
    assert_eq!((ended.kind(), code), (Some(ErrorKind::Database), Some("SQLITE_BUSY")), "{ended}");
    assert_eq!((ended.report.applied, ended.report.unknown), (1, 0), "{ended}");
    holder.lets_go();
    assert_eq!(rows(&folder), "0");
}

#[tokio::test]
async fn a_file_of_sqlite_that_another_process_holds_is_waited_for() {
    let folder = TempDir::new().unwrap();
    with_table(&folder).await;
    let holder = Holder::of(&folder.path().join("a.db"));
    let retrying = builder(&url(&folder)).await.retries(patient());
    let mut run = start(retrying, &format!("{IMPATIENT}{SCRIPT}"));
    assert!(tokio::time::timeout(WHILE, &mut run).await.is_err(), "it should wait");
    holder.lets_go();
    let ended = run.await.expect("it does not panic");
    assert!(ended.error.is_none() && ended.report.retries.conflict > 0, "{ended}");
    assert_eq!(rows(&folder), "2");
}

#[tokio::test]
async fn a_batch_that_fills_a_file_of_sqlite_is_taken_back_and_works_once_there_is_room() {
    let folder = TempDir::new().unwrap();
    with_table(&folder).await;
    let script = "INSERT INTO t VALUES (1, '');\n\
                  INSERT INTO t VALUES (2, zeroblob(1000000));\n\
                  INSERT INTO t VALUES (3, '');\n";
    let limit = "PRAGMA max_page_count = 20;\n";
    let full = run(builder(&url(&folder)).await, &format!("{limit}{script}")).await;
    let code = full.code();
    assert_eq!((full.kind(), code), (Some(ErrorKind::Database), Some("SQLITE_FULL")), "{full}");
    let Report { applied, failed, rolled_back, .. } = full.report;
    assert_eq!((applied, failed, rolled_back), (1, 1, 2), "{full}");
    assert_eq!(rows(&folder), "0");
    let ended = run(builder(&url(&folder)).await, script).await;
    assert!(ended.error.is_none(), "{ended}");
    assert_eq!(rows(&folder), "3");
}
