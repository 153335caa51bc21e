//! Native hooks, against a scripted database: when they are called, what they may do, and what
//! follows from what they do wrong.
#![expect(clippy::unwrap_used, reason = "a test ends where something of its own fails")]

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use sql_batcher::{
    Batch, Batcher, Builder, Dialect, Error, ErrorKind, Report, SandboxLimits, Transactions,
    adapters::{
        Fault, Problem, Scripted,
        scripted::{Answer, Event},
    },
    hooks::{self, BatchInfo, Ending, Hook, HookError, HookPolicy, Outcome, Verdict},
};

type Log = Arc<Mutex<Vec<String>>>;

/// Notes its calls, and says what it is told to say.
struct Noted<F> {
    name: &'static str,
    log: Log,
    say: F,
}

impl<F: FnMut(&Batch) -> Result<Verdict, HookError> + Send> Hook for Noted<F> {
    fn pre_batch(&mut self, batch: &Batch) -> Result<Verdict, HookError> {
        let line = format!("pre {} {} {}", self.name, batch.id, text(batch));
        self.log.lock().unwrap().push(line);
        (self.say)(batch)
    }

    fn post_batch(&mut self, batch: &BatchInfo, outcome: &Outcome) -> Result<(), HookError> {
        let line = format!("post {} {} {:?}", self.name, batch.id, outcome.ending);
        self.log.lock().unwrap().push(line);
        Ok(())
    }
}

fn text(batch: &Batch) -> String {
    String::from_utf8_lossy(batch.body()).replace('\n', " ")
}

fn proceed(_: &Batch) -> Result<Verdict, HookError> {
    Ok(Verdict::Proceed)
}

fn give(body: &str) -> Verdict {
    Verdict::Replace(body.as_bytes().to_vec())
}

/// A run with batches of two statements.
fn builder(database: &Scripted) -> Builder {
    Batcher::builder(database.clone()).max_statements(2)
}

/// A run whose only hook says this.
fn saying(
    database: &Scripted,
    policy: HookPolicy,
    say: impl FnMut(&Batch) -> Result<Verdict, HookError> + Send + 'static,
) -> Builder {
    builder(database).hook("h", policy, hooks::before(say))
}

async fn run(builder: Builder, script: &str) -> Result<Report, Error> {
    let mut batcher = builder.build().await?;
    match batcher.push_str(script).await {
        Ok(()) => batcher.finish().await,
        Err(error) => Err(error),
    }
}

fn sent(database: &Scripted) -> Vec<String> {
    let body = |event| match event {
        Event::Executed { body, .. } => Some(String::from_utf8_lossy(&body).replace('\n', " ")),
        _ => None,
    };
    database.log().into_iter().filter_map(body).collect()
}

/// What the account says of a run that has failed.
fn account(error: &Error) -> (u64, u64, u64, u64) {
    let report = error.report().unwrap();
    (report.applied, report.skipped, report.failed, report.not_reached)
}

/// The message of a run that fails, as its hook gives this body in place of `script`.
async fn refused(dialect: Dialect, script: &str, body: &'static str) -> String {
    let database = Scripted::new();
    let hook = move |_: &Batch| Ok(give(body));
    let builder = Batcher::builder(database.clone()).dialect(dialect).hook(
        "h",
        HookPolicy::Abort,
        hooks::before(hook),
    );
    let error = run(builder, script).await.unwrap_err();
    assert_eq!(sent(&database), [""; 0], "{error}");
    error.to_string()
}

#[tokio::test]
async fn hooks_are_asked_in_order_and_told_in_reverse() {
    let (database, log) = (Scripted::new(), Log::default());
    let noted = |name| Noted { name, log: Arc::clone(&log), say: proceed };
    let builder = builder(&database).hook("a", HookPolicy::Abort, noted("a")).hook(
        "b",
        HookPolicy::Abort,
        noted("b"),
    );
    let report = run(builder, "INSERT 1; INSERT 2; INSERT 3;").await.unwrap();
    assert_eq!((report.applied, report.hook_failures), (3, 0));
    let expected = [
        "pre a 1 INSERT 1; INSERT 2;",
        "pre b 1 INSERT 1; INSERT 2;",
        "post b 1 Applied",
        "post a 1 Applied",
        "pre a 2 INSERT 3;",
        "pre b 2 INSERT 3;",
        "post b 2 Applied",
        "post a 2 Applied",
    ];
    assert_eq!(*log.lock().unwrap(), expected);
}

