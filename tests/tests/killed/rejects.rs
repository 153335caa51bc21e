//! Each good row exactly once, and each bad statement exactly once among the rejects, which can be
//! run once the cause is removed.

use std::{fmt::Write as _, fs, ops::Range, path::Path, process};

use sql_batcher_tests::direct::Direct;

use crate::{Target, killer::Killer};

const ROWS: i64 = 20_000;
const KILLS: u32 = 60;
/// With batches beside one another.
const KILLS_IN_FLIGHT: u32 = 30;
const IN_FLIGHT: u32 = 4;
/// Rows that are inserted in transactions of the script's own, each of so many.
const TRANSACTIONS: Range<i64> = 5_000..10_000;
const PER_TRANSACTION: i64 = 10;
/// What a run ends with that has left statements out.
const FINISHED_WITH_REJECTS: i32 = 3;

/// A script, and what of it is bad.
#[derive(Default)]
struct Script {
    text: String,
    statements: u64,
    /// Rows of bad statements and transactions.
    bad_rows: Vec<i64>,
    /// Numbers of the bad statements; of a transaction that of its first.
    bad: Vec<u64>,
}

impl Script {
    fn of(target: &Target, table: &str) -> Self {
        let mut script = Self::default();
        script.add(target.setting);
        for id in (0..ROWS).filter(|id| !TRANSACTIONS.contains(id)) {
            if insert(table, id).1 {
                script.bad.push(script.statements + 1);
                script.bad_rows.push(id);
            }
            script.add(&insert(table, id).0);
        }
        for first in TRANSACTIONS.step_by(PER_TRANSACTION as usize) {
            let ids = first..first + PER_TRANSACTION;
            if ids.clone().any(|id| insert(table, id).1) {
                script.bad.push(script.statements + 1);
                script.bad_rows.extend(ids.clone());
            }
            script.add("BEGIN");
            ids.for_each(|id| script.add(&insert(table, id).0));
            script.add("COMMIT");
        }
        script.bad_rows.sort_unstable();
        script
    }

    fn add(&mut self, statement: &str) {
        writeln!(self.text, "{statement};").unwrap();
        self.statements += 1;
    }
}

/// The statement for a row, and whether it is bad: for a code that is there already, or for a table
/// that is missing.
fn insert(table: &str, id: i64) -> (String, bool) {
    match id % 101 {
        13 => (format!("INSERT INTO {table} VALUES ({id}, -1)"), true),
        57 => (format!("INSERT INTO {table}_missing VALUES ({id}, {id})"), true),
        _ => (format!("INSERT INTO {table} VALUES ({id}, {id})"), false),
    }
}

/// The numbers of the statements that a file of rejects has, in order.
fn rejected(file: &Path) -> Vec<u64> {
    let text = fs::read_to_string(file).unwrap();
    let entries = text.lines().filter_map(|line| line.strip_prefix("-- rejected: statement "));
    let number = |entry: &str| entry.split(',').next().unwrap().parse().unwrap();
    let mut numbers: Vec<u64> = entries.map(number).collect();
    numbers.sort_unstable();
    numbers
}

/// Runs a script again and again until it was killed often enough, and each run to its end.
async fn survives(target: &Target, kills: u32) {
    let mut killer = Killer::new(kills);
    let mut direct = Direct::to(&target.url).await;
    for round in 0.. {
        if round > 0 && killer.is_done() {
            return;
        }
        let table = format!("rejects_{}_{round}_{}", target.in_flight, process::id());
        survives_once(target, &mut direct, &table, &mut killer).await;
    }
}

async fn survives_once(target: &Target, direct: &mut Direct, table: &str, killer: &mut Killer) {
    let folder = tempfile::tempdir().unwrap();
    let (file, rejects) = (folder.path().join("script.sql"), folder.path().join("rejects.sql"));
    let script = Script::of(target, table);
    fs::write(&file, &script.text).unwrap();
    direct
        .run(&[
            &format!("CREATE TABLE {table} (id INTEGER, code INTEGER)"),
            &format!("CREATE UNIQUE INDEX {table}_code ON {table} (code)"),
            &format!("INSERT INTO {table} VALUES (-1, -1)"),
        ])
        .await;
    let (output, kills) = killer.run_to_its_end(|| {
        let mut command = target.command(table, &file);
        command.args(["--on-error", "skip", "--rejects"]).arg(&rejects);
        command
    });
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(FINISHED_WITH_REJECTS), "after {kills} kills: {said}");
    assert_eq!(rejected(&rejects), script.bad, "after {kills} kills");
    let ids = format!("SELECT id FROM {table} WHERE id >= 0 ORDER BY id");
    let good: Vec<i64> =
        (0..ROWS).filter(|id| script.bad_rows.binary_search(id).is_err()).collect();
    assert!(direct.numbers(&ids).await == good, "{table}: other rows after {kills} kills");

    let on = if target.url.starts_with("mysql") { format!(" ON {table}") } else { String::new() };
    let missing = format!("{table}_missing");
    let causes = [
        format!("DROP INDEX {table}_code{on}"),
        format!("CREATE TABLE {missing} (id INTEGER, code INTEGER)"),
    ];
    direct.run(&causes.each_ref().map(String::as_str)).await;
    let again = target.command(&format!("{table}_again"), &rejects).output().unwrap();
    assert!(again.status.success(), "{}", String::from_utf8_lossy(&again.stderr));
    direct.run(&[&format!("INSERT INTO {table} SELECT id, code FROM {missing}")]).await;
    assert!(direct.numbers(&ids).await == Vec::from_iter(0..ROWS), "{table}: not all rows");
    direct.run(&[&format!("DROP TABLE {table}"), &format!("DROP TABLE {missing}")]).await;
}

#[tokio::test]
async fn sqlite_rejects_each_bad_statement_once_however_often_the_program_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    survives(&Target::sqlite(&folder), KILLS).await;
}

#[tokio::test]
async fn postgresql_rejects_each_bad_statement_once_however_often_the_program_is_killed() {
    let Some(target) = Target::postgres() else { return };
    survives(&target, KILLS).await;
}

#[tokio::test]
async fn mariadb_rejects_each_bad_statement_once_however_often_the_program_is_killed() {
    let Some(target) = Target::mysql() else { return };
    survives(&target, KILLS).await;
}

#[tokio::test]
async fn postgresql_rejects_each_bad_statement_once_where_batches_are_in_flight() {
    let Some(target) = Target::postgres() else { return };
    survives(&target.with_in_flight(IN_FLIGHT), KILLS_IN_FLIGHT).await;
}

#[tokio::test]
async fn mariadb_rejects_each_bad_statement_once_where_batches_are_in_flight() {
    let Some(target) = Target::mysql() else { return };
    survives(&target.with_in_flight(IN_FLIGHT), KILLS_IN_FLIGHT).await;
}
