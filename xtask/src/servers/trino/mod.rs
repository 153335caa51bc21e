//! A Trino server: fetched from Maven Central with `mvn` and kept beside what cargo builds, started
//! with the catalogs memory, tpch, blackhole and postgresql; with it Trino's command line, and the
//! Python client `trino`. It needs Java 24 or later.
//!
//! All of it is large, and may not be had everywhere: where it is missing there is a reason, which
//! is said loudly, and the tests that need it are left out.

mod secure;

use std::env;
use std::fs;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::announce;
use crate::error::{Error, Result};
use crate::process;

use super::folder::{Folder, write};
use super::programs::folder_with;
use super::server::{Kind, Server, free_port};
use super::{TRINO_URL, Variables};

/// The version that is fetched: the last one on Maven Central.
const VERSION: &str = "476";
/// The version of the Python client.
const CLIENT: &str = "trino==0.340.0";
/// The first Java that it runs on.
const FIRST_JAVA: u32 = 24;
/// What of the plugins is kept, and what they need: the others are most of a gigabyte.
const PLUGINS: [&str; 6] =
    ["memory", "tpch", "blackhole", "postgresql", "geospatial", "password-authenticators"];

/// The variables with Trino's command line (a jar), with a Java to run it, and with a Python that
/// has the client.
const CLI: &str = "SQL_BATCHER_TEST_TRINO_CLI";
const JAVA: &str = "SQL_BATCHER_TEST_JAVA";
const PYTHON: &str = "SQL_BATCHER_TEST_TRINO_PYTHON";
/// The variables with the server's address over TLS, where it asks who somebody is, and with the
/// file of certificates that are to be trusted.
const TLS_ADDRESS: &str = "SQL_BATCHER_TEST_TRINO_TLS_ADDRESS";
const TLS_CA: &str = "SQL_BATCHER_TEST_TRINO_TLS_CA";

/// Options of its Java, as its own packages have them, but for the memory.
const JAVA_OPTIONS: [&str; 12] = [
    "-server",
    "-Xmx2G",
    "-XX:+ExitOnOutOfMemoryError",
    "-XX:ReservedCodeCacheSize=150M",
    "-XX:+EnableDynamicAgentLoading",
    "-XX:+UnlockDiagnosticVMOptions",
    "-Djdk.attach.allowAttachSelf=true",
    "-Djdk.nio.maxCachedBufferSize=0",
    "--enable-native-access=ALL-UNNAMED",
    "--add-modules=jdk.incubator.vector",
    "-Dfile.encoding=UTF-8",
    "-Duser.timezone=UTC",
];

/// What was found or fetched.
pub(super) struct Programs {
    java: PathBuf,
    server: PathBuf,
    cli: PathBuf,
    python: Option<PathBuf>,
}

impl Programs {
    /// Finds Java, and fetches what is not there yet.
    ///
    /// # Errors
    ///
    /// If there is no Java of that version, or something cannot be fetched: what, and why.
    pub(super) fn find_or_fetch(target: &Path) -> Result<Self> {
        let java = java()?;
        let folder = target.join("trino");
        fs::create_dir_all(&folder)
            .map_err(|e| Error::io(format!("cannot make the folder {}", folder.display()), e))?;
        let server = folder.join(format!("trino-server-{VERSION}"));
        if !server.is_dir() {
            fetch_server(&folder, &server)?;
        }
        let cli = folder.join(format!("trino-cli-{VERSION}-executable.jar"));
        if !cli.is_file() {
            fetch(&folder, &format!("io.trino:trino-cli:{VERSION}:jar:executable"))?;
        }
        let python = python(&folder).map_err(|error| {
            announce(&format!("NOT TESTED: what Trino's Python client sees ({error})"));
        });
        Ok(Self { java, server, cli, python: python.ok() })
    }

    /// What tells the tests where the programs are.
    pub(super) fn variables(&self) -> Variables {
        let mut variables: Variables =
            vec![(CLI, self.cli.clone().into()), (JAVA, self.java.clone().into())];
        variables.extend(self.python.clone().map(|python| (PYTHON, python.into())));
        variables
    }
}

