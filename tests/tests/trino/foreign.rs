//! Another client, the package `trino` of PyPI: what it reads of what was written, and what it sends
//! for the same statement.

use std::{collections::BTreeSet, env, path::PathBuf, process::Command};

use sql_batcher_adapters::{PoolOptions, connect};
use sql_batcher_tests::{
    conformance::{bare, session},
    http_proxy::{Deed, Recorded},
};

use super::{address, server, table, through_proxy};

/// The variable with a Python that has the package.
const PYTHON: &str = "SQL_BATCHER_TEST_TRINO_PYTHON";

/// Connects as the batcher does, runs the statement of the third argument, and prints what it reads.
const CLIENT: &str = r#"
import json, sys, trino
host, port, sql = sys.argv[1], int(sys.argv[2]), sys.argv[3]
connection = trino.dbapi.connect(host=host, port=port, user="test", catalog="memory",
    schema="default", source="compare", client_tags=["a", "b"],
    session_properties={"query_max_run_time": "7m", "time_zone_id": "+01:00"}, encoding=None)
cursor = connection.cursor()
cursor.execute(sql)
print(json.dumps([[str(value) for value in row] for row in cursor.fetchall()]))
"#;

/// A Python with the package; none, loudly, where the variable is not set.
fn python() -> Option<PathBuf> {
    let python = env::var_os(PYTHON).map(PathBuf::from);
    if python.is_none() {
        println!("not run: {PYTHON} names no python with the package trino");
    }
    python
}

fn ask(python: PathBuf, at: std::net::SocketAddr, sql: String) -> String {
    let mut command = Command::new(python);
    command.arg("-c").arg(CLIENT).arg(at.ip().to_string()).arg(at.port().to_string()).arg(sql);
    let output = command.output().expect("python starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    String::from_utf8(output.stdout).expect("UTF-8").trim().to_owned()
}

#[tokio::test]
async fn another_client_reads_what_was_written() {
    let Some((url, adapter)) = server().await else { return };
    let Some(python) = python() else { return };
    let mut session = session(&adapter).await;
    let table = table(&mut *session, "memory.default").await;
    let insert =
        format!("INSERT INTO {table} VALUES (1, 'it''s; äöü € 😀'),\n(2, ''), (3, NULL);\n");
    bare(&mut *session, &[&insert]).await.expect("it is written");
    let sql = format!("SELECT id, name FROM {table} ORDER BY id");
    let at = address(&url);
    let read = tokio::task::spawn_blocking(move || ask(python, at, sql)).await.expect("it ran");
    let expected =
        r#"[["1", "it's; \u00e4\u00f6\u00fc \u20ac \ud83d\ude00"], ["2", ""], ["3", "None"]]"#;
    assert_eq!(read, expected);
}

/// The headers of the protocol, in lower case and in the order of their names, but for what a
/// client says of itself.
fn protocol(request: &Recorded) -> Vec<(String, BTreeSet<String>)> {
    let names: BTreeSet<String> =
        request.headers.iter().map(|(name, _)| name.to_ascii_lowercase()).collect();
    let own = ["x-trino-client-capabilities", "x-trino-time-zone"];
    let of_protocol = |name: &String| {
        (name.starts_with("x-trino") || name == "content-type") && !own.contains(&name.as_str())
    };
    let values = |name: &String| -> BTreeSet<String> {
        let values = request.header(name).into_iter().flat_map(|value| value.split(','));
        values.map(|value| value.trim().to_owned()).collect()
    };
    names.iter().filter(|name| of_protocol(name)).map(|name| (name.clone(), values(name))).collect()
}

#[tokio::test]
async fn a_statement_is_sent_as_another_client_sends_it() {
    let Some((url, _)) = server().await else { return };
    let Some(python) = python() else { return };
    let sql = "SELECT 'ä😀', 1".to_owned();
    let (proxy, through) = through_proxy(&url).await;
    let at = proxy.address();
    let asked = sql.clone();
    tokio::task::spawn_blocking(move || ask(python, at, asked)).await.expect("it ran");
    let theirs = proxy.recorded();

    let options = "source=compare&client-tags=a,b&session=query_max_run_time:7m\
                   &session=time_zone_id:%2B01:00";
    let adapter = connect(&format!("{through}?{options}"), &PoolOptions::default()).await;
    let adapter = adapter.expect("it is reached");
    proxy.decide(|_, _| Deed::Forward);
    bare(&mut *session(&*adapter).await, &[&sql]).await.expect("it runs");
    let ours = proxy.recorded();

    let post = |requests: &[Recorded]| -> Recorded {
        let is_it =
            |request: &&Recorded| request.method == "POST" && request.body == sql.as_bytes();
        requests.iter().find(is_it).expect("it was sent").clone()
    };
    let (their_post, our_post) = (post(&theirs), post(&ours));
    assert_eq!(protocol(&our_post), protocol(&their_post));
    assert_eq!(our_post.path, their_post.path);
    assert_eq!(our_post.header("x-trino-transaction-id"), ["NONE"]);

    // After it: GETs alone, along the addresses that the server gives, to the same stations.
    let stations = |requests: &[Recorded]| -> Vec<String> {
        let after = requests.iter().skip_while(|request| request.body != sql.as_bytes()).skip(1);
        let mut stations: Vec<String> = after
            .map(|request| {
                let station = request.path.split('/').nth(3).unwrap_or_default().to_owned();
                format!("{} {station} {}", request.method, request.body.len())
            })
            .collect();
        stations.dedup();
        stations
    };
    assert_eq!(stations(&ours), stations(&theirs));
    assert_eq!(stations(&ours), ["GET queued 0", "GET executing 0"]);
}
