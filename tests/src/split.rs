//! What the splitter finds in a script, natively and in the component: its statements, each with
//! its place, and what ended the run. The batches in between are as large as they may be and are
//! taken apart again.

use sql_batcher::Splitter;
use sql_batcher_core::{Batch, Dialect, Failure, FailureKind, Kind, Options, Position, Stretch};

use crate::recorder::{Recorder, run};

/// A statement, and the data behind it where it is a `COPY`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its bytes, without terminator.
    pub text: Vec<u8>,
    /// What it does.
    pub kind: Kind,
    /// Its line, from 1.
    pub line: u32,
    /// Its column in characters, from 1.
    pub column: u32,
    /// Bytes before it.
    pub offset: u64,
    /// The data of a `COPY … FROM stdin`.
    pub copy: Option<Vec<u8>>,
}

/// A script, split.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Split {
    /// In the order of the script.
    pub statements: Vec<Found>,
    /// What ended it, if it did not reach its end.
    pub failure: Option<Failure>,
}

/// Splits a script that comes in pieces which end at `cuts` (ascending, none beyond the end).
#[must_use]
pub fn split(dialect: Dialect, input: &[u8], cuts: impl IntoIterator<Item = usize>) -> Split {
    let mut options = Options::new(dialect);
    options.limits.max_batch_bytes = 256 << 20;
    options.limits.max_statement_bytes = 256 << 20;
    split_with(&options, input, cuts)
}

/// As [`split`], with options of the caller's.
#[must_use]
pub fn split_with(options: &Options, input: &[u8], cuts: impl IntoIterator<Item = usize>) -> Split {
    let chunks = chunks(input, cuts);
    let run = run(options, chunks, Recorder::default());
    let mut statements = Vec::new();
    run.batches.iter().for_each(|batch| take_apart(&Parts::from(&*batch.apart()), &mut statements));
    Split { statements, failure: run.failure }
}

/// As [`split`], in the sandbox.
///
/// # Panics
/// Where the options are refused, or the sandbox itself fails.
#[must_use]
pub fn split_in_component(dialect: Dialect, input: &[u8], cuts: &[usize]) -> Split {
    let options = sql_batcher::Options::default()
        .max_bytes(256 << 20)
        .max_statement_bytes(256 << 20)
        .max_statements(1_000_000)
        .dialect(of_host(dialect));
    let mut splitter = Splitter::new(options).expect("the options are valid");
    let mut batches = Vec::new();
    let mut failure = None;
    for chunk in chunks(input, cuts.iter().copied()) {
        match splitter.push(chunk) {
            Ok(more) => batches.extend(more),
            Err(error) => failure = Some(error),
        }
    }
    failure = splitter.end().err().or(failure);
    batches.extend(splitter.take_batches());
    let mut statements = Vec::new();
    batches.iter().for_each(|batch| take_apart(&Parts::from(batch), &mut statements));
    Split { statements, failure: failure.map(|error| failure_of(&error)) }
}

/// A dialect of the core, as the library names it.
#[must_use]
pub fn of_host(dialect: Dialect) -> sql_batcher::Dialect {
    match dialect {
        Dialect::Generic => sql_batcher::Dialect::Generic,
        Dialect::Sqlite => sql_batcher::Dialect::Sqlite,
        Dialect::PostgreSql => sql_batcher::Dialect::PostgreSql,
        Dialect::MySql => sql_batcher::Dialect::MySql,
        Dialect::Trino => sql_batcher::Dialect::Trino,
        Dialect::Snowflake => sql_batcher::Dialect::Snowflake,
    }
}

fn failure_of(error: &sql_batcher::Error) -> Failure {
    Failure {
        kind: match error.kind() {
            sql_batcher::ErrorKind::InvalidQuery => FailureKind::InvalidQuery,
            sql_batcher::ErrorKind::BatchSizeExceeded => FailureKind::BatchSizeExceeded,
            other => panic!("the component failed in another way, {other:?}: {error}"),
        },
        message: error.message().to_owned(),
        at: error.position().map(|at| Position {
            statement: at.statement,
            offset: at.total_offset,
            line: at.line,
            column: at.column,
        }),
        batch: None,
    }
}

fn chunks(input: &[u8], cuts: impl IntoIterator<Item = usize>) -> impl Iterator<Item = &[u8]> {
    let mut start = 0;
    let ends = cuts.into_iter().chain([input.len()]);
    ends.map(move |end| &input[std::mem::replace(&mut start, end)..end])
}

/// Everything that shows a difference, and nothing else: for comparing two ways to cut.
pub fn every_byte(input: &[u8]) -> impl Iterator<Item = usize> {
    1..input.len()
}

