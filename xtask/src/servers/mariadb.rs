//! A MariaDB server of our own.

use std::env;
use std::fs;
use std::io::{self, Read};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;

use crate::error::{Error, Result};
use crate::process::{self, Launch, Running};

use super::programs::Programs;
use super::{MYSQL_URL, Variables, is_root, start_on_free_port};

/// The variable with the path of the server's socket.
const SOCKET: &str = "SQL_BATCHER_TEST_MYSQL_SOCKET";
/// The variable with the file of the general log, which a test turns on and off.
const GENERAL_LOG: &str = "SQL_BATCHER_TEST_MYSQL_GENERAL_LOG";
/// Scripts of the server's own, to compare how they are split; where its packages put them.
const SCRIPTS: &str = "SQL_BATCHER_TEST_MYSQL_SCRIPTS";
const SCRIPTS_FOLDER: &str = "/usr/share/mysql";

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
    "--bind-address=127.0.0.1",
    "--skip-name-resolve",
    "--character-set-server=utf8mb4",
    "--collation-server=utf8mb4_general_ci",
    "--local-infile=1",
    "--event-scheduler=ON",
    "--log-bin-trust-function-creators=1",
    "--innodb-flush-log-at-trx-commit=2",
    "--general-log=0",
];

/// Initialises and starts a server in a folder; its user is `root`, without a password, its
/// database `test`.
///
/// # Errors
///
/// If it cannot be initialised, or does not start.
pub(super) fn start(folder: &Path, programs: &Programs) -> Result<(Running, Variables)> {
    let command = |program: &Path| {
        let mut command = Command::new(program);
        command.arg("--no-defaults").arg(option("datadir", &folder.join("data")));
        // A server that starts deletes all temporary tables it finds, those of others too.
        command.arg(option("tmpdir", folder));
        if is_root() {
            command.arg("--user=root");
        }
        command.current_dir(folder);
        command
    };
    let mut install = command(&programs.mariadb_install.join("mariadb-install-db"));
    install.args(["--auth-root-authentication-method=normal", "--skip-test-db"]);
    process::output(&mut install)?;
    let first = folder.join("first.sql");
    fs::write(&first, FIRST_STATEMENTS)
        .map_err(|e| Error::io(format!("cannot write {}", first.display()), e))?;

    let socket = folder.join("socket");
    let general_log = folder.join("general.log");
    let launch = |port: u16| {
        let mut mariadbd = command(&programs.mariadbd.join("mariadbd"));
        mariadbd.args(SETTINGS).arg(format!("--port={port}"));
        mariadbd.arg(option("init-file", &first)).arg(option("socket", &socket));
        mariadbd.arg(option("pid-file", &folder.join("mariadbd.pid")));
        mariadbd.arg(option("general-log-file", &general_log));
        Launch { name: "MariaDB", command: mariadbd, stop_signal: "TERM", folder }
    };
    let (server, port) = start_on_free_port(launch, answers)?;
    let url = format!("mysql://root@127.0.0.1:{port}/test");
    let mut variables =
        vec![(MYSQL_URL, url.into()), (SOCKET, socket.into()), (GENERAL_LOG, general_log.into())];
    if env::var_os(SCRIPTS).is_none() && Path::new(SCRIPTS_FOLDER).is_dir() {
        variables.push((SCRIPTS, SCRIPTS_FOLDER.into()));
    }
    Ok((server, variables))
}

/// `--NAME=PATH`.
fn option(name: &str, path: &Path) -> std::ffi::OsString {
    let mut option = std::ffi::OsString::from(format!("--{name}="));
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
