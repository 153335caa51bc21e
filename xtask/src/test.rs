//! `cargo xtask test`: every test of the workspace, with the servers that they need.
//!
//! What each test needs is its own business: it reads the variables that [`Servers`] offers. One
//! that does without its server, because `--skip-servers` was said, writes a line with its name
//! to the file that `SQL_BATCHER_TEST_SKIPPED` names.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, ExitCode, ExitStatus};

use xtask::announce;
use xtask::error::{Error, Result};
use xtask::process;
use xtask::servers::Servers;

use crate::arguments::CargoOptions;
use crate::toolchain;
use crate::workspace::Workspace;

/// What `--trino` runs: the adapter's own tests and those of `tests/`.
const TRINO_TESTS: [&str; 9] = [
    "-p",
    "sql-batcher-adapters",
    "-p",
    "sql-batcher-tests",
    "--lib",
    "--test",
    "trino",
    "--test",
    "clients",
];

/// Tells the tests that doing without servers was asked for.
const SKIP_SERVERS: &str = "SQL_BATCHER_SKIP_SERVERS";
/// Tells the tests where to write down that they were skipped.
const SKIPPED: &str = "SQL_BATCHER_TEST_SKIPPED";
/// Tells the tests and benchmarks where the program is.
pub(crate) const PROGRAM: &str = "SQL_BATCHER_TEST_BIN";

/// Sets up, starts the servers, runs `cargo test`, stops the servers; the exit code is cargo's.
///
/// # Errors
///
/// If a server cannot be had, the build fails, or a test was skipped that had its server.
pub(crate) fn run(workspace: &Workspace, options: &CargoOptions) -> Result<ExitCode> {
    toolchain::ensure_wasm_target()?;
    let servers = match options.skip_servers {
        true => None,
        false => {
            let servers = Servers::start()?.with_trino(workspace.target(), options.trino)?;
            Some(if options.trino { servers } else { servers.with_snowduck() })
        }
    };
    workspace.build()?;

    let skipped = SkippedTests::start(workspace)?;
    let mut cargo = workspace.cargo(&["test"]);
    if options.trino {
        cargo.args(TRINO_TESTS);
    } else if !chooses_packages(&options.cargo_arguments) {
        cargo.arg("--workspace");
    }
    cargo.args(&options.cargo_arguments);
    cargo.env(PROGRAM, workspace.program("sql-batcher")).env(SKIPPED, &skipped.file);
    point_to_servers(&mut cargo, servers.as_ref());
    announce("cargo test");
    let status = process::status(&mut cargo)?;

    for left_out in servers.iter().flat_map(Servers::left_out) {
        println!("\nNOT TESTED, as it could not be had: {left_out}");
    }
    let skipped = skipped.names();
    if servers.is_none() {
        print_untested(&skipped);
    } else if !skipped.is_empty() {
        return Err(Error::new(format!(
            "{} tests were skipped although the servers run:\n{}",
            skipped.len(),
            list(&skipped)
        )));
    }
    Ok(exit_code(status))
}

/// Gives a command the servers' variables, or tells it that there are none.
pub(crate) fn point_to_servers(command: &mut Command, servers: Option<&Servers>) {
    match servers {
        Some(servers) => command.env_remove(SKIP_SERVERS).envs(servers.variables()),
        None => command
            .env(SKIP_SERVERS, "1")
            .env_remove(xtask::servers::POSTGRES_URL)
            .env_remove(xtask::servers::MYSQL_URL)
            .env_remove(xtask::servers::TRINO_URL),
    };
}

/// The exit code of a program that ran for this one.
pub(crate) fn exit_code(status: ExitStatus) -> ExitCode {
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    code.map_or(ExitCode::FAILURE, ExitCode::from)
}

/// Whether the arguments for cargo say which packages to test.
fn chooses_packages(arguments: &[String]) -> bool {
    let own = arguments.iter().take_while(|argument| *argument != "--");
    own.into_iter().any(|argument| {
        argument.starts_with("-p") || argument.split('=').next() == Some("--package")
    })
}

/// Says what `--skip-servers` left out.
fn print_untested(skipped: &BTreeSet<String>) {
    println!("\nnot tested, because of --skip-servers:");
    println!("  PostgreSQL: anything on a real server, or against psql and pg_dump");
    println!("  Snowflake: the emulator snowduck (the double of its SQL API is tested)");
    println!("  Trino: anything on a real server, or against its command line and Python client");
    println!("  MariaDB, MySQL: anything on a real server, or against mariadb and mariadb-dump");
    if !skipped.is_empty() {
        println!("skipped tests: {}\n{}", skipped.len(), list(skipped));
    }
}

/// One indented line for each name.
fn list(names: &BTreeSet<String>) -> String {
    names.iter().map(|name| format!("  {name}")).collect::<Vec<_>>().join("\n")
}

/// The list that tests write themselves into when they are skipped.
struct SkippedTests {
    file: PathBuf,
}

impl SkippedTests {
    /// An empty list.
    fn start(workspace: &Workspace) -> Result<Self> {
        let file = workspace.target().join("skipped-tests.txt");
        let cannot = |e| Error::io(format!("cannot write {}", file.display()), e);
        fs::write(&file, "").map_err(cannot)?;
        Ok(Self { file })
    }

    /// The names on the list.
    fn names(&self) -> BTreeSet<String> {
        let text = fs::read_to_string(&self.file).unwrap_or_default();
        text.lines().map(str::trim).filter(|l| !l.is_empty()).map(String::from).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::chooses_packages;

    #[test]
    fn only_arguments_for_cargo_itself_choose_packages() {
        let chooses = |line: &str| {
            chooses_packages(&line.split_whitespace().map(String::from).collect::<Vec<_>>())
        };
        assert!(chooses("-p sql-batcher"));
        assert!(chooses("--package=sql-batcher --lib"));
        assert!(!chooses("--test cli -- -p"));
        assert!(!chooses(""));
    }
}
