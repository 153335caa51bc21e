//! The ways to bring the same rows into a database that whole runs compare: sql-batcher's own, those
//! that people write by hand, and those of its peers. A way says what it cannot do here, and why.

mod by_hand;
mod client;
mod prepared;
mod program;
mod python;

use std::time::{Duration, Instant};

use sql_batcher::{
    Batcher,
    adapters::{PoolOptions, connect},
};

use crate::{
    database::{Database, Kind},
    peer::Failed,
    rows::{CREATE_TABLE, Files, HAND_MADE_ROWS, Rows},
};

pub use python::{Python, Said, run as python_script};

/// The variable with the Python that has the peers.
pub const PYTHON: &str = "SQL_BATCHER_BENCH_PYTHON";

/// Most rows that are brought one a round trip: it is their rate that counts.
const MOST_SINGLE: usize = 20_000;
/// The same where each is a transaction, for which databases wait for the disk.
const MOST_AUTOCOMMIT: usize = 500;

/// What is asked of sql-batcher.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Nothing.
    Plain,
    /// `--merge-inserts`.
    Merged,
    /// `--fast-path`.
    Fast,
}

/// A way to bring rows into a database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// The program `sql-batcher` reads the script from a file; the whole process.
    Program(Mode),
    /// The library is given the script; from connecting to the report.
    Library(Mode),
    /// Each row by itself, committed by itself.
    Autocommit,
    /// Each row by itself, in one transaction.
    OneByOne,
    /// An INSERT of 1000 rows a round trip, in one transaction.
    HandMade,
    /// A program with prepared statements of many rows and bound values. SQLite only.
    Prepared,
    /// `COPY` of rows that have its form already. PostgreSQL only.
    Copy,
    /// The database's own client reads the script, in one transaction; the whole process.
    Client,
    /// The same with a script of 1000-row INSERTs.
    ClientHandMade,
    /// A script of `benches/peers`, which takes its time itself.
    Peer(Python),
}

impl Mode {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Plain, Self::Merged, Self::Fast];

    /// Those that are different ones with this database: MariaDB has no fast path.
    #[must_use]
    pub fn of(kind: Kind) -> &'static [Self] {
        match kind {
            Kind::Sqlite | Kind::Postgres => &Self::ALL,
            Kind::MySql => &[Self::Plain, Self::Merged],
        }
    }

    /// What is said on the command line.
    #[must_use]
    pub fn flag(self) -> Option<&'static str> {
        match self {
            Self::Plain => None,
            Self::Merged => Some("--merge-inserts"),
            Self::Fast => Some("--fast-path"),
        }
    }

    fn suffix(self) -> String {
        self.flag().map(|flag| format!(" {flag}")).unwrap_or_default()
    }
}

impl Way {
    /// What it is called.
    #[must_use]
    pub fn name(self, kind: Kind) -> String {
        match self {
            Self::Program(mode) => format!("sql-batcher run{}", mode.suffix()),
            Self::Library(mode) => format!("library{}", mode.suffix()),
            Self::Autocommit => "one INSERT a round trip, autocommit".to_owned(),
            Self::OneByOne => "one INSERT a round trip, one transaction".to_owned(),
            Self::HandMade => "1000-row INSERTs by hand".to_owned(),
            Self::Prepared => "prepared multi-row INSERTs by hand".to_owned(),
            Self::Copy => "raw COPY".to_owned(),
            Self::Client => client::name(kind).to_owned(),
            Self::ClientHandMade => format!("{}, 1000-row INSERTs", client::name(kind)),
            Self::Peer(python) => python.name().to_owned(),
        }
    }

    /// Whether it is sql-batcher's.
    #[must_use]
    pub fn is_ours(self) -> bool {
        matches!(self, Self::Program(_) | Self::Library(_))
    }

    /// How many of so many rows it brings.
    #[must_use]
    pub fn rows(self, count: usize) -> usize {
        match self {
            Self::Autocommit => count.min(MOST_AUTOCOMMIT),
            Self::OneByOne => count.min(MOST_SINGLE),
            _ => count,
        }
    }

