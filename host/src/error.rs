//! The one error type of the crate, and the three questions it answers: what happened
//! ([`ErrorKind`]), who is at fault ([`Fault`]), what to do ([`Retry`]).

use std::{fmt, sync::Arc};

use serde::Serialize;
use sql_batcher_adapters::{self as adapters, AdapterError, Problem};

use crate::{Report, input::Sources, ledger::Unlike, progress::SessionFailure, trouble::End};

/// A result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

type Source = Arc<dyn std::error::Error + Send + Sync>;

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum ErrorKind {
    /// A single statement is larger than a batch may be.
    BatchSizeExceeded,
    /// Input that no client of the database could send: an unclosed quote, a client command.
    InvalidQuery,
    /// An option out of its range, or options that contradict each other.
    InvalidOptions,
    /// The database could not be reached, refused the connection, or the connection was lost.
    Connection,
    /// A limit on time was reached.
    Timeout,
    /// The database refused a statement.
    Database,
    /// The last of the permitted attempts failed.
    RetriesExhausted,
    /// It cannot be known whether a batch was applied.
    OutcomeUnknown,
    /// A hook failed or ended the run.
    Hook,
    /// The sandboxed component failed, broke its contract, or reached a limit of the sandbox.
    Sandbox,
    /// The input could not be read, or is not that of the run that is to be resumed.
    Input,
    /// What the run writes (rejected statements) could not be written.
    Output,
    /// The run was cancelled.
    Cancelled,
}

impl ErrorKind {
    /// As it is written in a report for machines.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::BatchSizeExceeded => "batch-size-exceeded",
            Self::InvalidQuery => "invalid-query",
            Self::InvalidOptions => "invalid-options",
            Self::Connection => "connection",
            Self::Timeout => "timeout",
            Self::Database => "database",
            Self::RetriesExhausted => "retries-exhausted",
            Self::OutcomeUnknown => "outcome-unknown",
            Self::Hook => "hook",
            Self::Sandbox => "sandbox",
            Self::Input => "input",
            Self::Output => "output",
            Self::Cancelled => "cancelled",
        }
    }
}

/// Who is at fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Fault {
    /// The program or the person that set the options.
    Caller,
    /// The SQL that was given.
    Input,
    /// The database.
    Database,
    /// What is between: network, disk, operating system.
    Environment,
    /// This library.
    Engine,
}

/// Whether the request that failed may be sent once more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Retry {
    /// It would fail again, or apply something twice.
    Never,
    /// Nothing of it is applied, and it may succeed another time.
    Safe,
    /// It may have been applied.
    Unknown,
}

/// Where in the input something is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Position {
    /// The name of the input (of the file); none for input that was given without a name.
    pub input: Option<Arc<str>>,
    /// Line in its input, from 1.
    pub line: u32,
    /// Column in characters, from 1. A byte that is not UTF-8 counts as one.
    pub column: u32,
    /// Bytes before it in its input. Statements that were added one by one count as one input.
    pub offset: u64,
    /// Bytes before it over all inputs of the run.
    pub total_offset: u64,
    /// Number of the statement in the run, from 1.
    pub statement: u64,
    /// Number of the batch in the run, from 1, where it is about one.
    pub batch: Option<u64>,
}

/// What went wrong. Displayed, it is one line: place, fact, code.
///
/// ```text
/// dump.sql:417:9: statement 417: duplicate key value violates unique constraint "t_pkey" (SQLSTATE 23505)
/// ```
#[derive(Clone, Debug, thiserror::Error)]
#[error(transparent)]
pub struct Error(Box<Inner>);

