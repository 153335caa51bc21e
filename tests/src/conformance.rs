//! What every adapter must do, whatever its database: the same tests for all, chosen by
//! [`Capabilities`](sql_batcher_adapters::Capabilities).

mod copies;
mod fast;
mod own;

use std::time::{Duration, Instant};

use sql_batcher_adapters::{Adapter, Connection, Effects, Fault, Problem, Request, Scope};

/// How long a cancel may take to have an effect.
const CANCEL_WITHIN: Duration = Duration::from_secs(5);

/// What differs between databases in the statements that the tests need. Every text ends with its
/// separator.
#[derive(Clone, Copy, Debug)]
pub struct Sql {
    /// Creates the table `batch_conformance` of an integer `id`, its primary key, and a text
    /// `name`, with transactions, in place of one that may be there.
    pub create: &'static [&'static str],
    /// Drops it.
    pub drop: &'static str,
    /// Fails with an error of the database unless the condition in place of `{}` holds.
    pub require: &'static str,
    /// Runs for a minute at least, and changes nothing.
    pub slow: &'static str,
    /// Gives some hundred megabytes of rows.
    pub big_select: &'static str,
    /// Changes a setting of the session.
    pub set: &'static str,
    /// A condition that holds where the setting is not changed.
    pub unset: &'static str,
    /// Opens a transaction of the script's own.
    pub begin: &'static str,
    /// An INSERT into the table that is refused for its data.
    pub refused: &'static str,
}

/// Runs all tests that the adapter's capabilities ask for, one after another. The database must
/// have no table `batch_conformance` that anybody needs.
///
/// # Panics
/// Where the adapter does not do as it should, with what it should have done.
pub async fn conformance(adapter: &dyn Adapter, sql: &Sql) {
    applies_a_batch(adapter, sql).await;
    names_the_statement_at_fault(adapter, sql).await;
    if adapter.capabilities().transactions {
        leaves_nothing_of_a_failing_batch(adapter, sql).await;
    }
    let spans_requests = adapter.capabilities().transactions_span_requests;
    if spans_requests {
        spans_requests_with_a_scripts_transaction(adapter, sql).await;
        spans_requests_with_a_transaction_of_its_own(adapter, sql).await;
        takes_back_what_is_open_when_a_session_ends(adapter, sql).await;
        own::lets_sessions_write_at_once(adapter, sql).await;
    }
    if adapter.capabilities().transactions && !spans_requests {
        own::refuses_a_transaction_that_would_span_requests(adapter, sql).await;
    }
    keeps_what_came_before_where_it_is_bare(adapter, sql).await;
    hands_on_no_settings(adapter, sql).await;
    does_not_gather_rows(adapter, sql).await;
    if adapter.capabilities().copy {
        copies::copies_whole_and_in_parts(adapter, sql).await;
        copies::takes_back_a_copy_with_a_bad_row(adapter, sql).await;
        copies::takes_back_a_copy_that_is_left(adapter, sql).await;
    }
    if adapter.capabilities().fast_path {
        fast::inserts_in_each_scope(adapter, sql).await;
        fast::fails_as_the_text_does(adapter, sql).await;
    }
    if adapter.capabilities().binary_text {
        passes_on_any_bytes(adapter, sql).await;
    }
    own::fetches_text_and_null(adapter, sql).await;
    own::fetches_after_a_failure(adapter, sql).await;
    own::limits_statements(adapter, sql).await;
    if adapter.capabilities().cancel {
        cancels_what_runs(adapter, sql).await;
        if spans_requests {
            own::terminates_what_is_open(adapter, sql).await;
        }
        own::terminates_what_runs(adapter, sql).await;
    }
    is_of_no_use_after_a_request_was_left(adapter, sql).await;
    let mut session = session(adapter).await;
    bare(&mut *session, &[sql.drop]).await.expect("the table is dropped");
    session.close().await;
}

/// A session.
///
/// # Panics
/// If there is none to be had.
pub async fn session(adapter: &dyn Adapter) -> Box<dyn Connection> {
    adapter.acquire().await.expect("a session can be had")
}

/// Runs statements as one request.
///
/// # Errors
/// As the adapter says.
pub async fn run<S: AsRef<[u8]>>(
    session: &mut dyn Connection,
    scope: Scope,
    statements: &[S],
) -> Result<Effects, Problem> {
    let mut body = Vec::new();
    let mut ends = Vec::new();
    for statement in statements {
        body.extend_from_slice(statement.as_ref());
        ends.push(u32::try_from(body.len()).expect("tests are small"));
    }
    session.execute(Request { body: &body, ends: &ends, scope, copy: None, inserts: &[] }).await
}

