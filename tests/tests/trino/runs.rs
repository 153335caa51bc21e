//! Whole runs: INSERTs of one row each, joined up to the limit.

use std::fmt::Write as _;

use sql_batcher::{Batcher, Report};
use sql_batcher_adapters::{Adapter as _, PoolOptions, connect};
use sql_batcher_tests::{
    conformance::{bare, session},
    http_proxy::Deed,
};

use super::{server, table, through_proxy};

/// The default of `query.max-length`.
const MAX_CHARACTERS: usize = 1_000_000;
const ROWS: u32 = 100_000;

/// A row: characters of one, two, three and four bytes, so that bytes are not characters, and a
/// quote and a semicolon.
fn row(id: u32) -> String {
    format!("({id}, 'row ''{id}''; äöü € 😀')")
}

/// The characters of a text as Java counts them.
fn characters(text: &str) -> usize {
    text.encode_utf16().count()
}

/// The fewest requests that these rows can be sent in, one behind the other.
fn fewest(table: &str) -> usize {
    let head = characters(&format!("INSERT INTO {table} VALUES "));
    let (mut requests, mut used) = (0, MAX_CHARACTERS + 1);
    for id in 0..ROWS {
        let own = characters(&row(id));
        if used + 2 + own > MAX_CHARACTERS {
            requests += 1;
            used = head + own;
        } else {
            used += 2 + own;
        }
    }
    requests
}

async fn joined_run(url: &str, table: &str) -> (Report, Vec<String>) {
    let (proxy, through) = through_proxy(url).await;
    let adapter = connect(&through, &PoolOptions::default()).await.expect("it is reached");
    proxy.decide(|_, _| Deed::Forward);
    let mut script = String::new();
    for id in 0..ROWS {
        writeln!(script, "INSERT INTO {table} VALUES {};", row(id)).expect("a string");
    }
    let builder = Batcher::builder_boxed(adapter).max_bytes(16 << 20).merge_inserts(true);
    let mut batcher = builder.build().await.expect("a run begins");
    batcher.push_str(&script).await.expect("it is taken");
    let report = batcher.finish().await.expect("all is applied");
    let posts = proxy.recorded().into_iter().filter(|request| request.method == "POST");
    let bodies = posts.map(|post| String::from_utf8(post.body).expect("UTF-8")).collect();
    (report, bodies)
}

async fn joins_up_to_the_limit(catalog: &str) {
    let Some((url, adapter)) = server().await else { return };
    let mut session = session(&adapter).await;
    let table = table(&mut *session, catalog).await;
    let (report, bodies) = joined_run(&url, &table).await;
    assert_eq!((report.applied, report.rows), (u64::from(ROWS), u64::from(ROWS)), "{report}");

    let longest = bodies.iter().map(|body| characters(body)).max().expect("there are some");
    assert!(longest <= MAX_CHARACTERS, "{longest} characters");
    assert!(bodies.iter().all(|body| !body.ends_with(';')), "no terminator is sent");
    let fewest = fewest(&table);
    println!("{} requests, at least {fewest} are needed, longest {longest}", bodies.len());
    assert!(bodies.len() * 100 <= fewest * 102, "{} requests for {fewest}", bodies.len());

    // Contents: numbers, and the texts by what they are to be.
    let different = format!(
        "SELECT count(*), count(DISTINCT id), min(id), max(id), count_if(name <> \
         concat('row ''', CAST(id AS VARCHAR), '''; äöü € 😀')) FROM {table}"
    );
    let rows = session.fetch(&different).await.expect("they are read");
    let expected = [ROWS, ROWS, 0, ROWS - 1, 0].map(|number| Some(number.to_string()));
    assert_eq!(rows, [expected]);
    bare(&mut *session, &[&format!("DROP TABLE {table}")]).await.expect("it is dropped");
    adapter.close().await;
}

#[tokio::test]
async fn inserts_into_memory_are_joined_up_to_the_limit() {
    joins_up_to_the_limit("memory.default").await;
}

#[tokio::test]
async fn inserts_into_a_postgresql_behind_trino_are_joined_up_to_the_limit() {
    joins_up_to_the_limit("postgresql.public").await;
}
