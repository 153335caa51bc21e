//! Requests in a session.

use std::{mem, time::Duration};

use async_trait::async_trait;
use sqlx::{AssertSqlSafe, Executor as _, PgConnection, postgres::PgQueryResult};

use crate::{
    Cancel, Connection, Effects, Fault, InsertRows, Problem, Request, Scope,
    answers::{self, Ran},
    body::{Body, commits, first_word},
    pool, query,
};

use super::{
    connect::Stop,
    copy::Copying,
    fast::is_harmless,
    problem::{IN_FAILED_TRANSACTION, is_lost, problem, server_error},
    settings,
    tables::Tables,
};

/// A connection that is held.
pub(super) type Lease = pool::Lease<sqlx::Postgres>;

/// A session with a PostgreSQL database.
pub(super) struct Session {
    pub(super) link: Link,
    cancel: Stop,
    /// Why the open transaction can only be rolled back, if that is so. PostgreSQL answers
    /// `COMMIT` with `ROLLBACK` then, without an error, and sqlx does not hand on the answer's
    /// words.
    aborted: Option<First>,
    /// The limit on the time of a statement that was set for a caller, in milliseconds.
    pub(super) limit_ms: Option<u32>,
    /// Whether there is none instead, while a copy block is under way.
    pub(super) is_limit_lifted: bool,
    /// What is known of the tables that rows are copied into.
    pub(super) tables: Tables,
}

/// The first error of a transaction, which stands behind all that follow it.
struct First {
    fault: Fault,
    message: String,
    transient: bool,
}

/// What the session's connection is doing.
pub(super) enum Link {
    Ready(Lease),
    Copying(Copying),
    /// A request is under way, or was when its future was dropped.
    Busy,
    Lost,
}

impl Session {
    pub(super) fn new(lease: Lease, cancel: Stop) -> Self {
        Self {
            link: Link::Ready(lease),
            cancel,
            aborted: None,
            limit_ms: None,
            is_limit_lifted: false,
            tables: Tables::default(),
        }
    }

    /// Takes the connection; it is missing until it is put back, so that a request that is
    /// dropped in its middle leaves none.
    pub(super) fn take(&mut self) -> Result<Lease, Problem> {
        match mem::replace(&mut self.link, Link::Busy) {
            Link::Ready(lease) => Ok(lease),
            Link::Copying(copying) => {
                self.link = Link::Copying(copying);
                Err(Problem::new(Fault::Unsupported, "a copy block is under way"))
            }
            Link::Busy => Err(Problem::left()),
            Link::Lost => {
                self.link = Link::Lost;
                Err(Problem::lost())
            }
        }
    }

    /// Puts the connection back, unless the error says that it is gone.
    pub(super) fn put(&mut self, lease: Lease, error: Option<&sqlx::Error>) {
        self.link = match error {
            Some(error) if is_lost(error) => Link::Lost,
            _ => Link::Ready(lease),
        };
    }

    /// Several statements as one query.
    pub(super) async fn whole(&mut self, body: Body<'_>, scope: Scope) -> Result<Effects, Problem> {
        let text = body.text()?;
        let mut lease = self.take()?;
        let ran = run(&mut lease, text).await;
        let Some(error) = ran.error else {
            self.put(lease, None);
            if scope == Scope::Scripted {
                self.mend();
            }
            return Ok(Effects { rows: Some(ran.rows) });
        };
        self.put(lease, Some(&error));
        // The last completion is sent after the commit, so what comes later changes nothing.
        if scope == Scope::Atomic && ran.results >= body.count() {
            return Ok(Effects { rows: Some(ran.rows) });
        }
        let mut problem = problem(error, text);
        let counted = ran.results.min(body.count() - 1);
        problem.statement =
            Some(problem.offset.map_or(counted, |offset| body.statement_at(offset)));
        if scope == Scope::Scripted {
            problem.kept = body.kept(ran.results, commits);
            self.look_at_transaction(&mut problem).await;
        }
        Err(problem)
    }

    /// The open transaction can go on, or is over.
    pub(super) fn mend(&mut self) {
        self.aborted = None;
    }

