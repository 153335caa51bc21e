//! Faults of real databases, provoked by a second session: what a retry or a limit on time makes
//! of them. All but the last need a server, see [`postgres_url`] and [`mysql_url`].

use std::time::{Duration, Instant};

use sql_batcher::{
    Batcher, Builder, Error, ErrorKind, Report, RetryOptions,
    adapters::{PoolOptions, Sqlite},
    connect,
};
use sql_batcher_tests::servers::{mysql_url, postgres_url};
use sqlx::{
    AssertSqlSafe, Connection as _, Executor as _, MySqlConnection, PgConnection, Row as _,
};

/// How long a condition may take to come true.
const SOON: Duration = Duration::from_secs(20);
/// How often it is asked about. InnoDB looks at its transactions anew only where nobody has asked
/// for 100 ms (`CACHE_MIN_IDLE_TIME_NS` in `trx0i_s.cc`).
const ASK_EVERY: Duration = Duration::from_millis(150);
/// What a cancel may take beyond a limit, with a busy machine's delay.
const GRACE: Duration = Duration::from_secs(4);

async fn builder(url: &str) -> Builder {
    let database = connect(url, &PoolOptions::default(), &RetryOptions::default()).await;
    Batcher::builder_boxed(database.expect("the server is there"))
}

/// Asks until the answer is yes.
macro_rules! wait_until {
    ($connection:expr, $question:expr) => {{
        let began = Instant::now();
        loop {
            let asked = sqlx::raw_sql(AssertSqlSafe($question.to_owned()));
            let row = $connection.fetch_one(asked).await.expect("the question is answered");
            if row.try_get_unchecked::<i64, _>(0).expect("it is a number") > 0 {
                break;
            }
            assert!(began.elapsed() < SOON, "it should hold that {}", $question);
            tokio::time::sleep(ASK_EVERY).await;
        }
    }};
}

async fn postgres(url: &str, statements: &[&str]) -> PgConnection {
    let mut session = PgConnection::connect(url).await.expect("the server is there");
    for statement in statements {
        let sql = AssertSqlSafe((*statement).to_owned());
        session.execute(sqlx::raw_sql(sql)).await.expect(statement);
    }
    session
}

async fn mysql(url: &str, statements: &[&str]) -> MySqlConnection {
    let mut session = MySqlConnection::connect(url).await.expect("the server is there");
    for statement in statements {
        let sql = AssertSqlSafe((*statement).to_owned());
        session.execute(sqlx::raw_sql(sql)).await.expect(statement);
    }
    session
}

/// Runs a script in the background.
fn start(builder: Builder, script: &str) -> tokio::task::JoinHandle<Result<Report, Error>> {
    let script = script.to_owned();
    tokio::spawn(async move {
        let mut batcher = builder.build().await?;
        batcher.push_str(&script).await?;
        batcher.finish().await
    })
}

fn one_waits_in_postgres(table: &str) -> String {
    format!(
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' \
         AND query LIKE '%{table}%' AND pid <> pg_backend_pid()"
    )
}

#[tokio::test]
async fn a_deadlock_in_postgresql_is_retried_and_ends_right() {
    let Some(url) = postgres_url() else { return };
    let mut other = postgres(
        &url,
        &[
            "DROP TABLE IF EXISTS faults_deadlock",
            "CREATE TABLE faults_deadlock (id int PRIMARY KEY, n int)",
            "INSERT INTO faults_deadlock VALUES (1, 0), (2, 0)",
            // The batch shall be the victim.
            "SET deadlock_timeout = '1h'",
            "BEGIN",
            "UPDATE faults_deadlock SET n = n + 10 WHERE id = 2",
        ],
    )
    .await;
    let script = "UPDATE faults_deadlock SET n = n + 1 WHERE id = 1;\n\
                  UPDATE faults_deadlock SET n = n + 1 WHERE id = 2;\n";
    let run = start(builder(&url).await, script);
    let mut watcher = postgres(&url, &[]).await;
    wait_until!(&mut watcher, one_waits_in_postgres("faults_deadlock"));
    other.execute("UPDATE faults_deadlock SET n = n + 10 WHERE id = 1").await.expect("it is free");
    other.execute("COMMIT").await.expect("it is kept");
    let report = run.await.expect("it does not panic").expect("it is applied");
    assert!(report.retries.conflict >= 1, "{report}");
    let sums = "SELECT count(*) FROM faults_deadlock WHERE n = 11";
    let row = watcher.fetch_one(sums).await.expect("they are there");
    assert_eq!((row.get::<i64, _>(0), report.applied), (2, 2));
    watcher.execute("DROP TABLE faults_deadlock").await.expect("it is dropped");
}

