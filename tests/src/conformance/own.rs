//! What an adapter must do for a batcher's own ends: queries, limits, and the end of a session.

use std::time::{Duration, Instant};

use sql_batcher_adapters::{Adapter, Dialect, Fault, Scope};

use super::{
    CANCEL_WITHIN, Sql, bare, has_rows, insert, run, session, together, until_slow, with_table,
};

/// Asks for the rows of the table, in their order.
const ROWS: &str = "SELECT id, name FROM batch_conformance ORDER BY id";

fn text(value: &str) -> Option<String> {
    Some(value.to_owned())
}

pub(super) async fn fetches_text_and_null(adapter: &dyn Adapter, sql: &Sql) {
    let mut session = with_table(adapter, sql).await;
    assert!(session.fetch(ROWS).await.expect("there are none").is_empty());
    let rows = [
        "INSERT INTO batch_conformance VALUES (1, 'it''s äöü');\n",
        "INSERT INTO batch_conformance VALUES (-2, NULL);\n",
        "INSERT INTO batch_conformance VALUES (3, '');\n",
    ];
    run(&mut *session, together(adapter), &rows).await.expect("rows are there");
    let rows = session.fetch(ROWS).await.expect("they are fetched");
    let expected = [[text("-2"), None], [text("1"), text("it's äöü")], [text("3"), text("")]];
    assert_eq!(rows, expected);
    session.close().await;
}

pub(super) async fn fetches_after_a_failure(adapter: &dyn Adapter, sql: &Sql) {
    let mut session = with_table(adapter, sql).await;
    let batch = [insert(1), "nonsense;\n".to_owned()];
    let first = if adapter.capabilities().transactions { 0 } else { 1 };
    let failing = run(&mut *session, Scope::Atomic, &batch[first..]).await;
    failing.expect_err("that is nonsense");
    assert!(session.fetch(ROWS).await.expect("the session goes on").is_empty());
    let problem = session.fetch("SELECT 1 FROM no_such_table").await.expect_err("none is there");
    assert_eq!((problem.fault, problem.outcome_unknown), (Fault::Statement, false), "{problem:?}");
    bare(&mut *session, &[&insert(2)]).await.expect("the session goes on");
    let rows = session.fetch(ROWS).await.expect("they are fetched");
    assert_eq!(rows, [[text("2"), text("row 2")]]);
    session.close().await;
}

pub(super) async fn limits_statements(adapter: &dyn Adapter, sql: &Sql) {
    let mut session = with_table(adapter, sql).await;
    session.limit_statements(Duration::from_secs(3600)).await.expect("there is a limit");
    session.limit_statements(Duration::MAX).await.expect("the shorter limit stays");
    let batch = [insert(1), insert(2)];
    run(&mut *session, together(adapter), &batch).await.expect("it is in time");
    has_rows(&mut *session, sql, 2).await;
    if adapter.capabilities().dialect != Dialect::Sqlite {
        session.limit_statements(Duration::from_millis(300)).await.expect("there is a limit");
        let began = Instant::now();
        let problem = bare(&mut *session, &[sql.slow]).await.expect_err("it is slow");
        assert_eq!(problem.fault, Fault::Timeout, "{problem:?}");
        assert!(began.elapsed() < CANCEL_WITHIN, "it took {:?}", began.elapsed());
        let mut other = super::session(adapter).await;
        has_rows(&mut *other, sql, 2).await;
        other.close().await;
    }
    session.close().await;
}

pub(super) async fn lets_sessions_write_at_once(adapter: &dyn Adapter, sql: &Sql) {
    let writers = adapter.capabilities().max_writers;
    assert_eq!(writers, (adapter.capabilities().dialect == Dialect::Sqlite).then_some(1));
    if writers == Some(1) {
        return;
    }
    let mut sessions = [with_table(adapter, sql).await, session(adapter).await];
    for (id, session) in (1..).zip(&mut sessions) {
        let open = [sql.begin, &insert(id)];
        run(&mut **session, Scope::Scripted, &open).await.expect("a row is added");
    }
    for session in &mut sessions {
        run(&mut **session, Scope::Scripted, &["COMMIT;\n"]).await.expect("it is kept");
    }
    let [mut first, second] = sessions;
    has_rows(&mut *first, sql, 2).await;
    first.close().await;
    second.close().await;
}

pub(super) async fn refuses_a_transaction_that_would_span_requests(
    adapter: &dyn Adapter,
    sql: &Sql,
) {
    let mut session = with_table(adapter, sql).await;
    let row = insert(1);
    for part in [&[sql.begin, &row][..], &[&row], &[&row, "COMMIT;\n"]] {
        let refused = run(&mut *session, Scope::Scripted, part).await.expect_err("it is a part");
        assert_eq!((refused.fault, refused.kept), (Fault::Unsupported, 0), "{refused:?}");
        assert!(!refused.outcome_unknown && !refused.transient, "{refused:?}");
    }
    session.begin().await.expect_err("none spans requests");
    has_rows(&mut *session, sql, 0).await;
    let whole = [sql.begin, &insert(1), &insert(2), "COMMIT;\n"];
    run(&mut *session, Scope::Scripted, &whole).await.expect("it is whole");
    let whole = [sql.begin, &insert(3), "ROLLBACK;\n"];
    run(&mut *session, Scope::Scripted, &whole).await.expect("it is whole");
    let bad = [sql.begin, &insert(4), &insert(4), "COMMIT;\n"];
    let problem = run(&mut *session, Scope::Scripted, &bad).await.expect_err("a key comes twice");
    assert_eq!((problem.statement, problem.kept), (Some(2), 0), "{problem:?}");
    has_rows(&mut *session, sql, 2).await;
    session.close().await;
}

pub(super) async fn terminates_what_is_open(adapter: &dyn Adapter, sql: &Sql) {
    let mut ended = with_table(adapter, sql).await;
    let terminate = ended.cancel_handle().expect("it can be terminated");
    let open = [sql.begin, &insert(1)];
    run(&mut *ended, Scope::Scripted, &open).await.expect("a row is added");
    terminate.terminate().await.expect("it has ended");
    let mut next = session(adapter).await;
    has_rows(&mut *next, sql, 0).await;
    bare(&mut *next, &[&insert(1)]).await.expect("nothing is locked any more");
    let problem = run(&mut *ended, Scope::Scripted, &["COMMIT;\n"]).await.expect_err("it ended");
    assert_eq!(problem.fault, Fault::Connection, "{problem:?}");
    terminate.terminate().await.expect("nothing is left to end");
    ended.close().await;
    has_rows(&mut *next, sql, 1).await;
    next.close().await;
}

pub(super) async fn terminates_what_runs(adapter: &dyn Adapter, sql: &Sql) {
    let mut ended = with_table(adapter, sql).await;
    let terminate = ended.cancel_handle().expect("it can be terminated");
    let batch = [insert(1), sql.slow.to_owned(), insert(2)];
    let began = Instant::now();
    let (result, asked) = tokio::join!(run(&mut *ended, together(adapter), &batch), async {
        tokio::time::sleep(until_slow(adapter)).await;
        terminate.terminate().await
    });
    asked.expect("it has ended");
    assert!(began.elapsed() < CANCEL_WITHIN, "it took {:?}", began.elapsed());
    let problem = result.expect_err("it was ended");
    assert!(matches!(problem.fault, Fault::Connection | Fault::Cancelled), "{problem:?}");
    drop(ended);
    let mut next = session(adapter).await;
    has_rows(&mut *next, sql, problem.kept).await;
    next.close().await;
}
