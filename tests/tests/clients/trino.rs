//! Trino's command line: what its own splitter finds in a script. It parses with Trino's grammar.

use std::{
    collections::HashMap,
    env,
    path::{Path, PathBuf},
    process::Command,
};

use sql_batcher_core::Dialect;

use super::{Comparison, Explained, File, cases, texts};

/// The variables with the jar of the command line, and with a Java that runs it.
const CLI: &str = "SQL_BATCHER_TEST_TRINO_CLI";
const JAVA: &str = "SQL_BATCHER_TEST_JAVA";

/// Asks the command line's splitter.
const SPLIT: &str = include_str!("TrinoSplit.java");

const EXPLAINED: &[Explained] = &[
    ("byte-order-mark", "the command line sends the mark at the beginning of a file to its server"),
    ("not-utf8", "the command line reads text, and puts something else in place of what is none"),
];

#[test]
fn cases_are_split_as_trinos_command_line_splits_them() {
    let (Some(cli), Some(java)) = (env::var_os(CLI), env::var_os(JAVA)) else {
        println!("not run: {CLI} and {JAVA} name no command line of Trino and no Java");
        return;
    };
    let found = split(&cli.into(), &java.into());
    let mut comparison = Comparison::new(Dialect::Trino, texts::sqlite, EXPLAINED);
    for (name, script) in cases("trino") {
        let theirs = found.get(&name).expect("each case was split");
        comparison.compare(&name, &script, &|_| theirs.clone());
    }
    comparison.finish();
}

/// The statements of each case, by its name.
fn split(cli: &PathBuf, java: &PathBuf) -> HashMap<String, Vec<Vec<u8>>> {
    let program = File::new("TrinoSplit.java", SPLIT.as_bytes());
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("cases/split/trino");
    let mut command = Command::new(java);
    command.arg("-cp").arg(cli).arg(&program.0);
    command.args(cases("trino").iter().map(|(name, _)| folder.join(format!("{name}.sql"))));
    let output = command.output().expect("java starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut found = HashMap::new();
    let mut current: &mut Vec<Vec<u8>> = &mut Vec::new();
    for line in String::from_utf8(output.stdout).expect("it writes letters").lines() {
        if let Some(path) = line.strip_prefix("= ") {
            let name = Path::new(path).file_stem().expect("a file has a name");
            current = found.entry(name.to_string_lossy().into_owned()).or_default();
        } else {
            let byte = |at: usize| u8::from_str_radix(&line[at..at + 2], 16).expect("a byte");
            current.push((0..line.len()).step_by(2).map(byte).collect());
        }
    }
    found
}