/// Runs statements one by one, outside any transaction.
///
/// # Errors
/// As the adapter says.
pub async fn bare(session: &mut dyn Connection, statements: &[&str]) -> Result<Effects, Problem> {
    run(session, Scope::Bare, statements).await
}

/// Fails unless a condition holds, as the session sees it.
///
/// # Panics
/// If it does not hold.
pub async fn holds(session: &mut dyn Connection, sql: &Sql, condition: &str) {
    let statement = sql.require.replace("{}", condition);
    if let Err(problem) = run(session, Scope::Bare, &[&statement]).await {
        panic!("it should hold that {condition}: {problem:?}");
    }
}

/// How statements are sent together: as one transaction, where the database has any.
fn together(adapter: &dyn Adapter) -> Scope {
    if adapter.capabilities().transactions { Scope::Atomic } else { Scope::Bare }
}

/// A session with an empty table.
async fn with_table(adapter: &dyn Adapter, sql: &Sql) -> Box<dyn Connection> {
    let mut session = session(adapter).await;
    bare(&mut *session, sql.create).await.expect("the table is created");
    session
}

/// That the table has so many rows, as the session sees it.
async fn has_rows(session: &mut dyn Connection, sql: &Sql, count: u32) {
    holds(session, sql, &format!("(SELECT count(*) FROM batch_conformance) = {count}")).await;
}

/// An INSERT of one row.
fn insert(id: u32) -> String {
    format!("INSERT INTO batch_conformance VALUES ({id}, 'row {id}');\n")
}

async fn applies_a_batch(adapter: &dyn Adapter, sql: &Sql) {
    let mut session = with_table(adapter, sql).await;
    let one = run(&mut *session, Scope::Atomic, &[insert(1)]).await.expect("one is applied");
    assert_eq!(one.rows, Some(1));
    // One by one that would take long.
    let last = if adapter.capabilities().max_statements_per_request.is_some() { 10 } else { 1000 };
    let many: Vec<_> = (2..=last).map(insert).collect();
    let many = run(&mut *session, together(adapter), &many).await.expect("many are applied");
    // What runs a batch in a session of its own may not say it.
    let says = !adapter.capabilities().transactions
        || adapter.capabilities().transactions_span_requests
        || many.rows.is_some();
    assert_eq!(many.rows, says.then_some(u64::from(last) - 1));
    has_rows(&mut *session, sql, last).await;
    session.close().await;
}

async fn names_the_statement_at_fault(adapter: &dyn Adapter, sql: &Sql) {
    let mut session = with_table(adapter, sql).await;
    let scopes = [together(adapter), Scope::Bare, Scope::Scripted];
    let capabilities = adapter.capabilities();
    let scripted = capabilities.transactions_span_requests || !capabilities.transactions;
    for scope in scopes.into_iter().filter(|scope| scripted || *scope != Scope::Scripted) {
        for (bad, at_start) in [
            ("SELECT no_such_column FROM batch_conformance;\n", false),
            ("nonsense 'äöü';\n", true),
            (sql.refused, false),
        ] {
            let statements = ["SELECT 'äöü' AS a;\n", "SELECT 1;\n", bad, "SELECT 2;\n"];
            let problem = run(&mut *session, scope, &statements).await.expect_err(bad);
            assert_eq!(problem.statement, Some(2), "{scope:?} {bad} {problem:?}");
            assert_eq!(problem.fault, Fault::Statement, "{problem:?}");
            assert!(problem.code.is_some() && !problem.outcome_unknown, "{problem:?}");
            if let (true, Some(offset)) = (at_start, problem.offset) {
                let before = statements[0].len() + statements[1].len();
                assert_eq!(offset as usize, before, "{scope:?} {problem:?}");
            }
            session.rollback().await.expect("a rollback is harmless");
        }
    }
    session.close().await;
}

async fn leaves_nothing_of_a_failing_batch(adapter: &dyn Adapter, sql: &Sql) {
    let mut session = with_table(adapter, sql).await;
    bare(&mut *session, &[&insert(2)]).await.expect("a row is there");
    let batch = [insert(1), insert(2), insert(3)];
    let problem = run(&mut *session, Scope::Atomic, &batch).await.expect_err("the row is there");
    assert_eq!((problem.statement, problem.kept), (Some(1), 0), "{problem:?}");
    has_rows(&mut *session, sql, 1).await;
    let batch = [insert(1), insert(3)];
    run(&mut *session, Scope::Atomic, &batch).await.expect("the session goes on");
    has_rows(&mut *session, sql, 3).await;
    session.close().await;
}

