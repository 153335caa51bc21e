//! The program is killed at random moments and resumed each time, on every database: at the end
//! each row is there exactly once, and each bad statement is among the rejects exactly once.
//! `SQL_BATCHER_TEST_SEED` repeats the moments of a failure as far as that can be,
//! `SQL_BATCHER_TEST_KILLS` says another number of them.
#![expect(clippy::unwrap_used, reason = "a test ends where something of its own fails")]

mod killer;
mod rejects;
mod rows;

use std::{path::Path, process::Command};

use sql_batcher_tests::{
    dumps::program,
    servers::{mysql_url, postgres_url},
};
use tempfile::TempDir;

/// A database, and how a script for it begins.
struct Target {
    url: String,
    setting: &'static str,
    /// Batches that are under way at once.
    in_flight: u32,
    has_table_locks: bool,
    has_copy: bool,
}

impl Target {
    fn sqlite(folder: &TempDir) -> Self {
        let url = format!("sqlite://{}", folder.path().join("killed.db").display());
        // What is killed is the program, not the machine.
        let setting = "PRAGMA synchronous = OFF";
        Self { url, setting, in_flight: 1, has_table_locks: false, has_copy: false }
    }

    fn postgres() -> Option<Self> {
        let (url, setting) = (postgres_url()?, "SET client_min_messages = warning");
        Some(Self { url, setting, in_flight: 1, has_table_locks: false, has_copy: true })
    }

    fn mysql() -> Option<Self> {
        let (url, setting) = (mysql_url()?, "SET foreign_key_checks = 0");
        Some(Self { url, setting, in_flight: 1, has_table_locks: true, has_copy: false })
    }

    fn with_in_flight(self, in_flight: u32) -> Self {
        Self { in_flight, ..self }
    }

    /// The command that begins a run of this name, and goes on with it each further time.
    fn command(&self, run: &str, script: &Path) -> Command {
        let mut command = Command::new(program());
        command.args(["run", "--quiet", "--database", &self.url, "--run", run, "--resume"]);
        command.args(["--in-flight", &self.in_flight.to_string(), "--max-bytes", "16KiB"]);
        command.arg(script);
        command
    }
}
