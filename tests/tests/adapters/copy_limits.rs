//! A `COPY` block of PostgreSQL in several parts, and the server's limit on the time of a
//! statement: the server counts the block as one statement, the waits between its parts included.
//! Its clock cannot be driven, so some of these tests let real time pass.

#![expect(clippy::unwrap_used, reason = "a test ends where something of its own fails")]

use std::time::Duration;

use sql_batcher_adapters::{
    Connection, CopyPart, Effects, Fault, Postgres, Problem, Request, Scope,
};
use sql_batcher_tests::{
    conformance::{bare, run, session},
    proxy::Direction,
    servers::postgres_url,
};

use super::through_proxy;

/// The limit of a statement.
const LIMIT: Duration = Duration::from_millis(200);
/// How the server writes it.
const AS_SHOWN: &str = "200ms";
/// How long the caller waits between two parts.
const WAIT: Duration = Duration::from_millis(600);

/// A session with a table of the test's own, which ends with it.
async fn with_table(adapter: &Postgres) -> Box<dyn Connection> {
    let mut session = session(adapter).await;
    let create = ["CREATE TEMP TABLE batch_limited (id integer PRIMARY KEY);"];
    bare(&mut *session, &create).await.unwrap();
    session
}

/// As [`with_table`], with the limit, and with what is to be open around a block.
async fn limited(adapter: &Postgres, around: Around) -> Box<dyn Connection> {
    let mut session = with_table(adapter).await;
    session.limit_statements(LIMIT).await.unwrap();
    around.open(&mut *session).await;
    session
}