/// Starts a server, with the PostgreSQL of this URL behind one of its catalogs; and what tells the
/// tests how it is reached.
///
/// # Errors
///
/// If it does not start; with the end of its log.
pub(super) fn start(programs: &Programs, postgres: &str) -> Result<(Server, Variables)> {
    let folder = Folder::create(None)?;
    let etc = folder.path().join("etc");
    let catalogs = etc.join("catalog");
    fs::create_dir_all(&catalogs)
        .map_err(|e| Error::io(format!("cannot make the folder {}", catalogs.display()), e))?;
    for name in ["memory", "tpch", "blackhole"] {
        write(&catalogs.join(format!("{name}.properties")), &format!("connector.name={name}\n"))?;
    }
    write(&catalogs.join("postgresql.properties"), &postgres_catalog(postgres)?)?;
    let tls_port = free_port()?;
    let secure = secure::settings(folder.path(), tls_port)?;
    let tls_ca = folder.path().join(secure::CA);
    let data = folder.data();
    let (java, server) = (programs.java.clone(), programs.server.clone());
    let launch = move |port: u16| {
        let settings = etc.join("config.properties");
        // Where it cannot be written, the server says that it cannot be read.
        fs::write(&settings, config(port) + &secure).ok();
        let mut command = Command::new(&java);
        command.args(JAVA_OPTIONS).arg("-cp").arg(server.join("lib").join("*"));
        command.arg(format!("-Dconfig={}", settings.display()));
        command.args(["-Dnode.environment=test", "-Dnode.id=one"]);
        command.arg(format!("-Dnode.data-dir={}", data.display()));
        command.arg(format!("-Dplugin.dir={}", server.join("plugin").display()));
        command.arg(format!("-Dcatalog.config-dir={}", catalogs.display()));
        command.arg("io.trino.server.TrinoServer");
        command
    };
    let kind = Kind {
        name: "Trino",
        crash: "KILL",
        goodbye: "TERM",
        answers,
        url: |address| format!("trino://test@{address}/memory/default"),
    };
    let server = Server::start(folder, kind, launch)?;
    let variables = vec![
        (TRINO_URL, server.url().into()),
        (TLS_ADDRESS, format!("127.0.0.1:{tls_port}").into()),
        (TLS_CA, tls_ca.into()),
    ];
    Ok((server, variables))
}

fn config(port: u16) -> String {
    format!(
        "coordinator=true\nnode-scheduler.include-coordinator=true\n\
         http-server.http.port={port}\ndiscovery.uri=http://127.0.0.1:{port}\n\
         query.max-memory=1GB\nquery.max-memory-per-node=512MB\nhttp-server.log.enabled=false\n"
    )
}

/// The catalog of a PostgreSQL, of a URL without a password.
fn postgres_catalog(url: &str) -> Result<String> {
    let rest = url.split_once("://").map(|(_, rest)| rest);
    let parts = rest.and_then(|rest| rest.split_once('@'));
    let Some((user, place)) = parts.filter(|(user, _)| !user.contains(':')) else {
        return Err(Error::new("Trino cannot be given a PostgreSQL whose URL has a password"));
    };
    Ok(format!(
        "connector.name=postgresql\nconnection-url=jdbc:postgresql://{place}\n\
         connection-user={user}\n"
    ))
}

/// Whether it takes statements: it says so itself.
fn answers(mut stream: TcpStream) -> io::Result<bool> {
    stream.write_all(b"GET /v1/info HTTP/1.0\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer.contains("\"starting\":false"))
}

/// A Java that is new enough.
fn java() -> Result<PathBuf> {
    let given = env::var_os(JAVA).map(PathBuf::from).into_iter();
    let home = env::var_os("JAVA_HOME").map(|home| Path::new(&home).join("bin/java")).into_iter();
    let installed = fs::read_dir("/usr/lib/jvm").into_iter().flatten().flatten();
    let installed = installed.map(|entry| entry.path().join("bin/java"));
    let on_path = process::search_path().into_iter().map(|folder| folder.join("java"));
    let mut candidates = given.chain(home).chain(installed).chain(on_path);
    let found = candidates.find(|java| version(java).is_some_and(|version| version >= FIRST_JAVA));
    found.ok_or_else(|| Error::new(format!("there is no Java {FIRST_JAVA} or later ({JAVA})")))
}

