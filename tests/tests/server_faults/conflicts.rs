//! What a second session provokes: deadlocks, waits for a lock, sessions that are terminated,
//! statements that take too long. And what a retry or a limit on time makes of them.

use std::time::{Duration, Instant};

use sql_batcher::{
    Batcher, ErrorKind, RetryOptions,
    adapters::{PoolOptions, Sqlite},
    connect,
};
use sql_batcher_tests::{
    direct::Direct,
    servers::{mysql_url, postgres_url},
};

use crate::run::{Ended, builder, builder_with, ledger_holds, run, start};

/// What a cancel may take beyond a limit, with a busy machine's delay.
const GRACE: Duration = Duration::from_secs(4);

/// How many sessions of PostgreSQL wait for a lock with this in their statement.
pub(crate) fn waiting_in_postgres(text: &str) -> String {
    format!(
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' \
         AND query LIKE '%{text}%' AND pid <> pg_backend_pid()"
    )
}

/// The same of MySQL and MariaDB.
fn waiting_in_mysql(text: &str) -> String {
    format!(
        "SELECT count(*) FROM information_schema.innodb_trx \
         WHERE trx_state = 'LOCK WAIT' AND trx_query LIKE '%{text}%'"
    )
}

/// A session with a table of numbered rows, which has one of them locked.
pub(crate) async fn holder(url: &str, table: &str, rows: &[i64], locks: &str) -> Direct {
    let mut holder = Direct::to(url).await;
    let drop = format!("DROP TABLE IF EXISTS {table}");
    let create = format!("CREATE TABLE {table} (id int PRIMARY KEY, n int)");
    holder.run(&[&drop, &create]).await;
    for id in rows {
        holder.run(&[&format!("INSERT INTO {table} VALUES ({id}, 0)")]).await;
    }
    holder.run(&["BEGIN", locks]).await;
    holder
}

/// Without a ledger, and with one that is the test's own.
pub(crate) fn ledgers(name: &str) -> [Option<String>; 2] {
    [None, Some(format!("{name}_ledger"))]
}

/// The holder has the second row and asks for the first, of which the run has the first.
async fn deadlock_ends_right(url: &str, mut holder: Direct, waiting: String, ledger: Option<&str>) {
    let script = "UPDATE faults_deadlock SET n = n + 1 WHERE id = 1;\n\
                  UPDATE faults_deadlock SET n = n + 1 WHERE id = 2;\n";
    let retries = RetryOptions::default();
    let run = start(builder_with(url, ledger).await.retries(retries), script);
    let mut watcher = Direct::to(url).await;
    watcher.until(&waiting, 1).await;
    holder.run(&["UPDATE faults_deadlock SET n = n + 10 WHERE id = 1", "COMMIT"]).await;
    let ended = run.await.expect("it does not panic");
    assert!(ended.error.is_none() && ended.report.retries.conflict >= 1, "{ended}");
    let right = watcher.number("SELECT count(*) FROM faults_deadlock WHERE n = 11").await;
    assert_eq!((right, ended.report.applied), (2, 2), "{ended}");
    ledger_holds(&mut watcher, ledger, 2).await;
    watcher.run(&["DROP TABLE faults_deadlock"]).await;
}

#[tokio::test]
async fn a_deadlock_in_postgresql_is_retried_and_ends_right() {
    let Some(url) = postgres_url() else { return };
    let locks = "UPDATE faults_deadlock SET n = n + 10 WHERE id = 2";
    for ledger in ledgers("faults_deadlock") {
        let mut holder = holder(&url, "faults_deadlock", &[1, 2], locks).await;
        // The batch shall be the victim.
        holder.run(&["SET deadlock_timeout = '1h'"]).await;
        let waiting = waiting_in_postgres("faults_deadlock");
        deadlock_ends_right(&url, holder, waiting, ledger.as_deref()).await;
    }
}

#[tokio::test]
async fn a_deadlock_in_mysql_is_retried_and_ends_right() {
    let Some(url) = mysql_url() else { return };
    let locks = "UPDATE faults_deadlock SET n = n + 10 WHERE id = 2";
    for ledger in ledgers("faults_deadlock") {
        let mut holder = holder(&url, "faults_deadlock", &[1, 2], locks).await;
        // The one that has changed less is the victim.
        holder.run(&["INSERT INTO faults_deadlock VALUES (3, 0), (4, 0), (5, 0), (6, 0)"]).await;
        let waiting = waiting_in_mysql("faults_deadlock");
        deadlock_ends_right(&url, holder, waiting, ledger.as_deref()).await;
    }
}

