//! The batcher against a scripted database: order, errors, and what is applied when a run ends
//! early. Time is paused where it matters.

use std::{
    panic::AssertUnwindSafe,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures_util::{FutureExt, stream};
use sql_batcher::{
    Batcher, Builder, Dialect, Error, ErrorKind, Fault, Oversized, Report, Retry, SandboxLimits,
    Transactions,
    adapters::{
        self, AdapterError, Effects, Problem, Scripted,
        scripted::{Answer, Event},
    },
};

fn problem(fault: adapters::Fault, message: &str) -> Problem {
    Problem {
        fault,
        message: message.into(),
        quoted: None,
        code: Some("23505".into()),
        statement: None,
        offset: None,
        kept: 0,
        outcome_unknown: false,
        transient: false,
        source: None,
    }
}

fn refused() -> Problem {
    problem(adapters::Fault::Statement, "duplicate key")
}

/// Statements of 10 bytes, five of which fill a batch of 60.
fn inserts(count: usize) -> impl Iterator<Item = String> {
    (0..count).map(|number| format!("INSERT {number:03}"))
}

fn small(database: &Scripted) -> Builder {
    Batcher::builder(database.clone()).max_bytes(60)
}

fn applied(database: &Scripted) -> Vec<String> {
    let applied = database.applied();
    applied.iter().map(|sql| sql.trim_end().trim_end_matches(';').to_owned()).collect()
}

fn adds_up(report: &Report) {
    let parts = [
        report.applied,
        report.failed,
        report.rolled_back,
        report.skipped,
        report.unknown,
        report.not_reached,
        report.open,
    ];
    assert_eq!(parts.iter().sum::<u64>(), report.statements, "{report:?}");
    assert_eq!(report.open, 0, "{report:?}");
}

#[track_caller]
fn report_of(error: &Error) -> &Report {
    let report = error.report().expect("an error of a run has its report");
    adds_up(report);
    report
}

#[tokio::test]
async fn everything_is_applied_once_and_in_order() {
    let database = Scripted::new();
    let mut batcher = small(&database).build().await.unwrap();
    batcher.add_all(inserts(100)).await.unwrap();
    let report = batcher.finish().await.unwrap();
    assert_eq!(applied(&database), inserts(100).collect::<Vec<_>>());
    assert_eq!((report.statements, report.applied), (100, 100));
    assert_eq!(report.batches as usize, database.requests());
    assert!(report.failure.is_none());
    adds_up(&report);
}

#[tokio::test]
async fn a_script_may_be_cut_anywhere() {
    let database = Scripted::new();
    let mut batcher = small(&database).build().await.unwrap();
    let script = inserts(40).collect::<Vec<_>>().join(";\n");
    for byte in script.as_bytes() {
        batcher.push(std::slice::from_ref(byte)).await.unwrap();
    }
    let report = batcher.finish().await.unwrap();
    assert_eq!(applied(&database), inserts(40).collect::<Vec<_>>());
    assert_eq!(report.read_bytes, script.len() as u64);
}

#[tokio::test]
async fn a_reader_a_string_and_a_stream_are_taken_in_their_order() {
    let database = Scripted::new();
    let mut batcher = small(&database).build().await.unwrap();
    batcher.read_from("a.sql", &b"SELECT 1; SELECT 2"[..]).await.unwrap();
    batcher.push_str("SELECT 3; SELECT 4").await.unwrap();
    batcher.add_stream(stream::iter(["SELECT 5", "SELECT 6;"])).await.unwrap();
    batcher.add("SELECT 7; SELECT 8").await.unwrap();
    batcher.finish().await.unwrap();
    let expected: Vec<String> = (1..=8).map(|number| format!("SELECT {number}")).collect();
    assert_eq!(applied(&database), expected);
}

#[tokio::test]
async fn what_an_added_statement_leaves_open_does_not_reach_the_next() {
    let database = Scripted::new();
    let mut batcher = small(&database).build().await.unwrap();
    batcher.add("INSERT 1 -- that was it").await.unwrap();
    batcher.add("INSERT 2").await.unwrap();
    let report = batcher.finish().await.unwrap();
    assert_eq!(report.applied, 2);
}

#[tokio::test]
async fn flush_waits_until_everything_is_applied() {
    let database = Scripted::new();
    let mut batcher = Batcher::builder(database.clone()).build().await.unwrap();
    batcher.add("INSERT 1").await.unwrap();
    batcher.flush().await.unwrap();
    assert_eq!(applied(&database), ["INSERT 1"]);
    assert_eq!(batcher.stats().applied, 1);
    batcher.flush().await.unwrap();
    batcher.finish().await.unwrap();
    assert_eq!(database.requests(), 1);
}

#[tokio::test]
async fn a_refused_statement_is_named_with_its_file_line_and_column() {
    let database = Scripted::new();
    database.answer(Answer::Fails(Problem { statement: Some(1), ..refused() }));
    let mut batcher = Batcher::builder(database.clone()).build().await.unwrap();
    batcher.begin_input("dump.sql").await.unwrap();
    batcher.push_str("INSERT 1;\n  INSERT 2;\nINSERT 3;\n").await.unwrap();
    let error = batcher.finish().await.unwrap_err();
    assert_eq!(error.to_string(), "dump.sql:2:3: statement 2: duplicate key (SQLSTATE 23505)");
    assert_eq!((error.kind(), error.fault()), (ErrorKind::Database, Fault::Input));
    assert_eq!(error.retry(), Retry::Never);
    let report = report_of(&error);
    assert_eq!((report.applied, report.failed, report.rolled_back), (0, 1, 2));
    assert_eq!(report.failure.as_ref().unwrap().message, error.to_string());
}

#[tokio::test]
async fn an_offset_in_the_body_is_a_place_in_the_file() {
    let database = Scripted::new();
    database.answer(Answer::Fails(Problem { offset: Some(22), ..refused() }));
    let mut batcher = Batcher::builder(database.clone()).build().await.unwrap();
    batcher.begin_input("a.sql").await.unwrap();
    batcher.push_str("SELECT 1;\n").await.unwrap();
    batcher.begin_input("b.sql").await.unwrap();
    batcher.push_str("SELECT\n  wrong;").await.unwrap();
    let error = batcher.finish().await.unwrap_err();
    let position = error.position().unwrap();
    assert_eq!(position.input.as_deref(), Some("b.sql"));
    assert_eq!((position.line, position.statement), (2, 2), "{error}");
    assert_eq!(position.batch, Some(1));
}

#[tokio::test]
async fn nothing_is_sent_after_a_failure_and_each_later_call_says_so() {
    let database = Scripted::new();
    database.answer(Answer::Applies(Effects::default()));
    database.answer(Answer::Fails(refused()));
    let mut batcher = small(&database).build().await.unwrap();
    let added = batcher.add_all(inserts(100)).await;
    let flushed = batcher.flush().await.unwrap_err();
    let again = batcher.add("INSERT late").await.unwrap_err();
    let error = batcher.finish().await.unwrap_err();
    assert!(added.is_ok(), "small statements are gathered");
    assert_eq!(flushed.to_string(), error.to_string());
    assert_eq!(again.to_string(), error.to_string());
    assert_eq!(database.requests(), 2);
    let report = report_of(&error);
    assert_eq!(report.batches, 2, "what was at hand is not counted as sent");
    assert_eq!(report.applied as usize, database.applied().len());
    assert!(report.not_reached > 0);
}

#[tokio::test]
async fn what_comes_before_an_unclosed_quote_is_applied() {
    let database = Scripted::new();
    let mut batcher = Batcher::builder(database.clone()).build().await.unwrap();
    batcher.read_from("a.sql", &b"INSERT 1;\nINSERT 'open;\n"[..]).await.unwrap();
    let error = batcher.finish().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidQuery);
    assert!(error.to_string().starts_with("a.sql:2:"), "{error}");
    assert_eq!(applied(&database), ["INSERT 1"]);
    assert_eq!(report_of(&error).applied, 1);
}

