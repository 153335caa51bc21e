//! Requests in a session, which is one to the caller only: to the service each is another.

use std::{mem, sync::Arc, time::Duration};

use async_trait::async_trait;
use tokio::sync::OwnedSemaphorePermit;

use crate::{Cancel, Connection, Effects, Fault, Problem, Request, Scope, body::Body};

use super::{
    answer::Body as Answered,
    api::{Api, Ended},
    connect::Stop,
    flight::Current,
    problem::of_statement,
    settings::Settings,
    texts::{Text, check_transaction, kept},
};

/// The longest limit on the time of a statement that the service takes: a week
/// (<https://docs.snowflake.com/en/sql-reference/parameters>, `STATEMENT_TIMEOUT_IN_SECONDS`).
const MAX_TIMEOUT_SECONDS: u32 = 604_800;

/// A session with an account.
pub(super) struct Session {
    api: Arc<Api>,
    state: State,
    settings: Settings,
    current: Current,
    /// The limit on the time of a request, in seconds.
    timeout: Option<u32>,
    connect_timeout: Duration,
    _permit: OwnedSemaphorePermit,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Ready,
    /// A request is under way, or was when its future was dropped.
    Busy,
    /// It is not known what became of a request.
    Lost,
}

impl Session {
    pub(super) fn new(
        api: Arc<Api>,
        permit: OwnedSemaphorePermit,
        connect_timeout: Duration,
    ) -> Self {
        Self {
            api,
            state: State::Ready,
            settings: Settings::default(),
            current: Current::default(),
            timeout: None,
            connect_timeout,
            _permit: permit,
        }
    }

    fn check(&self) -> Result<(), Problem> {
        match self.state {
            State::Ready if self.current.is_ended() => Err(Problem::lost()),
            State::Ready => Ok(()),
            State::Busy => Err(Problem::left()),
            State::Lost => Err(Problem::lost()),
        }
    }

    /// Sends a text and waits for its end.
    async fn send(&mut self, text: &Text) -> Result<Answered, Problem> {
        let submission = self.api.submission(&text.text, text.count, self.timeout)?;
        self.state = State::Busy;
        self.current.begin(submission.clone());
        let ran = self.api.run(&submission, &self.current).await;
        if let Err(problem) = &ran
            && problem.outcome_unknown
        {
            // Whoever ends the session still has to know of the request.
            self.state = State::Lost;
        } else {
            self.state = State::Ready;
            self.current.end();
        }
        match ran? {
            Ended::Done(body) => Ok(body),
            Ended::Refused(body) => Err(of_statement(body, text)),
        }
    }

    /// Sends statements as one request.
    async fn together(&mut self, body: Body<'_>, commits: bool) -> Result<Effects, Problem> {
        let text = Text::of(body, &self.settings, commits)?;
        let answered = self.send(&text).await?;
        self.settings.learn(body);
        let alone = text.count == 1;
        Ok(Effects { rows: answered.stats.filter(|_| alone).and_then(|stats| stats.rows()) })
    }

    /// Sends each statement as a request.
    async fn one_by_one(&mut self, body: Body<'_>) -> Result<Effects, Problem> {
        let mut rows = Some(0);
        for (index, (start, statement)) in (0..).zip(body.statements()) {
            let ends = [u32::try_from(statement.len()).unwrap_or(u32::MAX)];
            let done = match Body::new(statement, &ends) {
                Ok(alone) => self.together(alone, false).await,
                Err(problem) => Err(problem),
            };
            match done {
                Ok(effects) => {
                    rows = rows.zip(effects.rows).map(|(sum, more): (u64, u64)| sum + more)
                }
                Err(problem) => {
                    let offset = problem.offset.map(|offset| offset + start);
                    return Err(Problem { statement: Some(index), offset, kept: index, ..problem });
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
        self.check()?;
        self.settings.check(body)?;
        match request.scope {
            // One statement alone is its own transaction.
            Scope::Atomic => self.together(body, body.count() > 1).await,
            Scope::Bare => self.one_by_one(body).await,
            Scope::Scripted => {
                check_transaction(body)?;
                let done = self.together(body, false).await;
                done.map_err(|problem| {
                    let kept = problem.statement.map_or(0, |failed| kept(body, failed));
                    Problem { kept, ..problem }
                })
            }
        }
    }

    async fn begin(&mut self) -> Result<(), Problem> {
        self.check()?;
        let message = "no transaction can span requests: each is a session of its own";
        Err(Problem::new(Fault::Unsupported, message))
    }

    async fn commit(&mut self) -> Result<(), Problem> {
        self.begin().await
    }

    async fn rollback(&mut self) -> Result<(), Problem> {
        // What a request has left open ended with it.
        match self.state {
            State::Busy => Err(Problem::left()),
            State::Ready | State::Lost => Ok(()),
        }
    }

    async fn fetch(&mut self, sql: &str) -> Result<Vec<Vec<Option<String>>>, Problem> {
        self.check()?;
        let end = [u32::try_from(sql.len()).unwrap_or(u32::MAX)];
        let text = Text::of(Body::new(sql.as_bytes(), &end)?, &self.settings, false)?;
        let mut answered = self.send(&text).await.map_err(Problem::known)?;
        if let Some(last) = answered.statement_handles.as_mut().and_then(Vec::pop) {
            answered = match self.api.result(&last).await.map_err(Problem::known)? {
                Ended::Done(body) => body,
                Ended::Refused(body) => return Err(of_statement(body, &text)),
            };
        }
        self.api.rows(answered).await.map_err(Problem::known)
    }

    async fn limit_statements(&mut self, limit: Duration) -> Result<(), Problem> {
        let seconds = limit.as_nanos().div_ceil(1_000_000_000).max(1);
        let seconds = u32::try_from(seconds).unwrap_or(u32::MAX).min(MAX_TIMEOUT_SECONDS);
        self.timeout = Some(self.timeout.map_or(seconds, |shorter| shorter.min(seconds)));
        Ok(())
    }

    fn cancel_handle(&self) -> Option<Box<dyn Cancel>> {
        Some(Box::new(Stop {
            api: Arc::clone(&self.api),
            current: self.current.clone(),
            limit: self.connect_timeout,
        }))
    }

    async fn close(mut self: Box<Self>) {
        // There is no session to say goodbye to.
        let _ = mem::replace(&mut self.state, State::Lost);
    }
}
