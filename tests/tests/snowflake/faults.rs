//! What goes wrong on the way: nothing is applied twice, and nothing is lost without a word.

use std::time::Duration;

use sql_batcher::{ErrorKind, LedgerOptions, RetryOptions};
use sql_batcher_tests::{
    proxy::{self, Direction, Proxy},
    snowflake::{Double, Fault, Setup, Step},
};

use crate::{TABLE, builder, has_each_once, rows, run};

const PATIENCE: Duration = Duration::from_secs(20);

/// Every way to fail that passes.
fn passing() -> Vec<Fault> {
    let mut faults = vec![
        Fault::Status(429, None),
        Fault::Status(429, Some(1)),
        Fault::CutBefore,
        Fault::CutBehind,
        Fault::Empty,
        Fault::Half,
    ];
    for status in [500, 502, 503, 504] {
        faults.extend([Fault::Status(status, None), Fault::StatusBehind(status)]);
    }
    faults
}

/// A run of five batches, in the middle of which something goes wrong, so many times.
async fn survives(setup: Setup, step: Step, fault: Fault, times: u32) {
    let double = Double::start(setup).await;
    let builder = builder(&double.url(), PATIENCE).await.max_statements(4);
    let mut batcher = builder.build().await.unwrap();
    batcher.push_str(TABLE).await.unwrap();
    batcher.flush().await.unwrap();
    double.arm(step, fault, times);
    batcher.push_str(&rows(20)).await.unwrap();
    let report = batcher.finish().await.unwrap_or_else(|error| panic!("{fault:?}: {error}"));
    assert_eq!((report.applied, report.unknown), (21, 0), "{fault:?}: {report}");
    assert_eq!(double.armed(), 0, "{fault:?} has struck");
    has_each_once(&double, 20).await;
}

#[tokio::test]
async fn whatever_becomes_of_a_submission_it_is_applied_once() {
    for fault in passing() {
        survives(Setup::default(), Step::Submit, fault, 1).await;
    }
    survives(Setup::default(), Step::Submit, Fault::CutBehind, 3).await;
    survives(Setup::default(), Step::Submit, Fault::Status(429, Some(0)), 5).await;
}

#[tokio::test]
async fn whatever_becomes_of_a_question_the_statement_is_applied_once() {
    let answers_within = Duration::ZERO;
    let setup = Setup { answers_within, ..Setup::default() };
    for fault in passing() {
        survives(setup, Step::Poll, fault, 1).await;
        survives(setup, Step::Submit, fault, 1).await;
    }
}

#[tokio::test]
async fn a_statement_that_runs_for_long_is_asked_about_until_it_ends() {
    let setup = Setup { answers_within: Duration::ZERO, lingering_polls: 4, ..Setup::default() };
    let double = Double::start(setup).await;
    let builder = builder(&double.url(), PATIENCE).await;
    let report = run(builder, &format!("{TABLE}{}", rows(3))).await.unwrap();
    assert_eq!(report.applied, 4);
    let polls = double.seen().into_iter().filter(|seen| seen.step == Step::Poll).count();
    assert!(polls >= 10, "{polls}");
    has_each_once(&double, 3).await;
}

#[tokio::test]
async fn a_service_that_stays_silent_leaves_the_outcome_unknown() {
    let double = Double::start(Setup::default()).await;
    let builder = builder(&double.url(), Duration::from_secs(1)).await.max_statements(2);
    let mut batcher = builder.build().await.unwrap();
    batcher.push_str(TABLE).await.unwrap();
    batcher.flush().await.unwrap();
    double.arm(Step::Submit, Fault::CutBehind, 1000);
    // What is taken may be refused only at the end.
    batcher.push_str(&rows(6)).await.ok();
    let error = batcher.finish().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::OutcomeUnknown, "{error}");
    let report = error.report().unwrap();
    assert_eq!((report.applied, report.unknown), (1, 2), "{report}");
    let found = double.number("SELECT count(*) FROM t").await;
    assert_eq!(found, 2, "it was applied once, however often it came");
    assert_eq!(double.refused(), [""; 0]);
}

#[tokio::test]
async fn a_service_that_takes_nothing_is_known_not_to_have_applied_it() {
    let double = Double::start(Setup::default()).await;
    let builder = builder(&double.url(), Duration::from_secs(1)).await;
    let builder = builder.retries(RetryOptions::none());
    let mut batcher = builder.build().await.unwrap();
    double.arm(Step::Submit, Fault::Status(429, Some(0)), 100_000);
    batcher.push_str(TABLE).await.ok();
    let error = batcher.finish().await.unwrap_err();
    let report = error.report().unwrap();
    assert_eq!((report.unknown, report.failed), (0, 1), "{error} {report}");
    assert_eq!(error.code(), Some("429"));
}

#[tokio::test]
async fn a_time_limit_takes_back_what_runs() {
    let double = Double::start(Setup::default()).await;
    let builder = builder(&double.url(), PATIENCE).await;
    let builder = builder.attempt_timeout(Duration::from_secs(1)).retries(RetryOptions::none());
    let script = format!("{TABLE}BEGIN;\n{}CALL SYSTEM$WAIT(60);\nCOMMIT;\n", rows(2));
    let error = run(builder, &script).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
    assert_eq!(error.report().unwrap().unknown, 0, "{error}");
    assert_eq!(double.number("SELECT count(*) FROM t").await, 0);
    assert!(double.seen().iter().any(|seen| seen.step == Step::Cancel));
    assert_eq!(double.refused(), [""; 0]);
}

#[tokio::test]
async fn a_cut_connection_anywhere_applies_nothing_twice() {
    for (direction, bytes) in [
        (Direction::ToServer, 100),
        (Direction::ToServer, 1000),
        (Direction::ToServer, 3000),
        (Direction::ToClient, 10),
        (Direction::ToClient, 300),
        (Direction::ToClient, 1500),
    ] {
        for fault in [proxy::Fault::Reset, proxy::Fault::Close] {
            let double = Double::start(Setup::default()).await;
            let proxy = Proxy::start(double.address()).unwrap();
            let url = double.url_through(proxy.address());
            let builder = builder(&url, PATIENCE).await.max_statements(4);
            let mut batcher = builder.build().await.unwrap();
            batcher.push_str(TABLE).await.unwrap();
            batcher.flush().await.unwrap();
            proxy.arm(fault, direction, bytes);
            batcher.push_str(&rows(20)).await.unwrap();
            let report = batcher.finish().await.unwrap();
            assert_eq!(report.applied, 21, "{fault:?} {direction:?} {bytes}: {report}");
            has_each_once(&double, 20).await;
        }
    }
}

#[tokio::test]
async fn with_a_ledger_even_silence_is_resolved() {
    let double = Double::start(Setup::default()).await;
    let builder = builder(&double.url(), Duration::from_secs(1)).await.max_statements(2);
    let builder = builder.ledger(LedgerOptions::default());
    let mut batcher = builder.build().await.unwrap();
    batcher.push_str(TABLE).await.unwrap();
    batcher.flush().await.unwrap();
    // More than one request is sent again for, fewer than the question of the ledger takes.
    double.arm(Step::Submit, Fault::CutBehind, 4);
    batcher.push_str(&rows(6)).await.unwrap();
    let report = batcher.finish().await.unwrap();
    assert_eq!((report.applied, report.unknown), (7, 0), "{report}");
    has_each_once(&double, 6).await;
}
