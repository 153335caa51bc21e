//! Where things are: the workspace, its target folder, and the programs that cargo builds there.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use xtask::announce;
use xtask::error::{Error, Result};
use xtask::process;

use crate::toolchain;

/// The workspace that this xtask belongs to.
#[derive(Debug)]
pub(crate) struct Workspace {
    /// The folder of the workspace's `Cargo.toml`.
    pub(crate) root: PathBuf,
    /// The folder of the profile in which this program was built, such as `target/debug`. What is
    /// built with the same profile lies beside it, wherever the target folder was moved to.
    profile_folder: PathBuf,
}

impl Workspace {
    /// Finds the workspace of the running program.
    ///
    /// # Errors
    ///
    /// If the program was not started where cargo built it.
    pub(crate) fn find() -> Result<Self> {
        let package = env::var_os("CARGO_MANIFEST_DIR")
            .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
        let program = env::current_exe().map_err(|e| Error::io("cannot find myself", e))?;
        match (package.parent(), program.parent()) {
            (Some(root), Some(folder)) => {
                Ok(Self { root: root.to_path_buf(), profile_folder: folder.to_path_buf() })
            }
            _ => Err(Error::new("xtask must be started as `cargo xtask`, inside the workspace")),
        }
    }

    /// The folder for what is built.
    pub(crate) fn target(&self) -> &Path {
        self.profile_folder.parent().unwrap_or(&self.profile_folder)
    }

    /// A program or an example (`examples/query`) of the same profile as this one.
    pub(crate) fn program(&self, name: &str) -> PathBuf {
        self.profile_folder.join(format!("{name}{}", env::consts::EXE_SUFFIX))
    }

    /// The program `name` of another profile, whose folder is this.
    pub(crate) fn program_of(&self, profile_folder: &str, name: &str) -> PathBuf {
        self.target().join(profile_folder).join(format!("{name}{}", env::consts::EXE_SUFFIX))
    }

    /// `cargo ARGUMENTS` in the workspace, as if it had been started by hand: without the
    /// variables by which the outer cargo told this program about itself.
    pub(crate) fn cargo(&self, arguments: &[&str]) -> Command {
        let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo.args(arguments).current_dir(&self.root);
        for (name, _) in env::vars_os() {
            let text = name.to_string_lossy();
            if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
                cargo.env_remove(&name);
            }
        }
        // Their paths are relative to the folder in which the outer cargo was started.
        for name in ["CARGO_TARGET_DIR", toolchain::READY_MADE] {
            let path = env::var_os(name).and_then(|path| std::path::absolute(path).ok());
            cargo.envs(path.map(|path| (name, path)));
        }
        cargo
    }

    /// Builds what the demo and the tests run: the program `sql-batcher` and the example `query`.
    ///
    /// They are built for the whole workspace, so that the dependencies have the features that
    /// `cargo test --workspace` gives them, and nothing is built twice.
    ///
    /// # Errors
    ///
    /// If the build fails; cargo has said why.
    pub(crate) fn build(&self) -> Result<()> {
        announce("building sql-batcher (the first time takes some minutes)");
        let arguments = ["build", "--workspace", "--bin", "sql-batcher", "--example", "query"];
        process::run(&mut self.cargo(&arguments))
    }
}
