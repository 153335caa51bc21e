//! A double of Snowflake's SQL API v2, written from its documentation
//! (<https://docs.snowflake.com/en/developer-guide/sql-api/reference>): strict where the service may
//! be lenient. It refuses whatever the documentation does not allow, and keeps what it has refused; it
//! runs statements in an SQLite database, each request in a session of its own, and runs a request
//! once, however often it comes. It fails when it is told to, in each way that is documented.

mod checks;
mod exchange;
mod results;
mod script;
mod store;
mod texts;

use std::{
    collections::HashMap,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use sql_batcher_adapters::{Adapter as _, Sqlite};
use tempfile::TempDir;
use tokio::{net::TcpListener, task::JoinHandle};

use self::store::Statement;

/// The account, the user and the place of the double.
pub const ACCOUNT: &str = "myorg-acct";
/// The name of its only user.
pub const USER: &str = "loader";
/// The database that requests have to name.
pub const DATABASE: &str = "DB";
/// The schema that they have to name.
pub const SCHEMA: &str = "PUBLIC";
/// The token that it takes.
pub const TOKEN: &str = "s3cret-token";
/// The most bytes of a text.
pub const MAX_TEXT_BYTES: usize = 1_000_000;

/// Where a fault strikes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Where a statement is sent, for the first time or again.
    Submit,
    /// Where a statement is asked about.
    Poll,
    /// Where a statement is cancelled.
    Cancel,
}

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// This status instead of an answer; nothing was done. With `Retry-After`, in seconds.
    Status(u16, Option<u32>),
    /// This status instead of an answer; all was done.
    StatusBehind(u16),
    /// The connection ends before anything was done.
    CutBefore,
    /// The connection ends before the answer; all was done.
    CutBehind,
    /// 200 and no body; all was done.
    Empty,
    /// 200 and half a body; all was done.
    Half,
    /// The token counts as expired: 401.
    Expired,
}

/// A request that came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// What it asked for.
    pub step: Step,
    /// Its number.
    pub request_id: String,
    /// Whether it said that it was sent again.
    pub is_retry: bool,
    /// Bytes of its text.
    pub text_bytes: usize,
    /// Its text.
    pub text: String,
}

/// How the double is to be.
#[derive(Clone, Copy, Debug)]
pub struct Setup {
    /// After how long a statement that still runs is answered with 202; the service: 45 s.
    pub answers_within: Duration,
    /// How often a statement that has ended is still said to run.
    pub lingering_polls: u32,
    /// Whether the token has to be signed with the key of the tests.
    pub wants_key: bool,
}

impl Default for Setup {
    fn default() -> Self {
        Self { answers_within: Duration::from_secs(45), lingering_polls: 0, wants_key: false }
    }
}

/// What the requests share.
struct State {
    setup: Setup,
    store: Sqlite,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    statements: HashMap<String, Arc<Statement>>,
    /// Numbers of requests, with the handles of their statements and the bodies they came with.
    requests: HashMap<String, (String, Vec<u8>)>,
    faults: Vec<(Step, Fault, u32)>,
    seen: Vec<Seen>,
    refused: Vec<String>,
    tokens: Vec<String>,
    handles: u64,
}

impl State {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().expect("no request panics")
    }
}

/// A service on a port of its own. Dropping it stops it.
pub struct Double {
    address: SocketAddr,
    state: Arc<State>,
    task: JoinHandle<()>,
    _folder: TempDir,
}

impl Drop for Double {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Double {
    /// Starts one.
    ///
    /// # Panics
    /// Where there is no port, or no folder for its database.
    pub async fn start(setup: Setup) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let url = format!("sqlite://{}?mode=rwc", folder.path().join("store.db").display());
        let store = Sqlite::connect(&url).await.expect("a database");
        let state = Arc::new(State { setup, store, inner: Mutex::default() });
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port is free");
        let address = listener.local_addr().expect("it is bound");
        let task = tokio::spawn(listen(listener, Arc::clone(&state)));
        Self { address, state, task, _folder: folder }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its URL for the adapter, with its token, or with its key.
    #[must_use]
    pub fn url(&self) -> String {
        self.url_through(self.address)
    }

    /// The same, where something else listens in front of it.
    #[must_use]
    pub fn url_through(&self, address: SocketAddr) -> String {
        let place = format!("{ACCOUNT}/{DATABASE}/{SCHEMA}?warehouse=WH&base_url=http://{address}");
        match self.state.setup.wants_key {
            true => {
                let key = key_file("key.p8");
                format!("snowflake://{USER}@{place}&private_key_file={}", key.display())
            }
            false => format!("snowflake://{USER}:{TOKEN}@{place}"),
        }
    }

    /// Lets something go wrong at a step, so many times, before what was said later.
    pub fn arm(&self, step: Step, fault: Fault, times: u32) {
        self.state.lock().faults.push((step, fault, times));
    }

    /// Faults that have not struck.
    #[must_use]
    pub fn armed(&self) -> usize {
        self.state.lock().faults.len()
    }

    /// What came so far.
    #[must_use]
    pub fn seen(&self) -> Vec<Seen> {
        self.state.lock().seen.clone()
    }

    /// What was refused because the documentation does not allow it. A client that is right leaves
    /// it empty.
    #[must_use]
    pub fn refused(&self) -> Vec<String> {
        self.state.lock().refused.clone()
    }

    /// How many different tokens came.
    #[must_use]
    pub fn tokens(&self) -> usize {
        let mut tokens = self.state.lock().tokens.clone();
        tokens.sort();
        tokens.dedup();
        tokens.len()
    }

    /// What a query gives that is asked of the store itself.
    ///
    /// # Panics
    /// Where it cannot be asked.
    pub async fn query(&self, sql: &str) -> Vec<Vec<Option<String>>> {
        let mut session = self.state.store.acquire().await.expect("a session");
        let rows = session.fetch(sql).await.expect("the query is right");
        session.close().await;
        rows
    }

    /// A number that is asked of the store itself.
    ///
    /// # Panics
    /// Where it is none.
    pub async fn number(&self, sql: &str) -> u64 {
        let value = self.query(sql).await.into_iter().flatten().flatten().next();
        value.and_then(|value| value.parse().ok()).expect("it is a number")
    }
}

/// A file of the key pair of the tests.
#[must_use]
pub fn key_file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("cases/snowflake").join(name)
}

async fn listen(listener: TcpListener, state: Arc<State>) {
    while let Ok((stream, _)) = listener.accept().await {
        let state = Arc::clone(&state);
        tokio::spawn(async move {
            let answer = service_fn(|request| exchange::answer(request, Arc::clone(&state)));
            // A client that leaves is done, and one that was cut off.
            http1::Builder::new().serve_connection(TokioIo::new(stream), answer).await.ok();
        });
    }
}
