//! Servers that are restarted, and sessions that are ended, in the middle of a run of many small
//! batches: without a ledger it ends right or with an unknown outcome, with one it can be resumed
//! until all is there. Nothing is there twice.

use std::time::{Duration, Instant};

use sql_batcher::{Builder, ErrorKind, LedgerOptions};
use sql_batcher_tests::{
    direct::Direct,
    own_server::{own_mariadb, own_postgres},
};
use tokio::task::JoinHandle;
use xtask::servers::{Server, Setup};

use crate::{
    run::{Ended, builder, patient, run, start},
    way::Way,
};

const ROWS: i64 = 3000;
/// After so many rows a server without a ledger ends.
const ENDS_AFTER: i64 = 500;
/// After so many it ends with a ledger: in the middle of single rows, and of transactions.
const ENDS_AFTER_EACH: [i64; 2] = [500, 1500];
/// The rows that are inserted in transactions of the script's own, each of several batches.
const TRANSACTIONS: std::ops::Range<i64> = 1000..2500;
const PER_TRANSACTION: i64 = 10;
/// Sessions that a server has had before a run on it.
const SESSIONS_BEFORE: usize = 20;
/// How long some more rows may take.
const SOON: Duration = Duration::from_secs(30);
/// How long to wait before a server that is gone is asked again.
const ASK_AGAIN: Duration = Duration::from_millis(20);
/// How often a run is resumed at most.
const RESUMES: u32 = 20;

async fn small_batches(url: &str) -> Builder {
    builder(url).await.retries(patient()).max_statements(3)
}

fn single_rows(table: &str) -> String {
    (0..ROWS).map(|id| format!("INSERT INTO {table} VALUES ({id});\n")).collect()
}

fn rows_and_transactions(table: &str) -> String {
    let row = |id| {
        let own = TRANSACTIONS.contains(&id);
        let begin = if own && id % PER_TRANSACTION == 0 { "BEGIN;\n" } else { "" };
        let commit = if own && (id + 1) % PER_TRANSACTION == 0 { "COMMIT;\n" } else { "" };
        format!("{begin}INSERT INTO {table} VALUES ({id});\n{commit}")
    };
    (0..ROWS).map(row).collect()
}

/// Waits for so many rows, and not longer; says whether there are more to come.
async fn some_rows(direct: &mut Direct, table: &str, wanted: i64) -> bool {
    let began = Instant::now();
    loop {
        let rows = direct.number(&format!("SELECT count(*) FROM {table}")).await;
        if rows >= wanted {
            return rows < ROWS;
        }
        assert!(began.elapsed() < SOON, "there are only {rows} rows");
        tokio::task::yield_now().await;
    }
}

/// How many rows there are, none of them twice.
async fn rows_once(direct: &mut Direct, table: &str) -> i64 {
    let rows = direct.number(&format!("SELECT count(*) FROM {table}")).await;
    let different = direct.number(&format!("SELECT count(DISTINCT id) FROM {table}")).await;
    assert_eq!(rows, different, "rows are there twice");
    rows
}

async fn restarted(mut server: Server, stop: fn(&mut Server)) -> Server {
    let restarted = tokio::task::spawn_blocking(move || {
        stop(&mut server);
        server.start_again().expect("it starts again");
        server
    });
    restarted.await.expect("it does not panic")
}

/// A run without a ledger, and how many rows there are after it.
async fn over_a_restart(server: Server, stop: fn(&mut Server)) -> (Ended, i64) {
    let mut direct = Direct::to(&server.url()).await;
    direct.run(&["CREATE TABLE faults_restart (id int)"]).await;
    let run = start(small_batches(&server.url()).await, &single_rows("faults_restart"));
    assert!(some_rows(&mut direct, "faults_restart", ENDS_AFTER).await, "it is too fast");
    let server = restarted(server, stop).await;
    let ended = run.await.expect("it does not panic");
    let mut direct = Direct::to(&server.url()).await;
    (ended, rows_once(&mut direct, "faults_restart").await)
}

fn is_right_or_unknown((ended, rows): (Ended, i64)) {
    ended.accounts_for(rows);
    match ended.kind() {
        None => assert_eq!(rows, ROWS),
        kind => assert_eq!(kind, Some(ErrorKind::OutcomeUnknown), "{ended}"),
    }
}

/// A run with a ledger, which is resumed until it comes to its end.
fn start_resuming(url: &str, table: &str) -> JoinHandle<Ended> {
    let (url, script) = (url.to_owned(), rows_and_transactions(table));
    let ledger = LedgerOptions {
        table: format!("{table}_ledger"),
        run: Some("restarts".to_owned()),
        resume: true,
        ..LedgerOptions::default()
    };
    tokio::spawn(async move {
        for _ in 0..RESUMES {
            let ended = run(small_batches(&url).await.ledger(ledger.clone()), &script).await;
            if ended.error.is_none() {
                return ended;
            }
            println!("resumed after: {ended}");
            // The server may be on its way back.
            while Direct::try_to(&url).await.is_err() {
                tokio::time::sleep(ASK_AGAIN).await;
            }
        }
        panic!("{RESUMES} runs did not come to their end");
    })
}

async fn resumed_over_crashes(mut server: Server) {
    let mut direct = Direct::to(&server.url()).await;
    direct.run(&["CREATE TABLE faults_restart (id int)"]).await;
    // A server counts its sessions anew after a start: those of the run are to have other numbers
    // than ours after it.
    for _ in 0..SESSIONS_BEFORE {
        Direct::to(&server.url()).await.close().await;
    }
    let run = start_resuming(&server.url(), "faults_restart");
    for rows in ENDS_AFTER_EACH {
        assert!(some_rows(&mut direct, "faults_restart", rows).await, "it is too fast");
        server = restarted(server, Server::stop).await;
        direct = Direct::to(&server.url()).await;
    }
    run.await.expect("it comes to its end");
    direct = Direct::to(&server.url()).await;
    assert_eq!(rows_once(&mut direct, "faults_restart").await, ROWS);
}