    /// Statement by statement, some of them in the fastest way there is.
    async fn bare_fast(
        &mut self,
        body: Body<'_>,
        inserts: &[InsertRows],
    ) -> Result<Effects, Problem> {
        let mut inserts = inserts.iter().peekable();
        let mut rows = 0;
        for (index, (start, statement)) in (0..).zip(body.statements()) {
            let at = inserts.next_if(|insert| insert.statement == index);
            let at = at.map(|insert| InsertRows { statement: 0, ..*insert });
            // A statement is no longer than the body.
            let ends = [statement.len() as u32];
            let ran = self.one(Body::new(statement, &ends)?, at.as_slice(), Scope::Atomic).await;
            rows += ran
                .map_err(|problem| Problem {
                    statement: Some(index),
                    offset: problem.offset.map(|offset| offset + start),
                    kept: index,
                    ..problem
                })?
                .rows
                .unwrap_or(0);
        }
        Ok(Effects { rows: Some(rows) })
    }

    /// A request that is one query, or whose rows are copied.
    async fn one(
        &mut self,
        body: Body<'_>,
        inserts: &[InsertRows],
        scope: Scope,
    ) -> Result<Effects, Problem> {
        let fast = match self.aborted {
            None => self.fast(body, inserts, scope).await,
            Some(_) => None,
        };
        let done = match fast {
            Some(done) => done,
            None => {
                self.remember_less(body, inserts);
                self.whole(body, scope).await
            }
        };
        if done.is_err() {
            // What was changed was taken back, or will be.
            self.tables.forget();
        }
        done
    }

    /// Forgets the tables if a request may change them.
    fn remember_less(&mut self, body: Body<'_>, inserts: &[InsertRows]) {
        if self.tables.is_empty() {
            return;
        }
        let is_known = |index| inserts.iter().any(|insert| insert.statement == index);
        let mut statements = (0..).zip(body.statements());
        if statements.any(|(index, (_, text))| !is_known(index) && !is_harmless(text)) {
            self.tables.forget();
        }
    }

    /// Statement by statement.
    async fn bare(&mut self, body: Body<'_>) -> Result<Effects, Problem> {
        body.text()?;
        let mut lease = self.take()?;
        let mut rows = 0;
        for (index, (start, statement)) in (0..).zip(body.statements()) {
            let Ok(text) = std::str::from_utf8(statement) else {
                self.put(lease, None);
                return Err(Problem::new(
                    Fault::Unsupported,
                    "a statement ends within a character",
                ));
            };
            let ran = run(&mut lease, text).await;
            rows += ran.rows;
            let Some(error) = ran.error else { continue };
            if ran.results > 0 && is_lost(&error) && index + 1 == body.count() {
                self.link = Link::Lost;
                break;
            }
            self.put(lease, Some(&error));
            let mut problem = problem(error, text);
            problem.statement = Some(index);
            problem.offset = problem.offset.map(|offset| offset + start);
            problem.kept = index;
            return Err(problem);
        }
        if matches!(self.link, Link::Busy) {
            self.put(lease, None);
        }
        Ok(Effects { rows: Some(rows) })
    }

    /// The script's own commit of a transaction that can only be rolled back.
    async fn refuse_commit(&mut self) -> Problem {
        if let Err(problem) = self.command("ROLLBACK").await {
            return problem;
        }
        let mut problem = Problem::new(
            Fault::Statement,
            "the transaction failed before, so commit rolled it back",
        );
        if let Some(first) = self.aborted.take() {
            problem.fault = first.fault;
            problem.transient = first.transient;
            problem.message = format!("{}: {}", problem.message, first.message);
        }
        problem.code = Some(IN_FAILED_TRANSACTION.to_owned());
        problem
    }

    /// Finds out whether the open transaction can go on. What first went wrong in it is what a
    /// later refusal is about. The query is at the same time what sets a lifted limit again.
    pub(super) async fn look_at_transaction(&mut self, problem: &mut Problem) {
        let limit_again = self.limit_again();
        let Ok(mut lease) = self.take() else { return };
        let ran = run(&mut lease, limit_again.as_deref().unwrap_or("SELECT 1")).await;
        let code = ran.error.as_ref().and_then(server_error).map(|server| server.code());
        let aborted = code == Some(IN_FAILED_TRANSACTION);
        self.put(lease, ran.error.as_ref());
        if !aborted {
            self.aborted = None;
            if limit_again.is_some() && ran.error.is_some() {
                // A session without its limit is given up.
                self.link = Link::Lost;
            }
            return;
        }
        let first = self.aborted.get_or_insert_with(|| First {
            fault: problem.fault,
            message: problem.message.clone(),
            transient: problem.transient,
        });
        problem.fault = first.fault;
        problem.transient = first.transient;
    }

