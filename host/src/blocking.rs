//! The same batcher for programs that are not asynchronous. It brings its own tokio runtime with
//! one thread, on which reading ahead, splitting and the database go on between the calls.
//!
//! ```
//! # fn main() -> sql_batcher::Result<()> {
//! use sql_batcher::{adapters::Sqlite, blocking::Batcher};
//!
//! let mut batcher = Batcher::builder(Sqlite::connect("sqlite::memory:"))?.build()?;
//! batcher.add("CREATE TABLE foo (id INTEGER)")?;
//! batcher.add("INSERT INTO foo VALUES (1)")?;
//! assert_eq!(batcher.finish()?.applied, 2);
//! # Ok(())
//! # }
//! ```

use std::{
    fmt,
    future::Future,
    io::Read,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    path::Path,
    sync::Arc,
    time::Duration,
};

use sql_batcher_adapters::{Adapter, AdapterError, Dialect};
use tokio::runtime::{self, Handle, Runtime};

use crate::{
    Canceller, Core, Error, ErrorKind, Options, Oversized, Report, Result, RetryOptions,
    SandboxLimits, Snapshot, Transactions,
    hooks::{Hook, HookPolicy, SandboxedHook},
    pieces::PIECE_BYTES,
};

/// As [`crate::Batcher`], with calls that block.
///
/// None of its functions may be called inside an asynchronous runtime.
pub struct Batcher {
    // Dropped before the runtime that it lives in.
    inner: crate::Batcher,
    runtime: Runtime,
}

/// As [`crate::Builder`]; made by [`Batcher::builder`].
#[must_use = "a run starts with `build`"]
pub struct Builder {
    inner: crate::Builder,
    runtime: Runtime,
}

impl Batcher {
    /// A run on the database that `adapter` connects to: the same call as in asynchronous code,
    /// without `.await`.
    ///
    /// # Errors
    /// [`ErrorKind::Connection`] and others where it cannot connect,
    /// [`ErrorKind::InvalidOptions`] inside an asynchronous runtime.
    pub fn builder<A: Adapter>(
        adapter: impl Future<Output = Result<A, AdapterError>>,
    ) -> Result<Builder> {
        let runtime = runtime()?;
        let adapter = runtime.block_on(adapter)?;
        Ok(Builder { inner: crate::Batcher::builder(adapter), runtime })
    }

    /// As [`builder`](Self::builder), for an adapter that is chosen at run time.
    ///
    /// # Errors
    /// As [`builder`](Self::builder).
    pub fn builder_boxed(
        adapter: impl Future<Output = Result<Box<dyn Adapter>, AdapterError>>,
    ) -> Result<Builder> {
        let runtime = runtime()?;
        let adapter = runtime.block_on(adapter)?;
        Ok(Builder { inner: crate::Batcher::builder_boxed(adapter), runtime })
    }

    /// Runs `work` with a batcher that is closed for certain: see [`Builder::scope`].
    ///
    /// # Errors
    /// That of `work`, or of the run.
    pub fn scope<A: Adapter, T>(
        adapter: impl Future<Output = Result<A, AdapterError>>,
        work: impl FnOnce(&mut Self) -> Result<T>,
    ) -> Result<(T, Report)> {
        Self::builder(adapter)?.scope(work)
    }

    /// As [`crate::Batcher::add`].
    ///
    /// # Errors
    /// Whatever has ended the run.
    pub fn add(&mut self, statement: impl AsRef<str>) -> Result<()> {
        self.runtime.block_on(self.inner.add(statement))
    }

    /// As [`crate::Batcher::add_all`].
    ///
    /// # Errors
    /// Whatever has ended the run.
    pub fn add_all<S: AsRef<str>>(
        &mut self,
        statements: impl IntoIterator<Item = S>,
    ) -> Result<()> {
        self.runtime.block_on(self.inner.add_all(statements))
    }

    /// As [`crate::Batcher::push`].
    ///
    /// # Errors
    /// Whatever has ended the run.
    pub fn push(&mut self, script: &[u8]) -> Result<()> {
        self.runtime.block_on(self.inner.push(script))
    }

