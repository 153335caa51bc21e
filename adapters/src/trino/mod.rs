//! Trino, through its REST protocol (<https://trino.io/docs/current/develop/client-protocol.html>).
//!
//! - A request is one statement, without a terminator. It is registered with a POST, runs from the
//!   first GET of `nextUri` on, and is followed until there is no `nextUri`. Requests of several
//!   statements go one by one; each stands for itself.
//! - A session is a set of headers that are sent with each statement, and that answers change
//!   (`USE`, `SET SESSION`, `PREPARE`, `START TRANSACTION`): no connection belongs to it.
//! - What is lost on the way to a POST, and any GET, is asked for again for a while. A statement
//!   itself is never registered twice once it may run.
//! - Of the batcher's own there are no transactions: what a connector does with them differs. The
//!   script's own (`START TRANSACTION`) are passed on.

mod cancel;
mod connect;
mod execute;
mod problem;
mod protocol;
mod results;
mod session;

use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::Semaphore;

use crate::{
    Adapter, AdapterError, Capabilities, Connection, PoolOptions, connect::Target, failure::Said,
    pool::Unavailable,
};

use self::{execute::Session, protocol::Client, session::State};

/// A Trino cluster.
pub struct Trino {
    capabilities: Capabilities,
    client: Arc<Client>,
    /// What every session begins with.
    state: State,
    target: Target,
    pool: PoolOptions,
    permits: Arc<Semaphore>,
}

impl Trino {
    /// Connects with the default [`PoolOptions`].
    ///
    /// The URL is `trino://user@host:port/catalog/schema`, or `trinos://user:password@…` over TLS;
    /// the ports are 8080 and 443 unless it says others. Options, of which those marked with a
    /// star may come several times: `access-token` (a JWT), `source` (default `sql-batcher`),
    /// `client-tags` (parted by commas), `client-info`, `session`* (`name:value`), `role`*
    /// (`catalog:role`), `extra-credential`* (`name:value`), `timezone`, `ssl-ca` (a file of
    /// certificates, PEM) and `max-query-length` (the server's `query.max-length`; it does not
    /// tell it, and its default is 1000000).
    ///
    /// # Errors
    /// As [`crate::connect`]; [`crate::Fault::Options`] also for a password or a token without TLS,
    /// and for a catalog that does not exist.
    pub async fn connect(url: &str) -> Result<Self, AdapterError> {
        Self::connect_with(url, &PoolOptions::default()).await
    }

    /// Connects; see [`Trino::connect`].
    ///
    /// # Errors
    /// As [`crate::connect`].
    pub async fn connect_with(url: &str, pool: &PoolOptions) -> Result<Self, AdapterError> {
        let connect::Options { client, state, target, max_query_length } =
            connect::options(url, pool)?;
        let server = connect::server(&client, &state, &target, pool.connect_timeout).await?;
        let permits = usize::try_from(pool.max_connections.max(1)).unwrap_or(usize::MAX);
        Ok(Self {
            capabilities: connect::capabilities(server, max_query_length),
            client: Arc::new(client),
            state,
            target,
            pool: pool.clone(),
            permits: Arc::new(Semaphore::new(permits.min(Semaphore::MAX_PERMITS))),
        })
    }

    fn unavailable(&self, why: Unavailable) -> AdapterError {
        let classify =
            |error: &sqlx::Error| Said::lasting(crate::Fault::Connection, error.to_string());
        self.target.unavailable(why, classify)
    }
}

#[async_trait]
impl Adapter for Trino {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    async fn acquire(&self) -> Result<Box<dyn Connection>, AdapterError> {
        let waited = self.pool.acquire_timeout;
        let permit = Arc::clone(&self.permits).acquire_owned();
        let permit = match tokio::time::timeout(waited, permit).await {
            Ok(permit) => permit.map_err(|_| self.unavailable(Unavailable::Closed))?,
            Err(_) => {
                let max = self.pool.max_connections.max(1);
                return Err(self.unavailable(Unavailable::NoneFree { max, waited }));
            }
        };
        let session = Session::new(Arc::clone(&self.client), self.state.clone(), permit);
        Ok(Box::new(session))
    }

    async fn close(&self) {
        self.permits.close();
    }
}
