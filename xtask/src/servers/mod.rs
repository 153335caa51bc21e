//! Throw-away database servers for tests and benchmarks: found or installed, started on ports of
//! their own in a temporary folder, and certain to be gone afterwards.
//!
//! They do not wait for the disk: a server that is killed keeps what it committed, a machine that
//! loses power does not.

mod apt;
mod folder;
mod mariadb;
mod postgres;
mod programs;
mod prometheus;

use std::env;
use std::ffi::OsString;
use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::time::Duration;

use crate::announce;
use crate::error::{Error, Result};
use crate::process::{self, Launch, Running};

use folder::Folder;
use programs::Programs;

/// The variable with the URL of the PostgreSQL server.
pub(crate) const POSTGRES_URL: &str = "SQL_BATCHER_TEST_POSTGRES_URL";
/// The variable with the URL of the MariaDB or MySQL server.
pub(crate) const MYSQL_URL: &str = "SQL_BATCHER_TEST_MYSQL_URL";

/// How often to try another port when somebody else was quicker to take it.
const PORTS_TRIED: usize = 3;
/// How long a server on this machine may take for its first bytes.
const PROBE_PATIENCE: Duration = Duration::from_secs(2);

/// Environment variables by which the tests find a server and its programs.
type Variables = Vec<(&'static str, OsString)>;

/// The servers, and how to reach them. Dropping it stops what was started.
pub(crate) struct Servers {
    variables: Variables,
    // Dropped in this order: first the servers, then the folder with their data.
    _running: Vec<Running>,
    _folder: Option<Folder>,
}

impl Servers {
    /// Uses the servers that the environment names, and starts the others.
    ///
    /// # Errors
    ///
    /// If a server or a program is missing and cannot be installed, or a server does not start;
    /// the message says what to do about it.
    pub(crate) fn start() -> Result<Self> {
        let given = Given::from_environment();
        let programs = Programs::find_or_install(given)?;
        let mut variables = programs.variables();
        variables.extend(prometheus::variables()?);
        let mut running = Vec::new();
        let folder = if given.postgres && given.mysql { None } else { Some(Folder::create()?) };
        if let Some(folder) = &folder {
            if !given.postgres {
                announce("starting PostgreSQL");
                let folder = folder.subfolder("postgres")?;
                let (server, more) = postgres::start(&folder, &programs.postgres)?;
                running.push(server);
                variables.extend(more);
            }
            if !given.mysql {
                announce("starting MariaDB");
                let (server, more) = mariadb::start(&folder.subfolder("mariadb")?, &programs)?;
                running.push(server);
                variables.extend(more);
            }
        }
        Ok(Self { variables, _running: running, _folder: folder })
    }

    /// What to set in the environment of a test.
    pub(crate) fn variables(&self) -> impl Iterator<Item = (&'static str, &OsString)> {
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
pub(crate) fn offer(servers: Servers) -> Result<()> {
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

/// Starts a server on a free port of this machine, and waits until it answers.
fn start_on_free_port<'a>(
    launch: impl Fn(u16) -> Launch<'a>,
    answers: fn(TcpStream) -> io::Result<bool>,
) -> Result<(Running, u16)> {
    let mut attempt = 1;
    loop {
        let port = free_port()?;
        let mut server = Running::start(launch(port))?;
        let started = server.wait_until(|| connect(port).and_then(answers).unwrap_or(false));
        match started {
            Ok(()) => return Ok((server, port)),
            Err(error) if attempt == PORTS_TRIED => return Err(error),
            Err(error) if !error.to_string().contains("in use") => return Err(error),
            Err(_) => attempt += 1,
        }
    }
}

/// A port that nobody listens on at the moment.
fn free_port() -> Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
    let address = listener.and_then(|listener| listener.local_addr());
    Ok(address.map_err(|e| Error::io("cannot find a free port", e))?.port())
}

/// A connection to a port of this machine that does not wait for long.
fn connect(port: u16) -> io::Result<TcpStream> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let stream = TcpStream::connect_timeout(&address, PROBE_PATIENCE)?;
    stream.set_read_timeout(Some(PROBE_PATIENCE))?;
    Ok(stream)
}

/// Whether this program runs as root.
fn is_root() -> bool {
    process::output(Command::new("id").arg("-u")).is_ok_and(|id| id.trim() == "0")
}
