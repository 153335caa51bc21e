//! SQLite through the adapter: needs no server.

use std::{sync::Arc, time::Duration};

use crate::{
    Adapter, Connection, Effects, Fault, InsertRows, PoolOptions, Problem, Request, Scope, Sqlite,
};

async fn memory() -> Sqlite {
    Sqlite::connect("sqlite::memory:").await.unwrap()
}

/// Runs statements that are given apart.
async fn run(
    session: &mut dyn Connection,
    scope: Scope,
    statements: &[&[u8]],
) -> Result<Effects, Problem> {
    let body = statements.concat();
    let mut end = 0;
    let ends: Vec<u32> = statements
        .iter()
        .map(|statement| {
            end += statement.len() as u32;
            end
        })
        .collect();
    session.execute(Request { body: &body, ends: &ends, scope, copy: None, inserts: &[] }).await
}

/// Fails unless a condition holds in the session.
async fn holds(session: &mut dyn Connection, condition: &str) {
    // A scalar JSON error is what SQLite raises on demand outside triggers.
    let sql = format!("SELECT CASE WHEN {condition} THEN 1 ELSE json('no') END;");
    let result = run(session, Scope::Bare, &[sql.as_bytes()]).await;
    assert!(result.is_ok(), "{condition}");
}

#[tokio::test]
async fn a_session_is_as_in_the_shell() {
    let database = memory().await;
    assert!(database.capabilities().server.starts_with("SQLite 3."));
    assert_eq!(database.capabilities().max_request_bytes, 1_000_000_000);
    let mut session = database.acquire().await.unwrap();
    holds(&mut *session, "(SELECT foreign_keys FROM pragma_foreign_keys) = 0").await;
    holds(&mut *session, "(SELECT timeout FROM pragma_busy_timeout) = 5000").await;
}

#[tokio::test]
async fn rows_that_are_changed_are_counted() {
    let database = memory().await;
    let mut session = database.acquire().await.unwrap();
    let statements: [&[u8]; 4] = [
        b"CREATE TABLE t(a);\n",
        b"INSERT INTO t VALUES (1),(2);\n",
        b"SELECT * FROM t; -- two rows\n",
        b"UPDATE t SET a = 3 WHERE a = 2",
    ];
    let effects = run(&mut *session, Scope::Atomic, &statements).await.unwrap();
    assert_eq!(effects.rows, Some(3));
}

#[tokio::test]
async fn what_was_prepared_does_what_the_request_says() {
    let database = memory().await;
    let mut session = database.acquire().await.unwrap();
    let created = run(&mut *session, Scope::Bare, &[b"CREATE TABLE t(a UNIQUE, b, c);"]).await;
    assert!(created.is_ok());
    let prefix = "INSERT INTO t VALUES ";
    let insert = |first: u32| {
        let rows = (first..first + 100).map(|a| format!("({a}, 'it''s {a}', {a}.5)"));
        format!("{prefix}{};\n", rows.collect::<Vec<_>>().join(", "))
    };
    let at = |statement| InsertRows { statement, prefix: prefix.len() as u32, tail: 0 };
    let texts = ["DELETE FROM t WHERE a = 7;\n".to_owned(), insert(0), insert(100)];
    let body = Arc::new(texts.concat().into_bytes());
    let mut end = 0;
    let ends = texts.map(|text| {
        end += text.len() as u32;
        end
    });
    let (scope, inserts) = (Scope::Atomic, [at(1), at(2)]);
    let request = Request { body: &body, ends: &ends, scope, copy: None, inserts: &inserts };
    let prepared = database.prepare(&request, &body).unwrap();
    let effects = session.execute_prepared(request, prepared).await.unwrap();
    assert_eq!(effects.rows, Some(200));
    holds(&mut *session, "(SELECT count(*) FROM t WHERE b = 'it''s ' || a AND c = a + 0.5) = 200")
        .await;
    // The same once more is refused, where it is.
    let prepared = database.prepare(&request, &body).unwrap();
    let refused = session.execute_prepared(request, prepared).await.unwrap_err();
    let plainly = session.execute(Request { inserts: &[], ..request }).await.unwrap_err();
    assert_eq!((refused.statement, refused.offset), (plainly.statement, plainly.offset));
    assert_eq!((refused.statement, refused.message), (Some(1), plainly.message));
    // There is nothing to do ahead, and what another adapter has made is not taken.
    let plain = Request { inserts: &[], ..request };
    assert!(database.prepare(&plain, &body).is_none());
    assert!(session.execute_prepared(plain, Box::new(1)).await.is_err());
}

