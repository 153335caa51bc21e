//! Retries, limits on time and cancels, against a scripted database and a clock that is driven.

use std::time::Duration;

use sql_batcher::{
    Backoff, Batcher, Builder, Dialect, Error, ErrorKind, Report, RetryOptions, Transactions,
    adapters::{
        AdapterError, Effects, Fault, Problem, Scripted,
        scripted::{Answer, Event},
    },
};
use tokio::time::Instant;

const SECOND: Duration = Duration::from_secs(1);
/// What a cancel may take beyond a limit.
const GRACE: Duration = Duration::from_secs(2);

fn passing(fault: Fault) -> Problem {
    Problem { transient: true, ..Problem::new(fault, "deadlock detected") }
}

fn collision() -> Answer {
    Answer::Fails(passing(Fault::Conflict))
}

fn lost() -> Answer {
    Answer::Fails(passing(Fault::Connection))
}

fn applies() -> Answer {
    Answer::Applies(Effects::default())
}

fn scripted(answers: impl IntoIterator<Item = Answer>) -> Scripted {
    let database = Scripted::new();
    for answer in answers {
        database.answer(answer);
    }
    database
}

/// Retries with waits of one second that do not vary.
fn steady() -> RetryOptions {
    RetryOptions {
        strategy: Backoff::Constant,
        delay: SECOND,
        max_delay: 60 * SECOND,
        jitter: false,
        ..RetryOptions::default()
    }
}

fn builder(database: &Scripted) -> Builder {
    Batcher::builder(database.clone()).retries(steady())
}

/// Runs a script; says how it ended and how long it took.
async fn run(builder: Builder, script: &str) -> (Result<Report, Error>, Duration) {
    let started = Instant::now();
    let mut batcher = builder.build().await.expect("the options are in their ranges");
    let pushed = batcher.push_str(script).await;
    let ended = match pushed {
        Ok(()) => batcher.finish().await,
        Err(error) => Err(error),
    };
    if let Some(report) = ended.as_ref().err().and_then(Error::report) {
        adds_up(report);
    }
    (ended, started.elapsed())
}

fn adds_up(report: &Report) {
    let known = report.applied + report.failed + report.rolled_back + report.unknown;
    assert_eq!(known + report.not_reached, report.statements, "{report:?}");
}

fn bodies(database: &Scripted) -> Vec<(u32, String)> {
    let sent = database.log().into_iter().filter_map(|event| match event {
        Event::Executed { session, body, .. } => {
            Some((session, String::from_utf8_lossy(&body).trim_end().to_owned()))
        }
        _ => None,
    });
    sent.collect()
}