    /// As [`crate::Batcher::push_str`].
    ///
    /// # Errors
    /// Whatever has ended the run.
    pub fn push_str(&mut self, script: &str) -> Result<()> {
        self.runtime.block_on(self.inner.push_str(script))
    }

    /// As [`crate::Batcher::begin_input`].
    ///
    /// # Errors
    /// Whatever has ended the run.
    pub fn begin_input(&mut self, name: impl Into<Arc<str>>) -> Result<()> {
        self.runtime.block_on(self.inner.begin_input(name))
    }

    /// As [`crate::Batcher::end_input`].
    ///
    /// # Errors
    /// Whatever has ended the run.
    pub fn end_input(&mut self) -> Result<()> {
        self.runtime.block_on(self.inner.end_input())
    }

    /// Takes everything that a reader gives as one input, with this name in errors.
    ///
    /// # Errors
    /// [`ErrorKind::Input`] where reading fails, or whatever has ended the run.
    pub fn read_from(&mut self, name: impl Into<Arc<str>>, mut reader: impl Read) -> Result<()> {
        let name = name.into();
        self.begin_input(Arc::clone(&name))?;
        let mut piece = vec![0; PIECE_BYTES];
        loop {
            let read = match reader.read(&mut piece) {
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                read => read.map_err(|error| Error::input(&name, error))?,
            };
            if read == 0 {
                return self.end_input();
            }
            self.push(piece.get(..read).unwrap_or(&piece))?;
        }
    }

    /// As [`crate::Batcher::read_file`].
    ///
    /// # Errors
    /// [`ErrorKind::Input`] where it cannot be opened or read, or whatever has ended the run.
    pub fn read_file(&mut self, path: impl AsRef<Path>) -> Result<()> {
        self.runtime.block_on(self.inner.read_file(path))
    }

    /// As [`crate::Batcher::flush`].
    ///
    /// # Errors
    /// Whatever has ended the run.
    pub fn flush(&mut self) -> Result<()> {
        self.runtime.block_on(self.inner.flush())
    }

    /// As [`crate::Batcher::finish`].
    ///
    /// # Errors
    /// Whatever has ended the run, with [the report](Error::report) up to it.
    pub fn finish(self) -> Result<Report> {
        self.runtime.block_on(self.inner.finish())
    }

    /// As [`crate::Batcher::stats`].
    pub fn stats(&self) -> Report {
        self.inner.stats()
    }

    /// As [`crate::Batcher::cancel`].
    pub fn cancel(&mut self) {
        self.inner.cancel();
    }

    /// As [`crate::Batcher::canceller`]. It may be used from another thread.
    pub fn canceller(&self) -> Canceller {
        self.inner.canceller()
    }
}

impl Builder {
    /// All options at once.
    pub fn options(self, options: Options) -> Self {
        self.set(|inner| inner.options(options))
    }

    /// The most bytes of one request: see [`Options::max_bytes`].
    pub fn max_bytes(self, bytes: u64) -> Self {
        self.set(|inner| inner.max_bytes(bytes))
    }

    /// The most bytes that one statement may take: see [`Options::max_statement_bytes`].
    pub fn max_statement_bytes(self, bytes: u64) -> Self {
        self.set(|inner| inner.max_statement_bytes(bytes))
    }

    /// The most statements of one batch: see [`Options::max_statements`].
    pub fn max_statements(self, count: u32) -> Self {
        self.set(|inner| inner.max_statements(count))
    }

    /// The most rows of one batch: see [`Options::max_rows`].
    pub fn max_rows(self, count: u32) -> Self {
        self.set(|inner| inner.max_rows(count))
    }

    /// How long the first statement of a batch may wait: see [`Options::max_age`].
    pub fn max_age(self, age: Duration) -> Self {
        self.set(|inner| inner.max_age(age))
    }

    /// How far a transaction reaches: see [`Options::transactions`].
    pub fn transactions(self, transactions: Transactions) -> Self {
        self.set(|inner| inner.transactions(transactions))
    }

