//! Runs the statements of a request in a session of its own.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use sql_batcher_adapters::{Adapter as _, Connection, Problem, Request, Scope, Sqlite};
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};

use super::{
    checks::Posted,
    results::{Answer, of_several},
    script::{Found, first_word, statements, unreadable},
    texts::{Context, Work},
};

/// Rows of one partition.
pub(super) const PARTITION_ROWS: usize = 100;

/// A statement, or several, that were sent as one request.
#[derive(Debug)]
pub(super) struct Statement {
    pub(super) handle: String,
    pub(super) request_id: String,
    /// The answer, once there is one.
    answer: watch::Sender<Option<Answer>>,
    cancelled: watch::Sender<bool>,
    /// Polls that are answered with 202 although it has ended.
    pub(super) lingers: AtomicU32,
    /// A query whose further partitions may be asked for.
    pub(super) query: Mutex<Option<String>>,
}

/// Why a statement is not done.
enum Failure {
    Refused(String),
    Cancelled,
}

impl Statement {
    pub(super) fn new(handle: String, request_id: &str, lingers: u32) -> Self {
        Self {
            handle,
            request_id: request_id.to_owned(),
            answer: watch::Sender::new(None),
            cancelled: watch::Sender::new(false),
            lingers: AtomicU32::new(lingers),
            query: Mutex::default(),
        }
    }

    /// One that has ended.
    pub(super) fn ended(
        handle: String,
        request_id: &str,
        answer: Answer,
        query: Option<String>,
    ) -> Self {
        let statement = Self::new(handle, request_id, 0);
        statement.answer.send_replace(Some(answer));
        *statement.query.lock().expect("no request panics") = query;
        statement
    }

    /// The answer, if there is one by then.
    pub(super) async fn within(&self, limit: Duration) -> Option<Answer> {
        let mut answer = self.answer.subscribe();
        let ended = timeout(limit, answer.wait_for(Option::is_some)).await;
        ended.ok()?.ok()?.clone()
    }

    /// Whether it is said to run still, although it does not.
    pub(super) fn lingers(&self) -> bool {
        let less = |left: u32| left.checked_sub(1);
        self.lingers.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).is_ok()
    }

    /// Cancels it; false where it has ended.
    pub(super) fn cancel(&self) -> bool {
        self.cancelled.send_replace(true);
        self.answer.borrow().is_none()
    }
}

/// Runs what was posted; `child` gives a handle to each of several statements.
pub(super) async fn run(
    store: &Sqlite,
    statement: Arc<Statement>,
    posted: Posted,
    child: impl Fn(Answer, Option<String>) -> String,
) {
    let limit = posted.timeout.map_or(Duration::from_secs(172_800), Duration::from_secs);
    let answer = match timeout(limit, execute(store, &statement, &posted, child)).await {
        Ok(answer) => answer,
        Err(_) => Answer::Failed {
            status: 408,
            code: "000630",
            state: "57014",
            message: format!(
                "Statement reached its statement or warehouse timeout of {} second(s) and was \
                 canceled.",
                limit.as_secs()
            ),
        },
    };
    statement.answer.send_replace(Some(answer));
}

async fn execute(
    store: &Sqlite,
    statement: &Statement,
    posted: &Posted,
    child: impl Fn(Answer, Option<String>) -> String,
) -> Answer {
    let found = statements(&posted.statement);
    if let Some(answer) = refused(&found, posted.count) {
        return answer;
    }
    let mut session = store.acquire().await.expect("a session of the store");
    let mut context = Context::new();
    let mut cancelled = statement.cancelled.subscribe();
    let mut handles = Vec::new();
    for one in &found {
        let done = step(&mut *session, &mut context, &one.text, &mut cancelled).await;
        match done {
            Ok((answer, query)) if found.len() == 1 => {
                *statement.query.lock().expect("no request panics") = query;
                return answer;
            }
            Ok((answer, query)) => handles.push(child(answer, query)),
            Err(failure) => {
                // What is open is taken back with the session.
                session.close().await;
                return failed(one, found.len() > 1, failure);
            }
        }
    }
    session.close().await;
    Answer::Several(handles)
}

