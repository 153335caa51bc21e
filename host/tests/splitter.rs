//! The splitter, and the sandbox that it shares with the batcher.

use std::time::Duration;

use sql_batcher::{
    CORE_COMPONENT, Core, Dialect, ErrorKind, Fault, Options, SandboxLimits, Splitter,
};

fn statements(batches: &[sql_batcher::Batch]) -> Vec<String> {
    let statement = |batch: &sql_batcher::Batch, index| {
        String::from_utf8_lossy(&batch.statement(index).unwrap_or_default()).into_owned()
    };
    batches
        .iter()
        .flat_map(|batch| (0..batch.statements()).map(move |index| statement(batch, index)))
        .collect()
}

#[test]
fn batches_keep_their_limit_and_lose_nothing() {
    let mut splitter = Splitter::new(Options::default().max_bytes(64)).unwrap();
    splitter.begin_input("a.sql").unwrap();
    let script: String = (0..50).map(|number| format!("SELECT {number};\n")).collect();
    let mut batches = splitter.push(script.as_bytes()).unwrap();
    let (rest, report) = splitter.finish().unwrap();
    batches.extend(rest);
    assert!(batches.iter().all(|batch| batch.sent().len() <= 64));
    let expected: Vec<String> = (0..50).map(|number| format!("SELECT {number}")).collect();
    assert_eq!(statements(&batches), expected);
    assert_eq!((report.statements, report.applied, report.not_reached), (50, 0, 50));
    assert_eq!(report.read_bytes, script.len() as u64);
}

#[test]
fn positions_are_those_of_the_file_that_a_statement_is_in() {
    let mut splitter = Splitter::new(Options::default().dialect(Dialect::PostgreSql)).unwrap();
    splitter.begin_input("a.sql").unwrap();
    splitter.push(b"SELECT 1;\n").unwrap();
    splitter.begin_input("b.sql").unwrap();
    splitter.push(b"\n  SELECT 2").unwrap();
    splitter.end().unwrap();
    let batches = splitter.take_batches();
    let position = splitter.position(&batches[0], 1).unwrap();
    assert_eq!(position.to_string(), "b.sql:2:3");
    assert_eq!((position.offset, position.total_offset), (3, 13));
    assert!(splitter.position(&batches[0], 2).is_none());
}

#[test]
fn what_is_complete_before_an_error_is_still_to_be_had() {
    let mut splitter = Splitter::new(Options::default()).unwrap();
    splitter.begin_input("a.sql").unwrap();
    splitter.push(b"SELECT 1;\nSELECT 'open").unwrap();
    let error = splitter.end().unwrap_err();
    assert_eq!((error.kind(), error.fault()), (ErrorKind::InvalidQuery, Fault::Input));
    assert!(error.to_string().starts_with("a.sql:2:"), "{error}");
    assert_eq!(statements(&splitter.take_batches()), ["SELECT 1"]);
    let again = splitter.push(b"SELECT 2;").unwrap_err();
    assert_eq!(again.to_string(), error.to_string());
}

#[test]
fn a_sandbox_without_enough_memory_fails_as_the_sandbox_and_harms_no_other() {
    let limits = SandboxLimits { memory_bytes: Some(2 << 20), ..SandboxLimits::default() };
    let mut small = Splitter::new(Options::default().sandbox(limits)).unwrap();
    let mut other = Splitter::new(Options::default()).unwrap();
    let endless = vec![b'x'; 1 << 20];
    let error = (0..16).find_map(|_| small.push(&endless).err()).unwrap();
    assert_eq!((error.kind(), error.fault()), (ErrorKind::Sandbox, Fault::Engine));
    assert!(error.to_string().contains("exceeds the limit of 2097152"), "{error}");
    assert!(error.report().is_some());
    assert_eq!(small.push(b";").unwrap_err().kind(), ErrorKind::Sandbox);

    other.push(b"SELECT 1").unwrap();
    assert_eq!(other.finish().unwrap().1.statements, 1);
}

#[test]
fn a_statement_of_the_largest_size_fits_into_the_default_memory() {
    let options = Options::default().max_bytes(32 << 20).max_statement_bytes(32 << 20);
    let mut splitter = Splitter::new(options).unwrap();
    let text = format!("SELECT '{}'", "x".repeat((32 << 20) - 100));
    splitter.push(text.as_bytes()).unwrap();
    let (batches, _) = splitter.finish().unwrap();
    assert_eq!(batches.len(), 1);
    assert_eq!(batches[0].statement(0).unwrap().len(), text.len());
}

#[test]
fn a_short_call_timeout_leaves_short_calls_alone() {
    let limits =
        SandboxLimits { call_timeout: Duration::from_millis(10), ..SandboxLimits::default() };
    let mut splitter = Splitter::new(Options::default().sandbox(limits)).unwrap();
    splitter.push(b"SELECT 1;").unwrap();
    std::thread::sleep(Duration::from_millis(50));
    splitter.push(b"SELECT 2;").unwrap();
    assert_eq!(splitter.finish().unwrap().1.statements, 2);
}

#[test]
fn what_is_no_component_is_refused() {
    let error = Core::compile(b"\0asm nonsense").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Sandbox);
    assert!(error.to_string().starts_with("the component cannot be used: "), "{error}");
    assert!(Core::compile(CORE_COMPONENT).is_ok());
}
