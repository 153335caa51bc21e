//! What is peculiar to PostgreSQL. All tests need a server, see [`postgres_url`].

use sql_batcher_adapters::{Adapter, Fault, PoolOptions, Postgres, Scope, connect};
use sql_batcher_tests::{
    conformance::{Sql, bare, conformance, holds, run, session},
    servers::postgres_url,
};

use super::with_user;

pub(super) const POSTGRES: Sql = Sql {
    create: &[
        "DROP TABLE IF EXISTS batch_conformance;\n",
        "CREATE TABLE batch_conformance (id integer PRIMARY KEY, name text);\n",
    ],
    drop: "DROP TABLE batch_conformance;\n",
    require: "SELECT 1 / CASE WHEN {} THEN 1 ELSE 0 END;\n",
    slow: "SELECT pg_sleep(60);\n",
    big_select: "SELECT repeat('x', 1000) FROM generate_series(1, 300000);\n",
    set: "SET statement_timeout = '59s';\n",
    unset: "current_setting('statement_timeout') <> '59s'",
    begin: "BEGIN;\n",
    refused: "INSERT INTO batch_conformance VALUES (7, 'again'), (7, 'again');\n",
};

#[tokio::test]
async fn conforms() {
    let Some(url) = postgres_url() else { return };
    let adapter = connect(&url, &PoolOptions::default()).await.unwrap();
    assert!(adapter.capabilities().server.starts_with("PostgreSQL "));
    conformance(&*adapter, &POSTGRES).await;
    adapter.close().await;
    assert_eq!(adapter.acquire().await.err().unwrap().fault, Fault::Connection);
    let pool = sqlx::PgPool::connect(&url).await.unwrap();
    let given = Postgres::from_pool(pool.clone()).await.unwrap();
    let without_settings = Sql {
        set: "SET work_mem = '99MB';",
        unset: "current_setting('work_mem') <> '99MB'",
        ..POSTGRES
    };
    conformance(&given, &without_settings).await;
    given.close().await;
    assert!(!pool.is_closed());
}

#[tokio::test]
async fn sessions_mean_what_they_mean_in_psql() {
    let Some(url) = postgres_url() else { return };
    let adapter = Postgres::connect(&url).await.unwrap();
    let mut first = session(&adapter).await;
    for condition in [
        "(SELECT setting = boot_val FROM pg_settings WHERE name = 'extra_float_digits')",
        "current_setting('application_name') = 'sql-batcher'",
        "current_setting('client_encoding') = 'UTF8'",
    ] {
        holds(&mut *first, &POSTGRES, condition).await;
    }
    // The server's own value, where the role may read it.
    let own = "NOT has_table_privilege('pg_file_settings', 'SELECT') OR
        lower(current_setting('{}')) = lower((SELECT setting FROM pg_file_settings
                                              WHERE lower(name) = '{}' AND applied))";
    for name in ["timezone", "datestyle"] {
        holds(&mut *first, &POSTGRES, &own.replace("{}", name)).await;
    }
    let asked = format!(
        "{url}{}options=-c%20TimeZone=Asia/Tokyo%20-c%20DateStyle=German",
        if url.contains('?') { '&' } else { '?' }
    );
    let adapter = Postgres::connect(&asked).await.unwrap();
    let mut second = session(&adapter).await;
    holds(&mut *second, &POSTGRES, "current_setting('TimeZone') = 'Asia/Tokyo'").await;
    holds(&mut *second, &POSTGRES, "current_setting('DateStyle') LIKE 'German%'").await;
}

#[tokio::test]
async fn settings_of_a_role_count_before_those_of_the_server() {
    let Some(url) = postgres_url() else { return };
    let adapter = Postgres::connect(&url).await.unwrap();
    let mut admin = session(&adapter).await;
    bare(
        &mut *admin,
        &[
            "DROP ROLE IF EXISTS sql_batcher_role;",
            "CREATE ROLE sql_batcher_role LOGIN PASSWORD 'secret';",
            "ALTER ROLE sql_batcher_role SET TimeZone = 'America/Lima';",
        ],
    )
    .await
    .unwrap();
    let adapter = Postgres::connect(&with_user(&url, "sql_batcher_role:secret")).await.unwrap();
    let note = &adapter.capabilities().notes;
    assert!(
        note.iter().any(|note| note.contains("DateStyle") && !note.contains("TimeZone")),
        "{note:?}"
    );
    let mut role = session(&adapter).await;
    holds(&mut *role, &POSTGRES, "current_setting('TimeZone') = 'America/Lima'").await;
    role.close().await;
    bare(&mut *admin, &["DROP ROLE sql_batcher_role;"]).await.unwrap();
}