#[tokio::test]
async fn a_failing_batch_leaves_nothing_and_names_statement_and_place() {
    let database = memory().await;
    let mut session = database.acquire().await.unwrap();
    run(&mut *session, Scope::Bare, &[b"CREATE TABLE t(a UNIQUE);"]).await.unwrap();
    let statements: [&[u8]; 3] =
        [b"INSERT INTO t VALUES ('\xc3\xa4');", b"INSERT INTO t VALUES (2);", b"SELECT b FROM t;"];
    let problem = run(&mut *session, Scope::Atomic, &statements).await.unwrap_err();
    assert_eq!((problem.statement, problem.kept), (Some(2), 0));
    assert_eq!(problem.offset, Some(28 + 25 + 7));
    assert_eq!(problem.message, "no such column: b");
    assert_eq!(problem.code.as_deref(), Some("SQLITE_ERROR"));
    holds(&mut *session, "(SELECT count(*) FROM t) = 0").await;
    let twice: [&[u8]; 2] = [b"INSERT INTO t VALUES (1);", b"INSERT INTO t VALUES (1);"];
    let problem = run(&mut *session, Scope::Atomic, &twice).await.unwrap_err();
    assert_eq!(problem.code.as_deref(), Some("SQLITE_CONSTRAINT_UNIQUE"));
    assert_eq!((problem.fault, problem.statement), (Fault::Statement, Some(1)));
    holds(&mut *session, "(SELECT count(*) FROM t) = 0").await;
}

#[tokio::test]
async fn a_bare_request_keeps_what_came_before_its_error() {
    let database = memory().await;
    let mut session = database.acquire().await.unwrap();
    let statements: [&[u8]; 4] =
        [b"CREATE TABLE t(a);", b"INSERT INTO t VALUES (1);", b"nonsense;", b"DROP TABLE t;"];
    let problem = run(&mut *session, Scope::Bare, &statements).await.unwrap_err();
    assert_eq!((problem.statement, problem.kept), (Some(2), 2));
    holds(&mut *session, "(SELECT count(*) FROM t) = 1").await;
}

#[tokio::test]
async fn a_script_keeps_what_it_committed() {
    let database = memory().await;
    let mut session = database.acquire().await.unwrap();
    let statements: [&[u8]; 6] = [
        b"CREATE TABLE t(a);",
        b"BEGIN;",
        b"INSERT INTO t VALUES (1);",
        b"COMMIT;BEGIN;",
        b"INSERT INTO t VALUES (2);",
        b"nonsense;",
    ];
    let problem = run(&mut *session, Scope::Scripted, &statements).await.unwrap_err();
    assert_eq!((problem.statement, problem.kept), (Some(5), 1));
    session.rollback().await.unwrap();
    holds(&mut *session, "(SELECT count(*) FROM t) = 1").await;
}

#[tokio::test]
async fn any_bytes_but_zero_reach_the_database() {
    let database = memory().await;
    let mut session = database.acquire().await.unwrap();
    let mut insert = b"INSERT INTO t VALUES (CAST('".to_vec();
    insert.extend((1..=255).filter(|byte| *byte != b'\''));
    insert.extend(b"' AS BLOB));");
    run(&mut *session, Scope::Atomic, &[b"CREATE TABLE t(a);", &insert]).await.unwrap();
    holds(&mut *session, "(SELECT length(a) FROM t) = 254").await;
    holds(&mut *session, "(SELECT substr(a, 254, 1) FROM t) = x'ff'").await;
    let problem = run(&mut *session, Scope::Bare, &[b"SELECT 1;", b"SELECT '\0';"]).await;
    let problem = problem.unwrap_err();
    assert_eq!((problem.fault, problem.statement), (Fault::Unsupported, Some(1)));
    assert_eq!(problem.offset, Some(17));
}

