//! Hooks on the command line: `--hook`, its policy, and the audit log.
#![expect(clippy::unwrap_used, reason = "a test ends where something of its own fails")]

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

use sql_batcher_tests::{dumps::program, hooks::Parts};

const SCRIPT: &str = "CREATE TABLE t (a);\nINSERT INTO t VALUES ('s3cret');\n";

/// A folder with a script, and hooks that let pass, trap, and want to be configured.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| fs::write(folder.path().join(name), bytes).unwrap();
    write("a.sql", SCRIPT.as_bytes());
    write("passes.wasm", &Parts::default().component());
    write("traps.wasm", &Parts { pre: "(unreachable)", ..Parts::default() }.component());
    let wants = "(if (i32.ne (local.get $length) (i32.const 3)) (then (unreachable)))
        (i32.const 1024)";
    write("wants.wasm", &Parts { configure: wants, ..Parts::default() }.component());
    write("none.wasm", b"none");
    folder
}

fn run(folder: &Path, arguments: &[&str]) -> (i32, String, String) {
    run_in(folder, arguments, &[])
}

fn run_in(folder: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> (i32, String, String) {
    let mut command = Command::new(program());
    command.current_dir(folder).args(["run", "--database", "sqlite://a.db"]).args(arguments);
    // The machine that runs tests is busy.
    command.env("SQL_BATCHER_HOOK_TIMEOUT", "10s");
    command.arg("a.sql").envs(variables.iter().copied());
    let Output { status, stdout, stderr } = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code().unwrap(), text(stdout), text(stderr))
}

#[test]
fn hooks_are_files_with_their_configuration() {
    let folder = folder();
    let path = folder.path();
    let (code, _, err) = run(path, &["--hook", "passes.wasm", "--hook", "wants.wasm=k=v"]);
    assert_eq!((code, err.as_str()), (0, ""));
    let variables = [("SQL_BATCHER_HOOK", "passes.wasm\nwants.wasm=")];
    let (code, _, err) = run_in(path, &[], &variables);
    assert_eq!(code, 2);
    assert!(err.contains("hook \"wants\" cannot be used: it trapped"), "{err}");
}

#[test]
fn a_hook_in_the_configuration_file_is_one_or_a_list() {
    let folder = folder();
    for hooks in ["\"wants.wasm=abc\"", "[\"passes.wasm\", \"wants.wasm=abc\"]"] {
        fs::write(folder.path().join("sql-batcher.toml"), format!("hook = {hooks}")).unwrap();
        let (code, _, err) = run(folder.path(), &["--hook-policy", "abort"]);
        assert!(code == 0 || err.contains("already exists"), "{err}");
        assert!(!err.contains("hook"), "{err}");
    }
}

#[test]
fn what_is_no_hook_is_wrong_usage_and_nothing_is_done() {
    let folder = folder();
    for (hook, expected) in [
        ("none.wasm=s3cret", "cannot use the hook: none.wasm: the hook is not a WebAssembly"),
        ("missing.wasm=s3cret", "cannot use the hook: missing.wasm cannot be read: "),
        ("wants.wasm=s3cret", "hook \"wants\" cannot be used: it trapped: "),
    ] {
        let (code, out, err) = run(folder.path(), &["--hook", hook]);
        assert_eq!((code, out.as_str()), (2, ""), "{hook}");
        assert!(err.contains(expected) && !err.contains("s3cret"), "{err}");
    }
    let (code, _, err) = run(folder.path(), &["--hook", "passes.wasm", "--hook-timeout", "1ms"]);
    assert_eq!(code, 2, "{err}");
    assert!(err.contains("hook-timeout") || err.contains("hook_timeout"), "{err}");
}

#[test]
fn a_hook_that_fails_ends_the_run_or_is_passed_over() {
    let folder = folder();
    let (code, _, err) = run(folder.path(), &["--hook", "traps.wasm"]);
    assert_eq!(code, 1);
    assert!(err.starts_with("error: hook \"traps\" failed: it trapped: "), "{err}");
    let (code, out, err) = run(folder.path(), &["--hook", "traps.wasm", "--hook-policy", "ignore"]);
    assert_eq!((code, err.as_str()), (0, ""));
    assert!(out.contains("note        hook \"traps\" failed and was passed over"), "{out}");
}

#[test]
fn a_dry_run_asks_no_hook_and_says_so() {
    let folder = folder();
    let (code, out, _) = run(folder.path(), &["--dry-run", "--hook", "traps.wasm"]);
    assert_eq!(code, 0);
    assert!(out.contains("dry run: no hook was asked"), "{out}");
}

#[test]
fn the_audit_log_has_a_line_for_each_batch_and_its_text_only_if_that_is_asked_for() {
    let folder = folder();
    let log = folder.path().join("audit.jsonl");
    let (code, _, err) =
        run(folder.path(), &["--max-statements", "1", "--audit-log", "audit.jsonl"]);
    assert_eq!((code, err.as_str()), (0, ""));
    let text = fs::read_to_string(&log).unwrap();
    assert!(!text.contains("s3cret"), "{text}");
    let lines: Vec<serde_json::Value> =
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 2);
    assert_eq!((&lines[1]["input"], &lines[1]["line"]), (&"a.sql".into(), &2.into()));
    assert_eq!(
        (&lines[1]["outcome"], &lines[1]["kinds"]["insert"]),
        (&"applied".into(), &1.into())
    );

    // The table exists: the batch fails, and the log says so behind what it has already.
    let arguments = ["--audit-log", "audit.jsonl", "--audit-sql"];
    assert_eq!(run(folder.path(), &arguments).0, 1);
    let text = fs::read_to_string(&log).unwrap();
    let last: serde_json::Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    assert_eq!((text.lines().count(), &last["outcome"]), (3, &"failed".into()));
    assert!(last["sql"].as_str().unwrap().contains("s3cret"));

    let (code, _, err) = run(folder.path(), &["--audit-sql"]);
    assert_eq!((code, err.trim_end()), (2, "error: audit-sql needs audit-log, a file"));
}
