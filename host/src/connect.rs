//! Connecting, as often as may be and is needed.

use sql_batcher_adapters::{Adapter, PoolOptions};
use tokio::time::{Instant, sleep};

use crate::{Error, Result, RetryOptions, run_batch::End};

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
    let started = Instant::now();
    let mut delays = retries.delays();
    let mut attempts = 1;
    loop {
        let error = match sql_batcher_adapters::connect(url, pool).await {
            Ok(adapter) => return Ok(adapter),
            Err(error) => error,
        };
        let transient = error.transient && error.code.is_some();
        let delay = delays.next().filter(|_| transient);
        let Some(delay) = delay else {
            let end = match attempts > 1 && transient {
                true => End::Exhausted { over: started.elapsed() },
                false => End::Final,
            };
            return Err(Error::from(error).after(attempts, end));
        };
        sleep(delay).await;
        attempts += 1;
    }
}
