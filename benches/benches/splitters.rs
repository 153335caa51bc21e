//! How fast others split the same script into its statements: Python's sqlparse, the tokenizer of
//! sqlglot, and pglast, which is PostgreSQL's own scanner. What they give differs: sqlglot stops at
//! tokens, the others give statements; sql-batcher gives batches with the place of each statement.
//!
//! Each has the whole script in memory. Scripts are small (256 KiB), because some are slow.

use std::{fs, path::Path, time::Instant};

use sql_batcher::{Dialect, Options, Splitter};
use sql_batcher_benches::{
    is_measuring,
    sample::median,
    scripts::{self, Script},
    table::{Row, Table},
    ways,
};

const SCRIPT_BYTES: usize = 256 << 10;
const RUNS: usize = 21;

/// What `benches/peers/split.py` knows, and what it is called here.
const PEERS: [(&str, &str); 3] =
    [("sqlparse", "sqlparse.split"), ("sqlglot", "sqlglot, tokens"), ("pglast", "pglast, scanner")];

/// The median of several runs in the sandbox, in seconds.
fn ours(script: &Script) -> f64 {
    let once = || {
        let start = Instant::now();
        let options = Options::default().dialect(Dialect::PostgreSql);
        let mut splitter = Splitter::new(options).expect("the defaults are valid");
        drop(splitter.push(script.text.as_bytes()).expect("the script is valid"));
        let found = splitter.finish().expect("the script is valid").1.statements;
        let took = start.elapsed();
        assert_eq!(found, script.statements);
        took
    };
    let times: Vec<_> = (0..RUNS).map(|_| once()).collect();
    median(&times).as_secs_f64()
}

/// What one of the others takes.
fn peer(tool: &str, file: &Path, script: &Script) -> Result<(f64, String), String> {
    let said = ways::python_script("split.py", &[Path::new(tool), file]);
    let said = said.map_err(|error| error.to_string())?;
    let seconds = said.seconds.ok_or("it does not say how long it took")?;
    let note = match said.statements {
        Some(found) if found == script.statements => "the same statements".to_owned(),
        Some(found) => format!("{found} statements instead of {}", script.statements),
        None => "tokens only".to_owned(),
    };
    Ok((seconds, note))
}

fn compare(table: &mut Table, name: &str, script: &Script, file: &Path) {
    fs::write(file, &script.text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let speed = |seconds: f64| script.text.len() as f64 / 1e6 / seconds;
    let first =
        Row::new(format!("{name}, sql-batcher in the sandbox"), speed(ours(script)), "MB/s");
    let mut row = first.clone();
    let mut others = Vec::new();
    for (tool, label) in PEERS {
        let what = format!("{name}, {label}");
        let other = match peer(tool, file, script) {
            Ok((seconds, note)) => Row::new(what, speed(seconds), "MB/s").with_note(note),
            Err(why) => Row::missing(what, "MB/s").with_note(why),
        };
        row = row.against(&other, tool);
        others.push(other);
    }
    table.push(row);
    for other in others {
        table.push(other);
    }
}

fn main() {
    if !is_measuring() {
        return;
    }
    let mut table = Table::new("splitters");
    let folder = tempfile::tempdir().expect("a folder can be made");
    let file = folder.path().join("script.sql");
    let dump = scripts::dump(SCRIPT_BYTES, Dialect::PostgreSql);
    compare(&mut table, "60-byte INSERTs", &scripts::inserts(SCRIPT_BYTES, 60), &file);
    compare(&mut table, "dump", &dump, &file);
    table.publish(env!("CARGO_TARGET_TMPDIR"));
}
