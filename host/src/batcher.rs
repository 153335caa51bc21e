//! The asynchronous face: SQL in, batches applied, a report at the end. What happens in between is
//! the driver's, which runs as a task of its own.

use std::{
    fmt,
    panic::{AssertUnwindSafe, resume_unwind},
    path::Path,
    pin::pin,
    sync::{Arc, Mutex, PoisonError},
};

use futures_util::{FutureExt, Stream, StreamExt};
use sql_batcher_adapters::Adapter;
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    sync::{mpsc, oneshot, watch},
    task::{JoinError, JoinHandle},
};

use tracing::{Span, warn};

use crate::{
    Builder, Error, ErrorKind, Report, Result,
    driver::{Command, Stop},
    pieces::{PIECE_BYTES, Statements, pieces},
    tally::Tally,
};

/// A run: SQL goes in, as scripts that may be cut anywhere or as statements that are already
/// apart, and is applied in order, in batches that keep every limit.
///
/// Input is taken as fast as it is split and applied, and no faster. While a batch is under way
/// the next one is read and split.
///
/// An error may belong to input that was given earlier: it comes out of whichever call is made
/// next, and has the position of the statement that it is about. After it each call fails with the
/// same error, and nothing more is applied.
///
/// The run ends with [`finish`](Self::finish). A batcher that is dropped before sends nothing more,
/// and what is under way is taken back; batches that were applied stay applied, unless the whole
/// run is one transaction ([`Transactions::Run`](crate::Transactions::Run)).
///
/// Must be used inside a tokio runtime; [`blocking::Batcher`](crate::blocking::Batcher) brings its
/// own.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> sql_batcher::Result<()> {
/// use sql_batcher::{Batcher, adapters::Sqlite};
///
/// let db = Sqlite::connect("sqlite::memory:").await?;
/// let mut batcher = Batcher::builder(db).max_bytes(64 * 1024).build().await?;
/// batcher.push_str("CREATE TABLE foo (id INTEGER, name TEXT);").await?;
/// batcher.add("INSERT INTO foo VALUES (1, 'bar')").await?;
/// batcher.add("INSERT INTO foo VALUES (2, 'baz')").await?;
/// let report = batcher.finish().await?;
/// assert_eq!(report.applied, 3);
/// # Ok(())
/// # }
/// ```
pub struct Batcher {
    pub(crate) commands: mpsc::Sender<Command>,
    pub(crate) task: JoinHandle<Result<Report>>,
    pub(crate) stop: watch::Sender<Stop>,
    pub(crate) tally: Arc<Mutex<Tally>>,
    /// Of the run.
    pub(crate) span: Span,
    /// Statements that have not been handed on yet.
    pub(crate) added: Statements,
    /// Whether each statement is handed on at once, because the age of batches is limited.
    pub(crate) eager: bool,
    pub(crate) failed: Option<Error>,
}

/// Ends a run from outside, for instance from a signal handler, while the batcher itself is busy.
/// Cheap to clone; outlives its batcher.
#[derive(Clone, Debug)]
pub struct Canceller(watch::Sender<Stop>);

impl Canceller {
    /// Starts nothing more: the batch that is under way may end, what was not sent is not reached,
    /// and the call that the batcher is in fails with [`ErrorKind::Cancelled`] and the report.
    pub fn cancel(&self) {
        self.0.send_if_modified(|stop| {
            let first = *stop == Stop::No;
            if first {
                *stop = Stop::Cancel;
            }
            first
        });
    }

    /// As [`cancel`](Self::cancel), and takes back what is under way, too: it is cancelled on the
    /// server. Where the server does not confirm that within 2 s it is not known whether the batch
    /// was applied: the report says so.
    pub fn abort(&self) {
        self.0.send_replace(Stop::Abort);
    }
}

impl Batcher {
    /// A run on this database, with the default options.
    pub fn builder(adapter: impl Adapter) -> Builder {
        Builder::new(Arc::new(adapter))
    }

    /// A run on a database that was chosen at run time, as
    /// [`adapters::connect`](crate::adapters::connect) does.
    pub fn builder_boxed(adapter: Box<dyn Adapter>) -> Builder {
        Builder::new(Arc::from(adapter))
    }

    /// Runs `work` with a batcher that is closed for certain: see [`Builder::scope`].
    ///
    /// # Errors
    /// That of `work`, or of the run.
    pub async fn scope<T>(
        adapter: impl Adapter,
        work: impl AsyncFnOnce(&mut Self) -> Result<T>,
    ) -> Result<(T, Report)> {
        Self::builder(adapter).scope(work).await
    }

