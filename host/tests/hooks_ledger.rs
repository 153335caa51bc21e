//! Hooks and the ledger together: a run that is resumed asks its hooks again, and its checksums are
//! those of what was sent.
#![expect(clippy::unwrap_used, reason = "a test ends where something of its own fails")]

use std::path::Path;

use sql_batcher::{
    Batch, Batcher, Error, ErrorKind, LedgerOptions, Report,
    adapters::Sqlite,
    hooks::{self, HookError, HookPolicy, Verdict},
};
use sqlx::{Connection as _, Row as _, SqliteConnection};

/// One run, resumed where it was begun before, with a hook and batches of two statements.
async fn run(
    folder: &Path,
    script: &str,
    say: impl FnMut(&Batch) -> Result<Verdict, HookError> + Send + 'static,
) -> Result<Report, Error> {
    let database = Sqlite::connect(&url(folder)).await?;
    let ledger = LedgerOptions { run: Some("r".into()), resume: true, ..LedgerOptions::default() };
    let builder = Batcher::builder(database).max_statements(2).ledger(ledger);
    let mut batcher = builder.hook("h", HookPolicy::Abort, hooks::before(say)).build().await?;
    match batcher.push_str(script).await {
        Ok(()) => batcher.finish().await,
        Err(error) => Err(error),
    }
}

fn url(folder: &Path) -> String {
    format!("sqlite://{}", folder.join("a.db").display())
}

async fn ids(folder: &Path) -> Vec<i64> {
    let mut connection = SqliteConnection::connect(&url(folder)).await.unwrap();
    let rows = sqlx::raw_sql("SELECT id FROM t ORDER BY rowid").fetch_all(&mut connection).await;
    let ids = rows.unwrap().iter().map(|row| row.get(0)).collect();
    connection.close().await.unwrap();
    ids
}

fn holds(batch: &Batch, text: &str) -> bool {
    String::from_utf8_lossy(batch.body()).contains(text)
}

fn script(last: &str) -> String {
    let rows: String = (1..8).map(|id| format!("INSERT INTO t VALUES ({id});")).collect();
    format!("CREATE TABLE t (id INTEGER);{rows}{last}")
}

fn without(text: &'static str) -> impl FnMut(&Batch) -> Result<Verdict, HookError> {
    move |batch| match holds(batch, text) {
        true => Ok(Verdict::Skip(format!("it has {text}"))),
        false => Ok(Verdict::Proceed),
    }
}

#[tokio::test]
async fn a_run_that_leaves_batches_out_goes_on_behind_what_it_has_applied() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let bad = script("INSERT INTO u VALUES (8);INSERT INTO t VALUES (9);");
    let error = run(path, &bad, without("(3)")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Database, "{error}");
    assert_eq!(ids(path).await, [1, 4, 5, 6, 7]);

    let mended = script("INSERT INTO t VALUES (8);INSERT INTO t VALUES (9);");
    let report = run(path, &mended, without("(3)")).await.unwrap();
    assert_eq!((report.applied, report.skipped, report.statements), (8, 2, 10));
    assert_eq!(report.resumed, 6);
    assert_eq!(ids(path).await, [1, 4, 5, 6, 7, 8, 9]);
}

#[tokio::test]
async fn what_was_applied_cannot_be_left_out_afterwards() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    run(path, &script(""), |_| Ok(Verdict::Proceed)).await.unwrap();
    for text in ["CREATE", "(3)", "(7)"] {
        let error = run(path, &script(""), without(text)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Input, "{text}: {error}");
        assert_eq!(ids(path).await, [1, 2, 3, 4, 5, 6, 7]);
    }
}

#[tokio::test]
async fn what_was_applied_and_is_left_out_is_missed_by_the_next_batch() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let early = "CREATE TABLE t (id INTEGER);INSERT INTO t VALUES (1);INSERT INTO u VALUES (2);";
    run(path, early, |_| Ok(Verdict::Proceed)).await.unwrap_err();
    assert_eq!(ids(path).await, [1]);
    let error = run(path, &script(""), without("CREATE")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Input, "{error}");
    let expected = "statements 1 to 2 were applied, and are left out now";
    assert!(error.to_string().contains(expected), "{error}");
    assert_eq!(ids(path).await, [1]);
}

#[tokio::test]
async fn a_replaced_text_must_be_the_same_when_the_run_is_resumed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let add = |more: i64| {
        move |batch: &Batch| {
            let text =
                String::from_utf8_lossy(batch.body()).replace("(4)", &format!("({})", 4 + more));
            Ok(Verdict::Replace(text.into_bytes()))
        }
    };
    let bad = script("INSERT INTO u VALUES (8);");
    run(path, &bad, add(40)).await.unwrap_err();
    assert_eq!(ids(path).await, [1, 2, 3, 44, 5, 6, 7]);

    let mended = script("INSERT INTO t VALUES (8);");
    let error = run(path, &mended, add(50)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Input, "{error}");
    assert!(error.to_string().contains("are not the same"), "{error}");

    let report = run(path, &mended, add(40)).await.unwrap();
    assert_eq!(report.applied, 9);
    assert_eq!(ids(path).await, [1, 2, 3, 44, 5, 6, 7, 8]);
}
