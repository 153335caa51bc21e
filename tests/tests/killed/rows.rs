//! Each row exactly once.

use std::{fmt::Write as _, fs, ops::Range, process};

use sql_batcher_tests::direct::Direct;

use crate::{Target, killer::Killer};

const ROWS: usize = 100_000;
const KILLS: u32 = 200;
/// With batches beside one another.
const KILLS_IN_FLIGHT: u32 = 60;
const IN_FLIGHT: u32 = 4;
/// Rows that the script inserts in transactions of its own.
const TRANSACTIONS: Range<usize> = 10_000..30_000;
/// Rows that are inserted while their table is locked, where the database has such locks.
const LOCKED: Range<usize> = 60_000..80_000;
/// Before these rows something is defined, which some databases do outside any transaction.
const DEFINITIONS: [usize; 3] = [35_000, 45_000, 55_000];

/// A script that fills a table with rows from 0 on.
fn script(target: &Target, table: &str) -> String {
    let mut script = format!("{};\n", target.setting);
    for id in 0..ROWS {
        if DEFINITIONS.contains(&id) {
            writeln!(script, "CREATE TABLE IF NOT EXISTS {table}_{id} (id INTEGER);").unwrap();
        }
        if target.has_table_locks && id == LOCKED.start {
            writeln!(script, "LOCK TABLES {table} WRITE;").unwrap();
        }
        if target.has_table_locks && id == LOCKED.end {
            script.push_str("UNLOCK TABLES;\n");
        }
        let own = TRANSACTIONS.contains(&id);
        if own && id % 100 == 0 {
            script.push_str("BEGIN;\n");
        }
        if target.has_copy && id == ROWS - 1000 {
            writeln!(script, "COPY {table} FROM stdin;").unwrap();
        }
        if target.has_copy && id >= ROWS - 1000 {
            writeln!(script, "{id}\ta row of a copy").unwrap();
            continue;
        }
        writeln!(script, "INSERT INTO {table} VALUES ({id}, 'it''s; a row');").unwrap();
        if own && id % 100 == 99 {
            script.push_str(if id % 1000 == 999 { "ROLLBACK;\n" } else { "COMMIT;\n" });
        }
    }
    script
}

/// Rows that the script leaves: those of transactions that it takes back are not there.
fn rows() -> i64 {
    let taken_back = TRANSACTIONS.filter(|id| id % 1000 >= 900).count();
    i64::try_from(ROWS - taken_back).unwrap()
}

/// Runs a script again and again until it was killed often enough, and each run to its end.
async fn survives(target: &Target, kills: u32) {
    let folder = tempfile::tempdir().unwrap();
    let script_file = folder.path().join("script.sql");
    let mut killer = Killer::new(kills);
    let mut direct = Direct::to(&target.url).await;
    for round in 0.. {
        if round > 0 && killer.is_done() {
            return;
        }
        let table = format!("killed_{}_{round}_{}", target.in_flight, process::id());
        fs::write(&script_file, script(target, &table)).unwrap();
        direct.run(&[&format!("CREATE TABLE {table} (id INTEGER, name VARCHAR(30))")]).await;
        let (output, kills) = killer.run_to_its_end(|| {
            let mut command = target.command(&table, &script_file);
            // What is defined here can be defined again.
            command.args(["--in-doubt", "repeat"]);
            command
        });
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{}: after {kills} kills: {said}", output.status);
        let all = direct.number(&format!("SELECT count(*) FROM {table}")).await;
        let different = direct.number(&format!("SELECT count(DISTINCT id) FROM {table}")).await;
        assert_eq!((all, different), (rows(), rows()), "{table}: after {kills} kills");
        for suffix in DEFINITIONS {
            direct.run(&[&format!("DROP TABLE {table}_{suffix}")]).await;
        }
        direct.run(&[&format!("DROP TABLE {table}")]).await;
    }
}

#[tokio::test]
async fn sqlite_has_every_row_once_however_often_the_program_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    survives(&Target::sqlite(&folder), KILLS).await;
}

#[tokio::test]
async fn postgresql_has_every_row_once_however_often_the_program_is_killed() {
    let Some(target) = Target::postgres() else { return };
    survives(&target, KILLS).await;
}

#[tokio::test]
async fn mariadb_has_every_row_once_however_often_the_program_is_killed() {
    let Some(target) = Target::mysql() else { return };
    survives(&target, KILLS).await;
}

#[tokio::test]
async fn postgresql_has_every_row_once_where_batches_are_in_flight_when_the_program_is_killed() {
    let Some(target) = Target::postgres() else { return };
    survives(&target.with_in_flight(IN_FLIGHT), KILLS_IN_FLIGHT).await;
}

#[tokio::test]
async fn mariadb_has_every_row_once_where_batches_are_in_flight_when_the_program_is_killed() {
    let Some(target) = Target::mysql() else { return };
    survives(&target.with_in_flight(IN_FLIGHT), KILLS_IN_FLIGHT).await;
}