    /// All that this database knows, ours first.
    #[must_use]
    pub fn all(kind: Kind) -> Vec<Self> {
        let modes = Mode::of(kind);
        let mut all: Vec<Self> = modes.iter().copied().map(Self::Program).collect();
        all.extend(modes.iter().copied().map(Self::Library));
        all.extend([Self::Client, Self::ClientHandMade]);
        all.extend([Self::Autocommit, Self::OneByOne, Self::HandMade]);
        match kind {
            Kind::Sqlite => all.push(Self::Prepared),
            Kind::Postgres => all.push(Self::Copy),
            Kind::MySql => {}
        }
        all.extend(Python::all(kind).iter().copied().map(Self::Peer));
        all
    }
}

/// Rows on their way, in memory and in files.
#[derive(Debug)]
pub struct Input {
    /// In memory.
    pub rows: Rows,
    /// In files.
    pub files: Files,
    /// The statement that makes the table for them.
    pub create_table: &'static str,
}

impl Input {
    /// So many rows.
    ///
    /// # Errors
    /// If there is no room for them.
    pub fn new(count: usize) -> Result<Self, Failed> {
        let rows = Rows::new(count);
        let files = Files::new(&rows)?;
        Ok(Self { rows, files, create_table: CREATE_TABLE })
    }

    /// How many.
    #[must_use]
    pub fn count(&self) -> usize {
        self.rows.values.len()
    }
}

/// Brings all rows into a table that is new, and gives the time that it took; or says why that is
/// not possible.
///
/// # Errors
/// Whatever goes wrong, and what is not installed.
pub async fn run(way: Way, database: &Database, input: &Input) -> Result<Duration, Failed> {
    database.prepare(input.create_table).await?;
    let start = Instant::now();
    let own_time = bring(way, database, input).await?;
    let took = own_time.unwrap_or_else(|| start.elapsed());
    database.check(way.rows(input.count())).await?;
    Ok(took)
}

/// As [`run`], into a table that is there, and without a look at it afterwards. Gives a time where
/// the way has taken it itself.
///
/// # Errors
/// Whatever goes wrong, and what is not installed.
pub async fn bring(
    way: Way,
    database: &Database,
    input: &Input,
) -> Result<Option<Duration>, Failed> {
    let Input { rows, files, .. } = input;
    let single = rows.statements().take(way.rows(input.count()));
    match way {
        Way::Program(mode) => program::run(database, mode, &files.script())?,
        Way::Library(mode) => library(&database.url, mode, &rows.script).await?,
        Way::Autocommit => by_hand::one_by_one(database, single, false).await?,
        Way::OneByOne => by_hand::one_by_one(database, single, true).await?,
        Way::HandMade => {
            by_hand::one_by_one(database, rows.hand_made.split_inclusive('\n'), true).await?;
        }
        Way::Prepared => prepared::run(database.file(), &rows.values)?,
        Way::Copy => by_hand::copy(&database.url, &rows.tabbed).await?,
        Way::Client => client::run(database, files, false)?,
        Way::ClientHandMade => client::run(database, files, true)?,
        Way::Peer(python) => return python.load(database, files).map(Some),
    }
    Ok(None)
}

/// Gives a script to a batcher.
///
/// # Errors
/// Whatever goes wrong.
pub async fn library(url: &str, mode: Mode, script: &str) -> Result<(), Failed> {
    let adapter = connect(url, &PoolOptions::default()).await?;
    let builder = Batcher::builder_boxed(adapter).merge_inserts(mode != Mode::Plain);
    let mut batcher = builder.fast_path(mode == Mode::Fast).build().await?;
    batcher.push_str(script).await?;
    batcher.finish().await?;
    Ok(())
}

// A row of the hand-made INSERTs is named in labels.
const _: () = assert!(HAND_MADE_ROWS == 1000);
