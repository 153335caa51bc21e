//! The ledger: a table in the database itself that says what was applied. Each row is written in
//! the transaction of what it stands for, so it is there if and only if that is. Here is what a
//! ledger is and how it is opened; `history` is what an earlier run has left in it.

mod digest;
mod history;
mod span;
mod text;

use std::{
    hash::{BuildHasher as _, RandomState},
    time::{SystemTime, UNIX_EPOCH},
};

use sql_batcher_adapters::{AdapterError, Connection, Dialect, Fault, Problem, Request, Scope};

use crate::{Error, ErrorKind, Result, options::Settings};

pub(crate) use self::{
    digest::Digest,
    history::{Fate, History, Part, Unlike},
    span::{Spans, commits_before, row_of},
};

/// The name of the table, unless another is chosen.
const TABLE: &str = "sql_batcher_ledger";
/// The most bytes of a name: those of an identifier in PostgreSQL (`NAMEDATALEN - 1`) and MySQL
/// (64), <https://www.postgresql.org/docs/current/sql-syntax-lexical.html>.
const MAX_NAME_BYTES: usize = 63;
/// The most bytes of a row's statement: names, five numbers, a checksum.
pub(crate) const MAX_ROW_BYTES: u64 = 1024;

/// A ledger for a run: see [`Options::ledger`](crate::Options::ledger).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedgerOptions {
    /// The table, `name` or `schema.name`: letters, digits and `_`, at most 63 bytes each. It is
    /// created if it is missing. Default `sql_batcher_ledger`, in the schema or database that the
    /// connection starts in.
    pub table: String,
    /// The name of the run, 1 to 64 letters, digits and `_.:-`. Default none: a new run gets one
    /// from the time and chance, and [`resume`](Self::resume) takes the newest run of the table.
    pub run: Option<String>,
    /// Whether to go on with a run that was begun before: what it has applied is not sent again.
    /// Where there is none, one is begun. Default false: a run of this name must not exist.
    pub resume: bool,
    /// What becomes of a statement that could not share a transaction with its row, and was under
    /// way when the run before ended. Default [`InDoubt::Stop`].
    pub in_doubt: InDoubt,
}

/// What becomes of a statement of which the ledger knows only that it was begun.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum InDoubt {
    /// The run stops before it, with [`ErrorKind::OutcomeUnknown`]: the default.
    #[default]
    Stop,
    /// It counts as not applied, and is sent again.
    Repeat,
    /// It counts as applied.
    Skip,
}

impl Default for LedgerOptions {
    fn default() -> Self {
        Self { table: TABLE.to_owned(), run: None, resume: false, in_doubt: InDoubt::default() }
    }
}

impl LedgerOptions {
    /// Whether the names can be used.
    pub(crate) fn check(&self) -> Result<()> {
        let parts: Vec<&str> = self.table.split('.').collect();
        if parts.len() > 2 || !parts.iter().all(|part| is_name(part)) {
            let table = &self.table;
            return Err(invalid(format!(
                "ledger table {table:?} is not a name of letters, digits and _, or two with a dot"
            )));
        }
        match &self.run {
            Some(run) if !is_run(run) => Err(invalid(format!(
                "ledger run {run:?} is not a name of 1 to 64 letters, digits and _.:-"
            ))),
            _ => Ok(()),
        }
    }
}

fn is_name(name: &str) -> bool {
    let known = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    (1..=MAX_NAME_BYTES).contains(&name.len()) && name.bytes().all(known)
}

fn is_run(name: &str) -> bool {
    let known = |byte: u8| byte.is_ascii_alphanumeric() || b"_.:-".contains(&byte);
    (1..=64).contains(&name.len()) && name.bytes().all(known)
}

fn invalid(message: String) -> Error {
    Error::new(ErrorKind::InvalidOptions, message)
}

/// What is known of a range of statements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Under way, outside any transaction.
    Started,
    Applied,
    /// Left out as bad.
    Rejected,
}

/// A row: what became of statements that stand one after another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    /// Number of the first statement in the run, from 1.
    pub(crate) first_statement: u64,
    pub(crate) statements: u64,
    /// Number of the batch in the run that had them sent.
    pub(crate) batch: u64,
    /// Bytes of all input before the first, and up to the end of the last.
    pub(crate) input: (u64, u64),
    pub(crate) checksum: Digest,
    pub(crate) state: State,
}

