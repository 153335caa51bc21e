//! A run with a ledger that a signal ends: it says how to go on, and doing just that completes it
//! with every row once. Most need servers, see [`sql_batcher_tests::servers`].
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test ends where something of its own fails")]

use std::{
    fmt::Write as _,
    fs::{self, File},
    io::{BufRead as _, BufReader, Read as _, Write as _},
    path::PathBuf,
    process::{self, Child, ChildStderr, Command, Output, Stdio},
    sync::mpsc::{Sender, channel},
    thread,
};

use sql_batcher_tests::{
    direct::Direct,
    dumps::program,
    servers::{mysql_url, postgres_url},
};
use tempfile::TempDir;

/// Rows of many batches.
const ROWS: i64 = 3000;
/// Rows before and behind a statement that waits.
const ROWS_BESIDE: i64 = 100;
/// What a run ends with that a signal has ended.
const INTERRUPTED: i32 = 130;
/// What comes before the options that go on with it.
const TO_GO_ON: &str = "to go on, run the same command again with ";

/// A script and a table of the test's own.
struct Script {
    url: String,
    table: String,
    folder: TempDir,
    direct: Direct,
}

/// The program under way.
struct Running {
    child: Child,
    said: BufReader<ChildStderr>,
}

impl Script {
    async fn new(url: &str, name: &str) -> Self {
        let table = format!("{name}_{}", process::id());
        let mut direct = Direct::to(url).await;
        direct.run(&[&format!("CREATE TABLE {table} (id INTEGER)")]).await;
        Self { url: url.to_owned(), table, folder: tempfile::tempdir().unwrap(), direct }
    }

    fn rows(&self, ids: std::ops::Range<i64>) -> String {
        let mut text = String::new();
        for id in ids {
            writeln!(text, "INSERT INTO {} VALUES ({id});", self.table).unwrap();
        }
        text
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("script.sql")
    }

    fn write(&self, text: &str) {
        fs::write(self.file(), text).unwrap();
    }

    /// Gives a text as a file that does not end before this is dropped, so that no run is at its
    /// end before it hears a signal.
    fn write_without_end(&self, text: String) -> Sender<()> {
        let (file, (end, ended)) = (self.file(), channel());
        assert!(Command::new("mkfifo").arg(&file).status().unwrap().success());
        thread::spawn(move || {
            let mut pipe = File::options().write(true).open(file).unwrap();
            // Nobody reads all of it where the run has ended.
            if pipe.write_all(text.as_bytes()).is_ok() {
                assert!(ended.recv().is_err(), "it is dropped");
            }
        });
        end
    }

    fn command(&self, more: &[&str]) -> Command {
        let mut command = Command::new(program());
        command.args(["run", "--database", &self.url, "--ledger", "--max-bytes", "4KiB"]);
        command.args(more).arg(self.file());
        command.stdout(Stdio::null()).stderr(Stdio::piped());
        command
    }

    fn start(&self) -> Running {
        let mut child = self.command(&[]).spawn().unwrap();
        let said = BufReader::new(child.stderr.take().unwrap());
        Running { child, said }
    }

    async fn count(&mut self) -> i64 {
        self.direct.number(&format!("SELECT count(*) FROM {}", self.table)).await
    }

    /// Does just what the run has said, and each row is there once.
    async fn goes_on(&mut self, said: &str, rows: i64) {
        let Some((_, options)) = said.lines().find_map(|line| line.split_once(TO_GO_ON)) else {
            panic!("it does not say how to go on: {said}");
        };
        let options: Vec<&str> = options.split_whitespace().collect();
        let Output { status, stderr, .. } = self.command(&options).output().unwrap();
        assert!(status.success(), "{status}: {}", String::from_utf8_lossy(&stderr));
        let different = format!("SELECT count(DISTINCT id) FROM {}", self.table);
        assert_eq!((self.count().await, self.direct.number(&different).await), (rows, rows));
    }

    async fn drop(mut self) {
        self.direct.run(&[&format!("DROP TABLE {}", self.table)]).await;
    }
}

impl Running {
    /// Sends it a signal, by its name without `SIG`.
    fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &id]).status().unwrap().success());
    }

    /// Waits until it says that it has heard the first signal.
    fn stops(&mut self) {
        let mut line = String::new();
        self.said.read_line(&mut line).unwrap();
        assert!(line.starts_with("stopping after the batch that is under way"), "{line:?}");
    }

    /// What it says until its end.
    fn end(mut self) -> (Option<i32>, String) {
        let mut said = String::new();
        self.said.read_to_string(&mut said).unwrap();
        (self.child.wait().unwrap().code(), said)
    }
}

