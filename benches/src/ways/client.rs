//! The databases' own clients, which read a script from a file.

use std::{
    env,
    fs::File,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use url::Url;

use crate::{
    database::{Database, Kind},
    peer::Failed,
    rows::Files,
};

use super::program::finish;

/// What one would type.
pub(super) fn name(kind: Kind) -> &'static str {
    match kind {
        Kind::Sqlite => "sqlite3 .read",
        Kind::Postgres => "psql -1 -f",
        Kind::MySql => "mariadb <",
    }
}

/// Has the client read the script, all of it in one transaction.
pub(super) fn run(database: &Database, files: &Files, hand_made: bool) -> Result<(), Failed> {
    match database.kind {
        Kind::Sqlite => sqlite3(database, &files.in_transaction(hand_made)),
        Kind::Postgres => {
            let script = if hand_made { files.hand_made() } else { files.script() };
            psql(&database.url, &script)
        }
        Kind::MySql => mariadb(&database.url, &files.in_transaction(hand_made)),
    }
}

fn sqlite3(database: &Database, script: &Path) -> Result<(), Failed> {
    let shell = env::var_os("SQL_BATCHER_TEST_SQLITE_SHELL");
    let mut command = command(shell.map(PathBuf::from), "sqlite3")?;
    command.args(["-bail", database.file()]).arg(format!(".read {}", script.display()));
    finish(command.stdin(Stdio::null()))
}

fn psql(url: &str, script: &Path) -> Result<(), Failed> {
    let mut command = command(in_folder("SQL_BATCHER_TEST_POSTGRES_BIN", "psql"), "psql")?;
    command.args(["-X", "-q", "-1", "-v", "ON_ERROR_STOP=1", "-d", url, "-f"]).arg(script);
    finish(command.stdin(Stdio::null()))
}

fn mariadb(url: &str, script: &Path) -> Result<(), Failed> {
    let url = Url::parse(url)?;
    let mut command = command(in_folder("SQL_BATCHER_TEST_MYSQL_BIN", "mariadb"), "mariadb")?;
    command.args(["--no-defaults", "--protocol=tcp"]);
    command.arg(format!("--host={}", url.host_str().unwrap_or("localhost")));
    command.arg(format!("--port={}", url.port().unwrap_or(3306)));
    command.arg(format!("--user={}", url.username()));
    command.arg(format!("--database={}", url.path().trim_start_matches('/')));
    if let Some(password) = url.password() {
        command.env("MYSQL_PWD", password);
    }
    finish(command.stdin(File::open(script)?))
}

fn in_folder(variable: &str, name: &str) -> Option<PathBuf> {
    env::var_os(variable).map(|folder| Path::new(&folder).join(name))
}

/// A command of a client at this place, or in the path.
fn command(place: Option<PathBuf>, name: &str) -> Result<Command, Failed> {
    let path = env::var_os("PATH").unwrap_or_default();
    let mut places = place.into_iter().chain(env::split_paths(&path).map(|path| path.join(name)));
    match places.find(|place| place.is_file()) {
        Some(place) => Ok(Command::new(place)),
        None => Err(format!("not installed: {name}").into()),
    }
}
