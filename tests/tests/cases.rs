//! The cases of `cases/split/<dialect>/<name>.sql`: each is split whole, byte by byte and cut at
//! random, and what is found is compared with `<name>.expected`. A new case is a new file;
//! `BLESS=1` writes what is expected of it, for a person to read.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use sql_batcher_core::Dialect;
use sql_batcher_tests::split::{
    Found, Split, every_byte, gaps, random_cuts, split, split_in_component,
};

const DIALECTS: [(&str, Dialect); 6] = [
    ("generic", Dialect::Generic),
    ("sqlite", Dialect::Sqlite),
    ("postgresql", Dialect::PostgreSql),
    ("mysql", Dialect::MySql),
    ("trino", Dialect::Trino),
    ("snowflake", Dialect::Snowflake),
];

/// How often each case is cut at random.
const RANDOM_CUTS: u64 = 20;

type Splitter = fn(Dialect, &[u8], &[usize]) -> Split;

/// Every way to split that must give the same: the core as it is linked here, and in the sandbox.
fn splitters() -> Vec<(&'static str, Splitter)> {
    let native: Splitter = |dialect, input, cuts| split(dialect, input, cuts.iter().copied());
    vec![("native", native), ("component", split_in_component)]
}

#[test]
fn every_case_is_split_as_expected_however_it_is_cut() {
    let bless = std::env::var_os("BLESS").is_some();
    let mut wrong = Vec::new();
    for (folder, dialect) in DIALECTS {
        let files = scripts(folder);
        assert!(!files.is_empty(), "there are no cases for {folder}");
        for file in files {
            if let Err(message) = check(&file, dialect, bless) {
                wrong.push(format!("{}: {message}", file.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

fn check(file: &Path, dialect: Dialect, bless: bool) -> Result<(), String> {
    let input = fs::read(file).expect("the case was just listed");
    let whole = split(dialect, &input, []);
    gaps(&input, &whole.statements)?;
    let found = render(&whole);
    let expected = file.with_extension("expected");
    if bless {
        fs::write(&expected, &found).expect("the folder of the cases can be written");
    }
    let wanted = fs::read_to_string(&expected).unwrap_or_default();
    if found != wanted {
        return Err(format!("found\n{found}\nbut expected\n{wanted}"));
    }
    for (name, split) in splitters() {
        let same = |cuts: &[usize], how: &str| {
            let found = split(dialect, &input, cuts);
            let message = || format!("{name}, {how}: found\n{}\nnot\n{wanted}", render(&found));
            (found == whole).then_some(()).ok_or_else(message)
        };
        same(&[], "whole")?;
        same(&every_byte(&input).collect::<Vec<_>>(), "byte by byte")?;
        for seed in 1..=RANDOM_CUTS {
            let cuts = random_cuts(&input, seed);
            same(&cuts, &format!("cut with seed {seed} at {cuts:?}"))?;
        }
    }
    Ok(())
}

/// The scripts of a folder, by name.
fn scripts(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("cases/split").join(folder);
    let entries = fs::read_dir(&folder).expect("every dialect has a folder of cases");
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.expect("the folder can be read").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "sql"))
        .collect();
    files.sort();
    files
}

/// One block for each statement: where it is and what it does, then its text.
fn render(split: &Split) -> String {
    let mut out = String::new();
    for statement in &split.statements {
        let (note, text) = readable(&statement.text);
        let kind = format!("{:?}", statement.kind).to_lowercase();
        let copy = statement.copy.as_deref().map(copy_note).unwrap_or_default();
        let Found { line, column, offset, .. } = statement;
        writeln!(out, "-- {line}:{column} at {offset}: {kind}{note}{copy}\n{text}")
            .expect("a string takes everything");
    }
    match &split.failure {
        None => out.push_str("-- end\n"),
        Some(failure) => {
            let place = failure.at.map_or_else(String::new, |at| {
                format!(
                    " {}:{} at {}, in statement {}",
                    at.line, at.column, at.offset, at.statement
                )
            });
            writeln!(out, "-- {:?}{place}: {}", failure.kind, failure.message)
                .expect("a string takes everything");
        }
    }
    out
}

/// A text, escaped where it holds what cannot be seen.
fn readable(text: &[u8]) -> (&'static str, String) {
    let plain = |text: &&str| !text.chars().any(|c| c != '\n' && c != '\t' && c.is_control());
    match std::str::from_utf8(text).ok().filter(plain) {
        Some(text) => ("", text.to_owned()),
        None => (", escaped", text.escape_ascii().to_string()),
    }
}

fn copy_note(data: &[u8]) -> String {
    let text = data.escape_ascii().to_string();
    format!(", {} bytes of data \"{text}\"", data.len())
}