#[tokio::test]
async fn sessions_of_a_database_in_memory_share_its_data_but_no_settings() {
    let database = memory().await;
    let mut first = database.acquire().await.unwrap();
    let statements: [&[u8]; 3] =
        [b"CREATE TABLE t(a);", b"CREATE TEMP TABLE mine(a);", b"PRAGMA foreign_keys = ON;"];
    run(&mut *first, Scope::Bare, &statements).await.unwrap();
    first.close().await;
    let mut second = database.acquire().await.unwrap();
    run(&mut *second, Scope::Bare, &[b"INSERT INTO t VALUES (1);"]).await.unwrap();
    run(&mut *second, Scope::Bare, &[b"SELECT * FROM mine;"]).await.unwrap_err();
    holds(&mut *second, "(SELECT foreign_keys FROM pragma_foreign_keys) = 0").await;
}

#[tokio::test]
async fn a_database_in_memory_has_one_session_at_a_time() {
    let pool = PoolOptions { acquire_timeout: Duration::from_millis(10), ..PoolOptions::default() };
    let database = Sqlite::connect_with("sqlite::memory:", &pool).await.unwrap();
    let first = database.acquire().await.unwrap();
    let Err(error) = database.acquire().await else { panic!("there was a second session") };
    assert_eq!(error.fault, Fault::Resources);
    assert!(error.message.ends_with("sessions at most 1"), "{error}");
    drop(first);
    database.acquire().await.unwrap();
}

#[tokio::test]
async fn a_dropped_session_rolls_back() {
    let database = memory().await;
    let mut session = database.acquire().await.unwrap();
    let open: [&[u8]; 2] = [b"BEGIN;", b"INSERT INTO t VALUES (1);"];
    run(&mut *session, Scope::Bare, &[b"CREATE TABLE t(a);"]).await.unwrap();
    run(&mut *session, Scope::Scripted, &open).await.unwrap();
    drop(session);
    let mut session = database.acquire().await.unwrap();
    holds(&mut *session, "(SELECT count(*) FROM t) = 0").await;
}

/// Counts for hours.
const ENDLESS: &[u8] = b"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) \
      INSERT INTO t SELECT max(i) FROM n;";

#[tokio::test]
async fn a_request_that_is_dropped_is_interrupted_and_rolled_back() {
    let database = memory().await;
    let mut session = database.acquire().await.unwrap();
    run(&mut *session, Scope::Bare, &[b"CREATE TABLE t(a);"]).await.unwrap();
    let slow: [&[u8]; 2] = [b"INSERT INTO t VALUES (1);", ENDLESS];
    let work = run(&mut *session, Scope::Atomic, &slow);
    tokio::time::timeout(Duration::from_millis(50), work).await.unwrap_err();
    let problem = run(&mut *session, Scope::Bare, &[b"SELECT 1;"]).await.unwrap_err();
    assert_eq!(problem.message, "the session was left in the middle of a request");
    drop(session);
    let mut next = database.acquire().await.unwrap();
    holds(&mut *next, "(SELECT count(*) FROM t) = 0").await;
}

#[tokio::test]
async fn a_cancel_stops_what_runs_and_nothing_else() {
    let database = memory().await;
    let mut session = database.acquire().await.unwrap();
    let cancel = session.cancel_handle().unwrap();
    cancel.cancel().await.unwrap();
    run(&mut *session, Scope::Bare, &[b"CREATE TABLE t(a);"]).await.unwrap();
    let slow: [&[u8]; 2] = [b"INSERT INTO t VALUES (1);", ENDLESS];
    let (result, _) = tokio::join!(run(&mut *session, Scope::Atomic, &slow), async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        cancel.cancel().await
    });
    let problem = result.unwrap_err();
    assert_eq!((problem.fault, problem.statement), (Fault::Cancelled, Some(1)));
    holds(&mut *session, "(SELECT count(*) FROM t) = 0").await;
}

