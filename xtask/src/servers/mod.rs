//! Throw-away database servers for tests and benchmarks: found or installed, started on ports of
//! their own in temporary folders, and certain to be gone afterwards. [`Servers`] are what all tests
//! share; a [`Server`] may belong to a single one, which may fill its disk and kill it.
//!
//! They do not wait for the disk: a server that is killed keeps what it committed, a machine that
//! loses power does not.

mod apt;
mod folder;
mod mariadb;
mod postgres;
mod programs;
mod prometheus;
mod server;
mod snowduck;
mod trino;

use std::env;
use std::ffi::OsString;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use crate::announce;
use crate::error::{Error, Result};
use crate::process;

use folder::Folder;
use programs::Programs;

pub use server::Server;

/// The variable with the URL of the PostgreSQL server.
pub const POSTGRES_URL: &str = "SQL_BATCHER_TEST_POSTGRES_URL";
/// The variable with the URL of the MariaDB or MySQL server.
pub const MYSQL_URL: &str = "SQL_BATCHER_TEST_MYSQL_URL";

/// The variable with the URL of the Trino server.
pub const TRINO_URL: &str = "SQL_BATCHER_TEST_TRINO_URL";
/// The variable that says why there is none.
pub const NO_TRINO: &str = "SQL_BATCHER_TEST_NO_TRINO";

/// The variable with the file that the PostgreSQL server logs to.
const POSTGRES_LOG: &str = "SQL_BATCHER_TEST_POSTGRES_LOG";
/// The variables with the socket of the MariaDB server, and with the file of its general log.
const MYSQL_SOCKET: &str = "SQL_BATCHER_TEST_MYSQL_SOCKET";
const MYSQL_GENERAL_LOG: &str = "SQL_BATCHER_TEST_MYSQL_GENERAL_LOG";
/// The variable with MariaDB's own scripts, to compare how they are split; where its packages put
/// them.
const MYSQL_SCRIPTS: &str = "SQL_BATCHER_TEST_MYSQL_SCRIPTS";
const MYSQL_SCRIPTS_FOLDER: &str = "/usr/share/mysql";

/// Environment variables by which the tests find a server and its programs.
type Variables = Vec<(&'static str, OsString)>;

/// What a server is to be like.
#[derive(Clone, Copy, Debug, Default)]
pub struct Setup<'a> {
    /// Settings as `name=value`, beside those that say where the server is.
    pub settings: &'a [&'a str],
    /// Whether it shares the machine with several others: then it has small buffers and logs.
    pub is_small: bool,
    /// The size of a disk in memory, beside the server's own data, that may be filled; none: there
    /// is no such disk.
    pub disk_mib: Option<u32>,
}

impl Server {
    /// Initialises and starts a PostgreSQL server; its superuser is `postgres`, without a password.
    /// None where its programs are missing.
    ///
    /// # Errors
    ///
    /// If it cannot be initialised, does not start, or cannot have its disk in memory.
    pub fn postgres(setup: &Setup<'_>) -> Result<Option<Self>> {
        programs::postgres_server().map(|programs| postgres::start(&programs, setup)).transpose()
    }

    /// Initialises and starts a MariaDB server; its user is `root`, without a password, its database
    /// `test`. None where its programs are missing.
    ///
    /// # Errors
    ///
    /// If it cannot be initialised, does not start, or cannot have its disk in memory.
    pub fn mariadb(setup: &Setup<'_>) -> Result<Option<Self>> {
        programs::mariadb_server().map(|programs| mariadb::start(&programs, setup)).transpose()
    }

    /// Starts a Prometheus that fetches the metrics of this address ten times a second. None where
    /// its program is missing.
    ///
    /// # Errors
    ///
    /// If it does not start.
    pub fn prometheus(target: SocketAddr) -> Result<Option<Self>> {
        prometheus::start(target)
    }
}

/// Whether this user and system can have disks in memory.
#[must_use]
pub fn has_disks() -> bool {
    Folder::create(Some(1)).is_ok()
}

/// The servers, and how to reach them. Dropping it stops what was started.
pub struct Servers {
    variables: Variables,
    left_out: Vec<String>,
    running: Vec<Server>,
}

