//! Requests in a session.

use std::{
    mem,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
};

use async_trait::async_trait;
use tokio::runtime::Handle;

use crate::{
    AdapterError, Cancel, Connection, Effects, Fault, Problem, Request, Scope, body::Body, pool,
};

use super::raw::{Database, Failure};

/// A connection that is held.
type Lease = pool::Lease<sqlx::Sqlite>;

/// What a session is doing, and what others want of it.
#[derive(Debug, Default)]
pub(super) struct Signal(AtomicU8);

const IDLE: u8 = 0;
const RUNNING: u8 = 1;
const CANCELLED: u8 = 2;
const ABANDONED: u8 = 3;

impl Signal {
    /// Whether what runs should stop.
    pub(super) fn asks_to_stop(&self) -> bool {
        self.0.load(Ordering::Relaxed) >= CANCELLED
    }

    fn is_abandoned(&self) -> bool {
        self.0.load(Ordering::Relaxed) == ABANDONED
    }

    fn start(&self) {
        self.0.store(RUNNING, Ordering::Relaxed);
    }

    /// Ends what runs, so that nothing stops what the adapter does next.
    fn end(&self) {
        self.0.store(IDLE, Ordering::Relaxed);
    }

    /// What ran has stopped; that it was abandoned stays known.
    fn granted(&self) {
        let _was = self.0.compare_exchange(CANCELLED, IDLE, Ordering::Relaxed, Ordering::Relaxed);
    }

    fn cancel(&self) {
        // Where nothing runs there is nothing to cancel.
        let _was =
            self.0.compare_exchange(RUNNING, CANCELLED, Ordering::Relaxed, Ordering::Relaxed);
    }
}

/// A session with an SQLite database.
pub(super) struct Session {
    link: Link,
    signal: Arc<Signal>,
}

/// What the session's connection is doing.
enum Link {
    Ready(Lease),
    /// A request is under way, or was when its future was dropped.
    Busy,
    Lost,
}

/// A request that has its own bytes, for another thread.
struct Work {
    body: Vec<u8>,
    ends: Vec<u32>,
    scope: Scope,
}

/// Stops what runs when the future that waits for it is dropped.
struct Abandon<'a>(&'a Signal);

impl Drop for Abandon<'_> {
    fn drop(&mut self) {
        self.0.0.store(ABANDONED, Ordering::Relaxed);
    }
}

impl Session {
    pub(super) fn new(lease: Lease, signal: Arc<Signal>) -> Self {
        Self { link: Link::Ready(lease), signal }
    }

    /// Runs something on the handle, on a thread that may block.
    ///
    /// The connection goes to that thread and comes back with the result. Where nobody waits for
    /// it any more, it is dropped there, which closes it and rolls back what is open.
    async fn on_handle<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(&mut Database<'_>, &Signal) -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        let mut lease = match mem::replace(&mut self.link, Link::Busy) {
            Link::Ready(lease) => lease,
            Link::Busy => return Err(Problem::left()),
            Link::Lost => {
                self.link = Link::Lost;
                return Err(Problem::lost());
            }
        };
        let signal = Arc::clone(&self.signal);
        signal.start();
        let abandon = Abandon(&self.signal);
        let runtime = Handle::current();
        let task = tokio::task::spawn_blocking(move || {
            let result = match runtime.block_on(lease.lock_handle()) {
                Ok(mut locked) => Ok(work(&mut Database::of(&mut locked), &signal)),
                Err(error) => Err(error),
            };
            if signal.is_abandoned() {
                runtime.block_on(lease.close());
                return None;
            }
            Some((lease, result))
        });
        let ended = task.await;
        mem::forget(abandon);
        self.signal.end();
        match ended {
            Ok(Some((lease, Ok(result)))) => {
                self.link = Link::Ready(lease);
                result
            }
            Ok(Some((_, Err(error)))) => Err(self.crashed(Box::new(error))),
            Err(error) => Err(self.crashed(Box::new(error))),
            // Only a future that was dropped abandons its work.
            Ok(None) => Err(Problem::left()),
        }
    }

    fn crashed(&mut self, source: Box<dyn std::error::Error + Send + Sync>) -> Problem {
        self.link = Link::Lost;
        let mut problem = Problem::new(Fault::Connection, format!("the session broke: {source}"));
        problem.outcome_unknown = true;
        problem.source = Some(source);
        problem
    }

    /// A command of the adapter's own.
    async fn command(&mut self, sql: &'static str) -> Result<(), Problem> {
        self.on_handle(move |database, _| {
            database.run(sql.as_bytes()).map(drop).map_err(Failure::into_problem)
        })
        .await
    }
}

