//! Any bytes, split and batched by the core: it never panics; cutting the input differently changes
//! nothing, and so does looking at each statement by itself; every statement stands in the input
//! where the batch says, in order, and so do the data of `COPY` blocks; no limit is exceeded; the
//! account adds up.
//!
//! The first [`HEADER`] bytes of what the fuzzer gives choose dialect, limits and cuts, the rest is
//! the script.
//!
//! ```sh
//! cargo +nightly fuzz run split fuzz/corpus/split fuzz/seeds/split -- \
//!     -dict=fuzz/split.dict -max_len=4096 -max_total_time=600
//! ```
#![no_main]

use libfuzzer_sys::{Corpus, fuzz_target};
use sql_batcher_core::{
    Batch, BatchInfo, CopyPart, Dialect, Event, Execution, Failure, Host, Limits, Options, Outcome,
    Oversized, Position, Report, Session, Transactions, Verdict,
};

const HEADER: usize = 8;
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

fuzz_target!(|data: &[u8]| -> Corpus {
    let Some((header, script)) = data.split_first_chunk() else { return Corpus::Reject };
    check(header, script);
    Corpus::Keep
});

fn check(header: &[u8; HEADER], script: &[u8]) {
    let options = options(header);
    let whole = run(&options, [script]);
    let cut = run(&options, pieces(script, header[6], header[7]));
    assert_eq!(whole, cut, "cutting the input has changed something");
    assert_eq!(whole, run(&one_by_one(&options), [script]), "many statements at once differ");
    for batch in &whole.batches {
        limits_hold(batch, &options);
    }
    stands_in_the_script(&whole.batches, script);
    adds_up(&whole);
}

fn options(header: &[u8; HEADER]) -> Options {
    let dialects = [
        Dialect::Generic,
        Dialect::Sqlite,
        Dialect::PostgreSql,
        Dialect::MySql,
        Dialect::Trino,
        Dialect::Snowflake,
    ];
    let transactions = [Transactions::Batch, Transactions::Run, Transactions::None];
    let [kind, flags, batch_bytes, statement_bytes, statements, rows, ..] = *header;
    let max_batch_bytes = 1 + (u64::from(batch_bytes) << (flags & 7));
    Options {
        limits: Limits {
            max_batch_bytes,
            max_statement_bytes: max_batch_bytes + 16 * u64::from(statement_bytes),
            max_statements: 1 + u32::from(statements),
            max_rows: (rows > 0).then_some(u32::from(rows)),
            ..Limits::default()
        },
        oversized: if flags & 8 == 0 { Oversized::Refuse } else { Oversized::SendAlone(1 << 20) },
        transactions: transactions[usize::from(kind / 8) % transactions.len()],
        ..Options::new(dialects[usize::from(kind % 8) % dialects.len()])
    }
}

/// The same options, with a limit that no batch reaches and each statement is held against.
fn one_by_one(options: &Options) -> Options {
    let limits = Limits { max_batch_characters: Some(u64::MAX), ..options.limits };
    Options { limits, ..options.clone() }
}

/// The script in pieces of 1 to `longest` bytes, or of one each.
fn pieces(script: &[u8], longest: u8, seed: u8) -> impl Iterator<Item = &[u8]> {
    let mut state = u32::from(seed);
    let mut rest = script;
    std::iter::from_fn(move || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let length = 1 + (state >> 16) as usize % usize::from(longest.max(1));
        let (piece, after) = rest.split_at(length.min(rest.len()));
        rest = after;
        (!piece.is_empty()).then_some(piece)
    })
}

/// What came of a run.
#[derive(Debug, PartialEq)]
struct Run {
    batches: Vec<Batch>,
    passed_over: Vec<Position>,
    failure: Option<Failure>,
    report: Report,
}

/// A database that applies whatever it is given.
#[derive(Default)]
struct Recorder {
    batches: Vec<Batch>,
    passed_over: Vec<Position>,
}

impl Host for Recorder {
    fn execute(&mut self, batch: Batch) -> Execution {
        self.batches.push(batch);
        Execution::Finished(Outcome::applied(None))
    }

