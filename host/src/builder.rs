//! What is set before a run starts.

use std::{
    fmt, mem,
    sync::{Arc, Mutex},
    time::Duration,
};

use opentelemetry::{global, metrics::Meter};
use sql_batcher_adapters::{Adapter, Dialect};
use tokio::{
    runtime::Handle,
    sync::{mpsc, watch},
    task::spawn_blocking,
    time::Instant,
};
use tracing::{Instrument as _, field, info_span};

use crate::{
    Batcher, Core, Error, ErrorKind, LedgerOptions, Options, Oversized, Rejects, Result,
    RetryOptions, SandboxLimits, Snapshot, Transactions,
    driver::{Command, Driver, Stop},
    guard::{Deadline, Guard},
    hooks::{Hook, HookPolicy, Hooks, SandboxedHook},
    metrics::{Instruments, METER},
    options::{Settings, Times},
    pieces::Statements,
    rejects::Skipping,
    sandbox::{Answer, Session},
    send::Bounds,
    session_memory::SessionMemory,
    slot::Slot,
    tally::{Observer, Tally},
};

/// Pieces of input that may wait for the driver: one, which is read while another is split.
const WAITING_PIECES: usize = 1;

/// Sets up a run; made by [`Batcher::builder`]. Each option is described at [`Options`].
#[must_use = "a run starts with `build`"]
pub struct Builder {
    adapter: Arc<dyn Adapter>,
    options: Options,
    core: Option<Core>,
    observer: Observer,
    skipping: Option<Skipping>,
    meter: Option<Meter>,
    hooks: Hooks,
}

impl Builder {
    pub(crate) fn new(adapter: Arc<dyn Adapter>) -> Self {
        Self {
            adapter,
            options: Options::default(),
            core: None,
            observer: Observer::default(),
            skipping: None,
            meter: None,
            hooks: Hooks::default(),
        }
    }

    /// All options at once.
    pub fn options(mut self, options: Options) -> Self {
        self.options = options;
        self
    }

    /// The most bytes of one request: see [`Options::max_bytes`].
    pub fn max_bytes(self, bytes: u64) -> Self {
        self.set(|options| options.max_bytes(bytes))
    }

    /// The most bytes that one statement may take: see [`Options::max_statement_bytes`].
    pub fn max_statement_bytes(self, bytes: u64) -> Self {
        self.set(|options| options.max_statement_bytes(bytes))
    }

    /// The most statements of one batch: see [`Options::max_statements`].
    pub fn max_statements(self, count: u32) -> Self {
        self.set(|options| options.max_statements(count))
    }

    /// The most rows of one batch: see [`Options::max_rows`].
    pub fn max_rows(self, count: u32) -> Self {
        self.set(|options| options.max_rows(count))
    }

    /// How long the first statement of a batch may wait: see [`Options::max_age`].
    pub fn max_age(self, age: Duration) -> Self {
        self.set(|options| options.max_age(age))
    }

    /// How far a transaction reaches: see [`Options::transactions`].
    pub fn transactions(self, transactions: Transactions) -> Self {
        self.set(|options| options.transactions(transactions))
    }

    /// What becomes of a single statement that is too large: see [`Options::oversized`].
    pub fn oversized(self, oversized: Oversized) -> Self {
        self.set(|options| options.oversized(oversized))
    }

    /// Whose client's rules split the script: see [`Options::dialect`].
    pub fn dialect(self, dialect: Dialect) -> Self {
        self.set(|options| options.dialect(dialect))
    }

    /// What the sandbox may use: see [`SandboxLimits`].
    pub fn sandbox(self, limits: SandboxLimits) -> Self {
        self.set(|options| options.sandbox(limits))
    }

    /// How a batch is tried once more: see [`RetryOptions`].
    pub fn retries(self, retries: RetryOptions) -> Self {
        self.set(|options| options.retries(retries))
    }

    /// How long taking a session may take: see [`Options::connect_timeout`].
    pub fn connect_timeout(self, limit: Duration) -> Self {
        self.set(|options| options.connect_timeout(limit))
    }

    /// How long one attempt of a batch may take: see [`Options::attempt_timeout`].
    pub fn attempt_timeout(self, limit: Duration) -> Self {
        self.set(|options| options.attempt_timeout(limit))
    }

    /// How long the whole run may take: see [`Options::deadline`].
    pub fn deadline(self, limit: Duration) -> Self {
        self.set(|options| options.deadline(limit))
    }

