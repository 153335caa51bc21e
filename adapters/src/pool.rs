//! How sessions are had: how many at once, how long to wait, and that none is used twice.
//!
//! A session of a batch run may change anything about itself (`SET`, temporary tables, advisory
//! locks), so it is never handed on: it is closed at its end, and the next run has a new one. What
//! is pooled is the right to have one. So this is no cache of connections, but for one: the
//! connection that asked for the capabilities serves the first run.

use std::{
    ops::{Deref, DerefMut},
    sync::Arc,
    time::Duration,
};

use sqlx::{ConnectOptions, Connection, Database, pool::PoolConnection};
use tokio::{
    sync::{Mutex, OwnedSemaphorePermit, Semaphore},
    time::Instant,
};

/// How long a connection may take to say goodbye before it is simply dropped.
const GOODBYE: Duration = Duration::from_secs(5);

/// How many sessions there may be, and how long to wait for one: the same for every adapter that
/// makes its sessions itself. A pool that an adapter is given (`from_pool`) has settings of its own,
/// and its `acquire_timeout` stands for both timeouts here.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PoolOptions {
    /// The most sessions at once. Default 8, at least 1; an SQLite database in memory has 1.
    pub max_connections: u32,
    /// How long making a connection may take, its greeting included. Default 30 seconds.
    pub connect_timeout: Duration,
    /// How long to wait for one of the sessions in use to be given back. Default 30 seconds.
    pub acquire_timeout: Duration,
    /// After how long without use a connection is asked whether it still lives, before it is
    /// given out. Default 30 seconds.
    pub idle_check_after: Duration,
}

impl Default for PoolOptions {
    fn default() -> Self {
        Self {
            max_connections: 8,
            connect_timeout: Duration::from_secs(30),
            acquire_timeout: Duration::from_secs(30),
            idle_check_after: Duration::from_secs(30),
        }
    }
}

/// What connections of a database are made from.
pub(crate) type OptionsOf<DB> = <<DB as Database>::Connection as Connection>::Options;

/// Why no session was to be had.
#[derive(Debug)]
pub(crate) enum Unavailable {
    /// The adapter was closed.
    Closed,
    /// All are in use.
    NoneFree { max: u32, waited: Duration },
    /// The server did not answer in time.
    TooSlow { waited: Duration },
    /// The server, or the way to it, refused.
    Refused(sqlx::Error),
}

/// Where sessions come from.
pub(crate) enum Sessions<DB: Database> {
    /// Made here.
    Own(Own<DB>),
    /// Taken from a pool that somebody else owns.
    Given(sqlx::Pool<DB>),
}

/// Sessions made here.
pub(crate) struct Own<DB: Database> {
    options: OptionsOf<DB>,
    pool: PoolOptions,
    permits: Arc<Semaphore>,
    idle: Mutex<Option<(DB::Connection, Instant)>>,
}

impl<DB: Database> Sessions<DB> {
    /// Makes the first connection at once, so that what is wrong is known at once. It is returned,
    /// to be asked for capabilities and then given back with [`Sessions::keep`].
    pub(crate) async fn open(
        options: OptionsOf<DB>,
        pool: PoolOptions,
    ) -> Result<(Self, DB::Connection), Unavailable> {
        let connection = within(pool.connect_timeout, options.connect()).await?;
        let permits = usize::try_from(pool.max_connections.max(1)).unwrap_or(usize::MAX);
        let own = Own {
            options,
            permits: Arc::new(Semaphore::new(permits.min(Semaphore::MAX_PERMITS))),
            pool,
            idle: Mutex::new(None),
        };
        Ok((Self::Own(own), connection))
    }

    /// Keeps a connection that is as good as new for the next run.
    pub(crate) async fn keep(&self, connection: DB::Connection) {
        if let Self::Own(own) = self {
            *own.idle.lock().await = Some((connection, Instant::now()));
        }
    }

    /// Takes a session.
    pub(crate) async fn take(&self) -> Result<Lease<DB>, Unavailable> {
        match self {
            Self::Own(own) => own.take().await,
            Self::Given(pool) => Ok(Lease(Some(Held::Given(take_given(pool).await?)))),
        }
    }

    /// What a further connection is made from.
    pub(crate) fn options(&self) -> OptionsOf<DB> {
        match self {
            Self::Own(own) => own.options.clone(),
            Self::Given(pool) => (*pool.connect_options()).clone(),
        }
    }

