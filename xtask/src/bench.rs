//! `cargo xtask bench`: the benchmarks, with the servers and the peers that they need, and one table
//! of all that they found.
//!
//! The servers are the same as for the tests: they do not wait for the disk, so their figures are
//! good for ratios within one run and for nothing else.

pub(crate) mod options;
mod peers;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use xtask::announce;
use xtask::error::{Error, Result};
use xtask::process;
use xtask::servers::Servers;

use crate::test;
use crate::toolchain;
use crate::workspace::Workspace;

use options::BenchOptions;

/// The benchmark that needs a server of its own.
const TRINO: &str = "trino";
/// The program that makes one table of all.
const COLLECTOR: &str = "bench-results";
/// Where in the folder of the results the benchmarks leave their own.
const PARTS: &str = "parts";

/// Builds the program, starts the servers, runs the benchmarks, stops the servers, and makes the
/// table. Also where a benchmark fails: the exit code is then that of cargo.
///
/// # Errors
///
/// If a server cannot be had, the build fails, or the results cannot be written.
pub(crate) fn run(workspace: &Workspace, options: &BenchOptions) -> Result<ExitCode> {
    toolchain::ensure_wasm_target()?;
    let python = peers::python(workspace, options.peers)?;
    build(workspace, options)?;
    let servers = match options.skip_servers {
        true => None,
        false if options.names().contains(&TRINO) => {
            Some(Servers::start()?.with_trino(workspace.target(), false)?)
        }
        false => Some(Servers::start()?),
    };
    let out = empty_folder(workspace, options)?;

    let mut cargo = workspace.cargo(&["bench", "--workspace", "--no-fail-fast"]);
    if options.profile != "release" {
        cargo.args(["--profile", &options.profile]);
    }
    cargo.args(options.names().into_iter().flat_map(|name| ["--bench", name]));
    cargo.args(&options.cargo_arguments);
    tell(&mut cargo, workspace, options);
    cargo.env("SQL_BATCHER_BENCH_OUT", out.join(PARTS)).env_remove(peers::PYTHON);
    cargo.envs(python.map(|python| (peers::PYTHON, python)));
    test::point_to_servers(&mut cargo, servers.as_ref());
    announce("cargo bench");
    let status = process::status(&mut cargo)?;

    let mut collector = Command::new(workspace.program_of(options.profile_folder(), COLLECTOR));
    process::run(collector.arg(&out).arg(&options.profile).args(options.names()))?;
    Ok(test::exit_code(status))
}

/// Builds the program that is measured, and the one that makes the table: for the whole workspace,
/// so that nothing is built twice.
fn build(workspace: &Workspace, options: &BenchOptions) -> Result<()> {
    announce("building sql-batcher and its benchmarks (the first time takes some minutes)");
    let mut build = workspace.cargo(&["build", "--workspace", "--profile", &options.profile]);
    process::run(build.args(["--bin", "sql-batcher", "--bin", COLLECTOR]))
}

/// Says in the environment of the benchmarks what was said on the command line.
fn tell(cargo: &mut Command, workspace: &Workspace, options: &BenchOptions) {
    let program = workspace.program_of(options.profile_folder(), "sql-batcher");
    cargo.env(test::PROGRAM, program);
    cargo.envs(options.rows.map(|rows| ("SQL_BATCHER_BENCH_ROWS", rows.to_string())));
    let sizes = options.memory_gb.map(|size| format!("100,2000,{}", size * 1000));
    cargo.envs(sizes.map(|sizes| ("SQL_BATCHER_BENCH_MEMORY_MB", sizes)));
}

/// The folder for results, without what an earlier run has left: one table is of one run.
fn empty_folder(workspace: &Workspace, options: &BenchOptions) -> Result<PathBuf> {
    let out = options.out.clone().unwrap_or_else(|| workspace.target().join("bench"));
    let out = std::path::absolute(&out)
        .map_err(|e| Error::io(format!("cannot use {}", out.display()), e))?;
    let parts = out.join(PARTS);
    let cannot = |path: &Path, e| Error::io(format!("cannot use {}", path.display()), e);
    if parts.exists() {
        fs::remove_dir_all(&parts).map_err(|e| cannot(&parts, e))?;
    }
    fs::create_dir_all(&parts).map_err(|e| cannot(&parts, e))?;
    Ok(out)
}
