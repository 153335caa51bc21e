//! The one thing that a Rust installation may lack: the target that the component is built for.

use std::env;
use std::path::Path;
use std::process::Command;

use xtask::announce;
use xtask::error::{Error, Result};
use xtask::process;

/// The target of the component.
const TARGET: &str = "wasm32-unknown-unknown";
/// A ready-made component, for those who cannot build it.
pub(crate) const READY_MADE: &str = "SQL_BATCHER_CORE_COMPONENT";

/// Adds the wasm target if it is missing, unless a ready-made component is to be used.
///
/// # Errors
///
/// If the target is missing and rustup is, too, or cannot add it.
pub(crate) fn ensure_wasm_target() -> Result<()> {
    if let Some(component) = env::var_os(READY_MADE).filter(|path| !path.is_empty()) {
        let path = Path::new(&component);
        if path.is_file() {
            return Ok(());
        }
        return Err(Error::new(format!("{READY_MADE} names no file: {}", path.display())));
    }
    if is_installed()? {
        return Ok(());
    }
    announce(&format!("rustup target add {TARGET}"));
    let added = process::run(Command::new("rustup").args(["target", "add", TARGET]));
    let reason = match added {
        Ok(()) if is_installed()? => return Ok(()),
        Ok(()) => "rustup added it, but not to the toolchain in use".to_string(),
        Err(error) => error.to_string(),
    };
    Err(Error::new(format!(
        "the Rust target {TARGET} is missing, and could not be added: {reason}\n  \
         add it:         rustup target add {TARGET}\n  \
         or without it:  {READY_MADE}=path/to/sql_batcher_core_component.wasm cargo xtask …"
    )))
}

/// Whether the Rust compiler in use has the target's standard library.
fn is_installed() -> Result<bool> {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let folder = process::output(Command::new(rustc).args([
        "--print",
        "target-libdir",
        "--target",
        TARGET,
    ]))?;
    Ok(Path::new(folder.trim()).is_dir())
}
