//! Snowflake, through its SQL API v2.
//!
//! - A request is a session of its own: a transaction begins and ends within it. A batch of several
//!   statements is one text with `BEGIN TRANSACTION` before it and `COMMIT` after it; a transaction
//!   of the script's own has to fit into one request, else it is refused before it is sent.
//! - What the script sets (`USE`, `SET`, `ALTER SESSION`) is said again at the beginning of each
//!   further request. What cannot be said again (temporary tables) is refused.
//! - Each request has a number of its own. Where its answer is lost it is sent again with that
//!   number and `retry=true`, which the service applies once.
//! - Definitions (`CREATE TABLE`) commit, so they take no part in a transaction.

mod answer;
mod api;
mod connect;
mod credentials;
mod execute;
mod flight;
mod problem;
mod settings;
mod texts;

use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::Semaphore;

use crate::{Adapter, AdapterError, Capabilities, Connection, PoolOptions, pool::Unavailable};

use self::{api::Api, execute::Session};

/// A Snowflake account.
pub struct Snowflake {
    capabilities: Capabilities,
    api: Arc<Api>,
    pool: PoolOptions,
    permits: Arc<Semaphore>,
}

impl Snowflake {
    /// Connects with the default [`PoolOptions`].
    ///
    /// The URL is `snowflake://user:secret@account/database/schema`; options are `warehouse`,
    /// `role`, `private_key_file`, `token_file`, `authenticator` (`programmatic_access_token`, the
    /// default, or `oauth`) and `base_url`. With `private_key_file` the secret is the passphrase of
    /// the key, if it has one; else it is the token. Names are taken as they are written: those of
    /// most accounts are in capitals.
    ///
    /// # Errors
    /// As [`crate::connect`].
    pub async fn connect(url: &str) -> Result<Self, AdapterError> {
        Self::connect_with(url, &PoolOptions::default()).await
    }

    /// Connects; see [`Snowflake::connect`].
    ///
    /// # Errors
    /// As [`crate::connect`].
    pub async fn connect_with(url: &str, pool: &PoolOptions) -> Result<Self, AdapterError> {
        let api = Arc::new(connect::api(url, pool)?);
        let capabilities = connect::capabilities(&api, pool.connect_timeout).await?;
        let permits = usize::try_from(pool.max_connections.max(1)).unwrap_or(usize::MAX);
        let permits = Arc::new(Semaphore::new(permits.min(Semaphore::MAX_PERMITS)));
        Ok(Self { capabilities, api, pool: pool.clone(), permits })
    }
}

#[async_trait]
impl Adapter for Snowflake {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    async fn acquire(&self) -> Result<Box<dyn Connection>, AdapterError> {
        let waited = self.pool.acquire_timeout;
        let permit = Arc::clone(&self.permits).acquire_owned();
        let why = match tokio::time::timeout(waited, permit).await {
            Ok(Ok(permit)) => {
                let limit = self.pool.connect_timeout;
                return Ok(Box::new(Session::new(Arc::clone(&self.api), permit, limit)));
            }
            Ok(Err(_)) => Unavailable::Closed,
            Err(_) => Unavailable::NoneFree { max: self.pool.max_connections.max(1), waited },
        };
        Err(self.api.target.unavailable(why, |error| {
            crate::failure::Said::lasting(crate::Fault::Connection, error.to_string())
        }))
    }

    async fn close(&self) {
        self.permits.close();
    }
}
