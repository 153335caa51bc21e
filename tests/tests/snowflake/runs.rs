//! Whole runs: what is in a request, and what a failure says.

use std::{io, sync::mpsc::Sender, time::Duration};

use sql_batcher::{ErrorKind, Reject, Rejects, Transactions};
use sql_batcher_tests::snowflake::{Double, MAX_TEXT_BYTES, Setup, Step};

use crate::{TABLE, builder, has_each_once, rows, run};

const PATIENCE: Duration = Duration::from_secs(20);

/// Says the numbers of the statements that are left out.
struct Numbers(Sender<u64>);

impl Rejects for Numbers {
    fn reject(&mut self, reject: &Reject<'_>) -> io::Result<()> {
        self.0.send(reject.position.statement).ok();
        Ok(())
    }
}

#[tokio::test]
async fn a_script_goes_in_requests_just_under_the_limit() {
    let double = Double::start(Setup::default()).await;
    let builder = builder(&double.url(), PATIENCE).await.max_bytes(64 << 20);
    let filler = "x".repeat(900);
    let inserts: String =
        (1..=3000).map(|id| format!("INSERT INTO t VALUES ({id}, '{filler}');\n")).collect();
    let report = run(builder, &format!("USE SCHEMA public;\n{TABLE}{inserts}")).await.unwrap();
    assert_eq!(report.applied, 3002);
    let sizes: Vec<usize> = double
        .seen()
        .into_iter()
        .filter(|seen| seen.step == Step::Submit && seen.text.contains("INSERT"))
        .map(|seen| seen.text_bytes)
        .collect();
    assert!(sizes.iter().all(|size| *size <= MAX_TEXT_BYTES), "{sizes:?}");
    let fewest = inserts.len().div_ceil(MAX_TEXT_BYTES);
    assert_eq!(sizes.len(), fewest, "{sizes:?}");
    has_each_once(&double, 3000).await;
}

#[tokio::test]
async fn a_failing_statement_takes_its_batch_with_it_and_is_named() {
    let double = Double::start(Setup::default()).await;
    let builder = builder(&double.url(), PATIENCE).await;
    let script = format!("{TABLE}{}INSERT INTO t VALUES (1, 2, 3);\n", rows(415));
    let error = run(builder, &script).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Database, "{error}");
    let position = error.position().unwrap();
    assert_eq!((position.line, position.column, position.statement), (417, 1, 417), "{error}");
    assert_eq!(error.report().unwrap().applied, 1);
    assert_eq!(double.number("SELECT count(*) FROM t").await, 0);
    assert_eq!(double.refused(), [""; 0]);
}

#[tokio::test]
async fn the_scripts_own_transactions_are_kept_whole_or_refused() {
    let double = Double::start(Setup::default()).await;
    let url = double.url();
    let database = || builder(&url, PATIENCE);
    let script =
        format!("{TABLE}BEGIN;\n{}COMMIT;\nBEGIN WORK; DELETE FROM t; ROLLBACK;\n", rows(5));
    assert_eq!(run(database().await, &script).await.unwrap().applied, 11);
    has_each_once(&double, 5).await;
    let sent = double.seen().len();
    let long = format!("BEGIN;\n{}COMMIT;\n", rows(50));
    let error = run(database().await.max_statements(10), &long).await.unwrap_err();
    assert!(error.to_string().contains("does not fit into one request"), "{error}");
    let report = error.report().unwrap();
    assert_eq!((report.applied, report.unknown), (0, 0), "{report}");
    let asked = double.seen()[sent..].iter().filter(|seen| seen.text.contains("INSERT")).count();
    assert_eq!(asked, 0, "nothing of it was sent");
    has_each_once(&double, 5).await;
}

#[tokio::test]
async fn a_transaction_over_the_whole_run_is_refused_at_its_start() {
    let double = Double::start(Setup::default()).await;
    let builder = builder(&double.url(), PATIENCE).await.transactions(Transactions::Run);
    let error = run(builder, TABLE).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidOptions, "{error}");
    assert!(error.to_string().contains("no transactions that span a run"), "{error}");
}

#[tokio::test]
async fn several_batches_run_beside_one_another() {
    let double = Double::start(Setup::default()).await;
    let builder = builder(&double.url(), PATIENCE).await.max_statements(10).in_flight(4);
    let report = run(builder, &format!("SET A = 1;\n{TABLE}{}", rows(200))).await.unwrap();
    assert_eq!(report.applied, 202);
    has_each_once(&double, 200).await;
}

#[tokio::test]
async fn bad_statements_are_left_out_and_the_others_applied() {
    let double = Double::start(Setup::default()).await;
    let builder = builder(&double.url(), PATIENCE).await;
    let (sender, found) = std::sync::mpsc::channel();
    let builder = builder.skip_bad(Numbers(sender), None);
    let script = format!("{TABLE}{}INSERT INTO t VALUES (1, 2, 3);\n", rows(3));
    let report = run(builder, &format!("{script}INSERT INTO t VALUES (4, 'd');\n")).await.unwrap();
    let rejects: Vec<u64> = found.try_iter().collect();
    assert_eq!((report.applied, report.rejected, rejects), (5, 1, vec![5]));
    has_each_once(&double, 4).await;
}