/// One signal in the middle of many batches.
async fn ends_and_goes_on(url: &str) {
    for signal in ["INT", "TERM"] {
        let mut script = Script::new(url, &format!("signals_{signal}")).await;
        let rows = script.rows(0..ROWS);
        let end = script.write_without_end(rows.clone());
        let mut running = script.start();
        while script.count().await == 0 {
            tokio::task::yield_now().await;
        }
        running.signal(signal);
        running.stops();
        let (code, said) = running.end();
        assert_eq!(code, Some(INTERRUPTED), "{said}");
        drop(end);
        fs::remove_file(script.file()).unwrap();
        script.write(&rows);
        let applied = script.count().await;
        assert!(applied < ROWS, "the last batch has not ended");
        let lines: Vec<&str> = said.lines().collect();
        let fate = format!("{applied} statements were applied");
        assert_eq!(lines[0], "interrupted: nothing more was sent", "{said}");
        // More may have been read.
        assert_eq!(lines[1].split(';').next(), Some(&*fate), "{said}");
        script.goes_on(&said, ROWS).await;
        script.drop().await;
    }
}

/// Two signals while a statement waits for a lock.
async fn cancels_and_goes_on(url: &str, waiting: impl Fn(&str) -> String) {
    let mut script = Script::new(url, "signals_twice").await;
    let locked = format!("{}_locked", script.table);
    let update = format!("UPDATE {locked} SET n = n + 1 WHERE id = 1;\n");
    let before = script.rows(0..ROWS_BESIDE);
    script.write(&[before, update, script.rows(ROWS_BESIDE..2 * ROWS_BESIDE)].concat());
    let mut holder = Direct::to(url).await;
    holder
        .run(&[
            &format!("CREATE TABLE {locked} (id INTEGER PRIMARY KEY, n INTEGER)"),
            &format!("INSERT INTO {locked} VALUES (1, 0)"),
            "BEGIN",
            &format!("SELECT n FROM {locked} WHERE id = 1 FOR UPDATE"),
        ])
        .await;
    let mut running = script.start();
    script.direct.until(&waiting(&locked), 1).await;
    running.signal("INT");
    running.stops();
    running.signal("INT");
    let (code, said) = running.end();
    assert_eq!(code, Some(INTERRUPTED), "{said}");
    // The lock is still held: nothing but the cancel can have ended the wait.
    script.direct.until(&waiting(&locked), 0).await;
    holder.run(&["COMMIT"]).await;
    script.goes_on(&said, 2 * ROWS_BESIDE).await;
    assert_eq!(script.direct.number(&format!("SELECT n FROM {locked}")).await, 1);
    holder.run(&[&format!("DROP TABLE {locked}")]).await;
    script.drop().await;
}

#[tokio::test]
async fn a_run_into_sqlite_that_is_interrupted_says_how_to_go_on_and_that_completes_it() {
    let folder = tempfile::tempdir().unwrap();
    ends_and_goes_on(&format!("sqlite://{}", folder.path().join("a.db").display())).await;
}

#[tokio::test]
async fn a_run_into_postgresql_that_is_interrupted_says_how_to_go_on_and_that_completes_it() {
    let Some(url) = postgres_url() else { return };
    ends_and_goes_on(&url).await;
}

#[tokio::test]
async fn a_run_into_mysql_that_is_interrupted_says_how_to_go_on_and_that_completes_it() {
    let Some(url) = mysql_url() else { return };
    ends_and_goes_on(&url).await;
}

#[tokio::test]
async fn a_second_signal_cancels_on_postgresql_and_the_run_can_go_on() {
    let Some(url) = postgres_url() else { return };
    let waiting = |table: &str| {
        format!(
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' \
             AND query LIKE '%UPDATE {table}%' AND pid <> pg_backend_pid()"
        )
    };
    cancels_and_goes_on(&url, waiting).await;
}

#[tokio::test]
async fn a_second_signal_cancels_on_mysql_and_the_run_can_go_on() {
    let Some(url) = mysql_url() else { return };
    let waiting = |table: &str| {
        format!(
            "SELECT count(*) FROM information_schema.innodb_trx \
             WHERE trx_state = 'LOCK WAIT' AND trx_query LIKE '%UPDATE {table}%'"
        )
    };
    cancels_and_goes_on(&url, waiting).await;
}