/// The version of a Java: it begins its file `release` with it.
fn version(java: &Path) -> Option<u32> {
    let home = fs::canonicalize(java).ok()?;
    let release = fs::read_to_string(home.parent()?.parent()?.join("release")).ok()?;
    let line = release.lines().find_map(|line| line.strip_prefix("JAVA_VERSION=\""))?;
    line.split(['.', '"', '+', '-']).next()?.parse().ok()
}

/// Fetches a file from Maven Central into a folder.
fn fetch(folder: &Path, artifact: &str) -> Result<()> {
    if folder_with(&["mvn"], &process::search_path()).is_none() {
        return Err(Error::new("there is no mvn to fetch it with"));
    }
    announce(&format!("fetching {artifact}"));
    let mut maven = Command::new("mvn");
    maven.args(["-q", "-B", "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy"]);
    maven.arg(format!("-Dartifact={artifact}"));
    maven.arg(format!("-DoutputDirectory={}", folder.display()));
    // Its own store would hold a second copy.
    maven.arg(format!("-Dmaven.repo.local={}", folder.join("maven").display()));
    process::output(maven.current_dir(folder)).map(drop)
}

/// Fetches and unpacks the server; its folder is there only once it is whole.
fn fetch_server(folder: &Path, server: &Path) -> Result<()> {
    fetch(folder, &format!("io.trino:trino-server:{VERSION}:tar.gz"))?;
    let cannot = |e| Error::io(format!("cannot unpack into {}", folder.display()), e);
    let archive = folder.join(format!("trino-server-{VERSION}.tar.gz"));
    let part = folder.join("part");
    if part.exists() {
        fs::remove_dir_all(&part).map_err(cannot)?;
    }
    fs::create_dir(&part).map_err(cannot)?;
    // Whole, as its files are links to one another.
    process::output(Command::new("tar").arg("-xzf").arg(&archive).arg("-C").arg(&part))?;
    let unpacked = part.join(format!("trino-server-{VERSION}"));
    for plugin in fs::read_dir(unpacked.join("plugin")).map_err(cannot)?.flatten() {
        if !PLUGINS.iter().any(|kept| *kept == plugin.file_name()) {
            fs::remove_dir_all(plugin.path()).map_err(cannot)?;
        }
    }
    fs::rename(&unpacked, server).map_err(cannot)?;
    fs::remove_dir_all(&part).map_err(cannot)?;
    fs::remove_dir_all(folder.join("maven")).map_err(cannot)?;
    fs::remove_file(&archive).map_err(cannot)
}

/// A Python of its own with the client.
fn python(folder: &Path) -> Result<PathBuf> {
    let home = folder.join("python");
    let python = home.join("bin/python3");
    let has_client =
        |python: &Path| process::output(Command::new(python).args(["-c", "import trino"])).is_ok();
    if has_client(&python) {
        return Ok(python);
    }
    announce(&format!("fetching {CLIENT}"));
    process::output(Command::new("python3").args(["-m", "venv"]).arg(&home))?;
    process::output(Command::new(&python).args(["-m", "pip", "install", "--quiet", CLIENT]))?;
    Ok(python)
}

/// Whether the environment names a server.
pub(super) fn is_given() -> bool {
    env::var_os(TRINO_URL).is_some_and(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_catalog_is_made_of_a_url_without_a_password() {
        let catalog = postgres_catalog("postgres://me@127.0.0.1:5/db").expect("it can be made");
        assert!(catalog.contains("connection-url=jdbc:postgresql://127.0.0.1:5/db\n"), "{catalog}");
        assert!(catalog.contains("connection-user=me\n"), "{catalog}");
        assert!(postgres_catalog("postgres://me:pw@h/db").is_err());
    }
}
