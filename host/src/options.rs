//! What a run may be told, checked before it starts.

mod settings;

use std::{fmt::Display, ops::RangeInclusive, time::Duration};

use sql_batcher_adapters::Dialect;

pub(crate) use self::settings::Settings;
use crate::{Error, ErrorKind, LedgerOptions, Result, RetryOptions};

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

const BYTES: RangeInclusive<u64> = 1..=GIB;
const STATEMENTS: RangeInclusive<u32> = 1..=1_000_000;
const ROWS: RangeInclusive<u32> = 1..=u32::MAX;
const AGE: RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_secs(86_400);
const CALL_TIMEOUT: RangeInclusive<Duration> =
    Duration::from_millis(10)..=Duration::from_secs(3600);
const WAIT: RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_secs(3600);
const TIMEOUT: RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_secs(86_400);
const DEADLINE: RangeInclusive<Duration> =
    Duration::from_millis(1)..=Duration::from_secs(30 * 86_400);
const RETRIES: RangeInclusive<u32> = 0..=1000;
/// The most that the component keeps apart.
const IN_FLIGHT: RangeInclusive<u32> = 1..=64;
/// Bytes of a batch that are left free where there are hooks, unless others are wanted.
const HOOK_ROOM: u64 = 1024;
/// The most that 32-bit WebAssembly can address.
const MEMORY: RangeInclusive<u64> = MIB..=4 * GIB;

/// How far a transaction of the batcher's own reaches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Transactions {
    /// Each batch is applied whole or not at all, where the database can: the default.
    #[default]
    Batch,
    /// The whole run is one transaction: everything is applied or nothing. Statements that control
    /// transactions, or cannot run inside one, are refused.
    Run,
    /// None: each statement stands for itself, as the database's own client would have it.
    None,
}

/// What becomes of a single statement that is larger than a batch may be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Oversized {
    /// It is refused ([`ErrorKind::BatchSizeExceeded`]) before any of it runs: the default.
    #[default]
    Refuse,
    /// It is sent by itself where the database's own limit and
    /// [`Options::max_statement_bytes`] allow, else refused.
    SendAlone,
}

/// What the sandbox around the batching component may use. The defaults follow from the other
/// options; they are limits, not reservations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SandboxLimits {
    /// Bytes of linear memory, 1 MiB to 4 GiB. Default, none: what the other options can need:
    /// 16 MiB, and 3 times the largest statement, and 4 times the largest batch for each that may be
    /// in flight and, without hooks, one more, and 128 bytes for each statement that a batch may
    /// have; with hooks 4 more times the largest batch, and 256 more bytes for each statement.
    pub memory_bytes: Option<u64>,
    /// Wall time of one call into the sandbox, which takes one piece of input (256 KiB): 10 ms to
    /// 1 hour, kept to the next 5 ms. Default 10 s.
    pub call_timeout: Duration,
}

impl Default for SandboxLimits {
    fn default() -> Self {
        Self { memory_bytes: None, call_timeout: Duration::from_secs(10) }
    }
}

/// How a run batches. Every option has a default; a value out of its range is an
/// [`ErrorKind::InvalidOptions`] when the run is built.
///
/// ```
/// use sql_batcher::Options;
///
/// let options = Options::default().max_bytes(64 * 1024).max_statements(500);
/// assert!(options.check().is_ok());
/// let error = options.max_bytes(0).check().unwrap_err();
/// assert_eq!(error.to_string(), "max_bytes of 0 is not in the range 1 to 1073741824");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    max_bytes: u64,
    max_statement_bytes: Option<u64>,
    max_statements: u32,
    max_rows: Option<u32>,
    max_age: Option<Duration>,
    transactions: Transactions,
    oversized: Oversized,
    dialect: Option<Dialect>,
    sandbox: SandboxLimits,
    retries: RetryOptions,
    times: Times,
    in_flight: u32,
    show_values: bool,
    ledger: Option<LedgerOptions>,
    hook_room: Option<u64>,
    merge_inserts: bool,
    max_insert_rows: Option<u32>,
    fast_path: bool,
}

/// How INSERTs are joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Merging {
    pub(crate) max_rows: u32,
    pub(crate) locates_rows: bool,
    /// Whether `INSERT IGNORE`, `ON DUPLICATE KEY UPDATE` and `ON CONFLICT … DO UPDATE` are, too.
    pub(crate) joins_conflicts: bool,
}