/// A part of a block.
async fn copy(
    session: &mut dyn Connection,
    part: CopyPart,
    data: &str,
) -> Result<Effects, Problem> {
    const COPY: &str = "COPY batch_limited FROM stdin;\n";
    let begins = matches!(part, CopyPart::Whole | CopyPart::First);
    let body = if begins { format!("{COPY}{data}") } else { data.to_owned() };
    let end = [u32::try_from(COPY.len()).unwrap()];
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

/// A block in two parts with a wait between them.
async fn slow_copy(session: &mut dyn Connection, data: [&str; 2]) -> Result<Effects, Problem> {
    copy(session, CopyPart::First, data[0]).await?;
    tokio::time::sleep(WAIT).await;
    copy(session, CopyPart::Last, data[1]).await
}

/// That the session's limit is this now.
async fn is_limited(session: &mut dyn Connection, limit: &str) {
    let rows = session.fetch("SHOW statement_timeout").await.unwrap();
    assert_eq!(rows, [[Some(limit.to_owned())]]);
}

/// How a transaction is opened around a block, and ended.
#[derive(Clone, Copy, Debug)]
enum Around {
    Nothing,
    /// The caller's.
    Own,
    /// The script's.
    Script,
}

impl Around {
    const ALL: [Self; 3] = [Self::Nothing, Self::Own, Self::Script];

    async fn open(self, session: &mut dyn Connection) {
        match self {
            Self::Nothing => {}
            Self::Own => session.begin().await.unwrap(),
            Self::Script => drop(run(session, Scope::Scripted, &["BEGIN;"]).await.unwrap()),
        }
    }

    async fn end(self, session: &mut dyn Connection) {
        match self {
            Self::Nothing => {}
            Self::Own => session.commit().await.unwrap(),
            Self::Script => drop(run(session, Scope::Scripted, &["COMMIT;"]).await.unwrap()),
        }
    }
}

#[tokio::test]
async fn the_limit_of_a_statement_does_not_count_the_waits_within_a_copy() {
    let Some(url) = postgres_url() else { return };
    let adapter = Postgres::connect(&url).await.unwrap();
    for around in Around::ALL {
        let mut session = limited(&adapter, around).await;
        let copied = slow_copy(&mut *session, ["1\n2", "\n3\n"]).await;
        assert_eq!(
            copied.unwrap_or_else(|problem| panic!("{around:?}: {problem:?}")).rows,
            Some(3)
        );
        is_limited(&mut *session, AS_SHOWN).await;
        around.end(&mut *session).await;
        is_limited(&mut *session, AS_SHOWN).await;
        let problem = bare(&mut *session, &["SELECT pg_sleep(60);"]).await.unwrap_err();
        assert_eq!(problem.fault, Fault::Timeout, "{around:?}: {problem:?}");
        session.close().await;
    }
}

#[tokio::test]
async fn the_limit_of_a_statement_is_back_after_a_copy_that_failed() {
    let Some(url) = postgres_url() else { return };
    let adapter = Postgres::connect(&url).await.unwrap();
    for around in Around::ALL {
        let mut session = limited(&adapter, around).await;
        copy(&mut *session, CopyPart::First, "1\n").await.unwrap();
        let problem = copy(&mut *session, CopyPart::Last, "x\n").await.unwrap_err();
        assert_eq!(problem.fault, Fault::Statement, "{around:?}: {problem:?}");
        if !matches!(around, Around::Nothing) {
            session.rollback().await.unwrap();
        }
        is_limited(&mut *session, AS_SHOWN).await;
        session.close().await;
    }
}

#[tokio::test]
async fn the_limit_of_a_statement_is_back_after_a_copy_that_was_taken_back() {
    let Some(url) = postgres_url() else { return };
    let adapter = Postgres::connect(&url).await.unwrap();
    for around in Around::ALL {
        let mut session = limited(&adapter, around).await;
        copy(&mut *session, CopyPart::First, "1\n").await.unwrap();
        session.rollback().await.unwrap();
        is_limited(&mut *session, AS_SHOWN).await;
        let rows = session.fetch("SELECT count(*) FROM batch_limited").await.unwrap();
        assert_eq!(rows, [[Some("0".to_owned())]], "{around:?}");
        session.close().await;
    }
}

#[tokio::test]
async fn a_copy_that_cannot_begin_leaves_the_limit_of_a_statement() {
    let Some(url) = postgres_url() else { return };
    let adapter = Postgres::connect(&url).await.unwrap();
    let mut session = session(&adapter).await;
    session.limit_statements(LIMIT).await.unwrap();
    let problem = copy(&mut *session, CopyPart::First, "1\n").await.unwrap_err();
    assert_eq!((problem.code.as_deref(), problem.statement), (Some("42P01"), Some(0)));
    is_limited(&mut *session, AS_SHOWN).await;
    // In a transaction that failed before, it is the first failure that counts.
    run(&mut *session, Scope::Scripted, &["BEGIN;", "SELECT 1/0;"]).await.unwrap_err();
    let problem = copy(&mut *session, CopyPart::First, "1\n").await.unwrap_err();
    assert_eq!((problem.code.as_deref(), problem.statement), (Some("25P02"), Some(0)));
    assert!(!problem.outcome_unknown, "{problem:?}");
    session.rollback().await.unwrap();
    is_limited(&mut *session, AS_SHOWN).await;
}

#[tokio::test]
async fn a_limit_that_the_script_has_set_holds_for_a_copy_in_parts_too() {
    let Some(url) = postgres_url() else { return };
    let adapter = Postgres::connect(&url).await.unwrap();
    let mut session = with_table(&adapter).await;
    session.limit_statements(Duration::from_secs(3600)).await.unwrap();
    bare(&mut *session, &["SET statement_timeout = '150ms';"]).await.unwrap();
    let problem = slow_copy(&mut *session, ["1\n", "2\n"]).await.unwrap_err();
    assert_eq!(problem.fault, Fault::Timeout, "{problem:?}");
    is_limited(&mut *session, "150ms").await;
    // A longer one of the script's, and none at all, stay, too.
    for (set, shown) in [("'2h'", "2h"), ("0", "0")] {
        bare(&mut *session, &[&format!("SET statement_timeout = {set};")]).await.unwrap();
        copy(&mut *session, CopyPart::First, "1\n").await.unwrap();
        copy(&mut *session, CopyPart::Last, "2\n").await.unwrap();
        is_limited(&mut *session, shown).await;
        bare(&mut *session, &["TRUNCATE batch_limited;"]).await.unwrap();
    }
}

#[tokio::test]
async fn a_shorter_limit_that_the_session_had_before_holds_for_a_copy_in_parts_too() {
    let Some(url) = postgres_url() else { return };
    let adapter = Postgres::connect(&url).await.unwrap();
    let mut session = with_table(&adapter).await;
    bare(&mut *session, &["SET statement_timeout = '150ms';"]).await.unwrap();
    session.limit_statements(LIMIT).await.unwrap();
    let problem = slow_copy(&mut *session, ["1\n", "2\n"]).await.unwrap_err();
    assert_eq!(problem.fault, Fault::Timeout, "{problem:?}");
    is_limited(&mut *session, "150ms").await;
}

#[tokio::test]
async fn only_a_limit_and_a_copy_in_parts_together_cost_further_requests() {
    let Some(url) = postgres_url() else { return };
    let (proxy, url) = through_proxy(&url);
    let adapter = Postgres::connect(&url).await.unwrap();
    let mut session = with_table(&adapter).await;
    let sent = || proxy.traffic().bytes(Direction::ToServer);
    let mut costs = Vec::new();
    for limited in [false, true] {
        if limited {
            session.limit_statements(LIMIT).await.unwrap();
        }
        let before = sent();
        copy(&mut *session, CopyPart::Whole, "1\n2\n").await.unwrap();
        let whole = sent() - before;
        bare(&mut *session, &["TRUNCATE batch_limited;"]).await.unwrap();
        let before = sent();
        copy(&mut *session, CopyPart::First, "1\n").await.unwrap();
        copy(&mut *session, CopyPart::Last, "2\n").await.unwrap();
        costs.push((whole, sent() - before));
        bare(&mut *session, &["TRUNCATE batch_limited;"]).await.unwrap();
    }
    let [(whole, parts), (whole_limited, parts_limited)] = costs[..] else { unreachable!() };
    // A further message of data has 5 bytes of its own: its kind and its length.
    assert_eq!((whole_limited, parts), (whole, whole + 5));
    assert!(parts_limited > parts, "it was lifted");
}
