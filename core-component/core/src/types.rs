//! What goes into a session and what comes out of it. The records of the WIT contract, in plain
//! Rust; their documentation there is the longer one.

mod batch;

pub use self::batch::{
    Batch, BatchInfo, CopyPart, Join, Kind, Position, Scope, SealReason, Stretch,
};
pub use crate::dialect::Dialect;

/// What a batch may not exceed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one request as it is sent, separators included; at least 1.
    pub max_batch_bytes: u64,
    /// Units of UTF-16 of one request as it is sent; at least 1.
    pub max_batch_characters: Option<u64>,
    /// Bytes that one statement may take while it is read; at least `max_batch_bytes`.
    pub max_statement_bytes: u64,
    /// Statements of one batch, 1 to 1000000.
    pub max_statements: u32,
    /// Statements of one batch as the database counts them, those that are joined as one.
    pub max_commands: Option<u32>,
    /// Rows of `VALUES` in one batch, at least 1.
    pub max_rows: Option<u32>,
    /// Milliseconds that the first statement of a batch may wait for others.
    pub max_age_ms: Option<u64>,
    /// Batches that may be under way at once, 1 to 64.
    pub max_in_flight: u32,
    /// Whether the host deals with one batch after another, in their order, and with none behind one
    /// that was interrupted.
    pub sequential: bool,
}

impl Default for Limits {
    /// 1 MiB a batch, 64 MiB a statement, 1000000 statements, one batch in flight.
    fn default() -> Self {
        Self {
            max_batch_bytes: 1 << 20,
            max_batch_characters: None,
            max_statement_bytes: 64 << 20,
            max_statements: 1_000_000,
            max_commands: None,
            max_rows: None,
            max_age_ms: None,
            max_in_flight: 1,
            sequential: false,
        }
    }
}

/// What becomes of a single statement above [`Limits::max_batch_bytes`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Oversized {
    /// It is refused before any of it runs.
    Refuse,
    /// It is sent by itself if it has at most this many bytes, else refused.
    SendAlone(u64),
}

/// How far a transaction of the batcher's own reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transactions {
    /// Each batch is applied whole or not at all.
    Batch,
    /// The whole run is one transaction, which the host opens and ends.
    Run,
    /// None: each statement stands for itself.
    None,
}

/// How consecutive INSERTs are joined to one of several rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Merging {
    /// Rows of one joined INSERT, at least 1; one that has more by itself is left as it is, and, where
    /// rows are not located, one of more than 16 KiB.
    pub max_rows: u32,
    /// Whether a batch says where the rows of its INSERTs are, joined or not.
    pub locates_rows: bool,
    /// Whether `INSERT IGNORE`, `ON DUPLICATE KEY UPDATE` and `ON CONFLICT … DO UPDATE` are, too.
    pub joins_conflicts: bool,
}

impl Default for Merging {
    /// All that may be joined, as many rows as the batch takes.
    fn default() -> Self {
        Self { max_rows: u32::MAX, locates_rows: false, joins_conflicts: true }
    }
}

/// What happens when a hook fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HookPolicy {
    /// The run ends.
    Abort,
    /// The hook is passed over for this batch.
    Ignore,
}

/// What a session knows of a hook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HookOptions {
    /// What it is called in messages; 1 to 64 characters.
    pub name: String,
    /// What happens when it fails.
    pub policy: HookPolicy,
}

/// How a session is to batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Whose client's rules split the script.
    pub dialect: Dialect,
    /// What a batch may not exceed.
    pub limits: Limits,
    /// What becomes of a statement that is larger than a batch may be.
    pub oversized: Oversized,
    /// How far a transaction of the batcher's own reaches.
    pub transactions: Transactions,
    /// Whether and how INSERTs are joined.
    pub merging: Option<Merging>,
    /// The hooks, in the order of registration; at most 64.
    pub hooks: Vec<HookOptions>,
    /// Bytes of a batch that are left free for what hooks add; a statement that would not fit so by
    /// itself may have them. Less than the limit of bytes.
    pub hook_room: u64,
}

impl Options {
    /// The defaults for a dialect.
    #[must_use]
    pub fn new(dialect: Dialect) -> Self {
        Self {
            dialect,
            limits: Limits::default(),
            oversized: Oversized::Refuse,
            transactions: Transactions::Batch,
            merging: None,
            hooks: Vec::new(),
            hook_room: 0,
        }
    }
}

/// Why the database did not deal with a whole batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cause {
    /// It refused a request.
    Failed,
    /// It cannot be known whether a request was applied.
    Unknown,
    /// The rest was never sent, or taken back before it could change anything.
    Cancelled,
}

/// Where a batch was interrupted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interruption {
    /// Why.
    pub cause: Cause,
    /// How many statements after the settled ones share the cause; those after them were not sent.
    pub statements: u32,
    /// The index of the statement at fault, where it is known.
    pub statement: Option<u32>,
}

