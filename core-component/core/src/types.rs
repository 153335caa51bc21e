//! What goes into a session and what comes out of it. The records of the WIT contract, in plain
//! Rust; their documentation there is the longer one.

use std::ops::Range;

pub use crate::dialect::Dialect;
use crate::position::Cursor;

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

/// Where something is in the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// Number of the statement in the whole run.
    pub statement: u64,
    /// Bytes before it, over all inputs of the run.
    pub offset: u64,
    /// Line of its own input.
    pub line: u32,
    /// Column, in characters of UTF-8.
    pub column: u32,
}

/// What a statement does, by its first words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Only reads.
    Select,
    /// `INSERT`
    Insert,
    /// `REPLACE`
    Replace,
    /// `UPDATE`
    Update,
    /// `DELETE`
    Delete,
    /// `MERGE`
    Merge,
    /// `COPY`
    Copy,
    /// `CREATE`
    Create,
    /// Changes a definition.
    Alter,
    /// `DROP`
    Drop,
    /// `TRUNCATE`
    Truncate,
    /// `GRANT`, `REVOKE`
    Grant,
    /// Changes the session.
    Set,
    /// Opens a transaction.
    Begin,
    /// Ends a transaction and keeps it.
    Commit,
    /// Ends a transaction and takes it back.
    Rollback,
    /// Works on a savepoint.
    Savepoint,
    /// `LOCK`, `UNLOCK`
    Lock,
    /// `CALL`, `DO`, `EXECUTE`
    Call,
    /// Maintains.
    Maintain,
    /// Anything else.
    Other,
}

impl Kind {
    /// Whether such statements may run beside each other: their order means nothing to the
    /// database but for the rows themselves.
    #[must_use]
    pub fn is_plain_change(self) -> bool {
        matches!(self, Kind::Insert | Kind::Update | Kind::Delete | Kind::Copy | Kind::Replace)
    }
}

/// How a batch is to be applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// As one transaction of the host's.
    Atomic,
    /// As it is, outside any transaction.
    Bare,
    /// As it is, inside a transaction that spans batches or is the script's own.
    Scripted,
}

/// Which part of a `COPY … FROM stdin` block a batch is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CopyPart {
    /// The statement and all of its data.
    Whole,
    /// The statement and the beginning of its data.
    First,
    /// Data alone.
    Middle,
    /// The last of the data.
    Last,
}

/// Why a batch was closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SealReason {
    /// The next statement would exceed the limit of bytes.
    Bytes,
    /// The limit of statements was reached.
    Statements,
    /// The limit of rows would be exceeded.
    Rows,
    /// The age limit was reached.
    Age,
    /// The statement, or the next one, goes alone.
    Alone,
    /// A transaction of the script's own begins or ends.
    Transaction,
    /// `flush` was called.
    Flush,
    /// The input has ended.
    Finish,
    /// What comes next is refused.
    Refusal,
}

/// INSERTs that stand one behind the other and differ in their rows only. They are sent as one: for
/// what stands between the rows of one and the rows of the next, a comma is sent. Each ends in a
/// semicolon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Join {
    /// The index of the first.
    pub first: u32,
    /// How many there are, at least 1; more than 1 unless the batch locates all rows.
    pub statements: u32,
    /// Bytes of each from its beginning to its first row.
    pub prefix: u32,
    /// Bytes of each behind its last row, up to its terminator.
    pub tail: u32,
}

/// Statements of one kind that stand in the input as they do in the body, one behind the other and
/// each in a line of its own behind the first. It reaches to the next stretch, or to the last
/// statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stretch {
    /// The index of the first.
    pub first: u32,
    /// Bytes of input before the first.
    pub offset: u64,
    /// The line in which the first starts.
    pub line: u32,
    /// The column at which the first starts.
    pub column: u32,
    /// Bytes in the body behind the text of each, without the newline that parts it from the next
    /// statement.
    pub terminator: u32,
    /// What each does.
    pub kind: Kind,
}