    /// How long making a connection may take.
    pub(crate) fn connect_timeout(&self) -> Duration {
        match self {
            Self::Own(own) => own.pool.connect_timeout,
            Self::Given(pool) => pool.options().get_acquire_timeout(),
        }
    }

    /// Gives out no more sessions, and closes the one that is kept. A given pool stays open.
    pub(crate) async fn close(&self) {
        let Self::Own(own) = self else { return };
        own.permits.close();
        let idle = own.idle.lock().await.take();
        if let Some((connection, _)) = idle {
            goodbye(connection.close()).await;
        }
    }
}

impl<DB: Database> Own<DB> {
    async fn take(&self) -> Result<Lease<DB>, Unavailable> {
        let permit = Arc::clone(&self.permits).acquire_owned();
        let permit = match tokio::time::timeout(self.pool.acquire_timeout, permit).await {
            Ok(Ok(permit)) => permit,
            Ok(Err(_)) => return Err(Unavailable::Closed),
            Err(_) => {
                return Err(Unavailable::NoneFree {
                    max: self.pool.max_connections.max(1),
                    waited: self.pool.acquire_timeout,
                });
            }
        };
        let idle = self.idle.lock().await.take();
        if let Some((mut connection, since)) = idle {
            let fresh = since.elapsed() <= self.pool.idle_check_after;
            if fresh || within(self.pool.connect_timeout, connection.ping()).await.is_ok() {
                return Ok(Lease(Some(Held::Own(connection, permit))));
            }
        }
        let connection = within(self.pool.connect_timeout, self.options.connect()).await?;
        Ok(Lease(Some(Held::Own(connection, permit))))
    }
}

/// A connection that one session holds. Dropped, it is closed without a goodbye: saying it would
/// first send what is left of a request that was dropped in its middle.
pub(crate) struct Lease<DB: Database>(Option<Held<DB>>);

enum Held<DB: Database> {
    /// Made here.
    Own(DB::Connection, OwnedSemaphorePermit),
    /// Of a given pool.
    Given(PoolConnection<DB>),
}

const HELD: &str = "a lease holds its connection until it is closed or dropped";

impl<DB: Database> Lease<DB> {
    /// Says goodbye to the server and waits for it, for a while.
    pub(crate) async fn close(mut self) {
        match self.0.take() {
            Some(Held::Own(connection, permit)) => {
                goodbye(connection.close()).await;
                drop(permit);
            }
            Some(Held::Given(connection)) => goodbye(connection.close()).await,
            None => {}
        }
    }
}

impl<DB: Database> Drop for Lease<DB> {
    fn drop(&mut self) {
        if let Some(Held::Given(connection)) = self.0.take() {
            drop(connection.detach());
        }
    }
}

impl<DB: Database> Deref for Lease<DB> {
    type Target = DB::Connection;

    fn deref(&self) -> &Self::Target {
        match self.0.as_ref().expect(HELD) {
            Held::Own(connection, _) => connection,
            Held::Given(connection) => connection,
        }
    }
}

impl<DB: Database> DerefMut for Lease<DB> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        match self.0.as_mut().expect(HELD) {
            Held::Own(connection, _) => connection,
            Held::Given(connection) => connection,
        }
    }
}

/// Takes a connection of a pool that somebody else owns.
pub(crate) async fn take_given<DB: Database>(
    pool: &sqlx::Pool<DB>,
) -> Result<PoolConnection<DB>, Unavailable> {
    pool.acquire().await.map_err(|error| match error {
        sqlx::Error::PoolTimedOut => Unavailable::NoneFree {
            max: pool.options().get_max_connections(),
            waited: pool.options().get_acquire_timeout(),
        },
        sqlx::Error::PoolClosed => Unavailable::Closed,
        error => Unavailable::Refused(error),
    })
}

/// Bounds what is said to a server while a connection is made.
pub(crate) async fn within<T>(
    limit: Duration,
    work: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, Unavailable> {
    match tokio::time::timeout(limit, work).await {
        Ok(result) => result.map_err(Unavailable::Refused),
        Err(_) => Err(Unavailable::TooSlow { waited: limit }),
    }
}

/// Waits for a connection to be closed, but not for ever, and whatever the server says to it.
async fn goodbye(close: impl Future<Output = Result<(), sqlx::Error>>) {
    match tokio::time::timeout(GOODBYE, close).await {
        Ok(Ok(()) | Err(_)) | Err(_) => {}
    }
}