async fn keeps_what_came_before_where_it_is_bare(adapter: &dyn Adapter, sql: &Sql) {
    let mut session = with_table(adapter, sql).await;
    let batch = [insert(1), insert(2), sql.refused.to_owned(), insert(3)];
    let problem = run(&mut *session, Scope::Bare, &batch).await.expect_err("it is refused");
    assert_eq!((problem.statement, problem.kept), (Some(2), 2), "{problem:?}");
    has_rows(&mut *session, sql, 2).await;
    session.close().await;
}

async fn spans_requests_with_a_scripts_transaction(adapter: &dyn Adapter, sql: &Sql) {
    let mut session = with_table(adapter, sql).await;
    let begin = sql.begin;
    let scripted = Scope::Scripted;
    run(&mut *session, scripted, &[begin, &insert(1)]).await.expect("it begins");
    run(&mut *session, scripted, &[&insert(2)[..], "COMMIT;\n"]).await.expect("it ends");
    has_rows(&mut *session, sql, 2).await;

    run(&mut *session, scripted, &[begin, &insert(3)]).await.expect("it begins");
    session.rollback().await.expect("it is taken back");
    has_rows(&mut *session, sql, 2).await;

    let script = [begin, &insert(3)[..], "COMMIT;\n", begin, &insert(4), "nonsense;\n"];
    let problem = run(&mut *session, scripted, &script).await.expect_err("that is nonsense");
    assert_eq!(problem.statement, Some(5), "{problem:?}");
    session.rollback().await.expect("it is taken back");
    // A database may refuse the whole text for its last word.
    assert!(matches!(problem.kept, 0 | 3), "{problem:?}");
    has_rows(&mut *session, sql, if problem.kept == 3 { 3 } else { 2 }).await;

    run(&mut *session, scripted, &[begin, &insert(10)]).await.expect("it begins");
    run(&mut *session, scripted, &["nonsense;\n"]).await.expect_err("that is nonsense");
    // What a COMMIT does then differs, but it must not look as if all was well if it was not.
    let committed = run(&mut *session, scripted, &["COMMIT;\n"]).await;
    session.rollback().await.expect("a rollback is harmless");
    let rows = if problem.kept == 3 { 3 } else { 2 } + u32::from(committed.is_ok());
    has_rows(&mut *session, sql, rows).await;
    session.close().await;
}

async fn spans_requests_with_a_transaction_of_its_own(adapter: &dyn Adapter, sql: &Sql) {
    let mut session = with_table(adapter, sql).await;
    session.begin().await.expect("it begins");
    run(&mut *session, Scope::Scripted, &[insert(1)]).await.expect("a row is added");
    run(&mut *session, Scope::Scripted, &[insert(2)]).await.expect("a row is added");
    session.commit().await.expect("it is kept");
    has_rows(&mut *session, sql, 2).await;
    session.begin().await.expect("it begins");
    run(&mut *session, Scope::Scripted, &[insert(3)]).await.expect("a row is added");
    session.rollback().await.expect("it is taken back");
    has_rows(&mut *session, sql, 2).await;
    run(&mut *session, Scope::Bare, &[insert(4)]).await.expect("a row is added");
    session.rollback().await.expect("a rollback is harmless");
    has_rows(&mut *session, sql, 3).await;
    session.close().await;
}

async fn takes_back_what_is_open_when_a_session_ends(adapter: &dyn Adapter, sql: &Sql) {
    with_table(adapter, sql).await.close().await;
    for drops in [false, true] {
        let mut ended = session(adapter).await;
        let open = [sql.begin, &insert(1)];
        run(&mut *ended, Scope::Scripted, &open).await.expect("a row is added");
        if drops {
            drop(ended);
        } else {
            ended.close().await;
        }
        // The server may see the end of a dropped session a moment later; this waits for it.
        let mut next = session(adapter).await;
        bare(&mut *next, &[&insert(1)]).await.expect("the row is not there");
        bare(&mut *next, &["DELETE FROM batch_conformance;\n"]).await.expect("it is deleted");
        next.close().await;
    }
}

