//! `cargo xtask bench`: the benchmarks, with the servers that they need.
//!
//! The servers are the same as for the tests: they do not wait for the disk, so their figures are
//! good for ratios within one run and for nothing else.

use std::process::ExitCode;

use xtask::announce;
use xtask::error::Result;
use xtask::process;
use xtask::servers::Servers;

use crate::arguments::CargoOptions;
use crate::test;
use crate::toolchain;
use crate::workspace::Workspace;

/// Builds the program for release, starts the servers, runs `cargo bench`, stops the servers.
///
/// # Errors
///
/// If a server cannot be had, or the build fails.
pub(crate) fn run(workspace: &Workspace, options: &CargoOptions) -> Result<ExitCode> {
    toolchain::ensure_wasm_target()?;
    let servers = if options.skip_servers { None } else { Some(Servers::start()?) };

    let packages = ["--package", "sql-batcher", "--package", "sql-batcher-benches"];
    let mut build = workspace.cargo(&["build", "--release", "--bin", "sql-batcher"]);
    process::run(build.args(packages))?;

    let mut cargo = workspace.cargo(&["bench", "--package", "sql-batcher-benches"]);
    cargo.args(&options.cargo_arguments);
    cargo.env(test::PROGRAM, workspace.release_program("sql-batcher"));
    test::point_to_servers(&mut cargo, servers.as_ref());
    announce("cargo bench");
    process::status(&mut cargo).map(test::exit_code)
}
