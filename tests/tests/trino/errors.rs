//! What goes wrong, where it is, and what is cancelled.

use std::time::Duration;

use sql_batcher::{Batcher, ErrorKind};
use sql_batcher_adapters::{Adapter as _, Fault, PoolOptions, connect};
use sql_batcher_tests::conformance::{bare, session};

use super::{SLOW, SLOW_TABLE, server, table, through_proxy};

#[tokio::test]
async fn an_error_in_line_417_points_to_line_417() {
    let Some((_, adapter)) = server().await else { return };
    let good = "SELECT 'ä😀';\n".repeat(3);
    let blank = "\n".repeat(412);
    let script = format!("{good}{blank}SELECT 'ä',\n  'ö', no_such_column;\nSELECT 1;\n");
    let mut batcher = Batcher::builder(adapter).build().await.expect("a run begins");
    let pushed = batcher.push_str(&script).await;
    let error = match pushed {
        Ok(()) => batcher.finish().await.map(drop),
        Err(error) => Err(error),
    };
    let error = error.expect_err("there is no such column");
    assert_eq!(error.kind(), ErrorKind::Database, "{error}");
    assert_eq!(error.code(), Some("COLUMN_NOT_FOUND"), "{error}");
    let at = error.position().expect("it is somewhere");
    assert_eq!((at.line, at.column, at.statement), (417, 8, 4), "{error}");
}

#[tokio::test]
async fn a_statement_of_a_character_too_many_is_refused_before_anything_is_sent() {
    let Some((url, adapter)) = server().await else { return };
    // A body ends with a terminator, which is not sent.
    assert_eq!(adapter.capabilities().max_request_characters, Some(1_000_001));
    let (proxy, through) = through_proxy(&url).await;
    let connected = connect(&through, &PoolOptions::default()).await.expect("it is reached");
    proxy.decide(|_, _| sql_batcher_tests::http_proxy::Deed::Forward);
    // Characters of two bytes, so that it is not the bytes that are counted.
    let text = |characters: usize| format!("SELECT '{}'", "ä".repeat(characters - 9));
    let builder = Batcher::builder_boxed(connected).max_bytes(4 << 20);
    let mut batcher = builder.build().await.expect("a run begins");
    let added = batcher.add(text(1_000_001)).await;
    let error = match added {
        Ok(()) => batcher.finish().await.map(drop),
        Err(error) => Err(error),
    };
    let error = error.expect_err("it is too long");
    assert_eq!(error.kind(), ErrorKind::BatchSizeExceeded, "{error}");
    assert_eq!(proxy.recorded(), [], "nothing was sent");

    let direct = connect(&url, &PoolOptions::default()).await.expect("it is reached");
    let builder = Batcher::builder_boxed(direct).max_bytes(4 << 20);
    let mut batcher = builder.build().await.expect("a run begins");
    batcher.add(text(1_000_000)).await.expect("it is as long as it may be");
    assert_eq!(batcher.finish().await.expect("the server takes it").applied, 1);

    let mut session = session(&adapter).await;
    bare(&mut *session, &[&text(1_000_000)]).await.expect("the server takes as many");
    let problem = bare(&mut *session, &[&text(1_000_001)]).await.expect_err("and no more");
    assert_eq!(problem.code.as_deref(), Some("QUERY_TEXT_TOO_LARGE"), "{problem:?}");
}

/// How many queries with these words run, and how many were cancelled.
async fn queries(session: &mut dyn sql_batcher_adapters::Connection, words: &str) -> (u64, u64) {
    let sql = format!(
        "SELECT count_if(state NOT IN ('FINISHED', 'FAILED')), \
         count_if(error_code = 'USER_CANCELED') FROM system.runtime.queries \
         WHERE query LIKE '%{words}%' AND query NOT LIKE '%runtime.queries%'"
    );
    let rows = session.fetch(&sql).await.expect("the queries are there");
    let number = |index: usize| rows[0][index].as_deref().expect("a number").parse().expect("one");
    (number(0), number(1))
}

