//! How many bad statements may be left out, against a scripted database.
#![expect(clippy::unwrap_used, reason = "a test ends where something of its own fails")]

use std::sync::mpsc;

use sql_batcher::{
    Batcher, Error, ErrorKind, Reject, Report,
    adapters::{Fault, Problem, Scripted, scripted::Answer},
};

/// Three statements, all of them bad, each in a batch of its own; and those that are left out.
async fn run(max_rejects: Option<u64>) -> (Result<Report, Error>, Vec<String>) {
    let database = Scripted::new();
    for _ in 0..3 {
        database.answer(Answer::Fails(Problem::new(Fault::Statement, "not so")));
    }
    let (rejects, rejected) = mpsc::channel();
    let keep = move |reject: &Reject<'_>| {
        rejects.send(String::from_utf8_lossy(reject.sql).trim_end().to_owned()).unwrap();
        Ok(())
    };
    let builder = Batcher::builder(database).max_statements(1).skip_bad(keep, max_rejects);
    let mut batcher = builder.build().await.unwrap();
    batcher.push_str("INSERT 1; INSERT 2; INSERT 3; INSERT 4;").await.unwrap();
    (batcher.finish().await, rejected.try_iter().collect())
}

#[tokio::test]
async fn as_many_bad_statements_are_left_out_as_may_be() {
    for max_rejects in [None, Some(4), Some(3)] {
        let (ended, rejected) = run(max_rejects).await;
        let report = ended.unwrap();
        assert_eq!((report.applied, report.rejected), (1, 3), "{max_rejects:?}");
        assert_eq!(rejected, ["INSERT 1;", "INSERT 2;", "INSERT 3;"]);
    }
}

#[tokio::test]
async fn one_bad_statement_more_than_may_be_ends_the_run() {
    for (max_rejects, position) in [(0, 1), (2, 3)] {
        let (ended, rejected) = run(Some(max_rejects)).await;
        let error = ended.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Database, "{error}");
        let said = format!("not so; not left out: max_rejects of {max_rejects} is reached");
        assert!(error.to_string().ends_with(&said), "{error}");
        assert_eq!(error.position().unwrap().statement, position);
        let report = error.report().unwrap();
        assert_eq!((report.rejected, report.failed), (max_rejects, 1));
        assert_eq!(rejected.len() as u64, max_rejects);
    }
}