/// Limits on time; none: no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Times {
    pub(crate) connect_timeout: Option<Duration>,
    pub(crate) attempt_timeout: Option<Duration>,
    pub(crate) deadline: Option<Duration>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            max_bytes: MIB,
            max_statement_bytes: None,
            max_statements: 100_000,
            max_rows: None,
            max_age: None,
            transactions: Transactions::default(),
            oversized: Oversized::default(),
            dialect: None,
            sandbox: SandboxLimits::default(),
            retries: RetryOptions::default(),
            times: Times::default(),
            in_flight: 1,
            show_values: false,
            ledger: None,
            hook_room: None,
            merge_inserts: false,
            max_insert_rows: None,
            fast_path: false,
        }
    }
}

impl Options {
    /// The most bytes of one request, separators included: 1 to 1 GiB, default 1 MiB. Where the
    /// database takes less, its own limit holds.
    pub fn max_bytes(mut self, bytes: u64) -> Self {
        self.max_bytes = bytes;
        self
    }

    /// The most bytes that one statement may take while it is read, which bounds what an unclosed
    /// quote can buffer: `max_bytes` to 1 GiB, default 64 MiB or `max_bytes`, whichever is more.
    pub fn max_statement_bytes(mut self, bytes: u64) -> Self {
        self.max_statement_bytes = Some(bytes);
        self
    }

    /// The most statements of one batch: 1 to 1000000, default 100000, which takes the shortest
    /// statements up to the default of `max_bytes`. Where the database takes less, its own limit
    /// holds.
    pub fn max_statements(mut self, count: u32) -> Self {
        self.max_statements = count;
        self
    }

    /// The most rows of `VALUES` in one batch, where they can be counted: at least 1, default no
    /// limit. A single statement that has more goes alone.
    pub fn max_rows(mut self, count: u32) -> Self {
        self.max_rows = Some(count);
        self
    }

    /// How long the first statement of a batch may wait for others: 1 ms to 1 day, default no
    /// limit. For input that trickles in.
    pub fn max_age(mut self, age: Duration) -> Self {
        self.max_age = Some(age);
        self
    }

    /// Whether INSERTs (and REPLACEs) that stand one behind the other and differ in nothing but
    /// constants become one INSERT of several rows: default no. Where the result could be another
    /// one they are left as they are.
    pub fn merge_inserts(mut self, merges: bool) -> Self {
        self.merge_inserts = merges;
        self
    }

    /// The most rows of an INSERT that others are merged into: at least 1, default what is fastest:
    /// 500 on PostgreSQL, which takes longer for each row of longer ones, 1000 on SQLite, which
    /// takes more memory (unless they take the fast path), elsewhere no limit but those of the batch. Where the database takes less, its own
    /// limit holds.
    pub fn max_insert_rows(mut self, count: u32) -> Self {
        self.max_insert_rows = Some(count);
        self
    }

    /// Whether INSERTs of plain constants may go the fastest way that the database has, where that
    /// gives the same result: `COPY` on PostgreSQL, rows read by the batcher on SQLite. Default no; needs
    /// [`Options::merge_inserts`].
    pub fn fast_path(mut self, takes: bool) -> Self {
        self.fast_path = takes;
        self
    }

    /// How far a transaction of the batcher's own reaches: default [`Transactions::Batch`].
    pub fn transactions(mut self, transactions: Transactions) -> Self {
        self.transactions = transactions;
        self
    }

    /// What becomes of a single statement above `max_bytes`: default [`Oversized::Refuse`].
    pub fn oversized(mut self, oversized: Oversized) -> Self {
        self.oversized = oversized;
        self
    }

    /// Whose client's rules split the script: default that of the database;
    /// [`Dialect::Generic`] where there is none.
    pub fn dialect(mut self, dialect: Dialect) -> Self {
        self.dialect = Some(dialect);
        self
    }

    /// What the sandbox may use: see [`SandboxLimits`].
    pub fn sandbox(mut self, limits: SandboxLimits) -> Self {
        self.sandbox = limits;
        self
    }

    /// How a batch is tried once more: see [`RetryOptions`]. [`RetryOptions::none`] turns it off.
    pub fn retries(mut self, retries: RetryOptions) -> Self {
        self.retries = retries;
        self
    }

    /// How long taking a session may take, waiting for a free one and connecting together: 1 ms to
    /// 1 day. Default none: what the adapter's own
    /// [`PoolOptions`](crate::adapters::PoolOptions) say, 30 s for each of the two.
    pub fn connect_timeout(mut self, limit: Duration) -> Self {
        self.times.connect_timeout = Some(limit);
        self
    }

    /// How long one attempt of a batch may take: 1 ms to 1 day, default no limit. A batch that
    /// takes longer is cancelled on the server, and its connection is dropped. Where the server
    /// confirms that within 2 s the batch is not applied, and may be tried once more; else its
    /// outcome is unknown.
    pub fn attempt_timeout(mut self, limit: Duration) -> Self {
        self.times.attempt_timeout = Some(limit);
        self
    }

