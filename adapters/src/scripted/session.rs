//! A session with the scripted database.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use tokio::sync::Notify;

use crate::{
    AdapterError, Cancel, Connection, CopyPart, Effects, Fault, Problem, Request, Scope,
    body::{Body, first_word},
};

use super::{Answer, Event, Scripted, ledger};

/// What a session remembers.
pub(super) struct Session {
    database: Scripted,
    session: u32,
    stop: Arc<Notify>,
    ended: Arc<Notify>,
    /// The copy block that is under way.
    copy: Option<String>,
    /// A request is under way, or was when its future was dropped.
    busy: bool,
    closed: bool,
}

impl Session {
    pub(super) fn new(database: Scripted, session: u32) -> Self {
        Self {
            database,
            session,
            stop: Arc::new(Notify::new()),
            ended: Arc::new(Notify::new()),
            copy: None,
            busy: false,
            closed: false,
        }
    }

    fn log(&self, event: Event) {
        self.database.state().log.push(event);
    }

    /// Applies a statement, or holds it until the open transaction ends.
    fn apply(&mut self, statement: String) {
        let mut state = self.database.state();
        match state.open.get_mut(&self.session) {
            Some(open) => open.push(statement),
            None => state.applied.push(statement),
        }
    }

    fn open(&self) {
        self.database.state().open.entry(self.session).or_default();
    }

    fn keep(&self) {
        let mut state = self.database.state();
        let open = state.open.remove(&self.session).unwrap_or_default();
        state.applied.extend(open);
    }

    fn take_back(&self) {
        self.database.state().open.remove(&self.session);
    }

    /// Fails where the session takes no requests any more.
    fn usable(&self) -> Result<(), Problem> {
        if self.busy {
            return Err(Problem::left());
        }
        match self.is_terminated() {
            true => Err(Problem::lost()),
            false => Ok(()),
        }
    }

    fn is_terminated(&self) -> bool {
        self.database.state().terminated.contains(&self.session)
    }

    /// Waits for something, unless the session is terminated meanwhile.
    async fn unless_terminated(&self, event: impl Future<Output = ()>) -> Result<(), Problem> {
        let ended = self.ended.notified();
        if !self.is_terminated() {
            tokio::select! {
                biased;
                () = ended => {}
                () = event => return Ok(()),
            }
        }
        let problem = Problem::new(Fault::Connection, "the session was terminated");
        Err(Problem { code: Some("57P01".to_owned()), transient: true, ..problem })
    }

    /// A statement of a script that may have transactions of its own.
    fn apply_scripted(&mut self, statement: String) {
        match first_word(statement.as_bytes()).as_str() {
            "BEGIN" | "START" => self.open(),
            "COMMIT" | "END" => self.keep(),
            "ROLLBACK" | "ABORT" if !mentions_to(&statement) => self.take_back(),
            _ => self.apply(statement),
        }
    }

    /// Applies a request, unless a row of a ledger is there already.
    fn apply_all(&mut self, request: &Request<'_>) -> Result<(), Problem> {
        let Some(statement) = self.collision(request) else {
            self.apply_request(request, usize::MAX);
            return Ok(());
        };
        let problem = Problem::new(Fault::Statement, "the ledger has this row already");
        let problem = Problem {
            code: Some("23505".to_owned()),
            statement: Some(statement),
            kept: if request.scope == Scope::Bare { statement } else { 0 },
            ..problem
        };
        Err(self.fail(request, problem))
    }

    /// The first statement with a row of a ledger that is there already.
    fn collision(&self, request: &Request<'_>) -> Option<u32> {
        if request.copy.is_some() {
            return None;
        }
        let mut rows = None;
        for (index, (_, statement)) in (0..).zip(Body::of(request).ok()?.statements()) {
            let Some(row) = ledger::row(&String::from_utf8_lossy(statement)) else { continue };
            let rows = rows.get_or_insert_with(|| self.ledger());
            if rows.iter().any(|other| row.collides_with(other)) {
                return Some(index);
            }
            rows.push(row);
        }
        None
    }

    /// The rows of ledgers that are applied, or open in this session.
    fn ledger(&self) -> Vec<ledger::Row> {
        let state = self.database.state();
        let open = state.open.get(&self.session).into_iter().flatten();
        ledger::rows(state.applied.iter().chain(open))
    }

    /// Applies the first statements of a request.
    fn apply_request(&mut self, request: &Request<'_>, count: usize) {
        match request.copy {
            Some(part) => self.apply_copy(request, part),
            None => {
                let Ok(body) = Body::of(request) else { return };
                for (_, statement) in body.statements().take(count) {
                    let statement = String::from_utf8_lossy(statement).into_owned();
                    match request.scope {
                        Scope::Scripted => self.apply_scripted(statement),
                        Scope::Atomic | Scope::Bare => self.apply(statement),
                    }
                }
            }
        }
    }

