//! The adapter by itself.

use std::time::Duration;

use sql_batcher_adapters::{Adapter, Fault, PoolOptions, Scope, connect};
use sql_batcher_tests::{
    conformance::{bare, conformance, run, session},
    snowflake::{Double, Setup, Step},
};

use crate::SNOWFLAKE;

async fn adapter(double: &Double) -> Box<dyn Adapter> {
    connect(&double.url(), &PoolOptions::default()).await.unwrap()
}

async fn conforms(setup: Setup) {
    let double = Double::start(setup).await;
    let adapter = adapter(&double).await;
    assert_eq!(adapter.capabilities().server, "Snowflake 9.30.1");
    conformance(&*adapter, &SNOWFLAKE).await;
    adapter.close().await;
    assert_eq!(double.refused(), [""; 0]);
}

#[tokio::test]
async fn it_conforms() {
    conforms(Setup::default()).await;
}

#[tokio::test]
async fn it_conforms_where_everything_is_asked_about() {
    let answers_within = Duration::ZERO;
    conforms(Setup { answers_within, lingering_polls: 1, wants_key: true }).await;
}

#[tokio::test]
async fn what_the_script_sets_is_said_again_in_each_request() {
    let double = Double::start(Setup::default()).await;
    let adapter = adapter(&double).await;
    let mut session = session(&*adapter).await;
    bare(&mut *session, &["USE SCHEMA other;\n", "SET ANSWER = 42;\n"]).await.unwrap();
    let rows = session.fetch("SELECT CURRENT_SCHEMA(), $ANSWER").await.unwrap();
    assert_eq!(rows, [[Some("OTHER".to_owned()), Some("42".to_owned())]]);
    let refused = bare(&mut *session, &["USE SCHEMA missing;\n"]).await.unwrap_err();
    assert_eq!((refused.fault, refused.statement), (Fault::Statement, Some(0)), "{refused:?}");
    let rows = session.fetch("SELECT CURRENT_SCHEMA()").await.unwrap();
    assert_eq!(rows, [[Some("OTHER".to_owned())]], "what was refused is not said again");
    bare(&mut *session, &["UNSET ANSWER;\n"]).await.unwrap();
    let rows = session.fetch("SELECT GETVARIABLE('ANSWER')").await.unwrap();
    assert_eq!(rows, [[None]]);
    session.close().await;
    assert_eq!(double.refused(), [""; 0]);
}

#[tokio::test]
async fn what_would_be_lost_is_refused_before_it_is_sent() {
    let double = Double::start(Setup::default()).await;
    let adapter = adapter(&double).await;
    let mut session = session(&*adapter).await;
    let before = double.seen().len();
    for statement in ["CREATE TEMPORARY TABLE t (a INT);\n", "SET a = (SELECT max(id) FROM t);\n"] {
        let refused = bare(&mut *session, &[statement]).await.unwrap_err();
        assert_eq!((refused.fault, refused.statement), (Fault::Unsupported, Some(0)));
        assert!(refused.message.contains("would be lost"), "{refused}");
    }
    assert_eq!(double.seen().len(), before);
    session.close().await;
}

#[tokio::test]
async fn rows_in_many_partitions_are_all_fetched() {
    let double = Double::start(Setup::default()).await;
    let adapter = adapter(&double).await;
    let mut session = session(&*adapter).await;
    let numbers = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 250) \
                   SELECT i FROM n";
    for said_before in [false, true] {
        if said_before {
            bare(&mut *session, &["SET A = 1;\n"]).await.unwrap();
        }
        let rows = session.fetch(numbers).await.unwrap();
        let expected: Vec<_> = (1..=250).map(|i| vec![Some(i.to_string())]).collect();
        assert_eq!(rows, expected);
    }
    session.close().await;
    assert_eq!(double.refused(), [""; 0]);
}

#[tokio::test]
async fn a_retry_is_the_same_request_and_a_batch_is_another() {
    let double = Double::start(Setup::default()).await;
    let adapter = adapter(&double).await;
    let mut session = session(&*adapter).await;
    bare(&mut *session, &["CREATE TABLE t (id INTEGER);\n"]).await.unwrap();
    double.arm(Step::Submit, sql_batcher_tests::snowflake::Fault::CutBehind, 1);
    let batch = ["INSERT INTO t VALUES (1);\n", "INSERT INTO t VALUES (2);\n"];
    run(&mut *session, Scope::Atomic, &batch).await.unwrap();
    let sent: Vec<_> =
        double.seen().into_iter().filter(|seen| seen.text.contains("INSERT")).collect();
    assert_eq!(sent.len(), 2);
    assert_eq!(sent[0].request_id, sent[1].request_id);
    assert_eq!([sent[0].is_retry, sent[1].is_retry], [false, true]);
    run(&mut *session, Scope::Atomic, &batch).await.unwrap();
    assert_ne!(double.seen().last().unwrap().request_id, sent[0].request_id);
    assert_eq!(double.number("SELECT count(*) FROM t").await, 4);
    session.close().await;
}