#[tokio::test]
async fn a_session_of_postgresql_that_is_terminated_is_made_again_with_its_settings() {
    let Some(url) = postgres_url() else { return };
    let mut other = postgres(
        &url,
        &[
            "DROP TABLE IF EXISTS faults_ended",
            "CREATE TABLE faults_ended (id int PRIMARY KEY, setting text)",
        ],
    )
    .await;
    let mut batcher = builder(&url).await.build().await.expect("it starts");
    let insert = "INSERT INTO faults_ended VALUES (1, current_setting('work_mem'));";
    let settings = "SET work_mem = '99MB'; SET application_name = 'faults-ended';";
    batcher.push_str(&format!("{settings}{insert}")).await.expect("it is taken");
    batcher.flush().await.expect("it is applied");
    let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
               WHERE application_name = 'faults-ended'";
    assert_eq!(other.execute(end).await.expect("it ends").rows_affected(), 1);
    batcher.push_str(&insert.replace("(1", "(2")).await.expect("it is taken");
    let report = batcher.finish().await.expect("it is applied");
    assert_eq!((report.applied, report.retries.connection), (4, 1), "{report}");
    let right = "SELECT count(*) FROM faults_ended WHERE setting = '99MB'";
    let row = other.fetch_one(right).await.expect("they are there");
    assert_eq!(row.get::<i64, _>(0), 2);
    other.execute("DROP TABLE faults_ended").await.expect("it is dropped");
}

#[tokio::test]
async fn a_batch_whose_session_of_postgresql_is_terminated_in_its_middle_is_applied_once() {
    let Some(url) = postgres_url() else { return };
    let mut other = postgres(
        &url,
        &[
            "DROP TABLE IF EXISTS faults_middle",
            "CREATE TABLE faults_middle (id int, n int)",
            "INSERT INTO faults_middle VALUES (1, 0)",
            "BEGIN",
            "SELECT 1 FROM faults_middle WHERE id = 1 FOR UPDATE",
        ],
    )
    .await;
    let script = "INSERT INTO faults_middle VALUES (2, 0);\n\
                  UPDATE faults_middle SET n = n + 1 WHERE id = 1;\n";
    let run = start(builder(&url).await, script);
    let mut watcher = postgres(&url, &[]).await;
    wait_until!(&mut watcher, one_waits_in_postgres("faults_middle"));
    let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
               WHERE wait_event_type = 'Lock' AND query LIKE '%faults_middle%'";
    assert_eq!(watcher.execute(end).await.expect("it ends").rows_affected(), 1);
    other.execute("COMMIT").await.expect("it ends");
    let report = run.await.expect("it does not panic").expect("it is applied");
    assert_eq!((report.applied, report.retries.connection), (2, 1), "{report}");
    let sum = "SELECT count(*) + sum(n) FROM faults_middle";
    let row = watcher.fetch_one(sum).await.expect("they are there");
    assert_eq!(row.get::<i64, _>(0), 3);
    watcher.execute("DROP TABLE faults_middle").await.expect("it is dropped");
}

#[tokio::test]
async fn a_lock_wait_in_postgresql_is_retried_until_the_lock_is_free() {
    let Some(url) = postgres_url() else { return };
    let mut other = postgres(
        &url,
        &[
            "DROP TABLE IF EXISTS faults_lock",
            "CREATE TABLE faults_lock (id int, n int)",
            "INSERT INTO faults_lock VALUES (1, 0)",
            "BEGIN",
            "SELECT 1 FROM faults_lock FOR UPDATE",
        ],
    )
    .await;
    let script = "SET lock_timeout = '200ms';\nUPDATE faults_lock SET n = n + 1;\n";
    let retries = RetryOptions { max_retries: 1000, ..RetryOptions::default() };
    let run = start(builder(&url).await.retries(retries), script);
    let mut watcher = postgres(&url, &[]).await;
    // It waits, gives up, and waits again.
    wait_until!(&mut watcher, one_waits_in_postgres("faults_lock"));
    let idle = "SELECT count(*) FROM pg_stat_activity WHERE state = 'idle' \
                AND query LIKE '%UPDATE faults_lock%'";
    wait_until!(&mut watcher, idle);
    other.execute("COMMIT").await.expect("it ends");
    let report = run.await.expect("it does not panic").expect("it is applied");
    assert!(report.retries.conflict >= 1, "{report}");
    let row = watcher.fetch_one("SELECT n FROM faults_lock").await.expect("it is there");
    assert_eq!(row.get::<i32, _>(0), 1);
    watcher.execute("DROP TABLE faults_lock").await.expect("it is dropped");
}

