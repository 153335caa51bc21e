//! `run --dry-run`: what a run would send, counted without a connection.

use std::{fmt::Write as _, io, time::Instant};

use sql_batcher::{Batch, Error, Options, Report, Snapshot, Splitter};

use super::{
    Usage,
    ending::Ended,
    feed::{Halt, Taker, feed},
    plan::Plan,
    progress::Progress,
};

/// What the report says about itself.
pub(super) const NOTE: &str =
    "dry run: nothing was sent, and limits of the server itself are not taken into account";

/// Counts what a run would send. The limits of the server itself are not known.
///
/// # Errors
/// Where the URL has a scheme that no adapter has.
pub(super) fn count(plan: &Plan, progress: &Progress) -> Result<Ended, Usage> {
    let dialect = plan.database.dialect()?;
    let options = match plan.dialect_is_named {
        true => plan.options.clone(),
        false => plan.options.clone().dialect(dialect),
    };
    let ended = split(plan, options, progress);
    progress.clear();
    Ok(ended)
}

fn split(plan: &Plan, options: Options, progress: &Progress) -> Ended {
    let mut splitter = match Splitter::new(options) {
        Ok(splitter) => splitter,
        Err(error) => return error.into(),
    };
    let mut counter = Counter { progress, so_far: Snapshot::default(), started: Instant::now() };
    match feed(&mut splitter, &plan.inputs, &mut counter) {
        Ok(report) => Ok(report).into(),
        Err(Halt::Split(error)) => error.into(),
        Err(Halt::Read(name, error)) => Error::input(&name, error).into(),
        Err(Halt::Take(error)) => Error::input("", error).into(),
    }
}

struct Counter<'a> {
    progress: &'a Progress,
    so_far: Snapshot,
    started: Instant,
}

impl Taker for Counter<'_> {
    fn take(&mut self, _: &Splitter, batches: Vec<Batch>) -> io::Result<()> {
        self.so_far.batches += batches.len() as u64;
        self.so_far.statements +=
            batches.iter().map(|batch| batch.statements() as u64).sum::<u64>();
        self.so_far.elapsed = self.started.elapsed();
        self.progress.show(&self.so_far);
        Ok(())
    }

    fn read(&mut self, bytes: usize) {
        self.so_far.bytes_read += bytes as u64;
    }
}

/// What would be sent, for people.
pub(super) fn summary(plan: &Plan, report: &Report) -> String {
    let mut text = format!("would be sent to {}", plan.database.shown());
    let lines = [
        ("statements", report.statements.to_string()),
        ("batches", report.batches.to_string()),
        ("bytes", report.bytes.to_string()),
        ("average", format!("{} bytes a batch", report.average_batch_bytes)),
    ];
    let notes = report.notes.iter().map(|note| ("note", note.clone()));
    for (name, value) in lines.into_iter().chain(notes) {
        // Writing to a string does not fail.
        let _ = write!(text, "\n  {name:<12}{value}");
    }
    text
}
