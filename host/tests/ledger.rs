//! The ledger and resuming: what is sent again, what is refused, and what is looked up; on SQLite,
//! and on a scripted database with a clock that is driven.
#![expect(clippy::unwrap_used, reason = "a test ends where something of its own fails")]

use std::{path::Path, time::Duration};

use sql_batcher::{
    Batcher, Builder, Error, ErrorKind, InDoubt, LedgerOptions, Report, Transactions,
    adapters::{
        Fault, Problem, Scripted, Sqlite,
        scripted::{Answer, Event},
    },
};
use sqlx::{Connection as _, Row as _, SqliteConnection};

fn ledger() -> LedgerOptions {
    LedgerOptions { run: Some("r1".into()), ..LedgerOptions::default() }
}

fn resume() -> LedgerOptions {
    LedgerOptions { resume: true, ..ledger() }
}

async fn on(folder: &Path) -> Builder {
    let url = format!("sqlite://{}", folder.join("a.db").display());
    Batcher::builder(Sqlite::connect(&url).await.unwrap()).max_bytes(100)
}

async fn run(builder: Builder, script: &str) -> Result<Report, Error> {
    let mut batcher = builder.build().await?;
    match batcher.push_str(script).await {
        Ok(()) => batcher.finish().await,
        Err(error) => Err(error),
    }
}

async fn count(folder: &Path, sql: &'static str) -> i64 {
    let url = format!("sqlite://{}", folder.join("a.db").display());
    let mut connection = SqliteConnection::connect(&url).await.unwrap();
    let row = sqlx::raw_sql(sql).fetch_one(&mut connection).await.unwrap();
    let count = row.get(0);
    connection.close().await.unwrap();
    count
}

fn rows(ids: impl IntoIterator<Item = u32>) -> String {
    ids.into_iter().map(|id| format!("INSERT INTO t VALUES ({id});\n")).collect()
}

const TABLE: &str = "CREATE TABLE t (id INTEGER);\n";
const ROWS: &str = "SELECT count(*) FROM t";

#[tokio::test]
async fn a_run_that_is_complete_is_not_sent_again() {
    let folder = tempfile::tempdir().unwrap();
    let script = format!("{TABLE}{}", rows(0..20));
    let first = run(on(folder.path()).await.ledger(ledger()), &script).await.unwrap();
    assert_eq!((first.applied, first.resumed, first.rows), (21, 0, 20));
    let again = run(on(folder.path()).await.ledger(resume()), &script).await.unwrap();
    assert_eq!((again.applied, again.resumed, again.batches), (21, 21, 0));
    assert_eq!(again.run.as_deref(), Some("r1"));
    assert_eq!(count(folder.path(), ROWS).await, 20);
}

#[tokio::test]
async fn a_run_goes_on_behind_what_it_has_applied() {
    let folder = tempfile::tempdir().unwrap();
    let bad = format!("{TABLE}{}INSERT INTO u VALUES (1);\n{}", rows(0..20), rows(20..40));
    let error = run(on(folder.path()).await.ledger(ledger()), &bad).await.unwrap_err();
    let applied = error.report().unwrap().applied;
    assert!(applied > 10 && applied < 22, "{error}");
    // Where it stopped the input may be mended.
    let mended = bad.replace("INTO u", "INTO t");
    let report = run(on(folder.path()).await.ledger(resume()), &mended).await.unwrap();
    assert_eq!((report.applied, report.resumed), (42, applied));
    assert_eq!(count(folder.path(), ROWS).await, 41);
    assert_eq!(count(folder.path(), "SELECT count(DISTINCT id) FROM t").await, 40);
}

#[tokio::test]
async fn an_input_that_is_longer_than_before_is_gone_on_with() {
    let folder = tempfile::tempdir().unwrap();
    let script = format!("{TABLE}{}", rows(0..20));
    run(on(folder.path()).await.ledger(ledger()), &script).await.unwrap();
    let longer = format!("{script}{}", rows(20..30));
    let report = run(on(folder.path()).await.ledger(resume()), &longer).await.unwrap();
    assert_eq!((report.applied, report.resumed), (31, 21));
    assert_eq!(count(folder.path(), ROWS).await, 30);
}

