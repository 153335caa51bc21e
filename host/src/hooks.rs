//! Hooks: code that looks at every batch before it is sent and after it has ended.
//!
//! A hook is registered under a name when a run is built, with [`Builder::hook`] or, where it is a
//! WebAssembly component in a sandbox of its own, [`Builder::sandboxed_hook`]. Before a batch is
//! sent each is asked once, in the order of registration; after it has ended each is told once, in
//! reverse order, with the final outcome: further attempts of the batch are not theirs to see.
//!
//! Hooks are called on the task that drives the run, so they should be quick: what they wait for,
//! the run waits for. Their time does not count against the limits of the batching component.
//!
//! [`Builder::hook`]: crate::Builder::hook
//! [`Builder::sandboxed_hook`]: crate::Builder::sandboxed_hook

mod audit;
mod registry;

use std::error::Error as StdError;

pub use audit::AuditLog;
pub(crate) use registry::{Hooks, Told};

pub use crate::sandbox::{HookLimits, SandboxedHook};
use crate::{
    batch::{Batch, SealReason},
    error::Position,
};

/// What went wrong in a hook. Its text is shown to people, on one line.
pub type HookError = Box<dyn StdError + Send + Sync>;

/// Looks at batches.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> sql_batcher::Result<()> {
/// use sql_batcher::{
///     Batch, Batcher, ErrorKind, StatementKind,
///     adapters::Sqlite,
///     hooks::{Hook, HookError, HookPolicy, Verdict},
/// };
///
/// /// Ends the run before anything is dropped.
/// struct NoDrop;
///
/// impl Hook for NoDrop {
///     fn pre_batch(&mut self, batch: &Batch) -> Result<Verdict, HookError> {
///         match batch.stretches.iter().any(|stretch| stretch.kind == StatementKind::Drop) {
///             true => Ok(Verdict::Abort("nothing may be dropped".to_owned())),
///             false => Ok(Verdict::Proceed),
///         }
///     }
/// }
///
/// let db = Sqlite::connect("sqlite::memory:").await?;
/// let mut batcher =
///     Batcher::builder(db).hook("no-drop", HookPolicy::Abort, NoDrop).build().await?;
/// batcher.push_str("CREATE TABLE t (a); DROP TABLE t;").await?;
/// let error = batcher.finish().await.unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::Hook);
/// assert_eq!(error.to_string(), "hook \"no-drop\" ended the run: nothing may be dropped");
/// # Ok(())
/// # }
/// ```
pub trait Hook: Send {
    /// Called before the batch is sent, once, however often it is tried. By default it proceeds.
    ///
    /// # Errors
    /// Whatever went wrong; what follows is the hook's [`HookPolicy`]'s to say. A panic is caught,
    /// and counts as an error.
    fn pre_batch(&mut self, batch: &Batch) -> Result<Verdict, HookError> {
        let _ = batch;
        Ok(Verdict::Proceed)
    }

    /// Called once after the batch has ended, with its final outcome. By default it does nothing.
    /// Not called for a batch that a hook has skipped, and where the run is aborted while the batch
    /// is under way.
    ///
    /// # Errors
    /// As [`pre_batch`](Self::pre_batch). What was applied stays applied.
    fn post_batch(&mut self, batch: &BatchInfo, outcome: &Outcome) -> Result<(), HookError> {
        let _ = (batch, outcome);
        Ok(())
    }
}

/// What a hook wants done with a batch. What it may not have counts as a failure of the hook.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// It is sent.
    Proceed,
    /// This is sent instead, and shown to the hooks that follow. It is split and sized again, by
    /// the rules of the batch's dialect: it must keep all limits, have as many statements as there
    /// were (so that each keeps its place in the account), leave `BEGIN`, `COMMIT`, `ROLLBACK`,
    /// `SAVEPOINT` and `LOCK` as they are but for comments behind them, and have no statement that
    /// cannot share a transaction. The data of a `COPY` cannot be replaced.
    ///
    /// With a ledger the checksum is that of what is sent: a run that is resumed needs hooks that
    /// give the same text again.
    Replace(Vec<u8>),
    /// It is left out, for this reason, and its statements are counted as skipped; the hooks that
    /// follow are not asked. Not possible inside a transaction of the script's own, and for a part
    /// of a `COPY` that takes several batches.
    Skip(String),
    /// The run ends, for this reason: [`ErrorKind::Hook`](crate::ErrorKind::Hook).
    Abort(String),
}