#[tokio::test]
async fn a_session_of_postgresql_that_is_terminated_is_made_again_with_its_settings() {
    let Some(url) = postgres_url() else { return };
    let mut other = Direct::to(&url).await;
    let create = "CREATE TABLE faults_ended (id int PRIMARY KEY, setting text)";
    other.run(&["DROP TABLE IF EXISTS faults_ended", create]).await;
    let mut batcher = builder(&url).await.build().await.expect("it starts");
    let insert = "INSERT INTO faults_ended VALUES (1, current_setting('work_mem'));";
    let settings = "SET work_mem = '99MB'; SET application_name = 'faults-ended';";
    batcher.push_str(&format!("{settings}{insert}")).await.expect("it is taken");
    batcher.flush().await.expect("it is applied");
    let end = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
               WHERE application_name = 'faults-ended'";
    assert_eq!(other.number(end).await, 1);
    batcher.push_str(&insert.replace("(1", "(2")).await.expect("it is taken");
    let report = batcher.finish().await.expect("it is applied");
    assert_eq!((report.applied, report.retries.connection), (4, 1), "{report}");
    let right = "SELECT count(*) FROM faults_ended WHERE setting = '99MB'";
    assert_eq!(other.number(right).await, 2);
    other.run(&["DROP TABLE faults_ended"]).await;
}

/// Ends the run's session while it waits in the middle of a batch; gives how the run ended, and the
/// session that holds the lock.
pub(crate) async fn terminated_while_waiting(
    url: &str,
    table: &str,
    retries: RetryOptions,
) -> (Ended, Direct) {
    let locks = format!("SELECT 1 FROM {table} WHERE id = 1 FOR UPDATE");
    let mut holder = holder(url, table, &[1], &locks).await;
    let script =
        format!("INSERT INTO {table} VALUES (2, 0);\nUPDATE {table} SET n = n + 1 WHERE id = 1;\n");
    let run = start(builder(url).await.retries(retries), &script);
    let mut watcher = Direct::to(url).await;
    watcher.until(&waiting_in_postgres(table), 1).await;
    let end = waiting_in_postgres(table).replacen("*", "pg_terminate_backend(pid)", 1);
    assert_eq!(watcher.number(&end).await, 1);
    holder.run(&["COMMIT"]).await;
    (run.await.expect("it does not panic"), holder)
}

#[tokio::test]
async fn a_batch_whose_session_of_postgresql_is_terminated_in_its_middle_is_applied_once() {
    let Some(url) = postgres_url() else { return };
    let retries = RetryOptions::default();
    let (ended, mut holder) = terminated_while_waiting(&url, "faults_middle", retries).await;
    assert!(ended.error.is_none(), "{ended}");
    assert_eq!((ended.report.applied, ended.report.retries.connection), (2, 1), "{ended}");
    assert_eq!(holder.number("SELECT count(*) + sum(n) FROM faults_middle").await, 3);
    holder.run(&["DROP TABLE faults_middle"]).await;
}

#[tokio::test]
async fn a_lock_wait_in_postgresql_is_retried_until_the_lock_is_free() {
    let Some(url) = postgres_url() else { return };
    for ledger in ledgers("faults_locked") {
        lock_wait_in_postgres_ends_right(&url, ledger.as_deref()).await;
    }
}

async fn lock_wait_in_postgres_ends_right(url: &str, ledger: Option<&str>) {
    let mut holder =
        holder(url, "faults_locked", &[1], "SELECT 1 FROM faults_locked FOR UPDATE").await;
    let script = "SET lock_timeout = '200ms';\nUPDATE faults_locked SET n = n + 1;\n";
    let retries = RetryOptions { max_retries: 1000, ..RetryOptions::default() };
    let run = start(builder_with(url, ledger).await.retries(retries), script);
    let mut watcher = Direct::to(url).await;
    // It waits, gives up, and waits again.
    watcher.until(&waiting_in_postgres("faults_locked"), 1).await;
    let idle = "SELECT count(*) FROM pg_stat_activity WHERE state = 'idle' \
                AND query LIKE '%UPDATE faults_locked%'";
    watcher.until(idle, 1).await;
    holder.run(&["COMMIT"]).await;
    let ended = run.await.expect("it does not panic");
    assert!(ended.error.is_none() && ended.report.retries.conflict >= 1, "{ended}");
    assert_eq!(watcher.number("SELECT n FROM faults_locked").await, 1);
    // The setting, too, which is one that a transaction can take back.
    ledger_holds(&mut watcher, ledger, 2).await;
    watcher.run(&["DROP TABLE faults_locked"]).await;
}

#[tokio::test]
async fn a_lock_wait_in_mysql_takes_the_whole_batch_back_before_it_is_retried() {
    let Some(url) = mysql_url() else { return };
    for ledger in ledgers("faults_locked") {
        lock_wait_in_mysql_ends_right(&url, ledger.as_deref()).await;
    }
}