#[tokio::test]
async fn an_input_or_options_that_changed_are_refused_and_nothing_is_sent() {
    let folder = tempfile::tempdir().unwrap();
    let script = format!("{TABLE}{}", rows(0..20));
    run(on(folder.path()).await.ledger(ledger()), &script).await.unwrap();

    let changed = script.replace("(7)", "(8)");
    let error = run(on(folder.path()).await.ledger(resume()), &changed).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Input);
    assert!(error.message().contains("are not the same as those that it has applied"), "{error}");

    let error = run(on(folder.path()).await.ledger(resume()), TABLE).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Input);
    assert!(error.message().ends_with("statement 21 was dealt with before"), "{error}");

    let other = on(folder.path()).await.max_bytes(200).ledger(resume());
    let error = run(other, &script).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidOptions);
    assert!(error.message().contains("begun with other options: max_bytes 100;"), "{error}");

    let error = run(on(folder.path()).await.ledger(ledger()), &script).await.unwrap_err();
    assert!(error.message().contains("has a run \"r1\" already"), "{error}");
    assert_eq!(count(folder.path(), ROWS).await, 20);
}

#[tokio::test]
async fn without_a_name_the_newest_run_is_resumed_or_one_is_begun() {
    let folder = tempfile::tempdir().unwrap();
    let unnamed = LedgerOptions { run: None, ..resume() };
    let script = format!("{TABLE}{}", rows(0..20));
    let first = run(on(folder.path()).await.ledger(unnamed.clone()), &script).await.unwrap();
    assert_eq!(first.resumed, 0);
    assert!(first.notes.iter().any(|note| note.contains("no run to resume")), "{first}");
    let again = run(on(folder.path()).await.ledger(unnamed), &script).await.unwrap();
    assert_eq!((again.resumed, again.run), (21, first.run));
}

#[tokio::test]
async fn a_newest_run_that_has_applied_nothing_is_named_with_the_one_that_has() {
    let folder = tempfile::tempdir().unwrap();
    let unnamed = |resume| LedgerOptions { run: None, resume, ..LedgerOptions::default() };
    let script = format!("{TABLE}{}", rows(0..20));
    run(on(folder.path()).await.ledger(ledger()), &script).await.unwrap();
    // Somebody forgets to say that it is to be resumed.
    let error = run(on(folder.path()).await.ledger(unnamed(false)), &script).await.unwrap_err();
    let forgotten = error.report().unwrap().run.clone().unwrap();
    let error = run(on(folder.path()).await.ledger(unnamed(true)), &script).await.unwrap_err();
    let note = format!(
        "run {forgotten:?} is the newest and has applied nothing; the last that has is \"r1\": to \
         go on with that, name it"
    );
    assert_eq!(error.report().unwrap().notes, [note]);
    let report = run(on(folder.path()).await.ledger(resume()), &script).await.unwrap();
    assert_eq!((report.resumed, report.notes.len()), (21, 0));
}

#[tokio::test]
async fn the_settings_of_the_session_are_made_again_before_the_rest() {
    let folder = tempfile::tempdir().unwrap();
    let begin = format!(
        "PRAGMA foreign_keys = 1;\nATTACH '{}' AS other;\nCREATE TABLE other.t (id INTEGER);\n",
        folder.path().join("other.db").display()
    );
    let stops = format!("{begin}{}INSERT INTO nowhere VALUES (1);\n", rows(0..5));
    run(on(folder.path()).await.ledger(ledger()), &stops).await.unwrap_err();
    let goes_on = format!("{begin}{}INSERT INTO other.t VALUES (6);\n", rows(0..5));
    let report = run(on(folder.path()).await.ledger(resume()), &goes_on).await.unwrap();
    assert_eq!(report.applied, 9, "{report}");
}

