//! Requests in a session.

use std::{
    iter::Peekable,
    mem, slice,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    time::Duration,
    vec,
};

use async_trait::async_trait;
use self_cell::{MutBorrow, self_cell};
use sqlx::sqlite::LockedSqliteHandle;
use tokio::{runtime::Handle, sync::Mutex};

use crate::{
    AdapterError, Cancel, Connection, Effects, Fault, InsertRows, Prepared, Problem, Request,
    Scope, body::Body, pool,
};

use super::{
    inserts::Plan,
    raw::{Database, Failure},
};

/// How long to wait for the end of a session: twice what a lock of another process is waited for,
/// which nothing shortens.
const END_WITHIN: Duration = Duration::from_secs(10);

/// A connection that is held.
type Lease = pool::Lease<sqlx::Sqlite>;

self_cell! {
    /// A connection whose handle stays locked from one request to the next: to lock it is to wait
    /// for the driver's own thread, twice.
    struct Locked {
        owner: MutBorrow<Lease>,
        #[not_covariant]
        dependent: LockedSqliteHandle,
    }
}

/// The connection of a session.
enum Held {
    /// As it was taken.
    Free(Lease),
    Locked(Locked),
}

impl Held {
    /// Waits for the handle, on a thread that may block.
    fn lock(self, runtime: &Handle) -> Result<Locked, sqlx::Error> {
        let mut lease = match self {
            Self::Free(lease) => lease,
            Self::Locked(locked) => return Ok(locked),
        };
        runtime.block_on(caught_up(&mut lease))?;
        Locked::try_new(MutBorrow::new(lease), |lease| {
            runtime.block_on(lease.borrow_mut().lock_handle())
        })
    }

    async fn close(self) {
        let lease = match self {
            Self::Free(lease) => lease,
            Self::Locked(locked) => locked.into_owner().into_inner(),
        };
        lease.close().await;
    }
}

/// What a session is doing, and what others want of it.
#[derive(Debug, Default)]
pub(super) struct Signal(AtomicU8);

const IDLE: u8 = 0;
const RUNNING: u8 = 1;
const CANCELLED: u8 = 2;
/// Nobody waits for what runs.
const ABANDONED: u8 = 3;
/// Nothing may run any more.
const TERMINATED: u8 = 4;

impl Signal {
    /// Whether what runs should stop.
    pub(super) fn asks_to_stop(&self) -> bool {
        self.0.load(Ordering::Relaxed) >= CANCELLED
    }

    fn is_abandoned(&self) -> bool {
        self.0.load(Ordering::Relaxed) == ABANDONED
    }

    /// Whether the connection is not to be used again.
    fn is_over(&self) -> bool {
        self.0.load(Ordering::Relaxed) >= ABANDONED
    }

    fn start(&self) -> Result<(), Problem> {
        match self.change(IDLE, RUNNING) {
            Ok(_) => Ok(()),
            Err(TERMINATED) => Err(Problem::lost()),
            Err(_) => Err(Problem::left()),
        }
    }

    /// Ends what runs, so that nothing stops what the adapter does next; that the session is over
    /// stays known.
    fn end(&self) {
        let _was = self.change(RUNNING, IDLE);
        self.granted();
    }

    /// What ran has stopped.
    fn granted(&self) {
        let _was = self.change(CANCELLED, IDLE);
    }

    fn cancel(&self) {
        // Where nothing runs there is nothing to cancel.
        let _was = self.change(RUNNING, CANCELLED);
    }

    fn abandon(&self) {
        self.0.store(ABANDONED, Ordering::Relaxed);
    }

    fn terminate(&self) {
        self.0.store(TERMINATED, Ordering::Relaxed);
    }

    fn change(&self, from: u8, to: u8) -> Result<u8, u8> {
        self.0.compare_exchange(from, to, Ordering::Relaxed, Ordering::Relaxed)
    }
}

/// A session with an SQLite database.
pub(super) struct Session {
    link: Link,
    signal: Arc<Signal>,
}

/// The session's connection, if it was not lost. Locked while it works, on whatever thread: who
/// has the lock knows that nothing runs.
type Link = Arc<Mutex<Option<Held>>>;

/// A request that has its own bytes, for another thread.
pub(super) struct Work {
    body: Arc<Vec<u8>>,
    ends: Vec<u32>,
    scope: Scope,
    inserts: Vec<InsertRows>,
    /// How each of the INSERTs is to be sent, where that was found before.
    plans: Option<Vec<Option<Plan>>>,
}

/// Stops what runs when the future that waits for it is dropped.
struct Abandon<'a>(&'a Signal);

impl Drop for Abandon<'_> {
    fn drop(&mut self) {
        self.0.abandon();
    }
}

impl Session {
    pub(super) fn new(lease: Lease, signal: Arc<Signal>) -> Self {
        Self { link: Arc::new(Mutex::new(Some(Held::Free(lease)))), signal }
    }