impl Servers {
    /// Uses the servers that the environment names, and starts the others.
    ///
    /// # Errors
    ///
    /// If a server or a program is missing and cannot be installed, or a server does not start;
    /// the message says what to do about it.
    pub fn start() -> Result<Self> {
        let given = Given::from_environment();
        let programs = Programs::find_or_install(given)?;
        let mut variables = programs.variables();
        variables.extend(prometheus::variables()?);
        let mut running = Vec::new();
        if !given.postgres {
            announce("starting PostgreSQL");
            let server = postgres::start(&programs.postgres, &Setup::default())?;
            variables.push((POSTGRES_URL, server.url().into()));
            variables.push((POSTGRES_LOG, server.log().into()));
            running.push(server);
        }
        if !given.mysql {
            announce("starting MariaDB");
            let server = mariadb::start(&programs.mariadb, &Setup::default())?;
            variables.push((MYSQL_URL, server.url().into()));
            variables.push((MYSQL_SOCKET, server.path(mariadb::SOCKET).into()));
            variables.push((MYSQL_GENERAL_LOG, server.path(mariadb::GENERAL_LOG).into()));
            if env::var_os(MYSQL_SCRIPTS).is_none() && Path::new(MYSQL_SCRIPTS_FOLDER).is_dir() {
                variables.push((MYSQL_SCRIPTS, MYSQL_SCRIPTS_FOLDER.into()));
            }
            running.push(server);
        }
        Ok(Self { variables, left_out: Vec::new(), running })
    }

    /// Adds snowduck, the emulator of Snowflake; what is missing is fetched. Where it cannot be had,
    /// the tests that need it are left out.
    #[must_use]
    pub fn with_snowduck(mut self) -> Self {
        if env::var_os(snowduck::URL).is_some() {
            return self;
        }
        match snowduck::start() {
            Ok(server) => {
                self.variables.push((snowduck::URL, server.url().into()));
                self.running.push(server);
            }
            Err(error) => {
                self.leave_out(format!("snowduck, the emulator of Snowflake: {error}"));
                self.variables.push((snowduck::SKIP, "1".into()));
            }
        }
        self
    }

    /// What could not be had, with the reason, and is not needed: what it is for is not tested.
    #[must_use]
    pub fn left_out(&self) -> &[String] {
        &self.left_out
    }

    fn leave_out(&mut self, what: String) {
        announce(&format!("NOT TESTED: {what}"));
        self.left_out.push(what);
    }

    /// Adds a Trino server; what is missing is fetched. Where it cannot be had, the reason is said
    /// loudly, and the tests that need it are left out.
    ///
    /// # Errors
    ///
    /// If it `must` be there, and cannot be had.
    pub fn with_trino(mut self, target: &Path, must: bool) -> Result<Self> {
        if trino::is_given() {
            return Ok(self);
        }
        match self.start_trino(target) {
            Ok(()) => Ok(self),
            Err(error) if must => Err(Error::new(format!("Trino cannot be tested: {error}"))),
            Err(error) => {
                self.leave_out(format!("Trino: {error}"));
                self.variables.push((NO_TRINO, error.to_string().into()));
                Ok(self)
            }
        }
    }

    fn start_trino(&mut self, target: &Path) -> Result<()> {
        let given = || env::var(POSTGRES_URL).ok();
        let started = self.variables.iter().find(|(name, _)| *name == POSTGRES_URL);
        let started = started.map(|(_, url)| url.to_string_lossy().into_owned());
        let postgres = started.or_else(given).unwrap_or_default();
        let programs = trino::Programs::find_or_fetch(target)?;
        announce("starting Trino");
        let (server, variables) = trino::start(&programs, &postgres)?;
        self.variables.extend(programs.variables());
        self.variables.extend(variables);
        self.running.push(server);
        Ok(())
    }

    /// What to set in the environment of a test.
    pub fn variables(&self) -> impl Iterator<Item = (&'static str, &OsString)> {
        self.variables.iter().map(|(name, value)| (*name, value))
    }
}

/// Which servers the environment names, so that none must be started.
#[derive(Clone, Copy, Debug)]
struct Given {
    postgres: bool,
    mysql: bool,
}

impl Given {
    fn from_environment() -> Self {
        let is_set = |name| env::var_os(name).is_some_and(|value| !value.is_empty());
        Self { postgres: is_set(POSTGRES_URL), mysql: is_set(MYSQL_URL) }
    }
}

/// Prints the variables as shell commands, and keeps the servers until a line or the end of the
/// standard input.
///
/// # Errors
///
/// If nothing can be printed or read.
pub fn offer(servers: Servers) -> Result<()> {
    let mut text = String::new();
    for (name, value) in servers.variables() {
        let quoted = value.to_string_lossy().replace('\'', r"'\''");
        text += &format!("export {name}='{quoted}'\n");
    }
    let mut output = io::stdout().lock();
    let written = output.write_all(text.as_bytes()).and_then(|()| output.flush());
    written.map_err(|e| Error::io("cannot print the variables", e))?;
    eprintln!("==> press Enter to stop the servers");
    let read = io::stdin().read_line(&mut String::new());
    read.map_err(|e| Error::io("cannot read the standard input", e))?;
    Ok(())
}

/// Whether this program runs as root.
fn is_root() -> bool {
    process::output(Command::new("id").arg("-u")).is_ok_and(|id| id.trim() == "0")
}
