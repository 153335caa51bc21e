//! The running account of a run: the driver writes it, whoever asks reads it. And the observer, who
//! is told of it from time to time.

use std::{fmt, time::Duration};

use tokio::time::Instant;

use crate::{
    Position, Report, account::Account, histogram::Histogram, hooks::Told, metrics::Instruments,
    report::Failure, retry::RetryCounts,
};

/// How often an observer is told at most.
const OBSERVED_EVERY: Duration = Duration::from_millis(100);

/// Different warnings of a server that are kept.
const MAX_WARNINGS: usize = 20;

/// How far a run has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Snapshot {
    /// Bytes of input taken so far.
    pub bytes_read: u64,
    /// Statements found so far.
    pub statements: u64,
    /// Batches handed to the database so far.
    pub batches: u64,
    /// Statements applied so far.
    pub applied: u64,
    /// Since the start of the run.
    pub elapsed: Duration,
}

/// What the component has noticed in a script.
#[derive(Clone, Debug, Default)]
pub(crate) struct Noticed {
    /// Commands of the database's client that were passed over (`\restrict`).
    pub(crate) commands_passed_over: u64,
    /// Where INSERTs could not be merged any more.
    pub(crate) merging_ended: Option<Position>,
}

/// What an earlier process had dealt with, of what is counted.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Before {
    pub(crate) statements: u64,
    pub(crate) batches: u64,
    pub(crate) bytes: u64,
}

/// Everything that a report is made of, kept up to date while the run lasts.
#[derive(Debug)]
pub(crate) struct Tally {
    pub(crate) database: String,
    pub(crate) notes: Vec<String>,
    pub(crate) account: Account,
    /// Statements of the batches under way.
    pub(crate) under_way: u64,
    /// What of the account the instruments were told.
    counted: Account,
    pub(crate) times: Histogram,
    /// How often batches were tried.
    pub(crate) attempts: u64,
    pub(crate) retries: RetryCounts,
    /// Bytes of input taken so far.
    pub(crate) received: u64,
    pub(crate) noticed: Noticed,
    /// What an earlier process had dealt with.
    pub(crate) before: Before,
    /// The run's name in the ledger.
    pub(crate) run: Option<String>,
    /// Statements that could not share a transaction with their row, and where the first is.
    pub(crate) around: u64,
    pub(crate) first_around: Option<Position>,
    /// What is told of the hooks.
    pub(crate) hooks: Vec<Told>,
    /// What the server has warned of, and how often.
    warnings: Vec<(String, u64)>,
    started: Instant,
}

impl Tally {
    pub(crate) fn new(database: String, notes: Vec<String>) -> Self {
        Self {
            database,
            notes,
            account: Account::default(),
            under_way: 0,
            counted: Account::default(),
            times: Histogram::default(),
            attempts: 0,
            retries: RetryCounts::default(),
            received: 0,
            noticed: Noticed::default(),
            before: Before::default(),
            run: None,
            around: 0,
            first_around: None,
            hooks: Vec::new(),
            warnings: Vec::new(),
            started: Instant::now(),
        }
    }

    /// Statements that were found and have not been handed to the database.
    pub(crate) fn not_sent(&self) -> u64 {
        let sent = self.account.decided() + self.account.skipped + self.under_way;
        self.account.statements.saturating_sub(sent)
    }

    /// Takes note of what the server has warned of: the first kinds of it, each once.
    pub(crate) fn warn(&mut self, warnings: Vec<String>) {
        for warning in warnings {
            if let Some((_, count)) = self.warnings.iter_mut().find(|(known, _)| *known == warning)
            {
                *count += 1;
            } else if self.warnings.len() < MAX_WARNINGS {
                self.warnings.push((warning, 1));
            }
        }
    }

    /// Tells the instruments what is new. Statements of a transaction that is open have no fate yet.
    pub(crate) fn count(&mut self, instruments: &Instruments, fates_decided: bool) {
        let bytes = self.account.bytes.saturating_sub(self.before.bytes);
        let account = Account { bytes, ..self.account };
        instruments.count(&mut self.counted, &account, fates_decided);
    }

