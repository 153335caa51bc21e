//! The account of a run, for people and for machines.

use std::{fmt, time::Duration};

use serde::{Serialize, Serializer};

use crate::{
    Error, ErrorKind,
    account::Account,
    error::{Fault, Position, Retry},
    histogram::Histogram,
    retry::RetryCounts,
    tally::Before,
};

/// The account of a run. Each statement is counted in exactly one of `applied` to `not_reached`,
/// or, while the run lasts, in `open`.
///
/// Displayed, it is a summary of a few lines (`{:#}` leaves the error out); serialised, one object
/// with the same names, times in milliseconds.
#[derive(Clone, Debug, Default, Serialize)]
#[non_exhaustive]
pub struct Report {
    /// Name and version of the database; empty where none was involved.
    pub database: String,
    /// Statements found in the input so far.
    pub statements: u64,
    /// In the database, as the script wanted it.
    pub applied: u64,
    /// Refused by the database; nothing of them is in it.
    pub failed: u64,
    /// Taken back with a failed statement of the same transaction.
    pub rolled_back: u64,
    /// Refused by the database and left out as bad; the run went on without them.
    pub rejected: u64,
    /// Left out by a hook.
    pub skipped: u64,
    /// Sent, and it cannot be known what became of them.
    pub unknown: u64,
    /// Found, and not sent; or sent, then cancelled with the run and taken back.
    pub not_reached: u64,
    /// Sent or waiting, their fate not yet decided.
    pub open: u64,
    /// Of those that are applied or rejected: so many were by an earlier process, whose run this one
    /// has gone on with.
    pub resumed: u64,
    /// Batches handed to the database.
    pub batches: u64,
    /// How often batches that have ended were tried; more than `batches` where there were retries.
    pub attempts: u64,
    /// Further attempts, by what had gone wrong before each.
    pub retries: RetryCounts,
    /// Bytes of their bodies.
    pub bytes: u64,
    /// Bytes of the average batch, rounded down; 0 where there was none.
    pub average_batch_bytes: u64,
    /// Rows affected, as far as the database said.
    pub rows: u64,
    /// Bytes of input read up to the end of the last whole statement.
    pub read_bytes: u64,
    /// From the start of the run to now, or to its end.
    #[serde(rename = "elapsed_ms", serialize_with = "milliseconds")]
    pub elapsed: Duration,
    /// How long the batches took; none where none has ended.
    pub batch_times: Option<BatchTimes>,
    /// How often hooks failed and were passed over
    /// ([`HookPolicy::Ignore`](crate::hooks::HookPolicy::Ignore)); the notes say which and why.
    pub hook_failures: u64,
    /// The run's name in the ledger; none without one.
    pub run: Option<String>,
    /// What a user should know about this run, one line each.
    pub notes: Vec<String>,
    /// What ended the run early, if anything did.
    pub failure: Option<Failure>,
}

/// How long batches took, from handing one to the database to its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct BatchTimes {
    /// The shortest.
    #[serde(rename = "min_ms", serialize_with = "milliseconds")]
    pub min: Duration,
    /// Half of them took no longer; within 7 % of the exact value.
    #[serde(rename = "median_ms", serialize_with = "milliseconds")]
    pub median: Duration,
    /// 95 % of them took no longer; within 7 % of the exact value.
    #[serde(rename = "p95_ms", serialize_with = "milliseconds")]
    pub p95: Duration,
    /// The longest.
    #[serde(rename = "max_ms", serialize_with = "milliseconds")]
    pub max: Duration,
}

/// What ended a run: the [`Error`] as plain data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Failure {
    /// What happened.
    pub kind: ErrorKind,
    /// Who is at fault.
    pub fault: Fault,
    /// Whether the request that failed may be sent once more.
    pub retry: Retry,
    /// One line: place, fact, code.
    pub message: String,
    /// Where in the input, where that is known.
    pub position: Option<Position>,
    /// SQLSTATE or vendor code, where there is one.
    pub code: Option<String>,
    /// How many times the batch was tried.
    pub attempts: u32,
}

impl Report {
    pub(crate) fn count(&mut self, account: &Account, before: Before) {
        let batches = account.batches.saturating_sub(before.batches);
        let bytes = account.bytes.saturating_sub(before.bytes);
        self.statements = account.statements;
        self.applied = account.applied;
        self.failed = account.failed;
        self.rolled_back = account.rolled_back;
        self.rejected = account.rejected;
        self.skipped = account.skipped;
        self.resumed = before.statements;
        self.unknown = account.unknown;
        self.not_reached = account.not_reached;
        self.open = account.open;
        self.batches = batches;
        self.bytes = bytes;
        self.average_batch_bytes = bytes.checked_div(batches).unwrap_or(0);
        self.rows = account.rows;
        self.read_bytes = account.read;
    }

    pub(crate) fn time(&mut self, times: &Histogram) {
        self.batch_times = times.range().map(|(min, max)| BatchTimes {
            min,
            median: times.quantile(0.5),
            p95: times.quantile(0.95),
            max,
        });
    }
}

