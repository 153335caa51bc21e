//! How sessions are had: of an adapter's own, and of a pool that somebody else owns.

#![expect(clippy::unwrap_used, reason = "a test ends where something of its own fails")]

use std::{
    net::TcpListener,
    time::{Duration, Instant},
};

use sql_batcher_adapters::{
    Adapter, AdapterError, Fault, MySql, PoolOptions, Postgres, Sqlite, connect,
};
use sql_batcher_tests::{
    conformance::{Sql, bare, conformance, holds, session},
    proxy::{self, Direction, Proxy},
    servers::{mysql_url, postgres_url},
};
use sqlx::{
    Database, MySqlPool, PgPool, Pool, SqlitePool, mysql::MySqlPoolOptions,
    postgres::PgPoolOptions, sqlite::SqlitePoolOptions,
};
use tempfile::TempDir;

use super::{SQLITE, mysql::MYSQL, postgres::POSTGRES, through_proxy};

/// A file that is a database, and its URL.
fn sqlite_url() -> (TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}?mode=rwc", folder.path().join("a.db").display());
    (folder, url)
}

/// What the error is that says that there is no session.
async fn refused(adapter: &dyn Adapter) -> AdapterError {
    adapter.acquire().await.err().expect("no session is free")
}

async fn gives_no_more_sessions_than_it_may(url: &str) {
    let mut options = PoolOptions::default();
    options.max_connections = 2;
    options.acquire_timeout = Duration::from_secs(3600);
    let adapter = connect(url, &options).await.unwrap();
    let (first, second) = (session(&*adapter).await, session(&*adapter).await);
    // Nothing but the clock is waited for.
    tokio::time::pause();
    let error = refused(&*adapter).await;
    tokio::time::resume();
    assert_eq!((error.fault, error.transient), (Fault::Resources, true), "{error:?}");
    let said = "became free within 3600000 ms; sessions at most 2";
    assert!(error.message.ends_with(said), "{error}");
    drop(first);
    session(&*adapter).await.close().await;
    second.close().await;
    adapter.close().await;
    let error = refused(&*adapter).await;
    assert!(error.message.ends_with("is closed"), "{error}");
}

#[tokio::test]
async fn no_more_sessions_are_given_out_than_there_may_be() {
    let (_folder, sqlite) = sqlite_url();
    for url in [Some(sqlite), postgres_url(), mysql_url()].into_iter().flatten() {
        gives_no_more_sessions_than_it_may(&url).await;
    }
}

#[tokio::test]
async fn a_server_that_says_nothing_is_waited_for_as_long_as_the_connect_timeout() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let place = silent.local_addr().unwrap();
    let mut options = PoolOptions::default();
    options.connect_timeout = Duration::from_secs(3600);
    tokio::time::pause();
    for (scheme, name) in [("postgres", "postgresql"), ("mysql", "mysql")] {
        let url = format!("{scheme}://u@{place}/d");
        let error = connect(&url, &options).await.err().expect("nobody answers");
        assert_eq!((error.fault, error.transient), (Fault::Timeout, true), "{error:?}");
        assert_eq!(error.message, format!("no answer from {name} at {place} within 3600000 ms"));
    }
}

#[tokio::test]
async fn a_file_that_is_locked_is_waited_for_as_long_as_the_connect_timeout() {
    let (_folder, url) = sqlite_url();
    let other = Sqlite::connect(&url).await.unwrap();
    let mut holder = session(&other).await;
    bare(&mut *holder, &["BEGIN EXCLUSIVE;"]).await.unwrap();
    let mut options = PoolOptions::default();
    options.connect_timeout = Duration::from_millis(100);
    let began = Instant::now();
    let error = Sqlite::connect_with(&url, &options).await.err().expect("the file is locked");
    // SQLite itself waits 5 seconds.
    assert!(began.elapsed() < Duration::from_secs(3), "it took {:?}", began.elapsed());
    assert_eq!((error.fault, error.transient), (Fault::Timeout, true), "{error:?}");
    assert!(error.message.ends_with("within 100 ms"), "{error}");
    holder.rollback().await.unwrap();
    Sqlite::connect(&url).await.unwrap();
}

/// An adapter whose kept connection has not been used for so long, and the way to it.
async fn idle_for(url: &str, idle: Duration) -> (Proxy, Box<dyn Adapter>) {
    let (proxy, url) = through_proxy(url);
    let mut options = PoolOptions::default();
    options.idle_check_after = Duration::from_secs(3600);
    let adapter = connect(&url, &options).await.unwrap();
    tokio::time::pause();
    tokio::time::advance(idle).await;
    tokio::time::resume();
    (proxy, adapter)
}

const SHORT: Duration = Duration::from_secs(1800);
const LONG: Duration = Duration::from_secs(7200);

