//! The folder of a server, which does not outlive this program, however it ends.
//!
//! A program that is interrupted or killed drops nothing. So a small shell script watches over the
//! folder: it reads from a pipe that only this program can write to, and when the pipe breaks, it
//! ends the server that still runs in the folder, unmounts its disk and removes it.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{self, Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::error::{Error, Result};
use crate::process::{output, spawn};

use super::is_root;

/// Waits for the end of this program; then sends the process in `server.pid` the signal there,
/// kills it after ten seconds, and removes the folder.
const GUARD: &str = r#"
trap '' INT TERM HUP
read -r line
if [ -f "$1/server.pid" ]; then
    read -r signal pid < "$1/server.pid"
    kill -"$signal" "$pid"
    tries=0
    while kill -0 "$pid" && [ "$tries" -lt 100 ]; do
        sleep 0.1
        tries=$((tries + 1))
    done
    kill -KILL "$pid"
fi
[ -f "$1/disk.mounted" ] && { umount "$1/disk" || umount -l "$1/disk"; }
rm -rf "$1"
"#;

/// Folders of this process so far.
static CREATED: AtomicU32 = AtomicU32::new(0);

/// The folder; dropping it removes it.
pub(super) struct Folder {
    path: PathBuf,
    guard: Child,
}

impl Folder {
    /// Makes a folder with a name of its own where temporary files belong, perhaps with a disk in
    /// memory of so many mebibytes.
    ///
    /// # Errors
    ///
    /// If that is impossible, there is no shell, or this user or system cannot have such a disk.
    pub(super) fn create(disk_mib: Option<u32>) -> Result<Self> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let number = CREATED.fetch_add(1, Ordering::Relaxed);
        let name = format!("sql-batcher-{}-{}-{number}", process::id(), now.subsec_micros());
        let path = env::temp_dir().join(name);
        make(&path)?;
        let mut guard = Command::new("sh");
        guard.args(["-c", GUARD, "sh"]).arg(&path);
        guard.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let folder = Self { guard: spawn(&mut guard)?, path };
        make(&folder.disk())?;
        if let Some(mib) = disk_mib {
            folder.mount(mib)?;
        }
        Ok(folder)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Where the server's own data belong.
    pub(super) fn data(&self) -> PathBuf {
        self.path.join("data")
    }

    /// The disk in memory, or an empty folder.
    pub(super) fn disk(&self) -> PathBuf {
        self.path.join("disk")
    }

    /// Gives the folder and the disk to another user.
    ///
    /// # Errors
    ///
    /// If that is not permitted.
    pub(super) fn give_to(&self, owner: &str) -> Result<()> {
        output(Command::new("chown").arg(owner).arg(&self.path).arg(self.disk())).map(drop)
    }

    /// Has this process ended with this program.
    ///
    /// # Errors
    ///
    /// If the folder cannot be written to.
    pub(super) fn guard_process(&self, signal: &str, pid: u32) -> Result<()> {
        write(&self.path.join("server.pid"), &format!("{signal} {pid}\n"))
    }

    /// It has ended.
    pub(super) fn forget_process(&self) {
        fs::remove_file(self.path.join("server.pid")).ok();
    }

    fn mount(&self, mib: u32) -> Result<()> {
        if !is_root() {
            return Err(Error::new("only root can have a disk in memory"));
        }
        let size = format!("size={mib}m");
        let mut mount = Command::new("mount");
        output(mount.args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(self.disk()))?;
        write(&self.path.join("disk.mounted"), "")
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

/// Writes a file.
///
/// # Errors
///
/// If that is impossible.
pub(super) fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).map_err(|e| Error::io(format!("cannot write {}", path.display()), e))
}
