//! What is peculiar to MySQL and MariaDB. All tests need a server, see [`mysql_url`].

use sql_batcher_adapters::{Adapter, Fault, MySql, PoolOptions, Scope, connect};
use sql_batcher_tests::{
    conformance::{Sql, bare, conformance, holds, run, session},
    servers::mysql_url,
};

pub(super) const MYSQL: Sql = Sql {
    create: &[
        "DROP TABLE IF EXISTS batch_conformance;\n",
        "CREATE TABLE batch_conformance (id integer PRIMARY KEY, name text) ENGINE = InnoDB;\n",
    ],
    drop: "DROP TABLE batch_conformance;\n",
    // A subquery with two rows is the error.
    require: "SELECT CASE WHEN {} THEN 1 ELSE (SELECT 1 UNION SELECT 2) END;\n",
    // Not `sleep` or `benchmark`: cancelled, they end without an error.
    slow: "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000) \
           SELECT count(*) FROM n AS a, n AS b, n AS c, n AS d \
           WHERE md5(a.i + b.i + c.i + d.i) = '';\n",
    big_select: "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000) \
                 SELECT repeat('x', 1000) FROM n CROSS JOIN (SELECT 1 FROM n LIMIT 300) AS m;\n",
    set: "SET sql_mode = 'ANSI';\n",
    unset: "@@sql_mode = @@global.sql_mode",
    begin: "START TRANSACTION;\n",
    refused: "INSERT INTO batch_conformance VALUES (7, 'again'), (7, 'again');\n",
};

#[tokio::test]
async fn killed_in_a_batch_is_known_not_to_be_applied() {
    let Some(url) = mysql_url() else { return };
    let adapter = MySql::connect(&url).await.unwrap();
    let mut victim = session(&adapter).await;
    let batch = ["SELECT 1;", "KILL connection_id();", "SELECT 2;"];
    let problem = run(&mut *victim, Scope::Atomic, &batch).await.unwrap_err();
    assert_eq!((problem.statement, problem.outcome_unknown), (Some(1), false), "{problem:?}");
    let problem = bare(&mut *victim, &["SELECT 1;"]).await.unwrap_err();
    assert_eq!(problem.fault, Fault::Connection, "{problem:?}");
    victim.rollback().await.unwrap();
}

#[tokio::test]
async fn conforms() {
    let Some(url) = mysql_url() else { return };
    let adapter = connect(&url, &PoolOptions::default()).await.unwrap();
    conformance(&*adapter, &MYSQL).await;
    adapter.close().await;
    let pool = sqlx::MySqlPool::connect(&url).await.unwrap();
    let given = MySql::from_pool(pool.clone()).await.unwrap();
    let without_settings = Sql { set: "SET sql_notes = 0;", unset: "@@sql_notes = 1", ..MYSQL };
    conformance(&given, &without_settings).await;
    given.close().await;
    assert!(!pool.is_closed());
}

#[tokio::test]
async fn sessions_mean_what_they_mean_in_the_client() {
    let Some(url) = mysql_url() else { return };
    let adapter = MySql::connect(&url).await.unwrap();
    let mut session = session(&adapter).await;
    for condition in [
        "@@sql_mode = @@global.sql_mode",
        "@@time_zone = @@global.time_zone",
        "@@autocommit = 1",
        "@@character_set_client = 'utf8mb4' AND @@character_set_connection = 'utf8mb4'",
    ] {
        holds(&mut *session, &MYSQL, condition).await;
    }
    run(&mut *session, Scope::Atomic, &["SELECT 1;", "SELECT 2;"]).await.unwrap();
    run(&mut *session, Scope::Atomic, &["SELECT 1;", "nonsense;"]).await.unwrap_err();
    holds(&mut *session, &MYSQL, "@@autocommit = 1").await;
    bare(&mut *session, &["SET autocommit = 0;"]).await.unwrap();
    run(&mut *session, Scope::Atomic, &["SELECT 1;", "SELECT 2;"]).await.unwrap();
    run(&mut *session, Scope::Atomic, &["SELECT 1;", "nonsense;"]).await.unwrap_err();
    holds(&mut *session, &MYSQL, "@@autocommit = 0").await;
    session.rollback().await.unwrap();
    holds(&mut *session, &MYSQL, "@@autocommit = 0 AND @sql_batcher_autocommit IS NULL").await;
}

/// A literal as `mysqldump` writes it.
fn dumped(bytes: impl Iterator<Item = u8>) -> Vec<u8> {
    let mut literal = b"_binary '".to_vec();
    for byte in bytes {
        match byte {
            0 => literal.extend(b"\\0"),
            b'\n' => literal.extend(b"\\n"),
            b'\r' => literal.extend(b"\\r"),
            0x1a => literal.extend(b"\\Z"),
            b'\'' | b'"' | b'\\' => literal.extend([b'\\', byte]),
            other => literal.push(other),
        }
    }
    literal.push(b'\'');
    literal
}