/// What happens when a hook fails: it returns an error, panics, traps, reaches a limit of its
/// sandbox, or wants what it may not have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum HookPolicy {
    /// The run ends with [`ErrorKind::Hook`](crate::ErrorKind::Hook), or with
    /// [`ErrorKind::BatchSizeExceeded`](crate::ErrorKind::BatchSizeExceeded) where it has given a
    /// body that is too large: the default.
    #[default]
    Abort,
    /// The hook is passed over for this batch. The report counts it
    /// ([`Report::hook_failures`](crate::Report::hook_failures)) and says the first reason.
    Ignore,
}

/// A batch without its text.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BatchInfo {
    /// Its number in the run, from 1.
    pub id: u64,
    /// The number of its first statement in the run, from 1.
    pub first_statement: u64,
    /// How many statements it has; 0 where it carries only data of a `COPY`.
    pub statements: u32,
    /// Bytes of its body.
    pub bytes: u64,
    /// Why it was closed.
    pub sealed_by: SealReason,
    /// Where its first statement starts; none where it carries only data of a `COPY`.
    pub from: Option<Position>,
}

/// How a batch ended, all attempts taken together.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Outcome {
    /// How.
    pub ending: Ending,
    /// Statements, from the first on, that stay applied or were left out as bad.
    pub settled: u32,
    /// Those of them that were left out as bad, by index from 0, ascending.
    pub rejected: Vec<u32>,
    /// How many statements behind those share the ending, as they were sent together; 0 where all
    /// of it was dealt with.
    pub interrupted: u32,
    /// The index of the statement at fault, from 0, where it is known.
    pub fault: Option<u32>,
    /// Rows that the database says were affected, where it says so.
    pub rows: Option<u64>,
}

/// How a batch ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Ending {
    /// All of it was dealt with.
    Applied,
    /// The database refused a request, and the run ends.
    Failed,
    /// It cannot be known whether a request was applied, and the run ends.
    Unknown,
    /// The rest was never sent, or taken back before it could change anything.
    Cancelled,
}

/// A hook of a closure that is called before each batch.
///
/// ```
/// use sql_batcher::{Batch, hooks::{self, Verdict}};
///
/// let hook = hooks::before(|batch: &Batch| {
///     println!("{} statements", batch.statements());
///     Ok(Verdict::Proceed)
/// });
/// # let _: &dyn hooks::Hook = &hook;
/// ```
pub fn before(
    hook: impl FnMut(&Batch) -> Result<Verdict, HookError> + Send + 'static,
) -> impl Hook + 'static {
    Before(hook)
}

/// A hook of a closure that is called after each batch.
///
/// ```
/// use sql_batcher::hooks::{self, BatchInfo, Outcome};
///
/// let hook = hooks::after(|batch: &BatchInfo, outcome: &Outcome| {
///     println!("batch {}: {:?}", batch.id, outcome.ending);
///     Ok(())
/// });
/// # let _: &dyn hooks::Hook = &hook;
/// ```
pub fn after(
    hook: impl FnMut(&BatchInfo, &Outcome) -> Result<(), HookError> + Send + 'static,
) -> impl Hook + 'static {
    After(hook)
}

struct Before<F>(F);

impl<F: FnMut(&Batch) -> Result<Verdict, HookError> + Send> Hook for Before<F> {
    fn pre_batch(&mut self, batch: &Batch) -> Result<Verdict, HookError> {
        (self.0)(batch)
    }
}

struct After<F>(F);

impl<F: FnMut(&BatchInfo, &Outcome) -> Result<(), HookError> + Send> Hook for After<F> {
    fn post_batch(&mut self, batch: &BatchInfo, outcome: &Outcome) -> Result<(), HookError> {
        (self.0)(batch, outcome)
    }
}