#[tokio::test]
async fn a_replaced_body_is_what_the_next_hook_sees_and_what_is_sent() {
    let (database, log) = (Scripted::new(), Log::default());
    let replace = |_: &Batch| Ok(give("INSERT 'x'; -- a; b\nINSERT 'longer'"));
    let noted = Noted { name: "b", log: Arc::clone(&log), say: proceed };
    let builder = saying(&database, HookPolicy::Abort, replace).hook("b", HookPolicy::Abort, noted);
    let report = run(builder, "INSERT 1; INSERT 2;").await.unwrap();
    assert_eq!(report.applied, 2);
    assert_eq!(report.bytes, "INSERT 'x'; -- a; b\nINSERT 'longer'".len() as u64);
    assert_eq!(sent(&database), ["INSERT 'x'; -- a; b INSERT 'longer'"]);
    assert_eq!(log.lock().unwrap()[0], "pre b 1 INSERT 'x'; -- a; b INSERT 'longer'");
}

#[tokio::test]
async fn a_skipped_batch_is_counted_and_neither_sent_nor_shown_to_others() {
    let (database, log) = (Scripted::new(), Log::default());
    let skip = |batch: &Batch| match batch.id {
        2 => Ok(Verdict::Skip("not today".into())),
        _ => Ok(Verdict::Proceed),
    };
    let noted = Noted { name: "b", log: Arc::clone(&log), say: proceed };
    let builder = saying(&database, HookPolicy::Abort, skip).hook("b", HookPolicy::Abort, noted);
    let report = run(builder, "INSERT 1; INSERT 2; INSERT 3; INSERT 4; INSERT 5;").await.unwrap();
    assert_eq!((report.applied, report.skipped, report.statements), (3, 2, 5));
    assert_eq!(sent(&database), ["INSERT 1; INSERT 2;", "INSERT 5;"]);
    assert_eq!(log.lock().unwrap().iter().filter(|line| line.contains(" 2 ")).count(), 0);
    assert_eq!(report.notes, ["hook \"h\" left out 1 batch, first: not today"]);
}

#[tokio::test]
async fn an_abort_ends_the_run_before_its_batch() {
    let database = Scripted::new();
    let abort = |batch: &Batch| match batch.id {
        2 => Ok(Verdict::Abort("enough".into())),
        _ => Ok(Verdict::Proceed),
    };
    let script = "INSERT 1; INSERT 2; INSERT 3;";
    let error = run(saying(&database, HookPolicy::Ignore, abort), script).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Hook);
    assert_eq!(error.to_string(), "hook \"h\" ended the run: enough");
    assert_eq!(account(&error), (2, 0, 0, 1));
}

#[tokio::test]
async fn a_hook_that_fails_or_panics_ends_the_run_or_is_passed_over() {
    for panics in [false, true] {
        let fail = move |_: &Batch| {
            assert!(!panics, "no luck");
            Err("no\nluck".into())
        };
        let expected = if panics { "it panicked: no luck" } else { "no luck" };
        let database = Scripted::new();
        let script = "INSERT 1; INSERT 2; INSERT 3;";
        let error = run(saying(&database, HookPolicy::Abort, fail), script).await.unwrap_err();
        assert_eq!(error.to_string(), format!("hook \"h\" failed: {expected}"));
        // What is behind the batch was not read.
        assert_eq!(account(&error), (0, 0, 0, 2));

        let report = run(saying(&database, HookPolicy::Ignore, fail), script).await.unwrap();
        assert_eq!((report.applied, report.hook_failures), (3, 2));
        let note = format!("hook \"h\" failed and was passed over 2 times, first: {expected}");
        assert_eq!(report.notes, [note]);
    }
}

#[tokio::test]
async fn a_hook_that_fails_behind_a_batch_ends_the_run_but_takes_nothing_back() {
    let database = Scripted::new();
    let fail = |_: &BatchInfo, _: &Outcome| Err("disk full".into());
    let builder = builder(&database).hook("log", HookPolicy::Abort, hooks::after(fail));
    let error = run(builder, "INSERT 1; INSERT 2; INSERT 3;").await.unwrap_err();
    assert_eq!(error.to_string(), "hook \"log\" failed: disk full");
    assert_eq!(account(&error), (2, 0, 0, 1));
}

