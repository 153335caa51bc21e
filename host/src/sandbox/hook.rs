//! A hook in a sandbox of its own: a component of the world `hook`. It shares nothing with the
//! batching component, with other hooks or with other runs but the machine code: each run has a
//! store for it, with limits on memory, stack, time and on what it answers. After a trap, or a limit
//! that was reached, its store is dropped, and the next call gets a new one.
//!
//! Cost of a call: about a microsecond, and a copy of the batch in and of the answer out.

mod limits;
mod world;

use std::{fmt, fs::File, io::Read as _, path::Path, sync::OnceLock};

use wasmtime::{
    Cache, CacheConfig, Config, Engine, OptLevel, ResourceLimiter, Store, Trap,
    component::{Component, HasSelf, Linker},
};

pub(super) use self::bindings::sql_batcher::core::types;
pub use self::limits::HookLimits;
use super::{
    engine::with_ticker,
    ticker::{Awake, Ticker},
    ticks,
};
use crate::{
    Error, ErrorKind, Result,
    batch::Batch,
    hooks::{BatchInfo, Outcome, Verdict},
};

mod bindings {
    wasmtime::component::bindgen!({
        path: "../wit",
        world: "hook",
    });
}

/// Stack of one call. More than the batching component has: interpreters of other languages are
/// hooks, too.
const MAX_WASM_STACK: usize = 512 * 1024;
/// Elements of all tables together: functions that are called through a pointer.
const TABLE_ELEMENTS: usize = 100_000;
/// Core instances, and tables, of one component: more than any tool chain makes.
const MOST_PARTS: usize = 100;
/// Bytes that a reason may have beside a body.
const REASON_BYTES: u64 = 65_536;

/// A hook as a component of the world `hook` of `wit/`, compiled, with its configuration and its
/// limits. It can import nothing: one that asks for anything, WASI included, is refused.
///
/// Cheap to clone; each run that it is registered with has an instance of its own.
///
/// ```no_run
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> sql_batcher::Result<()> {
/// use sql_batcher::{
///     Batcher,
///     adapters::Sqlite,
///     hooks::{HookLimits, HookPolicy, SandboxedHook},
/// };
///
/// let guard = SandboxedHook::open("guard.wasm", HookLimits::default())?.config("deny=drop");
/// let db = Sqlite::connect("sqlite://app.db").await?;
/// let batcher = Batcher::builder(db)
///     .sandboxed_hook("guard", HookPolicy::Abort, guard)
///     .build()
///     .await?;
/// # drop(batcher);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct SandboxedHook {
    component: bindings::HookPre<Guest>,
    limits: HookLimits,
    config: String,
}

impl SandboxedHook {
    /// Reads a component from a file, checks and compiles it.
    ///
    /// # Errors
    /// [`ErrorKind::Input`] where the file cannot be read; else as [`compile`](Self::compile).
    pub fn open(path: impl AsRef<Path>, limits: HookLimits) -> Result<Self> {
        let path = path.as_ref();
        let name = path.display().to_string();
        let unread = |error| Error::input(&name, error);
        let file = File::open(path).map_err(unread)?;
        let length = file.metadata().map_err(unread)?.len();
        // What is too large is not read at all; what has no length, no farther than the limit.
        limits.check_component(length).map_err(|error| error.about(&name))?;
        let mut component = Vec::new();
        let most = limits.component_bytes.saturating_add(1);
        file.take(most).read_to_end(&mut component).map_err(unread)?;
        Self::compile(&component, limits).map_err(|error| error.about(&name))
    }

    /// Checks a component and compiles it. The machine code is kept in the user's cache folder.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidOptions`] where a limit is out of its range, or the component is too
    /// large, is none, imports anything (which is named), or does not export what a hook has.
    pub fn compile(component: &[u8], limits: HookLimits) -> Result<Self> {
        limits.check()?;
        limits.check_component(component.len() as u64)?;
        world::check(component).map_err(|fact| Error::new(ErrorKind::InvalidOptions, fact))?;
        let (engine, _) = engine()?;
        let pre = || {
            let component = Component::from_binary(engine, component)?;
            let mut linker = Linker::new(engine);
            bindings::Hook::add_to_linker::<_, HasSelf<_>>(&mut linker, |guest: &mut Guest| guest)?;
            bindings::HookPre::new(linker.instantiate_pre(&component)?)
        };
        let component = pre().map_err(|error: wasmtime::Error| {
            let message = format!("the hook cannot be used: {}", error.root_cause());
            Error::new(ErrorKind::InvalidOptions, message).with_source(error.into_boxed_dyn_error())
        })?;
        Ok(Self { component, limits, config: String::new() })
    }

    /// The text that the hook is configured with before its first batch: default empty.
    pub fn config(mut self, text: impl Into<String>) -> Self {
        self.config = text.into();
        self
    }
}

impl fmt::Debug for SandboxedHook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SandboxedHook").field("limits", &self.limits).finish_non_exhaustive()
    }
}

/// The engine of hooks is not that of the batching component: its pool has room for that alone,
/// and whatever hooks do there is room in it.
fn engine() -> Result<&'static (Engine, Ticker)> {
    static ENGINE: OnceLock<Result<(Engine, Ticker)>> = OnceLock::new();
    ENGINE.get_or_init(start_engine).as_ref().map_err(Clone::clone)
}

fn start_engine() -> Result<(Engine, Ticker)> {
    let mut config = Config::new();
    config
        .concurrency_support(false)
        .cranelift_opt_level(OptLevel::Speed)
        .epoch_interruption(true)
        .max_wasm_stack(MAX_WASM_STACK)
        .wasm_relaxed_simd(false)
        .cache(Cache::new(CacheConfig::new()).ok());
    let engine = Engine::new(&config)
        .map_err(|error| super::unusable("the sandbox of hooks cannot be set up", error))?;
    with_ticker(engine)
}

