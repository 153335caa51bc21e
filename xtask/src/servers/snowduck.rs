//! `snowduck`, an emulator of Snowflake's SQL API, from PyPI: installed into a virtual environment
//! beside what cargo builds. The tests can do without it, but not without saying so.

use std::env;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::announce;
use crate::error::{Error, Result};
use crate::process;

use super::folder::Folder;
use super::server::{Kind, Server};

/// The variable with the URL of the emulator, and the one that says that there is none.
pub(super) const URL: &str = "SQL_BATCHER_TEST_SNOWDUCK_URL";
pub(super) const SKIP: &str = "SQL_BATCHER_SKIP_SNOWDUCK";

/// What is installed; the second is the version that the first was written for, with its parser
/// compiled.
const PACKAGES: [&str; 2] = ["snowduck[server]==0.3.0", "sqlglot[c]==30.18.0"];

/// Starts it, and installs it before where it is missing.
///
/// # Errors
///
/// If it cannot be installed or does not start.
pub(super) fn start() -> Result<Server> {
    let environment = environment()?;
    let program = environment.join("bin/snowduck");
    if !program.is_file() {
        announce("installing snowduck from PyPI");
        install(&environment)?;
    }
    announce("starting snowduck");
    let launch = move |port: u16| {
        let mut command = Command::new(&program);
        command.args(["--host", "127.0.0.1", "--port", &port.to_string()]);
        command
    };
    let kind = Kind {
        name: "snowduck",
        crash: "KILL",
        goodbye: "TERM",
        answers,
        url: |address| format!("http://{address}"),
    };
    Server::start(Folder::create(None)?, kind, launch)
}

/// A folder in the target folder, as this program is in a folder of that.
fn environment() -> Result<PathBuf> {
    let program = env::current_exe().map_err(|e| Error::io("cannot find this program", e))?;
    let target = program.ancestors().nth(2);
    let target = target.ok_or_else(|| Error::new("xtask must be started as `cargo xtask`"))?;
    Ok(target.join("snowduck"))
}

fn install(environment: &Path) -> Result<()> {
    process::run(Command::new("python3").args(["-m", "venv"]).arg(environment))?;
    let mut pip = Command::new(environment.join("bin/pip"));
    pip.args(["install", "--quiet", "--disable-pip-version-check"]).args(PACKAGES);
    process::run(&mut pip)
}

/// Whether it answers.
fn answers(mut stream: TcpStream) -> io::Result<bool> {
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n")?;
    let mut status = [0; 9];
    stream.read_exact(&mut status)?;
    Ok(status.starts_with(b"HTTP/1."))
}
