//! Servers that belong to one test, which may fill their disk, take their last connection and kill
//! them. What they are and what they are told is in the modules below; here is what all have in
//! common: a folder, a process, a port.
//!
//! They do not wait for the disk: a server that is killed keeps what it committed.

mod folder;
mod mariadb;
mod postgres;
mod prometheus;

use std::{
    env,
    fs::{self, File},
    io,
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

pub use self::{mariadb::OwnMariaDb, postgres::OwnPostgres, prometheus::OwnPrometheus};

use self::folder::Folder;
use crate::servers::{may_skip, note_skipped};

/// How long a server may take until it answers, and until it has ended.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often to look whether it does, and how long one look may take.
const LOOK_EVERY: Duration = Duration::from_millis(20);
const LOOK_FOR: Duration = Duration::from_secs(2);
/// How often to try another port when somebody else was quicker to take it.
const PORTS_TRIED: usize = 3;
/// Folders of servers that are not in everybody's `PATH`.
const MORE_FOLDERS: [&str; 4] = ["/usr/bin", "/usr/sbin", "/usr/local/sbin", "/usr/libexec"];

/// What a test wants of a server of its own.
#[derive(Clone, Copy, Debug, Default)]
pub struct Setup<'a> {
    /// Settings as `name=value`, beside those that say where the server is.
    pub settings: &'a [&'a str],
    /// The size of a disk in memory for tables of the test, beside the server's own data; none:
    /// there is no such disk.
    pub disk_mib: Option<u32>,
}

/// A server's process, and how to start it once more.
struct Server {
    launch: Box<dyn Fn(u16) -> Command + Send + Sync>,
    answers: fn(TcpStream) -> io::Result<bool>,
    /// The name of the signal that ends it at once, without any goodbye.
    end_signal: &'static str,
    port: u16,
    child: Option<Child>,
    folder: Folder,
}

impl Server {
    /// Starts it on a port that is free.
    fn start(
        folder: Folder,
        end_signal: &'static str,
        launch: impl Fn(u16) -> Command + Send + Sync + 'static,
        answers: fn(TcpStream) -> io::Result<bool>,
    ) -> Self {
        let launch = Box::new(launch);
        let mut server = Self { launch, answers, end_signal, port: 0, child: None, folder };
        for _ in 1..PORTS_TRIED {
            server.port = free_port();
            if server.try_again().is_ok() {
                return server;
            }
        }
        server.port = free_port();
        server.again();
        server
    }

    /// Starts it where it was before.
    fn again(&mut self) {
        if let Err(said) = self.try_again() {
            panic!("the server does not start:\n{said}");
        }
    }

    fn try_again(&mut self) -> Result<(), String> {
        assert!(self.child.is_none(), "it runs already");
        let log = self.folder.path().join("server.log");
        let output = File::create(&log).expect("the folder can be written to");
        let mut command = (self.launch)(self.port);
        command.current_dir(self.folder.path()).stdin(Stdio::null());
        command.stdout(output.try_clone().expect("it is open")).stderr(output);
        let child = command.spawn().expect("the server's program can be started");
        self.folder.guard_process(self.end_signal, child.id());
        self.child = Some(child);
        let began = Instant::now();
        while !self.is_up() {
            let ended =
                self.child.as_mut().is_none_or(|child| !matches!(child.try_wait(), Ok(None)));
            if ended || began.elapsed() > PATIENCE {
                self.end();
                return Err(fs::read_to_string(&log).unwrap_or_default());
            }
            thread::sleep(LOOK_EVERY);
        }
        Ok(())
    }

    fn is_up(&self) -> bool {
        let stream = TcpStream::connect_timeout(&self.address(), LOOK_FOR);
        let answers = |stream: TcpStream| {
            stream.set_read_timeout(Some(LOOK_FOR))?;
            (self.answers)(stream)
        };
        stream.and_then(answers).unwrap_or(false)
    }

    fn address(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.port))
    }

    /// Ends it at once, and waits until it is gone.
    fn end(&mut self) {
        self.end_with(self.end_signal);
    }

    fn end_with(&mut self, signal: &str) {
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
        self.end();
    }
}

/// A port that nobody listens on at the moment.
fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
    listener.and_then(|listener| listener.local_addr()).expect("a port is free").port()
}

/// A server's program: in the folder that the variable names, or where such programs are. None if
/// the variable is not set and `SQL_BATCHER_SKIP_SERVERS=1` says that there are no servers.
///
/// # Panics
/// If there is none otherwise: a missing server is never a silent pass.
fn program(variable: &str, name: &str) -> Option<PathBuf> {
    let given = env::var_os(variable);
    if given.is_none() && may_skip() {
        note_skipped("no server");
        return None;
    }
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = given.into_iter().map(PathBuf::from).chain(env::split_paths(&path));
    let mut places = folders.chain(MORE_FOLDERS.map(PathBuf::from)).map(|path| path.join(name));
    let found = places.find(|path| path.is_file());
    assert!(
        found.is_some(),
        "no program {name}: install it and set {variable} to its folder, as `cargo xtask servers` \
         does, or set SQL_BATCHER_SKIP_SERVERS=1 to skip the tests that need servers"
    );
    found
}

/// Runs a command to its end, quietly.
fn run(command: &mut Command) {
    let output = command.stdin(Stdio::null()).output().expect("the program can be started");
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&said));
}

fn is_root() -> bool {
    id(&["-u"]).as_deref() == Some("0")
}

/// What `id` says, where it succeeds.
fn id(arguments: &[&str]) -> Option<String> {
    let output = Command::new("id").args(arguments).output().ok()?;
    let said = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| said.trim().to_owned())
}

/// `--NAME=PATH`.
fn option(name: &str, path: &Path) -> std::ffi::OsString {
    let mut option = std::ffi::OsString::from(format!("--{name}="));
    option.push(path);
    option
}