#[tokio::test(start_paused = true)]
async fn further_attempts_are_not_the_hooks_to_see() {
    let (database, log) = (Scripted::new(), Log::default());
    let collision = || Problem { transient: true, ..Problem::new(Fault::Conflict, "deadlock") };
    database.answer(Answer::Fails(collision())).answer(Answer::Fails(collision()));
    let noted = Noted { name: "a", log: Arc::clone(&log), say: proceed };
    let builder = builder(&database).hook("a", HookPolicy::Abort, noted);
    let report = run(builder, "INSERT 1;").await.unwrap();
    assert_eq!(report.attempts, 3);
    assert_eq!(*log.lock().unwrap(), ["pre a 1 INSERT 1;", "post a 1 Applied"]);
}

#[tokio::test]
async fn the_outcome_says_what_became_of_the_batch_and_where_it_is_from() {
    let (database, seen) = (Scripted::new(), Arc::new(Mutex::new(None)));
    database.answer(Answer::Fails(Problem {
        statement: Some(1),
        ..Problem::new(Fault::Statement, "syntax error")
    }));
    let keep = Arc::clone(&seen);
    let hook = hooks::after(move |batch: &BatchInfo, outcome: &Outcome| {
        *keep.lock().unwrap() = Some((batch.clone(), outcome.clone()));
        Ok(())
    });
    let mut batcher = builder(&database).hook("a", HookPolicy::Abort, hook).build().await.unwrap();
    batcher.begin_input("first.sql").await.unwrap();
    batcher.push_str("\n INSERT 1; INSERT 2;").await.unwrap();
    batcher.finish().await.unwrap_err();
    let (batch, outcome) = seen.lock().unwrap().take().unwrap();
    let from = batch.from.unwrap();
    assert_eq!((from.to_string(), from.offset), ("first.sql:2:2".to_owned(), 2));
    assert_eq!((batch.statements, batch.bytes), (2, 19));
    assert_eq!((outcome.ending, outcome.settled), (Ending::Failed, 0));
    assert_eq!((outcome.interrupted, outcome.fault), (2, Some(1)));
}

#[tokio::test]
async fn a_body_that_is_too_large_is_an_error_with_the_hooks_name() {
    let limit = 40;
    for (bytes, fits) in [(39, true), (40, true), (41, false)] {
        let database = Scripted::new();
        let body = format!("INSERT '{}';", "x".repeat(bytes - 10));
        assert_eq!(body.len(), bytes);
        let say = move |_: &Batch| Ok(give(&body));
        let ended =
            run(saying(&database, HookPolicy::Abort, say).max_bytes(limit), "INSERT 1;").await;
        if fits {
            assert_eq!(ended.unwrap().bytes, bytes as u64);
            continue;
        }
        let error = ended.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BatchSizeExceeded);
        let expected = "hook \"h\" failed: replaced body of 41 bytes exceeds the limit of 40";
        assert_eq!(error.to_string(), expected);
    }
}

#[tokio::test]
async fn what_a_hook_may_not_give_is_passed_over_where_that_is_its_policy() {
    let database = Scripted::new();
    let say = |_: &Batch| Ok(give("COMMIT"));
    let report = run(saying(&database, HookPolicy::Ignore, say), "INSERT 1;").await.unwrap();
    assert_eq!((report.applied, report.hook_failures), (1, 1));
    assert_eq!(sent(&database), ["INSERT 1;"]);
}

#[tokio::test]
async fn a_body_of_another_shape_is_refused() {
    use Dialect::{Generic, PostgreSql};
    let two = "INSERT 1; INSERT 2;";
    for (dialect, script, body, expected) in [
        (Generic, two, "INSERT 1;", "the replaced body has 1 statements in place of 2"),
        (Generic, "INSERT 1;", two, "the replaced body has 2 statements in place of 1"),
        (Generic, two, "", "the replaced body is no script of whole statements"),
        (Generic, two, "-- nothing", "the replaced body is no script of whole statements"),
        (Generic, "INSERT 1;", "INSERT '", "the replaced body is no script of whole statements"),
        (PostgreSql, "INSERT 1;", "\\connect a", "the replaced body is no script"),
        (PostgreSql, "INSERT 1;", "COPY t FROM stdin;\n1\n\\.\n", "is no script of whole"),
        (PostgreSql, "INSERT 1;", "INSERT '\0'", "the replaced body holds a NUL byte"),
        (PostgreSql, "COPY t FROM stdin;\n1\n\\.\n", "INSERT 1;", "data of a copy cannot be"),
    ] {
        let message = refused(dialect, script, body).await;
        assert!(message.starts_with("hook \"h\" failed: "), "{message}");
        assert!(message.contains(expected), "{message}");
    }
}

