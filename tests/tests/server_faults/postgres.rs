//! Faults of PostgreSQL: sessions that are terminated, restarts, collisions, a server without a
//! free connection, a full disk.

use std::{fs, time::Duration};

use sql_batcher::{Batcher, ErrorKind, Report, RetryOptions, adapters::PoolOptions, connect};
use sql_batcher_tests::{
    own_server::{OwnPostgres, Setup},
    proxy::Proxy,
    servers::postgres_url,
};

use crate::{
    direct::Direct,
    run::{Ended, builder, patient, run, start},
};

/// Rows of a run of many small batches, and how many of them are in before the server ends.
const ROWS: i64 = 3000;
const ROWS_BEFORE: i64 = 500;

fn waiting_for_a_lock(table: &str) -> String {
    format!(
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' \
         AND query LIKE '%{table}%' AND pid <> pg_backend_pid()"
    )
}

#[tokio::test]
async fn a_batch_whose_session_of_postgresql_is_terminated_is_taken_back_where_nothing_is_retried()
{
    let Some(url) = postgres_url() else { return };
    let mut other = Direct::to(&url).await;
    other
        .run(&[
            "DROP TABLE IF EXISTS faults_once",
            "CREATE TABLE faults_once (id int, n int)",
            "INSERT INTO faults_once VALUES (1, 0)",
            "BEGIN",
            "SELECT 1 FROM faults_once WHERE id = 1 FOR UPDATE",
        ])
        .await;
    let script = "INSERT INTO faults_once VALUES (2, 0);\n\
                  UPDATE faults_once SET n = n + 1 WHERE id = 1;\n";
    let run = start(builder(&url).await.retries(RetryOptions::none()), script);
    let mut watcher = Direct::to(&url).await;
    watcher.until(&waiting_for_a_lock("faults_once"), 1).await;
    let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
               WHERE wait_event_type = 'Lock' AND query LIKE '%faults_once%'";
    watcher.run(&[end]).await;
    let ended = run.await.expect("it does not panic");
    assert_eq!((ended.kind(), ended.code()), (Some(ErrorKind::Connection), Some("57P01")));
    let Report { applied, failed, rolled_back, .. } = ended.report;
    assert_eq!((applied, failed, rolled_back), (0, 1, 1), "{ended}");
    other.run(&["COMMIT"]).await;
    assert_eq!(watcher.number("SELECT count(*) + sum(n) FROM faults_once").await, 1);
    watcher.run(&["DROP TABLE faults_once"]).await;
}

#[tokio::test]
async fn a_terminated_session_of_postgresql_is_an_error_where_nothing_is_retried() {
    let Some(url) = postgres_url() else { return };
    let mut other = Direct::to(&url).await;
    let retries = RetryOptions::none();
    let mut batcher = builder(&url).await.retries(retries).build().await.expect("it starts");
    batcher.push_str("SET application_name = 'faults-between';").await.expect("it is taken");
    batcher.flush().await.expect("it is applied");
    let sessions = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                    WHERE application_name = 'faults-between'";
    other.run(&[sessions]).await;
    let left = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'faults-between'";
    other.until(left, 0).await;
    let result = async {
        batcher.push_str("SELECT 1; SELECT 2;").await?;
        batcher.finish().await
    };
    let ended = Ended::of(result.await);
    assert_eq!((ended.kind(), ended.code()), (Some(ErrorKind::Connection), Some("57P01")));
    assert_eq!((ended.report.applied, ended.report.unknown), (1, 0), "{ended}");
}

#[tokio::test]
async fn a_serialization_failure_in_postgresql_is_retried_and_ends_right() {
    let Some(url) = postgres_url() else { return };
    let mut other = Direct::to(&url).await;
    other
        .run(&[
            "DROP TABLE IF EXISTS faults_serial",
            "CREATE TABLE faults_serial (id int, n int)",
            "INSERT INTO faults_serial VALUES (1, 0)",
            "BEGIN",
            "UPDATE faults_serial SET n = n + 10",
        ])
        .await;
    let mut batcher = builder(&url).await.retries(patient()).build().await.expect("it starts");
    let setting = "SET default_transaction_isolation = serializable;";
    batcher.push_str(setting).await.expect("it is taken");
    batcher.flush().await.expect("it is applied");
    let script = "INSERT INTO faults_serial VALUES (2, 0);\n\
                  UPDATE faults_serial SET n = n + 1 WHERE id = 1;\n";
    batcher.push_str(script).await.expect("it is taken");
    let finishing = tokio::spawn(batcher.finish());
    let mut watcher = Direct::to(&url).await;
    watcher.until(&waiting_for_a_lock("faults_serial"), 1).await;
    other.run(&["COMMIT"]).await;
    let ended = Ended::of(finishing.await.expect("it does not panic"));
    assert!(ended.error.is_none() && ended.report.retries.conflict >= 1, "{ended}");
    assert_eq!(watcher.number("SELECT count(*) FROM faults_serial").await, 2);
    assert_eq!(watcher.number("SELECT sum(n) FROM faults_serial").await, 11);
    watcher.run(&["DROP TABLE faults_serial"]).await;
}