    pub(crate) fn report(&self, failure: Option<Failure>) -> Report {
        let mut report = Report {
            database: self.database.clone(),
            elapsed: self.started.elapsed(),
            notes: self.notes.clone(),
            attempts: self.attempts,
            retries: self.retries,
            failure,
            ..Report::default()
        };
        report.notes.extend(self.noticed.notes());
        if self.around > 0 {
            report.notes.push(around_note(self.around, self.first_around.as_ref()));
        }
        report.hook_failures = self.hooks.iter().map(|told| told.ignored).sum();
        report.notes.extend(self.hooks.iter().flat_map(Told::notes));
        let warnings = self.warnings.iter();
        report.notes.extend(warnings.map(|(warning, count)| match count {
            1 => format!("the server warns: {warning}"),
            _ => format!("the server warns {count} times: {warning}"),
        }));
        report.run.clone_from(&self.run);
        report.count(&self.account, self.before);
        report.time(&self.times);
        report
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        Snapshot {
            bytes_read: self.received,
            statements: self.account.statements,
            batches: self.account.batches,
            applied: self.account.applied,
            elapsed: self.started.elapsed(),
        }
    }
}

impl Noticed {
    fn notes(&self) -> impl Iterator<Item = String> {
        let count = self.commands_passed_over;
        let passed_over =
            (count > 0).then(|| format!("client commands passed over (\\restrict): {count}"));
        let merging_ended = self.merging_ended.as_ref().map(|position| {
            format!(
                "no INSERTs were merged from {position} on: without a strict sql_mode, in tables \
                 without transactions, and in a database that was not looked at, several rows may \
                 not be treated as one is"
            )
        });
        passed_over.into_iter().chain(merging_ended)
    }
}

fn around_note(count: u64, first: Option<&Position>) -> String {
    let first = first.map(|first| format!(", the first at {first}")).unwrap_or_default();
    format!(
        "statements that could not share a transaction with their row in the ledger: {count}{first}"
    )
}

type Tell = Box<dyn Fn(&Snapshot) + Send>;

/// Whoever wants to be told how far the run has come.
#[derive(Default)]
pub(crate) struct Observer {
    told: Option<Tell>,
    last: Option<Instant>,
}

impl Observer {
    pub(crate) fn new(told: impl Fn(&Snapshot) + Send + 'static) -> Self {
        Self { told: Some(Box::new(told)), last: None }
    }

    /// Tells, unless that was done a moment ago.
    pub(crate) fn tell(&mut self, snapshot: impl FnOnce() -> Snapshot) {
        if self.last.is_none_or(|last| last.elapsed() >= OBSERVED_EVERY) {
            self.tell_now(snapshot);
        }
    }

    /// Tells in any case: the last word.
    pub(crate) fn tell_now(&mut self, snapshot: impl FnOnce() -> Snapshot) {
        if let Some(told) = &self.told {
            told(&snapshot());
            self.last = Some(Instant::now());
        }
    }
}

impl fmt::Debug for Observer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Observer").field("last", &self.last).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    };

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_observer_is_told_at_most_every_100_ms_and_at_the_end() {
        let times = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&times);
        let mut observer = Observer::new(move |_| {
            counter.fetch_add(1, Ordering::Relaxed);
        });
        observer.tell(Snapshot::default);
        tokio::time::advance(Duration::from_millis(99)).await;
        observer.tell(Snapshot::default);
        assert_eq!(times.load(Ordering::Relaxed), 1);
        tokio::time::advance(Duration::from_millis(1)).await;
        observer.tell(Snapshot::default);
        observer.tell_now(Snapshot::default);
        assert_eq!(times.load(Ordering::Relaxed), 3);
    }

    #[test]
    fn what_a_server_warns_of_is_told_once_and_counted() {
        let mut tally = Tally::new(String::new(), Vec::new());
        tally.warn(vec!["old (A)".to_owned(), "odd (B)".to_owned()]);
        tally.warn(vec!["old (A)".to_owned()]);
        let notes = tally.report(None).notes;
        assert_eq!(notes, ["the server warns 2 times: old (A)", "the server warns: odd (B)"]);
        tally.warn((0..MAX_WARNINGS).map(|number| number.to_string()).collect());
        assert_eq!(tally.report(None).notes.len(), MAX_WARNINGS);
    }
}
