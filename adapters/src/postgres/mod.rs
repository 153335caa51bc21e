//! PostgreSQL, through sqlx.
//!
//! - A batch is one simple query: PostgreSQL runs its statements as one implicit transaction, so
//!   whole or not at all costs one round trip and nothing is added to the text.
//! - Rows of INSERTs of constants ([`crate::Request::inserts`]) are copied where that is certain to
//!   do the same: `rows` and `tables` say where that is, `fast` how.
//! - A session means what it means in `psql`: time zone and date style are the server's, not
//!   sqlx's. They cannot be made the session's *default*: `RESET TimeZone` and
//!   `DISCARD ALL` go back to sqlx's UTC.
//! - `COPY … FROM stdin` is streamed. sqlx reads nothing while it sends, so a bad row is reported
//!   with the last part of a block, whatever part it was in; and a trigger that sends more notices
//!   than the network holds blocks the copy, until a limit on time ends it.

mod blocks;
mod connect;
mod copy;
mod execute;
mod fast;
mod problem;
mod rows;
mod settings;
mod tables;
mod target;

use async_trait::async_trait;
use sqlx::{PgPool, postgres::PgConnectOptions};

use crate::{
    Adapter, AdapterError, Capabilities, Connection, PoolOptions,
    connect::Target,
    pool::{Sessions, take_given, within},
};

use self::{execute::Session, settings::Settings};

/// A PostgreSQL database.
pub struct Postgres {
    capabilities: Capabilities,
    sessions: Sessions<sqlx::Postgres>,
    settings: Settings,
    target: Target,
}

impl Postgres {
    /// Connects with the default [`PoolOptions`].
    ///
    /// The URL is `postgres://user:password@host:port/database`; options are those of libpq
    /// (`sslmode`, `sslrootcert`, `sslcert`, `sslkey`, `host`, `hostaddr`, `port`, `dbname`,
    /// `user`, `password`, `application_name`, `options`). What it leaves out comes from the
    /// variables `PGHOST`, `PGPORT`, `PGUSER`, `PGPASSWORD`, `PGDATABASE`, `PGSSLMODE`,
    /// `PGAPPNAME`, `PGOPTIONS`, `PGTZ`, `PGDATESTYLE` and the file `~/.pgpass`.
    ///
    /// # Errors
    /// As [`crate::connect`].
    pub async fn connect(url: &str) -> Result<Self, AdapterError> {
        Self::connect_with(url, &PoolOptions::default()).await
    }

    /// Connects; see [`Postgres::connect`].
    ///
    /// # Errors
    /// As [`crate::connect`].
    pub async fn connect_with(url: &str, pool: &PoolOptions) -> Result<Self, AdapterError> {
        let options = connect::options(url)?;
        let target = connect::target(&options);
        let unavailable = |why| target.unavailable(why, problem::classify_connect);
        let (sessions, mut connection) =
            Sessions::open(options, pool.clone()).await.map_err(unavailable)?;
        let read = async {
            let mut capabilities = connect::capabilities(&mut connection).await?;
            let settings =
                settings::of_server(&mut connection, &sessions.options(), &mut capabilities.notes)
                    .await?;
            Ok((capabilities, settings))
        };
        let (capabilities, settings) =
            within(pool.connect_timeout, read).await.map_err(unavailable)?;
        sessions.keep(connection).await;
        Ok(Self { capabilities, sessions, settings, target })
    }

    /// Uses a pool that somebody else owns. Its sessions are taken as its own hooks make them:
    /// time zone and date style are not changed, so they are sqlx's (UTC; ISO, MDY) unless the
    /// pool sets them. A session that was used is closed, not given back.
    ///
    /// # Errors
    /// As [`crate::connect`].
    pub async fn from_pool(pool: PgPool) -> Result<Self, AdapterError> {
        let target = connect::target(&pool.connect_options());
        let unavailable = |why| target.unavailable(why, problem::classify_connect);
        let mut connection = take_given(&pool).await.map_err(unavailable)?;
        let read = connect::capabilities(&mut connection);
        let limit = pool.options().get_acquire_timeout();
        let mut capabilities = within(limit, read).await.map_err(unavailable)?;
        capabilities.notes.push("time zone and date style are those of the given pool".to_owned());
        Ok(Self {
            capabilities,
            sessions: Sessions::Given(pool),
            settings: Settings::default(),
            target,
        })
    }
}

#[async_trait]
impl Adapter for Postgres {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    async fn acquire(&self) -> Result<Box<dyn Connection>, AdapterError> {
        let unavailable = |why| self.target.unavailable(why, problem::classify_connect);
        let mut lease = self.sessions.take().await.map_err(unavailable)?;
        let apply = settings::apply(&mut lease, &self.settings);
        let process = within(self.sessions.connect_timeout(), apply).await.map_err(unavailable)?;
        let cancel = connect::Stop {
            options: self.sessions.options(),
            process,
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
type Options = PgConnectOptions;
