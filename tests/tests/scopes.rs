//! A scope closes what it has opened, and leaves open what it was given, however it ends.
#![expect(clippy::unwrap_used, reason = "a test ends where something of its own fails")]

use std::panic::AssertUnwindSafe;

use futures_util::FutureExt as _;
use sql_batcher::{
    Batcher, Error,
    adapters::{Adapter, MySql, PoolOptions, Postgres, Sqlite, connect},
};
use sql_batcher_tests::{
    direct::Direct,
    servers::{mysql_url, postgres_url},
};
use sqlx::{Database, MySqlPool, PgPool, Pool, SqlitePool};

/// How the work of a scope ends.
#[derive(Clone, Copy, Debug)]
enum End {
    Succeeds,
    Fails,
    Panics,
}

const ENDS: [End; 3] = [End::Succeeds, End::Fails, End::Panics];

/// Runs a scope with this as the text of its first statement, and some work that is open as it ends.
async fn run(adapter: Box<dyn Adapter>, first: &str, end: End) {
    let scope = Batcher::builder_boxed(adapter).scope(async |batcher| {
        batcher.add(first).await?;
        batcher.flush().await?;
        batcher.add("SELECT 2").await?;
        match end {
            End::Succeeds => Ok(()),
            End::Fails => Err(Error::cancelled("enough")),
            End::Panics => panic!("of the caller's own"),
        }
    });
    match (AssertUnwindSafe(scope).catch_unwind().await, end) {
        (Ok(Ok(((), report))), End::Succeeds) => assert_eq!(report.applied, 2),
        (Ok(Err(error)), End::Fails) => assert_eq!(error.report().unwrap().applied, 1),
        (Err(_), End::Panics) => {}
        (other, _) => panic!("{end:?}: {:?}", other.map(|ended| ended.map(|(_, report)| report))),
    }
}

/// `sessions` counts those whose last statement has the mark.
async fn closes_its_own(url: &str, sessions: &str) {
    let mut direct = Direct::to(url).await;
    for end in ENDS {
        let adapter = connect(url, &PoolOptions::default()).await.unwrap();
        run(adapter, "SELECT 1 /* scopes-own */", end).await;
        // The server may see the end of a session a moment later.
        direct.until(sessions, 0).await;
    }
}

#[tokio::test]
async fn a_scope_closes_its_sessions_with_postgresql() {
    let Some(url) = postgres_url() else { return };
    let sessions = "SELECT count(*) FROM pg_stat_activity WHERE pid <> pg_backend_pid() \
                    AND (query LIKE '%scopes-own%' OR query = 'SELECT 2')";
    closes_its_own(&url, sessions).await;
}

#[tokio::test]
async fn a_scope_closes_its_sessions_with_mysql() {
    let Some(url) = mysql_url() else { return };
    let mut direct = Direct::to(&url).await;
    direct.run(&["CREATE USER IF NOT EXISTS scopes", "GRANT ALL ON *.* TO scopes"]).await;
    let (scheme, place) = url.split_once("://").unwrap();
    let place = place.rsplit_once('@').map_or(place, |(_, place)| place);
    let own = format!("{scheme}://scopes@{place}");
    let sessions = "SELECT count(*) FROM information_schema.processlist \
                    WHERE user = 'scopes' AND id <> connection_id()";
    closes_its_own(&own, sessions).await;
    direct.run(&["DROP USER scopes"]).await;
}

/// An adapter of a given pool.
async fn leaves_open<DB: Database>(pool: &Pool<DB>, given: impl AsyncFn() -> Box<dyn Adapter>)
where
    for<'c> &'c mut DB::Connection: sqlx::Executor<'c, Database = DB>,
{
    for end in ENDS {
        run(given().await, "SELECT 1", end).await;
        assert!(!pool.is_closed(), "{end:?}");
        let mut connection = pool.acquire().await.unwrap();
        sqlx::raw_sql("SELECT 1").execute(&mut *connection).await.unwrap();
    }
}

#[tokio::test]
async fn a_scope_leaves_a_given_pool_of_sqlite_open() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}?mode=rwc", folder.path().join("a.db").display());
    let pool = SqlitePool::connect(&url).await.unwrap();
    leaves_open(&pool, async || Box::new(Sqlite::from_pool(pool.clone()).await.unwrap()) as _)
        .await;
}

#[tokio::test]
async fn a_scope_leaves_a_given_pool_of_postgresql_open() {
    let Some(url) = postgres_url() else { return };
    let pool = PgPool::connect(&url).await.unwrap();
    leaves_open(&pool, async || Box::new(Postgres::from_pool(pool.clone()).await.unwrap()) as _)
        .await;
}

#[tokio::test]
async fn a_scope_leaves_a_given_pool_of_mysql_open() {
    let Some(url) = mysql_url() else { return };
    let pool = MySqlPool::connect(&url).await.unwrap();
    leaves_open(&pool, async || Box::new(MySql::from_pool(pool.clone()).await.unwrap()) as _).await;
}