#[tokio::test]
async fn a_statement_that_is_too_large_is_refused_or_sent_alone() {
    let large = format!("INSERT '{}'", "x".repeat(100));
    let database = Scripted::new();
    let mut batcher = small(&database).build().await.unwrap();
    batcher.add("INSERT 1").await.unwrap();
    batcher.add(&large).await.unwrap();
    let error = batcher.finish().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BatchSizeExceeded);
    assert_eq!(applied(&database), ["INSERT 1"]);
    report_of(&error);

    let database = Scripted::new();
    let mut batcher = small(&database).oversized(Oversized::SendAlone).build().await.unwrap();
    batcher.add("INSERT 1").await.unwrap();
    batcher.add(&large).await.unwrap();
    batcher.add("INSERT 2").await.unwrap();
    batcher.finish().await.unwrap();
    assert_eq!(applied(&database), ["INSERT 1", &large, "INSERT 2"]);
    assert_eq!(database.requests(), 3);
}

#[tokio::test]
async fn an_added_statement_larger_than_a_piece_is_one_statement() {
    let database = Scripted::new();
    let large = format!("INSERT '{}é'", "é;".repeat(500_000));
    let mut batcher =
        Batcher::builder(database.clone()).max_bytes(2_000_000).build().await.unwrap();
    batcher.add("INSERT 1 -- ").await.unwrap();
    batcher.add(&large).await.unwrap();
    batcher.add("INSERT 2").await.unwrap();
    let report = batcher.finish().await.unwrap();
    assert_eq!(report.statements, 3);
    assert_eq!(applied(&database)[1..], [large, "INSERT 2".to_owned()]);
}

