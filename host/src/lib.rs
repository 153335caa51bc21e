//! Streams of SQL in, requests that keep every limit of the database out.
//!
//! A run takes SQL as scripts or as single statements, splits it as the database's own client
//! would, packs it into batches, applies them in order, and says exactly what was applied. What
//! decides about batches is a WebAssembly component in a sandbox; this crate is its native host.
//!
//! - [`Batcher`] runs on a database, and [`blocking::Batcher`] is the same without `async`;
//! - [`Splitter`] splits and batches, and touches no database;
//! - [`adapters`] are the databases;
//! - [`hooks`] look at every batch, in Rust or as sandboxed components;
//! - [`Options`] are the limits, [`Report`] is the account, [`Error`] is what went wrong.
//!
//! ```
//! use sql_batcher::{Batcher, adapters::Sqlite};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> sql_batcher::Result<()> {
//! let db = Sqlite::connect("sqlite::memory:").await?;
//! let mut batcher = Batcher::builder(db).max_bytes(256 * 1024).build().await?;
//! batcher.add("CREATE TABLE foo (id INTEGER, name TEXT)").await?;
//! batcher.add("INSERT INTO foo VALUES (1, 'bar')").await?;
//! println!("{}", batcher.finish().await?);
//! # Ok(())
//! # }
//! ```

pub mod blocking;
pub mod hooks;

mod account;
mod batch;
mod batcher;
mod builder;
mod connect;
mod driver;
mod error;
mod guard;
mod histogram;
mod input;
mod ledger;
mod metrics;
mod narrow;
mod options;
mod pieces;
mod progress;
mod rejects;
mod report;
mod retry;
mod run_batch;
mod sandbox;
mod send;
mod session_memory;
mod slot;
mod splitter;
mod tally;
mod trouble;

/// The databases: one [`Adapter`](adapters::Adapter) for each.
pub mod adapters {
    pub use sql_batcher_adapters::*;
}

pub use batch::{Batch, Join, SealReason, StatementKind, Stretch};
pub use batcher::{Batcher, Canceller};
pub use builder::Builder;
pub use connect::connect;
pub use error::{Error, ErrorKind, Fault, Position, Result, Retry};
pub use ledger::{InDoubt, LedgerOptions};
pub use metrics::{METRICS, Metric, MetricKind};
pub use options::{Options, Oversized, SandboxLimits, Transactions};
pub use rejects::{Reject, Rejects, RejectsFile};
pub use report::{BatchTimes, Failure, Report};
pub use retry::{Backoff, RetryCounts, RetryOptions};
pub use sandbox::Core;
pub use splitter::Splitter;
pub use sql_batcher_adapters::{CopyPart, Dialect, Scope};
pub use tally::Snapshot;

/// The batching component, as WebAssembly: what [`Core::embedded`] compiles. Other hosts of the
/// same contract (the world `batcher` of `wit/`) may run it, too.
pub static CORE_COMPONENT: &[u8] =
    include_bytes!(concat!(env!("OUT_DIR"), "/sql_batcher_core.wasm"));

#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
