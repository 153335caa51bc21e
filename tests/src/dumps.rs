//! What the round trips of dumps share: running the databases' own programs, the two ways to load
//! a dump, and the comparison. What a dump is made of is data in `tests/cases/dumps/`.

use std::{
    env,
    ffi::OsStr,
    fmt::Write as _,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Instant,
};

use serde_json::Value;
use sql_batcher::{Batcher, Options, Oversized, Transactions, adapters};

/// Lines that are shown of each dump from the first difference on.
const LINES_SHOWN: usize = 8;
/// Bytes that are shown of a line.
const BYTES_SHOWN: usize = 300;

/// Who loads a dump.
#[derive(Clone, Copy, Debug)]
pub enum Way {
    /// The program `sql-batcher run`, from a file.
    Program,
    /// The library, in the same process; the dump comes in about 4000 pieces that are cut anywhere.
    Library,
}

/// How a dump is loaded.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// Who does it.
    pub way: Way,
    /// The most bytes of a request.
    pub max_bytes: u64,
    /// What becomes of larger statements.
    pub oversized: Oversized,
    /// How far a transaction reaches.
    pub transactions: Transactions,
}

impl Load {
    /// By `sql-batcher run`, refusing what is larger than `max_bytes`, a transaction for each
    /// batch.
    #[must_use]
    pub fn by_program(max_bytes: u64) -> Self {
        let (oversized, transactions) = (Oversized::Refuse, Transactions::Batch);
        Self { way: Way::Program, max_bytes, oversized, transactions }
    }

    /// As [`by_program`](Self::by_program), by the library.
    #[must_use]
    pub fn by_library(max_bytes: u64) -> Self {
        Self { way: Way::Library, ..Self::by_program(max_bytes) }
    }

    /// What is larger goes alone.
    #[must_use]
    pub fn larger_alone(self) -> Self {
        Self { oversized: Oversized::SendAlone, ..self }
    }

    /// All of it in one transaction.
    #[must_use]
    pub fn in_one_transaction(self) -> Self {
        Self { transactions: Transactions::Run, ..self }
    }

    /// Loads a dump into the database at `url`.
    ///
    /// # Panics
    /// Where not each of its statements is applied.
    pub fn run(&self, url: &str, dump: &[u8]) {
        let start = Instant::now();
        let report = match self.way {
            Way::Program => self.run_program(url, dump),
            Way::Library => self.run_library(url, dump),
        };
        let count = |name: &str| report[name].as_u64().unwrap_or_default();
        assert!(count("applied") > 0, "{self:?}: {report}");
        assert_eq!(count("applied"), count("statements"), "{self:?}: {report}");
        println!(
            "{:.1} MB in {:.1?}: {} statements, {} batches; {self:?}",
            dump.len() as f64 / 1e6,
            start.elapsed(),
            count("statements"),
            count("batches"),
        );
    }

    fn run_program(&self, url: &str, dump: &[u8]) -> Value {
        let mut file = tempfile::NamedTempFile::new().expect("a file can be made");
        file.write_all(dump).expect("a file can be written");
        let mut run = Command::new(program());
        run.args(["run", "--report", "json", "--database", url]);
        run.args(["--max-bytes", &self.max_bytes.to_string()]);
        if self.oversized == Oversized::SendAlone {
            run.args(["--oversized", "send-alone"]);
        }
        if self.transactions == Transactions::Run {
            run.args(["--transactions", "run"]);
        }
        let report = output(run.arg(file.path()));
        serde_json::from_slice(&report).expect("the report is JSON")
    }

    #[tokio::main(flavor = "current_thread")]
    async fn run_library(&self, url: &str, dump: &[u8]) -> Value {
        let options = Options::default()
            .max_bytes(self.max_bytes)
            .oversized(self.oversized)
            .transactions(self.transactions);
        let adapter = adapters::connect(url, &adapters::PoolOptions::default()).await;
        let adapter = adapter.expect("the database is there");
        let builder = Batcher::builder_boxed(adapter).options(options);
        let mut batcher = builder.build().await.expect("the options are valid");
        for piece in pieces(dump) {
            if let Err(error) = batcher.push(piece).await {
                panic!("{self:?}: {error}");
            }
        }
        let report = batcher.finish().await.unwrap_or_else(|error| panic!("{self:?}: {error}"));
        serde_json::to_value(report).expect("the report is JSON")
    }
}