#[tokio::test]
async fn values_are_fetched_as_text_and_null_as_none() {
    let database = memory().await;
    let mut session = database.acquire().await.unwrap();
    let sql = "SELECT 1 AS a, 'ä''b', NULL, 1.5, x'', '' UNION ALL SELECT 2, 3, 4, 5, 6, 7;";
    let rows = session.fetch(sql).await.unwrap();
    let text = |value: &str| Some(value.to_owned());
    let first = [text("1"), text("ä'b"), None, text("1.5"), text(""), text("")];
    assert_eq!(rows, [first, ["2", "3", "4", "5", "6", "7"].map(text)]);
    assert!(session.fetch("SELECT 1 WHERE 0").await.unwrap().is_empty());
    assert!(session.fetch("-- nothing").await.unwrap().is_empty());
    let problem = session.fetch("SELECT x'ff'").await.unwrap_err();
    assert_eq!(problem.message, "a value of the answer is not UTF-8");
    let problem = session.fetch("SELECT * FROM none").await.unwrap_err();
    assert_eq!((problem.fault, problem.outcome_unknown), (Fault::Statement, false));
    assert_eq!(session.fetch("SELECT 1").await.unwrap(), [[text("1")]]);
}

#[tokio::test]
async fn a_limit_on_statements_is_no_error() {
    let database = memory().await;
    let mut session = database.acquire().await.unwrap();
    session.limit_statements(Duration::ZERO).await.unwrap();
    session.fetch("SELECT 1").await.unwrap();
}

#[tokio::test]
async fn a_session_that_is_terminated_has_nothing_open_and_takes_nothing() {
    let database = memory().await;
    let mut session = database.acquire().await.unwrap();
    let terminate = session.cancel_handle().unwrap();
    run(&mut *session, Scope::Bare, &[b"CREATE TABLE t(a);"]).await.unwrap();
    let open: [&[u8]; 2] = [b"BEGIN;", b"INSERT INTO t VALUES (1);"];
    run(&mut *session, Scope::Scripted, &open).await.unwrap();
    terminate.terminate().await.unwrap();
    // There is one place, so this proves that the connection is closed.
    let mut next = database.acquire().await.unwrap();
    holds(&mut *next, "(SELECT count(*) FROM t) = 0").await;
    let problem = run(&mut *session, Scope::Scripted, &[b"COMMIT;"]).await.unwrap_err();
    assert_eq!(problem.message, "the session has lost its connection");
    session.fetch("SELECT 1").await.unwrap_err();
    session.rollback().await.unwrap();
    terminate.terminate().await.unwrap();
    session.close().await;
    holds(&mut *next, "(SELECT count(*) FROM t) = 0").await;
}

#[tokio::test]
async fn what_runs_in_a_session_that_is_terminated_fails_and_leaves_nothing() {
    let database = memory().await;
    let mut session = database.acquire().await.unwrap();
    let terminate = session.cancel_handle().unwrap();
    run(&mut *session, Scope::Bare, &[b"CREATE TABLE t(a);"]).await.unwrap();
    let slow: [&[u8]; 2] = [b"INSERT INTO t VALUES (1);", ENDLESS];
    let (result, ended) = tokio::join!(run(&mut *session, Scope::Atomic, &slow), async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        terminate.terminate().await
    });
    ended.unwrap();
    let problem = result.unwrap_err();
    assert_eq!((problem.fault, problem.outcome_unknown), (Fault::Cancelled, false));
    let mut next = database.acquire().await.unwrap();
    holds(&mut *next, "(SELECT count(*) FROM t) = 0").await;
    run(&mut *session, Scope::Bare, &[b"SELECT 1;"]).await.unwrap_err();
}