/// A few places to cut at, from a seed that gives the same ones each time.
pub fn random_cuts(input: &[u8], seed: u64) -> Vec<usize> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state >> 33).unwrap_or_default()
    };
    let count = 1 + next() % 12;
    let mut cuts: Vec<usize> = (0..count).map(|_| next() % (input.len() + 1)).collect();
    cuts.sort_unstable();
    cuts
}

/// Checks that the statements are pieces of the input in its order, and gives the text between
/// them: before the first, after each. Statements and gaps, joined, are the input.
///
/// # Errors
/// What is not so.
pub fn gaps<'a>(input: &'a [u8], statements: &[Found]) -> Result<Vec<&'a [u8]>, String> {
    let mut gaps = Vec::new();
    let mut at = 0;
    for found in statements {
        let start = usize::try_from(found.offset).map_err(|error| error.to_string())?;
        let end = start + found.text.len();
        let gap = input.get(at..start).ok_or(format!("statement at {start} begins before {at}"))?;
        if input.get(start..end) != Some(&found.text[..]) {
            return Err(format!("statement at {start} is not what the input holds there"));
        }
        let after = (gap, &input[end..]);
        if let Some(data) = &found.copy
            && !after.1.windows(data.len().max(1)).any(|piece| piece == data)
            && !data.is_empty()
        {
            return Err(format!("the data of the statement at {start} is not in the input"));
        }
        gaps.push(gap);
        at = end;
    }
    gaps.push(&input[at..]);
    Ok(gaps)
}

/// A batch of either side.
struct Parts<'a> {
    body: &'a [u8],
    ends: &'a [u32],
    stretches: Vec<Stretch>,
    copy: bool,
}

impl<'a> From<&'a Batch> for Parts<'a> {
    fn from(batch: &'a Batch) -> Self {
        Self {
            body: &batch.body,
            ends: &batch.ends,
            stretches: batch.stretches.clone(),
            copy: batch.copy.is_some(),
        }
    }
}

impl<'a> From<&'a sql_batcher::Batch> for Parts<'a> {
    fn from(batch: &'a sql_batcher::Batch) -> Self {
        Self {
            body: batch.body(),
            ends: batch.ends(),
            stretches: batch.stretches.iter().map(native_stretch).collect(),
            copy: batch.copy.is_some(),
        }
    }
}

fn native_stretch(stretch: &sql_batcher::Stretch) -> Stretch {
    let sql_batcher::Stretch { first, offset, line, column, terminator, kind, .. } = *stretch;
    Stretch { first, offset, line, column, terminator, kind: native_kind(kind) }
}

/// The kind of the same name.
fn native_kind(kind: sql_batcher::StatementKind) -> Kind {
    const KINDS: [Kind; 21] = [
        Kind::Select,
        Kind::Insert,
        Kind::Replace,
        Kind::Update,
        Kind::Delete,
        Kind::Merge,
        Kind::Copy,
        Kind::Create,
        Kind::Alter,
        Kind::Drop,
        Kind::Truncate,
        Kind::Grant,
        Kind::Set,
        Kind::Begin,
        Kind::Commit,
        Kind::Rollback,
        Kind::Savepoint,
        Kind::Lock,
        Kind::Call,
        Kind::Maintain,
        Kind::Other,
    ];
    let name = format!("{kind:?}");
    let found = KINDS.into_iter().find(|native| format!("{native:?}") == name);
    found.expect("both sides have the same kinds")
}

fn take_apart(batch: &Parts<'_>, statements: &mut Vec<Found>) {
    let body = batch.body;
    let mut start = 0;
    let mut stretches = batch.stretches.iter().peekable();
    let (mut at, mut terminator, mut kind) = ((0, 0, 0), 0, Kind::Other);
    for (index, &end) in batch.ends.iter().enumerate() {
        if let Some(next) = stretches.next_if(|next| next.first as usize == index) {
            at = (next.offset, next.line, next.column);
            (terminator, kind) = (next.terminator as usize, next.kind);
        }
        let whole = &body[start..end as usize];
        let behind = terminator + usize::from(index + 1 < batch.ends.len());
        let (offset, line, column) = at;
        let text = whole[..whole.len() - behind].to_vec();
        statements.push(Found { text, kind, line, column, offset, copy: None });
        let newlines = whole.iter().filter(|byte| **byte == b'\n').count();
        at = (offset + whole.len() as u64, line + u32::try_from(newlines).unwrap_or(u32::MAX), 1);
        start = end as usize;
    }
    assert!(stretches.next().is_none(), "a stretch of no statement");
    if batch.copy
        && let Some(last) = statements.last_mut()
    {
        last.copy.get_or_insert_default().extend_from_slice(&body[start..]);
    }
}
