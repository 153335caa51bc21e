//! Other programs, run to their end.

use std::env;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};

use crate::error::{Error, Result};

/// How many of the last lines of a log are worth showing.
const TAIL_LINES: usize = 20;

/// Runs a command to its end, with the terminal of this program.
///
/// # Errors
///
/// If it cannot be started, or fails.
pub fn run(command: &mut Command) -> Result<()> {
    let status = status(command)?;
    if status.success() {
        return Ok(());
    }
    Err(Error::new(format!("`{}` failed ({status})", line(command))))
}

/// Runs a command to its end, with the terminal of this program, and gives its status.
///
/// # Errors
///
/// If it cannot be started.
pub fn status(command: &mut Command) -> Result<ExitStatus> {
    command.status().map_err(|e| Error::io(format!("cannot start `{}`", line(command)), e))
}

/// Runs a command quietly and gives what it wrote to its standard output.
///
/// # Errors
///
/// If it cannot be started or fails; then the end of what it wrote is shown.
pub fn output(command: &mut Command) -> Result<String> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|e| Error::io(format!("cannot start `{}`", line(command)), e))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return Ok(text);
    }
    let said = text + &String::from_utf8_lossy(&output.stderr);
    Err(Error::new(format!("`{}` failed ({}):\n{}", line(command), output.status, tail(&said))))
}

/// Starts a command.
///
/// # Errors
///
/// If it cannot be started.
pub fn spawn(command: &mut Command) -> Result<Child> {
    command.spawn().map_err(|e| Error::io(format!("cannot start `{}`", line(command)), e))
}

/// The folders in which the shell looks for programs.
#[must_use]
pub fn search_path() -> Vec<PathBuf> {
    env::var_os("PATH").map_or_else(Vec::new, |path| env::split_paths(&path).collect())
}

/// The command as one would type it, but for quotes.
fn line(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

/// The last lines of a text, indented.
pub(crate) fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.trim_end().lines().collect();
    let shown = &lines[lines.len().saturating_sub(TAIL_LINES)..];
    shown.iter().map(|line| format!("  | {line}")).collect::<Vec<_>>().join("\n")
}

#[cfg(all(test, unix))]
mod tests {
    use std::process::Command;

    use super::output;

    fn shell(script: &str) -> Command {
        let mut shell = Command::new("sh");
        shell.args(["-c", script]);
        shell
    }

    #[test]
    fn a_quiet_command_that_fails_shows_what_it_said() {
        let error = output(&mut shell("echo out; echo err >&2; exit 3")).expect_err("it fails");
        let message = error.to_string();
        assert!(message.contains("exit status: 3"), "{message}");
        assert!(message.contains("  | out\n  | err"), "{message}");
    }
}
