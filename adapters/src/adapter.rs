//! The trait that every database implements, and what crosses it.

use std::{any::Any, sync::Arc, time::Duration};

use async_trait::async_trait;

use crate::{AdapterError, Problem};

/// Whose client's rules split the script for this database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Dialect {
    /// Standard SQL.
    Generic,
    /// As `sqlite3_complete` splits.
    Sqlite,
    /// As `psql` splits.
    PostgreSql,
    /// As the `mysql` and `mariadb` clients split.
    MySql,
    /// As Trino's command line splits.
    Trino,
    /// As Snowflake's command lines split.
    Snowflake,
}

/// What a database can do, as it says itself where it can be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Capabilities {
    /// Name of the database and its version, for people: `PostgreSQL 15.18`.
    pub server: String,
    /// Whose client's rules split the script.
    pub dialect: Dialect,
    /// The most bytes of one request body, what the adapter itself adds already taken off.
    pub max_request_bytes: u64,
    /// The most characters of one request body, as Java counts them: units of UTF-16. None: no
    /// limit but that of bytes.
    pub max_request_characters: Option<u64>,
    /// The most statements of one request; none: no limit.
    pub max_statements_per_request: Option<u32>,
    /// The most rows of one INSERT; none: no limit but that of the request.
    pub max_rows_per_insert: Option<u32>,
    /// How many rows an INSERT has best: with more the server takes longer for each. None: the more
    /// the better.
    pub best_rows_per_insert: Option<u32>,
    /// Why an INSERT of several rows may do something else in this session than INSERTs of one row
    /// each; none where it does the same.
    pub merging_obstacle: Option<String>,
    /// Whether it does the same for `INSERT IGNORE`, `ON DUPLICATE KEY UPDATE` and `ON CONFLICT …
    /// DO UPDATE`, too.
    pub merges_conflicts: bool,
    /// Whether there is a faster way for INSERTs of plain literals ([`Request::inserts`]).
    pub fast_path: bool,
    /// Whether a batch of several statements can be applied whole or not at all.
    pub transactions: bool,
    /// Whether a transaction can go on from one request to the next: that of a script, and that of
    /// [`Connection::begin`]. Where it cannot, a request with [`Scope::Scripted`] has to hold whole
    /// transactions, and is refused otherwise, before anything of it is sent.
    pub transactions_span_requests: bool,
    /// Whether definitions (`CREATE TABLE`) take part in transactions.
    pub transactional_ddl: bool,
    /// Whether transactions have savepoints.
    pub savepoints: bool,
    /// The most sessions that can write at once: a further one waits for them, or fails. None: no
    /// limit but that of connections.
    pub max_writers: Option<u32>,
    /// Whether `COPY … FROM stdin` can be streamed.
    pub copy: bool,
    /// Whether a request body may be other than UTF-8.
    pub binary_text: bool,
    /// Whether what runs can be cancelled from outside ([`Connection::cancel_handle`]).
    pub cancel: bool,
    /// Things that a user should know about this session, one line each.
    pub notes: Vec<String>,
}

/// How a request is to be applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    /// As one transaction of the adapter's own: whole or not at all.
    Atomic,
    /// As it is, outside any transaction, statement by statement.
    Bare,
    /// As it is: it belongs to a transaction of the script's own, or of the whole run.
    Scripted,
}

/// Which part of a `COPY … FROM stdin` block a request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CopyPart {
    /// The statement (up to the first of `ends`) and all of its data (the rest of the body).
    Whole,
    /// The statement and the beginning of its data.
    First,
    /// Data alone.
    Middle,
    /// The last of the data.
    Last,
}

/// Where the rows of an INSERT stand: its text is `prefix` bytes, the rows of `VALUES`, each in
/// parentheses and parted by commas, and `tail` bytes, then its terminator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InsertRows {
    /// The statement, by index in its request.
    pub statement: u32,
    /// Bytes from its beginning to the first row.
    pub prefix: u32,
    /// Bytes from the last row to its terminator.
    pub tail: u32,
}

/// One request.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// What is sent: statements, each with its separator. UTF-8 unless
    /// [`Capabilities::binary_text`], but for the data of a `COPY`.
    pub body: &'a [u8],
    /// Where each statement ends in `body`, its separator included. Empty for
    /// [`CopyPart::Middle`] and [`CopyPart::Last`].
    pub ends: &'a [u32],
    /// How it is to be applied.
    pub scope: Scope,
    /// Where it is part of a `COPY` block: which.
    pub copy: Option<CopyPart>,
    /// The INSERTs of constants among the statements, in their order, which may be sent in whatever
    /// way is fastest and gives the same result. Empty unless the user has asked for that.
    pub inserts: &'a [InsertRows],
}

/// What an adapter has made of a request before there is a session to run it in: see
/// [`Adapter::prepare`].
pub type Prepared = Box<dyn Any + Send>;

/// What an applied request did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Effects {
    /// Rows affected, where the database says so.
    pub rows: Option<u64>,
}

/// A database that can be batched into.
#[async_trait]
pub trait Adapter: Send + Sync + 'static {
    /// What the database can do. Read once, when the adapter was connected.
    fn capabilities(&self) -> &Capabilities;

    /// Takes a session of its own for one run; it is held until it is closed or dropped.
    ///
    /// # Errors
    /// Where no session is to be had: unreachable, refused, none free in the pool.
    async fn acquire(&self) -> Result<Box<dyn Connection>, AdapterError>;

    /// Does what can be done of a request without a session, so that its session can begin with the
    /// rest at once ([`Connection::execute_prepared`]). It may take as long as reading the request
    /// takes, and memory as the request has. None where there is nothing to be done, or the request
    /// will be refused.
    ///
    /// `body` is that of the request, to be kept without a copy.
    fn prepare(&self, _request: &Request<'_>, _body: &Arc<Vec<u8>>) -> Option<Prepared> {
        None
    }

    /// Closes what the adapter opened itself, and waits until it is closed; a pool that it was
    /// given stays open.
    async fn close(&self);
}

