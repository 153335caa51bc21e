//! A Prometheus that belongs to one test, and watches one address.

use std::{
    fs,
    io::{self, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    process::Command,
};

use super::{Folder, Server, option, program};

/// The variable with the folder of the program.
const PROGRAMS: &str = "SQL_BATCHER_TEST_PROMETHEUS_BIN";

/// A Prometheus. Dropping it ends it.
pub struct OwnPrometheus(Server);

impl OwnPrometheus {
    /// Starts one that fetches the metrics of this address ten times a second; none where the test
    /// is to be skipped.
    ///
    /// # Panics
    /// If the program is missing or fails.
    #[must_use]
    pub fn watching(target: SocketAddr) -> Option<Self> {
        let program = program(PROGRAMS, "prometheus")?;
        let folder = Folder::create(None)?;
        let settings = folder.path().join("prometheus.yml");
        let text = format!(
            "global: {{scrape_interval: 100ms, scrape_timeout: 100ms}}\n\
             scrape_configs:\n- job_name: run\n  static_configs: [{{targets: ['{target}']}}]\n"
        );
        fs::write(&settings, text).expect("the folder can be written to");
        let data = folder.data();
        let launch = move |port| {
            let mut command = Command::new(&program);
            command.arg(option("config.file", &settings)).arg(option("storage.tsdb.path", &data));
            command.arg(format!("--web.listen-address=127.0.0.1:{port}"));
            command
        };
        Some(Self(Server::start(folder, "KILL", launch, is_ready)))
    }

    /// Where its interface is.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.0.address()
    }
}

/// Whether it answers queries.
fn is_ready(mut stream: TcpStream) -> io::Result<bool> {
    stream.write_all(b"GET /-/ready HTTP/1.0\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer.split(' ').nth(1) == Some("200"))
}
