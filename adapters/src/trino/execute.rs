//! Requests in a session.

use std::{mem, sync::Arc, time::Duration};

use async_trait::async_trait;
use tokio::sync::OwnedSemaphorePermit;

use crate::{
    Cancel, Connection, Effects, Fault, Problem, Request, Scope,
    body::{Body, commits},
    query::limit_ms,
};

use super::{
    cancel::{Running, Stop, in_the_background, take_back},
    protocol::{Client, Dropped, Ran, Rows, Take},
    session::State,
};

/// The most of a limit on time: 49 days.
const MAX_LIMIT_MS: u32 = u32::MAX;
/// Warnings that are kept until somebody asks for them.
const MAX_WARNINGS: usize = 100;

/// A session with a cluster.
pub(super) struct Session {
    client: Arc<Client>,
    /// None while a request is under way, or was when its future was dropped.
    state: Option<State>,
    running: Arc<Running>,
    warnings: Vec<String>,
    _permit: OwnedSemaphorePermit,
}

impl Session {
    pub(super) fn new(client: Arc<Client>, state: State, permit: OwnedSemaphorePermit) -> Self {
        let running = Arc::default();
        Self { client, state: Some(state), running, warnings: Vec::new(), _permit: permit }
    }

    /// Takes what the session is; it is missing until it is put back.
    fn take(&mut self) -> Result<State, Problem> {
        if self.running.has_ended() {
            return Err(Problem::lost());
        }
        self.state.take().ok_or_else(Problem::left)
    }

    async fn run<T: Take>(&mut self, sql: &str, take: &mut T) -> Result<Ran, Problem> {
        let mut state = self.take()?;
        let ran = self.client.run(&mut state, &self.running, sql, take).await;
        self.running.note_transaction(&state);
        self.state = Some(state);
        let ran = ran.map_err(|problem| match self.running.has_ended() {
            true => Problem { fault: Fault::Connection, ..problem },
            false => problem,
        })?;
        let room = MAX_WARNINGS.saturating_sub(self.warnings.len());
        self.warnings.extend(ran.warnings.iter().take(room).cloned());
        Ok(ran)
    }

    /// The statements of a body, one after another.
    async fn run_all(
        &mut self,
        body: Body<'_>,
        text: &str,
        scope: Scope,
    ) -> Result<Effects, Problem> {
        let mut rows = None;
        for (index, (start, statement)) in (0..).zip(body.statements()) {
            let end = start as usize + statement.len();
            let statement = text.get(start as usize..end).unwrap_or_default();
            let Bare { before, sql } = bare(statement);
            match self.run(sql, &mut Dropped).await {
                Ok(ran) => {
                    rows = rows.or(ran.rows.map(|_| 0)).map(|sum| sum + ran.rows.unwrap_or(0))
                }
                Err(problem) => {
                    let kept = match scope {
                        Scope::Atomic => 0,
                        Scope::Bare => index,
                        Scope::Scripted => body.kept(index, commits),
                    };
                    let before = start.saturating_add(before);
                    let offset = problem.offset.map(|offset| offset.saturating_add(before));
                    return Err(Problem { statement: Some(index), offset, kept, ..problem });
                }
            }
        }
        Ok(Effects { rows })
    }
}

#[async_trait]
impl Connection for Session {
    async fn execute(&mut self, request: Request<'_>) -> Result<Effects, Problem> {
        if request.copy.is_some() {
            return Err(Problem::new(Fault::Unsupported, "the database has no COPY … FROM stdin"));
        }
        let body = Body::of(&request)?;
        if request.scope == Scope::Atomic && body.count() > 1 {
            return Err(no_transactions());
        }
        let text = body.text()?;
        self.run_all(body, text, request.scope).await
    }

    async fn begin(&mut self) -> Result<(), Problem> {
        self.state = Some(self.take()?);
        Err(no_transactions())
    }

    async fn commit(&mut self) -> Result<(), Problem> {
        self.state = Some(self.take()?);
        Err(no_transactions())
    }

    async fn rollback(&mut self) -> Result<(), Problem> {
        let is_open = self.state.as_ref().is_some_and(|state| state.transaction.is_some());
        if !is_open || self.running.has_ended() {
            return Ok(());
        }
        self.run("ROLLBACK", &mut Dropped).await.map(drop).map_err(Problem::known)
    }

    async fn fetch(&mut self, sql: &str) -> Result<Vec<Vec<Option<String>>>, Problem> {
        let mut rows = Rows::default();
        self.run(bare(sql).sql, &mut rows).await.map_err(Problem::known)?;
        Ok(rows.0)
    }

    async fn limit_statements(&mut self, limit: Duration) -> Result<(), Problem> {
        let mut state = self.take()?;
        state.limit_statements(limit_ms(limit, MAX_LIMIT_MS));
        self.state = Some(state);
        Ok(())
    }

    fn take_warnings(&mut self) -> Vec<String> {
        mem::take(&mut self.warnings)
    }

    fn cancel_handle(&self) -> Option<Box<dyn Cancel>> {
        let (client, running) = (Arc::clone(&self.client), Arc::clone(&self.running));
        Some(Box::new(Stop { client, running }))
    }

    async fn close(mut self: Box<Self>) {
        if let Some(state) = self.state.take().filter(|state| state.transaction.is_some()) {
            take_back(&self.client, state).await;
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if let Some(state) = self.state.take().filter(|state| state.transaction.is_some()) {
            let client = Arc::clone(&self.client);
            in_the_background(async move { take_back(&client, state).await });
        }
    }
}

/// A statement as Trino takes it.
struct Bare<'a> {
    /// Bytes that were taken off its beginning.
    before: u32,
    sql: &'a str,
}

/// Without blanks around it and without its terminator.
fn bare(statement: &str) -> Bare<'_> {
    let from_start = statement.trim_ascii_start();
    let before = u32::try_from(statement.len() - from_start.len()).unwrap_or(u32::MAX);
    let sql = from_start.trim_ascii_end();
    let sql = sql.strip_suffix(';').unwrap_or(sql).trim_ascii_end();
    Bare { before, sql }
}

fn no_transactions() -> Problem {
    Problem::new(Fault::Unsupported, "trino has no transactions that span statements")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminator_is_never_sent() {
        for (statement, before, sql) in [
            ("SELECT 1;\n", 0, "SELECT 1"),
            ("\n SELECT 1 ; ", 2, "SELECT 1"),
            ("SELECT ';'", 0, "SELECT ';'"),
            ("SELECT 1 -- a\n;\n", 0, "SELECT 1 -- a"),
            (";", 0, ""),
        ] {
            let bare = bare(statement);
            assert_eq!((bare.before, bare.sql), (before, sql), "{statement:?}");
        }
    }
}