    fn pre_batch(&mut self, _: u32, _: &Batch) -> Result<Verdict, String> {
        Ok(Verdict::Proceed)
    }

    fn post_batch(&mut self, _: u32, _: BatchInfo, _: &Outcome) -> Result<(), String> {
        Ok(())
    }

    fn emit(&mut self, event: Event) {
        if let Event::CommandPassedOver(position) = event {
            self.passed_over.push(position);
        }
    }
}

fn run<'a>(options: &Options, pieces: impl IntoIterator<Item = &'a [u8]>) -> Run {
    let mut session = Session::open(options.clone()).expect("the options are in their ranges");
    let mut host = Recorder::default();
    for piece in pieces {
        session.push(&mut host, piece.to_vec(), 0);
    }
    let progress = session.finish(&mut host, 0);
    let Recorder { batches, passed_over } = host;
    Run {
        batches,
        passed_over,
        failure: progress.failure,
        report: progress.report.expect("nothing is in flight"),
    }
}

fn limits_hold(batch: &Batch, options: &Options) {
    let Limits { max_batch_bytes, max_statement_bytes, max_statements, max_rows, .. } =
        options.limits;
    let single = batch.ends.len() == 1;
    let bytes = batch.body.len() as u64;
    let alone = single && options.oversized != Oversized::Refuse;
    assert!(bytes <= max_batch_bytes || alone, "{bytes} bytes");
    assert!(batch.ends.len() <= max_statements as usize, "{} statements", batch.ends.len());
    let mut lengths = (0..batch.ends.len()).map(|index| batch.length(index) as u64);
    assert!(lengths.all(|length| length <= max_statement_bytes));
    assert!(single || max_rows.is_none_or(|most| batch.rows <= most), "{} rows", batch.rows);
}

/// Everything that is sent is in the script, at its place and in its order; between statements
/// there are only their terminators.
fn stands_in_the_script(batches: &[Batch], script: &[u8]) {
    let mut read = 0;
    for batch in batches {
        let body = batch.body.as_slice();
        let mut start = 0;
        for (index, (&end, at)) in batch.ends.iter().zip(batch.positions()).enumerate() {
            let offset = usize::try_from(at.offset).expect("the script is small");
            let length = batch.length(index);
            assert!(offset >= read, "a statement at {offset} begins before {read}");
            read = offset + length;
            let sent = &body[start..end as usize];
            assert_eq!(&script[offset..read], &sent[..length]);
            let tail = &sent[length..];
            assert!(matches!(tail, b";" | b";\n" | b"\n;" | b"\n;\n"), "{tail:?}");
            assert_eq!((at.line, at.column), place(script, offset));
            start = end as usize;
        }
        let data = &body[start..];
        if batch.copy.is_none() {
            assert!(data.is_empty(), "text behind the last statement");
        } else if !data.is_empty() {
            read += find(&script[read..], data).expect("data is in the script") + data.len();
        } else {
            assert_ne!(batch.copy, Some(CopyPart::Middle), "nothing is sent");
        }
    }
}

fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    text.windows(part.len()).position(|window| window == part)
}

/// Line and column, counted the simplest way; the byte-order mark at the start has no column.
fn place(script: &[u8], offset: usize) -> (u32, u32) {
    let before = &script[..offset];
    let before = before.strip_prefix(BYTE_ORDER_MARK).unwrap_or(before);
    let line = before.rsplit(|byte| *byte == b'\n').next().unwrap_or_default();
    let characters = line.iter().filter(|byte| **byte & 0xc0 != 0x80).count();
    let lines = before.iter().filter(|byte| **byte == b'\n').count();
    (lines as u32 + 1, characters as u32 + 1)
}

fn adds_up(run: &Run) {
    let report = run.report;
    let sent: usize = run.batches.iter().map(|batch| batch.ends.len()).sum();
    assert_eq!(sent as u64 + report.not_reached, report.statements);
    let decided = report.applied + report.rolled_back + report.not_reached;
    assert_eq!(decided + report.open, report.statements);
    assert_eq!(run.batches.len() as u64, report.batches);
}
