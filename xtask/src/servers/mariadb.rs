//! A MariaDB server of our own.

use std::ffi::OsString;
use std::io::{self, Read};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;

use crate::error::Result;
use crate::process;

use super::folder::{Folder, write};
use super::programs::MariaDbPrograms;
use super::server::{Kind, Server};
use super::{Setup, is_root};

/// The names of the server's socket, and of its general log, which a test turns on and off.
pub(super) const SOCKET: &str = "socket";
pub(super) const GENERAL_LOG: &str = "general.log";

/// What the server does before it lets anybody in. Without name resolution, `localhost` is the
/// socket only, and an anonymous user would come before the users that tests make.
const FIRST_STATEMENTS: &str = "\
CREATE DATABASE IF NOT EXISTS test;
CREATE USER IF NOT EXISTS 'root'@'127.0.0.1';
GRANT ALL PRIVILEGES ON *.* TO 'root'@'127.0.0.1' WITH GRANT OPTION;
DELETE FROM mysql.global_priv WHERE User = '';
FLUSH PRIVILEGES;
";

/// The server's settings, beside those that say where things are; the character set is the one
/// that Debian configures.
const SETTINGS: [&str; 9] = [
    "bind-address=127.0.0.1",
    "skip-name-resolve=1",
    "character-set-server=utf8mb4",
    "collation-server=utf8mb4_general_ci",
    "local-infile=1",
    "event-scheduler=ON",
    "log-bin-trust-function-creators=1",
    "innodb-flush-log-at-trx-commit=2",
    "general-log=0",
];
/// Those of one that shares the machine with several others.
const SMALL: [&str; 3] =
    ["innodb-buffer-pool-size=16M", "innodb-log-file-size=4M", "performance-schema=0"];

/// Initialises and starts a server; its user is `root`, without a password, its database `test`.
///
/// # Errors
///
/// If it cannot be initialised, or does not start.
pub(super) fn start(programs: &MariaDbPrograms, setup: &Setup<'_>) -> Result<Server> {
    let folder = Folder::create(setup.disk_mib)?;
    let path = folder.path().to_owned();
    let small = if setup.is_small { &SMALL[..] } else { &[] };
    let settings: Vec<String> =
        SETTINGS.iter().chain(small).chain(setup.settings).map(|s| format!("--{s}")).collect();
    let data = option("datadir", &folder.data());
    let command = move |program: &Path| {
        let mut command = Command::new(program);
        command.arg("--no-defaults").arg(&data);
        // A server that starts deletes all temporary tables it finds, those of others too.
        command.arg(option("tmpdir", &path)).args(&settings);
        if is_root() {
            command.arg("--user=root");
        }
        command.current_dir(&path);
        command
    };
    let mut install = command(&programs.install.join("mariadb-install-db"));
    install.args(["--auth-root-authentication-method=normal", "--skip-test-db"]);
    process::output(&mut install)?;
    let path = folder.path().to_owned();
    let first = path.join("first.sql");
    write(&first, FIRST_STATEMENTS)?;

    let mariadbd = programs.server.join("mariadbd");
    let launch = move |port: u16| {
        let mut mariadbd = command(&mariadbd);
        mariadbd.arg(format!("--port={port}")).arg(option("init-file", &first));
        mariadbd.arg(option("socket", &path.join(SOCKET)));
        mariadbd.arg(option("pid-file", &path.join("mariadbd.pid")));
        mariadbd.arg(option("general-log-file", &path.join(GENERAL_LOG)));
        mariadbd
    };
    let kind = Kind {
        name: "MariaDB",
        crash: "KILL",
        goodbye: "TERM",
        answers,
        url: |address| format!("mysql://root@{address}/test"),
    };
    Server::start(folder, kind, launch)
}

/// `--NAME=PATH`.
fn option(name: &str, path: &Path) -> OsString {
    let mut option = OsString::from(format!("--{name}="));
    option.push(path);
    option
}

/// Whether the server greets us: a packet with a header of four bytes, and then the version of the
/// protocol, 10, rather than 255, an error.
/// <https://mariadb.com/kb/en/connection/#initial-handshake-packet>
fn answers(mut stream: TcpStream) -> io::Result<bool> {
    let mut start = [0; 5];
    stream.read_exact(&mut start)?;
    Ok(start[4] == 10)
}
