//! What is refused before any of it runs.

use std::borrow::Cow;

use sql_batcher::{
    ErrorKind,
    hooks::{HookLimits, SandboxedHook},
};
use sql_batcher_tests::hooks::{Parts, component_of, contract};
use wasm_encoder::{
    Component, ComponentImportSection, ComponentTypeRef, ComponentTypeSection, CustomSection,
    InstanceType, NestedComponentSection,
};

use super::{Beside, within_limits};

/// A component that imports empty interfaces of these names.
fn importing(names: impl IntoIterator<Item = String>) -> Vec<u8> {
    let mut types = ComponentTypeSection::new();
    types.instance(&InstanceType::new());
    let mut imports = ComponentImportSection::new();
    for name in names {
        imports.import(name.as_str(), ComponentTypeRef::Instance(0));
    }
    let mut component = Component::new();
    component.section(&types).section(&imports);
    component.finish()
}

/// A component with so many bytes that mean nothing.
fn padded(bytes: usize) -> Vec<u8> {
    let mut component = Component::new();
    let data = Cow::Owned(vec![0; bytes]);
    component.section(&CustomSection { name: Cow::Borrowed("padding"), data });
    component.finish()
}

/// Components inside one another.
fn nested(depth: usize) -> Vec<u8> {
    let mut inner = Component::new();
    for _ in 0..depth {
        let mut outer = Component::new();
        outer.section(&NestedComponentSection(&inner));
        inner = outer;
    }
    inner.finish()
}

/// Components beside one another.
fn many_components(count: usize) -> Vec<u8> {
    let empty = Component::new();
    let mut outer = Component::new();
    for _ in 0..count {
        outer.section(&NestedComponentSection(&empty));
    }
    outer.finish()
}

fn cut_off() -> Vec<u8> {
    let mut whole = Parts::default().component();
    whole.truncate(whole.len() / 2);
    whole
}

/// A hook of a contract that differs from ours in one place.
fn of_contract(from: &str, to: &str) -> Vec<u8> {
    let other = contract(|contract| {
        assert!(contract.contains(from));
        contract.replace(from, to)
    });
    component_of(Parts::default().module(), &other)
}

/// A hook of the next version of the contract.
fn of_next_version() -> Vec<u8> {
    let (ours, next) = ("core@0.1.0;", "core@0.2.0;");
    let contract = contract(|contract| contract.replace(ours, next));
    component_of(renamed("@0.1.0", "@0.2.0"), &contract)
}

/// The module with other names, of the same length, for its exports.
fn renamed(from: &str, to: &str) -> Vec<u8> {
    let mut module = Parts::default().module();
    for at in 0..module.len() {
        if module[at..].starts_with(from.as_bytes()) {
            module[at..at + to.len()].copy_from_slice(to.as_bytes());
        }
    }
    module
}

fn with_threads() -> Vec<u8> {
    Parts {
        memory: "(memory (export \"memory\") 4) (memory $shared 1 1 shared)",
        pre: "(drop (memory.atomic.wait32 $shared (i32.const 0) (i32.const 0) (i64.const -1)))
              (i32.const 1024)",
        ..Parts::default()
    }
    .component()
}

/// What is refused, and what the refusal says.
fn cases() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let wasi = "wasi:filesystem/types@0.2.0";
    let foreign = |names: &[&str]| importing(names.iter().map(|name| (*name).to_owned()));
    vec![
        ("nothing", Vec::new(), "not a WebAssembly component"),
        ("noise", b"\x7fELF and more of it".to_vec(), "not a WebAssembly component"),
        ("text", b"(component)".to_vec(), "not a WebAssembly component"),
        ("a core module", Parts::default().module(), "it is a core module"),
        ("cut off", cut_off(), "not a WebAssembly component"),
        ("an empty component", Component::new().finish(), "does not fit the world hook"),
        ("50 MB", padded(50_000_000), "exceeds the limit of 16777216"),
        ("a foreign import", foreign(&["evil:net/sockets"]), "asks for evil:net/sockets; a hook"),
        ("a WASI import", foreign(&[wasi]), "asks for wasi:filesystem/types@0.2.0; a hook"),
        (
            "imports of the batcher's world",
            foreign(&["sql-batcher:core/database@0.1.0", "sql-batcher:core/telemetry@0.1.0"]),
            "asks for sql-batcher:core/database@0.1.0, sql-batcher:core/telemetry@0.1.0; a hook",
        ),
        (
            "10,000 imports",
            importing((0..10_000).map(|number| format!("evil:net/i{number}"))),
            "asks for evil:net/i0, evil:net/i1, evil:net/i2 and 9997 others",
        ),
        (
            "a version that is to come",
            of_next_version(),
            "asks for sql-batcher:core/types@0.2.0; a hook is given nothing",
        ),
        (
            "another signature",
            of_contract(
                "configure: func(text: string) -> result<_, string>;",
                "configure: func(text: list<u8>) -> result<_, string>;",
            ),
            "does not fit the world hook",
        ),
        ("10,000 components inside one another", nested(10_000), "hook"),
        ("100,000 components", many_components(100_000), "hook"),
        ("threads", with_threads(), "cannot be used"),
    ]
}

#[tokio::test]
async fn what_is_no_hook_is_refused_before_any_of_it_runs() {
    let beside = Beside::begin().await;
    for (name, component, expected) in cases() {
        let compiled =
            within_limits(name, || SandboxedHook::compile(&component, HookLimits::default()));
        let error = compiled.expect_err(name);
        assert_eq!(error.kind(), ErrorKind::InvalidOptions, "{name}: {error}");
        assert!(error.to_string().contains(expected), "{name}: {error}");
        assert!(error.to_string().len() < 500, "{name}: {error}");
        assert!(!error.to_string().contains('\n'), "{name}: {error}");
    }
    beside.end().await;
}

#[cfg(unix)]
#[test]
fn a_file_without_an_end_is_read_no_farther_than_the_limit() {
    let error = SandboxedHook::open("/dev/zero", HookLimits::default()).unwrap_err();
    let expected = "/dev/zero: a hook of 16777217 bytes exceeds the limit of 16777216";
    assert_eq!(error.to_string(), expected);
}

#[test]
fn a_file_that_is_too_large_is_not_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("large.wasm");
    std::fs::File::create(&path).unwrap().set_len(1 << 40).unwrap();
    let error = SandboxedHook::open(&path, HookLimits::default()).unwrap_err();
    let expected = "large.wasm: a hook of 1099511627776 bytes exceeds the limit of 16777216";
    assert!(error.to_string().ends_with(expected), "{error}");
}
