//! `cargo xtask demo`: the main job on an example, from nothing to an answer out of the database.

use std::fs::{self, File};
use std::process::Command;

use xtask::announce;
use xtask::error::{Error, Result};
use xtask::process;

use crate::toolchain;
use crate::workspace::Workspace;

/// The script that is loaded, from the root of the workspace.
const SCRIPT: &str = "examples/demo.sql";
/// What the database is asked afterwards.
const QUESTION: &str = "SELECT * FROM best_customers";

/// Builds sql-batcher, loads the script into a fresh SQLite file, and asks it a question.
///
/// # Errors
///
/// If one of these steps fails.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    toolchain::ensure_wasm_target()?;
    workspace.build()?;
    let url = fresh_database(workspace)?;

    announce(&format!("sql-batcher run --database {url} {SCRIPT}"));
    let mut load = Command::new(workspace.program("sql-batcher"));
    load.args(["run", "--database", &url, SCRIPT]).current_dir(&workspace.root);
    process::run(&mut load)?;

    announce(&format!("{QUESTION};"));
    let mut ask = Command::new(workspace.program("examples/query"));
    ask.args([&url, QUESTION]).current_dir(&workspace.root);
    process::run(&mut ask)
}

/// Makes an empty database file, `demo/demo.db` in the target folder, and gives its URL.
fn fresh_database(workspace: &Workspace) -> Result<String> {
    let folder = workspace.target().join("demo");
    let file = folder.join("demo.db");
    let cannot = |e| Error::io(format!("cannot make {}", file.display()), e);
    if folder.exists() {
        // With what an interrupted run may have left beside the file.
        fs::remove_dir_all(&folder).map_err(cannot)?;
    }
    fs::create_dir_all(&folder).map_err(cannot)?;
    File::create(&file).map_err(cannot)?;
    let shown = file.strip_prefix(&workspace.root).unwrap_or(&file);
    Ok(format!("sqlite://{}", shown.display().to_string().replace('\\', "/")))
}