async fn hands_on_no_settings(adapter: &dyn Adapter, sql: &Sql) {
    for drops in [false, true] {
        let mut first = session(adapter).await;
        holds(&mut *first, sql, sql.unset).await;
        bare(&mut *first, &[sql.set]).await.expect("the setting is changed");
        holds(&mut *first, sql, &format!("NOT ({})", sql.unset)).await;
        if drops {
            drop(first);
        } else {
            first.close().await;
        }
        let mut second = session(adapter).await;
        holds(&mut *second, sql, sql.unset).await;
        second.close().await;
    }
}

async fn does_not_gather_rows(adapter: &dyn Adapter, sql: &Sql) {
    let mut session = session(adapter).await;
    bare(&mut *session, &["SELECT 1;\n"]).await.expect("a row is given");
    let before = peak_bytes();
    bare(&mut *session, &[sql.big_select]).await.expect("rows are given");
    if let (Some(before), Some(after)) = (before, peak_bytes()) {
        let grown = after.saturating_sub(before);
        assert!(grown < 150 << 20, "the process grew by {grown} bytes");
    }
    session.close().await;
}

/// The most memory that the process has had, where the system says it.
fn peak_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    let kilobytes: u64 = line.split_ascii_whitespace().nth(1)?.parse().ok()?;
    Some(kilobytes << 10)
}

async fn passes_on_any_bytes(adapter: &dyn Adapter, sql: &Sql) {
    let mut session = with_table(adapter, sql).await;
    let mut odd = b"INSERT INTO batch_conformance VALUES (2, NULL); -- ".to_vec();
    odd.extend(0x80..=0xff);
    odd.push(b'\n');
    let batch = [insert(1).into_bytes(), odd, insert(3).into_bytes()];
    let effects = run(&mut *session, Scope::Atomic, &batch).await.expect("they are passed on");
    assert_eq!(effects.rows, Some(3));
    let again = [batch[1].clone(), insert(4).into_bytes()];
    let problem = run(&mut *session, Scope::Atomic, &again).await.expect_err("the key is there");
    assert_eq!(problem.statement, Some(0));
    has_rows(&mut *session, sql, 3).await;
    session.close().await;
}

async fn cancels_what_runs(adapter: &dyn Adapter, sql: &Sql) {
    let mut session = with_table(adapter, sql).await;
    let cancel = session.cancel_handle().expect("it can be cancelled");
    cancel.cancel().await.expect("nothing runs, and that is all right");
    run(&mut *session, Scope::Bare, &[insert(9)]).await.expect("nothing was cancelled");
    let batch = [insert(1), sql.slow.to_owned(), insert(2)];
    let began = Instant::now();
    let (result, asked) = tokio::join!(run(&mut *session, together(adapter), &batch), async {
        tokio::time::sleep(until_slow(adapter)).await;
        cancel.cancel().await
    });
    asked.expect("the server can be asked");
    assert!(began.elapsed() < CANCEL_WITHIN, "it took {:?}", began.elapsed());
    let problem = result.expect_err("it was cancelled");
    assert_eq!((problem.fault, problem.statement), (Fault::Cancelled, Some(1)), "{problem:?}");
    has_rows(&mut *session, sql, 1 + problem.kept).await;
    session.close().await;
}

/// How long it takes until the slow statement runs that stands behind another.
fn until_slow(adapter: &dyn Adapter) -> Duration {
    let one_by_one = adapter.capabilities().max_statements_per_request == Some(1);
    Duration::from_millis(if one_by_one { 2000 } else { 300 })
}

async fn is_of_no_use_after_a_request_was_left(adapter: &dyn Adapter, sql: &Sql) {
    let mut left = session(adapter).await;
    let cancel = left.cancel_handle();
    let slow = [sql.slow];
    let work = run(&mut *left, Scope::Bare, &slow);
    tokio::time::timeout(Duration::from_millis(200), work).await.expect_err("it is slow");
    if let Some(cancel) = cancel {
        cancel.cancel().await.expect("the server can be asked");
    }
    for problem in [
        bare(&mut *left, &["SELECT 1;\n"]).await.expect_err("it was left"),
        left.begin().await.expect_err("it was left"),
    ] {
        assert_eq!(problem.fault, Fault::Connection);
        assert_eq!(problem.message, "the session was left in the middle of a request");
    }
    left.close().await;
    let mut next = session(adapter).await;
    bare(&mut *next, &["SELECT 1;\n"]).await.expect("another one works");
    next.close().await;
}