async fn resumed_over_ended_sessions(mut way: Way) {
    let (name, url) = (way.name.clone(), way.url.clone());
    let run = start_resuming(&url, &name);
    let mut times = 0;
    for rows in (1..10).map(|tenth| tenth * ROWS / 10) {
        if some_rows(&mut way.direct, &name, rows).await {
            way.end_sessions().await;
            times += 1;
        }
    }
    run.await.expect("it comes to its end");
    assert!(times > 2, "it is too fast: ended {times} times");
    assert_eq!(rows_once(&mut way.direct, &name).await, ROWS);
    way.drop().await;
}

#[tokio::test]
async fn a_run_goes_on_when_postgresql_is_restarted_and_ends_with_every_row_once() {
    let Some(server) = own_postgres(Setup::default()) else { return };
    let (ended, rows) = over_a_restart(server, Server::stop_with_goodbye).await;
    assert!(ended.error.is_none() && ended.report.retries.connection > 0, "{ended}");
    assert_eq!((rows, ended.report.applied), (ROWS, ROWS.unsigned_abs()), "{ended}");
}

#[tokio::test]
async fn a_run_ends_right_or_with_an_unknown_outcome_when_postgresql_crashes_and_is_back() {
    let Some(server) = own_postgres(Setup::default()) else { return };
    is_right_or_unknown(over_a_restart(server, Server::stop).await);
}

#[tokio::test]
async fn a_run_ends_right_or_with_an_unknown_outcome_when_mariadb_is_killed_and_is_back() {
    let Some(server) = own_mariadb(Setup::default()) else { return };
    is_right_or_unknown(over_a_restart(server, Server::stop).await);
}

#[tokio::test]
async fn with_a_ledger_every_row_is_there_once_when_postgresql_crashes_and_is_back() {
    let Some(server) = own_postgres(Setup::default()) else { return };
    resumed_over_crashes(server).await;
}

#[tokio::test]
async fn with_a_ledger_every_row_is_there_once_when_mariadb_is_killed_and_is_back() {
    let Some(server) = own_mariadb(Setup::default()) else { return };
    resumed_over_crashes(server).await;
}

#[tokio::test]
async fn with_a_ledger_every_row_is_there_once_when_sessions_of_postgresql_are_terminated() {
    let Some(way) = Way::to_postgres("restarts_ended").await else { return };
    resumed_over_ended_sessions(way).await;
}

#[tokio::test]
async fn with_a_ledger_every_row_is_there_once_when_connections_to_mysql_are_killed() {
    let Some(way) = Way::to_mysql("restarts_ended").await else { return };
    resumed_over_ended_sessions(way).await;
}

/// As a process that was killed and whose session goes on, and the one that resumes its run.
async fn two_sessions_apply_a_transaction_once(mut way: Way, waiting: &str) {
    let name = way.name.clone();
    let locked = format!("{name}_locked");
    let mut holder = way.another_session().await;
    holder
        .run(&[
            &format!("DROP TABLE IF EXISTS {locked}"),
            &format!("CREATE TABLE {locked} (id INTEGER PRIMARY KEY, n INTEGER)"),
            &format!("INSERT INTO {locked} VALUES (1, 0)"),
            "BEGIN",
            &format!("SELECT n FROM {locked} WHERE id = 1 FOR UPDATE"),
        ])
        .await;
    let transaction = format!(
        "BEGIN;\nINSERT INTO {name} VALUES (1);\nUPDATE {locked} SET n = n + 1 WHERE id = 1;\n\
         COMMIT;\n"
    );
    let script = format!("{transaction}INSERT INTO {name} VALUES (2);\n");
    let ledger = || LedgerOptions {
        table: format!("{name}_ledger"),
        run: Some("two".to_owned()),
        resume: true,
        ..LedgerOptions::default()
    };
    // The table of the ledger and the run are there.
    run(builder(&way.url).await.ledger(ledger()), "").await;
    let waiting = waiting.replace("TABLE", &locked);
    let one = start(builder(&way.url).await.ledger(ledger()), &transaction);
    way.direct.until(&waiting, 1).await;
    let other = start(builder(&way.url).await.ledger(ledger()), &script);
    way.direct.until(&waiting, 2).await;
    holder.run(&["COMMIT"]).await;
    for ended in [one.await, other.await] {
        let ended = ended.expect("it does not panic");
        assert!(ended.error.is_none(), "{ended}");
    }
    assert_eq!(rows_once(&mut way.direct, &name).await, 2);
    assert_eq!(way.direct.number(&format!("SELECT n FROM {locked}")).await, 1);
    way.direct.run(&[&format!("DROP TABLE {locked}")]).await;
    way.drop().await;
}

#[tokio::test]
async fn a_transaction_that_two_sessions_of_a_run_send_is_applied_once_in_postgresql() {
    let Some(way) = Way::to_postgres("restarts_two").await else { return };
    let waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' \
                   AND query LIKE '%UPDATE TABLE%' AND pid <> pg_backend_pid()";
    two_sessions_apply_a_transaction_once(way, waiting).await;
}

#[tokio::test]
async fn a_transaction_that_two_sessions_of_a_run_send_is_applied_once_in_mysql() {
    let Some(way) = Way::to_mysql("restarts_two").await else { return };
    let waiting = "SELECT count(*) FROM information_schema.innodb_trx \
                   WHERE trx_state = 'LOCK WAIT' AND trx_query LIKE '%UPDATE TABLE%'";
    two_sessions_apply_a_transaction_once(way, waiting).await;
}
