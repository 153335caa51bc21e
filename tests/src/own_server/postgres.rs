//! A PostgreSQL server that belongs to one test.

use std::{
    io::{self, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::Command,
};

use super::{Folder, Server, Setup, id, is_root, program, run};
use crate::servers::note_skipped;

/// The variable with the folder of PostgreSQL's programs.
const PROGRAMS: &str = "SQL_BATCHER_TEST_POSTGRES_BIN";

/// Settings that a test may change.
const SETTINGS: [&str; 5] = [
    "listen_addresses=127.0.0.1",
    "fsync=off",
    "full_page_writes=off",
    "logging_collector=off",
    "shared_buffers=16MB",
];

/// A PostgreSQL server; its superuser is `postgres`, without a password. Dropping it ends it.
pub struct OwnPostgres(Server);

impl OwnPostgres {
    /// Initialises and starts a server; none where the test is to be skipped: without servers, or
    /// where it wants a disk in memory that this user cannot have.
    ///
    /// # Panics
    /// If a program is missing, see [`postgres_url`](crate::servers::postgres_url), or fails.
    #[must_use]
    pub fn start(setup: &Setup<'_>) -> Option<Self> {
        let initdb = program(PROGRAMS, "initdb")?;
        let postgres = program(PROGRAMS, "postgres")?;
        let Some(folder) = Folder::create(setup.disk_mib) else {
            note_skipped("only root can have a disk in memory");
            return None;
        };
        let user = User::other_than_root();
        if let Some(user) = &user {
            folder.give_to(&user.owner());
        }
        let path = folder.path().to_owned();
        let data = folder.data();
        let command = move |program: &Path| {
            let mut command =
                user.as_ref().map_or_else(|| Command::new(program), |user| user.command(program));
            command.arg("-D").arg(&data).env("LC_ALL", "C").current_dir(&path);
            command
        };
        let mut initdb = command(&initdb);
        initdb.args(["--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C"]);
        run(initdb.args(["--no-sync", "--wal-segsize=1"]));

        let settings: Vec<String> =
            SETTINGS.iter().chain(setup.settings).map(|&setting| setting.to_owned()).collect();
        let socket_folder: PathBuf = folder.path().to_owned();
        let launch = move |port: u16| {
            let mut postgres = command(&postgres);
            postgres.arg("-k").arg(&socket_folder).arg("-p").arg(port.to_string());
            for setting in &settings {
                postgres.arg("-c").arg(setting);
            }
            postgres
        };
        // SIGQUIT is the immediate shutdown: as after a crash, but for the memory it shares.
        Some(Self(Server::start(folder, "QUIT", launch, answers)))
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.0.address()
    }

    /// The URL of its database.
    #[must_use]
    pub fn url(&self) -> String {
        format!("postgres://postgres@{}/postgres", self.address())
    }

    /// The disk in memory, which the test may fill.
    #[must_use]
    pub fn disk(&self) -> PathBuf {
        self.0.folder.disk()
    }

    /// Ends it at once, as a crash would, and waits until it is gone.
    pub fn stop(&mut self) {
        self.0.end();
    }

    /// Ends it as an administrator does: its sessions are told, and what they do is taken back.
    pub fn stop_fast(&mut self) {
        self.0.end_with("INT");
    }

    /// Starts it again where it was; it recovers what it had committed.
    ///
    /// # Panics
    /// If it runs, or does not start.
    pub fn start_again(&mut self) {
        self.0.again();
    }

    /// [`OwnPostgres::stop`] and [`OwnPostgres::start_again`].
    pub fn restart_immediate(&mut self) {
        self.stop();
        self.start_again();
    }
}

/// Somebody else than root, as whom a server must run that refuses to be root.
struct User {
    uid: String,
    gid: String,
}

impl User {
    fn other_than_root() -> Option<Self> {
        if !is_root() {
            return None;
        }
        ["postgres", "nobody"]
            .into_iter()
            .find_map(|name| Some(Self { uid: id(&["-u", name])?, gid: id(&["-g", name])? }))
    }

    fn owner(&self) -> String {
        format!("{}:{}", self.uid, self.gid)
    }

    /// A program that runs as this user. `setpriv` becomes the program, so that it is our child.
    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new("setpriv");
        command.arg(format!("--reuid={}", self.uid)).arg(format!("--regid={}", self.gid));
        command.args(["--clear-groups", "--"]).arg(program);
        command
    }
}

/// Whether the server lets its superuser in: it answers `E`, an error, while it starts, and `R`,
/// about authentication, once it takes sessions
/// (<https://www.postgresql.org/docs/current/protocol-message-formats.html>).
fn answers(mut stream: TcpStream) -> io::Result<bool> {
    let protocol = 196_608_i32.to_be_bytes(); // 3.0
    let parameters = b"user\0postgres\0database\0postgres\0\0";
    let length = i32::try_from(4 + protocol.len() + parameters.len()).map_err(io::Error::other)?;
    stream.write_all(&[&length.to_be_bytes(), &protocol, parameters.as_slice()].concat())?;
    let mut kind = [0];
    stream.read_exact(&mut kind)?;
    // Its session must be gone before the test begins: it takes one of few connections.
    stream.write_all(b"X\0\0\0\x04")?;
    io::copy(&mut stream, &mut io::sink())?;
    Ok(kind == *b"R")
}