impl Row {
    /// What tells it from the other rows of its run.
    pub(crate) fn key(&self) -> (u64, State) {
        (self.first_statement, self.state)
    }
}

/// An open ledger.
#[derive(Clone, Debug)]
pub(crate) struct Ledger {
    /// Quoted, with its schema.
    table: String,
    pub(crate) run: String,
    /// Whether another process may have sent the same before.
    pub(crate) resumed: bool,
    dialect: Dialect,
}

/// Why a ledger could not be opened.
#[derive(Debug)]
pub(crate) enum Unopened {
    /// There was no connection.
    Unreachable(AdapterError),
    /// The database refused something.
    Refused(Problem),
    /// It was opened, and does not fit.
    Unfit(Error),
}

impl Unopened {
    /// Whether another attempt may succeed.
    pub(crate) fn may_pass(&self) -> bool {
        match self {
            Self::Unreachable(error) => error.transient,
            Self::Refused(problem) => problem.transient,
            Self::Unfit(_) => false,
        }
    }

    pub(crate) fn explain(self) -> Error {
        const SUBJECT: &str = "the ledger cannot be opened";
        match self {
            Self::Unreachable(error) => Error::from(error).about(SUBJECT),
            Self::Refused(problem) => Error::of_problem(problem.without_values()).about(SUBJECT),
            Self::Unfit(error) => error,
        }
    }
}

impl From<Problem> for Unopened {
    fn from(problem: Problem) -> Self {
        Self::Refused(problem)
    }
}

impl From<Error> for Unopened {
    fn from(error: Error) -> Self {
        Self::Unfit(error)
    }
}

impl Ledger {
    /// Finds the table or makes it, and begins a run in it or reads what is known of one.
    pub(crate) async fn open(
        connection: &mut dyn Connection,
        options: &LedgerOptions,
        settings: &Settings,
    ) -> Result<(Self, History), Unopened> {
        let dialect = settings.dialect;
        let table = place(connection, options, dialect).await?;
        make(connection, &table, dialect).await?;
        let past = past_run(connection, &table, options).await?;
        let shape = text::shape(settings);
        let resumed = past.is_some();
        if let Some(past) = past {
            text::same_shape(&past.run, &past.shape, &shape)?;
            let ledger = Self { table, run: past.run, resumed, dialect };
            let mut history = History::read(connection, &ledger, options.in_doubt).await?;
            if options.run.is_none() && history.is_empty() {
                let last = connection.fetch(&text::last_applied(&ledger.table)).await?;
                history.other = last.into_iter().flatten().flatten().next();
            }
            return Ok((ledger, history));
        }
        let run = options.run.clone().unwrap_or_else(new_run);
        let ledger = Self { table, run, resumed, dialect };
        let header = text::header(&ledger.table, &ledger.run, &shape);
        alone(connection, &header).await?;
        Ok((ledger, History::default()))
    }

    /// The statement that writes a row, with its separator and no line feed.
    pub(crate) fn insert(&self, row: &Row) -> String {
        text::insert(&self.table, &self.run, row)
    }

    /// Whether the ledger has a row in this state that begins with this statement.
    pub(crate) async fn holds(
        &self,
        connection: &mut dyn Connection,
        (first_statement, state): (u64, State),
    ) -> Result<bool, Problem> {
        let sql = text::find(&self.table, &self.run, first_statement, state);
        Ok(!connection.fetch(&sql).await?.is_empty())
    }

    /// Writes a row by itself.
    pub(crate) async fn write(
        &self,
        connection: &mut dyn Connection,
        row: &Row,
    ) -> Result<(), Problem> {
        alone(connection, &self.insert(row)).await
    }

    /// Takes back that a statement was begun.
    pub(crate) async fn forget(
        &self,
        connection: &mut dyn Connection,
        first_statement: u64,
    ) -> Result<(), Problem> {
        alone(connection, &text::forget(&self.table, &self.run, first_statement)).await
    }

    /// A statement that locks tables, with the ledger among them: while MySQL has locked some, no
    /// other can be written.
    pub(crate) fn locked_too(&self, statement: &[u8]) -> Option<Vec<u8>> {
        let takes = self.dialect == Dialect::MySql && text::locks_tables(statement);
        takes.then(|| text::with_lock(statement, &self.table))
    }
}

