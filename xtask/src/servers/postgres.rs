//! A PostgreSQL server of our own.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;

use crate::error::Result;
use crate::process::{self, Launch, Running};

use super::{POSTGRES_URL, Variables, is_root, start_on_free_port};

/// The variable with the file that the server logs to.
const LOG: &str = "SQL_BATCHER_TEST_POSTGRES_LOG";

/// The server's settings, beside those that say where it is. Each line of the log begins with the
/// process id of the session, by which a test finds what it said itself.
const SETTINGS: [&str; 6] = [
    "listen_addresses=127.0.0.1",
    "max_connections=50",
    "fsync=off",
    "full_page_writes=off",
    "logging_collector=off",
    "log_line_prefix=%p|",
];

/// Initialises and starts a server in a folder; its superuser is `postgres`, without a password.
///
/// # Errors
///
/// If it cannot be initialised, or does not start.
pub(super) fn start(folder: &Path, programs: &Path) -> Result<(Running, Variables)> {
    let user = User::other_than_root();
    if let Some(user) = &user {
        user.own(folder)?;
    }
    let data = folder.join("data");
    let command = |program: &str| {
        let program = programs.join(program);
        let mut command =
            user.as_ref().map_or_else(|| Command::new(&program), |user| user.command(&program));
        command.arg("-D").arg(&data).env("LC_ALL", "C").current_dir(folder);
        command
    };
    let mut initdb = command("initdb");
    initdb.args(["--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C"]);
    process::output(initdb.arg("--no-sync"))?;

    let launch = |port: u16| {
        let mut postgres = command("postgres");
        postgres.arg("-k").arg(folder).arg("-p").arg(port.to_string());
        for setting in SETTINGS {
            postgres.arg("-c").arg(setting);
        }
        // SIGINT stops it without waiting for its clients; SIGTERM would wait.
        Launch { name: "PostgreSQL", command: postgres, stop_signal: "INT", folder }
    };
    let (server, port) = start_on_free_port(launch, answers)?;
    let url = format!("postgres://postgres@127.0.0.1:{port}/postgres");
    let log = server.log().into();
    Ok((server, vec![(POSTGRES_URL, url.into()), (LOG, log)]))
}

/// Somebody else than root.
struct User {
    uid: String,
    gid: String,
}

impl User {
    /// The user to run the server as, if it must be another one: it refuses to run as root.
    fn other_than_root() -> Option<Self> {
        if !is_root() {
            return None;
        }
        // The package of the server makes the first; a server from elsewhere may have to do with
        // the second, which every system has.
        ["postgres", "nobody"].into_iter().find_map(Self::named)
    }

    /// The user of this name, if there is one.
    fn named(name: &str) -> Option<Self> {
        let id = |of: &str| process::output(Command::new("id").args([of, name]));
        let (uid, gid) = (id("-u").ok()?, id("-g").ok()?);
        Some(Self { uid: uid.trim().to_string(), gid: gid.trim().to_string() })
    }

    /// A program that runs as this user. `setpriv` becomes the program, so that the server is our
    /// own child.
    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new("setpriv");
        command.arg(format!("--reuid={}", self.uid)).arg(format!("--regid={}", self.gid));
        command.args(["--clear-groups", "--"]).arg(program);
        command
    }

    /// Gives a folder to this user.
    fn own(&self, folder: &Path) -> Result<()> {
        let owner = format!("{}:{}", self.uid, self.gid);
        process::output(Command::new("chown").arg(owner).arg(folder)).map(drop)
    }
}

/// Whether the server lets its superuser in: it answers `E`, an error, while it starts, and `R`,
/// about authentication, once it takes sessions.
/// <https://www.postgresql.org/docs/current/protocol-message-formats.html>
fn answers(mut stream: TcpStream) -> io::Result<bool> {
    let protocol = 196_608_i32.to_be_bytes(); // 3.0
    let parameters = b"user\0postgres\0database\0postgres\0\0";
    let length = 4 + protocol.len() + parameters.len();
    let length = i32::try_from(length).map_err(io::Error::other)?.to_be_bytes();
    stream.write_all(&[&length, &protocol, parameters.as_slice()].concat())?;
    let mut kind = [0];
    stream.read_exact(&mut kind)?;
    // Taking leave, lest the log tells of a client that was lost.
    stream.write_all(b"X\0\0\0\x04")?;
    io::copy(&mut stream, &mut io::sink())?;
    Ok(kind == *b"R")
}
