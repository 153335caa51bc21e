//! The adapter against a server that somebody else has written: `snowduck`, which speaks the SQL
//! API on top of DuckDB. It checks no credentials, gives no handles for several statements, and
//! takes nothing back when a text of several fails: so only what succeeds is compared, and single
//! errors.

use std::{env, time::Duration};

use sql_batcher::{Batcher, ErrorKind, RetryOptions, connect};
use sql_batcher_tests::conformance::session;

use crate::{TABLE, pool, rows};

/// The URL of the emulator, from `SQL_BATCHER_TEST_SNOWDUCK_URL`. None where it was left out, which
/// has to be said: by `SQL_BATCHER_SKIP_SNOWDUCK=1`, or with all servers.
fn emulator() -> Option<String> {
    if let Ok(url) = env::var("SQL_BATCHER_TEST_SNOWDUCK_URL") {
        return Some(url);
    }
    let skips = ["SQL_BATCHER_SKIP_SNOWDUCK", "SQL_BATCHER_SKIP_SERVERS"];
    let is_left_out = skips.iter().any(|skip| env::var(skip).is_ok_and(|value| value == "1"));
    assert!(
        is_left_out,
        "no snowduck: start one (pip install 'snowduck[server]') and set \
         SQL_BATCHER_TEST_SNOWDUCK_URL=http://127.0.0.1:8000, or set SQL_BATCHER_SKIP_SNOWDUCK=1"
    );
    println!("skipped: no snowduck");
    None
}

#[tokio::test]
async fn a_foreign_server_has_what_a_run_has_written() {
    let Some(emulator) = emulator() else { return };
    let url = format!("snowflake://u:t@acct/DB/PUBLIC?warehouse=WH&base_url={emulator}");
    let open = || async {
        let pool = pool(Duration::from_secs(20));
        connect(&url, &pool, &RetryOptions::none()).await.unwrap()
    };
    let database = open().await;
    assert!(database.capabilities().server.starts_with("Snowflake "));
    let script = format!("DROP TABLE IF EXISTS t;\n{TABLE}{}", rows(1000));
    let mut batcher = Batcher::builder_boxed(database).max_statements(200).build().await.unwrap();
    batcher.push_str(&script).await.unwrap();
    let report = batcher.finish().await.unwrap();
    assert_eq!((report.applied, report.unknown), (1002, 0), "{report}");

    let database = open().await;
    let mut session = session(&*database).await;
    let found = session.fetch("SELECT count(*), min(name), max(id) FROM t").await.unwrap();
    let expected = ["1000", "it's row 1", "1000"].map(|text| Some(text.to_owned()));
    assert_eq!(found, [expected]);
    session.close().await;

    let mut batcher = Batcher::builder_boxed(open().await).build().await.unwrap();
    batcher.push_str("SELECT no_such_column FROM t;").await.unwrap();
    let error = batcher.finish().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Database, "{error}");
    assert!(error.code().is_some());
}