#[tokio::test]
async fn a_statement_that_takes_too_long_is_cancelled_on_postgresql() {
    let Some(url) = postgres_url() else { return };
    let mut watcher = postgres(&url, &[]).await;
    let limit = Duration::from_secs(1);
    let limited = builder(&url).await.retries(RetryOptions::none()).attempt_timeout(limit);
    let began = Instant::now();
    let run = start(limited, "SELECT pg_sleep(60) /* faults-slow */;");
    let runs = "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' \
                AND query LIKE '%faults-slow%' AND pid <> pg_backend_pid()";
    wait_until!(&mut watcher, runs);
    let error = run.await.expect("it does not panic").expect_err("it takes too long");
    assert!(began.elapsed() < limit + GRACE, "{:?}", began.elapsed());
    assert_eq!((error.kind(), error.code()), (ErrorKind::Timeout, Some("57014")), "{error}");
    wait_until!(&mut watcher, runs.replacen("count(*)", "(count(*) = 0)::int::bigint", 1));
}

#[tokio::test]
async fn connecting_to_a_full_postgresql_is_retried() {
    let Some(url) = postgres_url() else { return };
    let mut owner = postgres(
        &url,
        &[
            "DROP ROLE IF EXISTS faults_limited",
            "CREATE ROLE faults_limited LOGIN CONNECTION LIMIT 1",
        ],
    )
    .await;
    let limited = url.replacen("//postgres@", "//faults_limited@", 1);
    assert_ne!(limited, url, "the server's user is postgres");
    let holder = PgConnection::connect(&limited).await.expect("one is free");
    let none = connect(&limited, &PoolOptions::default(), &RetryOptions::none()).await;
    assert_eq!(none.err().and_then(|error| error.code().map(str::to_owned)).unwrap(), "53300");
    let (pool, retries) = (PoolOptions::default(), RetryOptions::default());
    let (connected, closed) = tokio::join!(connect(&limited, &pool, &retries), async {
        tokio::time::sleep(Duration::from_millis(150)).await;
        holder.close().await
    });
    closed.expect("it closes");
    let database = connected.expect("one is free again");
    database.close().await;
    wait_until!(
        &mut owner,
        "SELECT (count(*) = 0)::int::bigint FROM pg_stat_activity WHERE usename = 'faults_limited'"
    );
    owner.execute("DROP ROLE faults_limited").await.expect("it is dropped");
}

#[tokio::test]
async fn a_deadlock_in_mysql_is_retried_and_ends_right() {
    let Some(url) = mysql_url() else { return };
    let mut other = mysql(
        &url,
        &[
            "DROP TABLE IF EXISTS faults_deadlock",
            "CREATE TABLE faults_deadlock (id int PRIMARY KEY, n int) ENGINE=InnoDB",
            "INSERT INTO faults_deadlock VALUES (1, 0), (2, 0)",
            "BEGIN",
            // The one that has changed less is the victim.
            "INSERT INTO faults_deadlock VALUES (3, 0), (4, 0), (5, 0), (6, 0), (7, 0)",
            "UPDATE faults_deadlock SET n = n + 10 WHERE id = 2",
        ],
    )
    .await;
    let script = "UPDATE faults_deadlock SET n = n + 1 WHERE id = 1;\n\
                  UPDATE faults_deadlock SET n = n + 1 WHERE id = 2;\n";
    let run = start(builder(&url).await, script);
    let mut watcher = mysql(&url, &[]).await;
    let waits = "SELECT count(*) FROM information_schema.innodb_trx \
                 WHERE trx_state = 'LOCK WAIT' AND trx_query LIKE '%faults_deadlock%'";
    wait_until!(&mut watcher, waits);
    other.execute("UPDATE faults_deadlock SET n = n + 10 WHERE id = 1").await.expect("it is free");
    other.execute("COMMIT").await.expect("it is kept");
    let report = run.await.expect("it does not panic").expect("it is applied");
    assert!(report.retries.conflict >= 1, "{report}");
    let sums = "SELECT count(*) FROM faults_deadlock WHERE n = 11";
    let row = watcher.fetch_one(sums).await.expect("they are there");
    assert_eq!((row.get::<i64, _>(0), report.applied), (2, 2));
    watcher.execute("DROP TABLE faults_deadlock").await.expect("it is dropped");
}

