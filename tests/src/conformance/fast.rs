//! INSERTs that an adapter may send in whatever way is fastest: among other statements, in each
//! scope, and when they fail.

use sql_batcher_adapters::{
    Adapter, Connection, Effects, Fault, InsertRows, Problem, Request, Scope,
};

use super::{Sql, bare, has_rows, insert, with_table};

/// What stands before the rows.
const PREFIX: &str = "INSERT INTO batch_conformance (id, name) VALUES ";

/// Rows that are enough of them for a faster way to be worth it.
const ROWS: u32 = 1000;

/// An INSERT of many rows, from an id on.
fn many(from: u32) -> String {
    let rows: Vec<String> = (from..from + ROWS).map(|id| format!("({id}, 'row {id}')")).collect();
    format!("{PREFIX}{};\n", rows.join(", "))
}

/// Runs statements as one request that says where the rows are.
async fn run(
    session: &mut dyn Connection,
    scope: Scope,
    statements: &[&str],
) -> Result<Effects, Problem> {
    let mut body = String::new();
    let (mut ends, mut inserts) = (Vec::new(), Vec::new());
    for (statement, text) in (0..).zip(statements) {
        body.push_str(text);
        ends.push(u32::try_from(body.len()).expect("tests are small"));
        if text.starts_with(PREFIX) {
            let prefix = u32::try_from(PREFIX.len()).expect("it is short");
            inserts.push(InsertRows { statement, prefix, tail: 0 });
        }
    }
    let body = body.as_bytes();
    session.execute(Request { body, ends: &ends, scope, copy: None, inserts: &inserts }).await
}

pub(super) async fn inserts_in_each_scope(adapter: &dyn Adapter, sql: &Sql) {
    let mut session = with_table(adapter, sql).await;
    let session = &mut *session;
    let (one, two) = (insert(1), insert(2));
    let first = run(session, Scope::Atomic, &[&many(10_000)]).await.expect("it is applied");
    assert_eq!(first.rows, Some(u64::from(ROWS)));
    let mixed = [&one[..], &many(20_000), &two, &many(30_000)];
    let mixed = run(session, Scope::Atomic, &mixed).await.expect("they are applied");
    assert_eq!(mixed.rows, Some(2 * u64::from(ROWS) + 2));
    has_rows(session, sql, 3 * ROWS + 2).await;
    let three = insert(3);
    let scripted = [sql.begin, &many(40_000), &three];
    run(session, Scope::Scripted, &scripted).await.expect("it begins");
    let ended = [&many(50_000)[..], "COMMIT;\n"];
    run(session, Scope::Scripted, &ended).await.expect("it ends");
    session.rollback().await.expect("there is nothing to take back");
    has_rows(session, sql, 5 * ROWS + 3).await;
    session.begin().await.expect("it begins");
    run(session, Scope::Scripted, &[&many(60_000)]).await.expect("rows are added");
    session.rollback().await.expect("it is taken back");
    has_rows(session, sql, 5 * ROWS + 3).await;
    let bare = [&many(60_000)[..], "DELETE FROM batch_conformance;\n", &many(70_000)];
    run(session, Scope::Bare, &bare).await.expect("they are applied");
    has_rows(session, sql, ROWS).await;
}

pub(super) async fn fails_as_the_text_does(adapter: &dyn Adapter, sql: &Sql) {
    let mut session = with_table(adapter, sql).await;
    let session = &mut *session;
    let (one, two) = (insert(1), insert(1_500));
    bare(session, &[&two]).await.expect("a row is there");
    let failing = [&one[..], &many(5_000), &many(1_000), "SELECT 1;\n"];
    let problem = run(session, Scope::Atomic, &failing).await.expect_err("a key comes twice");
    assert_eq!((problem.fault, problem.statement), (Fault::Statement, Some(2)), "{problem:?}");
    assert_eq!((problem.kept, problem.outcome_unknown), (0, false), "{problem:?}");
    has_rows(session, sql, 1).await;
    let problem = run(session, Scope::Bare, &failing).await.expect_err("a key comes twice");
    assert_eq!((problem.statement, problem.kept), (Some(2), 2), "{problem:?}");
    has_rows(session, sql, ROWS + 2).await;
    bare(session, &["DELETE FROM batch_conformance;\n", &two]).await.expect("one is left");

    let scripted = [sql.begin, &many(5_000), &many(1_000), &one, "COMMIT;\n"];
    let problem = run(session, Scope::Scripted, &scripted).await.expect_err("a key comes twice");
    assert_eq!((problem.statement, problem.kept), (Some(2), 0), "{problem:?}");
    session.rollback().await.expect("it is taken back");
    has_rows(session, sql, 1).await;
    run(session, Scope::Atomic, &[&many(5_000)]).await.expect("the session goes on");
    has_rows(session, sql, ROWS + 1).await;
}
