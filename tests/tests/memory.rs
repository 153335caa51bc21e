//! Invariant 10, of the whole program: a script of 200 MB needs no more memory than one of 20 MB.
//! Both are written to its standard input, so that no part of them is in memory or on disk.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test ends where something of its own fails")]

use std::{
    env, fs,
    io::{self, Write as _},
    process::{self, Child, ChildStdin, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use sql_batcher_tests::{dumps::program, servers::postgres_url};

const MB: u64 = 1_000_000;
const SMALL: u64 = 20 * MB;
/// `SQL_BATCHER_TEST_MEMORY_MB` says another size, in megabytes.
const LARGE: u64 = 200 * MB;
/// What may differ between two runs of the same script, beside 10 %: the moments at which the
/// allocator gives back memory.
const NOISE: u64 = 4 << 20;
/// Between two looks at the process.
const PROBE: Duration = Duration::from_millis(2);

/// A script that is as long as one likes: a beginning, a piece that is repeated, and an end.
struct Script {
    first: String,
    repeated: String,
    last: String,
}

impl Script {
    /// Statements of many lengths that keep the table small.
    fn of_statements() -> Self {
        let row = |id: usize| {
            let text = "ä''; -- ".repeat(id * 7 % 60);
            format!("INSERT OR REPLACE INTO t VALUES ({}, '{text}');\n", id % 10)
        };
        Self {
            first: "CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT);\n".to_owned(),
            repeated: (0..3000).map(row).collect(),
            last: String::new(),
        }
    }

    /// One `COPY` with all the data.
    fn of_a_copy() -> Self {
        let table = format!("memory_{}", process::id());
        let row = |id: usize| format!("{id}\t{}\n", "ä''; -- \\n".repeat(id * 7 % 60));
        Self {
            first: format!(
                "CREATE UNLOGGED TABLE {table} (id integer, name text);\nCOPY {table} FROM stdin;\n"
            ),
            repeated: (0..3000).map(row).collect(),
            last: format!("\\.\nDROP TABLE {table};\n"),
        }
    }

    fn write(&self, mut stdin: ChildStdin, bytes: u64) -> io::Result<()> {
        stdin.write_all(self.first.as_bytes())?;
        for _ in 0..=bytes / self.repeated.len() as u64 {
            stdin.write_all(self.repeated.as_bytes())?;
        }
        stdin.write_all(self.last.as_bytes())
    }

    /// The most memory that was resident while a program read the script, in bytes.
    fn peak_bytes(&self, command: &mut Command, bytes: u64) -> u64 {
        let start = Instant::now();
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        let stdin = child.stdin.take().unwrap();
        let (peak, written) = thread::scope(|scope| {
            let writer = scope.spawn(|| self.write(stdin, bytes));
            (watch(&mut child), writer.join().unwrap())
        });
        written.unwrap();
        let mebibytes = peak as f64 / f64::from(1 << 20);
        println!("{} MB: {mebibytes:.1} MiB, in {:.1?}", bytes / MB, start.elapsed());
        peak
    }

    /// Compares the peaks of a small and of a large script. The first run of all is for the cache
    /// that the compiled component is in.
    fn needs_the_same_memory(&self, command: impl Fn() -> Command) {
        self.peak_bytes(&mut command(), 0);
        // The peak of a short run depends on the moment; the most of several does so less.
        let peaks = [(); 3].map(|()| self.peak_bytes(&mut command(), SMALL));
        let small = peaks.into_iter().max().unwrap();
        let large = self.peak_bytes(&mut command(), large_bytes());
        assert!(large <= small + small / 10 + NOISE, "{small} bytes became {large} bytes");
    }
}

fn large_bytes() -> u64 {
    let named = env::var("SQL_BATCHER_TEST_MEMORY_MB");
    named.map_or(LARGE, |megabytes| MB * megabytes.parse::<u64>().unwrap())
}

/// Looks at a process until it ends. The mark only rises, so the last look has the peak.
fn watch(child: &mut Child) -> u64 {
    let mut peak = 0;
    loop {
        peak = high_water_mark(child.id()).unwrap_or(peak);
        if let Some(status) = child.try_wait().unwrap() {
            assert!(status.success(), "the program has ended with {status}");
            return peak;
        }
        thread::sleep(PROBE);
    }
}

/// The most memory that has been resident so far; none of a process that has ended.
fn high_water_mark(process: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kibibytes * 1024)
}

fn run(url: &str) -> Command {
    let mut run = Command::new(program());
    run.args(["run", "--quiet", "--database", url, "-"]);
    run
}

#[test]
fn invariant_10_statements_for_sqlite_need_memory_that_does_not_grow_with_the_script() {
    let folder = tempfile::tempdir().unwrap();
    Script::of_statements().needs_the_same_memory(|| {
        let file = folder.path().join("a.db");
        if file.exists() {
            fs::remove_file(&file).unwrap();
        }
        run(&format!("sqlite://{}", file.display()))
    });
}

#[test]
fn invariant_10_a_copy_into_postgresql_needs_memory_that_does_not_grow_with_the_data() {
    let Some(url) = postgres_url() else { return };
    Script::of_a_copy().needs_the_same_memory(|| run(&url));
}

#[test]
fn invariant_10_splitting_needs_memory_that_does_not_grow_with_the_script() {
    for script in [Script::of_statements(), Script::of_a_copy()] {
        script.needs_the_same_memory(|| {
            let mut split = Command::new(program());
            split.args(["split", "--dialect", "postgresql", "--format", "json", "-"]);
            split
        });
    }
}
