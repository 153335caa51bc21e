//! A temporary folder that does not outlive this program, however it ends.
//!
//! A program that is interrupted or killed drops nothing. So a small shell script watches over the
//! folder: it reads from a pipe that only this program can write to, and when the pipe breaks, it
//! stops the servers that are still in the folder, and removes it.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{self, Child, Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::error::{Error, Result};
use crate::process::output;

/// Waits for the end of this program; then asks each server that left its signal and process id
/// in a `server.pid` to stop, kills it after ten seconds, and removes the folder.
const GUARD: &str = r#"
trap '' INT TERM HUP
read -r line
for file in "$1"/*/server.pid; do
    [ -f "$file" ] || continue
    read -r signal pid < "$file"
    kill -"$signal" "$pid" || continue
    tries=0
    while kill -0 "$pid" && [ "$tries" -lt 100 ]; do
        sleep 0.1
        tries=$((tries + 1))
    done
    kill -KILL "$pid"
done
rm -rf "$1"
"#;

/// The folder; dropping it removes it.
pub(super) struct Folder {
    path: PathBuf,
    guard: Child,
}

impl Folder {
    /// Makes a folder with a name of its own where temporary files belong.
    ///
    /// # Errors
    ///
    /// If that is impossible, or there is no shell.
    pub(super) fn create() -> Result<Self> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let name = format!("sql-batcher-{}-{}", process::id(), now.subsec_micros());
        let path = env::temp_dir().join(name);
        make(&path)?;
        let mut guard = Command::new("sh");
        guard.args(["-c", GUARD, "sh"]).arg(&path);
        guard.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let guard = guard.spawn().map_err(|e| Error::io("cannot start `sh`", e))?;
        Ok(Self { path, guard })
    }

    /// Makes a folder in it.
    ///
    /// # Errors
    ///
    /// If that is impossible.
    pub(super) fn subfolder(&self, name: &str) -> Result<PathBuf> {
        let path = self.path.join(name);
        make(&path)?;
        Ok(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(self.guard.stdin.take());
        self.guard.wait().ok();
    }
}

/// Makes a folder that every user can enter: a server may have to run as another one.
fn make(path: &Path) -> Result<()> {
    let made = fs::create_dir(path);
    made.map_err(|e| Error::io(format!("cannot make the folder {}", path.display()), e))?;
    output(Command::new("chmod").arg("755").arg(path)).map(drop)
}
