//! Hooks as components, made for tests: from the text of a few functions, or from what is in
//! `examples/hooks/`.
#![expect(clippy::unwrap_used, reason = "a test ends where something of its own fails")]

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

use crate::servers::{may_skip, note_skipped};

/// The variable with the folder of Node's programs.
const NODE: &str = "SQL_BATCHER_TEST_NODE_BIN";
const CONTRACT: &str = include_str!("../../wit/sql-batcher.wit");
/// Settings of the outer build that are not those of a component.
const NOT_INHERITED: [&str; 7] = [
    "RUSTFLAGS",
    "CARGO_ENCODED_RUSTFLAGS",
    "RUSTC_WRAPPER",
    "RUSTC_WORKSPACE_WRAPPER",
    "CARGO_TARGET_DIR",
    "CARGO_BUILD_TARGET",
    "LLVM_PROFILE_FILE",
];

/// A hook in the text format, function by function. What is not said does what it should: it
/// configures itself and lets everything pass.
///
/// The functions are those of the canonical ABI
/// (<https://github.com/WebAssembly/component-model/blob/main/design/mvp/CanonicalABI.md>): each
/// gives the address of its result. Where memory is zero, at [`FINE`], that is `ok` and `proceed`.
#[derive(Clone, Copy, Debug)]
pub struct Parts {
    /// Body of `configure`; parameters `$text` and `$length`.
    pub configure: &'static str,
    /// Body of `pre-batch`; parameter `$batch`.
    pub pre: &'static str,
    /// Body of `post-batch`; parameters 0 to 14.
    pub post: &'static str,
    /// Body of `cabi_realloc`; parameters `$old`, `$old_size`, `$align` and `$size`.
    pub realloc: &'static str,
    /// The memory.
    pub memory: &'static str,
    /// Further items of the module.
    pub more: &'static str,
}

/// What gives [`FINE`].
const FINE_TEXT: &str = "(i32.const 1024)";
/// An address where memory is zero.
pub const FINE: u32 = 1024;

impl Default for Parts {
    fn default() -> Self {
        Self {
            configure: FINE_TEXT,
            pre: "(global.set $heap (i32.const 8192)) (i32.const 1024)",
            post: "(global.set $heap (i32.const 8192)) (i32.const 1024)",
            realloc: "(local $at i32)
                (local.set $at (i32.and
                    (i32.add (global.get $heap) (i32.sub (local.get $align) (i32.const 1)))
                    (i32.sub (i32.const 0) (local.get $align))))
                (global.set $heap (i32.add (local.get $at) (local.get $size)))
                (local.get $at)",
            memory: "(memory (export \"memory\") 4)",
            more: "",
        }
    }
}

impl Parts {
    /// The core module of the hook.
    pub fn module(&self) -> Vec<u8> {
        let Self { configure, pre, post, realloc, memory, more } = self;
        let name = "sql-batcher:core/handler@0.1.0#";
        let text = format!(
            "(module {memory} (global $heap (mut i32) (i32.const 8192))
             (func (export \"{name}configure\") (param $text i32) (param $length i32) (result i32)
                {configure})
             (func (export \"{name}pre-batch\") (param $batch i32) (result i32) {pre})
             (func (export \"{name}post-batch\")
                (param i64 i64 i32 i64 i32 i32 i32 i32 i32 i64 i32 i32 i32 i32 i32) (result i32)
                {post})
             (func (export \"cabi_realloc\")
                (param $old i32) (param $old_size i32) (param $align i32) (param $size i32)
                (result i32) {realloc})
             {more})"
        );
        wat::parse_str(text).unwrap()
    }

    /// The hook as a component of the world `hook`.
    pub fn component(&self) -> Vec<u8> {
        component_of(self.module(), CONTRACT)
    }
}

/// A core module as a component of the world `hook` of a contract.
pub fn component_of(mut module: Vec<u8>, contract: &str) -> Vec<u8> {
    let mut resolve = Resolve::default();
    let package = resolve.push_str("contract.wit", contract).unwrap();
    let world = resolve.select_world(&[package], Some("hook")).unwrap();
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).unwrap();
    ComponentEncoder::default().validate(false).module(&module).unwrap().encode().unwrap()
}

/// The contract, changed by a test.
pub fn contract(change: impl FnOnce(&str) -> String) -> String {
    change(CONTRACT)
}

/// The folder of the workspace.
pub fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Builds a crate of `examples/hooks/` and gives the path of its component. All share a target
/// folder, so that only the first build in a checkout takes long. `profile`: `component` for members
/// of the workspace, `release` for what stands by itself.
pub fn built(folder: &str, profile: &str) -> PathBuf {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo
        .current_dir(example(folder))
        .args(["build", "--locked", "--target", "wasm32-unknown-unknown", "--profile", profile])
        .args(["--message-format", "json-render-diagnostics", "--target-dir"])
        .arg(workspace().join("target/hooks"));
    NOT_INHERITED.iter().for_each(|name| {
        cargo.env_remove(name);
    });
    let said = output(&mut cargo);
    let component = said.lines().rev().find_map(|line| {
        let message: serde_json::Value = serde_json::from_str(line).ok()?;
        let files = message["filenames"].as_array()?;
        let paths = files.iter().filter_map(|file| file.as_str().map(PathBuf::from));
        paths.into_iter().find(|path| path.extension().is_some_and(|ending| ending == "wasm"))
    });
    component.unwrap()
}

/// Builds `examples/hooks/template-js` with npm, which fetches what its lock file names unless that
/// is there, and gives the path of its component. None where the test is to be skipped.
///
/// # Panics
/// If npm is missing or fails.
pub fn built_with_npm() -> Option<PathBuf> {
    let Some(programs) = env::var_os(NODE).map(PathBuf::from) else {
        assert!(may_skip(), "set {NODE} to the folder of node and npm");
        note_skipped("no npm");
        return None;
    };
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = [programs.clone()].into_iter().chain(env::split_paths(&path));
    let path = env::join_paths(folders).unwrap();
    let folder = example("template-js");
    let npm = |arguments: &[&str]| {
        let mut npm = Command::new(programs.join("npm"));
        output(npm.current_dir(&folder).env("PATH", &path).args(arguments))
    };
    let changed = |name: &str| fs::metadata(folder.join(name)).and_then(|file| file.modified());
    let installed = changed("node_modules/.package-lock.json");
    if !installed.is_ok_and(|installed| installed > changed("package-lock.json").unwrap()) {
        npm(&["ci", "--no-audit", "--no-fund"]);
    }
    npm(&["run", "build"]);
    Some(folder.join("hook.wasm"))
}

fn example(folder: &str) -> PathBuf {
    workspace().join("examples/hooks").join(folder)
}

/// What a command writes to standard output.
fn output(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {said}");
    String::from_utf8(output.stdout).unwrap()
}
