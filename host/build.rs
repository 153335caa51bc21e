//! Builds the batching component into `OUT_DIR`, so that the host can embed it. A target folder of
//! its own keeps the nested cargo clear of the lock of the outer one, and never stale: cargo itself
//! decides what has to be built again.
//!
//! `SQL_BATCHER_CORE_COMPONENT=path` embeds a ready-made component instead.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, exit},
};

const TARGET: &str = "wasm32-unknown-unknown";
const READY_MADE: &str = "SQL_BATCHER_CORE_COMPONENT";

/// What the component is made of, from the root of the workspace.
const INPUTS: [&str; 8] = [
    "wit",
    "core-component/Cargo.toml",
    "core-component/src",
    "core-component/core/Cargo.toml",
    "core-component/core/src",
    "Cargo.toml",
    "Cargo.lock",
    ".cargo/config.toml",
];

/// Settings of the outer build that must not reach the nested one: flags and wrappers for the
/// host's own code (lints, coverage), and other places to build in.
const NOT_INHERITED: [&str; 11] = [
    "RUSTFLAGS",
    "CARGO_ENCODED_RUSTFLAGS",
    "CARGO_BUILD_RUSTFLAGS",
    "RUSTC_WRAPPER",
    "RUSTC_WORKSPACE_WRAPPER",
    "CARGO_BUILD_RUSTC_WRAPPER",
    "CARGO_BUILD_RUSTC_WORKSPACE_WRAPPER",
    "CARGO_TARGET_DIR",
    "CARGO_BUILD_TARGET_DIR",
    "CARGO_BUILD_TARGET",
    "LLVM_PROFILE_FILE",
];

fn main() {
    if let Err(message) = embed() {
        println!("cargo::error={message}");
        exit(1);
    }
}

fn embed() -> Result<(), String> {
    println!("cargo::rerun-if-env-changed={READY_MADE}");
    let out = PathBuf::from(variable("OUT_DIR")?);
    let component = match env::var_os(READY_MADE) {
        Some(path) => {
            println!("cargo::rerun-if-changed={}", Path::new(&path).display());
            PathBuf::from(path)
        }
        None => build(&out)?,
    };
    let bytes =
        fs::read(&component).map_err(|error| format!("{}: {error}", component.display()))?;
    let embedded = out.join("sql_batcher_core.wasm");
    fs::write(&embedded, bytes).map_err(|error| format!("{}: {error}", embedded.display()))
}

fn build(out: &Path) -> Result<PathBuf, String> {
    let manifest = PathBuf::from(variable("CARGO_MANIFEST_DIR")?);
    let root = manifest.parent().ok_or("the crate is not inside its workspace")?;
    if !root.join("core-component").is_dir() {
        return Err(format!("no core-component beside the crate: set {READY_MADE} to a built one"));
    }
    for input in INPUTS {
        println!("cargo::rerun-if-changed={}", root.join(input).display());
    }
    require_target()?;

    let target_dir = out.join("component");
    let mut cargo = Command::new(variable("CARGO")?);
    cargo
        .current_dir(root)
        .args(["build", "--package", "sql-batcher-core-component"])
        .args(["--target", TARGET, "--profile", "component", "--target-dir"])
        .arg(&target_dir);
    for name in NOT_INHERITED {
        cargo.env_remove(name);
    }
    let status = cargo.status().map_err(|error| format!("cargo could not be started: {error}"))?;
    if !status.success() {
        return Err(format!("the batching component could not be built: {status}"));
    }
    Ok(target_dir.join(TARGET).join("component").join("sql_batcher_core_component.wasm"))
}

/// Fails with the command that helps where the standard library of the target is not installed.
fn require_target() -> Result<(), String> {
    let output = Command::new(variable("RUSTC")?)
        .args(["--print", "target-libdir", "--target", TARGET])
        .output()
        .map_err(|error| format!("rustc could not be started: {error}"))?;
    let folder = String::from_utf8_lossy(&output.stdout);
    if output.status.success() && Path::new(folder.trim()).is_dir() {
        return Ok(());
    }
    Err(format!("the target {TARGET} is not installed; add it with: rustup target add {TARGET}"))
}

fn variable(name: &str) -> Result<String, String> {
    env::var(name).map_err(|error| format!("{name}: {error}"))
}
