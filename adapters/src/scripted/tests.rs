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
    session.execute(Request { body: &body, ends: &ends, scope, copy: None }).await
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
    };
    session.execute(part(b"COPY t;1\n", &[7], CopyPart::First)).await.unwrap();
    session.execute(part(b"2\n", &[], CopyPart::Middle)).await.unwrap();
    assert!(database.applied().is_empty());
    session.execute(part(b"3\n", &[], CopyPart::Last)).await.unwrap();
    assert_eq!(database.applied(), ["COPY t;1\n2\n3\n"]);
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
