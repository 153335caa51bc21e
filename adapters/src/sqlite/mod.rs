//! SQLite, through sqlx's connection and SQLite's own interface.
//!
//! - A batch crosses to a blocking thread once, not once a statement, and runs there on the raw
//!   handle of the locked connection. That module, `raw`, is the only one with unsafe code.
//! - INSERTs of constants ([`crate::Request::inserts`]) are read by the adapter, and SQLite fetches
//!   their values from a virtual table that exists meanwhile.
//! - A session is as in the `sqlite3` shell: foreign keys are not enforced unless the script says
//!   so, nothing else is set. One thing differs: a lock held by another process is waited for, 5
//!   seconds, where the shell gives up at once. A cancel does not shorten that wait.
//! - What runs is stopped by a progress handler, which SQLite asks every 10,000 instructions of
//!   its machine (some tenths of a millisecond): a load and a compare each time.

mod connect;
mod execute;
mod inserts;
mod problem;
mod raw;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use async_trait::async_trait;
use sqlx::{SqliteConnection, SqlitePool};
use tokio::sync::Mutex;

use crate::{
    Adapter, AdapterError, Capabilities, Connection, PoolOptions, Prepared, Request,
    connect::Target,
    pool::{Sessions, take_given, within},
};

use self::execute::{Session, Signal, Work};

/// An SQLite database.
pub struct Sqlite {
    capabilities: Capabilities,
    sessions: Sessions<sqlx::Sqlite>,
    target: Target,
    /// Keeps a database in memory alive between sessions.
    anchor: Mutex<Option<SqliteConnection>>,
}

impl Sqlite {
    /// Connects with the default [`PoolOptions`].
    ///
    /// The URL is `sqlite://file.db`, `sqlite:///absolute/file.db` or `sqlite::memory:`; options
    /// are `mode` (`ro`, `rw`, `rwc`, `memory`), `cache`, `immutable` and `vfs`. Without `mode` a
    /// file that does not exist is created. A database in memory has one session at a time and
    /// lives as long as the adapter.
    ///
    /// # Errors
    /// As [`crate::connect`].
    pub async fn connect(url: &str) -> Result<Self, AdapterError> {
        Self::connect_with(url, &PoolOptions::default()).await
    }

    /// Connects; see [`Sqlite::connect`].
    ///
    /// # Errors
    /// As [`crate::connect`].
    pub async fn connect_with(url: &str, pool: &PoolOptions) -> Result<Self, AdapterError> {
        let place = connect::place(url)?;
        let target = connect::target(&place.options);
        let unavailable = |why| target.unavailable(why, problem::classify_connect);
        let mut pool = pool.clone();
        if place.in_memory {
            pool.max_connections = 1;
        }
        let limit = pool.connect_timeout;
        let (sessions, connection) =
            Sessions::open(place.options, pool).await.map_err(unavailable)?;
        let read = connect::capabilities(Box::new(connection));
        let (connection, capabilities) = within(limit, read).await.map_err(unavailable)?;
        let anchor = match place.in_memory {
            true => Some(*connection),
            false => {
                sessions.keep(*connection).await;
                None
            }
        };
        Ok(Self { capabilities, sessions, target, anchor: Mutex::new(anchor) })
    }

    /// Uses a pool that somebody else owns. Its sessions are taken as they are; a session that was
    /// used is closed, not given back.
    ///
    /// # Errors
    /// As [`crate::connect`].
    pub async fn from_pool(pool: SqlitePool) -> Result<Self, AdapterError> {
        let target = connect::target(&pool.connect_options());
        let unavailable = |why| target.unavailable(why, problem::classify_connect);
        let read = connect::capabilities(take_given(&pool).await.map_err(unavailable)?);
        let limit = pool.options().get_acquire_timeout();
        let (_, mut capabilities) = within(limit, read).await.map_err(unavailable)?;
        capabilities.notes.push("settings (PRAGMA) are those of the given pool".to_owned());
        Ok(Self { capabilities, sessions: Sessions::Given(pool), target, anchor: Mutex::new(None) })
    }
}

#[async_trait]
impl Adapter for Sqlite {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    async fn acquire(&self) -> Result<Box<dyn Connection>, AdapterError> {
        let unavailable = |why| self.target.unavailable(why, problem::classify_connect);
        let mut lease = self.sessions.take().await.map_err(unavailable)?;
        let signal = Arc::new(Signal::default());
        let watch = connect::watch(&mut lease, Arc::clone(&signal));
        within(self.sessions.connect_timeout(), watch).await.map_err(unavailable)?;
        Ok(Box::new(Session::new(lease, signal)))
    }

    fn prepare(&self, request: &Request<'_>, body: &Arc<Vec<u8>>) -> Option<Prepared> {
        let body = Arc::clone(body);
        let mut work = Work::of(request, body).ok().filter(|_| !request.inserts.is_empty())?;
        work.plan();
        Some(Box::new(work))
    }

    async fn close(&self) {
        self.sessions.close().await;
        if let Some(connection) = self.anchor.lock().await.take() {
            // Nothing is left to be saved, so there is nothing to hear about.
            drop(sqlx::Connection::close(connection).await);
        }
    }
}