async fn lock_wait_in_mysql_ends_right(url: &str, ledger: Option<&str>) {
    // Only the row: the INSERT of the batch is to go through.
    let locks = "SELECT 1 FROM faults_locked WHERE id = 1 FOR UPDATE";
    let mut holder = holder(url, "faults_locked", &[1], locks).await;
    let script = "SET innodb_lock_wait_timeout = 1;\nINSERT INTO faults_locked VALUES (2, 0);\n\
                  UPDATE faults_locked SET n = n + 1 WHERE id = 1;\n";
    let retries = RetryOptions { max_retries: 1000, ..RetryOptions::default() };
    let run = start(builder_with(url, ledger).await.retries(retries), script);
    let mut watcher = Direct::to(url).await;
    watcher.until(&waiting_in_mysql("faults_locked"), 1).await;
    watcher.until(&waiting_in_mysql("faults_locked"), 0).await;
    holder.run(&["COMMIT"]).await;
    let ended = run.await.expect("it does not panic");
    assert!(ended.error.is_none() && ended.report.retries.conflict >= 1, "{ended}");
    assert_eq!(watcher.number("SELECT count(*) FROM faults_locked").await, 2);
    assert_eq!(watcher.number("SELECT n FROM faults_locked WHERE id = 1").await, 1);
    ledger_holds(&mut watcher, ledger, 2).await;
    watcher.run(&["DROP TABLE faults_locked"]).await;
}

/// A statement that sleeps is cancelled on the server at its limit; gives how the run ended.
async fn cancelled_at_its_limit(url: &str, script: &str, under_way: &str) -> Ended {
    let mut watcher = Direct::to(url).await;
    let limit = Duration::from_secs(1);
    let limited = builder(url).await.retries(RetryOptions::none()).attempt_timeout(limit);
    let began = Instant::now();
    let run = start(limited, script);
    watcher.until(under_way, 1).await;
    let ended = run.await.expect("it does not panic");
    assert!(began.elapsed() < limit + GRACE, "{:?}", began.elapsed());
    watcher.until(under_way, 0).await;
    ended
}

#[tokio::test]
async fn a_statement_that_takes_too_long_is_cancelled_on_postgresql() {
    let Some(url) = postgres_url() else { return };
    let under_way = "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' \
                     AND query LIKE '%faults-slow%' AND pid <> pg_backend_pid()";
    let script = "SELECT pg_sleep(60) /* faults-slow */;";
    let ended = cancelled_at_its_limit(&url, script, under_way).await;
    assert_eq!((ended.kind(), ended.code()), (Some(ErrorKind::Timeout), Some("57014")), "{ended}");
}

#[tokio::test]
async fn a_statement_that_takes_too_long_is_cancelled_on_mysql() {
    let Some(url) = mysql_url() else { return };
    let under_way = "SELECT count(*) FROM information_schema.processlist \
                     WHERE info LIKE '%faults-slow%' AND id <> connection_id()";
    let script = "DO SLEEP(60) /* faults-slow */;";
    let ended = cancelled_at_its_limit(&url, script, under_way).await;
    // MySQL's own SLEEP gives an answer when it is cancelled, MariaDB's fails.
    if ended.error.is_some() {
        let kind = (ended.kind(), ended.code());
        assert_eq!(kind, (Some(ErrorKind::Timeout), Some("1317")), "{ended}");
    }
}

#[tokio::test]
async fn a_statement_that_takes_too_long_is_interrupted_in_sqlite() {
    let database = Sqlite::connect("sqlite::memory:").await.expect("there is memory");
    let limit = Duration::from_millis(300);
    let endless = "CREATE TABLE t (a);\nINSERT INTO t VALUES (1);\nINSERT INTO t WITH RECURSIVE \
                   n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n;\n";
    let limited = Batcher::builder(database).retries(RetryOptions::none()).attempt_timeout(limit);
    let began = Instant::now();
    let ended = run(limited, endless).await;
    assert!(began.elapsed() < limit + GRACE, "{:?}", began.elapsed());
    let kind = (ended.kind(), ended.code());
    assert_eq!(kind, (Some(ErrorKind::Timeout), Some("SQLITE_INTERRUPT")), "{ended}");
    let report = ended.report;
    assert_eq!((report.applied, report.failed, report.rolled_back), (0, 1, 2), "{report}");
}

#[tokio::test]
async fn connecting_to_a_full_postgresql_is_retried() {
    let Some(url) = postgres_url() else { return };
    let mut owner = Direct::to(&url).await;
    let create = "CREATE ROLE faults_limited LOGIN CONNECTION LIMIT 1";
    owner.run(&["DROP ROLE IF EXISTS faults_limited", create]).await;
    let limited = url.replacen("//postgres@", "//faults_limited@", 1);
    assert_ne!(limited, url, "the server's user is postgres");
    let holder = Direct::to(&limited).await;
    let none = connect(&limited, &PoolOptions::default(), &RetryOptions::none()).await;
    let code = none.err().and_then(|error| error.code().map(str::to_owned));
    assert_eq!(code.as_deref(), Some("53300"));
    let (pool, retries) = (PoolOptions::default(), RetryOptions::default());
    let (connected, ()) = tokio::join!(connect(&limited, &pool, &retries), async {
        tokio::time::sleep(Duration::from_millis(150)).await;
        holder.close().await;
    });
    connected.expect("one is free again").close().await;
    let left = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'faults_limited'";
    owner.until(left, 0).await;
    owner.run(&["DROP ROLE faults_limited"]).await;
}