    /// What becomes of a single statement that is too large: see [`Options::oversized`].
    pub fn oversized(self, oversized: Oversized) -> Self {
        self.set(|inner| inner.oversized(oversized))
    }

    /// Whose client's rules split the script: see [`Options::dialect`].
    pub fn dialect(self, dialect: Dialect) -> Self {
        self.set(|inner| inner.dialect(dialect))
    }

    /// What the sandbox may use: see [`SandboxLimits`].
    pub fn sandbox(self, limits: SandboxLimits) -> Self {
        self.set(|inner| inner.sandbox(limits))
    }

    /// How a batch is tried once more: see [`RetryOptions`].
    pub fn retries(self, retries: RetryOptions) -> Self {
        self.set(|inner| inner.retries(retries))
    }

    /// How long taking a session may take: see [`Options::connect_timeout`].
    pub fn connect_timeout(self, limit: Duration) -> Self {
        self.set(|inner| inner.connect_timeout(limit))
    }

    /// How long one attempt of a batch may take: see [`Options::attempt_timeout`].
    pub fn attempt_timeout(self, limit: Duration) -> Self {
        self.set(|inner| inner.attempt_timeout(limit))
    }

    /// How long the whole run may take: see [`Options::deadline`].
    pub fn deadline(self, limit: Duration) -> Self {
        self.set(|inner| inner.deadline(limit))
    }

    /// Batches with another component than the embedded one.
    pub fn core(self, core: Core) -> Self {
        self.set(|inner| inner.core(core))
    }

    /// As [`crate::Builder::hook`]; called on the thread of the runtime.
    pub fn hook(
        self,
        name: impl Into<String>,
        policy: HookPolicy,
        hook: impl Hook + 'static,
    ) -> Self {
        self.set(|builder| builder.hook(name, policy, hook))
    }

    /// As [`crate::Builder::sandboxed_hook`]; called on the thread of the runtime.
    pub fn sandboxed_hook(
        self,
        name: impl Into<String>,
        policy: HookPolicy,
        hook: SandboxedHook,
    ) -> Self {
        self.set(|builder| builder.sandboxed_hook(name, policy, hook))
    }

    /// As [`crate::Builder::observer`]; called on the thread of the runtime.
    pub fn observer(self, observer: impl Fn(&Snapshot) + Send + 'static) -> Self {
        self.set(|inner| inner.observer(observer))
    }

    /// As [`crate::Builder::build`].
    ///
    /// # Errors
    /// [`ErrorKind::InvalidOptions`] and [`ErrorKind::Sandbox`].
    pub fn build(self) -> Result<Batcher> {
        let Self { inner, runtime } = self;
        let inner = runtime.block_on(inner.build())?;
        Ok(Batcher { inner, runtime })
    }

    /// Builds the batcher, runs `work` with it, and closes it for certain, as
    /// [`crate::Builder::scope`] does.
    ///
    /// # Errors
    /// That of `work`, with the report up to it; or that of the run.
    pub fn scope<T>(self, work: impl FnOnce(&mut Batcher) -> Result<T>) -> Result<(T, Report)> {
        let mut batcher = self.build()?;
        match catch_unwind(AssertUnwindSafe(|| work(&mut batcher))) {
            Ok(Ok(value)) => Ok((value, batcher.finish()?)),
            Ok(Err(error)) => Err(error.or_report_of(&batcher.abort())),
            Err(panic) => {
                batcher.abort();
                resume_unwind(panic)
            }
        }
    }

    fn set(mut self, change: impl FnOnce(crate::Builder) -> crate::Builder) -> Self {
        self.inner = change(self.inner);
        self
    }
}

impl Batcher {
    fn abort(self) -> Error {
        self.runtime.block_on(self.inner.abort())
    }
}

impl fmt::Debug for Batcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

fn runtime() -> Result<Runtime> {
    if Handle::try_current().is_ok() {
        let message = "a blocking batcher cannot be used inside an async runtime";
        return Err(Error::new(ErrorKind::InvalidOptions, message));
    }
    let built = runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    built.map_err(|error| {
        Error::new(ErrorKind::Sandbox, "the runtime cannot be started").with_source(error.into())
    })
}