impl From<&Error> for Failure {
    fn from(error: &Error) -> Self {
        Self {
            kind: error.kind(),
            fault: error.fault(),
            retry: error.retry(),
            message: error.to_string(),
            position: error.position().cloned(),
            code: error.code().map(str::to_owned),
            attempts: error.attempts(),
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", if self.failure.is_some() { "failed" } else { "done" })?;
        if !self.database.is_empty() {
            write!(f, " on {}", self.database)?;
        }
        write!(f, " after {}", seconds(self.elapsed))?;
        self.write_statements(f)?;
        self.write_batches(f)?;
        if let Some(run) = &self.run {
            line(f, "ledger", format_args!("run {run}"))?;
        }
        for note in &self.notes {
            line(f, "note", format_args!("{note}"))?;
        }
        match &self.failure {
            Some(failure) if !f.alternate() => {
                line(f, "error", format_args!("{}", failure.message))
            }
            _ => Ok(()),
        }
    }
}

impl Report {
    fn write_statements(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        line(f, "statements", format_args!("{}", self.statements))?;
        let fates = [
            ("applied", self.applied),
            ("failed", self.failed),
            ("rolled back", self.rolled_back),
            ("rejected", self.rejected),
            ("skipped", self.skipped),
            ("unknown", self.unknown),
            ("not reached", self.not_reached),
            ("open", self.open),
        ];
        for (name, count) in fates {
            if count > 0 || name == "applied" {
                line(f, name, format_args!("{count}"))?;
            }
        }
        if self.resumed > 0 {
            let dealt_with = format_args!("{} were dealt with by an earlier process", self.resumed);
            line(f, "resumed", dealt_with)?;
        }
        line(f, "rows", format_args!("{}", self.rows))
    }

    fn write_batches(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let average = bytes(self.average_batch_bytes);
        line(f, "batches", format_args!("{}, on average {average}", self.batches))?;
        if self.retries.total > 0 {
            line(f, "retries", format_args!("{}", self.retries))?;
        }
        line(f, "sent", format_args!("{}", bytes(self.bytes)))?;
        let Some(times) = &self.batch_times else { return Ok(()) };
        let BatchTimes { min, median, p95, max } = times;
        line(
            f,
            "batch time",
            format_args!("min {min:.1?}, median {median:.1?}, 95 % {p95:.1?}, max {max:.1?}"),
        )
    }
}

fn line(f: &mut fmt::Formatter<'_>, name: &str, value: fmt::Arguments<'_>) -> fmt::Result {
    write!(f, "\n  {name:<12}{value}")
}

fn seconds(time: Duration) -> String {
    format!("{:.2} s", time.as_secs_f64())
}

/// A size for people: `417 bytes`, `1.5 KiB`, `12.0 MiB`.
fn bytes(count: u64) -> String {
    let units = [("GiB", 30), ("MiB", 20), ("KiB", 10)];
    match units.into_iter().find(|(_, bits)| count >> bits > 0) {
        Some((unit, bits)) => format!("{:.1} {unit}", count as f64 / (1_u64 << bits) as f64),
        None => format!("{count} bytes"),
    }
}

fn milliseconds<S: Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64((time.as_secs_f64() * 1e6).round() / 1e3)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        let account = Account {
            statements: 10,
            applied: 8,
            failed: 1,
            not_reached: 1,
            batches: 2,
            bytes: 3001,
            rows: 8,
            read: 3500,
            ..Account::default()
        };
        assert!(account.adds_up());
        let mut times = Histogram::default();
        times.record(Duration::from_millis(2));
        times.record(Duration::from_millis(4));
        let mut report = Report { database: "SQLite 3.50.2".into(), ..Report::default() };
        report.count(&account, Before::default());
        report.time(&times);
        report.elapsed = Duration::from_millis(1234);
        report
    }

    #[test]
    fn people_get_a_few_aligned_lines_without_what_did_not_happen() {
        let mut report = report();
        report.notes.push("foreign keys are off".into());
        report.retries = RetryCounts { total: 1, conflict: 1, ..RetryCounts::default() };
        report.failure = Some(Failure::from(&Error::new(ErrorKind::Input, "disk gone")));
        assert_eq!(
            report.to_string(),
            "failed on SQLite 3.50.2 after 1.23 s
  statements  10
  applied     8
  failed      1
  not reached 1
  rows        8
  batches     2, on average 1.5 KiB
  retries     1: conflict 1
  sent        2.9 KiB
  batch time  min 2.0ms, median 2.0ms, 95 % 4.0ms, max 4.0ms
  note        foreign keys are off
  error       disk gone"
        );
    }

    #[test]
    fn what_an_earlier_process_has_dealt_with_may_be_more_than_what_is_applied() {
        let before = Before { statements: 9, ..Before::default() };
        let account = Account { statements: 10, applied: 8, rejected: 2, ..Account::default() };
        let mut report = Report::default();
        report.count(&account, before);
        let said = report.to_string();
        let expected = "\n  applied     8\n  rejected    2\n  \
                        resumed     9 were dealt with by an earlier process\n";
        assert!(said.contains(expected), "{said}");
    }

    #[test]
    fn machines_get_every_number_and_times_in_milliseconds() {
        let json = serde_json::to_value(report()).unwrap();
        assert_eq!(json["applied"], 8);
        assert_eq!(json["rolled_back"], 0);
        assert_eq!(json["average_batch_bytes"], 1500);
        assert_eq!(json["elapsed_ms"], 1234.0);
        assert_eq!(json["batch_times"]["max_ms"], 4.0);
        assert!(json["failure"].is_null());
    }
}