#[tokio::test]
async fn the_database_limits_what_the_user_may_choose() {
    let database = Scripted::new().with(|can| {
        can.max_request_bytes = 60;
        can.max_statements_per_request = Some(2);
    });
    let mut batcher = Batcher::builder(database.clone()).build().await.unwrap();
    batcher.add_all(inserts(10)).await.unwrap();
    let report = batcher.finish().await.unwrap();
    assert_eq!(report.batches, 5);
}

#[tokio::test]
async fn options_that_the_database_cannot_keep_are_refused() {
    let database = Scripted::new().with(|can| can.transactions = false);
    let run = Batcher::builder(database).transactions(Transactions::Run).build().await;
    let error = run.unwrap_err();
    assert_eq!((error.kind(), error.fault()), (ErrorKind::InvalidOptions, Fault::Caller));
    let error = small(&Scripted::new()).max_bytes(0).build().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidOptions);
}

#[tokio::test]
async fn a_database_that_cannot_be_reached_is_a_connection_error() {
    let database = Scripted::new();
    database.refuse(AdapterError {
        fault: adapters::Fault::Connection,
        message: "cannot reach it".into(),
        code: None,
        transient: false,
        source: None,
    });
    let mut batcher = Batcher::builder(database.clone()).build().await.unwrap();
    batcher.add("INSERT 1").await.unwrap();
    let error = batcher.finish().await.unwrap_err();
    assert_eq!((error.kind(), error.retry()), (ErrorKind::Connection, Retry::Safe));
    assert_eq!(report_of(&error).not_reached, 1);
}

#[tokio::test]
async fn a_lost_answer_is_an_unknown_outcome() {
    let database = Scripted::new();
    let lost = Problem { outcome_unknown: true, ..problem(adapters::Fault::Connection, "lost") };
    database.answer(Answer::AppliesButFails(lost));
    let mut batcher = Batcher::builder(database.clone()).build().await.unwrap();
    batcher.add("INSERT 1").await.unwrap();
    let error = batcher.finish().await.unwrap_err();
    assert_eq!((error.kind(), error.retry()), (ErrorKind::OutcomeUnknown, Retry::Unknown));
    assert_eq!(report_of(&error).unknown, 1);
}

#[tokio::test]
async fn a_whole_run_is_one_transaction() {
    let database = Scripted::new();
    let builder = small(&database).transactions(Transactions::Run);
    let mut batcher = builder.build().await.unwrap();
    batcher.add_all(inserts(20)).await.unwrap();
    batcher.flush().await.unwrap();
    assert!(database.applied().is_empty());
    let report = batcher.finish().await.unwrap();
    assert_eq!((report.applied, database.applied().len()), (20, 20));
    let log = database.log();
    assert_eq!(log.iter().filter(|event| matches!(event, Event::Begun { .. })).count(), 1);
    assert_eq!(log.iter().filter(|event| matches!(event, Event::Committed { .. })).count(), 1);
}

