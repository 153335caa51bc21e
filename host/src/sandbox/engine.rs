//! The engine, one for the process, and the components that it has compiled.

use std::{fmt, sync::OnceLock};

use wasmtime::{
    Cache, CacheConfig, Config, Enabled, Engine, InstanceAllocationStrategy, OptLevel,
    PoolingAllocationConfig,
    component::{Component, HasSelf, Linker},
};

use super::{Guest, TABLE_ELEMENTS, TICK, bindings, ticker::Ticker, unusable};
use crate::{CORE_COMPONENT, Error, ErrorKind, Result};

/// Sessions that a process can have open at once, where its address space allows: each reserves
/// 4 GiB of it. A process that may not reserve so much gets [`FEWER_SESSIONS`].
const SESSIONS: u32 = 1000;
const FEWER_SESSIONS: u32 = 32;
/// Core instances and tables of one component: the batcher itself, and what the tool chain adds to
/// connect it (`wit-component` makes a shim and a fix-up module).
const PARTS: u32 = 4;
const MAX_WASM_STACK: usize = 256 * 1024;
/// Memory of a slot, and of each of its tables, that stays resident between two sessions, so that the
/// next one starts quickly. With `PAGEMAP_SCAN` (Linux 6.7) only the pages that were written are reset.
const KEPT_RESIDENT: usize = 256 * 1024;

static EMBEDDED: OnceLock<Result<Core>> = OnceLock::new();

/// The batching component, compiled: what every run is an instance of.
///
/// The one that this library embeds is compiled once in a process, and the machine code is kept in
/// the user's cache folder, so that a second start is quick.
#[derive(Clone)]
pub struct Core {
    pub(super) component: bindings::BatcherPre<Guest>,
    pub(super) ticker: Ticker,
}

impl Core {
    /// The component that this library embeds ([`CORE_COMPONENT`]). The first call in a process
    /// compiles it.
    ///
    /// # Errors
    /// [`ErrorKind::Sandbox`], where the sandbox cannot be set up on this machine.
    pub fn embedded() -> Result<&'static Self> {
        EMBEDDED.get_or_init(|| Self::compile(CORE_COMPONENT)).as_ref().map_err(Clone::clone)
    }

    /// The embedded component, if it has been compiled before.
    pub(crate) fn compiled() -> Option<Result<&'static Self>> {
        EMBEDDED.get().map(|core| core.as_ref().map_err(Clone::clone))
    }

    /// Compiles another component of the same contract (the world `batcher` of `wit/`).
    ///
    /// # Errors
    /// [`ErrorKind::Sandbox`], where it is no component, imports anything beyond the contract, or
    /// does not export it.
    pub fn compile(component: &[u8]) -> Result<Self> {
        let (engine, ticker) = engine()?;
        let pre = || {
            let component = Component::from_binary(engine, component)?;
            let mut linker = Linker::new(engine);
            bindings::Batcher::add_to_linker::<_, HasSelf<_>>(&mut linker, |guest| guest)?;
            bindings::BatcherPre::new(linker.instantiate_pre(&component)?)
        };
        let component = pre().map_err(|error| unusable("the component cannot be used", error))?;
        Ok(Self { component, ticker: ticker.clone() })
    }
}

fn engine() -> Result<&'static (Engine, Ticker)> {
    static ENGINE: OnceLock<Result<(Engine, Ticker)>> = OnceLock::new();
    ENGINE.get_or_init(start_engine).as_ref().map_err(Clone::clone)
}

fn start_engine() -> Result<(Engine, Ticker)> {
    let engine = Engine::new(&config(SESSIONS))
        .or_else(|_| Engine::new(&config(FEWER_SESSIONS)))
        .map_err(|error| unusable("the sandbox cannot be set up", error))?;
    with_ticker(engine)
}

/// An engine, and what counts its time.
pub(super) fn with_ticker(engine: Engine) -> Result<(Engine, Ticker)> {
    let ticking = engine.clone();
    let ticker = Ticker::start(TICK, move || ticking.increment_epoch()).map_err(|error| {
        Error::new(ErrorKind::Sandbox, "the sandbox's ticker cannot be started")
            .with_source(error.into())
    })?;
    Ok((engine, ticker))
}

fn config(sessions: u32) -> Config {
    let mut pool = PoolingAllocationConfig::default();
    pool.total_component_instances(sessions)
        .total_memories(sessions)
        .total_core_instances(sessions * PARTS)
        .total_tables(sessions * PARTS)
        .table_elements(TABLE_ELEMENTS)
        .linear_memory_keep_resident(KEPT_RESIDENT)
        .table_keep_resident(KEPT_RESIDENT)
        .pagemap_scan(Enabled::Auto);
    let mut config = Config::new();
    config
        .allocation_strategy(InstanceAllocationStrategy::Pooling(pool))
        .concurrency_support(false)
        .cranelift_opt_level(OptLevel::Speed)
        .epoch_interruption(true)
        .max_wasm_stack(MAX_WASM_STACK)
        .wasm_relaxed_simd(false)
        .cache(Cache::new(CacheConfig::new()).ok());
    config
}

impl fmt::Debug for Core {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Core").finish_non_exhaustive()
    }
}
