//! What an adapter that can `COPY … FROM stdin` must do.

use sql_batcher_adapters::{
    Adapter, Connection, CopyPart, Effects, Fault, Problem, Request, Scope,
};

use super::{Sql, bare, has_rows, insert, run, session, with_table};

const COPY: &str = "COPY batch_conformance FROM stdin;\n";

async fn copy(
    session: &mut dyn Connection,
    part: CopyPart,
    data: &str,
) -> Result<Effects, Problem> {
    let begins = matches!(part, CopyPart::Whole | CopyPart::First);
    let body = if begins { format!("{COPY}{data}") } else { data.to_owned() };
    let end = [u32::try_from(COPY.len()).expect("it is short")];
    let ends: &[u32] = if begins { &end } else { &[] };
    let request = Request {
        body: body.as_bytes(),
        ends,
        scope: Scope::Atomic,
        copy: Some(part),
        inserts: &[],
    };
    session.execute(request).await
}

pub(super) async fn copies_whole_and_in_parts(adapter: &dyn Adapter, sql: &Sql) {
    let mut session = with_table(adapter, sql).await;
    let whole = copy(&mut *session, CopyPart::Whole, "1\ta\n2\tb\n").await.expect("it is copied");
    assert_eq!(whole.rows, Some(2));
    copy(&mut *session, CopyPart::First, "3\tc\n4").await.expect("it begins");
    let between = bare(&mut *session, &["SELECT 1;\n"]).await.expect_err("a copy is under way");
    assert_eq!(between.fault, Fault::Unsupported);
    copy(&mut *session, CopyPart::Middle, "\td").await.expect("it goes on");
    copy(&mut *session, CopyPart::Middle, "\n").await.expect("it goes on");
    let last = copy(&mut *session, CopyPart::Last, "5\te\n").await.expect("it ends");
    assert_eq!(last.rows, Some(3));
    has_rows(&mut *session, sql, 5).await;
    run(&mut *session, Scope::Scripted, &[sql.begin]).await.expect("it begins");
    copy(&mut *session, CopyPart::Whole, "6\tf\n").await.expect("it is copied");
    session.rollback().await.expect("it is taken back");
    has_rows(&mut *session, sql, 5).await;
    session.close().await;
}

pub(super) async fn takes_back_a_copy_with_a_bad_row(adapter: &dyn Adapter, sql: &Sql) {
    let mut session = with_table(adapter, sql).await;
    let problem = copy(&mut *session, CopyPart::Whole, "1\ta\nx\tb\n").await.expect_err("bad row");
    assert_eq!((problem.fault, problem.statement), (Fault::Statement, Some(0)), "{problem:?}");
    assert!(!problem.outcome_unknown, "{problem:?}");
    has_rows(&mut *session, sql, 0).await;
    let mut failed = copy(&mut *session, CopyPart::First, "1\ta\nx\tb\n").await.err();
    for part in [CopyPart::Middle, CopyPart::Last] {
        let result = copy(&mut *session, part, "2\tb\n").await;
        assert!(failed.is_none() || result.is_err(), "a part after the failure was taken");
        failed = result.err().or(failed);
    }
    assert!(failed.is_some(), "a bad row was taken");
    copy(&mut *session, CopyPart::Last, "9\tz\n").await.expect_err("no copy is under way");
    has_rows(&mut *session, sql, 0).await;
    let named = "COPY no_such_table FROM stdin;\n";
    let ends = [u32::try_from(named.len()).expect("it is short")];
    for part in [CopyPart::Whole, CopyPart::First] {
        let body = named.as_bytes();
        let request =
            Request { body, ends: &ends, scope: Scope::Atomic, copy: Some(part), inserts: &[] };
        let problem = session.execute(request).await.expect_err("there is no such table");
        assert_eq!((problem.fault, problem.statement), (Fault::Statement, Some(0)), "{problem:?}");
    }
    has_rows(&mut *session, sql, 0).await;
    session.close().await;
}

pub(super) async fn takes_back_a_copy_that_is_left(adapter: &dyn Adapter, sql: &Sql) {
    let mut first = with_table(adapter, sql).await;
    copy(&mut *first, CopyPart::First, "1\ta\n").await.expect("it begins");
    first.rollback().await.expect("it is taken back");
    has_rows(&mut *first, sql, 0).await;
    copy(&mut *first, CopyPart::First, "1\ta\n").await.expect("it begins");
    first.close().await;
    let mut second = session(adapter).await;
    copy(&mut *second, CopyPart::First, "1\ta\n").await.expect("it begins");
    drop(second);
    let mut third = session(adapter).await;
    bare(&mut *third, &[&insert(1)]).await.expect("the row is not there");
    has_rows(&mut *third, sql, 1).await;
    third.close().await;
}