    fn apply_copy(&mut self, request: &Request<'_>, part: CopyPart) {
        let text = String::from_utf8_lossy(request.body);
        self.copy.get_or_insert_default().push_str(&text);
        if matches!(part, CopyPart::Whole | CopyPart::Last)
            && let Some(whole) = self.copy.take()
        {
            self.apply(whole);
        }
    }

    /// Answers a request as the script says.
    async fn respond(
        &mut self,
        request: &Request<'_>,
        delay: Duration,
        answer: Answer,
    ) -> Result<Effects, Problem> {
        if !delay.is_zero() {
            self.unless_terminated(tokio::time::sleep(delay)).await?;
        }
        match answer {
            Answer::Applies(effects) => self.apply_all(request).map(|()| effects),
            Answer::Fails(problem) => Err(self.fail(request, problem)),
            Answer::AppliesButFails(problem) => self.apply_all(request).and(Err(problem)),
            Answer::Hangs => {
                self.unless_terminated(self.stop.notified()).await?;
                Err(self.fail(request, Problem::new(Fault::Cancelled, "cancelled")))
            }
        }
    }

    fn fail(&mut self, request: &Request<'_>, problem: Problem) -> Problem {
        self.copy = None;
        if request.copy.is_none() {
            self.apply_request(request, problem.kept as usize);
        }
        problem
    }
}

#[async_trait]
impl Connection for Session {
    async fn execute(&mut self, request: Request<'_>) -> Result<Effects, Problem> {
        self.usable()?;
        if request.copy.is_none() {
            Body::of(&request)?;
        }
        self.log(Event::Executed {
            session: self.session,
            body: request.body.to_vec(),
            ends: request.ends.to_vec(),
            scope: request.scope,
            copy: request.copy,
        });
        let next = self.database.state().answers.pop_front();
        let (delay, answer) = next.unwrap_or((Duration::ZERO, Answer::Applies(Effects::default())));
        self.busy = true;
        let result = self.respond(&request, delay, answer).await;
        self.busy = false;
        result
    }

    async fn begin(&mut self) -> Result<(), Problem> {
        self.usable()?;
        self.log(Event::Begun { session: self.session });
        self.open();
        Ok(())
    }

    async fn commit(&mut self) -> Result<(), Problem> {
        self.usable()?;
        self.log(Event::Committed { session: self.session });
        let answer = self.database.state().commits.pop_front();
        match answer {
            None | Some(Answer::Applies(_)) => {
                self.keep();
                Ok(())
            }
            Some(Answer::Fails(problem)) => {
                self.take_back();
                Err(problem)
            }
            Some(Answer::AppliesButFails(problem)) => {
                self.keep();
                Err(problem)
            }
            Some(Answer::Hangs) => {
                self.busy = true;
                let cancelled = self.unless_terminated(self.stop.notified()).await;
                self.busy = false;
                self.take_back();
                cancelled.and(Err(Problem::new(Fault::Cancelled, "cancelled")))
            }
        }
    }

    async fn rollback(&mut self) -> Result<(), Problem> {
        if self.busy {
            return Err(Problem::left());
        }
        self.log(Event::RolledBack { session: self.session });
        self.take_back();
        self.copy = None;
        Ok(())
    }

    async fn fetch(&mut self, sql: &str) -> Result<Vec<Vec<Option<String>>>, Problem> {
        self.usable()?;
        if self.copy.is_some() {
            return Err(Problem::new(Fault::Unsupported, "a copy block is under way"));
        }
        Ok(ledger::answer(&self.ledger(), sql))
    }

    async fn limit_statements(&mut self, _: Duration) -> Result<(), Problem> {
        // What takes long is told to, and tells by itself when it ends.
        self.usable()
    }

    fn cancel_handle(&self) -> Option<Box<dyn Cancel>> {
        self.database.capabilities.cancel.then(|| {
            let stop = Stop {
                database: self.database.clone(),
                session: self.session,
                stop: Arc::clone(&self.stop),
                ended: Arc::clone(&self.ended),
            };
            Box::new(stop) as Box<dyn Cancel>
        })
    }

    async fn close(mut self: Box<Self>) {
        self.closed = true;
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.take_back();
        self.log(Event::Ended { session: self.session, closed: self.closed });
    }
}

struct Stop {
    database: Scripted,
    session: u32,
    stop: Arc<Notify>,
    ended: Arc<Notify>,
}

#[async_trait]
impl Cancel for Stop {
    async fn cancel(&self) -> Result<(), AdapterError> {
        self.database.state().log.push(Event::Cancelled { session: self.session });
        self.stop.notify_waiters();
        Ok(())
    }

    async fn terminate(&self) -> Result<(), AdapterError> {
        let mut state = self.database.state();
        state.log.push(Event::Terminated { session: self.session });
        state.open.remove(&self.session);
        state.terminated.insert(self.session);
        drop(state);
        self.ended.notify_waiters();
        Ok(())
    }
}

/// `ROLLBACK TO a_savepoint` ends no transaction.
fn mentions_to(statement: &str) -> bool {
    statement.split_ascii_whitespace().any(|word| word.eq_ignore_ascii_case("to"))
}
