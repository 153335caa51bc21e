//! The scripted database itself.

use std::time::Duration;

use super::{Answer, Event, Scripted};
use crate::{Adapter, Connection, CopyPart, Effects, Fault, Problem, Request, Scope};

fn text(body: &[u8], scope: Scope) -> (Vec<u8>, Vec<u32>, Scope) {
    let ends = body
        .iter()
        .enumerate()
        .filter(|(_, byte)| **byte == b';')
        .map(|(at, _)| at as u32 + 1)
        .collect();
    (body.to_vec(), ends, scope)
}

async fn run(session: &mut dyn Connection, body: &str, scope: Scope) -> Result<Effects, Problem> {
    let (body, ends, scope) = text(body.as_bytes(), scope);
    session.execute(Request { body: &body, ends: &ends, scope, copy: None, inserts: &[] }).await
}

#[tokio::test]
async fn an_atomic_request_that_fails_applies_nothing() {
    let database = Scripted::new();
    database.answer(Answer::Fails(Problem::new(Fault::Statement, "no")));
    let mut session = database.acquire().await.unwrap();
    run(&mut *session, "a;b;", Scope::Atomic).await.unwrap_err();
    run(&mut *session, "c;", Scope::Atomic).await.unwrap();
    assert_eq!(database.applied(), ["c;"]);
    assert_eq!(database.requests(), 2);
}

#[tokio::test]
async fn a_bare_request_that_fails_applies_what_is_kept() {
    let database = Scripted::new();
    let problem = Problem { kept: 1, ..Problem::new(Fault::Statement, "no") };
    database.answer(Answer::Fails(problem));
    let mut session = database.acquire().await.unwrap();
    run(&mut *session, "a;b;c;", Scope::Bare).await.unwrap_err();
    assert_eq!(database.applied(), ["a;"]);
}

#[tokio::test]
async fn a_scripts_transaction_spans_requests_until_it_ends() {
    let database = Scripted::new();
    let mut session = database.acquire().await.unwrap();
    run(&mut *session, "BEGIN;a;", Scope::Scripted).await.unwrap();
    run(&mut *session, "b;", Scope::Scripted).await.unwrap();
    assert!(database.applied().is_empty());
    run(&mut *session, "COMMIT;begin;c;", Scope::Scripted).await.unwrap();
    drop(session);
    assert_eq!(database.applied(), ["a;", "b;"]);
    assert_eq!(database.log().last(), Some(&Event::Ended { session: 0, closed: false }));
}

