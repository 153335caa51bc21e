//! The adapters against real databases.

mod after_commit;
mod copy_limits;
mod mysql;
mod other_session;
mod pools;
mod postgres;

use std::net::ToSocketAddrs as _;

use sql_batcher_adapters::{Adapter as _, Fault, PoolOptions, Scope, Sqlite, connect};
use sql_batcher_tests::{
    conformance::{Sql, conformance, run, session},
    proxy::Proxy,
    servers::{mysql_url, postgres_url},
};

const SQLITE: Sql = Sql {
    create: &[
        "DROP TABLE IF EXISTS batch_conformance;\n",
        "CREATE TABLE batch_conformance (id INTEGER PRIMARY KEY, name TEXT);\n",
    ],
    drop: "DROP TABLE batch_conformance;\n",
    require: "SELECT CASE WHEN {} THEN 1 ELSE json('no') END;\n",
    slow: "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n;\n",
    big_select: "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 300000) \
                 SELECT i, hex(zeroblob(500)) FROM n;\n",
    set: "PRAGMA foreign_keys = ON;\n",
    unset: "(SELECT foreign_keys FROM pragma_foreign_keys) = 0",
    begin: "BEGIN;\n",
    refused: "INSERT INTO batch_conformance VALUES (7, 'again'), (7, 'again');\n",
};

#[tokio::test]
async fn sqlite_in_memory_conforms() {
    let adapter = connect("sqlite::memory:", &PoolOptions::default()).await.unwrap();
    conformance(&*adapter, &SQLITE).await;
    adapter.close().await;
}

#[tokio::test]
async fn sqlite_in_a_file_conforms() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", folder.path().join("a.db").display());
    let adapter = Sqlite::connect(&url).await.unwrap();
    conformance(&adapter, &SQLITE).await;
    let pool = sqlx::SqlitePool::connect(&url).await.unwrap();
    let given = Sqlite::from_pool(pool.clone()).await.unwrap();
    run(&mut *session(&given).await, Scope::Bare, &["SELECT 1;"]).await.unwrap();
    given.close().await;
    assert!(!pool.is_closed());
}

/// A proxy in front of the server of a URL, and the URL that leads through it.
fn through_proxy(url: &str) -> (Proxy, String) {
    let (scheme, rest) = url.split_once("://").expect("a url has a scheme");
    let (authority, database) = rest.split_once('/').expect("a url has a database");
    let (user, place) = authority.rsplit_once('@').expect("a url has a user");
    let mut addresses = place.to_socket_addrs().expect("a url has a host and a port");
    let proxy = Proxy::start(addresses.next().expect("there is one")).expect("a port is free");
    let url = format!("{scheme}://{user}@{}/{database}", proxy.address());
    (proxy, url)
}

/// The URL of another user.
fn with_user(url: &str, user: &str) -> String {
    let (scheme, rest) = url.split_once("://").expect("a url has a scheme");
    let place = rest.split_once('@').map_or(rest, |(_, place)| place);
    format!("{scheme}://{user}@{place}")
}

#[tokio::test]
async fn servers_say_clearly_why_they_cannot_be_used() {
    for (url, wrong_user_code) in [(postgres_url(), None), (mysql_url(), Some("1045"))] {
        let Some(url) = url else { continue };
        let (server, _) = url.rsplit_once('/').unwrap();
        let missing = format!("{server}/no_such_database");
        let error = connect(&missing, &PoolOptions::default()).await.err().unwrap();
        assert_eq!(error.fault, Fault::Options, "{error:?}");
        let (_, place) = server.rsplit_once('@').unwrap();
        let said = format!("at {place} cannot open database \"no_such_database\"");
        assert!(error.message.contains(&said), "{error}");
        let Some(code) = wrong_user_code else {
            continue;
        };
        let nobody = with_user(&url, "nobody:s3cret");
        let error = connect(&nobody, &PoolOptions::default()).await.err().unwrap();
        assert_eq!((error.fault, error.code.as_deref()), (Fault::Authentication, Some(code)));
        assert!(
            error.message.contains("refused user") && !error.message.contains("s3cret"),
            "{error}"
        );
    }
}
