//! The blocking face: the same behaviour without a runtime of the caller's.

use std::{
    future::ready,
    panic::{AssertUnwindSafe, catch_unwind},
};

use sql_batcher::{
    Error, ErrorKind,
    adapters::{Scripted, Sqlite, scripted::Event},
    blocking::Batcher,
};

#[test]
fn everything_is_applied_once_and_in_order() {
    let database = Scripted::new();
    let builder = Batcher::builder(ready(Ok(database.clone()))).unwrap().max_bytes(100);
    let mut batcher = builder.build().unwrap();
    batcher.read_from("a.sql", &b"SELECT 0; SELECT 1"[..]).unwrap();
    batcher.add_all((2..1000).map(|number| format!("SELECT {number}"))).unwrap();
    let report = batcher.finish().unwrap();
    assert_eq!(report.applied, 1000);
    assert!(database.applied().iter().enumerate().all(|(number, sql)| {
        sql.trim_end().trim_end_matches(';') == format!("SELECT {number}")
    }));
}

#[test]
fn rows_arrive_in_a_real_file() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", folder.path().join("app.db").display());
    let mut batcher = Batcher::builder(Sqlite::connect(&url)).unwrap().build().unwrap();
    batcher.push_str("CREATE TABLE t (id INTEGER PRIMARY KEY);").unwrap();
    batcher.add_all((0..1000).map(|id| format!("INSERT INTO t VALUES ({id})"))).unwrap();
    assert_eq!(batcher.finish().unwrap().applied, 1001);

    let mut batcher = Batcher::builder(Sqlite::connect(&url)).unwrap().build().unwrap();
    batcher.add("INSERT INTO t VALUES (999)").unwrap();
    let error = batcher.finish().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Database);
    assert!(error.to_string().contains("UNIQUE constraint failed: t.id"), "{error}");
    assert_eq!(error.position().unwrap().statement, 1);
}

#[test]
fn a_scope_that_panics_applies_nothing_further_and_closes() {
    let database = Scripted::new();
    let connected = ready(Ok(database.clone()));
    let run = || {
        Batcher::scope(connected, |batcher| -> Result<(), Error> {
            batcher.add("INSERT 1")?;
            batcher.flush()?;
            batcher.add("INSERT 2")?;
            panic!("of the caller's own")
        })
    };
    assert!(catch_unwind(AssertUnwindSafe(run)).is_err());
    assert_eq!(database.applied().len(), 1);
    assert_eq!(database.log().last(), Some(&Event::Ended { session: 0, closed: true }));
}

#[tokio::test]
async fn inside_a_runtime_it_is_refused_and_does_not_panic() {
    let error = Batcher::builder(ready(Ok(Scripted::new()))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidOptions);
    assert!(error.to_string().contains("inside an async runtime"));
}