    /// Adds one statement; its terminator is optional. It is an input of its own: what it leaves
    /// open (a quote, a comment) does not reach the next, and lines and columns of errors count
    /// from its start. A text that holds several statements is split.
    ///
    /// Small statements are handed on together, 64 KiB at a time, so an error may come out of a
    /// later call. With [`max_age`](crate::Options::max_age) each is handed on at once.
    ///
    /// # Errors
    /// Whatever has ended the run.
    pub async fn add(&mut self, statement: impl AsRef<str>) -> Result<()> {
        let statement = statement.as_ref();
        if statement.len() > PIECE_BYTES {
            return self.add_large(statement).await;
        }
        if self.commands.is_closed() {
            return Err(self.failure().await);
        }
        if !self.added.has_room_for(statement) {
            self.send_added().await?;
        }
        self.added.push(statement);
        if self.eager { self.send_added().await } else { Ok(()) }
    }

    /// Adds each statement, as [`add`](Self::add) does.
    ///
    /// # Errors
    /// Whatever has ended the run.
    pub async fn add_all<S: AsRef<str>>(
        &mut self,
        statements: impl IntoIterator<Item = S>,
    ) -> Result<()> {
        for statement in statements {
            self.add(statement).await?;
        }
        Ok(())
    }

    /// Adds each statement of a stream, as [`add`](Self::add) does, until it ends.
    ///
    /// # Errors
    /// Whatever has ended the run.
    pub async fn add_stream<S: AsRef<str>>(
        &mut self,
        statements: impl Stream<Item = S>,
    ) -> Result<()> {
        let mut statements = pin!(statements);
        while let Some(statement) = statements.next().await {
            self.add(statement).await?;
        }
        Ok(())
    }

    /// Takes a piece of a script, cut anywhere: in a statement, a word, a character.
    ///
    /// # Errors
    /// Whatever has ended the run.
    pub async fn push(&mut self, script: &[u8]) -> Result<()> {
        for piece in script.chunks(PIECE_BYTES) {
            self.send(Command::Bytes(piece.to_vec())).await?;
        }
        Ok(())
    }

    /// Takes a piece of a script, cut between any two characters.
    ///
    /// # Errors
    /// Whatever has ended the run.
    pub async fn push_str(&mut self, script: &str) -> Result<()> {
        for piece in pieces(script) {
            self.send(Command::Text(piece.to_owned())).await?;
        }
        Ok(())
    }

    /// What is pushed from here on is an input of its own, with this name in errors. The input
    /// before it is ended.
    ///
    /// # Errors
    /// Whatever has ended the run.
    pub async fn begin_input(&mut self, name: impl Into<Arc<str>>) -> Result<()> {
        self.send(Command::BeginInput(name.into())).await
    }

    /// Ends an input: a last statement without terminator is complete; what is pushed after it
    /// has no name.
    ///
    /// # Errors
    /// Whatever has ended the run.
    pub async fn end_input(&mut self) -> Result<()> {
        self.send(Command::EndInput).await
    }

    /// Takes everything that a reader gives as one input, with this name in errors. Read ahead:
    /// the next 256 KiB are read while the last are split.
    ///
    /// # Errors
    /// [`ErrorKind::Input`] where reading fails, or whatever has ended the run.
    pub async fn read_from(
        &mut self,
        name: impl Into<Arc<str>>,
        reader: impl AsyncRead,
    ) -> Result<()> {
        let name = name.into();
        let mut reader = pin!(reader);
        self.begin_input(Arc::clone(&name)).await?;
        loop {
            let mut piece = Vec::with_capacity(PIECE_BYTES);
            let read = reader.read_buf(&mut piece).await;
            match read.map_err(|error| Error::input(&name, error))? {
                0 => return self.end_input().await,
                _ => self.send(Command::Bytes(piece)).await?,
            }
        }
    }

    /// Takes a file as one input, with its path as its name.
    ///
    /// # Errors
    /// [`ErrorKind::Input`] where it cannot be opened or read, or whatever has ended the run.
    pub async fn read_file(&mut self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        let name: Arc<str> = path.display().to_string().into();
        let opened = tokio::fs::File::open(path).await;
        let file = opened.map_err(|error| Error::input(&name, error))?;
        self.read_from(name, file).await
    }

    /// Sends everything that was given so far, but for a script's statement that is not complete,
    /// and waits until it is applied.
    ///
    /// # Errors
    /// Whatever has ended the run.
    pub async fn flush(&mut self) -> Result<()> {
        let (applied, waiting) = oneshot::channel();
        self.send(Command::Flush(applied)).await?;
        match waiting.await {
            Ok(()) => Ok(()),
            Err(_) => Err(self.failure().await),
        }
    }

