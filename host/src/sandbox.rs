//! The sandbox: the only module that names wasmtime. One engine for the process, the batching
//! component compiled once, and for each run a store of its own with limits on memory, time and
//! stack. No WASI is linked: the component can call nothing but the three interfaces below.
//!
//! Cost of a session: one slot of the pooling allocator. Cost of a call: a few tenths of a
//! microsecond, and one copy of what goes in or comes out.

mod asked;
mod check;
mod convert;
mod convert_hooks;
mod engine;
mod guest;
mod handed;
mod hook;
mod ticker;

use std::{collections::VecDeque, fmt, mem, sync::Arc, time::Duration};

use wasmtime::{PoolConcurrencyLimitError, Store, Trap, UpdateDeadline, component::ResourceAny};

pub use self::engine::Core;
pub(crate) use self::hook::HookInstance;
pub use self::hook::{HookLimits, SandboxedHook};
use self::{
    bindings::{exports::sql_batcher::core::batching::GuestSession, types},
    check::Checks,
    guest::Guest,
    ticker::Awake,
};
use crate::{
    Error, ErrorKind, Result,
    account::Account,
    batch::Batch,
    hooks::{Hooks, Told},
    input::Sources,
    options::Settings,
    progress::{Outcome, Progress},
    tally::Noticed,
};

mod bindings {
    /// The records of the contract, as for hooks, but for the one that carries most of what leaves the
    /// sandbox.
    #[expect(unreachable_pub, reason = "what is generated says again what is here")]
    pub mod types {
        pub(crate) use super::super::{handed::Batch, hook::types::*};
    }

    wasmtime::component::bindgen!({
        path: "../wit",
        world: "batcher",
        imports: { default: trappable },
        with: { "sql-batcher:core/types": crate::sandbox::bindings::types },
    });
}

/// Elements of one table: the functions that are called through a pointer.
const TABLE_ELEMENTS: usize = 10_000;
const TICK: Duration = Duration::from_millis(5);
/// One run inside the sandbox. After a trap, or an answer that breaks the contract, its store is
/// dropped, and each later call fails.
pub(crate) struct Session {
    live: Option<Live>,
    settings: Settings,
}

struct Live {
    store: Store<Guest>,
    batcher: bindings::Batcher,
    handle: ResourceAny,
    _awake: Awake,
}

/// What `database.execute` answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// The batch is under way; [`Session::complete`] will say how it ended.
    Pending,
    /// The batch counts as applied at once: nothing is sent anywhere.
    Applied,
}

impl Session {
    /// Instantiates the component, starts the hooks and opens a session with these settings.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidOptions`] where the component refuses the options or a hook cannot be
    /// started, [`ErrorKind::Sandbox`] where no instance is to be had.
    pub(crate) fn open(
        core: &Core,
        settings: Settings,
        answer: Answer,
        mut hooks: Hooks,
    ) -> Result<Self> {
        hooks.start(settings.max_body_bytes())?;
        let mut options = types::Options::from(&settings);
        options.hooks = hooks.known().map(types::HookOptions::from).collect();
        let guest = Guest {
            answer,
            batches: VecDeque::new(),
            checks: Checks::new(settings.clone(), hooks.count()),
            memory_bytes: settings.memory_bytes(hooks.count() > 0),
            used_bytes: 0,
            hooks,
            sources: Sources::default(),
            hook_time: Duration::ZERO,
            noticed: Noticed::default(),
            violation: None,
        };
        let awake = core.ticker.awake();
        let mut store = Store::new(core.component.engine(), guest);
        store.limiter(|guest| guest);
        store.set_hostcall_fuel(crossing_bytes(&settings));
        store.set_epoch_deadline(ticks(settings.sandbox.call_timeout));
        store.epoch_deadline_callback(|mut store| {
            let spent = mem::take(&mut store.data_mut().hook_time);
            Ok(match spent.as_millis() / TICK.as_millis() {
                0 => UpdateDeadline::Interrupt,
                ticks => UpdateDeadline::Continue(u64::try_from(ticks).unwrap_or(u64::MAX)),
            })
        });

        let opened = core.component.instantiate(&mut store).and_then(|batcher| {
            let session = batcher.sql_batcher_core_batching().session();
            let handle = session.call_open(&mut store, &options)?;
            Ok((batcher, handle))
        });
        let (batcher, handle) = match opened {
            Ok(opened) => opened,
            Err(error) => return Err(explain(error, store.data(), &settings)),
        };
        let handle = handle.map_err(Error::from)?;
        let live = Live { store, batcher, handle, _awake: awake };
        Ok(Self { live: Some(live), settings })
    }