#[derive(Clone, Debug, thiserror::Error)]
#[error("{}", Line(self))]
struct Inner {
    kind: ErrorKind,
    fault: Fault,
    retry: Retry,
    message: String,
    position: Option<Position>,
    code: Option<String>,
    attempts: u32,
    report: Option<Box<Report>>,
    #[source]
    source: Option<Source>,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            kind,
            fault: fault_of(kind),
            retry: retry_of(kind),
            message: message.into(),
            position: None,
            code: None,
            attempts: 0,
            report: None,
            source: None,
        }))
    }

    /// An error for a program that ends a run on purpose, for instance inside
    /// [`Batcher::scope`](crate::Batcher::scope): kind [`ErrorKind::Cancelled`], with the reason as
    /// its message and source.
    ///
    /// ```
    /// let error = sql_batcher::Error::cancelled("the source has dried up");
    /// assert_eq!(error.kind(), sql_batcher::ErrorKind::Cancelled);
    /// assert_eq!(error.to_string(), "the source has dried up");
    /// ```
    pub fn cancelled(reason: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        let reason = reason.into();
        Self::new(ErrorKind::Cancelled, reason.to_string()).with_source(reason)
    }

    /// An error for a program that reads the input itself and cannot go on: kind
    /// [`ErrorKind::Input`], with the name of the input in its message.
    pub fn input(name: &str, error: std::io::Error) -> Self {
        Self::new(ErrorKind::Input, format!("{name} cannot be read: {error}"))
            .with_source(error.into())
    }

    /// What happened.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Who is at fault.
    pub fn fault(&self) -> Fault {
        self.0.fault
    }

    /// Whether the request that failed may be sent once more.
    pub fn retry(&self) -> Retry {
        self.0.retry
    }

    /// The bare message, without place and code: lower case, or the database's own words.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// Where in the input, where that is known.
    pub fn position(&self) -> Option<&Position> {
        self.0.position.as_ref()
    }

    /// SQLSTATE (`23505`) or vendor code (`1062`), where there is one.
    pub fn code(&self) -> Option<&str> {
        self.0.code.as_deref()
    }

    /// How many times the batch was tried, a try that got no connection included; 0 where it was
    /// not about a batch.
    pub fn attempts(&self) -> u32 {
        self.0.attempts
    }

    /// The account of the run up to the error: what was applied and what was not. None where no
    /// run had begun.
    pub fn report(&self) -> Option<&Report> {
        self.0.report.as_deref()
    }

    pub(crate) fn at(mut self, position: Option<Position>) -> Self {
        self.0.position = position;
        self
    }

    pub(crate) fn by(mut self, fault: Fault) -> Self {
        self.0.fault = fault;
        self
    }

    pub(crate) fn with_source(mut self, source: Box<dyn std::error::Error + Send + Sync>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    pub(crate) fn with_report(mut self, report: Report) -> Self {
        self.0.report = Some(Box::new(report));
        self
    }

    /// Input that the component refused.
    pub(crate) fn of_refusal(failure: SessionFailure, sources: &Sources) -> Self {
        let kind = failure.kind.unwrap_or(ErrorKind::Sandbox);
        let position = failure.at.map(|place| sources.position(place, failure.batch));
        Self::new(kind, failure.message).at(position)
    }

    /// Takes the report of another error where it has none of its own.
    pub(crate) fn or_report_of(mut self, other: &Self) -> Self {
        if self.0.report.is_none() {
            self.0.report.clone_from(&other.0.report);
        }
        self
    }

    /// Says that it would be in vain to try once more.
    pub(crate) fn never_again(mut self) -> Self {
        self.0.retry = Retry::Never;
        self
    }

    /// Says what the message is about, where no position does.
    pub(crate) fn about(mut self, subject: &str) -> Self {
        self.0.message = format!("{subject}: {}", self.0.message);
        self
    }

    /// Says how often a batch was tried, and why not once more.
    pub(crate) fn after(mut self, attempts: u32, end: End) -> Self {
        self.0.attempts = attempts;
        match end {
            End::Final => {}
            End::Exhausted { over } => {
                self.0.kind = ErrorKind::RetriesExhausted;
                self = self.about(&format!("gave up after {attempts} attempts over {over:.1?}"));
            }
            End::TooLate => {
                self.0.kind = ErrorKind::Timeout;
                self = self.about(&format!(
                    "no time is left until the deadline for another attempt after {attempts}"
                ));
            }
            End::Stopped => {
                self.0.kind = ErrorKind::Cancelled;
                self.0.fault = Fault::Caller;
                self = self.about(&format!("the run was cancelled after {attempts} attempts"));
            }
            End::Prevented(why) => {
                self.0.retry = Retry::Never;
                self.0.message = format!("{}; not tried again: {why}", self.0.message);
            }
            End::Kept(why) => {
                self.0.message = format!("{}; not left out: {why}", self.0.message);
            }
            End::TooMany(most) => {
                let message = &self.0.message;
                self.0.message =
                    format!("{message}; not left out: max_rejects of {most} is reached");
            }
        }
        self
    }

    /// What the database said to a statement that is left out.
    pub(crate) fn of_refusal_by_database(problem: &Problem) -> Self {
        Self::of_fault(problem.fault, problem.message.clone(), problem.code.clone())
    }

    fn of_fault(fault: adapters::Fault, message: String, code: Option<String>) -> Self {
        let (kind, by) = classify(fault);
        let mut error = Self::new(kind, message).by(by);
        error.0.retry = retry_after(fault);
        error.0.code = code;
        error
    }

    /// The run cannot go on with what the ledger says.
    pub(crate) fn of_past(unlike: Unlike, sources: &Sources) -> Self {
        let position = unlike.place.map(|place| sources.position(place, None));
        Self::new(unlike.kind, unlike.message).at(position)
    }

    /// What was left out could not be written down.
    pub(crate) fn unwritten(error: std::io::Error) -> Self {
        Self::new(ErrorKind::Output, format!("a rejected statement cannot be written: {error}"))
            .with_source(error.into())
    }

    /// A request that failed.
    pub(crate) fn of_problem(problem: Problem) -> Self {
        let mut error = Self::of_fault(problem.fault, problem.message, problem.code);
        if problem.outcome_unknown {
            error.0.kind = ErrorKind::OutcomeUnknown;
            error.0.fault = Fault::Environment;
            error.0.retry = Retry::Unknown;
        } else if problem.kept > 0 {
            error.0.retry = Retry::Never;
        }
        error.0.attempts = 1;
        error.0.source = problem.source.map(Source::from);
        error
    }
}