/// One request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// Its number.
    pub id: u64,
    /// The number of its first statement in the run.
    pub first_statement: u64,
    /// What is sent. To the hooks: the statements one by one, as [`Batch::apart`] has them.
    pub body: Vec<u8>,
    /// Whether all of the body is ASCII.
    pub is_ascii: bool,
    /// Where each statement ends in the body, its separator included; that is a comma where the next
    /// is joined to it.
    pub ends: Vec<u32>,
    /// Where the statements come from, and what they do.
    pub stretches: Vec<Stretch>,
    /// Rows of `VALUES`, where they are counted.
    pub rows: u32,
    /// Which statements are sent as one, in their order.
    pub joins: Vec<Join>,
    /// How it is to be applied.
    pub scope: Scope,
    /// Whether a transaction of the script's own ends with its last statement.
    pub ends_transaction: bool,
    /// Where it is part of a `COPY` block: which.
    pub copy: Option<CopyPart>,
    /// Why it was closed.
    pub sealed_by: SealReason,
}

impl Batch {
    /// The stretches that these statements are of, each with those of them that it has.
    fn stretches_of(&self, range: Range<usize>) -> impl Iterator<Item = (Stretch, Range<usize>)> {
        let index = self.stretches.partition_point(|stretch| stretch.first as usize <= range.start);
        let from = index.saturating_sub(1);
        (from..self.stretches.len()).map_while(move |index| {
            let stretch = *self.stretches.get(index)?;
            let next = self.stretches.get(index + 1).map(|next| next.first as usize);
            let end = next.unwrap_or(self.ends.len()).min(range.end);
            let statements = range.start.max(stretch.first as usize)..end;
            (!statements.is_empty()).then_some((stretch, statements))
        })
    }

    /// The stretch that a statement is of.
    fn stretch_of(&self, index: usize) -> Option<Stretch> {
        self.stretches_of(index..index.saturating_add(1)).next().map(|(stretch, _)| stretch)
    }

    /// Where each statement starts in the input. Of a batch whose statements are apart.
    pub fn positions(&self) -> impl Iterator<Item = Position> {
        self.stretches_of(0..self.ends.len()).flat_map(move |(stretch, statements)| {
            let Stretch { offset, line, column, .. } = stretch;
            let mut at = Cursor { offset, line, column };
            statements.map(move |index| {
                let Cursor { offset, line, column } = at;
                at =
                    at.after(self.body.get(self.start(index)..self.end(index)).unwrap_or_default());
                Position { statement: self.first_statement + index as u64, offset, line, column }
            })
        })
    }

    /// Where a statement starts in the body.
    pub(crate) fn start(&self, index: usize) -> usize {
        let before = index.checked_sub(1).and_then(|before| self.ends.get(before));
        before.map_or(0, |&end| end as usize)
    }

    /// Where a statement ends in the body, with all that is behind its text.
    pub(crate) fn end(&self, index: usize) -> usize {
        self.ends.get(index).map_or(0, |&end| end as usize)
    }

    /// Bytes of a statement, without terminator. Of a batch whose statements are apart.
    #[must_use]
    pub fn length(&self, index: usize) -> usize {
        let terminator = self.stretch_of(index).map_or(0, |stretch| stretch.terminator as usize);
        let newline = usize::from(index + 1 < self.ends.len());
        (self.end(index) - self.start(index)).saturating_sub(terminator + newline)
    }

    /// The text of a statement, without terminator. Of a batch whose statements are apart.
    #[must_use]
    pub fn statement(&self, index: usize) -> &[u8] {
        let start = self.start(index);
        self.body.get(start..start + self.length(index)).unwrap_or_default()
    }

    /// The batch without its text.
    #[must_use]
    pub fn info(&self) -> BatchInfo {
        BatchInfo {
            id: self.id,
            first_statement: self.first_statement,
            statements: u32::try_from(self.ends.len()).unwrap_or(u32::MAX),
            bytes: self.body.len() as u64,
            sealed_by: self.sealed_by,
        }
    }
}

/// A batch without its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchInfo {
    /// Its number.
    pub id: u64,
    /// The number of its first statement in the run.
    pub first_statement: u64,
    /// How many statements it has.
    pub statements: u32,
    /// Bytes of its body.
    pub bytes: u64,
    /// Why it was closed.
    pub sealed_by: SealReason,
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
