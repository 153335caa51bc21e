//! The folder of a server, which does not outlive the test, however it ends.
//!
//! A test that is killed drops nothing. So a small shell script watches over the folder: it reads
//! from a pipe that only the test can write to, and when the pipe breaks it kills what still runs
//! in the folder, unmounts its disk and removes it.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use tempfile::TempDir;

use super::{is_root, run};

/// Waits for the end of the test; then cleans up.
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

/// The folder; dropping it removes it.
pub(super) struct Folder {
    path: PathBuf,
    guard: Child,
}

impl Folder {
    /// A folder that every user can enter: a server may have to run as another one. With a disk in
    /// memory of this size, or none where this user or system cannot have one.
    pub(super) fn create(disk_mib: Option<u32>) -> Option<Self> {
        let folder = TempDir::with_prefix("sql-batcher-own-").expect("a temporary folder");
        let path = folder.keep();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("it is ours");
        let mut guard = Command::new("sh");
        guard.args(["-c", GUARD, "sh"]).arg(&path);
        guard.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let guard = guard.spawn().expect("there is a shell");
        let folder = Self { path, guard };
        fs::create_dir(folder.disk()).expect("the folder is empty");
        match disk_mib {
            Some(mib) if !folder.mount(mib) => None,
            _ => Some(folder),
        }
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
    pub(super) fn give_to(&self, owner: &str) {
        run(Command::new("chown").arg(owner).arg(&self.path).arg(self.disk()));
    }

    /// Has this process ended with the test.
    pub(super) fn guard_process(&self, signal: &str, pid: u32) {
        let line = format!("{signal} {pid}\n");
        fs::write(self.path.join("server.pid"), line).expect("the folder can be written to");
    }

    /// It has ended.
    pub(super) fn forget_process(&self) {
        fs::remove_file(self.path.join("server.pid")).ok();
    }

    fn mount(&self, mib: u32) -> bool {
        let size = format!("size={mib}m");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(self.disk());
        let mounted = is_root() && mount.output().is_ok_and(|output| output.status.success());
        if mounted {
            fs::write(self.path.join("disk.mounted"), "").expect("the folder can be written to");
        }
        mounted
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(self.guard.stdin.take());
        self.guard.wait().ok();
    }
}
