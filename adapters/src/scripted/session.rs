//! A session with the scripted database.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use tokio::sync::Notify;

use crate::{
    AdapterError, Cancel, Connection, CopyPart, Effects, Fault, Problem, Request, Scope,
    body::{Body, first_word},
};

use super::{Answer, Event, Scripted};

/// What a session remembers.
pub(super) struct Session {
    database: Scripted,
    session: u32,
    stop: Arc<Notify>,
    /// Statements of the open transaction.
    open: Option<Vec<String>>,
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
            open: None,
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
        match &mut self.open {
            Some(open) => open.push(statement),
            None => self.database.state().applied.push(statement),
        }
    }

    fn keep(&mut self) {
        let open = self.open.take().unwrap_or_default();
        self.database.state().applied.extend(open);
    }

    /// A statement of a script that may have transactions of its own.
    fn apply_scripted(&mut self, statement: String) {
        match first_word(statement.as_bytes()).as_str() {
            "BEGIN" | "START" => self.open = Some(self.open.take().unwrap_or_default()),
            "COMMIT" | "END" => self.keep(),
            "ROLLBACK" | "ABORT" if !mentions_to(&statement) => self.open = None,
            _ => self.apply(statement),
        }
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
        if self.busy {
            return Err(Problem::left());
        }
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
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        let result = match answer {
            Answer::Applies(effects) => {
                self.apply_request(&request, usize::MAX);
                Ok(effects)
            }
            Answer::Fails(problem) => Err(self.fail(&request, problem)),
            Answer::AppliesButFails(problem) => {
                self.apply_request(&request, usize::MAX);
                Err(problem)
            }
            Answer::Hangs => {
                self.stop.notified().await;
                Err(self.fail(&request, Problem::new(Fault::Cancelled, "cancelled")))
            }
        };
        self.busy = false;
        result
    }

    async fn begin(&mut self) -> Result<(), Problem> {
        self.log(Event::Begun { session: self.session });
        self.open = Some(Vec::new());
        Ok(())
    }

    async fn commit(&mut self) -> Result<(), Problem> {
        self.log(Event::Committed { session: self.session });
        let answer = self.database.state().commits.pop_front();
        match answer {
            None | Some(Answer::Applies(_)) => {
                self.keep();
                Ok(())
            }
            Some(Answer::Fails(problem)) => {
                self.open = None;
                Err(problem)
            }
            Some(Answer::AppliesButFails(problem)) => {
                self.keep();
                Err(problem)
            }
            Some(Answer::Hangs) => {
                self.busy = true;
                self.stop.notified().await;
                self.busy = false;
                self.open = None;
                Err(Problem::new(Fault::Cancelled, "cancelled"))
            }
        }
    }

    async fn rollback(&mut self) -> Result<(), Problem> {
        if self.busy {
            return Err(Problem::left());
        }
        self.log(Event::RolledBack { session: self.session });
        self.open = None;
        self.copy = None;
        Ok(())
    }

    fn cancel_handle(&self) -> Option<Box<dyn Cancel>> {
        self.database.capabilities.cancel.then(|| {
            let stop = Stop {
                database: self.database.clone(),
                session: self.session,
                stop: Arc::clone(&self.stop),
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
        self.log(Event::Ended { session: self.session, closed: self.closed });
    }
}

struct Stop {
    database: Scripted,
    session: u32,
    stop: Arc<Notify>,
}

#[async_trait]
impl Cancel for Stop {
    async fn cancel(&self) -> Result<(), AdapterError> {
        self.database.state().log.push(Event::Cancelled { session: self.session });
        self.stop.notify_waiters();
        Ok(())
    }
}

/// `ROLLBACK TO a_savepoint` ends no transaction.
fn mentions_to(statement: &str) -> bool {
    statement.split_ascii_whitespace().any(|word| word.eq_ignore_ascii_case("to"))
}
