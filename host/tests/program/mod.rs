//! Starting the program in a folder of its own, and looking at what it leaves there.

#![expect(clippy::unwrap_used, reason = "what fails here fails a test")]

use std::{
    fs,
    io::{Read as _, Write as _},
    path::PathBuf,
    process::{Child, Command, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

use sqlx::{Connection as _, SqliteConnection, sqlite::SqliteConnectOptions};

/// How long something may take that happens soon.
const PATIENCE: Duration = Duration::from_secs(60);

/// A folder that the program runs in; removed at the end.
pub(crate) struct Folder(tempfile::TempDir);

/// How the program has ended.
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// The program, waiting for more input.
pub(crate) struct Fed(Child);

impl Folder {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    /// The program with nothing in its environment that could change what it does.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sql-batcher"));
        let others = std::env::vars_os().map(|(name, _)| name);
        let ours = |name: &str| name.starts_with("SQL_BATCHER_") || name.starts_with("OTEL_");
        for name in others.filter(|name| ours(&name.to_string_lossy())) {
            command.env_remove(name);
        }
        command.env_remove("PGPASSWORD").env_remove("MYSQL_PWD").env("NO_PROXY", "127.0.0.1");
        command.args(arguments).current_dir(self.0.path());
        command.stdin(Stdio::null()).stderr(Stdio::piped());
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        self.run_in(arguments, &[])
    }

    pub(crate) fn run_in(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Ran {
        let variables = variables.iter().copied();
        self.command(arguments).envs(variables).output().unwrap().into()
    }

    pub(crate) fn run_with(&self, arguments: &[&str], input: &[u8]) -> Ran {
        let mut fed = self.feed(arguments, input);
        drop(fed.0.stdin.take());
        fed.wait()
    }

    /// Gives the program some input and leaves it open.
    pub(crate) fn feed(&self, arguments: &[&str], input: &[u8]) -> Fed {
        let mut command = self.command(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.as_mut().unwrap().write_all(input).unwrap();
        Fed(child)
    }

    /// The number that a query of one of the databases gives.
    pub(crate) fn query(&self, database: &str, sql: &'static str) -> i64 {
        self.try_query(database, sql).unwrap()
    }

    /// Waits until the table `t` has so many rows.
    pub(crate) fn wait_for_rows(&self, database: &str, rows: i64) {
        let started = Instant::now();
        while self.try_query(database, "SELECT count(*) FROM t").ok() != Some(rows) {
            assert!(started.elapsed() < PATIENCE, "no {rows} rows in {database}");
            thread::yield_now();
        }
    }

    fn try_query(&self, database: &str, sql: &'static str) -> Result<i64, sqlx::Error> {
        let options = SqliteConnectOptions::new().filename(self.path(database)).read_only(true);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let mut connection = SqliteConnection::connect_with(&options).await?;
            sqlx::query_scalar(sql).fetch_one(&mut connection).await
        })
    }
}

impl Fed {
    /// Gives it more input.
    pub(crate) fn write(&mut self, input: &[u8]) {
        self.0.stdin.as_mut().unwrap().write_all(input).unwrap();
    }

    /// Gives it no more input.
    pub(crate) fn close(&mut self) {
        drop(self.0.stdin.take());
    }

    /// Sends a signal, by its name without `SIG`.
    #[cfg(unix)]
    pub(crate) fn signal(&mut self, name: &str) {
        let id = self.0.id().to_string();
        let sent = Command::new("kill").args(["-s", name, &id]).status().unwrap();
        assert!(sent.success());
    }

    /// Waits for the next line on standard error.
    pub(crate) fn error_line(&mut self) -> String {
        let stderr = self.0.stderr.as_mut().unwrap();
        let (mut line, mut byte) = (Vec::new(), [0]);
        // Not more than the line: the rest is for whoever waits for the end.
        while stderr.read_exact(&mut byte).is_ok() && byte != *b"\n" {
            line.extend(byte);
        }
        String::from_utf8(line).unwrap()
    }

    /// Waits for its end; its input stays open until then.
    pub(crate) fn wait(mut self) -> Ran {
        let input = self.0.stdin.take();
        let ended = self.0.wait_with_output().unwrap();
        drop(input);
        ended.into()
    }
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

/// The one document that a text is.
pub(crate) fn json(text: &str) -> serde_json::Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error} in {text:?}"))
}

pub(crate) fn lines(text: &str) -> Vec<&str> {
    text.lines().collect()
}