/// What is refused before any of it runs.
fn refused(found: &[Found], count: usize) -> Option<Answer> {
    let failed = |code, state, message| Some(Answer::Failed { status: 422, code, state, message });
    if let Some((word, line, position)) = unreadable(found) {
        let message = format!(
            "SQL compilation error:\nsyntax error line {line} at position {position} unexpected \
             '{word}'."
        );
        return failed("001003", "42000", message);
    }
    if count != 0 && count != found.len() {
        let message = format!(
            "Actual statement count {} did not match the desired statement count {count}.",
            found.len()
        );
        return failed("000008", "0A000", message);
    }
    let [one] = found else { return None };
    // Supported only within a request that specifies multiple statements.
    let word = first_word(&one.text);
    let words: Vec<String> = one.text.split_whitespace().map(str::to_uppercase).collect();
    let is_session = words.get(1).is_some_and(|word| word == "SESSION");
    let needs_others = ["BEGIN", "COMMIT", "ROLLBACK", "START", "USE", "SET", "UNSET"];
    if needs_others.contains(&word.as_str()) || (word == "ALTER" && is_session) {
        return failed(
            "391911",
            "0A000",
            "Unsupported statement type for a single request.".into(),
        );
    }
    None
}

fn failed(one: &Found, is_several: bool, failure: Failure) -> Answer {
    let (code, state, said) = match failure {
        Failure::Refused(said) => ("100038", "22018", said),
        Failure::Cancelled => ("000604", "57014", "SQL execution canceled".to_owned()),
    };
    let Found { text, line, position } = one;
    let (code, state, message) = match is_several {
        true => ("100132", "P0000", of_several(text, *line, *position, &said)),
        false => (code, state, said),
    };
    Answer::Failed { status: 422, code, state, message }
}

async fn step(
    session: &mut dyn Connection,
    context: &mut Context,
    statement: &str,
    cancelled: &mut watch::Receiver<bool>,
) -> Result<(Answer, Option<String>), Failure> {
    let done = || {
        let rows = vec![vec![Some("Statement executed successfully.".to_owned())]];
        Ok((Answer::Rows { rows, partitions: 1, affected: None }, None))
    };
    let sql = match context.work(statement) {
        Work::Done => return done(),
        Work::Unknown(said) => return Err(Failure::Refused(said)),
        Work::Wait(seconds) => {
            return tokio::select! {
                () = sleep(Duration::from_secs(seconds)) => done(),
                _ = cancelled.wait_for(|cancelled| *cancelled) => Err(Failure::Cancelled),
            };
        }
        Work::CommitAndRun(sql) => {
            bare(session, "COMMIT").await.map_err(refusal)?;
            sql
        }
        Work::Run(sql) => sql,
    };
    if *cancelled.borrow() {
        return Err(Failure::Cancelled);
    }
    if ["SELECT", "WITH", "VALUES"].contains(&first_word(&sql).as_str()) {
        let count = session.fetch(&format!("SELECT count(*) FROM ({sql})")).await;
        let count = count.map_err(refusal)?.into_iter().flatten().flatten().next();
        let count: usize = count.and_then(|count| count.parse().ok()).unwrap_or_default();
        let rows = session.fetch(&part(&sql, 0)).await.map_err(refusal)?;
        let partitions = count.div_ceil(PARTITION_ROWS).max(1);
        return Ok((Answer::Rows { rows, partitions, affected: None }, Some(sql)));
    }
    let rows = bare(session, &sql).await.map_err(refusal)?;
    let name = match first_word(&sql).as_str() {
        "INSERT" => "number of rows inserted",
        "UPDATE" => "number of rows updated",
        "DELETE" => "number of rows deleted",
        _ => return done(),
    };
    let affected = Some((name.to_owned(), rows.unwrap_or_default()));
    Ok((Answer::Rows { rows: Vec::new(), partitions: 1, affected }, None))
}

/// The query of one partition.
pub(super) fn part(sql: &str, partition: usize) -> String {
    format!("SELECT * FROM ({sql}) LIMIT {PARTITION_ROWS} OFFSET {}", partition * PARTITION_ROWS)
}

async fn bare(session: &mut dyn Connection, sql: &str) -> Result<Option<u64>, Problem> {
    let body = format!("{sql}\n;");
    let ends = [u32::try_from(body.len()).expect("texts have a limit")];
    let body = body.as_bytes();
    let request = Request { body, ends: &ends, scope: Scope::Scripted, copy: None, inserts: &[] };
    session.execute(request).await.map(|effects| effects.rows)
}

fn refusal(problem: Problem) -> Failure {
    Failure::Refused(problem.message)
}
