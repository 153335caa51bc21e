//! Faults of MariaDB: connections that are killed, a server without a free connection.

use std::time::Duration;

use sql_batcher::{ErrorKind, RetryOptions, adapters::PoolOptions, connect};
use sql_batcher_tests::{
    direct::Direct, own_server::own_mariadb, proxy::Proxy, servers::mysql_url,
};
use xtask::servers::Setup;

use crate::{
    conflicts::holder,
    run::{Ended, builder, patient, run, start},
};

/// A batch that waits in its middle for a lock of the session's.
async fn locked(url: &str, table: &str) -> (Direct, String) {
    let locks = format!("SELECT 1 FROM {table} WHERE id = 1 FOR UPDATE");
    let script =
        format!("INSERT INTO {table} VALUES (2, 0);\nUPDATE {table} SET n = n + 1 WHERE id = 1;\n");
    (holder(url, table, &[1], &locks).await, script)
}

/// Kills the connection that has this in its text, once there is one.
async fn kill(watcher: &mut Direct, statement: &str) {
    let found = format!(
        "SELECT COALESCE(MAX(id), 0) FROM information_schema.processlist \
         WHERE info LIKE '%{statement}%' AND id <> connection_id()"
    );
    let id = watcher.until_at(&found, |id| id != 0).await;
    watcher.run(&[&format!("KILL CONNECTION {id}")]).await;
}

#[tokio::test]
async fn a_batch_whose_connection_to_mariadb_is_killed_in_its_middle_is_applied_once() {
    let Some(url) = mysql_url() else { return };
    let (mut other, script) = locked(&url, "faults_kill_retried").await;
    let run = start(builder(&url).await.retries(patient()), &script);
    let mut watcher = Direct::to(&url).await;
    kill(&mut watcher, "UPDATE faults_kill_retried").await;
    other.run(&["COMMIT"]).await;
    let ended = run.await.expect("it does not panic");
    let sum =
        watcher.number("SELECT CAST(count(*) + sum(n) AS SIGNED) FROM faults_kill_retried").await;
    match ended.kind() {
        None => assert_eq!((sum, ended.report.applied), (3, 2), "{ended}"),
        // The server may close the connection without a word.
        Some(ErrorKind::OutcomeUnknown) => assert_eq!((sum, ended.report.unknown), (1, 2)),
        Some(_) => panic!("{ended}"),
    }
    watcher.run(&["DROP TABLE faults_kill_retried"]).await;
}

#[tokio::test]
async fn a_batch_whose_connection_to_mariadb_is_killed_is_taken_back_where_nothing_is_retried() {
    let Some(url) = mysql_url() else { return };
    let (mut other, script) = locked(&url, "faults_kill_once").await;
    let run = start(builder(&url).await.retries(RetryOptions::none()), &script);
    let mut watcher = Direct::to(&url).await;
    kill(&mut watcher, "UPDATE faults_kill_once").await;
    let ended = run.await.expect("it does not panic");
    let kinds = [ErrorKind::Connection, ErrorKind::OutcomeUnknown];
    assert!(ended.kind().is_some_and(|kind| kinds.contains(&kind)), "{ended}");
    assert_eq!(ended.report.applied, 0, "{ended}");
    other.run(&["COMMIT"]).await;
    let sum = "SELECT CAST(count(*) + sum(n) AS SIGNED) FROM faults_kill_once";
    assert_eq!(watcher.number(sum).await, 1);
    watcher.run(&["DROP TABLE faults_kill_once"]).await;
}

#[tokio::test]
async fn a_connection_to_mariadb_that_is_killed_between_batches_doubles_and_loses_nothing() {
    let Some(url) = mysql_url() else { return };
    let mut other = Direct::to(&url).await;
    other
        .run(&[
            "DROP TABLE IF EXISTS faults_between",
            "CREATE TABLE faults_between (id int) ENGINE=InnoDB",
        ])
        .await;
    let mut batcher = builder(&url).await.retries(patient()).build().await.expect("it starts");
    let own_id = "INSERT INTO faults_between VALUES (connection_id());";
    batcher.push_str(own_id).await.expect("it is taken");
    batcher.flush().await.expect("it is applied");
    let id = other.number("SELECT id FROM faults_between").await;
    other.run(&[&format!("KILL CONNECTION {id}")]).await;
    let left = format!("SELECT count(*) FROM information_schema.processlist WHERE id = {id}");
    other.until(&left, 0).await;
    let result = async {
        batcher.push_str(own_id).await?;
        batcher.push_str(own_id).await?;
        batcher.finish().await
    };
    let ended = Ended::of(result.await);
    let rows = other.number("SELECT count(*) FROM faults_between").await;
    ended.accounts_for(rows);
    match ended.kind() {
        None => assert_eq!(rows, 3),
        kind => assert_eq!((kind, rows), (Some(ErrorKind::OutcomeUnknown), 1), "{ended}"),
    }
    other.run(&["DROP TABLE faults_between"]).await;
}

#[tokio::test]
async fn connecting_waits_where_mariadb_has_no_connection_free() {
    let setup = Setup { settings: &["max-connections=10"], ..Setup::default() };
    let Some(server) = own_mariadb(setup) else { return };
    let mut watcher = Direct::to(&server.url()).await;
    // One more than the limit may be a superuser's.
    watcher
        .run(&["CREATE USER ordinary@'127.0.0.1'", "GRANT ALL ON test.* TO ordinary@'127.0.0.1'"])
        .await;
    let proxy = Proxy::start(server.address()).expect("a port is free");
    let ordinary = server.url().replacen("root", "ordinary", 1);
    let url = format!("mysql://ordinary@{}/test", proxy.address());
    let mut others = Vec::new();
    while let Ok(other) = Direct::try_to(&ordinary).await {
        others.push(other);
        assert!(others.len() <= 10, "there is a limit");
    }
    let none = connect(&url, &PoolOptions::default(), &RetryOptions::none()).await;
    let code = none.err().and_then(|error| error.code().map(str::to_owned));
    assert_eq!(code.as_deref(), Some("1040"));
    let (pool, retries) = (PoolOptions::default(), patient());
    let (database, ()) = tokio::join!(connect(&url, &pool, &retries), async {
        while proxy.traffic().connections < 4 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        others.pop().expect("there are some").close().await;
    });
    let batcher = sql_batcher::Batcher::builder_boxed(database.expect("one is free again"));
    let ended = run(batcher, "CREATE TABLE t (id int); INSERT INTO t VALUES (1);").await;
    assert!(ended.error.is_none(), "{ended}");
    assert_eq!(watcher.number("SELECT count(*) FROM t").await, 1);
}