#[tokio::test]
async fn a_lock_timeout_in_postgresql_takes_the_batch_back_where_nothing_is_retried() {
    let Some(url) = postgres_url() else { return };
    let mut other = Direct::to(&url).await;
    other
        .run(&[
            "DROP TABLE IF EXISTS faults_lock_once",
            "CREATE TABLE faults_lock_once (id int)",
            "INSERT INTO faults_lock_once VALUES (1)",
            "BEGIN",
            "SELECT 1 FROM faults_lock_once FOR UPDATE",
        ])
        .await;
    let script = "SET lock_timeout = '50ms';\nINSERT INTO faults_lock_once VALUES (2);\n\
                  UPDATE faults_lock_once SET id = 3 WHERE id = 1;\n";
    let ended = run(builder(&url).await.retries(RetryOptions::none()), script).await;
    assert_eq!((ended.kind(), ended.code()), (Some(ErrorKind::Database), Some("55P03")), "{ended}");
    assert_eq!((ended.report.failed, ended.report.unknown), (1, 0), "{ended}");
    other.run(&["COMMIT"]).await;
    assert_eq!(other.number("SELECT count(*) FROM faults_lock_once WHERE id = 1").await, 1);
    assert_eq!(other.number("SELECT count(*) FROM faults_lock_once").await, 1);
    other.run(&["DROP TABLE faults_lock_once"]).await;
}

/// Many small batches; `restart` is called in their middle.
async fn rows_over_a_restart(server: OwnPostgres, restart: fn(&mut OwnPostgres)) -> (Ended, i64) {
    let url = server.url();
    let mut direct = Direct::to(&url).await;
    direct.run(&["CREATE TABLE faults_restart (id int)"]).await;
    let small = builder(&url).await.retries(patient()).max_statements(3);
    let script: String =
        (0..ROWS).map(|id| format!("INSERT INTO faults_restart VALUES ({id});\n")).collect();
    let run = start(small, &script);
    loop {
        let rows = direct.number("SELECT count(*) FROM faults_restart").await;
        if rows >= ROWS_BEFORE {
            assert!(rows < ROWS, "the run is too fast for this test");
            break;
        }
        tokio::task::yield_now().await;
    }
    let restarted = tokio::task::spawn_blocking(move || {
        let mut server = server;
        restart(&mut server);
        server
    });
    let server = restarted.await.expect("it starts again");
    let ended = run.await.expect("it does not panic");
    let mut direct = Direct::to(&server.url()).await;
    let rows = direct.number("SELECT count(*) FROM faults_restart").await;
    let each = direct.number("SELECT count(DISTINCT id) FROM faults_restart").await;
    assert_eq!(rows, each, "no row is there twice: {ended}");
    (ended, rows)
}

#[tokio::test]
async fn a_run_goes_on_when_postgresql_is_restarted_and_ends_with_every_row_once() {
    let Some(server) = OwnPostgres::start(&Setup::default()) else { return };
    let (ended, rows) = rows_over_a_restart(server, |server| {
        server.stop_fast();
        server.start_again();
    })
    .await;
    assert!(ended.error.is_none() && ended.report.retries.connection > 0, "{ended}");
    assert_eq!((rows, ended.report.applied), (ROWS, ROWS.unsigned_abs()), "{ended}");
}

#[tokio::test]
async fn a_run_ends_right_or_with_an_unknown_outcome_when_postgresql_crashes_and_is_back() {
    let Some(server) = OwnPostgres::start(&Setup::default()) else { return };
    let (ended, rows) = rows_over_a_restart(server, OwnPostgres::restart_immediate).await;
    ended.accounts_for(rows);
    match ended.kind() {
        None => assert_eq!(rows, ROWS),
        kind => assert_eq!(kind, Some(ErrorKind::OutcomeUnknown), "{ended}"),
    }
}