    /// Ends the input, waits until all of it is applied, and closes the connection and the
    /// adapter.
    ///
    /// # Errors
    /// Whatever has ended the run, with [the report](Error::report) up to it.
    pub async fn finish(mut self) -> Result<Report> {
        self.send(Command::Finish).await?;
        ended((&mut self.task).await)
    }

    /// The account as it stands, at any time. Statements that were added and not yet handed on are
    /// not in it.
    pub fn stats(&self) -> Report {
        let failure = self.failed.as_ref().map(Into::into);
        self.tally.lock().unwrap_or_else(PoisonError::into_inner).report(failure)
    }

    /// Starts nothing more: the batch that is under way may end, what was not sent is not reached.
    /// Each later call, [`finish`](Self::finish) too, fails with [`ErrorKind::Cancelled`].
    pub fn cancel(&mut self) {
        self.canceller().cancel();
    }

    /// A handle that [cancels](Self::cancel) this run while the batcher itself is busy.
    pub fn canceller(&self) -> Canceller {
        Canceller(self.stop.clone())
    }

    /// Takes back what is under way, closes, and says what had become of the run.
    pub(crate) async fn abort(mut self) -> Error {
        self.stop.send_replace(Stop::Abort);
        self.failure().await
    }

    async fn add_large(&mut self, statement: &str) -> Result<()> {
        self.end_input().await?;
        self.push_str(statement).await?;
        self.end_input().await
    }

    async fn send_added(&mut self) -> Result<()> {
        if self.added.is_empty() {
            return Ok(());
        }
        let Ok(permit) = self.commands.reserve().await else {
            return Err(self.failure().await);
        };
        permit.send(self.added.take());
        Ok(())
    }

    async fn send(&mut self, command: Command) -> Result<()> {
        self.send_added().await?;
        match self.commands.send(command).await {
            Ok(()) => Ok(()),
            Err(_) => Err(self.failure().await),
        }
    }

    /// Why the driver takes no more commands.
    async fn failure(&mut self) -> Error {
        if let Some(error) = &self.failed {
            return error.clone();
        }
        let error = ended((&mut self.task).await).err().unwrap_or_else(stopped);
        self.failed = Some(error.clone());
        error
    }
}

impl Builder {
    /// Builds the batcher, runs `work` with it, and closes it for certain: where `work` succeeds
    /// the run is finished; where it fails or panics nothing more is applied, what is under way is
    /// taken back, and connection and adapter are closed before the error or the panic goes on.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> sql_batcher::Result<()> {
    /// use sql_batcher::{Batcher, adapters::Sqlite};
    ///
    /// let db = Sqlite::connect("sqlite::memory:").await?;
    /// let (rows, report) = Batcher::scope(db, async |batcher| {
    ///     batcher.add("CREATE TABLE foo (id INTEGER)").await?;
    ///     batcher.add_all((0..10).map(|id| format!("INSERT INTO foo VALUES ({id})"))).await?;
    ///     Ok(10)
    /// })
    /// .await?;
    /// assert_eq!((rows, report.applied), (10, 11));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// That of `work`, with the report up to it; or that of the run.
    pub async fn scope<T>(
        self,
        work: impl AsyncFnOnce(&mut Batcher) -> Result<T>,
    ) -> Result<(T, Report)> {
        let mut batcher = self.build().await?;
        match AssertUnwindSafe(work(&mut batcher)).catch_unwind().await {
            Ok(Ok(value)) => Ok((value, batcher.finish().await?)),
            Ok(Err(error)) => {
                let ended = batcher.abort().await;
                Err(error.or_report_of(&ended))
            }
            Err(panic) => {
                batcher.abort().await;
                resume_unwind(panic)
            }
        }
    }
}

/// Without [`finish`](Batcher::finish) the run is given up: nothing more is sent, what is under way
/// is taken back as far as it can be, and a warning says how much was not sent.
impl Drop for Batcher {
    fn drop(&mut self) {
        if self.task.is_finished() {
            return;
        }
        self.task.abort();
        let added = self.added.count();
        let not_sent = self.tally.lock().unwrap_or_else(PoisonError::into_inner).not_sent();
        warn!(
            parent: &self.span,
            statements_not_sent = not_sent + added,
            "a batcher was dropped before it was finished"
        );
    }
}

impl fmt::Debug for Batcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batcher").field("failed", &self.failed).finish_non_exhaustive()
    }
}

/// A panic of the driver's is one of an observer's, and goes on in its caller.
fn ended(joined: Result<Result<Report>, JoinError>) -> Result<Report> {
    match joined.map_err(JoinError::try_into_panic) {
        Ok(ended) => ended,
        Err(Ok(panic)) => resume_unwind(panic),
        Err(Err(_)) => Err(stopped()),
    }
}

fn stopped() -> Error {
    Error::new(ErrorKind::Cancelled, "the run has ended with its runtime")
}
