//! A server's process: started on a port that is free, stopped, and started again where it was.

use std::fs::{self, File};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::error::{Error, Result};
use crate::process;

use super::folder::Folder;

/// How long a server may take until it answers, and until it has ended.
const PATIENCE: Duration = Duration::from_secs(180);
/// How often to look whether it does, and how long one look may take.
const LOOK_EVERY: Duration = Duration::from_millis(20);
const LOOK_FOR: Duration = Duration::from_secs(2);
/// How often to try another port when somebody else was quicker to take it.
const PORTS_TRIED: usize = 3;

/// What a kind of server is.
pub(super) struct Kind {
    pub(super) name: &'static str,
    /// The names of the signals at which it ends at once, without any goodbye, and at which it
    /// takes leave of its clients.
    pub(super) crash: &'static str,
    pub(super) goodbye: &'static str,
    /// Whether it lets clients in.
    pub(super) answers: fn(TcpStream) -> io::Result<bool>,
    /// The URL of its database.
    pub(super) url: fn(SocketAddr) -> String,
}

/// A server that runs in a folder of its own. Dropping it ends it and removes the folder.
pub struct Server {
    kind: Kind,
    launch: Box<dyn Fn(u16) -> Command + Send + Sync>,
    port: u16,
    child: Option<Child>,
    folder: Folder,
}

impl Server {
    /// Starts it on a port that is free.
    ///
    /// # Errors
    ///
    /// If it does not start; with the end of its log.
    pub(super) fn start(
        folder: Folder,
        kind: Kind,
        launch: impl Fn(u16) -> Command + Send + Sync + 'static,
    ) -> Result<Self> {
        let launch = Box::new(launch);
        let mut server = Self { kind, launch, port: 0, child: None, folder };
        let mut attempt = 1;
        loop {
            server.port = free_port()?;
            match server.start_again() {
                Ok(()) => return Ok(server),
                Err(error) if attempt == PORTS_TRIED => return Err(error),
                Err(error) if !error.to_string().contains("in use") => return Err(error),
                Err(_) => attempt += 1,
            }
        }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.port))
    }

    /// The URL of its database.
    #[must_use]
    pub fn url(&self) -> String {
        (self.kind.url)(self.address())
    }

    /// The file with what it says.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.folder.path().join("server.log")
    }

    /// The disk in memory, which may be filled; an empty folder where none was asked for.
    #[must_use]
    pub fn disk(&self) -> PathBuf {
        self.folder.disk()
    }

    /// A file or folder of its own in its folder.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Ends it at once, as a crash would, and waits until it is gone.
    pub fn stop(&mut self) {
        self.end(self.kind.crash);
    }

    /// Ends it as an administrator does: its clients are told, and what they do is taken back.
    pub fn stop_with_goodbye(&mut self) {
        self.end(self.kind.goodbye);
    }

    /// Starts it again where it was; it recovers what it had committed.
    ///
    /// # Errors
    ///
    /// If it runs, ends while it starts, or does not answer within three minutes; with the end of its
    /// log.
    pub fn start_again(&mut self) -> Result<()> {
        let name = self.kind.name;
        if self.child.is_some() {
            return Err(Error::new(format!("{name} runs already")));
        }
        self.spawn()?;
        let began = Instant::now();
        while !self.is_up() {
            let ended = self.child.as_mut().and_then(|child| child.try_wait().ok().flatten());
            let problem = match ended {
                Some(status) => format!("{name} ended while it started ({status})"),
                None if began.elapsed() > PATIENCE => {
                    format!("{name} did not answer within {PATIENCE:?}")
                }
                None => {
                    thread::sleep(LOOK_EVERY);
                    continue;
                }
            };
            self.stop();
            let log = fs::read(self.log()).unwrap_or_default();
            let said = process::tail(&String::from_utf8_lossy(&log));
            return Err(Error::new(format!("{problem}:\n{said}")));
        }
        Ok(())
    }

    fn spawn(&mut self) -> Result<()> {
        let log = self.log();
        let unwritable = |e| Error::io(format!("cannot write {}", log.display()), e);
        let output = File::create(&log).map_err(unwritable)?;
        let mut command = (self.launch)(self.port);
        command.current_dir(self.folder.path()).stdin(Stdio::null());
        command.stdout(output.try_clone().map_err(unwritable)?).stderr(output);
        let child = process::spawn(&mut command)?;
        let guarded = self.folder.guard_process(self.kind.crash, child.id());
        self.child = Some(child);
        guarded
    }

    fn is_up(&self) -> bool {
        let answers = |stream: TcpStream| {
            stream.set_read_timeout(Some(LOOK_FOR))?;
            (self.kind.answers)(stream)
        };
        let stream = TcpStream::connect_timeout(&self.address(), LOOK_FOR);
        stream.and_then(answers).unwrap_or(false)
    }

    fn end(&mut self, signal: &str) {
        let Some(mut child) = self.child.take() else { return };
        if matches!(child.try_wait(), Ok(None)) {
            // The standard library can only kill; the shell can send any signal.
            let script = ["-c", "kill -\"$1\" \"$2\"", "sh", signal];
            Command::new("sh").args(script).arg(child.id().to_string()).status().ok();
            let began = Instant::now();
            while matches!(child.try_wait(), Ok(None)) && began.elapsed() < PATIENCE {
                thread::sleep(LOOK_EVERY);
            }
            child.kill().ok();
        }
        child.wait().ok();
        self.folder.forget_process();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A port that nobody listens on at the moment.
pub(super) fn free_port() -> Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
    let address = listener.and_then(|listener| listener.local_addr());
    Ok(address.map_err(|e| Error::io("cannot find a free port", e))?.port())
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_ends_while_it_starts_shows_its_log() {
        let kind = Kind {
            name: "Teapot",
            crash: "KILL",
            goodbye: "TERM",
            answers: |_| Ok(false),
            url: |address| address.to_string(),
        };
        let folder = Folder::create(None).expect("a temporary folder");
        let path = folder.path().to_path_buf();
        let started = Server::start(folder, kind, |_| {
            let mut shell = Command::new("sh");
            shell.args(["-c", "echo the port is taken >&2; exit 1"]);
            shell
        });
        let message = started.err().expect("it ends").to_string();
        assert!(message.contains("Teapot ended"), "{message}");
        assert!(message.contains("  | the port is taken"), "{message}");
        assert!(!path.exists(), "its folder is left");
    }
}