/// A run that is in the table already.
struct PastRun {
    run: String,
    shape: String,
}

/// The run to go on with; none where one is to be begun.
async fn past_run(
    connection: &mut dyn Connection,
    table: &str,
    options: &LedgerOptions,
) -> Result<Option<PastRun>, Unopened> {
    if options.run.is_none() && !options.resume {
        return Ok(None);
    }
    let rows = connection.fetch(&text::newest_run(table, options.run.as_deref())).await?;
    let Some(run) = rows.into_iter().next() else { return Ok(None) };
    let mut values = run.into_iter().map(Option::unwrap_or_default);
    let (run, shape) = (values.next().unwrap_or_default(), values.next().unwrap_or_default());
    if options.resume {
        return Ok(Some(PastRun { run, shape }));
    }
    Err(invalid(format!("the ledger has a run {run:?} already: resume it, or choose a new name")))?
}

/// The quoted name of the table with its schema, as scripts may change where names are looked up.
async fn place(
    connection: &mut dyn Connection,
    options: &LedgerOptions,
    dialect: Dialect,
) -> Result<String, Unopened> {
    let (schema, name) = match options.table.split_once('.') {
        Some((schema, name)) => (schema.to_owned(), name),
        None => (current_schema(connection, dialect).await?, options.table.as_str()),
    };
    Ok(format!("{}.{}", text::quote(dialect, &schema), text::quote(dialect, name)))
}

async fn current_schema(
    connection: &mut dyn Connection,
    dialect: Dialect,
) -> Result<String, Unopened> {
    let Some(sql) = text::current_schema(dialect) else { return Ok("main".to_owned()) };
    let rows = connection.fetch(sql).await?;
    let schema = rows.into_iter().flatten().flatten().next();
    schema.ok_or_else(|| {
        Unopened::Unfit(invalid(
            "the ledger has no place, as no database is chosen: name one in the url, or in the \
             name of the table"
                .to_owned(),
        ))
    })
}

/// Makes the table, unless it can be read: to make it where it is would take a privilege.
async fn make(
    connection: &mut dyn Connection,
    table: &str,
    dialect: Dialect,
) -> Result<(), Problem> {
    let probe = text::probe(table);
    if connection.fetch(&probe).await.is_ok() {
        return Ok(());
    }
    let made = alone(connection, &text::create(table, dialect)).await;
    match made {
        Ok(()) => Ok(()),
        // Another run may have made it just now.
        Err(problem) => connection.fetch(&probe).await.map(drop).map_err(|_| problem),
    }
}

/// Runs a statement of the ledger's own.
async fn alone(connection: &mut dyn Connection, statement: &str) -> Result<(), Problem> {
    let Ok(end) = u32::try_from(statement.len()) else {
        return Err(Problem::new(Fault::Unsupported, "the ledger's statement is too long"));
    };
    let request = Request {
        body: statement.as_bytes(),
        ends: &[end],
        scope: Scope::Bare,
        copy: None,
        inserts: &[],
    };
    connection.execute(request).await.map(drop)
}

/// A name that no other run has: seconds since 1970, and chance.
fn new_run() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    format!("{}-{:08x}", now.as_secs(), RandomState::new().hash_one(now) & 0xffff_ffff)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rejected(change: impl FnOnce(&mut LedgerOptions)) -> String {
        let mut options = LedgerOptions::default();
        change(&mut options);
        options.check().unwrap_err().to_string()
    }

    #[test]
    fn names_have_their_limits() {
        assert!(LedgerOptions::default().check().is_ok());
        let long = |bytes| LedgerOptions { table: "t".repeat(bytes), ..LedgerOptions::default() };
        assert!(long(62).check().is_ok() && long(63).check().is_ok());
        assert!(long(64).check().is_err());
        for table in ["", ".", "a.", "a.b.c", "a b", "a\"b", "a;b"] {
            assert!(rejected(|options| options.table = table.into()).contains("ledger table"));
        }
        for run in ["", "a b", "a'b", &"r".repeat(65)] {
            assert!(rejected(|options| options.run = Some(run.into())).contains("ledger run"));
        }
    }

    #[test]
    fn new_runs_have_names_of_their_own_that_are_valid() {
        let (one, other) = (new_run(), new_run());
        assert_ne!(one, other);
        assert!(is_run(&one), "{one}");
    }
}
