//! What MySQL and MariaDB have committed is applied, whatever becomes of the session after it.

#![expect(clippy::unwrap_used, reason = "a test ends where something of its own fails")]

use sql_batcher_adapters::{Connection, Fault, MySql, Problem, Scope};
use sql_batcher_tests::{
    conformance::{bare, run, session},
    proxy::{self, Direction, Proxy},
    servers::mysql_url,
};

use super::through_proxy;

/// Ways to commit; each is followed by a text that makes the session as it was.
#[derive(Clone, Copy, Debug)]
enum Way {
    /// A batch as one text.
    Together,
    /// A batch statement by statement, as one of them is not UTF-8.
    OneByOne,
    /// A transaction that spans requests.
    Spanning,
}

const WAYS: [Way; 3] = [Way::Together, Way::OneByOne, Way::Spanning];

impl Way {
    /// Adds two rows.
    async fn insert(self, session: &mut dyn Connection) -> Result<(), Problem> {
        let (insert, odd) = inserts("batch_lost");
        let (insert, odd) = (&insert[..], &odd[..]);
        match self {
            Self::Together => run(session, Scope::Atomic, &[insert, insert]).await.map(drop),
            Self::OneByOne => run(session, Scope::Atomic, &[insert, odd]).await.map(drop),
            Self::Spanning => {
                session.begin().await?;
                run(session, Scope::Scripted, &[insert, insert]).await?;
                session.commit().await
            }
        }
    }
}

/// Statements that add a row; the second is not UTF-8.
fn inserts(table: &str) -> (Vec<u8>, Vec<u8>) {
    let insert = format!("INSERT INTO {table} VALUES (1);").into_bytes();
    let odd = [format!("INSERT INTO {table} VALUES (2) -- ").as_bytes(), b"\xff\n;"].concat();
    (insert, odd)
}

/// A session with an empty table.
async fn with_table(url: &str, table: &str) -> Box<dyn Connection> {
    let adapter = MySql::connect(url).await.unwrap();
    let mut direct = session(&adapter).await;
    let drop = format!("DROP TABLE IF EXISTS {table};");
    let create = format!("CREATE TABLE {table} (id integer) ENGINE = InnoDB;");
    bare(&mut *direct, &[&drop, &create]).await.unwrap();
    direct
}

/// That so many rows are in the table.
async fn has_rows(direct: &mut dyn Connection, table: &str, count: &str) {
    let rows = direct.fetch(&format!("SELECT count(*) FROM {table}")).await.unwrap();
    assert_eq!(rows, [[Some(count.to_owned())]]);
}

/// How many bytes the server answers.
async fn answered(proxy: &Proxy, way: Way, session: &mut dyn Connection) -> u64 {
    let before = proxy.traffic().bytes(Direction::ToClient);
    way.insert(session).await.unwrap();
    proxy.traffic().bytes(Direction::ToClient) - before
}

#[tokio::test]
async fn a_connection_that_is_lost_behind_the_commit_leaves_what_was_committed() {
    let Some(url) = mysql_url() else { return };
    let mut direct = with_table(&url, "batch_lost").await;
    let (proxy, url) = through_proxy(&url);
    let adapter = MySql::connect(&url).await.unwrap();
    for way in WAYS {
        let mut session = session(&adapter).await;
        // What is prepared in a session is prepared the first time.
        way.insert(&mut *session).await.unwrap();
        let bytes = answered(&proxy, way, &mut *session).await;
        assert_eq!(answered(&proxy, way, &mut *session).await, bytes, "each answer is as long");
        bare(&mut *direct, &["TRUNCATE batch_lost;"]).await.unwrap();
        // The last answer, which is that to the text behind the commit, lacks its last byte.
        proxy.arm(proxy::Fault::Close, Direction::ToClient, bytes - 1);
        let inserted = way.insert(&mut *session).await;
        proxy.struck().await;
        inserted.unwrap_or_else(|problem| panic!("{way:?}: {problem:?}"));
        has_rows(&mut *direct, "batch_lost", "2").await;
        let problem = bare(&mut *session, &["SELECT 1;"]).await.unwrap_err();
        assert_eq!(problem.message, "the session has lost its connection", "{way:?}");
        session.rollback().await.unwrap();
    }
    bare(&mut *direct, &["DROP TABLE batch_lost;"]).await.unwrap();
}

#[tokio::test]
async fn a_session_that_cannot_be_made_as_it_was_behind_the_commit_is_given_up() {
    let Some(url) = mysql_url() else { return };
    let mut direct = with_table(&url, "batch_spoiled").await;
    let adapter = MySql::connect(&url).await.unwrap();
    // What the session's autocommit is to become again stands there.
    let spoil = b"SET @sql_batcher_autocommit = 'x';".as_slice();
    let (insert, odd) = inserts("batch_spoiled");
    let (insert, odd) = (&insert[..], &odd[..]);
    for (batch, spans) in [([insert, spoil], false), ([odd, spoil], false), ([insert, spoil], true)]
    {
        bare(&mut *direct, &["TRUNCATE batch_spoiled;"]).await.unwrap();
        let mut session = session(&adapter).await;
        if spans {
            session.begin().await.unwrap();
            run(&mut *session, Scope::Scripted, &batch).await.unwrap();
            session.commit().await.unwrap();
        } else {
            run(&mut *session, Scope::Atomic, &batch).await.unwrap();
        }
        has_rows(&mut *direct, "batch_spoiled", "1").await;
        let problem = bare(&mut *session, &["SELECT 1;"]).await.unwrap_err();
        assert_eq!(problem.fault, Fault::Connection, "{problem:?}");
    }
    let mut session = session(&adapter).await;
    session.begin().await.unwrap();
    run(&mut *session, Scope::Scripted, &[insert, spoil]).await.unwrap();
    session.rollback().await.unwrap();
    let problem = bare(&mut *session, &["SELECT 1;"]).await.unwrap_err();
    assert_eq!(problem.fault, Fault::Connection, "{problem:?}");
    has_rows(&mut *direct, "batch_spoiled", "1").await;
    bare(&mut *direct, &["DROP TABLE batch_spoiled;"]).await.unwrap();
}