#[tokio::test]
async fn a_whole_run_that_fails_applies_nothing() {
    let database = Scripted::new();
    database.answer(Answer::Applies(Effects::default()));
    database.answer(Answer::Fails(refused()));
    let builder = small(&database).transactions(Transactions::Run);
    let mut batcher = builder.build().await.unwrap();
    batcher.add_all(inserts(20)).await.unwrap();
    let error = batcher.finish().await.unwrap_err();
    assert!(database.applied().is_empty());
    let report = report_of(&error);
    assert_eq!(report.applied, 0, "{report:?}");
}

#[tokio::test]
async fn a_commit_of_the_run_that_fails_is_accounted_for() {
    for (unknown, kind) in [(false, ErrorKind::Database), (true, ErrorKind::OutcomeUnknown)] {
        let database = Scripted::new();
        database.answer_commit(Answer::Fails(Problem { outcome_unknown: unknown, ..refused() }));
        let builder = small(&database).transactions(Transactions::Run);
        let mut batcher = builder.build().await.unwrap();
        batcher.add_all(inserts(20)).await.unwrap();
        let error = batcher.finish().await.unwrap_err();
        assert_eq!(error.kind(), kind);
        let report = report_of(&error);
        let (lost, other) = match unknown {
            true => (report.unknown, report.rolled_back),
            false => (report.rolled_back, report.unknown),
        };
        assert_eq!((report.applied, lost, other), (0, 20, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn a_batch_is_sent_when_its_first_statement_is_old_enough() {
    let database = Scripted::new();
    let builder = Batcher::builder(database.clone()).max_age(Duration::from_secs(10));
    let mut batcher = builder.build().await.unwrap();
    batcher.add("INSERT 1").await.unwrap();
    tokio::time::sleep(Duration::from_secs(9)).await;
    batcher.add("INSERT 2").await.unwrap();
    tokio::time::sleep(Duration::from_millis(990)).await;
    assert!(database.applied().is_empty());
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert_eq!(applied(&database), ["INSERT 1", "INSERT 2"]);
    batcher.finish().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn input_is_split_while_a_batch_is_under_way() {
    let database = Scripted::new();
    database.answer_after(Duration::from_secs(1), Answer::Applies(Effects::default()));
    let mut batcher = Batcher::builder(database.clone()).build().await.unwrap();
    batcher.push_str("INSERT 1;").await.unwrap();
    let (flushed, ()) = tokio::join!(batcher.flush(), async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        assert_eq!(database.requests(), 1);
    });
    flushed.unwrap();
    let report = batcher.finish().await.unwrap();
    assert_eq!(report.batch_times.unwrap().max, Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn a_dropped_batcher_sends_nothing_more_and_takes_back_what_is_under_way() {
    let database = Scripted::new();
    database.answer(Answer::Applies(Effects::default()));
    database.answer_after(Duration::from_secs(9), Answer::Applies(Effects::default()));
    let mut batcher = small(&database).build().await.unwrap();
    batcher.push_str(&inserts(100).collect::<Vec<_>>().join(";")).await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let before = database.requests();
    drop(batcher);
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!((before, database.requests()), (2, 2));
    assert!(database.applied().len() < 10, "{:?}", database.applied());
    assert!(matches!(database.log().last(), Some(Event::Ended { .. })));
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_run_lets_the_batch_under_way_end() {
    let database = Scripted::new();
    database.answer_after(Duration::from_secs(9), Answer::Applies(Effects::default()));
    let mut batcher = small(&database).build().await.unwrap();
    let canceller = batcher.canceller();
    batcher.push_str(&inserts(100).collect::<Vec<_>>().join(";")).await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    canceller.cancel();
    let error = batcher.finish().await.unwrap_err();
    assert_eq!((error.kind(), error.fault()), (ErrorKind::Cancelled, Fault::Caller));
    let report = report_of(&error);
    assert_eq!((database.requests(), report.batches), (1, 1));
    assert_eq!(report.applied as usize, database.applied().len());
    assert!(report.applied > 0 && report.not_reached > 0, "{report:?}");
}

#[tokio::test]
async fn a_scope_that_succeeds_gives_its_value_and_the_report() {
    let database = Scripted::new();
    let (value, report) = Batcher::scope(database.clone(), async |batcher| {
        batcher.add("INSERT 1").await?;
        Ok("value")
    })
    .await
    .unwrap();
    assert_eq!((value, report.applied), ("value", 1));
    assert_eq!(database.log().last(), Some(&Event::Ended { session: 0, closed: true }));
}

#[tokio::test]
async fn a_scope_that_fails_applies_nothing_further_and_closes() {
    let database = Scripted::new();
    let ended = Batcher::scope(database.clone(), async |batcher| {
        batcher.add("INSERT 1").await?;
        batcher.flush().await?;
        batcher.add("INSERT 2").await?;
        Err::<(), _>(Error::cancelled("changed my mind"))
    });
    let error = ended.await.unwrap_err();
    assert_eq!(error.to_string(), "changed my mind");
    assert_eq!(report_of(&error).applied, 1);
    assert_eq!(applied(&database), ["INSERT 1"]);
    assert_eq!(database.log().last(), Some(&Event::Ended { session: 0, closed: true }));
}

#[tokio::test]
async fn a_scope_that_panics_applies_nothing_further_and_closes() {
    let database = Scripted::new();
    let run = Batcher::scope(database.clone(), async |batcher| {
        batcher.add("INSERT 1").await?;
        batcher.flush().await?;
        batcher.add("INSERT 2").await?;
        panic!("of the caller's own");
        #[expect(unreachable_code, reason = "gives the block its type")]
        Ok(())
    });
    let panic = AssertUnwindSafe(run).catch_unwind().await.unwrap_err();
    assert_eq!(panic.downcast_ref::<&str>(), Some(&"of the caller's own"));
    assert_eq!(applied(&database), ["INSERT 1"]);
    assert_eq!(database.log().last(), Some(&Event::Ended { session: 0, closed: true }));
}

#[tokio::test(start_paused = true)]
async fn a_scope_that_is_given_up_takes_back_what_is_under_way() {
    let database = Scripted::new();
    database.answer(Answer::Hangs);
    let run = Batcher::scope(database.clone(), async |batcher| {
        batcher.add("INSERT 1").await?;
        let _ = tokio::time::timeout(Duration::from_secs(1), batcher.flush()).await;
        Err::<(), _>(Error::cancelled("took too long"))
    });
    let error = run.await.unwrap_err();
    assert_eq!(report_of(&error).not_reached, 1);
    assert!(database.applied().is_empty());
    assert!(database.log().contains(&Event::Cancelled { session: 0 }));
}

#[tokio::test]
async fn an_observer_sees_the_end_of_the_run() {
    let database = Scripted::new();
    let seen = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&seen);
    let builder = small(&database).observer(move |snapshot| {
        counter.store(snapshot.applied, Ordering::Relaxed);
    });
    let mut batcher = builder.build().await.unwrap();
    batcher.add_all(inserts(30)).await.unwrap();
    batcher.finish().await.unwrap();
    assert_eq!(seen.load(Ordering::Relaxed), 30);
}

#[tokio::test]
async fn a_file_that_cannot_be_read_is_named() {
    let mut batcher = small(&Scripted::new()).build().await.unwrap();
    let error = batcher.read_file("no-such-file.sql").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Input);
    assert!(error.to_string().starts_with("no-such-file.sql cannot be read: "), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_given_up_loses_no_added_statement() {
    let database = Scripted::new();
    database.answer_after(Duration::from_secs(9), Answer::Applies(Effects::default()));
    let mut batcher = small(&database).build().await.unwrap();
    batcher.add_all(inserts(100)).await.unwrap();
    let flushed = tokio::time::timeout(Duration::from_secs(1), batcher.flush()).await;
    assert!(flushed.is_err());
    batcher.add("INSERT 100").await.unwrap();
    assert_eq!(batcher.finish().await.unwrap().applied, 101);
    assert_eq!(applied(&database), inserts(101).collect::<Vec<_>>());
}

#[tokio::test]
async fn bad_data_of_a_copy_is_at_its_statement() {
    let database = Scripted::new().with(|can| can.dialect = Dialect::PostgreSql);
    database.answer(Answer::Applies(Effects::default()));
    database.answer(Answer::Fails(problem(adapters::Fault::Statement, "invalid input")));
    let mut batcher = small(&database).build().await.unwrap();
    batcher.begin_input("a.sql").await.unwrap();
    let script = format!("\nCOPY t FROM stdin;\n{}\\.\n", "1\tabc\n".repeat(50));
    batcher.push_str(&script).await.unwrap();
    let error = batcher.finish().await.unwrap_err();
    assert_eq!(error.to_string(), "a.sql:2:1: statement 1: invalid input (SQLSTATE 23505)");
    assert_eq!(error.position().unwrap().batch, Some(2));
    report_of(&error);
}

#[tokio::test]
#[should_panic(expected = "the observer's own")]
async fn a_panic_of_an_observer_goes_on_in_its_caller() {
    let builder = small(&Scripted::new()).observer(|_| panic!("the observer's own"));
    let mut batcher = builder.build().await.unwrap();
    batcher.add("INSERT 1").await.unwrap();
    let _ = batcher.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_failing_sandbox_is_no_fault_of_the_database_and_the_account_still_adds_up() {
    let database = Scripted::new();
    database.answer(Answer::Applies(Effects::default()));
    database.answer_after(Duration::from_secs(1), Answer::Applies(Effects::default()));
    let limits = SandboxLimits { memory_bytes: Some(2 << 20), ..SandboxLimits::default() };
    let mut batcher = small(&database).sandbox(limits).build().await.unwrap();
    batcher.add_all(inserts(7)).await.unwrap();
    batcher.push_str("INSERT 007; INSERT 008; INSERT 009; INSERT 010;").await.unwrap();
    let _ = batcher.push(&vec![b'x'; 4 << 20]).await;
    let error = batcher.finish().await.unwrap_err();
    assert_eq!((error.kind(), error.fault()), (ErrorKind::Sandbox, Fault::Engine));
    let report = report_of(&error);
    assert_eq!(report.applied as usize, database.applied().len(), "{report:?}");
    assert!(report.applied >= 5, "{report:?}");
}

#[tokio::test(start_paused = true)]
async fn an_aborted_run_takes_back_what_a_cancelled_one_waits_for() {
    let database = Scripted::new();
    database.answer(Answer::Hangs);
    let mut batcher = small(&database).build().await.unwrap();
    let canceller = batcher.canceller();
    batcher.push_str(&inserts(100).collect::<Vec<_>>().join(";")).await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    canceller.cancel();
    let ended = tokio::spawn(batcher.finish());
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(!ended.is_finished());
    canceller.abort();
    let error = ended.await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled);
    let report = report_of(&error);
    assert_eq!((report.unknown, report.not_reached), (0, report.statements), "{report:?}");
    assert!(database.applied().is_empty());
    assert!(database.log().contains(&Event::Cancelled { session: 0 }));
}

#[tokio::test]
async fn batches_in_flight_are_as_many_as_can_write_at_once() {
    let database = Scripted::new().with(|can| can.max_writers = Some(1));
    let mut batcher = small(&database).in_flight(4).build().await.unwrap();
    batcher.add_all(inserts(100)).await.unwrap();
    let report = batcher.finish().await.unwrap();
    let note = "in_flight of 4 is lowered to 1: no more can write at once";
    assert_eq!(
        (applied(&database), &report.notes[..]),
        (inserts(100).collect(), &[note.into()][..])
    );
}

#[tokio::test]
async fn values_are_shown_only_where_that_is_wanted() {
    for (show, said) in
        [(false, "1:1: statement 1: near '…'"), (true, "1:1: statement 1: near 's'")]
    {
        let database = Scripted::new();
        let quoted = Some("'s'".to_owned());
        let refused = problem(adapters::Fault::Statement, "near 's'");
        let source = Some("from the driver: near 's'".into());
        let code = None;
        database.answer(Answer::Fails(Problem { quoted, source, code, ..refused }));
        let mut batcher = small(&database).show_values(show).build().await.unwrap();
        batcher.push_str("INSERT 's'").await.unwrap();
        let error = batcher.finish().await.unwrap_err();
        assert_eq!(error.to_string(), said);
        assert_eq!(std::error::Error::source(&error).is_some(), show);
        assert_eq!(report_of(&error).failure.as_ref().unwrap().message, said);
    }
}

#[tokio::test]
async fn a_first_batch_may_ask_for_the_last_id() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", folder.path().join("a.db").display());
    let database = adapters::Sqlite::connect(&url).await.unwrap();
    let mut batcher = Batcher::builder(database).build().await.unwrap();
    let script = "CREATE TABLE a (id INTEGER PRIMARY KEY); CREATE TABLE b (a INTEGER);
        INSERT INTO a VALUES (5); INSERT INTO b VALUES (last_insert_rowid());";
    batcher.push_str(script).await.unwrap();
    assert_eq!(batcher.finish().await.unwrap().applied, 4);
}

#[tokio::test(start_paused = true)]
async fn a_lost_session_is_lacked_only_where_its_last_id_is_asked_for() {
    let lost = || {
        let lost = problem(adapters::Fault::Connection, "the connection was lost");
        Answer::Fails(Problem { transient: true, ..lost })
    };
    let applies = || Answer::Applies(Effects::default());
    for (then, message) in [
        ("INSERT 2;", None),
        (
            "INSERT last_insert_id();",
            Some("the connection was lost; not tried again: the last inserted id"),
        ),
    ] {
        let database = Scripted::new().with(|can| can.dialect = Dialect::MySql);
        database.answer(applies()).answer(lost());
        let mut batcher = small(&database).build().await.unwrap();
        batcher.push_str("INSERT 1;").await.unwrap();
        batcher.flush().await.unwrap();
        batcher.push_str(then).await.unwrap();
        let ended = batcher.finish().await;
        let said = ended.as_ref().err().map(|error| error.message().to_owned());
        assert_eq!(said.is_some(), message.is_some(), "{said:?}");
        assert!(said.unwrap_or_default().ends_with(message.unwrap_or_default()));
    }
}

#[tokio::test]
async fn the_last_id_is_refused_with_several_batches_in_flight() {
    let database = Scripted::new().with(|can| can.dialect = Dialect::MySql);
    let mut batcher = small(&database).in_flight(2).build().await.unwrap();
    batcher.push_str("INSERT 1;\n INSERT LAST_INSERT_ID();").await.unwrap();
    let error = batcher.finish().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidOptions);
    assert_eq!(
        error.to_string(),
        "2:2: statement 2: the last inserted id is not certain with more than one batch in flight"
    );
    assert_eq!((report_of(&error).not_reached, database.requests()), (2, 0));
}

/// A refusal of a statement of a request, as the database counts them.
fn refused_at(statement: u32) -> Problem {
    let mut problem = refused();
    problem.statement = Some(statement);
    problem
}

#[tokio::test]
async fn merged_inserts_that_are_refused_in_turn_are_each_sent_apart_once() {
    let database = Scripted::new();
    database.answer(Answer::Fails(refused_at(0)));
    database.answer(Answer::Fails(refused_at(2)));
    let mut batcher = Batcher::builder(database.clone()).merge_inserts(true).build().await.unwrap();
    let script = "INSERT INTO a VALUES (1); INSERT INTO a VALUES (2);\n\
                  INSERT INTO b VALUES (1); INSERT INTO b VALUES (2);\n";
    batcher.push_str(script).await.unwrap();
    let report = batcher.finish().await.unwrap();
    assert_eq!((report.applied, database.requests()), (4, 3));
    let sent: Vec<usize> = database
        .log()
        .iter()
        .filter_map(|event| match event {
            Event::Executed { ends, .. } => Some(ends.len()),
            _ => None,
        })
        .collect();
    // What was sent apart stays so.
    assert_eq!(sent, [2, 3, 4]);
}