#[tokio::test(start_paused = true)]
async fn a_batch_that_collides_is_sent_again_until_it_is_applied() {
    let database = scripted([collision(), collision()]);
    let (ended, took) = run(builder(&database), "INSERT 1; INSERT 2;").await;
    let report = ended.unwrap();
    assert_eq!((database.applied().len(), report.applied), (2, 2));
    assert_eq!((report.batches, report.attempts), (1, 3));
    assert_eq!((report.retries.total, report.retries.conflict), (2, 2));
    assert_eq!(took, 2 * SECOND);
    assert!(report.to_string().contains("retries     2: conflict 2"), "{report}");
    assert_eq!(database.log().iter().filter(|e| matches!(e, Event::Acquired { .. })).count(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_strategy_says_how_long_to_wait() {
    for (strategy, seconds) in
        [(Backoff::Constant, 4), (Backoff::Linear, 10), (Backoff::Exponential, 15)]
    {
        let database = scripted((0..4).map(|_| collision()));
        let retries = RetryOptions { strategy, ..steady() };
        let (ended, took) = run(builder(&database).retries(retries), "INSERT 1;").await;
        ended.unwrap();
        assert_eq!(took.as_secs(), seconds, "{strategy:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_last_failure_says_how_often_and_over_how_long() {
    let database = scripted((0..9).map(|_| collision()));
    let (ended, _) = run(builder(&database), "INSERT 1;").await;
    let error = ended.unwrap_err();
    assert_eq!((error.kind(), error.attempts()), (ErrorKind::RetriesExhausted, 6));
    let expected = "1:1: statement 1: gave up after 6 attempts over 5.0s: deadlock detected";
    assert_eq!(error.to_string(), expected);
    assert_eq!(database.requests(), 6);
    assert_eq!(error.report().unwrap().failed, 1);
}

#[tokio::test(start_paused = true)]
async fn without_retries_the_first_failure_is_the_last() {
    let database = scripted([collision()]);
    let (ended, _) = run(builder(&database).retries(RetryOptions::none()), "INSERT 1;").await;
    let error = ended.unwrap_err();
    assert_eq!((error.kind(), error.attempts()), (ErrorKind::Database, 1));
    assert_eq!(database.requests(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_would_fail_again_or_may_be_applied_is_never_sent_again() {
    let bad = || Problem::new(Fault::Statement, "duplicate key");
    for (answer, kind) in [
        (Answer::Fails(bad()), ErrorKind::Database),
        (
            Answer::AppliesButFails(Problem {
                outcome_unknown: true,
                ..passing(Fault::Connection)
            }),
            ErrorKind::OutcomeUnknown,
        ),
        (Answer::Fails(Problem { kept: 1, ..passing(Fault::Conflict) }), ErrorKind::Database),
    ] {
        let database = scripted([answer]);
        let (ended, took) = run(builder(&database), "INSERT 1; INSERT 2;").await;
        let error = ended.unwrap_err();
        assert_eq!((error.kind(), error.attempts()), (kind, 1), "{error}");
        assert_eq!((database.requests(), took), (1, Duration::ZERO), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn statements_that_stand_each_for_themselves_are_not_sent_again_together() {
    for (script, requests) in [("INSERT 1; INSERT 2;", 1), ("INSERT 1;", 2)] {
        let database = scripted([collision()]);
        let bare = builder(&database).transactions(Transactions::None);
        let (ended, _) = run(bare, script).await;
        assert_eq!((ended.is_ok(), database.requests()), (requests == 2, requests));
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_cannot_be_had_is_asked_for_again() {
    let database = Scripted::new();
    for _ in 0..2 {
        let full = AdapterError::new(Fault::Resources, "too many connections");
        database.refuse(AdapterError { transient: true, ..full });
    }
    let (ended, took) = run(builder(&database), "INSERT 1;").await;
    let report = ended.unwrap();
    assert_eq!((report.retries.resources, took), (2, 2 * SECOND));

    let wrong = AdapterError::new(Fault::Authentication, "wrong password");
    database.refuse(wrong);
    let (ended, took) = run(builder(&database), "INSERT 1;").await;
    assert_eq!((ended.unwrap_err().attempts(), took), (1, Duration::ZERO));
}

#[tokio::test(start_paused = true)]
async fn a_new_connection_gets_the_settings_of_the_one_that_was_lost() {
    let database = scripted([applies(), lost()]);
    let mut batcher = builder(&database).build().await.unwrap();
    batcher.push_str("SET a = 1; INSERT 1; SET b = 2;").await.unwrap();
    batcher.flush().await.unwrap();
    batcher.push_str("INSERT 2;").await.unwrap();
    let report = batcher.finish().await.unwrap();
    assert_eq!((report.applied, report.retries.connection), (4, 1));
    let sent = bodies(&database);
    assert_eq!(sent[1], (0, "INSERT 2;".to_owned()));
    assert_eq!(sent[2], (1, "SET a = 1;\nSET b = 2;".to_owned()));
    assert_eq!(sent[3], (1, "INSERT 2;".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn what_a_new_connection_would_lack_is_named() {
    let database = scripted([applies(), lost()]);
    let mut batcher = builder(&database).build().await.unwrap();
    batcher.push_str("CREATE TEMPORARY TABLE t (a INT);").await.unwrap();
    batcher.flush().await.unwrap();
    batcher.push_str("INSERT INTO t VALUES (1);").await.unwrap();
    let error = batcher.finish().await.unwrap_err();
    assert_eq!((error.kind(), error.attempts()), (ErrorKind::Connection, 1));
    let said = "deadlock detected; not tried again: temporary tables";
    assert!(error.to_string().ends_with(said), "{error}");
    assert_eq!(database.requests(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_transaction_of_the_scripts_own_is_sent_again_only_as_a_whole() {
    let database = scripted([collision()]);
    let whole = "BEGIN; INSERT 1; INSERT 2; COMMIT;";
    let (ended, _) = run(builder(&database), whole).await;
    assert_eq!((ended.unwrap().applied, database.requests()), (4, 2));
    assert!(database.log().contains(&Event::RolledBack { session: 0 }));
    assert_eq!(database.applied(), ["INSERT 1;\n", "INSERT 2;\n"].map(str::to_owned));

    let database = scripted([applies(), collision()]);
    let (ended, _) = run(builder(&database).max_bytes(20), whole).await;
    let error = ended.unwrap_err();
    assert_eq!((error.kind(), error.attempts()), (ErrorKind::Database, 1));
    let said = "not tried again: earlier batches of its transaction are gone with it";
    assert!(error.to_string().ends_with(said), "{error}");
    assert!(database.applied().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_batch_that_hangs_is_cancelled_on_the_server_and_sent_again_elsewhere() {
    let database = scripted([Answer::Hangs]);
    let limited = builder(&database).attempt_timeout(5 * SECOND);
    let (ended, took) = run(limited, "INSERT 1;").await;
    let report = ended.unwrap();
    assert_eq!((report.applied, report.retries.timeout, took), (1, 1, 6 * SECOND));
    assert!(database.log().contains(&Event::Cancelled { session: 0 }));
    let sessions: Vec<u32> = bodies(&database).iter().map(|(session, _)| *session).collect();
    assert_eq!(sessions, [0, 1], "a connection that was cancelled is not used again");
}

#[tokio::test(start_paused = true)]
async fn a_cancel_that_is_confirmed_leaves_no_doubt() {
    let database = scripted([Answer::Hangs]);
    let limited = builder(&database).retries(RetryOptions::none()).attempt_timeout(5 * SECOND);
    let (ended, took) = run(limited, "INSERT 1;").await;
    let error = ended.unwrap_err();
    assert_eq!((error.kind(), took), (ErrorKind::Timeout, 5 * SECOND));
    let said = "the time limit of 5s was reached, and the server has cancelled it";
    assert!(error.to_string().ends_with(said), "{error}");
    assert_eq!(error.report().unwrap().failed, 1);
}

#[tokio::test(start_paused = true)]
async fn a_timeout_that_nobody_confirms_is_an_unknown_outcome() {
    let database = scripted([Answer::Hangs]).with(|can| can.cancel = false);
    let limited = builder(&database).attempt_timeout(5 * SECOND);
    let (ended, took) = run(limited, "INSERT 1;").await;
    let error = ended.unwrap_err();
    assert_eq!((error.kind(), error.attempts()), (ErrorKind::OutcomeUnknown, 1));
    assert!(took <= 5 * SECOND + GRACE, "{took:?}");
    assert!(error.message().starts_with("the time limit of 5s was reached"), "{error}");
    assert_eq!(error.report().unwrap().unknown, 1);
}

#[tokio::test(start_paused = true)]
async fn the_deadline_bounds_attempts_waits_and_idleness() {
    // An attempt.
    let database = scripted([Answer::Hangs]);
    let (ended, took) = run(builder(&database).deadline(7 * SECOND), "INSERT 1;").await;
    let error = ended.unwrap_err();
    assert_eq!((error.kind(), took), (ErrorKind::Timeout, 7 * SECOND), "{error}");

    // A wait that would be too long is not begun.
    let database = scripted((0..9).map(|_| collision()));
    let (ended, took) = run(builder(&database).deadline(3 * SECOND), "INSERT 1;").await;
    let error = ended.unwrap_err();
    assert_eq!((error.kind(), error.attempts(), took), (ErrorKind::Timeout, 3, 2 * SECOND));

    // A caller that gives nothing more.
    let database = Scripted::new();
    let mut batcher = builder(&database).deadline(3 * SECOND).build().await.unwrap();
    batcher.add("INSERT 1").await.unwrap();
    batcher.flush().await.unwrap();
    tokio::time::sleep(4 * SECOND).await;
    let error = batcher.finish().await.unwrap_err();
    assert_eq!(error.to_string(), "the deadline of the run, 3s, was reached");
    assert_eq!((error.kind(), error.report().unwrap().applied), (ErrorKind::Timeout, 1));
}

#[tokio::test(start_paused = true)]
async fn a_commit_of_the_run_that_hangs_ends_within_its_limit() {
    let database = Scripted::new();
    database.answer_commit(Answer::Hangs);
    let limited = builder(&database).transactions(Transactions::Run).attempt_timeout(5 * SECOND);
    let (ended, took) = run(limited, "INSERT 1;").await;
    assert_eq!(ended.unwrap_err().kind(), ErrorKind::Timeout);
    assert_eq!(took, 5 * SECOND);
    assert!(database.applied().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_run_that_is_cancelled_while_it_waits_tries_no_more() {
    let database = scripted((0..9).map(|_| collision()));
    let retries = RetryOptions { delay: 30 * SECOND, ..steady() };
    let mut batcher = builder(&database).retries(retries).build().await.unwrap();
    let canceller = batcher.canceller();
    batcher.push_str("INSERT 1; INSERT 2;").await.unwrap();
    let started = Instant::now();
    let (ended, ()) = tokio::join!(batcher.finish(), async {
        tokio::time::sleep(SECOND).await;
        canceller.cancel();
    });
    let error = ended.unwrap_err();
    assert_eq!((error.kind(), database.requests()), (ErrorKind::Cancelled, 1), "{error}");
    assert_eq!(started.elapsed(), SECOND);
}

#[tokio::test(start_paused = true)]
async fn a_part_of_a_copy_is_not_sent_again() {
    let database = scripted([applies(), collision()]).with(|can| can.dialect = Dialect::PostgreSql);
    let script = format!("COPY t FROM stdin;\n{}\\.\n", "1\tabc\n".repeat(50));
    let (ended, _) = run(builder(&database).max_bytes(60), &script).await;
    let error = ended.unwrap_err();
    assert!(error.to_string().contains("earlier parts of its COPY"), "{error}");
    assert_eq!(database.requests(), 2);
}