/// A hook of one run.
pub(crate) struct HookInstance {
    hook: SandboxedHook,
    max_body_bytes: u64,
    /// None after a failure.
    live: Option<Live>,
}

struct Live {
    store: Store<Guest>,
    handler: bindings::Hook,
    _awake: Awake,
}

/// What the host keeps for one instance.
struct Guest {
    memory_limit: u64,
    /// Bytes of all memories together.
    memory_bytes: u64,
    table_elements: usize,
    /// The limit that was reached, in words.
    violation: Option<String>,
}

impl HookInstance {
    /// Instantiates and configures a hook, which may answer with bodies of so many bytes. What goes
    /// wrong is a text for people, as with every call.
    pub(crate) fn start(hook: &SandboxedHook, max_body_bytes: u64) -> Result<Self, String> {
        let live = Live::start(hook, max_body_bytes)?;
        Ok(Self { hook: hook.clone(), max_body_bytes, live: Some(live) })
    }

    /// Shows it a batch.
    pub(crate) fn pre_batch(&mut self, batch: Batch) -> Result<Verdict, String> {
        let batch = types::Batch::from(batch);
        let verdict = self.call(|handler, store| {
            handler.sql_batcher_core_handler().call_pre_batch(store, &batch)
        })?;
        Ok(Verdict::from(verdict))
    }

    /// Tells it how a batch ended.
    pub(crate) fn post_batch(
        &mut self,
        batch: &BatchInfo,
        outcome: &Outcome,
    ) -> Result<(), String> {
        let (batch, outcome) = (types::BatchInfo::from(batch), types::Outcome::from(outcome));
        self.call(|handler, store| {
            handler.sql_batcher_core_handler().call_post_batch(store, batch, &outcome)
        })
    }

    /// The store is put back only if the call has come back as it should.
    fn call<T>(
        &mut self,
        function: impl FnOnce(&bindings::Hook, &mut Store<Guest>) -> wasmtime::Result<Result<T, String>>,
    ) -> Result<T, String> {
        let mut live = match self.live.take() {
            Some(live) => live,
            None => Live::start(&self.hook, self.max_body_bytes)?,
        };
        let limits = &self.hook.limits;
        live.store.set_epoch_deadline(ticks(limits.call_timeout));
        match function(&live.handler, &mut live.store) {
            Ok(answer) => {
                self.live = Some(live);
                answer
            }
            Err(error) => Err(explain(&error, &live.store, limits)),
        }
    }
}

impl Live {
    fn start(hook: &SandboxedHook, max_body_bytes: u64) -> Result<Self, String> {
        let (engine, ticker) = engine().map_err(|error| error.to_string())?;
        let limits = &hook.limits;
        let guest = Guest {
            memory_limit: limits.memory_for(max_body_bytes),
            memory_bytes: 0,
            table_elements: 0,
            violation: None,
        };
        let awake = ticker.awake();
        let mut store = Store::new(engine, guest);
        store.limiter(|guest| guest);
        let answer = max_body_bytes.saturating_add(REASON_BYTES);
        store.set_hostcall_fuel(usize::try_from(answer).unwrap_or(usize::MAX));
        store.set_epoch_deadline(ticks(limits.call_timeout));
        let started = hook.component.instantiate(&mut store).and_then(|handler| {
            let configured =
                handler.sql_batcher_core_handler().call_configure(&mut store, &hook.config)?;
            Ok((handler, configured))
        });
        match started {
            Ok((handler, Ok(()))) => Ok(Self { store, handler, _awake: awake }),
            Ok((_, Err(reason))) => Err(format!("it refuses its configuration: {reason}")),
            Err(error) => Err(explain(&error, &store, limits)),
        }
    }
}

fn explain(error: &wasmtime::Error, store: &Store<Guest>, limits: &HookLimits) -> String {
    if let Some(violation) = &store.data().violation {
        return violation.clone();
    }
    match error.downcast_ref() {
        Some(Trap::Interrupt) => {
            return format!("its call exceeded the limit of {:?}", limits.call_timeout);
        }
        Some(Trap::StackOverflow) => {
            return format!("its stack exceeded the limit of {MAX_WASM_STACK} bytes");
        }
        Some(trap) => return format!("it trapped: {trap}"),
        None => {}
    }
    let cause = error.root_cause().to_string();
    if cause.contains("fuel allocated for hostcalls") {
        return format!("its answer exceeds the limit of {} bytes", store.hostcall_fuel());
    }
    format!("its answer is none: {cause}")
}

impl Guest {
    /// Notes the limit that was reached, and ends the call that reached it.
    fn refuse<T>(&mut self, violation: String) -> wasmtime::Result<T> {
        self.violation = Some(violation);
        Err(Trap::UnreachableCodeReached.into())
    }
}

impl types::Host for Guest {}

impl ResourceLimiter for Guest {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let wanted = self.memory_bytes.saturating_add((desired - current) as u64);
        let limit = self.memory_limit;
        if wanted > limit {
            return self
                .refuse(format!("its memory of {wanted} bytes exceeds the limit of {limit}"));
        }
        self.memory_bytes = wanted;
        Ok(true)
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let wanted = self.table_elements.saturating_add(desired - current);
        if wanted > TABLE_ELEMENTS {
            return self.refuse(format!(
                "its tables of {wanted} elements exceed the limit of {TABLE_ELEMENTS}"
            ));
        }
        self.table_elements = wanted;
        Ok(true)
    }

    fn instances(&self) -> usize {
        MOST_PARTS
    }

    fn tables(&self) -> usize {
        MOST_PARTS
    }

    fn memories(&self) -> usize {
        MOST_PARTS
    }
}