#[tokio::test]
async fn the_last_id_of_an_earlier_process_is_lacked_by_a_new_session() {
    let folder = tempfile::tempdir().unwrap();
    let begin = format!("{TABLE}INSERT INTO t VALUES (1);\n");
    run(on(folder.path()).await.ledger(ledger()), &begin).await.unwrap();
    let asks = format!("{begin}INSERT INTO t VALUES (last_insert_rowid());\n");
    let error = run(on(folder.path()).await.ledger(resume()), &asks).await.unwrap_err();
    assert_eq!(
        error.message(),
        "batch 1, from 1:1: the session of the earlier process is gone, and a new one would lack \
         the last inserted id"
    );
}

#[tokio::test]
async fn a_table_of_another_name_is_made_and_used() {
    let folder = tempfile::tempdir().unwrap();
    let named = LedgerOptions { table: "main.progress".into(), ..ledger() };
    run(on(folder.path()).await.ledger(named), TABLE).await.unwrap();
    let applied = "SELECT sum(statements) FROM progress WHERE run = 'r1' AND state = 'applied'";
    assert_eq!(count(folder.path(), applied).await, 1);
}

#[tokio::test]
async fn a_transaction_of_the_scripts_own_is_in_one_row_however_many_batches_it_takes() {
    let folder = tempfile::tempdir().unwrap();
    let script =
        format!("{TABLE}BEGIN;\n{}COMMIT;\nBEGIN;\n{}ROLLBACK;\n", rows(0..20), rows(0..9));
    let report = run(on(folder.path()).await.ledger(ledger()), &script).await.unwrap();
    assert!(report.batches > 5, "{report}");
    let rows = "SELECT count(*) FROM sql_batcher_ledger WHERE state = 'applied'";
    assert_eq!(count(folder.path(), rows).await, 3);
    let again = run(on(folder.path()).await.ledger(resume()), &script).await.unwrap();
    assert_eq!(again.resumed, again.statements);
    assert_eq!(count(folder.path(), ROWS).await, 20);
}

#[tokio::test]
async fn a_run_that_is_one_transaction_has_its_rows_in_it() {
    let folder = tempfile::tempdir().unwrap();
    let script = format!("{TABLE}{}", rows(0..20));
    let whole = |builder: Builder| builder.transactions(Transactions::Run);
    let bad = format!("{script}INSERT INTO u VALUES (1);\n");
    run(whole(on(folder.path()).await).ledger(ledger()), &bad).await.unwrap_err();
    let applied = "SELECT count(*) FROM sql_batcher_ledger WHERE state = 'applied'";
    assert_eq!(count(folder.path(), applied).await, 0);
    let report = run(whole(on(folder.path()).await).ledger(resume()), &script).await.unwrap();
    assert_eq!((report.applied, report.resumed), (21, 0));
    let again = run(whole(on(folder.path()).await).ledger(resume()), &script).await.unwrap();
    assert_eq!((again.applied, again.resumed), (21, 21));
}

fn unknown() -> Problem {
    let lost = Problem::new(Fault::Connection, "the connection was lost");
    Problem { outcome_unknown: true, transient: true, ..lost }
}

/// A database that answers so to the first batch, behind the row that begins the run.
fn scripted(answer: Answer) -> Scripted {
    let database = Scripted::new();
    database.answer(Answer::Applies(sql_batcher::adapters::Effects::default()));
    database.answer(answer);
    database
}

#[tokio::test(start_paused = true)]
async fn an_outcome_that_is_unknown_is_looked_up_and_the_run_goes_on() {
    for answer in [Answer::AppliesButFails(unknown()), Answer::Fails(unknown())] {
        let is_applied = matches!(answer, Answer::AppliesButFails(_));
        let database = scripted(answer);
        let builder = Batcher::builder(database.clone()).ledger(ledger());
        let report = run(builder, "INSERT 1; INSERT 2;").await.unwrap();
        assert_eq!((report.applied, report.unknown), (2, 0));
        assert_eq!(report.retries.total, u64::from(!is_applied));
        assert_eq!(database.applied_statements(), ["INSERT 1;\n", "INSERT 2;"]);
        let ended = database.log().iter().any(|event| matches!(event, Event::Terminated { .. }));
        assert!(ended, "the session whose answer was lost is ended before the ledger is asked");
    }
}

