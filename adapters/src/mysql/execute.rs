//! Requests in a session.

use std::{mem, time::Duration};

use async_trait::async_trait;
use sqlx::{AssertSqlSafe, Executor as _};

use crate::{
    Cancel, Connection, Effects, Fault, Problem, Request, Scope,
    body::{Body, commits},
    pool, query,
};

use super::{
    connect::{Stop, limit_statements},
    problem::{commit_is_unknown, is_lost, problem},
    texts::{
        Applied, OPEN, RESTORE, TAKE_BACK, answers_once_each, as_it_is, in_transaction, one_by_one,
        run,
    },
};

/// A connection that is held.
type Lease = pool::Lease<sqlx::MySql>;

/// What is added to a body at most: the texts of a transaction, the packet's own byte, and the
/// fields of a bound value.
pub(super) const OVERHEAD_BYTES: u64 = 1024;

/// A session with a MySQL or MariaDB database.
pub(super) struct Session {
    link: Link,
    cancel: Stop,
}

/// What the session's connection is doing.
enum Link {
    Ready(Lease),
    /// A request is under way, or was when its future was dropped.
    Busy,
    Lost,
}

impl Session {
    pub(super) fn new(lease: Lease, cancel: Stop) -> Self {
        Self { link: Link::Ready(lease), cancel }
    }

    /// Takes the connection; it is missing until it is put back, so that a request that is
    /// dropped in its middle leaves none.
    fn take(&mut self) -> Result<Lease, Problem> {
        match mem::replace(&mut self.link, Link::Busy) {
            Link::Ready(lease) => Ok(lease),
            Link::Busy => Err(Problem::left()),
            Link::Lost => {
                self.link = Link::Lost;
                Err(Problem::lost())
            }
        }
    }

    /// A command of the adapter's own.
    async fn command(&mut self, sql: &str) -> Result<(), Problem> {
        let mut lease = self.take()?;
        let ran = run(&mut lease, sql).await;
        let Some(error) = ran.error else {
            self.link = Link::Ready(lease);
            return Ok(());
        };
        self.link = if is_lost(&error) { Link::Lost } else { Link::Ready(lease) };
        Err(problem(error))
    }

    /// Gives the session back what it had before a transaction that is over. A session that cannot
    /// have it is given up, which changes nothing of that transaction.
    async fn restore(&mut self) {
        if self.command(RESTORE).await.is_err() {
            self.link = Link::Lost;
        }
    }
}

#[async_trait]
impl Connection for Session {
    async fn execute(&mut self, request: Request<'_>) -> Result<Effects, Problem> {
        if request.copy.is_some() {
            return Err(Problem::new(Fault::Unsupported, "the database has no COPY … FROM stdin"));
        }
        let body = Body::of(&request)?;
        let mut lease = self.take()?;
        // One statement alone is its own transaction.
        let own_transaction = request.scope == Scope::Atomic && body.count() > 1;
        let together = request.scope != Scope::Bare && answers_once_each(body);
        let result = match body.text() {
            Ok(text) if together && own_transaction => in_transaction(&mut lease, body, text).await,
            Ok(text) if together => as_it_is(&mut lease, body, text).await,
            _ => one_by_one(&mut lease, body, own_transaction).await,
        };
        match result {
            Ok(Applied { rows, lost }) => {
                self.link = if lost { Link::Lost } else { Link::Ready(lease) };
                Ok(Effects { rows: Some(rows) })
            }
            Err(failed) => {
                self.link = if failed.lost { Link::Lost } else { Link::Ready(lease) };
                let mut problem = failed.problem;
                let completed = problem.statement.unwrap_or(0);
                problem.kept = match request.scope {
                    Scope::Atomic => 0,
                    Scope::Bare => completed,
                    Scope::Scripted => body.kept(completed, keeps),
                };
                Err(problem)
            }
        }
    }

    async fn begin(&mut self) -> Result<(), Problem> {
        // As around a batch, and for the same reason.
        self.command(OPEN).await.map_err(Problem::known)
    }

    async fn commit(&mut self) -> Result<(), Problem> {
        let mut lease = self.take()?;
        let ran = run(&mut lease, "COMMIT").await;
        let Some(error) = ran.error else {
            self.link = Link::Ready(lease);
            self.restore().await;
            return Ok(());
        };
        self.link = if is_lost(&error) { Link::Lost } else { Link::Ready(lease) };
        let outcome_unknown = commit_is_unknown(&error);
        Err(Problem { outcome_unknown, ..problem(error) })
    }

    async fn rollback(&mut self) -> Result<(), Problem> {
        if matches!(self.link, Link::Lost) {
            // The server took everything back when the connection ended.
            return Ok(());
        }
        self.command(TAKE_BACK).await.map_err(Problem::known)?;
        self.restore().await;
        Ok(())
    }

    async fn fetch(&mut self, sql: &str) -> Result<Vec<Vec<Option<String>>>, Problem> {
        let mut lease = self.take()?;
        let fetched = lease.fetch_all(sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))).await;
        match fetched {
            Ok(rows) => {
                self.link = Link::Ready(lease);
                query::texts(&rows)
            }
            Err(error) => {
                self.link = if is_lost(&error) { Link::Lost } else { Link::Ready(lease) };
                Err(problem(error).known())
            }
        }
    }

    async fn limit_statements(&mut self, limit: Duration) -> Result<(), Problem> {
        self.command(&limit_statements(limit)).await.map_err(Problem::known)
    }

    fn cancel_handle(&self) -> Option<Box<dyn Cancel>> {
        Some(Box::new(self.cancel.clone()))
    }

    async fn close(mut self: Box<Self>) {
        if let Link::Ready(lease) = mem::replace(&mut self.link, Link::Lost) {
            lease.close().await;
        }
    }
}

/// Whether a statement with this first word keeps what came before it: a commit, or a definition,
/// which commits (<https://dev.mysql.com/doc/refman/8.4/en/implicit-commit.html>).
fn keeps(word: &str) -> bool {
    commits(word) || matches!(word, "ALTER" | "CREATE" | "DROP" | "RENAME" | "TRUNCATE")
}
