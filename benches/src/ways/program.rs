//! The program `sql-batcher`, with a script in a file.

use std::{
    path::Path,
    process::{Command, Stdio},
};

use crate::{database::Database, peer::Failed, program};

use super::Mode;

/// Runs the program to its end.
pub(super) fn run(database: &Database, mode: Mode, script: &Path) -> Result<(), Failed> {
    let program = program::named()?;
    let mut command = Command::new(program);
    command.args(["run", "--database", &database.url]).args(mode.flag()).arg(script);
    finish(&mut command)
}

/// Runs a command to its end. What it says is of interest only where it fails.
pub(super) fn finish(command: &mut Command) -> Result<(), Failed> {
    let output = command.stdout(Stdio::null()).output()?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let program = command.get_program().to_string_lossy().into_owned();
    Err(format!("{program}: {}: {}", output.status, said.trim()).into())
}