#[tokio::test]
async fn the_end_of_a_request_that_was_dropped_is_waited_for() {
    let database = memory().await;
    let mut session = database.acquire().await.unwrap();
    let terminate = session.cancel_handle().unwrap();
    run(&mut *session, Scope::Bare, &[b"CREATE TABLE t(a);"]).await.unwrap();
    let work = run(&mut *session, Scope::Bare, &[ENDLESS]);
    tokio::time::timeout(Duration::from_millis(50), work).await.unwrap_err();
    terminate.terminate().await.unwrap();
    let mut next = database.acquire().await.unwrap();
    holds(&mut *next, "(SELECT count(*) FROM t) = 0").await;
}

#[tokio::test]
async fn a_locked_file_is_a_conflict_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", folder.path().join("a.db").display());
    let database = Sqlite::connect(&url).await.unwrap();
    let mut first = database.acquire().await.unwrap();
    let mut second = database.acquire().await.unwrap();
    run(&mut *first, Scope::Bare, &[b"CREATE TABLE t(a);"]).await.unwrap();
    run(&mut *second, Scope::Bare, &[b"PRAGMA busy_timeout = 10;"]).await.unwrap();
    first.begin().await.unwrap();
    run(&mut *first, Scope::Scripted, &[b"INSERT INTO t VALUES (1);"]).await.unwrap();
    let twice: [&[u8]; 2] = [b"SELECT 1;", b"INSERT INTO t VALUES (2);"];
    let problem = run(&mut *second, Scope::Atomic, &twice).await.unwrap_err();
    assert_eq!((problem.fault, problem.statement), (Fault::Conflict, Some(1)));
    first.commit().await.unwrap();
    run(&mut *second, Scope::Atomic, &twice).await.unwrap();
    holds(&mut *second, "(SELECT sum(a) FROM t) = 3").await;
}

#[tokio::test]
async fn a_file_that_is_no_database_is_refused_with_its_path() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.txt");
    std::fs::write(&path, "this is no database, but it is long enough to look at\n".repeat(40))
        .unwrap();
    let url = format!("sqlite://{}", path.display());
    let Err(error) = Sqlite::connect(&url).await else { panic!("it was opened") };
    assert!(error.message.contains("a.txt") && error.message.contains("not a database"), "{error}");
    let url = format!("sqlite://{}/none/a.db", folder.path().display());
    let Err(error) = Sqlite::connect(&url).await else { panic!("it was opened") };
    assert!(error.message.contains("unable to open database file"), "{error}");
}

#[tokio::test]
async fn a_closed_adapter_gives_no_sessions() {
    let database = Sqlite::connect_with("sqlite::memory:", &PoolOptions::default()).await.unwrap();
    database.close().await;
    let Err(error) = database.acquire().await else { panic!("there was a session") };
    assert_eq!(error.message, "the adapter for sqlite at :memory: is closed");
}

#[test]
fn quick_requests_do_not_overtake_the_drivers_own_thread() {
    use std::sync::atomic::{AtomicBool, Ordering};
    static OVER: AtomicBool = AtomicBool::new(false);
    // Others that want the processors make that thread late at times.
    for _ in 0..8 {
        std::thread::spawn(|| {
            while !OVER.load(Ordering::Relaxed) {
                std::hint::spin_loop()
            }
        });
    }
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let done = runtime.block_on(async {
        // The shortest queue, so that being late once is enough.
        let options = sqlx::sqlite::SqliteConnectOptions::new();
        let options = options.in_memory(true).command_buffer_size(1);
        let pool = sqlx::sqlite::SqlitePoolOptions::new().max_connections(1);
        let pool = pool.connect_with(options).await.unwrap();
        let mut session = Sqlite::from_pool(pool).await.unwrap().acquire().await.unwrap();
        let requests = async {
            for _ in 0..20_000 {
                run(&mut *session, Scope::Bare, &[b"SELECT 1;"]).await.unwrap();
            }
        };
        tokio::time::timeout(Duration::from_secs(120), requests).await
    });
    OVER.store(true, Ordering::Relaxed);
    // What waits for ever cannot be waited for.
    runtime.shutdown_background();
    assert!(done.is_ok(), "they wait for each other");
}