    /// How long the whole run may take, from [`build`](crate::Builder::build) on: 1 ms to 30 days,
    /// default no limit. What is under way then is cancelled on the server, nothing more is
    /// started, and the run fails with [`ErrorKind::Timeout`].
    pub fn deadline(mut self, limit: Duration) -> Self {
        self.times.deadline = Some(limit);
        self
    }

    /// How many batches may be under way at once, each on a connection of its own: 1 to 64, default
    /// 1, which keeps the order of all statements. Above 1 only batches of plain `INSERT`,
    /// `UPDATE`, `DELETE`, `REPLACE` and `COPY` run beside one another, in any order; before any
    /// other statement all before it are applied, and it is before those after it start. What asks
    /// for the last inserted id of an earlier batch needs 1. A database that takes one writer at a
    /// time (SQLite) has 1 in any case.
    pub fn in_flight(mut self, batches: u32) -> Self {
        self.in_flight = batches;
        self
    }

    /// Whether errors and reports may have what a database quotes in its messages: values of the
    /// data, pieces of the SQL. Default false: `…` stands in their place, and
    /// [`Error::position`](crate::Error::position) says where they are. Rejected statements are
    /// always kept with the whole message.
    pub fn show_values(mut self, show: bool) -> Self {
        self.show_values = show;
        self
    }

    /// Keeps a ledger in the database, from which the run can be resumed: default none. See
    /// [`LedgerOptions`]. It needs transactions: not [`Transactions::None`].
    pub fn ledger(mut self, ledger: LedgerOptions) -> Self {
        self.ledger = Some(ledger);
        self
    }

    /// Bytes of a batch that are left free for what hooks add to it: 0 to `max_bytes` - 1, default
    /// 1024, or half of `max_bytes` if that is less; without hooks 0. A statement that would not
    /// fit so by itself may have them.
    pub fn hook_room(mut self, bytes: u64) -> Self {
        self.hook_room = Some(bytes);
        self
    }

    /// Whether every option is in its range.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidOptions`], which names the first option that is not, and its range.
    pub fn check(&self) -> Result<()> {
        in_range("max_bytes", self.max_bytes, BYTES)?;
        in_range("max_statement_bytes", self.statement_bytes(), self.max_bytes..=GIB)?;
        in_range("max_statements", self.max_statements, STATEMENTS)?;
        if let Some(rows) = self.max_rows {
            in_range("max_rows", rows, ROWS)?;
        }
        if let Some(rows) = self.max_insert_rows {
            in_range("max_insert_rows", rows, ROWS)?;
        }
        if let Some(age) = self.max_age {
            duration_in_range("max_age", age, AGE)?;
        }
        in_range("in_flight", self.in_flight, IN_FLIGHT)?;
        if let Some(bytes) = self.hook_room {
            in_range("hook_room", bytes, 0..=self.max_bytes - 1)?;
        }
        self.check_ledger()?;
        self.check_times()?;
        if let Some(bytes) = self.sandbox.memory_bytes {
            in_range("sandbox.memory_bytes", bytes, MEMORY)?;
        }
        duration_in_range("sandbox.call_timeout", self.sandbox.call_timeout, CALL_TIMEOUT)
    }

    fn check_ledger(&self) -> Result<()> {
        let Some(ledger) = &self.ledger else { return Ok(()) };
        let refuse = |message: &str| Err(Error::new(ErrorKind::InvalidOptions, message));
        if self.transactions == Transactions::None {
            return refuse("a ledger needs transactions batch or run, as its rows share them");
        }
        if self.in_flight > 1 && self.max_age.is_some() {
            return refuse(
                "a ledger with in_flight above 1 needs batches that do not depend on max_age",
            );
        }
        ledger.check()
    }

    fn check_times(&self) -> Result<()> {
        let RetryOptions { delay, max_delay, max_retries, .. } = self.retries;
        in_range("max_retries", max_retries, RETRIES)?;
        duration_in_range("retry_delay", delay, WAIT)?;
        duration_in_range("max_retry_delay", max_delay, delay..=*WAIT.end())?;
        let Times { connect_timeout, attempt_timeout, deadline } = self.times;
        for (name, limit, range) in [
            ("connect_timeout", connect_timeout, TIMEOUT),
            ("attempt_timeout", attempt_timeout, TIMEOUT),
            ("deadline", deadline, DEADLINE),
        ] {
            if let Some(limit) = limit {
                duration_in_range(name, limit, range)?;
            }
        }
        Ok(())
    }

