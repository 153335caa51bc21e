//! Invariants 7 and 9: what the component asks for, and what its failures can harm.

use std::time::Duration;

use sql_batcher::adapters::Scripted;
use sql_batcher::{
    Batcher, CORE_COMPONENT, Core, Dialect, ErrorKind, Fault, Options, SandboxLimits, Splitter,
};
use wasmparser::{Parser, Payload};

/// The names that a component imports and exports, one a line.
fn interface(component: &[u8]) -> String {
    let mut lines = String::new();
    let mut depth = 0_u32;
    for payload in Parser::new(0).parse_all(component) {
        match payload.expect("the component is valid") {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ComponentImportSection(imports) if depth == 0 => {
                for import in imports {
                    lines += &format!("import {}\n", import.expect("valid").name.name);
                }
            }
            Payload::ComponentExportSection(exports) if depth == 0 => {
                for export in exports {
                    lines += &format!("export {}\n", export.expect("valid").name.name);
                }
            }
            _ => {}
        }
    }
    lines
}

#[test]
fn invariant_7_the_component_imports_exactly_the_interfaces_of_the_contract() {
    let found = interface(CORE_COMPONENT);
    assert_eq!(found, include_str!("../cases/component/interface.txt"));
}

fn splitter(sandbox: SandboxLimits) -> Splitter {
    let options = Options::default()
        .dialect(Dialect::Generic)
        .max_statement_bytes(256 << 20)
        .max_statements(1)
        .sandbox(sandbox);
    Splitter::new(options).expect("the options are valid")
}

/// Runs a session out of its limits, with another one beside it.
fn harm(sandbox: SandboxLimits, script: &[u8]) -> sql_batcher::Error {
    let mut beside = splitter(SandboxLimits::default());
    beside.push(b"SELECT 1; SELECT ").expect("the session is sound");
    let mut harmed = splitter(sandbox);
    let error = harmed.push(script).expect_err("the limit is reached");
    let again = harmed.push(b"SELECT 1;").expect_err("the session is gone");
    assert_eq!(again.kind(), ErrorKind::Sandbox);
    let batches = beside.push(b"2;").expect("the session beside it is unharmed");
    assert_eq!(batches[0].sent(), b"SELECT 2;");
    let (_, report) = beside.finish().expect("the session beside it is unharmed");
    assert_eq!(report.statements, 2);
    error
}

#[test]
fn invariant_9_a_trap_for_memory_is_no_database_error_and_harms_no_other_session() {
    let sandbox = SandboxLimits { memory_bytes: Some(4 << 20), ..SandboxLimits::default() };
    let error = harm(sandbox, &[b"SELECT '".as_slice(), &vec![b'x'; 32 << 20]].concat());
    assert_eq!((error.kind(), error.fault()), (ErrorKind::Sandbox, Fault::Engine));
}

#[test]
fn invariant_9_a_trap_for_time_is_no_database_error_and_harms_no_other_session() {
    let sandbox =
        SandboxLimits { call_timeout: Duration::from_millis(10), ..SandboxLimits::default() };
    // A batch for every two bytes: one call hands out 131072 of them.
    let error = harm(sandbox, &b"a;".repeat(128 << 10));
    assert_eq!((error.kind(), error.fault()), (ErrorKind::Sandbox, Fault::Engine));
}

#[tokio::test]
async fn invariant_9_a_run_whose_sandbox_is_gone_says_so_and_applies_nothing_further() {
    let database = Scripted::new();
    let sandbox = SandboxLimits { memory_bytes: Some(2 << 20), ..SandboxLimits::default() };
    let options = Options::default().max_statement_bytes(256 << 20).sandbox(sandbox);
    let mut batcher =
        Batcher::builder(database.clone()).options(options).build().await.expect("it opens");
    let open = [b"INSERT INTO t VALUES ('".as_slice(), &vec![b'x'; 16 << 20]].concat();
    let pushed = batcher.push(&open).await;
    let error = match pushed {
        Err(error) => error,
        Ok(()) => batcher.finish().await.expect_err("the limit is reached"),
    };
    assert_eq!(error.kind(), ErrorKind::Sandbox);
    assert!(database.applied().is_empty());
}

#[test]
fn a_component_that_is_none_is_refused_by_name() {
    let Err(error) = Core::compile(b"\0asm\x01\0\0\0") else { panic!("a core module was taken") };
    assert_eq!(error.kind(), ErrorKind::Sandbox);
}