#[tokio::test]
async fn a_lock_wait_in_mysql_takes_the_whole_batch_back_before_it_is_retried() {
    let Some(url) = mysql_url() else { return };
    let mut other = mysql(
        &url,
        &[
            "DROP TABLE IF EXISTS faults_lock",
            "CREATE TABLE faults_lock (id int PRIMARY KEY, n int) ENGINE=InnoDB",
            "INSERT INTO faults_lock VALUES (1, 0)",
            "BEGIN",
            // Only the row: the INSERT of the batch is to go through.
            "SELECT 1 FROM faults_lock WHERE id = 1 FOR UPDATE",
        ],
    )
    .await;
    let script = "SET innodb_lock_wait_timeout = 1;\nINSERT INTO faults_lock VALUES (2, 0);\n\
                  UPDATE faults_lock SET n = n + 1 WHERE id = 1;\n";
    let retries = RetryOptions { max_retries: 1000, ..RetryOptions::default() };
    let run = start(builder(&url).await.retries(retries), script);
    let mut watcher = mysql(&url, &[]).await;
    let waits = "SELECT count(*) FROM information_schema.innodb_trx \
                 WHERE trx_state = 'LOCK WAIT' AND trx_query LIKE '%faults_lock%'";
    wait_until!(&mut watcher, waits);
    wait_until!(&mut watcher, waits.replacen("count(*)", "CAST(count(*) = 0 AS SIGNED)", 1));
    other.execute("COMMIT").await.expect("it ends");
    let report = run.await.expect("it does not panic").expect("it is applied");
    assert!(report.retries.conflict >= 1, "{report}");
    let row = watcher.fetch_one("SELECT count(*) FROM faults_lock").await.expect("they are there");
    assert_eq!(row.get::<i64, _>(0), 2);
    watcher.execute("DROP TABLE faults_lock").await.expect("it is dropped");
}

#[tokio::test]
async fn a_statement_that_takes_too_long_is_cancelled_on_mysql() {
    let Some(url) = mysql_url() else { return };
    let mut watcher = mysql(&url, &[]).await;
    let limit = Duration::from_secs(1);
    let limited = builder(&url).await.retries(RetryOptions::none()).attempt_timeout(limit);
    let began = Instant::now();
    let run = start(limited, "DO SLEEP(60) /* faults-slow */;");
    let runs = "SELECT count(*) FROM information_schema.processlist \
                WHERE info LIKE '%faults-slow%' AND id <> connection_id()";
    wait_until!(&mut watcher, runs);
    let ended = run.await.expect("it does not panic");
    assert!(began.elapsed() < limit + GRACE, "{:?}", began.elapsed());
    wait_until!(&mut watcher, runs.replacen("count(*)", "CAST(count(*) = 0 AS SIGNED)", 1));
    // MySQL's own SLEEP gives an answer when it is cancelled, MariaDB's fails.
    if let Err(error) = ended {
        assert_eq!((error.kind(), error.code()), (ErrorKind::Timeout, Some("1317")), "{error}");
    }
}

#[tokio::test]
async fn a_statement_that_takes_too_long_is_interrupted_in_sqlite() {
    let database = Sqlite::connect("sqlite::memory:").await.unwrap();
    let limit = Duration::from_millis(300);
    let endless = "CREATE TABLE t (a);\nINSERT INTO t VALUES (1);\nINSERT INTO t WITH RECURSIVE \
                   n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n;\n";
    let limited = Batcher::builder(database).retries(RetryOptions::none()).attempt_timeout(limit);
    let began = Instant::now();
    let ended = start(limited, endless).await.expect("it does not panic");
    let error = ended.expect_err("it takes too long");
    assert!(began.elapsed() < limit + GRACE, "{:?}", began.elapsed());
    assert_eq!((error.kind(), error.code()), (ErrorKind::Timeout, Some("SQLITE_INTERRUPT")));
    let report = error.report().unwrap();
    assert_eq!((report.applied, report.failed, report.rolled_back), (0, 1, 2), "{report}");
}
