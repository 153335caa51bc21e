//! Bad statements among many: they are left out and nothing else is, in few executions, and what is
//! left out can be run again once the cause is removed.
#![expect(clippy::unwrap_used, reason = "a test ends where something of its own fails")]

use std::{
    collections::BTreeSet,
    fmt::Write as _,
    fs,
    path::Path,
    process::{self, Command, Output},
};

use serde_json::Value;
use sql_batcher::{
    RetryOptions,
    adapters::{PoolOptions, Request, Scope},
    connect,
};
use sql_batcher_tests::{
    dumps::program,
    servers::{mysql_url, postgres_url},
};

const ROWS: usize = 100_000;
/// Exit code of a run that has left statements out.
const FINISHED_WITH_REJECTS: i32 = 3;

/// A database, and how a column counts by itself there.
struct Target {
    url: String,
    counter: &'static str,
}

impl Target {
    #[tokio::main(flavor = "current_thread")]
    async fn execute(&self, sql: &str) {
        let adapter = connect(&self.url, &PoolOptions::default(), &RetryOptions::default()).await;
        let mut connection = adapter.unwrap().acquire().await.unwrap();
        let ends = [u32::try_from(sql.len()).unwrap()];
        let request = Request { body: sql.as_bytes(), ends: &ends, scope: Scope::Bare, copy: None };
        connection.execute(request).await.unwrap();
    }

    /// The rows of a table in the order in which they were inserted.
    #[tokio::main(flavor = "current_thread")]
    async fn rows(&self, table: &str) -> Vec<usize> {
        let adapter = connect(&self.url, &PoolOptions::default(), &RetryOptions::default()).await;
        let mut connection = adapter.unwrap().acquire().await.unwrap();
        let sql = format!("SELECT CAST(id AS CHAR(20)) FROM {table} WHERE id >= 0 ORDER BY seq");
        let rows = connection.fetch(&sql).await.unwrap();
        rows.into_iter().flatten().flatten().map(|id| id.trim().parse().unwrap()).collect()
    }

    fn run(&self, script: &Path, more: &[&str]) -> Output {
        let mut run = Command::new(program());
        run.args(["run", "--report", "json", "--database", &self.url, "--max-bytes", "64KiB"]);
        run.args(more).arg(script).output().unwrap()
    }

    /// Runs a script with so many bad statements; says how many executions there were.
    fn leaves_out(&self, bad: usize, with_ledger: bool) {
        let folder = tempfile::tempdir().unwrap();
        let (script, rejects) = (folder.path().join("a.sql"), folder.path().join("rejects.sql"));
        let table = format!("bad_{bad}_{}_{}", u8::from(with_ledger), process::id());
        let bad: BTreeSet<usize> = (0..bad).map(|n| (n * 7919 + 4321) % ROWS).collect();
        fs::write(&script, text(&table, &bad)).unwrap();
        let Self { counter, .. } = self;
        self.execute(&format!("CREATE TABLE {table} (seq {counter}, id INTEGER, code INTEGER)"));
        self.execute(&format!("CREATE UNIQUE INDEX {table}_code ON {table} (code)"));
        self.execute(&format!("INSERT INTO {table} (id, code) VALUES (-1, -1)"));

        let file = rejects.to_str().unwrap();
        let mut more = vec!["--on-error", "skip", "--rejects", file];
        more.extend(with_ledger.then_some("--ledger"));
        let output = self.run(&script, &more);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(FINISHED_WITH_REJECTS), "{said}");
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        let count = |name: &str| report[name].as_u64().unwrap();
        assert_eq!((count("rejected"), count("applied")), (bad.len() as u64, left(&bad)));
        self.check_executions(&report, bad.len() as u64);

        let mut expected: Vec<usize> = (0..ROWS).filter(|id| !bad.contains(id)).collect();
        assert_eq!(self.rows(&table), expected);
        self.check_rejects(&table, &rejects, &bad);
        expected.extend(&bad);
        assert_eq!(self.rows(&table), expected);
        self.execute(&format!("DROP TABLE {table}"));
    }

    fn check_executions(&self, report: &Value, bad: u64) {
        let count = |name: &str| report[name].as_u64().unwrap();
        let (attempts, batches) = (count("attempts"), count("batches"));
        let per_batch = (ROWS as u64).div_ceil(batches);
        let most = batches + 2 * bad * u64::from(per_batch.next_power_of_two().ilog2());
        println!("{bad} bad: {attempts} executions of {batches} batches, at most {most}");
        assert!(attempts <= most, "{attempts} executions exceed {most}");
    }

    /// The file has the bad statements, each with its place, and runs once the cause is removed.
    fn check_rejects(&self, table: &str, rejects: &Path, bad: &BTreeSet<usize>) {
        let text = fs::read_to_string(rejects).unwrap();
        let found: Vec<&str> = text.lines().filter(|line| line.starts_with("INSERT")).collect();
        let expected: Vec<String> = bad.iter().map(|id| statement(table, *id, true)).collect();
        assert_eq!(found, expected);
        for id in bad {
            let place = format!("a.sql:{}:1: statement {}: ", id + 1, id + 1);
            assert!(text.contains(&place), "{place}");
        }
        let on = if self.url.starts_with("mysql") { format!(" ON {table}") } else { String::new() };
        self.execute(&format!("DROP INDEX {table}_code{on}"));
        let again = self.run(rejects, &[]);
        assert!(again.status.success(), "{}", String::from_utf8_lossy(&again.stderr));
    }
}

fn left(bad: &BTreeSet<usize>) -> u64 {
    (ROWS - bad.len()) as u64
}

/// A bad one repeats a code that is there.
fn statement(table: &str, id: usize, bad: bool) -> String {
    let code = if bad { "-1".to_owned() } else { id.to_string() };
    format!("INSERT INTO {table} (id, code) VALUES ({id}, {code});")
}

fn text(table: &str, bad: &BTreeSet<usize>) -> String {
    let mut text = String::new();
    for id in 0..ROWS {
        writeln!(text, "{}", statement(table, id, bad.contains(&id))).unwrap();
    }
    text
}

fn leaves_out_one_ten_and_a_hundred(target: &Target) {
    for bad in [1, 10, 100] {
        target.leaves_out(bad, false);
    }
    target.leaves_out(10, true);
}

#[test]
fn sqlite_gets_all_but_the_bad_statements() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", folder.path().join("bad.db").display());
    leaves_out_one_ten_and_a_hundred(&Target { url, counter: "INTEGER PRIMARY KEY AUTOINCREMENT" });
}

#[test]
fn postgresql_gets_all_but_the_bad_statements() {
    let Some(url) = postgres_url() else { return };
    leaves_out_one_ten_and_a_hundred(&Target { url, counter: "bigserial PRIMARY KEY" });
}

#[test]
fn mariadb_gets_all_but_the_bad_statements() {
    let Some(url) = mysql_url() else { return };
    leaves_out_one_ten_and_a_hundred(&Target { url, counter: "BIGINT AUTO_INCREMENT PRIMARY KEY" });
}