#[tokio::test]
async fn what_is_left_is_cancelled_on_the_server() {
    let Some((_, adapter)) = server().await else { return };
    let mut other = session(&adapter).await;
    bare(&mut *other, SLOW_TABLE).await.expect("the slow table is there");
    // However a request is left: its limit, its cancel, its drop.
    let tag = |how: &str| format!("left {} {how}", std::process::id());
    for how in ["drop", "cancel", "terminate"] {
        let mut left = session(&adapter).await;
        let stop = left.cancel_handle().expect("it can be cancelled");
        let sql = format!("/* {} */ {SLOW}", tag(how));
        let work = async {
            let statements = [sql.as_str()];
            let ran = bare(&mut *left, &statements);
            tokio::time::timeout(Duration::from_secs(if how == "drop" { 3 } else { 30 }), ran).await
        };
        let (result, ()) = tokio::join!(work, async {
            tokio::time::sleep(Duration::from_secs(2)).await;
            match how {
                "cancel" => stop.cancel().await.expect("the server can be asked"),
                "terminate" => stop.terminate().await.expect("it has ended"),
                _ => {}
            }
        });
        match result {
            Err(_) => assert_eq!(how, "drop"),
            Ok(ended) => {
                let fault = ended.expect_err("it is slow").fault;
                assert!(matches!(fault, Fault::Cancelled | Fault::Connection), "{how}: {fault:?}");
            }
        }
        let mut seen = (1, 0);
        for _ in 0..50 {
            seen = queries(&mut *other, &tag(how)).await;
            if seen == (0, 1) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        assert_eq!(seen, (0, 1), "{how}: it runs on");
    }
}

#[tokio::test]
async fn a_session_keeps_what_answers_change() {
    let Some((_, adapter)) = server().await else { return };
    let mut kept = session(&adapter).await;
    let name = table(&mut *kept, "memory.default").await;
    bare(&mut *kept, &["USE tpch.tiny"]).await.expect("it is used");
    let rows = kept.fetch("SELECT count(*) FROM nation").await.expect("it is there");
    assert_eq!(rows, [[Some("25".to_owned())]]);
    bare(&mut *kept, &["PREPARE p FROM SELECT 'a b;' || ?"]).await.expect("it is prepared");
    let rows = kept.fetch("EXECUTE p USING 'ü'").await.expect("it is executed");
    assert_eq!(rows, [[Some("a b;ü".to_owned())]]);
    bare(&mut *kept, &["DEALLOCATE PREPARE p"]).await.expect("it is forgotten");
    kept.fetch("EXECUTE p USING 'ü'").await.expect_err("it is forgotten");
    let set = "SET SESSION query_max_run_time = '7m'";
    bare(&mut *kept, &[set]).await.expect("it is set");
    let shown = "SHOW SESSION LIKE 'query_max_run_time'";
    assert_eq!(kept.fetch(shown).await.expect("shown")[0][1].as_deref(), Some("7m"));
    bare(&mut *kept, &["RESET SESSION query_max_run_time"]).await.expect("it is reset");
    assert_ne!(kept.fetch(shown).await.expect("shown")[0][1].as_deref(), Some("7m"));
    // The script's own transaction; the connector decides what that is.
    let script = ["START TRANSACTION", "SELECT 1", "ROLLBACK", "START TRANSACTION"];
    bare(&mut *kept, &script).await.expect("a transaction begins");
    kept.rollback().await.expect("it is taken back");
    bare(&mut *kept, &["COMMIT"]).await.expect_err("there is none");
    bare(&mut *kept, &[&format!("DROP TABLE {name}")]).await.expect("it is dropped");
    kept.close().await;
}

#[tokio::test]
async fn a_catalog_that_is_not_there_and_a_server_that_is_not_are_named() {
    let Some((url, _)) = server().await else { return };
    let refused = async |url: &str| connect(url, &PoolOptions::default()).await.err().expect(url);
    let error = refused(&url.replace("/memory", "/nowhere")).await;
    assert_eq!(error.fault, Fault::Options, "{error:?}");
    assert!(error.message.contains("cannot open database \"nowhere\""), "{error}");
    let mut options = PoolOptions::default();
    options.connect_timeout = Duration::from_millis(500);
    let error = connect("trino://u@127.0.0.1:1/c", &options).await.err().expect("none is there");
    assert!(matches!(error.fault, Fault::Connection | Fault::Timeout), "{error:?}");
    assert!(error.transient && error.message.contains("trino at 127.0.0.1:1"), "{error}");
}