    fn statement_bytes(&self) -> u64 {
        self.max_statement_bytes.unwrap_or(self.max_bytes.max(64 * MIB))
    }
}

pub(crate) fn in_range<T: PartialOrd + Display>(
    name: &str,
    value: T,
    range: RangeInclusive<T>,
) -> Result<()> {
    if range.contains(&value) {
        return Ok(());
    }
    let (low, high) = range.into_inner();
    let message = format!("{name} of {value} is not in the range {low} to {high}");
    Err(Error::new(ErrorKind::InvalidOptions, message))
}

pub(crate) fn duration_in_range(
    name: &str,
    value: Duration,
    range: RangeInclusive<Duration>,
) -> Result<()> {
    if range.contains(&value) {
        return Ok(());
    }
    let (low, high) = range.into_inner();
    let message = format!("{name} of {value:?} is not in the range {low:?} to {high:?}");
    Err(Error::new(ErrorKind::InvalidOptions, message))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rejected(options: Options) -> String {
        let error = options.check().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidOptions);
        error.to_string()
    }

    #[test]
    fn the_defaults_are_in_their_ranges() {
        let settings = Options::default().settle().unwrap();
        assert_eq!(settings.max_bytes, 1_048_576);
        assert_eq!(settings.max_statement_bytes, 67_108_864);
        assert_eq!(settings.send_alone_bytes, None);
    }

    #[test]
    fn each_limit_is_kept_one_below_at_and_one_above() {
        let options = Options::default;
        assert!(options().max_bytes(GIB - 1).check().is_ok());
        assert!(options().max_bytes(GIB).check().is_ok());
        assert!(rejected(options().max_bytes(GIB + 1)).starts_with("max_bytes of 1073741825"));
        assert!(rejected(options().max_bytes(0)).ends_with("range 1 to 1073741824"));
        assert!(options().max_statements(1_000_000).check().is_ok());
        assert!(rejected(options().max_statements(1_000_001)).contains("1 to 1000000"));
        assert!(rejected(options().max_statements(0)).starts_with("max_statements of 0"));
        assert!(rejected(options().max_rows(0)).starts_with("max_rows of 0"));
        assert!(rejected(options().max_age(Duration::ZERO)).starts_with("max_age of 0ns"));
    }

    #[test]
    fn limits_on_time_and_retries_have_their_ranges() {
        let options = Options::default;
        let retries = |change: fn(&mut RetryOptions)| {
            let mut retries = RetryOptions::default();
            change(&mut retries);
            options().retries(retries)
        };
        assert!(retries(|retries| retries.max_retries = 1000).check().is_ok());
        let many = retries(|retries| retries.max_retries = 1001);
        assert_eq!(rejected(many), "max_retries of 1001 is not in the range 0 to 1000");
        assert!(
            rejected(retries(|retries| retries.delay = Duration::ZERO)).contains("retry_delay")
        );
        let short = retries(|retries| retries.max_delay = Duration::from_millis(99));
        assert!(rejected(short).starts_with("max_retry_delay of 99ms is not in the range 100ms"));
        assert!(rejected(options().deadline(Duration::ZERO)).starts_with("deadline of 0ns"));
        let attempt = options().attempt_timeout(Duration::from_secs(86_401));
        assert!(rejected(attempt).starts_with("attempt_timeout of 86401s"));
    }

    #[test]
    fn a_statement_may_not_be_limited_below_a_batch() {
        let options = Options::default().max_bytes(1000);
        assert!(options.clone().max_statement_bytes(1000).check().is_ok());
        assert_eq!(
            rejected(options.max_statement_bytes(999)),
            "max_statement_bytes of 999 is not in the range 1000 to 1073741824"
        );
    }

    #[test]
    fn a_large_batch_raises_the_default_limit_of_a_statement() {
        let settings = Options::default().max_bytes(100 * MIB).settle().unwrap();
        assert_eq!(settings.max_statement_bytes, 100 * MIB);
    }

    #[test]
    fn the_sandbox_has_limits_of_its_own_range() {
        let limits = SandboxLimits { memory_bytes: Some(0), ..SandboxLimits::default() };
        assert!(rejected(Options::default().sandbox(limits)).starts_with("sandbox.memory_bytes"));
        let limits = SandboxLimits { call_timeout: Duration::ZERO, ..SandboxLimits::default() };
        assert!(rejected(Options::default().sandbox(limits)).starts_with("sandbox.call_timeout"));
    }

    #[test]
    fn the_memory_limit_never_exceeds_what_can_be_addressed() {
        let settings = Options::default().max_bytes(GIB).settle().unwrap();
        assert_eq!(settings.memory_bytes(false), 4 * GIB);
    }
}
