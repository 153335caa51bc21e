//! MySQL and MariaDB, through sqlx.
//!
//! - A batch of several statements is one text, with `SET autocommit=0` before it and `COMMIT`
//!   after it: one round trip. Where a statement is not UTF-8, or may give more than one result,
//!   the batch goes statement by statement.
//! - A session means what it means in the `mysql` and `mariadb` clients: SQL mode and time zone
//!   are the server's. What cannot be undone is that sqlx asks for found rows: an UPDATE counts
//!   the rows that it matched, also those that it did not change.
//! - Definitions (`CREATE TABLE`) commit, so they take no part in a transaction.
//! - There is no fast path: `LOAD DATA LOCAL` makes warnings of errors, and needs a setting of the
//!   server.

mod connect;
mod execute;
mod problem;
mod texts;

use async_trait::async_trait;
use sqlx::{MySqlPool, mysql::MySqlConnectOptions};

use crate::{
    Adapter, AdapterError, Capabilities, Connection, PoolOptions,
    connect::Target,
    pool::{Sessions, take_given, within},
};

use self::execute::Session;

/// A MySQL or MariaDB database.
pub struct MySql {
    capabilities: Capabilities,
    sessions: Sessions<sqlx::MySql>,
    target: Target,
}

impl MySql {
    /// Connects with the default [`PoolOptions`].
    ///
    /// The URL is `mysql://user:password@host:port/database` or `mariadb://…`; options are
    /// `ssl-mode`, `ssl-ca`, `ssl-cert`, `ssl-key`, `socket`, `charset`, `collation` and
    /// `timezone`. Without the last three the session has what the server gives to a client that
    /// speaks utf8mb4.
    ///
    /// # Errors
    /// As [`crate::connect`].
    pub async fn connect(url: &str) -> Result<Self, AdapterError> {
        Self::connect_with(url, &PoolOptions::default()).await
    }

    /// Connects; see [`MySql::connect`].
    ///
    /// # Errors
    /// As [`crate::connect`].
    pub async fn connect_with(url: &str, pool: &PoolOptions) -> Result<Self, AdapterError> {
        let options = connect::options(url)?;
        let target = connect::target(&options);
        let unavailable = |why| target.unavailable(why, problem::classify_connect);
        let (sessions, mut connection) =
            Sessions::open(options, pool.clone()).await.map_err(unavailable)?;
        let read = connect::capabilities(&mut connection);
        let capabilities = within(pool.connect_timeout, read).await.map_err(unavailable)?;
        sessions.keep(connection).await;
        Ok(Self { capabilities, sessions, target })
    }

    /// Uses a pool that somebody else owns. Its sessions are taken as its own hooks make them:
    /// SQL mode and time zone are not changed. A session that was used is closed, not given back.
    ///
    /// # Errors
    /// As [`crate::connect`].
    pub async fn from_pool(pool: MySqlPool) -> Result<Self, AdapterError> {
        let target = connect::target(&pool.connect_options());
        let unavailable = |why| target.unavailable(why, problem::classify_connect);
        let mut connection = take_given(&pool).await.map_err(unavailable)?;
        let read = connect::capabilities(&mut connection);
        let limit = pool.options().get_acquire_timeout();
        let mut capabilities = within(limit, read).await.map_err(unavailable)?;
        capabilities.notes.push("SQL mode and time zone are those of the given pool".to_owned());
        Ok(Self { capabilities, sessions: Sessions::Given(pool), target })
    }
}

#[async_trait]
impl Adapter for MySql {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    async fn acquire(&self) -> Result<Box<dyn Connection>, AdapterError> {
        let unavailable = |why| self.target.unavailable(why, problem::classify_connect);
        let mut lease = self.sessions.take().await.map_err(unavailable)?;
        let own = matches!(self.sessions, Sessions::Own(_));
        let apply = connect::apply(&mut lease, own);
        let thread = within(self.sessions.connect_timeout(), apply).await.map_err(unavailable)?;
        let cancel = connect::Stop {
            options: self.sessions.options(),
            thread,
            target: self.target.clone(),
            limit: self.sessions.connect_timeout(),
        };
        Ok(Box::new(Session::new(lease, cancel)))
    }

    async fn close(&self) {
        self.sessions.close().await;
    }
}

/// What a connection is made from.
type Options = MySqlConnectOptions;