    /// Runs something on the handle, on a thread that may block.
    ///
    /// The lock of the connection goes to that thread. Where the session is over when the work is,
    /// the connection is closed there, which rolls back what is open.
    async fn on_handle<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(&mut Database<'_>, &Signal) -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        self.signal.start()?;
        let abandon = Abandon(&self.signal);
        let mut held = Arc::clone(&self.link).lock_owned().await;
        let signal = Arc::clone(&self.signal);
        let runtime = Handle::current();
        let task = tokio::task::spawn_blocking(move || {
            let Some(connection) = held.take() else { return Ok(Err(Problem::lost())) };
            let mut locked = connection.lock(&runtime)?;
            let result =
                locked.with_dependent_mut(|_, handle| work(&mut Database::of(handle), &signal));
            let connection = Held::Locked(locked);
            if signal.is_over() {
                runtime.block_on(connection.close());
            } else {
                *held = Some(connection);
            }
            Ok::<_, sqlx::Error>(result)
        });
        let ended = task.await;
        mem::forget(abandon);
        self.signal.end();
        match ended {
            Ok(Ok(result)) => result,
            Ok(Err(error)) => Err(crashed(Box::new(error))),
            Err(error) => Err(crashed(Box::new(error))),
        }
    }

    async fn run(&mut self, work: Work) -> Result<Effects, Problem> {
        let rows = self.on_handle(move |database, signal| work.run(database, signal)).await?;
        Ok(Effects { rows: Some(rows) })
    }

    /// A command of the adapter's own.
    async fn command(&mut self, sql: &'static str) -> Result<(), Problem> {
        self.on_handle(move |database, _| {
            database.run(sql.as_bytes()).map(drop).map_err(Failure::into_problem)
        })
        .await
    }
}

/// Waits until the driver's own thread has seen what it was told before. To hand the connection over
/// is to tell it so, through a queue, while the connection is held: were the thread so late that the
/// queue is full (50 by default, `SqliteConnectOptions::command_buffer_size`), each would wait for
/// the other for ever.
async fn caught_up(lease: &mut Lease) -> Result<(), sqlx::Error> {
    sqlx::Connection::ping(&mut **lease).await
}

#[async_trait]
impl Connection for Session {
    async fn execute(&mut self, request: Request<'_>) -> Result<Effects, Problem> {
        let body = Arc::new(request.body.to_vec());
        self.run(Work::of(&request, body)?).await
    }

    async fn execute_prepared(
        &mut self,
        request: Request<'_>,
        prepared: Prepared,
    ) -> Result<Effects, Problem> {
        match prepared.downcast::<Work>() {
            Ok(work) => self.run(*work).await,
            Err(_) => self.execute(request).await,
        }
    }

    async fn begin(&mut self) -> Result<(), Problem> {
        self.command("BEGIN").await
    }

    async fn commit(&mut self) -> Result<(), Problem> {
        self.command("COMMIT").await
    }

    async fn rollback(&mut self) -> Result<(), Problem> {
        if !self.signal.is_abandoned() && self.link.lock().await.is_none() {
            // The end of the connection took everything back.
            return Ok(());
        }
        self.on_handle(|database, signal| {
            take_back(database, signal).map_err(Failure::into_problem)
        })
        .await
    }

    async fn fetch(&mut self, sql: &str) -> Result<Vec<Vec<Option<String>>>, Problem> {
        let sql = sql.to_owned();
        let rows = self.on_handle(move |database, _| {
            database.rows(sql.as_bytes()).map_err(Failure::into_problem)
        });
        let rows = rows.await.map_err(Problem::known)?;
        let text = |value| String::from_utf8(value).map_err(Problem::not_text);
        let texts = |value: Option<Vec<u8>>| value.map(text).transpose();
        rows.into_iter().map(|row| row.into_iter().map(texts).collect()).collect()
    }

    async fn limit_statements(&mut self, _: Duration) -> Result<(), Problem> {
        // A cancel is sure to reach what runs in this process; nothing is to be done behind it.
        Ok(())
    }

    fn cancel_handle(&self) -> Option<Box<dyn Cancel>> {
        let stop = Stop { signal: Arc::clone(&self.signal), link: Arc::clone(&self.link) };
        Some(Box::new(stop))
    }