/// A session or a connection that could not be had. Nothing was sent.
impl From<AdapterError> for Error {
    fn from(error: AdapterError) -> Self {
        let mut out = Self::of_fault(error.fault, error.message, error.code);
        out.0.source = error.source.map(Source::from);
        out
    }
}

fn classify(fault: adapters::Fault) -> (ErrorKind, Fault) {
    use adapters::Fault as From;
    match fault {
        From::Statement | From::Unsupported => (ErrorKind::Database, Fault::Input),
        From::Connection => (ErrorKind::Connection, Fault::Environment),
        From::Authentication => (ErrorKind::Connection, Fault::Caller),
        From::Timeout => (ErrorKind::Timeout, Fault::Environment),
        From::Cancelled => (ErrorKind::Cancelled, Fault::Caller),
        From::Options => (ErrorKind::InvalidOptions, Fault::Caller),
        From::Resources | From::Conflict => (ErrorKind::Database, Fault::Database),
        _ => (ErrorKind::Database, Fault::Database),
    }
}

fn retry_after(fault: adapters::Fault) -> Retry {
    use adapters::Fault as From;
    match fault {
        From::Connection | From::Timeout | From::Resources | From::Conflict => Retry::Safe,
        _ => Retry::Never,
    }
}

fn fault_of(kind: ErrorKind) -> Fault {
    match kind {
        ErrorKind::BatchSizeExceeded | ErrorKind::InvalidQuery => Fault::Input,
        ErrorKind::InvalidOptions | ErrorKind::Hook | ErrorKind::Cancelled => Fault::Caller,
        ErrorKind::Database | ErrorKind::RetriesExhausted => Fault::Database,
        ErrorKind::Connection | ErrorKind::Timeout => Fault::Environment,
        ErrorKind::OutcomeUnknown | ErrorKind::Input | ErrorKind::Output => Fault::Environment,
        ErrorKind::Sandbox => Fault::Engine,
    }
}

