//! Faults of PostgreSQL: sessions that are terminated, collisions, a server without a free
//! connection.

use std::time::Duration;

use sql_batcher::{Batcher, ErrorKind, Report, RetryOptions, adapters::PoolOptions, connect};
use sql_batcher_tests::{
    direct::Direct, own_server::own_postgres, proxy::Proxy, servers::postgres_url,
};
use xtask::servers::Setup;

use crate::{
    conflicts::{holder, ledgers, terminated_while_waiting, waiting_in_postgres},
    run::{Ended, builder, builder_with, ledger_holds, patient, run},
};

#[tokio::test]
async fn a_batch_whose_session_of_postgresql_is_terminated_is_taken_back_where_nothing_is_retried()
{
    let Some(url) = postgres_url() else { return };
    let (ended, mut holder) =
        terminated_while_waiting(&url, "faults_once", RetryOptions::none()).await;
    assert_eq!((ended.kind(), ended.code()), (Some(ErrorKind::Connection), Some("57P01")));
    let Report { applied, failed, rolled_back, .. } = ended.report;
    assert_eq!((applied, failed, rolled_back), (0, 1, 1), "{ended}");
    assert_eq!(holder.number("SELECT count(*) + sum(n) FROM faults_once").await, 1);
    holder.run(&["DROP TABLE faults_once"]).await;
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
    for ledger in ledgers("faults_serial") {
        serialization_failure_ends_right(&url, ledger.as_deref()).await;
    }
}

async fn serialization_failure_ends_right(url: &str, ledger: Option<&str>) {
    let locks = "UPDATE faults_serial SET n = n + 10";
    let mut other = holder(url, "faults_serial", &[1], locks).await;
    let builder = builder_with(url, ledger).await.retries(patient());
    let mut batcher = builder.build().await.expect("it starts");
    let setting = "SET default_transaction_isolation = serializable;";
    batcher.push_str(setting).await.expect("it is taken");
    batcher.flush().await.expect("it is applied");
    let script = "INSERT INTO faults_serial VALUES (2, 0);\n\
                  UPDATE faults_serial SET n = n + 1 WHERE id = 1;\n";
    batcher.push_str(script).await.expect("it is taken");
    let finishing = tokio::spawn(batcher.finish());
    let mut watcher = Direct::to(url).await;
    watcher.until(&waiting_in_postgres("faults_serial"), 1).await;
    other.run(&["COMMIT"]).await;
    let ended = Ended::of(finishing.await.expect("it does not panic"));
    assert!(ended.error.is_none() && ended.report.retries.conflict >= 1, "{ended}");
    assert_eq!(watcher.number("SELECT count(*) FROM faults_serial").await, 2);
    assert_eq!(watcher.number("SELECT sum(n) FROM faults_serial").await, 11);
    // The setting, too, which is one that a transaction can take back.
    ledger_holds(&mut watcher, ledger, 3).await;
    watcher.run(&["DROP TABLE faults_serial"]).await;
}

#[tokio::test]
async fn a_lock_timeout_in_postgresql_takes_the_batch_back_where_nothing_is_retried() {
    let Some(url) = postgres_url() else { return };
    let locks = "SELECT 1 FROM faults_lock_once FOR UPDATE";
    let mut other = holder(&url, "faults_lock_once", &[1], locks).await;
    let script = "SET lock_timeout = '50ms';\nINSERT INTO faults_lock_once VALUES (2, 0);\n\
                  UPDATE faults_lock_once SET id = 3 WHERE id = 1;\n";
    let ended = run(builder(&url).await.retries(RetryOptions::none()), script).await;
    assert_eq!((ended.kind(), ended.code()), (Some(ErrorKind::Database), Some("55P03")), "{ended}");
    assert_eq!((ended.report.failed, ended.report.unknown), (1, 0), "{ended}");
    other.run(&["COMMIT"]).await;
    assert_eq!(other.number("SELECT count(*) FROM faults_lock_once WHERE id = 1").await, 1);
    assert_eq!(other.number("SELECT count(*) FROM faults_lock_once").await, 1);
    other.run(&["DROP TABLE faults_lock_once"]).await;
}

#[tokio::test]
async fn a_run_waits_for_a_connection_where_postgresql_has_none_free() {
    let settings = ["max_connections=3", "superuser_reserved_connections=0"];
    let setup = Setup { settings: &settings, ..Setup::default() };
    let Some(server) = own_postgres(setup) else { return };
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
