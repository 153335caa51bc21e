//! Connecting, as often as may be and is needed.

use sql_batcher_adapters::{Adapter, PoolOptions};
use tokio::time::sleep;

use crate::{Error, Result, RetryOptions, retry::Attempts, trouble::End};

/// As [`adapters::connect`](crate::adapters::connect), tried again where the server itself says
/// that a failure may pass: it starts, or has no connection free. A server that does not answer at
/// all is reported at once: its address may be wrong.
///
/// ```
/// use sql_batcher::{Batcher, RetryOptions, adapters::PoolOptions, connect};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> sql_batcher::Result<()> {
/// let pool = PoolOptions::default();
/// let database = connect("sqlite::memory:", &pool, &RetryOptions::default()).await?;
/// let batcher = Batcher::builder_boxed(database).build().await?;
/// # batcher.finish().await?;
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// As [`adapters::connect`](crate::adapters::connect);
/// [`ErrorKind::RetriesExhausted`](crate::ErrorKind::RetriesExhausted) after the last attempt,
/// where there was more than one.
pub async fn connect(
    url: &str,
    pool: &PoolOptions,
    retries: &RetryOptions,
) -> Result<Box<dyn Adapter>> {
    let mut attempts = Attempts::new(retries);
    loop {
        let error = match sql_batcher_adapters::connect(url, pool).await {
            Ok(adapter) => return Ok(adapter),
            Err(error) => error,
        };
        let may_pass = error.transient && error.code.is_some();
        match if may_pass { attempts.delay() } else { Err(End::Final) } {
            Ok(delay) => sleep(delay).await,
            Err(end) => return Err(Error::from(error).after(attempts.count, end)),
        }
        attempts.count += 1;
    }
}
