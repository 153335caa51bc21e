//! The ledger, whose row is in the transaction of its batch, and resuming.

use std::time::Duration;

use sql_batcher::LedgerOptions;
use sql_batcher_tests::snowflake::{Double, Setup};

use crate::{TABLE, builder, has_each_once, rows, run};

const PATIENCE: Duration = Duration::from_secs(20);

#[tokio::test]
async fn a_run_that_failed_goes_on_behind_what_was_applied() {
    let double = Double::start(Setup::default()).await;
    let begin = || async {
        let builder = builder(&double.url(), PATIENCE).await.max_statements(5);
        builder.ledger(LedgerOptions { resume: true, ..LedgerOptions::default() })
    };
    let before = format!("SET A = 1;\n{TABLE}{}", rows(12));
    let bad = format!("{before}nonsense;\n");
    let error = run(begin().await, &bad).await.unwrap_err();
    let report = error.report().unwrap().clone();
    assert!(report.applied >= 12 && report.unknown == 0, "{report}");
    let note = report.notes.iter().find(|note| note.contains("enforces no keys"));
    assert!(note.is_some(), "the report says what is guaranteed: {:?}", report.notes);
    let mended = format!("{before}INSERT INTO t VALUES (13, 'mended');\n");
    for again in [false, true] {
        let report = run(begin().await, &mended).await.unwrap();
        let sent = report.statements - report.resumed;
        assert!(if again { sent <= 1 } else { sent <= 5 }, "{report}");
        has_each_once(&double, 13).await;
    }
}

#[tokio::test]
async fn the_row_is_there_if_and_only_if_the_batch_is() {
    let double = Double::start(Setup::default()).await;
    let builder = builder(&double.url(), PATIENCE).await.max_statements(5);
    let builder = builder.ledger(LedgerOptions::default());
    let script = format!("{TABLE}{}INSERT INTO t VALUES (1, 2, 3);\n", rows(10));
    run(builder, &script).await.unwrap_err();
    let noted = "SELECT sum(statements) FROM sql_batcher_ledger \
                 WHERE state = 'applied' AND first_statement > 1";
    let rows = double.number("SELECT count(*) FROM t").await;
    assert_eq!(double.number(noted).await, rows);
    has_each_once(&double, 10).await;
}
