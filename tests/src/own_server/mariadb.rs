//! A MariaDB server that belongs to one test.

use std::{
    fs,
    io::{self, Read as _},
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::Command,
};

use super::{Folder, Server, Setup, is_root, option, program, run};
use crate::servers::note_skipped;

/// The variable with the folder of MariaDB's programs.
const PROGRAMS: &str = "SQL_BATCHER_TEST_MYSQL_BIN";

/// What the server does before it lets anybody in. Without name resolution, `localhost` is the
/// socket only.
const FIRST_STATEMENTS: &str = "\
CREATE DATABASE IF NOT EXISTS test;
CREATE USER IF NOT EXISTS 'root'@'127.0.0.1';
GRANT ALL PRIVILEGES ON *.* TO 'root'@'127.0.0.1' WITH GRANT OPTION;
DELETE FROM mysql.global_priv WHERE User = '';
FLUSH PRIVILEGES;
";

/// Settings that a test may change.
const SETTINGS: [&str; 7] = [
    "bind-address=127.0.0.1",
    "skip-name-resolve=1",
    "character-set-server=utf8mb4",
    "innodb-flush-log-at-trx-commit=2",
    "innodb-buffer-pool-size=16M",
    "innodb-log-file-size=4M",
    "performance-schema=0",
];

/// A MariaDB server; its user is `root`, without a password, its database `test`. Dropping it ends
/// it.
pub struct OwnMariaDb(Server);

impl OwnMariaDb {
    /// Initialises and starts a server; none where the test is to be skipped: without servers, or
    /// where it wants a disk in memory that this user cannot have.
    ///
    /// # Panics
    /// If a program is missing, see [`mysql_url`](crate::servers::mysql_url), or fails.
    #[must_use]
    pub fn start(setup: &Setup<'_>) -> Option<Self> {
        let install = program(PROGRAMS, "mariadb-install-db")?;
        let mariadbd = program(PROGRAMS, "mariadbd")?;
        let Some(folder) = Folder::create(setup.disk_mib) else {
            note_skipped("only root can have a disk in memory");
            return None;
        };
        let settings: Vec<String> =
            SETTINGS.iter().chain(setup.settings).map(|setting| format!("--{setting}")).collect();
        let path = folder.path().to_owned();
        let data = option("datadir", &folder.data());
        // A server that starts deletes all temporary tables it finds, those of others too.
        let temporary = option("tmpdir", folder.path());
        let command = move |program: &Path| {
            let mut command = Command::new(program);
            command.arg("--no-defaults").arg(&data).arg(&temporary).args(&settings);
            if is_root() {
                command.arg("--user=root");
            }
            command.current_dir(&path);
            command
        };
        let mut install = command(&install);
        run(install.args(["--auth-root-authentication-method=normal", "--skip-test-db"]));
        let first = folder.path().join("first.sql");
        fs::write(&first, FIRST_STATEMENTS).expect("the folder can be written to");

        let path = folder.path().to_owned();
        let launch = move |port: u16| {
            let mut mariadbd = command(&mariadbd);
            mariadbd.arg(format!("--port={port}")).arg(option("init-file", &first));
            mariadbd.arg(option("socket", &path.join("socket")));
            mariadbd.arg(option("pid-file", &path.join("mariadbd.pid")));
            mariadbd
        };
        Some(Self(Server::start(folder, "KILL", launch, answers)))
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.0.address()
    }

    /// The URL of its database.
    #[must_use]
    pub fn url(&self) -> String {
        format!("mysql://root@{}/test", self.address())
    }

    /// The disk in memory, which the test may fill.
    #[must_use]
    pub fn disk(&self) -> PathBuf {
        self.0.folder.disk()
    }

    /// Kills it, and waits until it is gone.
    pub fn stop(&mut self) {
        self.0.end();
    }

    /// Starts it again where it was; it recovers what it had committed.
    ///
    /// # Panics
    /// If it runs, or does not start.
    pub fn start_again(&mut self) {
        self.0.again();
    }

    /// [`OwnMariaDb::stop`] and [`OwnMariaDb::start_again`].
    pub fn restart_immediate(&mut self) {
        self.stop();
        self.start_again();
    }
}

/// Whether the server greets us: a packet with a header of four bytes, and then the version of the
/// protocol, 10, rather than 255, an error
/// (<https://mariadb.com/kb/en/connection/#initial-handshake-packet>).
fn answers(mut stream: TcpStream) -> io::Result<bool> {
    let mut start = [0; 5];
    stream.read_exact(&mut start)?;
    Ok(start[4] == 10)
}