#[async_trait]
impl Connection for Session {
    async fn execute(&mut self, request: Request<'_>) -> Result<Effects, Problem> {
        if request.copy.is_some() {
            return Err(Problem::new(Fault::Unsupported, "the database has no COPY … FROM stdin"));
        }
        Body::of(&request)?.without_zero()?;
        let work =
            Work { body: request.body.to_vec(), ends: request.ends.to_vec(), scope: request.scope };
        let rows = self.on_handle(move |database, signal| work.run(database, signal)).await?;
        Ok(Effects { rows: Some(rows) })
    }

    async fn begin(&mut self) -> Result<(), Problem> {
        self.command("BEGIN").await
    }

    async fn commit(&mut self) -> Result<(), Problem> {
        self.command("COMMIT").await
    }

    async fn rollback(&mut self) -> Result<(), Problem> {
        if matches!(self.link, Link::Lost) {
            return Ok(());
        }
        self.on_handle(|database, signal| {
            take_back(database, signal).map_err(Failure::into_problem)
        })
        .await
    }

    fn cancel_handle(&self) -> Option<Box<dyn Cancel>> {
        Some(Box::new(Stop(Arc::clone(&self.signal))))
    }

    async fn close(mut self: Box<Self>) {
        if let Link::Ready(lease) = mem::replace(&mut self.link, Link::Lost) {
            lease.close().await;
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // A database in memory is shared, so the place is free only when the connection is closed
        // and its locks are gone. Without a runtime there is nobody to wait for that.
        if let Link::Ready(lease) = mem::replace(&mut self.link, Link::Lost)
            && let Ok(runtime) = Handle::try_current()
        {
            runtime.spawn(lease.close());
        }
    }
}

impl Work {
    /// Runs the statements; gives the rows that were changed.
    fn run(self, database: &mut Database<'_>, signal: &Signal) -> Result<u64, Problem> {
        let body = Body::new(&self.body, &self.ends)?;
        if self.scope != Scope::Atomic || body.count() == 1 {
            return each(body, database, signal).map_err(|mut problem| {
                if self.scope == Scope::Atomic {
                    problem.kept = 0;
                }
                problem
            });
        }
        database.run(b"BEGIN").map_err(Failure::into_problem)?;
        let ran = each(body, database, signal)
            .and_then(|rows| match signal.asks_to_stop() {
                true => Err(Failure::interrupted().into_problem()),
                false => Ok(rows),
            })
            .and_then(|rows| match database.run(b"COMMIT") {
                Ok(_) => Ok(rows),
                Err(failure) => Err(failure.into_problem()),
            });
        ran.map_err(|mut problem| {
            problem.kept = 0;
            if let Err(failure) = take_back(database, signal) {
                problem.message.push_str("; and the rollback failed: ");
                problem.message.push_str(&failure.message);
                problem.outcome_unknown = true;
            }
            problem
        })
    }
}

/// Runs each statement; what is kept is what stands outside a transaction.
fn each(body: Body<'_>, database: &mut Database<'_>, signal: &Signal) -> Result<u64, Problem> {
    let mut rows = 0;
    let mut kept = 0;
    for (index, (start, statement)) in (0..).zip(body.statements()) {
        let ran = match signal.asks_to_stop() {
            true => Err(Failure::interrupted()),
            false => database.run(statement),
        };
        match ran {
            Ok(changed) => rows += changed,
            Err(failure) => {
                let offset = failure.offset.and_then(|offset| u32::try_from(offset).ok());
                let mut problem = failure.into_problem();
                problem.statement = Some(index);
                problem.offset = offset.and_then(|offset| start.checked_add(offset));
                problem.kept = kept;
                return Err(problem);
            }
        }
        if database.in_autocommit() {
            kept = index + 1;
        }
    }
    Ok(rows)
}

/// Rolls back what is open. A wish to cancel has been granted by then, and must not stop this.
fn take_back(database: &mut Database<'_>, signal: &Signal) -> Result<(), Failure> {
    signal.granted();
    if database.in_autocommit() {
        return Ok(());
    }
    database.run(b"ROLLBACK").map(drop)
}

/// Cancels what a session runs.
struct Stop(Arc<Signal>);

#[async_trait]
impl Cancel for Stop {
    async fn cancel(&self) -> Result<(), AdapterError> {
        self.0.cancel();
        Ok(())
    }
}