    async fn close(self: Box<Self>) {
        // Where it is locked, what runs was abandoned and closes it.
        let held = self.link.try_lock().ok().and_then(|mut link| link.take());
        if let Some(held) = held {
            held.close().await;
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // A database in memory is shared, so the place is free only when the connection is closed
        // and its locks are gone. Without a runtime there is nobody to wait for that.
        let Ok(runtime) = Handle::try_current() else {
            let held = self.link.try_lock().ok().and_then(|mut link| link.take());
            return drop(held);
        };
        if self.link.try_lock().is_ok_and(|link| link.is_none()) {
            return;
        }
        let link = Arc::clone(&self.link);
        runtime.spawn(async move { end(&link).await });
    }
}

/// Waits until nothing runs, and closes the connection.
async fn end(link: &Mutex<Option<Held>>) {
    if let Some(held) = link.lock().await.take() {
        held.close().await;
    }
}

/// What is left of a session whose connection or thread broke.
fn crashed(source: Box<dyn std::error::Error + Send + Sync>) -> Problem {
    let mut problem = Problem::new(Fault::Connection, format!("the session broke: {source}"));
    problem.outcome_unknown = true;
    problem.source = Some(source);
    problem
}

impl Work {
    /// `body`: that of the request.
    ///
    /// # Errors
    /// What the database does not take.
    pub(super) fn of(request: &Request<'_>, body: Arc<Vec<u8>>) -> Result<Self, Problem> {
        if request.copy.is_some() {
            return Err(Problem::new(Fault::Unsupported, "the database has no COPY … FROM stdin"));
        }
        Body::of(request)?.without_zero()?;
        Ok(Self {
            body,
            ends: request.ends.to_vec(),
            scope: request.scope,
            inserts: request.inserts.to_vec(),
            plans: None,
        })
    }

    /// Reads the rows of the INSERTs that go the fast way.
    pub(super) fn plan(&mut self) {
        let Ok(body) = Body::new(&self.body, &self.ends) else { return };
        let plan = |at: &InsertRows| Plan::of(body.statement(at.statement)?, at);
        self.plans = Some(self.inserts.iter().map(plan).collect());
    }

    /// Runs the statements; gives the rows that were changed.
    fn run(mut self, database: &mut Database<'_>, signal: &Signal) -> Result<u64, Problem> {
        let plans = self.plans.take().map(Vec::into_iter);
        let body = Body::new(&self.body, &self.ends)?;
        let inserts = Inserts { all: self.inserts.iter().peekable(), plans };
        if self.scope != Scope::Atomic || body.count() == 1 {
            return each(body, inserts, database, signal).map_err(|mut problem| {
                if self.scope == Scope::Atomic {
                    problem.kept = 0;
                }
                problem
            });
        }
        database.run(b"BEGIN").map_err(Failure::into_problem)?;
        let ran = each(body, inserts, database, signal)
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

/// The INSERTs that go the fast way, in their order.
struct Inserts<'a> {
    all: Peekable<slice::Iter<'a, InsertRows>>,
    /// How each of them is to be sent, where that was found before.
    plans: Option<vec::IntoIter<Option<Plan>>>,
}

impl Inserts<'_> {
    /// How the statement of this index is sent; none: as it is.
    fn plan_of(&mut self, index: u32, statement: &[u8]) -> Option<Plan> {
        let at = self.all.next_if(|insert| insert.statement == index)?;
        match &mut self.plans {
            Some(plans) => plans.next()?,
            None => Plan::of(statement, at),
        }
    }
}

/// Runs each statement; what is kept is what stands outside a transaction.
fn each(
    body: Body<'_>,
    mut inserts: Inserts<'_>,
    database: &mut Database<'_>,
    signal: &Signal,
) -> Result<u64, Problem> {
    let mut rows = 0;
    let mut kept = 0;
    for (index, (start, statement)) in (0..).zip(body.statements()) {
        let plan = inserts.plan_of(index, statement);
        let ran = match signal.asks_to_stop() {
            true => Err(Failure::interrupted()),
            false => one(statement, plan, database),
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

/// Runs a statement, the fastest way there is.
fn one(statement: &[u8], plan: Option<Plan>, database: &mut Database<'_>) -> Result<u64, Failure> {
    match plan.and_then(|plan| database.insert(&plan, statement)) {
        Some(inserted) => inserted,
        None => database.run(statement),
    }
}

/// Rolls back what is open. A wish to cancel has been granted by then, and must not stop this.
fn take_back(database: &mut Database<'_>, signal: &Signal) -> Result<(), Failure> {
    signal.granted();
    if database.in_autocommit() {
        return Ok(());
    }
    database.run(b"ROLLBACK").map(drop)
}

/// Cancels what a session runs, or ends the session.
struct Stop {
    signal: Arc<Signal>,
    link: Link,
}

#[async_trait]
impl Cancel for Stop {
    async fn cancel(&self) -> Result<(), AdapterError> {
        self.signal.cancel();
        Ok(())
    }

    async fn terminate(&self) -> Result<(), AdapterError> {
        self.signal.terminate();
        tokio::time::timeout(END_WITHIN, end(&self.link)).await.map_err(|_| {
            let said = format!("the session did not end within {} ms", END_WITHIN.as_millis());
            AdapterError { transient: true, ..AdapterError::new(Fault::Timeout, said) }
        })
    }
}
