//! Other programs: run to their end, or kept running until they are dropped.

use std::env;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::error::{Error, Result};

/// How long a server may take until it answers, and how long to stop before it is killed.
const PATIENCE_START: Duration = Duration::from_secs(60);
const PATIENCE_STOP: Duration = Duration::from_secs(10);
/// How often to look whether it does.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// How many of the last lines of a log are worth showing.
const TAIL_LINES: usize = 20;

/// Runs a command to its end, with the terminal of this program.
///
/// # Errors
///
/// If it cannot be started, or fails.
pub(crate) fn run(command: &mut Command) -> Result<()> {
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
pub(crate) fn status(command: &mut Command) -> Result<ExitStatus> {
    command.status().map_err(|e| Error::io(format!("cannot start `{}`", line(command)), e))
}

/// Runs a command quietly and gives what it wrote to its standard output.
///
/// # Errors
///
/// If it cannot be started or fails; then the end of what it wrote is shown.
pub(crate) fn output(command: &mut Command) -> Result<String> {
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

/// The folders in which the shell looks for programs.
pub(crate) fn search_path() -> Vec<PathBuf> {
    env::var_os("PATH").map_or_else(Vec::new, |path| env::split_paths(&path).collect())
}

/// The command as one would type it, but for quotes.
fn line(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

/// The last lines of a text, indented.
fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.trim_end().lines().collect();
    let shown = &lines[lines.len().saturating_sub(TAIL_LINES)..];
    shown.iter().map(|line| format!("  | {line}")).collect::<Vec<_>>().join("\n")
}

/// What a server needs to start and to be stopped.
pub(crate) struct Launch<'a> {
    /// What to call it.
    pub(crate) name: &'static str,
    /// Starts it in the foreground.
    pub(crate) command: Command,
    /// The signal at which it stops without waiting for its clients.
    pub(crate) stop_signal: &'static str,
    /// Where to write `server.log` and `server.pid`.
    pub(crate) folder: &'a Path,
}

/// A server that runs; dropping it stops it, if need be by force, and waits for its end.
pub(crate) struct Running {
    name: &'static str,
    stop_signal: &'static str,
    child: Child,
    log: PathBuf,
    pid_file: PathBuf,
}

impl Running {
    /// Starts a server in its folder; `server.log` there has what it says.
    ///
    /// # Errors
    ///
    /// If it cannot be started, or the folder cannot be written to.
    pub(crate) fn start(launch: Launch<'_>) -> Result<Self> {
        let Launch { name, mut command, stop_signal, folder } = launch;
        let log = folder.join("server.log");
        let file = |e| Error::io(format!("cannot write to {}", folder.display()), e);
        let output = File::create(&log).map_err(file)?;
        command.current_dir(folder).stdin(Stdio::null());
        command.stdout(output.try_clone().map_err(file)?).stderr(output);
        let child = command
            .spawn()
            .map_err(|e| Error::io(format!("cannot start `{}`", line(&command)), e))?;
        let pid_file = folder.join("server.pid");
        let running = Self { name, stop_signal, child, log, pid_file };
        // For the guard of the folder, should this program be killed.
        fs::write(&running.pid_file, format!("{stop_signal} {}\n", running.child.id()))
            .map_err(file)?;
        Ok(running)
    }

    /// The file with what the server says.
    pub(crate) fn log(&self) -> &Path {
        &self.log
    }

    /// Waits until the server answers.
    ///
    /// # Errors
    ///
    /// If it ends instead, or does not answer within a minute; with the end of its log.
    pub(crate) fn wait_until(&mut self, answers: impl Fn() -> bool) -> Result<()> {
        let start = Instant::now();
        while !answers() {
            let ended = self.child.try_wait().ok().flatten();
            let problem = match ended {
                Some(status) => format!("{} ended while it started ({status})", self.name),
                None if start.elapsed() > PATIENCE_START => {
                    format!("{} did not answer within {PATIENCE_START:?}", self.name)
                }
                None => {
                    thread::sleep(LOOK_EVERY);
                    continue;
                }
            };
            let log = fs::read(&self.log).unwrap_or_default();
            return Err(Error::new(format!(
                "{problem}:\n{}",
                tail(&String::from_utf8_lossy(&log))
            )));
        }
        Ok(())
    }

    /// Whether the server ended by itself within some seconds after it was asked to.
    fn ends(&mut self) -> bool {
        let start = Instant::now();
        while start.elapsed() < PATIENCE_STOP {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return true;
            }
            thread::sleep(LOOK_EVERY);
        }
        false
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            // The standard library can only kill; the shell can ask.
            let pid = self.child.id().to_string();
            let script = ["-c", "kill -\"$1\" \"$2\"", "sh", self.stop_signal, &pid];
            let asked = Command::new("sh").args(script).status();
            if !asked.is_ok_and(|status| status.success()) || !self.ends() {
                eprintln!("warning: {} does not stop: killed", self.name);
                self.child.kill().ok();
            }
        }
        self.child.wait().ok();
        fs::remove_file(&self.pid_file).ok();
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::process::Command;
    use std::{env, fs, process};

    use super::{Launch, Running, output};

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

    #[test]
    fn a_server_that_ends_while_it_starts_shows_its_log() {
        let folder = env::temp_dir().join(format!("sql-batcher-xtask-{}", process::id()));
        fs::create_dir_all(&folder).expect("a temporary folder");
        let command = shell("echo port is taken >&2; exit 1");
        let launch = Launch { name: "Teapot", command, stop_signal: "TERM", folder: &folder };
        let mut server = Running::start(launch).expect("the shell starts");
        let message = server.wait_until(|| false).expect_err("it ends").to_string();
        drop(server);
        fs::remove_dir_all(&folder).expect("the folder is still there");
        assert!(message.contains("Teapot ended"), "{message}");
        assert!(message.contains("  | port is taken"), "{message}");
    }
}
