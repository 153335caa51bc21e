//! Whether the program needs more memory for a larger script: `sql-batcher run` loads generated
//! scripts of several sizes from a pipe into an SQLite file that stays small, and the most memory
//! that was resident is compared; as it is, merging, and on the fast path.
//!
//! `SQL_BATCHER_BENCH_MEMORY_MB` lists the sizes in megabytes: `100,2000` unless it says another;
//! the first is what the others are compared with.

use std::{
    env, fs, io,
    path::Path,
    process::{Child, ChildStdin},
    thread,
    time::{Duration, Instant},
};

use sql_batcher_benches::{
    goal::Goal,
    is_measuring, program, scripts,
    table::{Row, Table, target},
    ways::Mode,
};

const SIZES: &str = "SQL_BATCHER_BENCH_MEMORY_MB";
const PROBE: Duration = Duration::from_millis(5);

struct Measured {
    peak_bytes: u64,
    took: Duration,
}

/// The high-water mark of a process; none once it has ended.
fn peak_bytes(process: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kibibytes * 1024)
}

fn feed(stdin: ChildStdin, bytes: u64) -> thread::JoinHandle<io::Result<u64>> {
    thread::spawn(move || scripts::stream(stdin, bytes))
}

/// Looks at a process until it ends. The mark only rises, so the last look has the peak.
fn watch(child: &mut Child) -> io::Result<u64> {
    let mut peak = 0;
    loop {
        peak = peak_bytes(child.id()).unwrap_or(peak);
        if let Some(status) = child.try_wait()? {
            assert!(status.success(), "the program has ended with {status}");
            return Ok(peak);
        }
        thread::sleep(PROBE);
    }
}

fn measure(program: &Path, mode: Mode, bytes: u64) -> io::Result<Measured> {
    let folder = tempfile::tempdir()?;
    let start = Instant::now();
    let mut command = program::run(program, &folder.path().join("memory.db"));
    let mut child = command.args(mode.flag()).spawn()?;
    let stdin = child.stdin.take().expect("it is piped");
    let feeder = feed(stdin, bytes);
    let peak_bytes = watch(&mut child)?;
    feeder.join().expect("the feeder does not panic")?;
    Ok(Measured { peak_bytes, took: start.elapsed() })
}

fn sizes_mb() -> Vec<u64> {
    let text = env::var(SIZES).unwrap_or_else(|_| "100,2000".to_owned());
    let number = |size: &str| {
        size.trim().parse().unwrap_or_else(|_| panic!("{SIZES}={text}: {size} is no number"))
    };
    text.split(',').map(number).collect()
}

fn main() {
    if !is_measuring() {
        return;
    }
    let mut table = Table::new("memory");
    match program::find(&target(env!("CARGO_TARGET_TMPDIR"))) {
        Err(why) => table.leave_out(why),
        Ok(_) if !Path::new("/proc/self/status").exists() => {
            table.leave_out("peak memory is read from /proc, which this system does not have");
        }
        Ok(program) => fill(&mut table, &program),
    }
    table.publish(env!("CARGO_TARGET_TMPDIR"));
}

fn fill(table: &mut Table, program: &Path) {
    let sizes_mb = sizes_mb();
    for mode in Mode::ALL {
        let mut first = None;
        for size_mb in &sizes_mb {
            let measured = measure(program, mode, size_mb * 1_000_000)
                .unwrap_or_else(|error| panic!("{}: {error}", program.display()));
            let mebibytes = measured.peak_bytes as f64 / f64::from(1 << 20);
            let flag = mode.flag().map(|flag| format!(", {flag}")).unwrap_or_default();
            let row = Row::new(format!("peak, script of {size_mb} MB{flag}"), mebibytes, "MiB")
                .with_goal(Goal::at_most(64.0))
                .with_note(format!("in {:.1?}", measured.took));
            println!("{}: {mebibytes:.1} MiB, in {:.1?}", row.what, measured.took);
            table.push(match &first {
                None => row.clone(),
                Some(first) => row.clone().against(first, "the first"),
            });
            first.get_or_insert(row);
        }
    }
}
