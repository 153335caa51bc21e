//! The batching logic of sql-batcher: a stream of SQL text goes in, batches that keep every limit
//! come out, outcomes go in, an exact account comes out.
//!
//! It does no I/O, has no clock, no randomness, no threads and no global state. What it needs it is
//! given: text, the time as a number, a [`Host`] that executes batches.
//!
//! ```
//! use sql_batcher_core::{Batch, BatchInfo, Dialect, Event, Execution, Host, Options, Outcome,
//!     Session, Verdict};
//!
//! struct Print;
//! impl Host for Print {
//!     fn execute(&mut self, batch: Batch) -> Execution {
//!         print!("{}", String::from_utf8_lossy(&batch.body));
//!         Execution::Finished(Outcome::applied(None))
//!     }
//!     fn pre_batch(&mut self, _: u32, _: &Batch) -> Result<Verdict, String> {
//!         Ok(Verdict::Proceed)
//!     }
//!     fn post_batch(&mut self, _: u32, _: BatchInfo, _: &Outcome) -> Result<(), String> {
//!         Ok(())
//!     }
//!     fn emit(&mut self, _: Event) {}
//! }
//!
//! let mut session = Session::open(Options::new(Dialect::Generic)).unwrap();
//! session.push(&mut Print, b"SELECT 1; SELECT ';".to_vec(), 0);
//! let progress = session.push(&mut Print, b"';".to_vec(), 0);
//! assert!(progress.failure.is_none());
//! assert_eq!(session.finish(&mut Print, 0).report.unwrap().applied, 2);
//! ```
#![forbid(unsafe_code)]

mod account;
mod alike;
mod blocks;
mod body;
mod classes;
mod classify;
mod client_command;
mod collected;
mod constant;
mod copy;
mod dialect;
mod family;
mod filling;
mod following;
mod input;
mod insert;
mod intake;
mod joined;
mod lanes;
mod lexer;
mod merging;
mod placement;
mod plain;
mod position;
mod replace;
mod routine;
mod run;
mod scan;
mod scripting;
mod sequence;
mod session;
mod settings;
mod splitter;
mod tail;
mod transaction;
mod trials;
mod types;

pub use session::Session;
pub use types::{
    Batch, BatchInfo, Cause, CopyPart, Dialect, Event, Execution, Failure, FailureKind, HookEvent,
    HookOptions, HookPolicy, Host, Interruption, Join, Kind, Limits, Merging, Options, Outcome,
    Oversized, Position, Progress, Report, Scope, SealReason, Stretch, Transactions, Verdict,
};