#[tokio::test]
async fn a_body_leaves_transaction_control_and_the_reading_of_strings_as_they_are() {
    use Dialect::{MySql, PostgreSql, Sqlite};
    let control = "it controls transactions otherwise than the one before";
    let alone = "it cannot share a transaction with others";
    let reads = "it changes how the strings behind it are read";
    for (dialect, script, body, expected) in [
        (PostgreSql, "INSERT 1; INSERT 2;", "INSERT 1; COMMIT", control),
        (PostgreSql, "INSERT 1; INSERT 2;", "BEGIN; INSERT 1", control),
        (PostgreSql, "BEGIN; INSERT 1; COMMIT;", "BEGIN; INSERT 1; ROLLBACK", control),
        (PostgreSql, "BEGIN; INSERT 1; COMMIT;", "BEGIN; INSERT 1; INSERT 2", control),
        (PostgreSql, "BEGIN; INSERT 1; COMMIT;", "INSERT 1; BEGIN; COMMIT", control),
        (Sqlite, "SAVEPOINT a; INSERT 1; RELEASE a;", "SAVEPOINT b;INSERT 1;RELEASE b", control),
        (MySql, "START TRANSACTION; INSERT 1; COMMIT;", "BEGIN; INSERT 1; COMMIT", control),
        (MySql, "BEGIN; INSERT 1; COMMIT;", "BEGIN; CREATE TABLE t (a INT); COMMIT", control),
        (PostgreSql, "INSERT 1; INSERT 2;", "INSERT 1; VACUUM", alone),
        (PostgreSql, "INSERT 1;", "CREATE DATABASE d", alone),
        (PostgreSql, "SET a = 1;", "SET standard_conforming_strings = off", reads),
    ] {
        let message = refused(dialect, script, body).await;
        assert!(message.contains(expected), "{script} as {body}: {message}");
    }
}

#[tokio::test]
async fn a_comment_behind_a_statement_is_never_in_the_way() {
    use Dialect::{MySql, PostgreSql};
    let tag = " /*application='a'*/;";
    for (dialect, script) in [
        (PostgreSql, "BEGIN;INSERT 1;SAVEPOINT a;COMMIT;"),
        (PostgreSql, "CREATE DATABASE d;"),
        (MySql, "SET sql_mode = 'NO_BACKSLASH_ESCAPES';INSERT 'a\\';INSERT ';';"),
        (MySql, "DELIMITER //\nCREATE PROCEDURE p() BEGIN INSERT 1; INSERT 2; END//\n"),
    ] {
        let database = Scripted::new();
        let say = move |batch: &Batch| {
            let mut body = Vec::new();
            for index in 0..batch.statements() {
                body.extend_from_slice(&batch.statement(index).unwrap());
                body.extend_from_slice(tag.as_bytes());
            }
            Ok(Verdict::Replace(body))
        };
        let builder = saying(&database, HookPolicy::Abort, say).dialect(dialect).max_statements(9);
        let report = run(builder, script).await.unwrap();
        assert_eq!(report.applied, report.statements, "{script}");
        let tags = sent(&database).concat().matches(tag).count();
        assert_eq!(tags as u64, report.statements, "{script}");
    }
}

#[tokio::test]
async fn hooks_are_shown_one_by_one_what_is_sent_as_one() {
    const SCRIPT: &str = "INSERT INTO t VALUES (1);\nINSERT INTO t VALUES (2);\n\
                          INSERT INTO t VALUES (3);\nUPDATE t SET a = 1;";
    for (from, to, expected) in [
        ("x", "x", "INSERT INTO t VALUES (1),(2),(3); UPDATE t SET a = 1;"),
        ("INTO t", "INTO uu", "INSERT INTO uu VALUES (1),(2),(3); UPDATE t SET a = 1;"),
        ("(2)", "(2), (4)", "INSERT INTO t VALUES (1),(2), (4),(3); UPDATE t SET a = 1;"),
        (
            "(1);",
            "(1) /*a*/;",
            "INSERT INTO t VALUES (1) /*a*/; INSERT INTO t VALUES (2),(3); UPDATE t SET a = 1;",
        ),
        (
            ";\nINSERT INTO t VALUES (3)",
            ";INSERT INTO t VALUES (3)",
            "INSERT INTO t VALUES (1),(2);INSERT INTO t VALUES (3); UPDATE t SET a = 1;",
        ),
    ] {
        let (database, log) = (Scripted::new(), Log::default());
        let say = move |batch: &Batch| {
            let body = String::from_utf8(batch.body().to_vec())?;
            Ok(Verdict::Replace(body.replace(from, to).into_bytes()))
        };
        let noted = |name| Noted { name, log: Arc::clone(&log), say: proceed };
        let builder = Batcher::builder(database.clone())
            .merge_inserts(true)
            .hook("first", HookPolicy::Abort, noted("first"))
            .hook("h", HookPolicy::Abort, hooks::before(say))
            .hook("last", HookPolicy::Abort, noted("last"));
        let report = run(builder, SCRIPT).await.unwrap();
        assert_eq!((report.statements, report.applied), (4, 4));
        assert_eq!(sent(&database), [expected]);
        let log = log.lock().unwrap();
        let shown = |name: &str, text: &str| format!("pre {name} 1 {}", text.replace('\n', " "));
        assert_eq!(log[0], shown("first", SCRIPT));
        assert_eq!(log[1], shown("last", &SCRIPT.replace(from, to)));
    }
}