#[tokio::test]
async fn a_request_that_hangs_ends_when_it_is_cancelled() {
    let database = Scripted::new();
    database.answer(Answer::Hangs);
    let mut session = database.acquire().await.unwrap();
    let cancel = session.cancel_handle().unwrap();
    let (result, _) = tokio::join!(run(&mut *session, "a;", Scope::Atomic), async {
        tokio::task::yield_now().await;
        cancel.cancel().await
    });
    assert_eq!(result.unwrap_err().fault, Fault::Cancelled);
    assert!(database.applied().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_session_that_was_left_in_a_request_is_of_no_use() {
    let database = Scripted::new();
    database.answer_after(Duration::from_secs(9), Answer::Applies(Effects::default()));
    let mut session = database.acquire().await.unwrap();
    let late = run(&mut *session, "a;", Scope::Atomic);
    assert!(tokio::time::timeout(Duration::from_secs(1), late).await.is_err());
    let problem = run(&mut *session, "b;", Scope::Atomic).await.unwrap_err();
    assert_eq!(problem.message, "the session was left in the middle of a request");
    assert!(database.applied().is_empty());
}

#[tokio::test]
async fn the_parts_of_a_copy_are_applied_as_one() {
    let database = Scripted::new();
    let mut session = database.acquire().await.unwrap();
    let part = |body: &'static [u8], ends: &'static [u32], part| Request {
        body,
        ends,
        scope: Scope::Atomic,
        copy: Some(part),
        inserts: &[],
    };
    session.execute(part(b"COPY t;1\n", &[7], CopyPart::First)).await.unwrap();
    session.execute(part(b"2\n", &[], CopyPart::Middle)).await.unwrap();
    assert!(database.applied().is_empty());
    session.execute(part(b"3\n", &[], CopyPart::Last)).await.unwrap();
    assert_eq!(database.applied(), ["COPY t;1\n2\n3\n"]);
}

const COLUMNS: &str = "run, first_statement, statements, batch, input_start, input_end, checksum, \
    state, details";

/// A row of a ledger, as a batcher writes it.
fn row(first_statement: u32, state: &str, details: &str) -> String {
    format!(
        "INSERT INTO \"main\".\"sql_batcher_ledger\" ({COLUMNS}) VALUES \
         ('r1', {first_statement}, 10, 1, 0, 417, '00ff…', '{state}', {details});"
    )
}

#[tokio::test]
async fn rows_of_a_ledger_are_fetched_by_name_and_condition() {
    let database = Scripted::new();
    let mut session = database.acquire().await.unwrap();
    let create = "CREATE TABLE IF NOT EXISTS \"main\".\"sql_batcher_ledger\" (run text);";
    run(&mut *session, create, Scope::Bare).await.unwrap();
    let rows = [row(11, "applied", "'it''s (b), ''c'''"), row(1, "applied", "NULL")];
    run(&mut *session, &format!("a;{}", rows[0]), Scope::Atomic).await.unwrap();
    run(&mut *session, &format!("b;{}", rows[1]), Scope::Atomic).await.unwrap();
    run(&mut *session, &row(21, "failed", "NULL"), Scope::Atomic).await.unwrap();
    assert_eq!(database.applied().len(), 6);
    assert_eq!(database.applied_statements(), ["a;", "b;"]);
    let from = "FROM \"main\".\"sql_batcher_ledger\"";
    for (sql, expected) in [
        (format!("SELECT first_statement {from} ORDER BY first_statement"), "1 11 21"),
        (format!("SELECT \"first_statement\" {from};"), "1 11 21"),
        (format!("SELECT first_statement {from} ORDER BY first_statement DESC LIMIT 2;"), "21 11"),
        (format!("select first_statement, details {from} where run = 'r1' limit 1"), "1 NULL"),
        (format!("SELECT details {from} WHERE first_statement = 11"), "it's (b), 'c'"),
        (format!("SELECT state, run {from} WHERE first_statement > 11"), "failed r1"),
        (format!("SELECT checksum {from} WHERE run = 'r1' AND state = 'failed'"), "00ff…"),
        (format!("SELECT run {from} WHERE run = 'r2'"), ""),
        (format!("SELECT 1 {from} LIMIT 1"), ""),
        ("SELECT run FROM \"sql_batcher_ledger\"".to_owned(), ""),
        ("SELECT 1".to_owned(), ""),
    ] {
        let rows = session.fetch(&sql).await.unwrap();
        let values = rows.iter().flatten().map(|value| value.as_deref().unwrap_or("NULL"));
        assert_eq!(values.collect::<Vec<_>>().join(" "), expected, "{sql}");
    }
}

#[tokio::test]
async fn a_row_of_a_ledger_that_is_there_already_fails_its_request() {
    let database = Scripted::new();
    let mut session = database.acquire().await.unwrap();
    let applied = format!("a;{}", row(1, "applied", "NULL"));
    run(&mut *session, &applied, Scope::Atomic).await.unwrap();
    let again = format!("b;{}c;", row(1, "applied", "'again'"));
    for (scope, kept) in [(Scope::Atomic, 0), (Scope::Scripted, 0), (Scope::Bare, 1)] {
        let problem = run(&mut *session, &again, scope).await.unwrap_err();
        assert_eq!((problem.fault, problem.code.as_deref()), (Fault::Statement, Some("23505")));
        assert_eq!((problem.statement, problem.kept), (Some(1), kept));
        assert_eq!(database.applied_statements().len(), 1 + kept as usize);
    }
    run(&mut *session, &row(1, "failed", "NULL"), Scope::Atomic).await.unwrap();
    let twice = row(2, "applied", "NULL").repeat(2);
    run(&mut *session, &twice, Scope::Atomic).await.unwrap_err();
    session.begin().await.unwrap();
    run(&mut *session, &row(2, "applied", "NULL"), Scope::Scripted).await.unwrap();
    run(&mut *session, &row(2, "applied", "NULL"), Scope::Scripted).await.unwrap_err();
    session.rollback().await.unwrap();
    run(&mut *session, &row(2, "applied", "NULL"), Scope::Atomic).await.unwrap();
}

#[tokio::test]
async fn a_row_of_a_ledger_whose_answer_was_lost_is_there() {
    let database = Scripted::new();
    database.answer(Answer::AppliesButFails(Problem::new(Fault::Connection, "gone")));
    let mut session = database.acquire().await.unwrap();
    let body = format!("a;{}", row(1, "applied", "NULL"));
    run(&mut *session, &body, Scope::Atomic).await.unwrap_err();
    let problem = run(&mut *session, &body, Scope::Atomic).await.unwrap_err();
    assert_eq!(problem.code.as_deref(), Some("23505"));
    assert_eq!(database.applied_statements(), ["a;"]);
}

#[tokio::test]
async fn a_session_that_is_terminated_has_nothing_open_and_takes_nothing() {
    let database = Scripted::new();
    let mut session = database.acquire().await.unwrap();
    let terminate = session.cancel_handle().unwrap();
    session.begin().await.unwrap();
    run(&mut *session, "a;", Scope::Scripted).await.unwrap();
    terminate.terminate().await.unwrap();
    assert_eq!(database.log().last(), Some(&Event::Terminated { session: 0 }));
    for problem in [
        session.commit().await.unwrap_err(),
        session.begin().await.unwrap_err(),
        run(&mut *session, "b;", Scope::Bare).await.unwrap_err(),
        session.fetch("SELECT 1").await.unwrap_err(),
        session.limit_statements(Duration::from_secs(1)).await.unwrap_err(),
    ] {
        assert_eq!(problem.message, "the session has lost its connection");
    }
    session.rollback().await.unwrap();
    assert!(database.applied().is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_runs_in_a_session_that_is_terminated_fails() {
    let database = Scripted::new();
    database.answer(Answer::Hangs);
    database.answer_after(Duration::from_secs(9), Answer::Applies(Effects::default()));
    for _ in 0..2 {
        let mut session = database.acquire().await.unwrap();
        let terminate = session.cancel_handle().unwrap();
        let (result, ended) = tokio::join!(run(&mut *session, "a;", Scope::Bare), async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            terminate.terminate().await
        });
        ended.unwrap();
        let problem = result.unwrap_err();
        assert_eq!((problem.fault, problem.outcome_unknown), (Fault::Connection, false));
    }
    assert!(database.applied().is_empty());
}
