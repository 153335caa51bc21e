//! The peers that are written in Python: scripts of `benches/peers`, which say how long they took.

use std::{
    env,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use serde::Deserialize;

use crate::{
    database::{Database, Kind},
    peer::Failed,
    rows::Files,
};

use super::PYTHON;

/// Which of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Python {
    /// psycopg 3, `executemany`, which uses the pipeline.
    Psycopg,
    /// SQLAlchemy with its `insertmanyvalues`.
    SqlAlchemy,
    /// The package `sql-batcher`, given one statement after the other.
    SqlBatcher,
}

/// What a script says at its end.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Said {
    /// How long it took, the start of Python and the reading of files left out.
    pub seconds: Option<f64>,
    /// How many statements it found, where it splits.
    pub statements: Option<u64>,
    /// What it lacks.
    pub missing: Option<String>,
}

impl Python {
    /// Those that know this database.
    pub(super) fn all(kind: Kind) -> &'static [Self] {
        match kind {
            Kind::Postgres => &[Self::Psycopg, Self::SqlAlchemy, Self::SqlBatcher],
            Kind::Sqlite | Kind::MySql => &[Self::SqlAlchemy, Self::SqlBatcher],
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Psycopg => "psycopg 3 executemany",
            Self::SqlAlchemy => "SQLAlchemy insertmanyvalues",
            Self::SqlBatcher => "Python sql-batcher 0.1.4",
        }
    }

    fn script(self) -> &'static str {
        match self {
            Self::Psycopg => "psycopg_executemany.py",
            Self::SqlAlchemy => "sqlalchemy_insertmanyvalues.py",
            Self::SqlBatcher => "sql_batcher_loop.py",
        }
    }

    pub(super) fn load(self, database: &Database, files: &Files) -> Result<Duration, Failed> {
        let rows = if self == Self::SqlBatcher { files.script() } else { files.tabbed() };
        let said = run(self.script(), &[database.url.as_ref(), &rows])?;
        let seconds = said.seconds.ok_or("it does not say how long it took")?;
        Ok(Duration::try_from_secs_f64(seconds)?)
    }
}

/// Runs a script of `benches/peers` and gives what it says in its last line.
///
/// # Errors
/// Where it fails, or lacks something.
pub fn run(script: &str, arguments: &[&Path]) -> Result<Said, Failed> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers");
    let mut command = Command::new(found()?);
    command.arg(folder.join(script)).args(arguments).stdin(Stdio::null());
    let output = command.output()?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let last = said.trim().lines().last().unwrap_or_default();
        return Err(format!("{script}: {}: {last}", output.status).into());
    }
    let said: Said = serde_json::from_slice(&output.stdout)?;
    match said.missing {
        Some(missing) => Err(format!("not installed: {missing}").into()),
        None => Ok(said),
    }
}

/// The Python that has the peers.
fn found() -> Result<PathBuf, Failed> {
    let python = env::var_os(PYTHON).map(PathBuf::from).filter(|python| python.is_file());
    python.ok_or_else(|| format!("not installed: {PYTHON} names no Python with the peers").into())
}
