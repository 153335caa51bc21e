//! The program `sql-batcher`, as a user would start it.

use std::{
    env,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// The variable that names the program to measure.
pub const PROGRAM: &str = "SQL_BATCHER_TEST_BIN";

/// Where the program is: what [`PROGRAM`] names, else the one of the release profile.
///
/// # Errors
/// Where it is not there: how to get it.
pub fn find(target: &Path) -> Result<PathBuf, String> {
    let name = format!("sql-batcher{}", env::consts::EXE_SUFFIX);
    let built = || target.join("release").join(name);
    let path = env::var_os(PROGRAM).map_or_else(built, PathBuf::from);
    if path.is_file() {
        return Ok(path);
    }
    Err(format!(
        "there is no program {}: build it with `cargo build --release -p sql-batcher`, or set \
         {PROGRAM}",
        path.display()
    ))
}

/// The program that [`PROGRAM`] names.
///
/// # Errors
/// Where it names none.
pub fn named() -> Result<PathBuf, String> {
    let path = env::var_os(PROGRAM).map(PathBuf::from).filter(|path| path.is_file());
    path.ok_or_else(|| format!("not installed: {PROGRAM} names no program"))
}

/// Loads a script from standard input into an SQLite file.
#[must_use]
pub fn run(program: &Path, database: &Path) -> Command {
    let mut command = Command::new(program);
    command.args(["run", "--database"]).arg(format!("sqlite://{}", database.display())).arg("-");
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::inherit());
    command
}

/// Splits a script from standard input.
#[must_use]
pub fn split(program: &Path) -> Command {
    let mut command = Command::new(program);
    command.args(["split", "--format", "json", "-"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
    command
}
