//! How long from the start of the process to its first batch: `sql-batcher split` is given one
//! statement, and the clock stops at the first byte that it writes. And `sql-batcher run`: from the
//! start to the end of a run of one statement into a new SQLite file.
//!
//! The first start compiles the component, the others find it in the cache, which is an empty
//! folder of its own here.

use std::{
    io::{self, Read, Write},
    path::Path,
    process::{Child, Command},
    time::{Duration, Instant},
};

use sql_batcher_benches::{
    goal::Goal,
    is_measuring, program,
    sample::median,
    scripts::CREATE_TABLE,
    table::{Row, Table, target},
};

const STARTS: usize = 21;

fn start(mut command: Command, cache: &Path, script: &str) -> io::Result<(Instant, Child)> {
    command.env("XDG_CACHE_HOME", cache).env("HOME", cache);
    let start = Instant::now();
    let mut child = command.spawn()?;
    child.stdin.take().expect("it is piped").write_all(script.as_bytes())?;
    Ok((start, child))
}

fn end(mut child: Child) -> io::Result<()> {
    let status = child.wait()?;
    assert!(status.success(), "the program has ended with {status}");
    Ok(())
}

fn to_first_batch(program: &Path, cache: &Path) -> io::Result<Duration> {
    let (start, mut child) = start(program::split(program), cache, CREATE_TABLE)?;
    let mut out = child.stdout.take().expect("it is piped");
    out.read_exact(&mut [0])?;
    let took = start.elapsed();
    out.read_to_end(&mut Vec::new())?;
    end(child)?;
    Ok(took)
}

fn whole_run(program: &Path, cache: &Path) -> io::Result<Duration> {
    let folder = tempfile::tempdir()?;
    let command = program::run(program, &folder.path().join("startup.db"));
    let (start, child) = start(command, cache, CREATE_TABLE)?;
    end(child)?;
    Ok(start.elapsed())
}

fn times(mut one: impl FnMut() -> io::Result<Duration>) -> io::Result<Duration> {
    let times: io::Result<Vec<Duration>> = (0..STARTS).map(|_| one()).collect();
    times.map(|times| median(&times))
}

fn fill(table: &mut Table, program: &Path) -> io::Result<()> {
    let cache = tempfile::tempdir()?;
    let cache = cache.path();
    let first = to_first_batch(program, cache)?;
    let warm = times(|| to_first_batch(program, cache))?;
    let whole = times(|| whole_run(program, cache))?;
    let row = |what: &str, took: Duration| Row::new(what, took.as_secs_f64() * 1e3, "ms");
    table.push(row("process start to first batch, very first start", first));
    table.push(row("process start to first batch", warm).with_goal(Goal::at_most(50.0)));
    table.push(row("whole process, one statement into SQLite", whole));
    Ok(())
}

fn main() {
    if !is_measuring() {
        return;
    }
    let mut table = Table::new("startup");
    match program::find(&target(env!("CARGO_TARGET_TMPDIR"))) {
        Err(why) => table.leave_out(why),
        Ok(program) => fill(&mut table, &program)
            .unwrap_or_else(|error| panic!("{}: {error}", program.display())),
    }
    table.publish(env!("CARGO_TARGET_TMPDIR"));
}