#[tokio::test]
async fn part_of_a_transaction_or_of_a_copy_cannot_be_skipped() {
    let skip = |batch: &Batch| match batch.id {
        2 => Ok(Verdict::Skip("no".into())),
        _ => Ok(Verdict::Proceed),
    };
    for (script, expected) in [
        ("BEGIN; INSERT 1; INSERT 2; COMMIT;", "part of a transaction of the script's own"),
        ("COPY t FROM stdin;\n1\n22222222222222222222222222222\n\\.\n", "part of a copy"),
    ] {
        let database = Scripted::new();
        let builder = saying(&database, HookPolicy::Abort, skip).max_bytes(40);
        let error = run(builder.dialect(Dialect::PostgreSql), script).await.unwrap_err();
        let message = error.to_string();
        assert!(message.starts_with("hook \"h\" failed: "), "{message}");
        assert!(message.ends_with(&format!("{expected} cannot be skipped")), "{message}");
    }
}

#[tokio::test]
async fn a_batch_of_a_run_that_is_one_transaction_can_be_skipped() {
    let database = Scripted::new();
    let skip = |batch: &Batch| match batch.id {
        1 => Ok(Verdict::Skip("no".into())),
        _ => Ok(Verdict::Proceed),
    };
    let builder = saying(&database, HookPolicy::Abort, skip).transactions(Transactions::Run);
    let report = run(builder, "INSERT 1; INSERT 2; INSERT 3;").await.unwrap();
    assert_eq!((report.applied, report.skipped), (1, 2));
}

#[tokio::test(start_paused = true)]
async fn what_a_hook_makes_a_barrier_waits_for_what_is_under_way() {
    let database = Scripted::new();
    let second = Duration::from_secs(1);
    for _ in 0..3 {
        database.answer_after(second, Answer::Applies(sql_batcher::adapters::Effects::default()));
    }
    let say = |batch: &Batch| match batch.id {
        2 => Ok(give("SELECT 2")),
        _ => Ok(Verdict::Proceed),
    };
    let started = tokio::time::Instant::now();
    let builder = saying(&database, HookPolicy::Abort, say).max_statements(1).in_flight(4);
    let report = run(builder, "INSERT 1; INSERT 2; INSERT 3;").await.unwrap();
    assert_eq!(report.applied, 3);
    assert_eq!(sent(&database), ["INSERT 1;", "SELECT 2", "INSERT 3;"]);
    assert_eq!(started.elapsed(), 3 * second);
}

#[tokio::test]
async fn the_time_of_hooks_is_not_that_of_the_component() {
    let database = Scripted::new();
    let busy = |_: &Batch| {
        let started = Instant::now();
        while started.elapsed() < Duration::from_millis(60) {
            std::hint::spin_loop();
        }
        Ok(Verdict::Proceed)
    };
    let limits =
        SandboxLimits { call_timeout: Duration::from_millis(50), ..SandboxLimits::default() };
    let builder = saying(&database, HookPolicy::Abort, busy).sandbox(limits);
    assert_eq!(run(builder, "INSERT 1;").await.unwrap().applied, 1);
}

#[tokio::test]
async fn more_hooks_than_64_and_names_without_letters_are_refused() {
    let with = |names: Vec<String>| {
        let database = Scripted::new();
        names.into_iter().fold(builder(&database), |builder, name| {
            builder.hook(name, HookPolicy::Abort, hooks::before(proceed))
        })
    };
    let names = |count: usize, length: usize| vec!["é".repeat(length); count];
    for (count, length) in [(1, 64), (63, 1), (64, 1)] {
        with(names(count, length)).build().await.unwrap();
    }
    for (count, length) in [(65, 1), (1, 65), (1, 0)] {
        let error = with(names(count, length)).build().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidOptions, "{error}");
    }
}
