//! Installing Debian packages, where that is possible without asking anybody.

use std::path::Path;
use std::process::Command;

use crate::announce;
use crate::error::{Error, Result};
use crate::process;

use super::{is_root, programs};

/// Installs packages without their recommendations.
///
/// # Errors
///
/// If there is no apt, this user may not install anything, or apt fails.
pub(super) fn install(packages: &[&str]) -> Result<()> {
    if programs::folder_with(&["apt-get"], &process::search_path()).is_none() {
        return Err(Error::new("there is no apt-get to install them with"));
    }
    if !is_root() && !may_use_sudo() {
        return Err(Error::new(
            "only root may install them, and sudo is missing or needs a password",
        ));
    }
    announce(&format!("apt-get install {}", packages.join(" ")));
    process::output(&mut apt_get(&["update"]))?;
    let mut install = apt_get(&["install", "--yes", "--no-install-recommends"]);
    process::output(install.args(packages)).map(drop)
}

/// Whether sudo works without a password.
fn may_use_sudo() -> bool {
    process::output(Command::new("sudo").args(["-n", "true"])).is_ok()
}

/// `apt-get` as root, patient with the network and with another apt that runs.
fn apt_get(arguments: &[&str]) -> Command {
    let mut command = if is_root() {
        Command::new("env")
    } else {
        let mut sudo = Command::new("sudo");
        sudo.args(["-n", "env"]);
        sudo
    };
    command.current_dir(Path::new("/"));
    command.args(["DEBIAN_FRONTEND=noninteractive", "apt-get", "--quiet"]);
    command.args(["-o", "Acquire::Retries=3", "-o", "DPkg::Lock::Timeout=300"]);
    command.args(arguments);
    command
}