    /// How many batches may be under way at once: see [`Options::in_flight`].
    pub fn in_flight(self, batches: u32) -> Self {
        self.set(|options| options.in_flight(batches))
    }

    /// Whether errors may quote values: see [`Options::show_values`].
    pub fn show_values(self, show: bool) -> Self {
        self.set(|options| options.show_values(show))
    }

    /// Keeps a ledger, from which the run can be resumed: see [`Options::ledger`].
    pub fn ledger(self, ledger: LedgerOptions) -> Self {
        self.set(|options| options.ledger(ledger))
    }

    /// Leaves bad statements out and goes on without them; by default the first one ends the run.
    /// Each is handed to `rejects`, with what the database said, and counted in
    /// [`Report::rejected`](crate::Report::rejected). Bad is what the database refuses for what it
    /// is (syntax, constraint, permission), not what fails for other reasons.
    ///
    /// The good statements of a batch are then applied in order, in as many transactions as it
    /// takes. A transaction of the script's own is left out as a whole, and ends the run where it
    /// takes several batches; so does a `COPY` that takes several. Not possible with
    /// [`Transactions::Run`]. After `max_rejects` statements the next bad one ends the run; none:
    /// no limit.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> sql_batcher::Result<()> {
    /// use sql_batcher::{Batcher, Reject, adapters::Sqlite};
    ///
    /// let db = Sqlite::connect("sqlite::memory:").await?;
    /// let rejects = |reject: &Reject<'_>| {
    ///     eprintln!("{}", reject.error);
    ///     Ok(())
    /// };
    /// let mut batcher = Batcher::builder(db).skip_bad(rejects, Some(10)).build().await?;
    /// batcher.push_str("CREATE TABLE t (a); INSERT INTO t VALUES (1); INSERT INTO u VALUES (2);")
    ///     .await?;
    /// let report = batcher.finish().await?;
    /// assert_eq!((report.applied, report.rejected), (2, 1));
    /// # Ok(())
    /// # }
    /// ```
    pub fn skip_bad(
        mut self,
        rejects: impl Rejects + 'static,
        max_rejects: impl Into<Option<u64>>,
    ) -> Self {
        self.skipping = Some(Skipping::new(Box::new(rejects), max_rejects.into()));
        self
    }

    /// Registers a hook, behind those that are registered already: see [`hooks`](crate::hooks). At
    /// most 64, with names of 1 to 64 characters, which need not differ; messages show them.
    pub fn hook(
        mut self,
        name: impl Into<String>,
        policy: HookPolicy,
        hook: impl Hook + 'static,
    ) -> Self {
        self.hooks.add(name.into(), policy, hook);
        self
    }

    /// As [`hook`](Self::hook), with a component in a sandbox of its own.
    pub fn sandboxed_hook(
        mut self,
        name: impl Into<String>,
        policy: HookPolicy,
        hook: SandboxedHook,
    ) -> Self {
        self.hooks.add_sandboxed(name.into(), policy, hook);
        self
    }

    /// Whether INSERTs that differ in constants only become one: see [`Options::merge_inserts`].
    pub fn merge_inserts(self, merges: bool) -> Self {
        self.set(|options| options.merge_inserts(merges))
    }

    /// The most rows of a merged INSERT: see [`Options::max_insert_rows`].
    pub fn max_insert_rows(self, count: u32) -> Self {
        self.set(|options| options.max_insert_rows(count))
    }

    /// Whether merged INSERTs may go the database's fastest way: see [`Options::fast_path`].
    pub fn fast_path(self, takes: bool) -> Self {
        self.set(|options| options.fast_path(takes))
    }

    /// Bytes of a batch that are left free for what hooks add: see [`Options::hook_room`].
    pub fn hook_room(self, bytes: u64) -> Self {
        self.set(|options| options.hook_room(bytes))
    }

    /// Batches with another component than the embedded one.
    pub fn core(mut self, core: Core) -> Self {
        self.core = Some(core);
        self
    }

    /// Tells how far the run has come: at most every 100 ms, and once at its end. Called on the
    /// task that drives the run, so it must not block.
    pub fn observer(mut self, observer: impl Fn(&Snapshot) + Send + 'static) -> Self {
        self.observer = Observer::new(observer);
        self
    }

    /// The meter that the run counts with: see [`METRICS`](crate::METRICS). Default: the meter
    /// `sql-batcher` of OpenTelemetry's global provider, which keeps nothing unless the program has
    /// installed one.
    pub fn meter(mut self, meter: Meter) -> Self {
        self.meter = Some(meter);
        self
    }