    /// Takes a piece of a script, cut anywhere.
    pub(crate) fn push(&mut self, chunk: &[u8], now_ms: u64) -> Result<Progress> {
        self.checks(|checks| checks.received += chunk.len() as u64);
        self.call(|session, store, handle| session.call_push(store, handle, chunk, now_ms))
    }

    /// Takes a piece of a script that is UTF-8.
    pub(crate) fn push_text(&mut self, chunk: &str, now_ms: u64) -> Result<Progress> {
        self.checks(|checks| checks.received += chunk.len() as u64);
        self.call(|session, store, handle| session.call_push_text(store, handle, chunk, now_ms))
    }

    /// Takes statements that are already apart: `ends` are the ends of each in `text`.
    pub(crate) fn add(&mut self, text: &str, ends: &[u32], now_ms: u64) -> Result<Progress> {
        self.checks(|checks| checks.received += text.len() as u64);
        self.call(|session, store, handle| session.call_add(store, handle, text, ends, now_ms))
    }

    /// Ends one input.
    pub(crate) fn end_input(&mut self, now_ms: u64) -> Result<Progress> {
        self.call(|session, store, handle| session.call_end_input(store, handle, now_ms))
    }

    /// Says what time it is.
    pub(crate) fn tick(&mut self, now_ms: u64) -> Result<Progress> {
        self.call(|session, store, handle| session.call_tick(store, handle, now_ms))
    }

    /// Closes the batch that is being filled.
    pub(crate) fn flush(&mut self, now_ms: u64) -> Result<Progress> {
        self.call(|session, store, handle| session.call_flush(store, handle, now_ms))
    }

    /// Says how a batch ended.
    pub(crate) fn complete(
        &mut self,
        batch: u64,
        outcome: Outcome,
        now_ms: u64,
    ) -> Result<Progress> {
        self.checks(|checks| {
            checks.in_flight = checks.in_flight.saturating_sub(1);
            checks.stopped |= outcome.interruption.is_some();
        });
        let outcome = types::Outcome::from(outcome);
        self.call(|session, store, handle| {
            session.call_complete(store, handle, batch, &outcome, now_ms)
        })
    }

    /// Starts nothing more.
    pub(crate) fn cancel(&mut self, now_ms: u64) -> Result<Progress> {
        self.checks(|checks| (checks.stopped, checks.ending) = (true, true));
        self.call(|session, store, handle| session.call_cancel(store, handle, now_ms))
    }

    /// Ends the input and sends what is left.
    pub(crate) fn finish(&mut self, now_ms: u64) -> Result<Progress> {
        self.checks(|checks| checks.ending = true);
        self.call(|session, store, handle| session.call_finish(store, handle, now_ms))
    }

    /// The account as it stands.
    pub(crate) fn account(&mut self) -> Result<Account> {
        let account = self.enter(|session, store, handle| session.call_account(store, handle))?;
        Ok(Account::from(account))
    }

    /// The batches that the last calls have handed out, in their order.
    pub(crate) fn take_batches(&mut self) -> VecDeque<Batch> {
        let batches = self.live.as_mut().map(|live| &mut live.store.data_mut().batches);
        batches.map(mem::take).unwrap_or_default()
    }

    /// What the component has noticed in the script so far.
    pub(crate) fn noticed(&self) -> Noticed {
        self.live.as_ref().map(|live| live.store.data().noticed.clone()).unwrap_or_default()
    }

    /// Bytes of the component's memory.
    pub(crate) fn memory_bytes(&self) -> u64 {
        self.live.as_ref().map_or(0, |live| live.store.data().used_bytes)
    }

