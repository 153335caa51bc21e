//! How a run ends: the summary on standard output, the error and what follows from it on standard
//! error, and the exit code.

use std::{
    io::{self, Write},
    process::ExitCode,
};

use sql_batcher::{Error, ErrorKind, Failure, Report};

use super::{args::Format, dry_run, plan::Plan, say};

/// The exit codes. Scripts depend on them: they are documented in the help and never change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exit {
    Applied = 0,
    Failed = 1,
    Usage = 2,
    Rejects = 3,
    Unknown = 4,
    Interrupted = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// How a run has ended.
#[derive(Debug, Default)]
pub(super) struct Ended {
    /// The account; none where no run had begun.
    pub(super) report: Option<Report>,
    /// What ended it early, if anything did.
    pub(super) error: Option<Error>,
    /// Whether a signal wanted it to end.
    pub(super) interrupted: bool,
}

impl From<Result<Report, Error>> for Ended {
    fn from(result: Result<Report, Error>) -> Self {
        match result {
            Ok(report) => Self { report: Some(report), ..Self::default() },
            Err(error) => error.into(),
        }
    }
}

impl From<Error> for Ended {
    fn from(error: Error) -> Self {
        Self { report: error.report().cloned(), error: Some(error), interrupted: false }
    }
}

/// Says how the run has ended.
pub(super) fn conclude(plan: &Plan, ended: Ended) -> Exit {
    let Ended { report, error, interrupted } = ended;
    let has_begun = report.is_some();
    let mut report = report.unwrap_or_default();
    report.failure = error.as_ref().map(Failure::from);
    report.notes.extend(plan.database.note());
    if plan.dry_run {
        report.notes.push(dry_run::NOTE.into());
        report.notes.extend(plan.hooks.note_for_dry_run());
    }
    let written = match plan.report {
        Format::Json => print_json(&report),
        Format::Text if has_begun && !plan.quiet => print_text(plan, &report),
        Format::Text => Ok(()),
    };
    let unwritten = written.err().filter(|error| error.kind() != io::ErrorKind::BrokenPipe);
    if let Some(error) = &unwritten {
        say(&format!("error: cannot write the report: {error}"));
    }
    let exit = exit(&report, error.as_ref().map(Error::kind), interrupted);
    if let Some(error) = error {
        say(&headline(&error, interrupted));
        if !plan.dry_run {
            consequences(&report, plan.has_order).iter().for_each(|line| say(line));
        }
    }
    match (exit, unwritten) {
        (Exit::Applied, Some(_)) => Exit::Failed,
        _ => exit,
    }
}

fn print_json(report: &Report) -> io::Result<()> {
    let mut out = io::stdout().lock();
    serde_json::to_writer_pretty(&mut out, report)?;
    writeln!(out)
}

fn print_text(plan: &Plan, report: &Report) -> io::Result<()> {
    let summary = match plan.dry_run {
        true => dry_run::summary(plan, report),
        // Without the error, which goes to standard error.
        false => format!("{report:#}"),
    };
    writeln!(io::stdout().lock(), "{summary}")
}

fn exit(report: &Report, error: Option<ErrorKind>, interrupted: bool) -> Exit {
    match error {
        _ if report.unknown > 0 => Exit::Unknown,
        None if report.skipped + report.rejected > 0 => Exit::Rejects,
        None => Exit::Applied,
        Some(ErrorKind::OutcomeUnknown) => Exit::Unknown,
        Some(ErrorKind::Cancelled) if interrupted => Exit::Interrupted,
        Some(ErrorKind::InvalidOptions) => Exit::Usage,
        Some(_) => Exit::Failed,
    }
}

fn headline(error: &Error, interrupted: bool) -> String {
    match error.kind() {
        ErrorKind::Cancelled if interrupted => "interrupted: nothing more was sent".into(),
        _ => format!("error: {error}"),
    }
}

/// What the error means for the data, and where to go on.
fn consequences(report: &Report, has_order: bool) -> Vec<String> {
    let mut lines = vec![fates(report)];
    if let Some(run) = &report.run {
        let is_of_input = |failure: &Failure| failure.kind == ErrorKind::Input;
        let what = match report.failure.as_ref().is_some_and(is_of_input) {
            true => "run again with the input that this run was begun with, and",
            false => "run the same command again with",
        };
        lines.push(format!("to go on, {what} --run {run} --resume"));
        return lines;
    }
    if report.unknown > 0 {
        let these = are(report.unknown, "statement");
        lines.push(format!(
            "{these} neither known to be applied nor known not to be: look at the data before you \
             run again"
        ));
        return lines;
    }
    if report.applied > 0 && report.skipped + report.rejected == 0 && has_order {
        lines.push(format!("to go on, run again from statement {}", report.applied + 1));
    }
    lines
}