    /// A command of the adapter's own; gives the rows of it.
    pub(super) async fn command(&mut self, sql: &str) -> Result<u64, Problem> {
        let mut lease = self.take()?;
        let ran = run(&mut lease, sql).await;
        self.put(lease, ran.error.as_ref());
        match ran.error {
            None => Ok(ran.rows),
            Some(error) => {
                let mut problem = problem(error, sql);
                problem.offset = None;
                Err(problem)
            }
        }
    }
}

#[async_trait]
impl Connection for Session {
    async fn execute(&mut self, request: Request<'_>) -> Result<Effects, Problem> {
        if let Some(part) = request.copy {
            return self.copy(request, part).await;
        }
        let body = Body::of(&request)?;
        body.without_zero()?;
        match request.scope {
            Scope::Bare if body.count() > 1 && request.inserts.is_empty() => {
                self.remember_less(body, request.inserts);
                self.bare(body).await
            }
            Scope::Bare if body.count() > 1 => self.bare_fast(body, request.inserts).await,
            Scope::Scripted if self.aborted.is_some() && commits(&first_word(body.bytes())) => {
                self.tables.forget();
                let mut problem = self.refuse_commit().await;
                problem.statement = Some(0);
                Err(problem)
            }
            // One statement alone is its own transaction, as several in one query are.
            Scope::Bare => self.one(body, request.inserts, Scope::Atomic).await,
            scope => self.one(body, request.inserts, scope).await,
        }
    }

    async fn begin(&mut self) -> Result<(), Problem> {
        self.command("BEGIN").await.map(drop).map_err(Problem::known)
    }

    async fn commit(&mut self) -> Result<(), Problem> {
        if self.aborted.is_some() {
            return Err(self.refuse_commit().await);
        }
        let committed = self.command("COMMIT").await.map(drop);
        if committed.is_err() {
            self.tables.forget();
        }
        committed
    }

    async fn rollback(&mut self) -> Result<(), Problem> {
        self.tables.forget();
        if let Link::Copying(_) = self.link
            && let Link::Copying(copying) = mem::replace(&mut self.link, Link::Busy)
        {
            self.link = copying.abort().await.map_or(Link::Lost, Link::Ready);
        }
        if matches!(self.link, Link::Lost) {
            // The server took everything back when the connection ended.
            return Ok(());
        }
        let limit_again = self.limit_again().unwrap_or_default();
        self.command(&format!("ROLLBACK;{limit_again}")).await.map_err(Problem::known)?;
        self.aborted = None;
        Ok(())
    }

    async fn fetch(&mut self, sql: &str) -> Result<Vec<Vec<Option<String>>>, Problem> {
        let mut lease = self.take()?;
        let fetched = lease.fetch_all(sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))).await;
        self.put(lease, fetched.as_ref().err());
        match fetched {
            Ok(rows) => query::texts(&rows),
            Err(error) => {
                let mut problem = problem(error, sql).known();
                problem.offset = None;
                self.look_at_transaction(&mut problem).await;
                Err(problem)
            }
        }
    }

    async fn limit_statements(&mut self, limit: Duration) -> Result<(), Problem> {
        let limit_ms = settings::limit_ms(limit);
        let set = self.command(&settings::limit_statements(limit_ms)).await;
        if set.map_err(Problem::known)? > 0 {
            self.limit_ms = Some(limit_ms);
        }
        Ok(())
    }

    fn cancel_handle(&self) -> Option<Box<dyn Cancel>> {
        Some(Box::new(self.cancel.clone()))
    }

    async fn close(mut self: Box<Self>) {
        match mem::replace(&mut self.link, Link::Lost) {
            Link::Ready(lease) => lease.close().await,
            Link::Copying(copying) => {
                if let Some(lease) = copying.abort().await {
                    lease.close().await;
                }
            }
            Link::Busy | Link::Lost => {}
        }
    }
}

/// Sends a text as one request and reads all its answers.
pub(super) async fn run(connection: &mut PgConnection, text: &str) -> Ran {
    let answers = sqlx::raw_sql(AssertSqlSafe(text.to_owned())).fetch_many(connection);
    answers::read(answers, PgQueryResult::rows_affected).await
}
