//! Runs of the program that are watched: what a collector and a real Prometheus see of them, and
//! that nobody sees a secret.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test ends where something of its own fails")]

mod prometheus;
mod secrets;
mod traces;

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::SocketAddr,
    process::{Child, ChildStderr, Command, Stdio},
};

use serde_json::Value;
use sql_batcher_tests::dumps::program;
use tempfile::TempDir;

/// The program while it runs; dropping it kills it.
struct Running {
    child: Option<Child>,
    stderr: BufReader<ChildStderr>,
    /// What was read of standard error.
    said: String,
    folder: TempDir,
}

/// How it has ended.
struct Ended {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Running {
    /// Starts `sql-batcher run` in a folder of its own, and gives it the script.
    fn start(script: &str, arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        let mut running = Self::open(script, arguments, variables);
        drop(running.child().stdin.take());
        running
    }

    /// As [`start`](Self::start), and the script goes on.
    fn open(script: &str, arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new(program());
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            if text.starts_with("OTEL_") || text.starts_with("SQL_BATCHER_") {
                command.env_remove(&name);
            }
        }
        command.env("NO_PROXY", "127.0.0.1").envs(variables.iter().copied());
        command.arg("run").args(arguments).current_dir(folder.path());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.as_mut().unwrap().write_all(script.as_bytes()).unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        Self { child: Some(child), stderr, said: String::new(), folder }
    }

    /// What is in a file of its folder.
    fn file(&self, name: &str) -> String {
        fs::read_to_string(self.folder.path().join(name)).unwrap()
    }

    fn child(&mut self) -> &mut Child {
        self.child.as_mut().unwrap()
    }

    /// Waits for a line on standard error that has this in it.
    fn line_with(&mut self, text: &str) -> String {
        loop {
            let mut line = String::new();
            self.stderr.read_line(&mut line).unwrap();
            assert!(!line.is_empty(), "it has ended without {text:?}:\n{}", self.said);
            self.said.push_str(&line);
            if line.contains(text) {
                return line;
            }
        }
    }

    /// Where its metrics are.
    fn metrics_address(&mut self) -> SocketAddr {
        let line = self.line_with("metrics are served at http://");
        let (_, rest) = line.split_once("http://").unwrap();
        rest.split_once("/metrics").unwrap().0.parse().unwrap()
    }

    /// The report, which comes before the end where metrics are served for longer.
    fn report(&mut self) -> Value {
        let stdout = self.child().stdout.as_mut().unwrap();
        serde_json::Deserializer::from_reader(stdout).into_iter().next().unwrap().unwrap()
    }

    fn interrupt(&mut self) {
        let id = self.child().id().to_string();
        assert!(Command::new("kill").args(["-s", "INT", &id]).status().unwrap().success());
    }

    /// Waits for its end; its input stays open until then.
    fn end(mut self) -> Ended {
        let mut child = self.child.take().unwrap();
        let input = child.stdin.take();
        let mut err = std::mem::take(&mut self.said);
        self.stderr.read_to_string(&mut err).unwrap();
        let ended = child.wait_with_output().unwrap();
        drop(input);
        Ended { code: ended.status.code(), out: String::from_utf8(ended.stdout).unwrap(), err }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }
}

/// A table and rows.
fn script(rows: usize) -> String {
    let row = |id| format!("INSERT INTO t VALUES ({id}, 'row {id}');\n");
    "CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT);\n".to_owned()
        + &(1..=rows).map(row).collect::<String>()
}