fn retry_of(kind: ErrorKind) -> Retry {
    match kind {
        ErrorKind::OutcomeUnknown => Retry::Unknown,
        ErrorKind::Connection | ErrorKind::Timeout => Retry::Safe,
        _ => Retry::Never,
    }
}

/// `input:line:column`, or `line:column` where the input has no name.
impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(input) = &self.input {
            write!(f, "{input}:")?;
        }
        write!(f, "{}:{}", self.line, self.column)
    }
}

struct Line<'a>(&'a Inner);

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { message, position, code, .. } = self.0;
        if let Some(position) = position {
            write!(f, "{position}: statement {}: ", position.statement)?;
        }
        f.write_str(message)?;
        match code {
            Some(code) if is_sqlstate(code) => write!(f, " (SQLSTATE {code})"),
            Some(code) => write!(f, " (code {code})"),
            None => Ok(()),
        }
    }
}

/// Five characters, capitals and digits: ISO/IEC 9075-2, subclause "SQLSTATE".
fn is_sqlstate(code: &str) -> bool {
    code.len() == 5 && code.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use super::*;

    fn problem() -> Problem {
        Problem {
            fault: adapters::Fault::Statement,
            message: "duplicate key value violates unique constraint \"t_pkey\"".into(),
            quoted: None,
            code: Some("23505".into()),
            statement: Some(0),
            offset: None,
            kept: 0,
            outcome_unknown: false,
            transient: false,
            source: Some("from the driver".into()),
        }
    }

    fn position() -> Position {
        Position {
            input: Some("dump.sql".into()),
            line: 417,
            column: 9,
            offset: 10,
            total_offset: 10,
            statement: 417,
            batch: Some(1),
        }
    }

    #[test]
    fn a_database_error_is_one_line_with_place_fact_and_code() {
        let error = Error::of_problem(problem()).at(Some(position()));
        assert_eq!(
            error.to_string(),
            "dump.sql:417:9: statement 417: duplicate key value violates unique constraint \
             \"t_pkey\" (SQLSTATE 23505)"
        );
        assert_eq!((error.kind(), error.retry()), (ErrorKind::Database, Retry::Never));
        assert_eq!((error.fault(), error.attempts()), (Fault::Input, 1));
        assert_eq!(error.source().unwrap().to_string(), "from the driver");
    }

    #[test]
    fn a_vendor_code_is_not_called_sqlstate() {
        let failed = Problem { code: Some("1062".into()), ..problem() };
        let error = Error::of_problem(failed).about("batch 1");
        assert!(error.to_string().starts_with("batch 1: duplicate key"), "{error}");
        assert!(error.to_string().ends_with("(code 1062)"), "{error}");
    }

    #[test]
    fn a_lost_commit_is_unknown_to_all_three_questions() {
        let lost =
            Problem { fault: adapters::Fault::Connection, outcome_unknown: true, ..problem() };
        let error = Error::of_problem(lost);
        assert_eq!(error.kind(), ErrorKind::OutcomeUnknown);
        assert_eq!(error.fault(), Fault::Environment);
        assert_eq!(error.retry(), Retry::Unknown);
    }

    #[test]
    fn a_request_that_is_applied_in_part_is_never_sent_again() {
        let part = Problem { fault: adapters::Fault::Conflict, kept: 1, ..problem() };
        let error = Error::of_problem(part);
        assert_eq!(error.retry(), Retry::Never);
        let none = Problem { fault: adapters::Fault::Conflict, ..problem() };
        let error = Error::of_problem(none);
        assert_eq!(error.retry(), Retry::Safe);
    }

    #[test]
    fn a_wrong_password_is_a_connection_error_of_the_callers() {
        let refused = AdapterError {
            fault: adapters::Fault::Authentication,
            message: "password authentication failed for user \"app\"".into(),
            code: Some("28P01".into()),
            transient: false,
            source: None,
        };
        let error = Error::from(refused);
        assert_eq!((error.kind(), error.fault()), (ErrorKind::Connection, Fault::Caller));
        assert_eq!(error.code(), Some("28P01"));
    }
}
