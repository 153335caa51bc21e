//! A PostgreSQL server of our own.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;

use crate::error::Result;
use crate::process;

use super::folder::Folder;
use super::server::{Kind, Server};
use super::{Setup, is_root};

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
/// Those of one that shares the machine with several others.
const SMALL: [&str; 1] = ["shared_buffers=16MB"];

/// Initialises and starts a server; its superuser is `postgres`, without a password.
///
/// # Errors
///
/// If it cannot be initialised, or does not start.
pub(super) fn start(programs: &Path, setup: &Setup<'_>) -> Result<Server> {
    let folder = Folder::create(setup.disk_mib)?;
    let user = User::other_than_root();
    if let Some(user) = &user {
        folder.give_to(&user.owner())?;
    }
    let (programs, path, data) = (programs.to_owned(), folder.path().to_owned(), folder.data());
    let command = move |program: &str| {
        let program = programs.join(program);
        let mut command =
            user.as_ref().map_or_else(|| Command::new(&program), |user| user.command(&program));
        command.arg("-D").arg(&data).env("LC_ALL", "C").current_dir(&path);
        command
    };
    let mut initdb = command("initdb");
    initdb.args(["--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C"]);
    if setup.is_small {
        initdb.arg("--wal-segsize=1");
    }
    process::output(initdb.arg("--no-sync"))?;

    let small = if setup.is_small { &SMALL[..] } else { &[] };
    let settings: Vec<String> =
        SETTINGS.iter().chain(small).chain(setup.settings).map(|&s| s.to_owned()).collect();
    let socket_folder = folder.path().to_owned();
    let launch = move |port: u16| {
        let mut postgres = command("postgres");
        postgres.arg("-k").arg(&socket_folder).arg("-p").arg(port.to_string());
        for setting in &settings {
            postgres.arg("-c").arg(setting);
        }
        postgres
    };
    let kind = Kind {
        name: "PostgreSQL",
        // The immediate shutdown: as after a crash, but for the memory it shares.
        crash: "QUIT",
        // The fast one; SIGTERM would wait for the clients.
        goodbye: "INT",
        answers,
        url: |address| format!("postgres://postgres@{address}/postgres"),
    };
    Server::start(folder, kind, launch)
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

    fn owner(&self) -> String {
        format!("{}:{}", self.uid, self.gid)
    }

    /// A program that runs as this user. `setpriv` becomes the program, so that the server is our
    /// own child.
    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new("setpriv");
        command.arg(format!("--reuid={}", self.uid)).arg(format!("--regid={}", self.gid));
        command.args(["--clear-groups", "--"]).arg(program);
        command
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
    // Its session must be gone before a test begins, as it takes one of few connections; without
    // taking leave, the log would tell of a client that was lost.
    stream.write_all(b"X\0\0\0\x04")?;
    io::copy(&mut stream, &mut io::sink())?;
    Ok(kind == *b"R")
}