/// A session with a database, in which requests run one after another.
///
/// Dropping it takes back what is open: the session is not reused.
#[async_trait]
pub trait Connection: Send {
    /// Runs one request. What was applied is no error, even if the session is lost right behind it:
    /// then the next request fails.
    ///
    /// # Errors
    /// [`Problem`]: what went wrong, at which statement, and what stays applied. After it nothing
    /// of an [`Scope::Atomic`] request is applied, unless [`Problem::outcome_unknown`] says that
    /// this is not known. A request with [`Scope::Scripted`] leaves the transaction open.
    async fn execute(&mut self, request: Request<'_>) -> Result<Effects, Problem>;

    /// As [`Connection::execute`], with what [`Adapter::prepare`] of the same adapter has made of
    /// the same request.
    ///
    /// # Errors
    /// As [`Connection::execute`].
    async fn execute_prepared(
        &mut self,
        request: Request<'_>,
        _: Prepared,
    ) -> Result<Effects, Problem> {
        self.execute(request).await
    }

    /// Opens a transaction that spans requests.
    ///
    /// # Errors
    /// As [`Connection::execute`].
    async fn begin(&mut self) -> Result<(), Problem>;

    /// Ends the transaction that spans requests and keeps it.
    ///
    /// # Errors
    /// As [`Connection::execute`].
    async fn commit(&mut self) -> Result<(), Problem>;

    /// Takes back whatever transaction is open, the script's own included, and any `COPY` under
    /// way. Harmless where none is.
    ///
    /// # Errors
    /// As [`Connection::execute`].
    async fn rollback(&mut self) -> Result<(), Problem>;

    /// Runs one query of the batcher's own, outside of any batch, and gives its rows; each value is
    /// text as the database writes it, NULL is `None`. All rows are held in memory: ask for few.
    ///
    /// # Errors
    /// As [`Connection::execute`], but [`Problem::outcome_unknown`] is never set, and
    /// [`crate::Fault::Unsupported`] also for a value that is not UTF-8. A failure within an open
    /// transaction has the effect on it that any failure has.
    async fn fetch(&mut self, sql: &str) -> Result<Vec<Vec<Option<String>>>, Problem>;

    /// Makes the server itself end any statement of this session that takes longer: a second line
    /// of defence behind [`Cancel`]. Rounded up to milliseconds, at least 1, at most what the
    /// database can hold. Where the session has a shorter limit already, that stays; a limit that
    /// the script sets later goes before it. To be asked for outside a transaction.
    ///
    /// PostgreSQL ends each statement (before version 13 a whole request); MariaDB and Trino each
    /// statement; MySQL only `SELECT`. SQLite runs in this process and has no limit of its own: nothing is
    /// done.
    ///
    /// A `COPY` block is one statement to PostgreSQL, its waits for data included. A block in
    /// several requests ([`CopyPart::First`] to [`CopyPart::Last`]) therefore has no limit on the
    /// server unless the script has set one (one of the same length is taken for this one): it is
    /// lifted before the block and set again behind it, however it ends. That is one further query
    /// each; only [`Cancel`] bounds the requests of such a block.
    ///
    /// # Errors
    /// As [`Connection::fetch`].
    async fn limit_statements(&mut self, limit: Duration) -> Result<(), Problem>;

    /// What the server has warned of since this was last asked for, one line each; databases that
    /// do not warn have none.
    fn take_warnings(&mut self) -> Vec<String> {
        Vec::new()
    }

    /// Something that cancels what runs in this session, from outside; none where the database
    /// has no way to.
    fn cancel_handle(&self) -> Option<Box<dyn Cancel>>;

    /// Ends the session: what is open is taken back, what the session changed is not handed on.
    async fn close(self: Box<Self>);
}

/// Cancels what a session runs at the moment, or ends the session.
#[async_trait]
pub trait Cancel: Send + Sync {
    /// Asks the server to stop. What was running then fails; nothing happens where nothing runs, or
    /// where the session has ended: that another one has its number by now is noticed, in
    /// PostgreSQL by the start of its process, in MySQL and MariaDB, where a server that is not
    /// started anew gives no number twice, by the start of the server, unless the two lie less
    /// than 5 seconds apart. Bounded in time by [`crate::PoolOptions::connect_timeout`].
    ///
    /// # Errors
    /// Where the server cannot be asked, or cannot tell the session from another one.
    async fn cancel(&self) -> Result<(), AdapterError>;

    /// Ends the session for certain: after it, nothing that was sent in the session can take
    /// effect any more. What was committed stays, what was open is taken back. A session that has
    /// ended already, or whose server was started anew, has nothing left to end. Bounded in time
    /// as [`Cancel::cancel`] is; in SQLite by 10 seconds.
    ///
    /// For certain means: where the URL leads to the same server each time, and no pooler in
    /// between gives a session more than one process or thread of it. MySQL and MariaDB notice
    /// another host; PostgreSQL has no such sign.
    ///
    /// # Errors
    /// Where the server cannot be asked, cannot tell the session from another one, or where the
    /// session has not ended in time ([`crate::Fault::Timeout`], transient). The session may have
    /// ended all the same, or end later.
    async fn terminate(&self) -> Result<(), AdapterError>;
}