/// How a batch ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// How many statements, from the first on, stay applied or were left out as bad: all of them
    /// where nothing interrupted the batch, whatever is said here.
    pub settled: u32,
    /// Those of them that were left out as bad, by index, ascending.
    pub rejected: Vec<u32>,
    /// Rows that the database says were affected, where it says so.
    pub rows: Option<u64>,
    /// Why not all statements are settled, where they are not.
    pub interruption: Option<Interruption>,
}

impl Outcome {
    /// All of it is applied.
    #[must_use]
    pub fn applied(rows: Option<u64>) -> Self {
        Self { rows, ..Self::default() }
    }
}

/// What became of a request to execute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Execution {
    /// It is done.
    Finished(Outcome),
    /// It is under way.
    Pending,
}

/// What a hook wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Go on.
    Proceed,
    /// Send this instead.
    Replace(Vec<u8>),
    /// Leave the batch out, for this reason.
    Skip(String),
    /// End the run, for this reason.
    Abort(String),
}

/// What went wrong in the batching itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FailureKind {
    /// Options that contradict each other or leave their range.
    InvalidOptions,
    /// Input that no client could send.
    InvalidQuery,
    /// A statement, or a body given by a hook, above a limit.
    BatchSizeExceeded,
    /// A hook failed or ended the run.
    Hook,
    /// A batch failed or its outcome is unknown.
    Execution,
    /// The host broke the contract.
    Misuse,
}

/// A failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What kind.
    pub kind: FailureKind,
    /// One line, lower case, fact then number.
    pub message: String,
    /// Where in the input, where that is known.
    pub at: Option<Position>,
    /// Which batch, where it is about one.
    pub batch: Option<u64>,
}

impl Failure {
    pub(crate) fn new(kind: FailureKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), at: None, batch: None }
    }

    pub(crate) fn at(mut self, position: Position) -> Self {
        self.at = Some(position);
        self
    }

    pub(crate) fn in_batch(mut self, id: u64) -> Self {
        self.batch = Some(id);
        self
    }
}

/// The account of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Statements found in the input so far.
    pub statements: u64,
    /// In the database, as the script wanted it.
    pub applied: u64,
    /// Refused by the database.
    pub failed: u64,
    /// Taken back with a failed statement of the same transaction.
    pub rolled_back: u64,
    /// Refused by the database and left out as bad; the run went on without them.
    pub rejected: u64,
    /// Left out by a hook.
    pub skipped: u64,
    /// Sent, and it cannot be known what became of them.
    pub unknown: u64,
    /// Found, and not sent.
    pub not_reached: u64,
    /// Sent or waiting, their fate not yet decided.
    pub open: u64,
    /// Batches handed to the database.
    pub batches: u64,
    /// Bytes of their bodies.
    pub bytes: u64,
    /// Rows affected, as far as the database said.
    pub rows: u64,
    /// Bytes of input read up to the end of the last whole statement.
    pub read: u64,
}

/// What the host may do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Batches under way.
    pub in_flight: u32,
    /// Whether more input is wanted.
    pub ready: bool,
    /// When `tick` is due.
    pub deadline_ms: Option<u64>,
    /// The failure that ended the run.
    pub failure: Option<Failure>,
    /// The account, once the run has ended and nothing is under way.
    pub report: Option<Report>,
}

/// Something to count or to tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A batch was closed.
    Sealed(BatchInfo),
    /// A command of the database's client was passed over.
    CommandPassedOver(Position),
    /// A statement lets the session change values rather than refuse them: no INSERTs are joined
    /// from here on.
    MergingEnded(Position),
    /// A hook failed and its policy is to ignore it.
    HookIgnored(HookEvent),
    /// A hook wanted a batch left out.
    BatchSkipped(HookEvent),
}

/// What a hook did to a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HookEvent {
    /// The hook, by its index.
    pub hook: u32,
    /// The batch.
    pub batch: u64,
    /// Why.
    pub reason: String,
}

/// The capabilities that a host gives to a session.
pub trait Host {
    /// Starts one batch. Never blocks.
    fn execute(&mut self, batch: Batch) -> Execution;

    /// Called in the order of registration, once for each batch.
    ///
    /// # Errors
    /// What went wrong in the hook.
    fn pre_batch(&mut self, hook: u32, batch: &Batch) -> Result<Verdict, String>;

    /// Called in reverse order, once for each batch that was executed, with its final outcome.
    ///
    /// # Errors
    /// What went wrong in the hook.
    fn post_batch(&mut self, hook: u32, batch: BatchInfo, outcome: &Outcome) -> Result<(), String>;

    /// Takes one event.
    fn emit(&mut self, event: Event);
}