#[tokio::test]
async fn says_so_when_commit_rolls_back() {
    let Some(url) = postgres_url() else { return };
    let adapter = Postgres::connect(&url).await.unwrap();
    let mut session = session(&adapter).await;
    run(&mut *session, Scope::Scripted, &["BEGIN;", "SELECT 1;"]).await.unwrap();
    run(&mut *session, Scope::Scripted, &["SELECT 1/0;"]).await.unwrap_err();
    let problem = run(&mut *session, Scope::Scripted, &["COMMIT;"]).await.unwrap_err();
    assert_eq!(problem.code.as_deref(), Some("25P02"));
    assert_eq!(problem.statement, Some(0));
    // A savepoint rescues the transaction.
    run(&mut *session, Scope::Scripted, &["BEGIN;", "SAVEPOINT a;"]).await.unwrap();
    run(&mut *session, Scope::Scripted, &["SELECT 1/0;"]).await.unwrap_err();
    let problem = run(&mut *session, Scope::Scripted, &["SELECT 1;"]).await.unwrap_err();
    assert_eq!(problem.code.as_deref(), Some("25P02"));
    run(&mut *session, Scope::Scripted, &["ROLLBACK TO a;"]).await.unwrap();
    run(&mut *session, Scope::Scripted, &["COMMIT;"]).await.unwrap();
    // The same for a transaction of the adapter's own.
    session.begin().await.unwrap();
    run(&mut *session, Scope::Scripted, &["SELECT 1/0;"]).await.unwrap_err();
    assert_eq!(session.commit().await.unwrap_err().code.as_deref(), Some("25P02"));
    session.begin().await.unwrap();
    session.commit().await.unwrap();
}

#[tokio::test]
async fn terminated_in_a_batch_is_known_not_to_be_applied() {
    let Some(url) = postgres_url() else { return };
    let adapter = Postgres::connect(&url).await.unwrap();
    let mut victim = session(&adapter).await;
    let batch = ["SELECT 1;", "SELECT pg_terminate_backend(pg_backend_pid());", "SELECT 2;"];
    let problem = run(&mut *victim, Scope::Atomic, &batch).await.unwrap_err();
    assert_eq!(problem.fault, Fault::Connection, "{problem:?}");
    assert_eq!((problem.code.as_deref(), problem.outcome_unknown), (Some("57P01"), false));
    let problem = bare(&mut *victim, &["SELECT 1;"]).await.unwrap_err();
    assert_eq!(problem.message, "the session has lost its connection");
    victim.rollback().await.unwrap();
}

#[tokio::test]
async fn refuses_a_copy_that_is_not_sent_as_one() {
    let Some(url) = postgres_url() else { return };
    let adapter = Postgres::connect(&url).await.unwrap();
    for (copy, unknown) in
        [("COPY (SELECT 1) TO stdout;", true), ("COPY pg_temp.batch_copied FROM stdin;", false)]
    {
        let mut session = session(&adapter).await;
        bare(&mut *session, &["CREATE TEMP TABLE batch_copied (a text);"]).await.unwrap();
        let problem = run(&mut *session, Scope::Atomic, &[copy, "SELECT 1;"]).await.unwrap_err();
        assert_eq!((problem.fault, problem.statement), (Fault::Unsupported, Some(0)));
        assert_eq!(problem.outcome_unknown, unknown, "{problem:?}");
    }
}

#[tokio::test]
async fn refuses_what_is_not_utf8() {
    let Some(url) = postgres_url() else { return };
    let adapter = Postgres::connect(&url).await.unwrap();
    let mut session = session(&adapter).await;
    let batch: [&[u8]; 2] = [b"SELECT 1;", b"SELECT '\xff';"];
    for scope in [Scope::Atomic, Scope::Bare, Scope::Scripted] {
        let problem = run(&mut *session, scope, &batch).await.unwrap_err();
        assert_eq!((problem.fault, problem.statement), (Fault::Unsupported, Some(1)));
    }
    let problem = run(&mut *session, Scope::Atomic, &["SELECT 1;", "SELECT '\0';"]).await;
    assert_eq!(problem.unwrap_err().message, "the statement has a zero byte");
}