/// `404 statements were applied; 1 failed, 12 were rolled back with it`
fn fates(report: &Report) -> String {
    let applied = match report.applied {
        0 if report.unknown > 0 => "nothing is known to be applied".into(),
        0 => "nothing was applied".into(),
        count => format!("{} applied", were(count, "statement")),
    };
    let mut others = Vec::new();
    if report.failed > 0 {
        others.push(format!("{} failed", report.failed));
    }
    if report.rolled_back > 0 {
        let verb = if report.rolled_back == 1 { "was" } else { "were" };
        others.push(format!("{} {verb} rolled back", report.rolled_back));
    }
    if report.rejected > 0 {
        others.push(format!("{} rejected", were(report.rejected, "statement")));
    }
    if report.not_reached > 0 {
        let verb = if report.not_reached == 1 { "was" } else { "were" };
        others.push(format!("{} more {verb} read and not applied", report.not_reached));
    }
    match others.is_empty() {
        true => applied,
        false => format!("{applied}; {}", others.join(", ")),
    }
}

/// `1 statement was`, `2 statements were`.
fn were(count: u64, noun: &str) -> String {
    match count {
        1 => format!("1 {noun} was"),
        _ => format!("{count} {noun}s were"),
    }
}

/// `1 statement is`, `2 statements are`.
fn are(count: u64, noun: &str) -> String {
    match count {
        1 => format!("1 {noun} is"),
        _ => format!("{count} {noun}s are"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(set: impl FnOnce(&mut Report)) -> Report {
        let mut report = Report::default();
        set(&mut report);
        report
    }

    #[test]
    fn an_error_is_followed_by_what_was_applied_and_where_to_go_on() {
        let failed = report(|report| {
            report.applied = 404;
            report.failed = 1;
            report.rolled_back = 12;
        });
        assert_eq!(
            consequences(&failed, true),
            [
                "404 statements were applied; 1 failed, 12 were rolled back",
                "to go on, run again from statement 405"
            ]
        );
        assert_eq!(consequences(&failed, false).len(), 1);
        let early = report(|report| report.not_reached = 1);
        let said = consequences(&early, true);
        assert_eq!(said, ["nothing was applied; 1 more was read and not applied"]);
        let resumable = report(|report| report.run = Some("r1".into()));
        assert!(consequences(&resumable, true)[1].ends_with("again with --run r1 --resume"));
        let other_input = report(|report| {
            let mut failure = Failure::from(&Error::cancelled("not that of r1"));
            failure.kind = ErrorKind::Input;
            (report.run, report.failure) = (Some("r1".into()), Some(failure));
        });
        let expected = "to go on, run again with the input that this run was begun with, and \
                        --run r1 --resume";
        assert_eq!(consequences(&other_input, true)[1], expected);
    }

    #[test]
    fn where_an_outcome_is_unknown_nobody_is_told_to_go_on() {
        let unknown = report(|report| {
            report.applied = 1;
            report.unknown = 3;
        });
        let lines = consequences(&unknown, true);
        assert_eq!(lines[0], "1 statement was applied");
        assert!(lines[1].starts_with("3 statements are neither known to be applied"), "{lines:?}");
        assert_eq!(lines.len(), 2);
    }

    #[test]
    fn exit_codes_are_as_documented() {
        let nothing = Report::default();
        let skipped = report(|report| report.skipped = 1);
        let unknown = report(|report| report.unknown = 1);
        for (report, error, interrupted, code) in [
            (&nothing, None, false, Exit::Applied),
            (&nothing, None, true, Exit::Applied),
            (&nothing, Some(ErrorKind::Database), false, Exit::Failed),
            (&nothing, Some(ErrorKind::Database), true, Exit::Failed),
            (&nothing, Some(ErrorKind::Cancelled), false, Exit::Failed),
            (&nothing, Some(ErrorKind::Cancelled), true, Exit::Interrupted),
            (&nothing, Some(ErrorKind::InvalidOptions), false, Exit::Usage),
            (&nothing, Some(ErrorKind::OutcomeUnknown), false, Exit::Unknown),
            (&skipped, None, false, Exit::Rejects),
            (&unknown, Some(ErrorKind::Cancelled), true, Exit::Unknown),
        ] {
            assert_eq!(exit(report, error, interrupted), code, "{error:?} {interrupted}");
        }
    }
}
