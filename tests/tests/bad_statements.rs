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
use sql_batcher_tests::{
    direct::Direct,
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
    fn run(&self, script: &Path, more: &[&str]) -> Output {
        let mut run = Command::new(program());
        run.args(["run", "--report", "json", "--database", &self.url, "--max-bytes", "64KiB"]);
        run.args(more).arg(script).output().unwrap()
    }

    /// Runs a script with so many bad statements; says how many executions there were.
    async fn leaves_out(&self, bad: usize, how: &[&str]) {
        let folder = tempfile::tempdir().unwrap();
        let (script, rejects) = (folder.path().join("a.sql"), folder.path().join("rejects.sql"));
        let table = format!("bad_{bad}_{}_{}", how.concat().replace('-', ""), process::id());
        let bad: BTreeSet<usize> = (0..bad).map(|n| (n * 7919 + 4321) % ROWS).collect();
        fs::write(&script, text(&table, &bad)).unwrap();
        let Self { counter, .. } = self;
        let mut direct = Direct::to(&self.url).await;
        direct
            .run(&[
                &format!("CREATE TABLE {table} (seq {counter}, id INTEGER, code INTEGER)"),
                &format!("CREATE UNIQUE INDEX {table}_code ON {table} (code)"),
                &format!("INSERT INTO {table} (id, code) VALUES (-1, -1)"),
            ])
            .await;

        let file = rejects.to_str().unwrap();
        let mut more = vec!["--on-error", "skip", "--rejects", file];
        more.extend(how);
        let output = self.run(&script, &more);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(FINISHED_WITH_REJECTS), "{said}");
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        let count = |name: &str| report[name].as_u64().unwrap();
        assert_eq!((count("rejected"), count("applied")), (bad.len() as u64, left(&bad)));
        self.check_executions(&report, bad.len() as u64);

        let ids = format!("SELECT id FROM {table} WHERE id >= 0 ORDER BY seq");
        let mut expected: Vec<i64> = (0..ROWS).filter(|id| !bad.contains(id)).map(id_of).collect();
        assert_eq!(direct.numbers(&ids).await, expected);
        check_rejects(&table, &rejects, &bad);
        let on = if self.url.starts_with("mysql") { format!(" ON {table}") } else { String::new() };
        direct.run(&[&format!("DROP INDEX {table}_code{on}")]).await;
        let again = self.run(&rejects, &[]);
        assert!(again.status.success(), "{}", String::from_utf8_lossy(&again.stderr));
        expected.extend(bad.into_iter().map(id_of));
        assert_eq!(direct.numbers(&ids).await, expected);
        direct.run(&[&format!("DROP TABLE {table}")]).await;
    }

    fn check_executions(&self, report: &Value, bad: u64) {
        let count = |name: &str| report[name].as_u64().unwrap();
        let (attempts, batches) = (count("attempts"), count("batches"));
        let per_batch = (ROWS as u64).div_ceil(batches);
        let most = batches + 2 * bad * u64::from(per_batch.next_power_of_two().ilog2());
        println!("{bad} bad: {attempts} executions of {batches} batches, at most {most}");
        assert!(attempts <= most, "{attempts} executions exceed {most}");
    }
}

/// The file has the bad statements, each with its place.
fn check_rejects(table: &str, rejects: &Path, bad: &BTreeSet<usize>) {
    let text = fs::read_to_string(rejects).unwrap();
    let found: Vec<&str> = text.lines().filter(|line| line.starts_with("INSERT")).collect();
    let expected: Vec<String> = bad.iter().map(|id| statement(table, *id, true)).collect();
    assert_eq!(found, expected);
    for id in bad {
        let place = format!("a.sql:{}:1: statement {}: ", id + 1, id + 1);
        assert!(text.contains(&place), "{place}");
    }
}

fn id_of(row: usize) -> i64 {
    i64::try_from(row).unwrap()
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

async fn leaves_out_one_ten_and_a_hundred(target: &Target) {
    for bad in [1, 10, 100] {
        target.leaves_out(bad, &[]).await;
    }
    target.leaves_out(10, &["--ledger"]).await;
    target.leaves_out(100, &["--merge-inserts"]).await;
    target.leaves_out(10, &["--fast-path", "--ledger"]).await;
}

#[tokio::test]
async fn sqlite_gets_all_but_the_bad_statements() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", folder.path().join("bad.db").display());
    leaves_out_one_ten_and_a_hundred(&Target { url, counter: "INTEGER PRIMARY KEY AUTOINCREMENT" })
        .await;
}

#[tokio::test]
async fn postgresql_gets_all_but_the_bad_statements() {
    let Some(url) = postgres_url() else { return };
    leaves_out_one_ten_and_a_hundred(&Target { url, counter: "bigserial PRIMARY KEY" }).await;
}

#[tokio::test]
async fn mariadb_gets_all_but_the_bad_statements() {
    let Some(url) = mysql_url() else { return };
    leaves_out_one_ten_and_a_hundred(&Target { url, counter: "BIGINT AUTO_INCREMENT PRIMARY KEY" })
        .await;
}
