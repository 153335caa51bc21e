//! A Python with the peers that are written in it, in a folder of its own under the target folder.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use xtask::announce;
use xtask::error::{Error, Result};
use xtask::process;

use crate::workspace::Workspace;

use super::options::Peers;

/// The variable with a Python that has the peers: then none is made.
pub(super) const PYTHON: &str = "SQL_BATCHER_BENCH_PYTHON";

/// What is installed, from the root of the workspace.
const REQUIREMENTS: &str = "benches/peers/requirements.txt";

/// The Python that has the peers; none where it is not wanted, or cannot be had and need not be.
///
/// # Errors
///
/// Where it is required and cannot be had.
pub(super) fn python(workspace: &Workspace, peers: Peers) -> Result<Option<PathBuf>> {
    if peers == Peers::LeftOut {
        return Ok(None);
    }
    if let Some(given) = env::var_os(PYTHON).filter(|given| !given.is_empty()) {
        return Ok(Some(given.into()));
    }
    let folder = workspace.target().join("bench-peers");
    match (install(&workspace.root.join(REQUIREMENTS), &folder), peers) {
        (Ok(python), _) => Ok(Some(python)),
        (Err(error), Peers::Required) => Err(error),
        (Err(error), _) => {
            announce(&format!("the peers in Python are left out: {error}"));
            Ok(None)
        }
    }
}

/// Makes the folder, unless it has been made with the same requirements before.
fn install(requirements: &Path, folder: &Path) -> Result<PathBuf> {
    let python = match cfg!(windows) {
        true => folder.join("Scripts/python.exe"),
        false => folder.join("bin/python"),
    };
    let cannot = |path: &Path, e| Error::io(format!("cannot use {}", path.display()), e);
    let wanted = fs::read_to_string(requirements).map_err(|e| cannot(requirements, e))?;
    let stamp = folder.join("requirements.txt");
    if fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) && python.is_file() {
        return Ok(python);
    }
    announce("installing the peers in Python");
    let mut make = Command::new("python3");
    process::output(make.args(["-m", "venv", "--clear"]).arg(folder))?;
    let mut pip = Command::new(&python);
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]);
    pip.args(["--retries", "1", "--timeout", "15", "--requirement"]).arg(requirements);
    process::output(&mut pip)?;
    fs::write(&stamp, wanted).map_err(|e| cannot(&stamp, e))?;
    Ok(python)
}