    /// What follows byte `start` of all input belongs to this input.
    pub(crate) fn name_input(&mut self, start: u64, name: Option<Arc<str>>) {
        if let Some(live) = &mut self.live {
            live.store.data_mut().sources.begin(start, name);
        }
    }

    /// How long hooks took since this was asked last.
    pub(crate) fn take_hook_time(&mut self) -> Duration {
        let live = self.live.as_mut();
        live.map_or(Duration::ZERO, |live| live.store.data_mut().hooks.take_spent())
    }

    /// What there is to tell of the hooks, where that has changed.
    pub(crate) fn news_of_hooks(&mut self) -> Option<Vec<Told>> {
        self.live.as_mut()?.store.data_mut().hooks.news()
    }

    fn checks(&mut self, note: impl FnOnce(&mut Checks)) {
        if let Some(live) = &mut self.live {
            note(&mut live.store.data_mut().checks);
        }
    }

    fn call(&mut self, function: impl Export<types::Progress>) -> Result<Progress> {
        let progress = Progress::from(self.enter(function)?);
        let checked = self.live.as_ref().map(|live| live.store.data().checks.progress(&progress));
        if let Some(Err(violation)) = checked {
            self.live = None;
            return Err(Error::new(ErrorKind::Sandbox, broken(&violation)));
        }
        Ok(progress)
    }

    /// The store is put back only if the call has come back as it should.
    fn enter<T>(&mut self, function: impl Export<T>) -> Result<T> {
        let Some(mut live) = self.live.take() else {
            return Err(Error::new(ErrorKind::Sandbox, "the sandbox has failed before"));
        };
        let Live { store, batcher, handle, .. } = &mut live;
        store.set_epoch_deadline(ticks(self.settings.sandbox.call_timeout));
        store.data_mut().hook_time = Duration::ZERO;
        let session = batcher.sql_batcher_core_batching().session();
        match function(session, store, *handle) {
            Ok(value) => {
                self.live = Some(live);
                Ok(value)
            }
            Err(error) => Err(explain(error, live.store.data(), &self.settings)),
        }
    }
}

/// One call of an exported function of a session.
trait Export<T>:
    FnOnce(GuestSession<'_>, &mut Store<Guest>, ResourceAny) -> wasmtime::Result<T>
{
}

impl<T, F> Export<T> for F where
    F: FnOnce(GuestSession<'_>, &mut Store<Guest>, ResourceAny) -> wasmtime::Result<T>
{
}

/// The most bytes that the component may hand over in one call: a body, and 64 bytes for what is
/// said about each statement of a batch.
fn crossing_bytes(settings: &Settings) -> usize {
    let bytes = settings.max_body_bytes() + 64 * u64::from(settings.max_statements) + 65_536;
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

/// A call ends at the first tick after its time is over.
fn ticks(timeout: Duration) -> u64 {
    let ticks = timeout.as_millis().div_ceil(TICK.as_millis()) + 1;
    u64::try_from(ticks).unwrap_or(u64::MAX)
}

fn broken(violation: &str) -> String {
    format!("the batching component broke its contract: {violation}")
}

fn unusable(fact: &str, error: wasmtime::Error) -> Error {
    let message = format!("{fact}: {}", error.root_cause());
    Error::new(ErrorKind::Sandbox, message).with_source(error.into_boxed_dyn_error())
}

fn explain(error: wasmtime::Error, guest: &Guest, settings: &Settings) -> Error {
    let message = if let Some(violation) = &guest.violation {
        violation.clone()
    } else if let Some(Trap::Interrupt) = error.downcast_ref() {
        let limit = settings.sandbox.call_timeout;
        format!("a call into the sandbox exceeded the limit of {limit:?}")
    } else if let Some(pool) = error.downcast_ref::<PoolConcurrencyLimitError>() {
        format!("no sandbox is free: {pool}")
    } else {
        format!("the sandbox failed: {}", error.root_cause())
    };
    Error::new(ErrorKind::Sandbox, message).with_source(error.into_boxed_dyn_error())
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("live", &self.live.is_some()).finish_non_exhaustive()
    }
}