#[tokio::test]
async fn a_connection_is_asked_whether_it_lives_only_after_it_was_idle_for_long() {
    for url in [postgres_url(), mysql_url()].into_iter().flatten() {
        let mut sent = Vec::new();
        for idle in [SHORT, LONG] {
            let (proxy, adapter) = idle_for(&url, idle).await;
            let before = proxy.traffic().bytes(Direction::ToServer);
            let session = session(&*adapter).await;
            sent.push(proxy.traffic().bytes(Direction::ToServer) - before);
            assert_eq!(proxy.traffic().connections, 1, "the kept connection is used");
            session.close().await;
        }
        // `Sync` of PostgreSQL is a kind and a length, `COM_PING` of MySQL a header and a command.
        assert_eq!(sent[1] - sent[0], 5, "one question of the shortest kind: {sent:?}");
    }
}

#[tokio::test]
async fn a_connection_that_has_died_while_it_was_idle_for_long_is_replaced() {
    for url in [postgres_url(), mysql_url()].into_iter().flatten() {
        let (proxy, adapter) = idle_for(&url, LONG).await;
        proxy.strike(proxy::Fault::Close);
        let mut made = session(&*adapter).await;
        assert_eq!(proxy.traffic().connections, 2);
        bare(&mut *made, &["SELECT 1;"]).await.unwrap();
        // Not asked, it is found dead when it is used.
        let (proxy, adapter) = idle_for(&url, SHORT).await;
        proxy.strike(proxy::Fault::Close);
        let error = refused(&*adapter).await;
        assert_eq!((error.fault, error.transient), (Fault::Connection, true), "{error:?}");
        session(&*adapter).await;
    }
}

/// What an adapter owes to a pool of one connection that it was given; `other` has the same.
async fn respects_a_given_pool<DB: Database>(
    pool: &Pool<DB>,
    [given, other]: [&dyn Adapter; 2],
    sql: &Sql,
) {
    for drops in [false, true] {
        let mut changed = session(given).await;
        bare(&mut *changed, &[sql.set]).await.unwrap();
        let error = refused(other).await;
        assert_eq!((error.fault, error.transient), (Fault::Resources, true), "{error:?}");
        let said = "became free within 100 ms; sessions at most 1";
        assert!(error.message.ends_with(said), "{error}");
        if drops {
            drop(changed);
        } else {
            changed.close().await;
            assert_eq!(pool.size(), 0, "what was changed is not given back");
        }
        let mut next = session(other).await;
        holds(&mut *next, sql, sql.unset).await;
        next.close().await;
    }
    given.close().await;
    assert!(!pool.is_closed());
    drop(pool.acquire().await.unwrap());
}

/// How long those wait for the only connection of a pool.
const WAIT: Duration = Duration::from_millis(100);

#[tokio::test]
async fn a_given_pool_of_sqlite_is_respected() {
    let (_folder, url) = sqlite_url();
    let pool = SqlitePoolOptions::new().max_connections(1).acquire_timeout(WAIT);
    let pool = pool.connect(&url).await.unwrap();
    let given = Sqlite::from_pool(pool.clone()).await.unwrap();
    let other = Sqlite::from_pool(pool.clone()).await.unwrap();
    // sqlx turns foreign keys on.
    let sql = Sql {
        set: "PRAGMA cache_size = 77;",
        unset: "(SELECT cache_size FROM pragma_cache_size) <> 77",
        ..SQLITE
    };
    respects_a_given_pool(&pool, [&given, &other], &sql).await;
    let pool = SqlitePool::connect(&url).await.unwrap();
    conformance(&Sqlite::from_pool(pool).await.unwrap(), &sql).await;
}

#[tokio::test]
async fn a_given_pool_of_postgresql_is_respected() {
    let Some(url) = postgres_url() else { return };
    let pool = PgPoolOptions::new().max_connections(1).acquire_timeout(WAIT);
    let pool: PgPool = pool.connect(&url).await.unwrap();
    let given = Postgres::from_pool(pool.clone()).await.unwrap();
    let other = Postgres::from_pool(pool.clone()).await.unwrap();
    respects_a_given_pool(&pool, [&given, &other], &POSTGRES).await;
}

#[tokio::test]
async fn a_given_pool_of_mysql_is_respected() {
    let Some(url) = mysql_url() else { return };
    let pool = MySqlPoolOptions::new().max_connections(1).acquire_timeout(WAIT);
    let pool: MySqlPool = pool.connect(&url).await.unwrap();
    let given = MySql::from_pool(pool.clone()).await.unwrap();
    let other = MySql::from_pool(pool.clone()).await.unwrap();
    let sql = Sql { set: "SET sql_notes = 0;", unset: "@@sql_notes = 1", ..MYSQL };
    respects_a_given_pool(&pool, [&given, &other], &sql).await;
}

#[tokio::test]
async fn a_given_pool_without_a_free_connection_is_named_as_that() {
    let (_folder, url) = sqlite_url();
    let pool = SqlitePoolOptions::new().max_connections(1).acquire_timeout(WAIT);
    let pool = pool.connect(&url).await.unwrap();
    let held = pool.acquire().await.unwrap();
    let error = Sqlite::from_pool(pool.clone()).await.err().expect("it is held");
    assert_eq!((error.fault, error.transient), (Fault::Resources, true), "{error:?}");
    assert!(error.message.ends_with("within 100 ms; sessions at most 1"), "{error}");
    drop(held);
    pool.close().await;
    let error = Sqlite::from_pool(pool).await.err().expect("it is closed");
    assert!(error.message.ends_with("is closed"), "{error}");
}
