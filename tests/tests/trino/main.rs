//! Trino: the adapter, and whole runs, against a real server; faults on the way to it; and what
//! another client sees and sends.

mod errors;
mod faults;
mod foreign;
mod runs;
mod secure;

use std::{
    net::{SocketAddr, ToSocketAddrs as _},
    sync::atomic::{AtomicU32, Ordering},
};

use sql_batcher_adapters::{Adapter as _, Connection, PoolOptions, Trino, connect};
use sql_batcher_tests::{
    conformance::{Sql, bare, conformance, session},
    http_proxy::HttpProxy,
    servers::trino_url,
};

/// Pages of one row that take a second each: slow without any work.
const SLOW_TABLE: &[&str] =
    &["CREATE TABLE IF NOT EXISTS blackhole.default.slow (x bigint) WITH (split_count = 1, \
     pages_per_split = 600, rows_per_page = 1, page_processing_delay = '1s');\n"];
const SLOW: &str = "SELECT count(*) FROM blackhole.default.slow;\n";

const MEMORY: Sql = Sql {
    create: &[
        "DROP TABLE IF EXISTS batch_conformance;\n",
        "CREATE TABLE batch_conformance (id INTEGER, name VARCHAR);\n",
    ],
    drop: "DROP TABLE batch_conformance;\n",
    require: "SELECT 1 / (CASE WHEN {} THEN 1 ELSE 0 END);\n",
    slow: SLOW,
    big_select: "SELECT rpad('x', 1000, 'y') FROM tpch.sf1.part;\n",
    set: "SET TIME ZONE '+01:00';\n",
    unset: "current_timezone() <> '+01:00'",
    begin: "START TRANSACTION;\n",
    refused: "INSERT INTO batch_conformance SELECT 7, CAST(1 / 0 AS VARCHAR);\n",
};

/// A server for a test; none where there is none, which is said.
async fn server() -> Option<(String, Trino)> {
    let url = trino_url()?;
    let adapter = Trino::connect(&url).await.expect("the server takes clients");
    Some((url, adapter))
}

/// The address of the server of a URL.
fn address(url: &str) -> SocketAddr {
    let place = url.split_once('@').expect("a url has a user").1.split('/').next();
    let mut addresses = place.expect("a place").to_socket_addrs().expect("a host and a port");
    addresses.next().expect("there is one")
}

/// A proxy in front of the server of a URL, and the URL that leads through it.
async fn through_proxy(url: &str) -> (HttpProxy, String) {
    let proxy = HttpProxy::start(address(url)).await.expect("a port is free");
    let (before, rest) = url.split_once('@').expect("a url has a user");
    let path = rest.split_once('/').expect("a url has a catalog").1;
    let url = format!("{before}@{}/{path}", proxy.address());
    (proxy, url)
}

/// A table of this test alone, of an integer `id` and a text `name`, in `memory` unless its name
/// says otherwise.
async fn table(session: &mut dyn Connection, catalog: &str) -> String {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let name = format!("{catalog}.t{}_{number}", std::process::id());
    let create = format!("CREATE TABLE {name} (id INTEGER, name VARCHAR)");
    bare(session, &[&create]).await.expect("the table is created");
    name
}

/// How many rows a table has, and how many different ones.
async fn counts(session: &mut dyn Connection, table: &str) -> (u64, u64) {
    let sql = format!("SELECT count(*), count(DISTINCT id) FROM {table}");
    let rows = session.fetch(&sql).await.expect("the rows are counted");
    let number = |index: usize| rows[0][index].as_deref().expect("a number").parse().expect("one");
    (number(0), number(1))
}

#[tokio::test]
async fn trino_conforms() {
    let Some((url, adapter)) = server().await else { return };
    bare(&mut *session(&adapter).await, SLOW_TABLE).await.expect("the slow table is there");
    let boxed = connect(&url, &PoolOptions::default()).await.expect("the url is known");
    assert!(boxed.capabilities().server.starts_with("Trino "), "{:?}", boxed.capabilities());
    conformance(&*boxed, &MEMORY).await;
    adapter.close().await;
}