    /// Checks the options and starts the run. The first one in a process compiles the embedded
    /// component, or takes it from the user's cache folder.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidOptions`] where an option is out of its range or the database cannot do
    /// it, where a hook cannot be started or refuses its configuration, or where there is no tokio
    /// runtime; [`ErrorKind::Sandbox`] where no sandbox is to be had.
    pub async fn build(mut self) -> Result<Batcher> {
        let runtime = Handle::try_current().map_err(|error| {
            Error::new(ErrorKind::InvalidOptions, "a batcher needs a tokio runtime")
                .with_source(error.into())
        })?;
        let mut settings = self.options.settle_for(self.adapter.capabilities())?;
        if self.hooks.count() > 0 {
            settings.hook_room = self.options.room_for_hooks(settings.max_bytes);
            settings.has_next_at_hand = false;
        }
        if settings.transactions == Transactions::Run && self.skipping.is_some() {
            let message = "bad statements cannot be left out of a run that is one transaction";
            return Err(Error::new(ErrorKind::InvalidOptions, message));
        }
        let core = match &self.core {
            Some(core) => core.clone(),
            None => embedded().await?,
        };
        let eager = settings.max_age.is_some();
        let (commands, queue) = mpsc::channel(WAITING_PIECES);
        let (stop, stopped) = watch::channel(Stop::No);
        let meter = self.meter.take().unwrap_or_else(|| global::meter(METER));
        let instruments = Instruments::new(&meter, self.adapter.capabilities());
        let mut hooks = mem::take(&mut self.hooks);
        hooks.measure_with(instruments.clone());
        let session = Session::open(&core, settings.clone(), Answer::Pending, hooks)?;
        let channels = (queue, stopped);
        let driver = self.driver(session, instruments, settings, channels);
        let tally = Arc::clone(&driver.tally);
        let span = info_span!(
            "run",
            db.system.name = driver.instruments.system(),
            error.r#type = field::Empty,
            otel.status_code = field::Empty,
        );
        let task = runtime.spawn(driver.run().instrument(span.clone()));
        let added = Statements::default();
        Ok(Batcher { commands, task, stop, tally, span, added, eager, failed: None })
    }

    fn driver(
        self,
        session: Session,
        instruments: Instruments,
        settings: Settings,
        (commands, stop): (mpsc::Receiver<Command>, watch::Receiver<Stop>),
    ) -> Driver {
        let database = self.adapter.capabilities();
        let mut notes = database.notes.clone();
        notes.extend(self.options.notes_on(&settings, database));
        let tally = Tally::new(database.server.clone(), notes);
        let memory = Arc::new(Mutex::new(SessionMemory::new(settings.dialect)));
        let skipping = self.skipping.map(Arc::new);
        let bounds = Bounds::of(&settings, database);
        let Times { connect_timeout, attempt_timeout, deadline } = settings.times;
        let deadline = deadline.map(|after| Deadline { at: Instant::now() + after, after });
        let guard = Guard {
            connect_timeout,
            attempt_timeout,
            deadline,
            stop: stop.clone(),
            interrupted_at: None,
        };
        let idle = (0..settings.max_in_flight).map(|number| Slot {
            number,
            adapter: Arc::clone(&self.adapter),
            connection: None,
            spare: None,
            was_connected: false,
            last: None,
            settings: 0,
            retries: settings.retries,
            guard: guard.clone(),
            instruments: instruments.clone(),
            memory: Arc::clone(&memory),
            ledger: None,
            skipping: skipping.clone(),
            bounds,
            spans_run: settings.transactions == Transactions::Run,
            last_key: None,
            warnings: Vec::new(),
        });
        let idle = idle.collect();
        let tally = Arc::new(Mutex::new(tally));
        Driver {
            session,
            settings,
            instruments,
            memory,
            adapter: self.adapter,
            idle,
            commands,
            stop,
            tally,
            observer: self.observer,
            deadline,
        }
    }

    fn set(mut self, change: impl FnOnce(Options) -> Options) -> Self {
        self.options = change(self.options);
        self
    }
}

/// The embedded component. To compile it takes a while, so that is done off the runtime's threads.
async fn embedded() -> Result<Core> {
    if let Some(core) = Core::compiled() {
        return core.cloned();
    }
    let compiled = spawn_blocking(|| Core::embedded().cloned()).await;
    compiled.unwrap_or_else(|error| {
        Err(Error::new(ErrorKind::Sandbox, "the component was not compiled")
            .with_source(error.into()))
    })
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder").field("options", &self.options).finish_non_exhaustive()
    }
}
