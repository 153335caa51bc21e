//! What the native splitter finds in a script: its statements, each with its place, and what ended
//! the run. The batches in between are as large as they may be and are taken apart again.

use sql_batcher_core::{Batch, Dialect, Failure, Kind, Options};

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
    let mut start = 0;
    let chunks = cuts
        .into_iter()
        .chain([input.len()])
        .map(|end| &input[std::mem::replace(&mut start, end)..end]);
    let run = run(options, chunks, Recorder::default());
    let mut statements = Vec::new();
    run.batches.iter().for_each(|batch| take_apart(batch, &mut statements));
    Split { statements, failure: run.failure }
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

fn take_apart(batch: &Batch, statements: &mut Vec<Found>) {
    let body = batch.body.as_bytes();
    let mut start = 0;
    for index in 0..batch.ends.len() {
        let length = batch.lengths[index] as usize;
        statements.push(Found {
            text: body[start..start + length].to_vec(),
            kind: batch.kinds[index],
            line: batch.lines[index],
            column: batch.columns[index],
            offset: batch.offsets[index],
            copy: None,
        });
        start = batch.ends[index] as usize;
    }
    if batch.copy.is_some()
        && let Some(last) = statements.last_mut()
    {
        last.copy.get_or_insert_default().extend_from_slice(&body[start..]);
    }
}