#[tokio::test]
async fn a_run_waits_for_a_connection_where_postgresql_has_none_free() {
    let settings = ["max_connections=3", "superuser_reserved_connections=0"];
    let setup = Setup { settings: &settings, ..Setup::default() };
    let Some(server) = OwnPostgres::start(&setup) else { return };
    let proxy = Proxy::start(server.address()).expect("a port is free");
    let url = format!("postgres://postgres@{}/postgres", proxy.address());
    let mut watcher = Direct::to(&server.url()).await;
    watcher.run(&["CREATE TABLE faults_full (id int)"]).await;
    let mut others = vec![Direct::to(&server.url()).await, Direct::to(&server.url()).await];

    let none = connect(&url, &PoolOptions::default(), &RetryOptions::none()).await;
    let code = none.err().and_then(|error| error.code().map(str::to_owned));
    assert_eq!(code.as_deref(), Some("53300"));
    let refused = proxy.traffic().connections;
    let (pool, retries) = (PoolOptions::default(), patient());
    let (database, ()) = tokio::join!(connect(&url, &pool, &retries), async {
        several_more_connections(&proxy, refused).await;
        others.pop().expect("there are two").close().await;
    });
    let database = database.expect("one is free again");

    // Its session is ended, and somebody else is quicker to take the place.
    let builder = Batcher::builder_boxed(database).retries(retries);
    let mut batcher = builder.build().await.expect("it starts");
    batcher.push_str("SET application_name = 'faults-full';").await.expect("it is taken");
    batcher.flush().await.expect("it is applied");
    let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
               WHERE application_name = 'faults-full'";
    watcher.run(&[end]).await;
    let filler = loop {
        if let Ok(filler) = Direct::try_to(&server.url()).await {
            break filler;
        }
        tokio::task::yield_now().await;
    };
    batcher.push_str("INSERT INTO faults_full VALUES (1);").await.expect("it is taken");
    let refused = proxy.traffic().connections;
    let (finished, ()) = tokio::join!(batcher.finish(), async {
        several_more_connections(&proxy, refused).await;
        filler.close().await;
    });
    let ended = Ended::of(finished);
    assert!(ended.error.is_none() && ended.report.retries.total > 1, "{ended}");
    assert_eq!(watcher.number("SELECT count(*) FROM faults_full").await, 1);
}

async fn several_more_connections(proxy: &Proxy, than: u64) {
    while proxy.traffic().connections < than + 3 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_batch_that_fills_the_disk_of_postgresql_is_taken_back_and_works_once_there_is_room() {
    let setup = Setup { disk_mib: Some(16), ..Setup::default() };
    let Some(server) = OwnPostgres::start(&setup) else { return };
    let mut direct = Direct::to(&server.url()).await;
    let disk = server.disk();
    direct
        .run(&[
            &format!("CREATE TABLESPACE small LOCATION '{}'", disk.display()),
            "CREATE TABLE faults_small (id int, filling text) TABLESPACE small",
            "CREATE TABLE faults_large (id int)",
        ])
        .await;
    let filler = disk.join("filler");
    fs::write(&filler, vec![0; 14 << 20]).expect("there is room for it");
    let script = "INSERT INTO faults_large VALUES (1);\n\
                  INSERT INTO faults_small SELECT i, repeat('x', 1000) \
                  FROM generate_series(1, 5000) AS i;\n\
                  INSERT INTO faults_large VALUES (2);\n";
    let ended = run(builder(&server.url()).await.retries(RetryOptions::none()), script).await;
    assert_eq!((ended.kind(), ended.code()), (Some(ErrorKind::Database), Some("53100")), "{ended}");
    let Report { applied, failed, rolled_back, .. } = ended.report;
    assert_eq!((applied, failed, rolled_back), (0, 1, 2), "{ended}");
    let rows = "SELECT (SELECT count(*) FROM faults_large) + (SELECT count(*) FROM faults_small)";
    assert_eq!(direct.number(rows).await, 0);

    fs::remove_file(&filler).expect("it is ours");
    let ended = run(builder(&server.url()).await, script).await;
    assert!(ended.error.is_none(), "{ended}");
    assert_eq!(direct.number(rows).await, 5002);
}