#[tokio::test]
async fn takes_raw_bytes_in_a_binary_literal_exactly() {
    let Some(url) = mysql_url() else { return };
    let adapter = MySql::connect(&url).await.unwrap();
    let mut session = session(&adapter).await;
    bare(
        &mut *session,
        &[
            "DROP TABLE IF EXISTS batch_binary;",
            "CREATE TABLE batch_binary (id integer PRIMARY KEY, b longblob) ENGINE = InnoDB;",
        ],
    )
    .await
    .unwrap();
    let all = || (0..=255u8).chain((0..=255).rev());
    let mut insert = b"INSERT INTO batch_binary VALUES (1, ".to_vec();
    insert.extend(dumped(all()));
    insert.extend(b");\n");
    let batch = [&insert[..], b"INSERT INTO batch_binary VALUES (2, 'x');\n"];
    let effects = run(&mut *session, Scope::Atomic, &batch).await.unwrap();
    assert_eq!(effects.rows, Some(2));
    let expected: String = all().map(|byte| format!("{byte:02X}")).collect();
    let equal = format!("(SELECT hex(b) FROM batch_binary WHERE id = 1) = '{expected}'");
    holds(&mut *session, &MYSQL, &equal).await;
    let problem =
        run(&mut *session, Scope::Atomic, &[&b"DELETE FROM batch_binary;"[..], &insert, &insert])
            .await;
    let problem = problem.unwrap_err();
    assert_eq!((problem.statement, problem.code.as_deref()), (Some(2), Some("1062")));
    holds(&mut *session, &MYSQL, "(SELECT count(*) FROM batch_binary) = 2").await;
    holds(&mut *session, &MYSQL, "@sql_batcher_statement IS NULL AND @@autocommit = 1").await;
    bare(&mut *session, &["DROP TABLE batch_binary;"]).await.unwrap();
}

#[tokio::test]
async fn counts_statements_and_not_results() {
    let Some(url) = mysql_url() else { return };
    let adapter = MySql::connect(&url).await.unwrap();
    let mut session = session(&adapter).await;
    bare(
        &mut *session,
        &[
            "DROP PROCEDURE IF EXISTS batch_three;",
            "CREATE PROCEDURE batch_three() BEGIN SELECT 1; SELECT 2; SELECT 3; END;",
        ],
    )
    .await
    .unwrap();
    for scope in [Scope::Atomic, Scope::Bare, Scope::Scripted] {
        let batch = ["CALL batch_three();", "/*!50003 CALL batch_three() */;", "nonsense;"];
        let problem = run(&mut *session, scope, &batch).await.unwrap_err();
        assert_eq!(problem.statement, Some(2), "{problem:?}");
    }
    if adapter.capabilities().server.starts_with("MariaDB") {
        let call = "SET STATEMENT max_statement_time = 60 FOR CALL batch_three();";
        let batch = [call, "SELECT 1;", "nonsense;"];
        let problem = run(&mut *session, Scope::Atomic, &batch).await.unwrap_err();
        assert_eq!((problem.statement, problem.outcome_unknown), (Some(2), false), "{problem:?}");
    }
    bare(&mut *session, &["DROP PROCEDURE batch_three;"]).await.unwrap();
}

#[tokio::test]
async fn batches_keep_the_locks_of_the_script() {
    let Some(url) = mysql_url() else { return };
    let adapter = MySql::connect(&url).await.unwrap();
    let mut first = session(&adapter).await;
    let mut second = session(&adapter).await;
    bare(
        &mut *first,
        &[
            "DROP TABLE IF EXISTS batch_locked;",
            "CREATE TABLE batch_locked (id integer PRIMARY KEY) ENGINE = InnoDB;",
            "LOCK TABLES batch_locked WRITE;",
        ],
    )
    .await
    .unwrap();
    let batch = ["INSERT INTO batch_locked VALUES (1);", "INSERT INTO batch_locked VALUES (2);"];
    run(&mut *first, Scope::Atomic, &batch).await.unwrap();
    run(&mut *first, Scope::Atomic, &batch).await.unwrap_err();
    bare(&mut *second, &["SET lock_wait_timeout = 1;"]).await.unwrap();
    let problem = bare(&mut *second, &["SELECT * FROM batch_locked;"]).await.unwrap_err();
    assert_eq!((problem.fault, problem.code.as_deref()), (Fault::Conflict, Some("1205")));
    bare(&mut *first, &["UNLOCK TABLES;"]).await.unwrap();
    holds(&mut *second, &MYSQL, "(SELECT count(*) FROM batch_locked) = 2").await;
    bare(&mut *first, &["DROP TABLE batch_locked;"]).await.unwrap();
}

#[tokio::test]
async fn says_so_when_a_change_cannot_be_taken_back() {
    let Some(url) = mysql_url() else { return };
    let adapter = MySql::connect(&url).await.unwrap();
    let mut session = session(&adapter).await;
    bare(
        &mut *session,
        &[
            "DROP TABLE IF EXISTS batch_myisam;",
            "CREATE TABLE batch_myisam (id integer PRIMARY KEY) ENGINE = MyISAM;",
        ],
    )
    .await
    .unwrap();
    let batch = ["INSERT INTO batch_myisam VALUES (1);", "INSERT INTO batch_myisam VALUES (1);"];
    let problem = run(&mut *session, Scope::Atomic, &batch).await.unwrap_err();
    assert!(problem.outcome_unknown, "{problem:?}");
    assert!(problem.message.ends_with("changes of tables without transactions stay applied"));
    bare(&mut *session, &["DROP TABLE batch_myisam;"]).await.unwrap();
}

#[tokio::test]
async fn takes_a_request_of_the_size_it_says() {
    let Some(url) = mysql_url() else { return };
    let adapter = MySql::connect(&url).await.unwrap();
    let mut session = session(&adapter).await;
    let max = usize::try_from(adapter.capabilities().max_request_bytes).unwrap();
    let (head, tail) = ("SELECT length('", "');");
    let text = format!("{head}{}{tail}", "x".repeat(max - head.len() - tail.len() - 9));
    assert_eq!(text.len() + 9, max);
    run(&mut *session, Scope::Atomic, &[&text[..], "SELECT 1;"]).await.unwrap();
    let mut bytes = text.into_bytes();
    bytes[100] = 0xff;
    run(&mut *session, Scope::Atomic, &[&bytes[..], b"SELECT 1;"]).await.unwrap();
}