/// The program `sql-batcher`: the one that `SQL_BATCHER_TEST_BIN` names, or the one beside the
/// tests.
///
/// # Panics
/// Where there is none.
#[must_use]
pub fn program() -> PathBuf {
    let beside = || {
        let test = env::current_exe().expect("a test is a program");
        let folder = test.ancestors().nth(2).expect("a test is in target/PROFILE/deps");
        folder.join(format!("sql-batcher{}", env::consts::EXE_SUFFIX))
    };
    let program = env::var_os("SQL_BATCHER_TEST_BIN").map_or_else(beside, PathBuf::from);
    assert!(
        program.is_file(),
        "there is no program {}: build it with `cargo build -p sql-batcher`, or set \
         SQL_BATCHER_TEST_BIN",
        program.display()
    );
    program
}

/// A program of a database: in the folder that `variable` names, or in the `PATH`.
#[must_use]
pub fn database_program(variable: &str, name: &str) -> Command {
    let path = env::var_os(variable).map_or_else(PathBuf::new, PathBuf::from).join(name);
    Command::new(path)
}

/// How large the largest table is, in bytes: `SQL_BATCHER_TEST_DUMP_MB` megabytes, 5 by default.
///
/// # Panics
/// Where the variable is no number.
#[must_use]
pub fn bulk_bytes() -> u64 {
    let megabytes = env::var("SQL_BATCHER_TEST_DUMP_MB").map_or(5, |value| {
        value.parse().unwrap_or_else(|_| panic!("SQL_BATCHER_TEST_DUMP_MB={value} is no number"))
    });
    megabytes * 1_000_000
}

/// A script of `tests/cases/dumps/`.
#[must_use]
pub fn case(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("cases/dumps").join(name)
}

/// What a program prints.
///
/// # Panics
/// Where it does not start or ends with an error, with what it says.
pub fn output(command: &mut Command) -> Vec<u8> {
    let name = command.get_program().display().to_string();
    let output = command.stderr(Stdio::piped()).stdout(Stdio::piped()).output();
    let output = output.unwrap_or_else(|error| panic!("{name} does not start: {error}"));
    let said = String::from_utf8_lossy(&output.stderr);
    let arguments: Vec<_> = command.get_args().map(OsStr::display).collect();
    assert!(output.status.success(), "{name} {arguments:?}: {}: {said}", output.status);
    output.stdout
}

/// Compares two dumps byte by byte.
///
/// # Panics
/// Where they differ, with the first lines that do.
pub fn assert_same(what: &str, before: &[u8], after: &[u8]) {
    if before == after {
        return;
    }
    let lines = |dump| <[u8]>::split(dump, |byte| *byte == b'\n');
    let same = lines(before).zip(lines(after)).take_while(|(left, right)| left == right).count();
    let mut message = format!("{what}: the dumps differ from line {} on\n", same + 1);
    for (name, dump) in [("before", before), ("after", after)] {
        for (index, line) in lines(dump).enumerate().skip(same).take(LINES_SHOWN) {
            let shown = line.get(..BYTES_SHOWN).unwrap_or(line).escape_ascii();
            writeln!(message, "{name} {}: {shown}", index + 1).expect("a text takes any text");
        }
    }
    panic!("{message}");
}

/// The input in about 4000 pieces of different lengths, the same ones each time.
fn pieces(input: &[u8]) -> impl Iterator<Item = &[u8]> {
    let longest = 1 + input.len() / 2000;
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut rest = input;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let random = usize::try_from(state >> 33).unwrap_or_default();
        let (piece, after) = rest.split_at((1 + random % longest).min(rest.len()));
        rest = after;
        Some(piece)
    })
}