#[tokio::test(start_paused = true)]
async fn a_ledger_that_cannot_be_asked_leaves_the_outcome_unknown_within_a_bounded_time() {
    let database = scripted(Answer::AppliesButFails(unknown()));
    let gone = || {
        let gone = sql_batcher::adapters::AdapterError::new(Fault::Connection, "refused");
        sql_batcher::adapters::AdapterError { transient: true, ..gone }
    };
    let mut batcher = Batcher::builder(database.clone()).ledger(ledger()).build().await.unwrap();
    batcher.push_str("INSERT 1;").await.unwrap();
    tokio::time::sleep(Duration::from_millis(1)).await;
    for _ in 0..100 {
        database.refuse(gone());
    }
    let started = tokio::time::Instant::now();
    let error = batcher.finish().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::OutcomeUnknown, "{error}");
    assert_eq!(error.report().unwrap().unknown, 1);
    assert!(started.elapsed() < Duration::from_secs(30), "{:?}", started.elapsed());
}

#[tokio::test(start_paused = true)]
async fn what_another_session_has_applied_meanwhile_counts_as_applied() {
    // The process before was killed while the server still worked on its last batch.
    let database = Scripted::new();
    let builder = || Batcher::builder(database.clone()).max_statements(1);
    run(builder().ledger(ledger()), "INSERT 1;").await.unwrap();
    let mut second = builder().ledger(resume()).build().await.unwrap();
    second.push_str("INSERT 1;").await.unwrap();
    second.flush().await.unwrap();
    // Another that goes on with the same run is quicker.
    run(builder().ledger(resume()), "INSERT 1; INSERT 2;").await.unwrap();
    second.push_str("INSERT 2;").await.unwrap();
    let report = second.finish().await.unwrap();
    assert_eq!(report.applied, 2);
    assert_eq!(database.applied_statements(), ["INSERT 1;", "INSERT 2;"]);
}

#[tokio::test(start_paused = true)]
async fn a_statement_that_no_transaction_protects_is_asked_about() {
    for (in_doubt, times) in [(InDoubt::Stop, 1), (InDoubt::Skip, 1), (InDoubt::Repeat, 2)] {
        let database = Scripted::new();
        let script = "INSERT 1; VACUUM; INSERT 2;";
        // The run's row, first batch, what is written before the statement, the statement.
        for _ in 0..3 {
            database.answer(Answer::Applies(sql_batcher::adapters::Effects::default()));
        }
        database.answer(Answer::AppliesButFails(unknown()));
        let builder = || Batcher::builder(database.clone());
        let error = run(builder().ledger(ledger()), script).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::OutcomeUnknown, "{error}");

        let again = run(builder().ledger(LedgerOptions { in_doubt, ..resume() }), script).await;
        let vacuums =
            database.applied_statements().iter().filter(|text| text.contains("VACUUM")).count();
        assert_eq!(vacuums, times, "{in_doubt:?}");
        match again {
            Ok(report) => assert_eq!((report.applied, in_doubt != InDoubt::Stop), (3, true)),
            Err(error) => {
                assert_eq!((error.kind(), in_doubt), (ErrorKind::OutcomeUnknown, InDoubt::Stop));
                assert_eq!(error.position().unwrap().statement, 2);
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_report_says_which_statements_no_transaction_protects() {
    let database = Scripted::new();
    let script = "INSERT 1;\nVACUUM;\nINSERT 2;\nVACUUM;";
    let report = run(Batcher::builder(database).ledger(ledger()), script).await.unwrap();
    let note = "statements that could not share a transaction with their row in the ledger: 2, \
                the first at 2:1";
    assert_eq!(report.notes, [note]);
}

#[tokio::test]
async fn what_a_ledger_does_not_go_with_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    for builder in [
        on(folder.path()).await.ledger(ledger()).transactions(Transactions::None),
        on(folder.path()).await.ledger(LedgerOptions { table: "a b".into(), ..ledger() }),
        on(folder.path()).await.ledger(LedgerOptions { run: Some("".into()), ..ledger() }),
        on(folder.path()).await.ledger(ledger()).in_flight(2).max_age(Duration::from_secs(1)),
    ] {
        let error = builder.build().await.err().unwrap();
        assert_eq!(error.kind(), ErrorKind::InvalidOptions, "{error}");
    }
}
