//! Prometheus, which tests start by themselves: the program from Debian's package, unpacked beside
//! what cargo builds. Nothing is installed, as the package would start a service.

use std::env;
use std::fs;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::announce;
use crate::error::{Error, Result};
use crate::process;

use super::folder::{Folder, write};
use super::programs::folder_with;
use super::server::{Kind, Server};
use super::{Variables, is_root};

/// The variable with the folder of the program.
const FOLDER: &str = "SQL_BATCHER_TEST_PROMETHEUS_BIN";
/// The program, and the package it comes in.
const NAME: &str = "prometheus";

/// What tells the tests where the program is; it is unpacked where it is missing.
///
/// # Errors
///
/// If that is impossible: why, and what to do.
pub(super) fn variables() -> Result<Variables> {
    let unpacked = unpacked_folder()?;
    let programs = unpacked.join("usr/bin");
    let mut folders: Vec<PathBuf> = env::var_os(FOLDER).map(PathBuf::from).into_iter().collect();
    folders.extend(process::search_path());
    folders.push(programs.clone());
    if let Some(folder) = folder_with(&[NAME], &folders) {
        return Ok(vec![(FOLDER, folder.into())]);
    }
    announce("unpacking Prometheus");
    unpack(&unpacked).map_err(|error| Error::new(advice(&error)))?;
    Ok(vec![(FOLDER, programs.into())])
}

/// Starts one that fetches the metrics of this address ten times a second; none where the program
/// is missing.
///
/// # Errors
///
/// If it does not start.
pub(super) fn start(target: SocketAddr) -> Result<Option<Server>> {
    let given = env::var_os(FOLDER).map(PathBuf::from).into_iter();
    let folders: Vec<PathBuf> = given.chain(process::search_path()).collect();
    let Some(programs) = folder_with(&[NAME], &folders) else { return Ok(None) };
    let folder = Folder::create(None)?;
    let settings = folder.path().join("prometheus.yml");
    let text = format!(
        "global: {{scrape_interval: 100ms, scrape_timeout: 100ms}}\n\
         scrape_configs:\n- job_name: run\n  static_configs: [{{targets: ['{target}']}}]\n"
    );
    write(&settings, &text)?;
    let data = folder.data();
    let launch = move |port: u16| {
        let mut command = Command::new(programs.join(NAME));
        command.arg(format!("--config.file={}", settings.display()));
        command.arg(format!("--storage.tsdb.path={}", data.display()));
        command.arg(format!("--web.listen-address=127.0.0.1:{port}"));
        command
    };
    let kind = Kind {
        name: "Prometheus",
        crash: "KILL",
        goodbye: "TERM",
        answers,
        url: |address| format!("http://{address}"),
    };
    Server::start(folder, kind, launch).map(Some)
}

/// Whether it answers queries.
fn answers(mut stream: TcpStream) -> io::Result<bool> {
    stream.write_all(b"GET /-/ready HTTP/1.0\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer.split(' ').nth(1) == Some("200"))
}

/// Where the package is unpacked: in the target folder, as this program is in a folder of that.
fn unpacked_folder() -> Result<PathBuf> {
    let program = env::current_exe().map_err(|e| Error::io("cannot find myself", e))?;
    let target = program.ancestors().nth(2);
    let target = target.ok_or_else(|| Error::new("xtask must be started as `cargo xtask`"))?;
    Ok(target.join(NAME))
}

/// Downloads and unpacks the package; the folder is there only once it is whole.
fn unpack(folder: &Path) -> Result<()> {
    let part = folder.with_extension("part");
    let cannot = |e| Error::io(format!("cannot make the folder {}", part.display()), e);
    fs::remove_dir_all(&part)
        .or_else(|e| if part.exists() { Err(e) } else { Ok(()) })
        .map_err(cannot)?;
    fs::create_dir_all(&part).map_err(cannot)?;
    if download(&part).is_err() {
        update()?;
        download(&part)?;
    }
    let package = package(&part)?;
    process::output(Command::new("dpkg").arg("-x").arg(&package).arg(&part))?;
    fs::remove_file(&package).map_err(cannot)?;
    fs::rename(&part, folder).map_err(cannot)
}

/// Downloads the package of this system into a folder.
fn download(folder: &Path) -> Result<()> {
    let mut apt = Command::new("apt-get");
    apt.args(["--quiet", "-o", "Acquire::Retries=3", "download", NAME]).current_dir(folder);
    process::output(&mut apt).map(drop)
}

/// Reads what packages there are, which only root may.
fn update() -> Result<()> {
    let mut command = Command::new(if is_root() { "env" } else { "sudo" });
    command.args(if is_root() { &[][..] } else { &["-n", "env"] });
    command.args(["apt-get", "--quiet", "-o", "Acquire::Retries=3", "update"]);
    process::output(&mut command).map(drop)
}

/// The package in a folder.
fn package(folder: &Path) -> Result<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut paths = entries.map(|entry| entry.path());
    let found = paths.find(|path| path.extension().is_some_and(|extension| extension == "deb"));
    found.ok_or_else(|| Error::new("`apt-get download` has left no package"))
}

/// What to tell a person who lacks the program.
fn advice(reason: &Error) -> String {
    format!(
        "the tests need the program {NAME}, which is missing\n  \
         why not now:        {reason}\n  \
         use another:        {FOLDER}=FOLDER  (with the program in it)\n  \
         or leave them out:  cargo xtask test --skip-servers"
    )
}
