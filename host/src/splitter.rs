//! Splits and batches as a run would, in the same sandbox, and touches no database.

use std::{mem, sync::Arc};

use crate::{
    Batch, Core, Error, ErrorKind, Options, Position, Report, Result,
    driver::Command,
    hooks::Hooks,
    input::Sources,
    pieces::{PIECE_BYTES, Statements},
    progress::Progress,
    report::Failure,
    sandbox::{Answer, Session},
    tally::Tally,
};

/// Input in, batches out: what a [`Batcher`](crate::Batcher) with the same options would send to a
/// database that has no limits of its own.
///
/// ```
/// use sql_batcher::{Options, Splitter};
///
/// # fn main() -> sql_batcher::Result<()> {
/// let mut splitter = Splitter::new(Options::default())?;
/// splitter.begin_input("a.sql")?;
/// let mut batches = splitter.push(b"SELECT 1; SELECT ';'")?;
/// let (rest, report) = splitter.finish()?;
/// batches.extend(rest);
/// assert_eq!(batches[0].statement(1).as_deref(), Some(&b"SELECT ';'"[..]));
/// assert_eq!(report.statements, 2);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Splitter {
    session: Session,
    sources: Sources,
    tally: Tally,
    batches: Vec<Batch>,
    in_script: bool,
    failed: Option<Error>,
}

impl Splitter {
    /// A splitter with these options; the dialect is [`Dialect::Generic`] unless they say another.
    ///
    /// [`Dialect::Generic`]: crate::Dialect::Generic
    ///
    /// # Errors
    /// [`ErrorKind::InvalidOptions`] where an option is out of its range, [`ErrorKind::Sandbox`]
    /// where no sandbox is to be had.
    pub fn new(options: Options) -> Result<Self> {
        Self::with_core(Core::embedded()?, options)
    }

    /// A splitter around another component than the embedded one.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn with_core(core: &Core, options: Options) -> Result<Self> {
        let settings = options.settle()?;
        Ok(Self {
            session: Session::open(core, settings, Answer::Applied, Hooks::default())?,
            sources: Sources::default(),
            tally: Tally::new(String::new(), Vec::new()),
            batches: Vec::new(),
            in_script: false,
            failed: None,
        })
    }

    /// Takes a piece of a script, cut anywhere, and gives the batches that are complete.
    ///
    /// # Errors
    /// Whatever ends the run: [`ErrorKind::InvalidQuery`], [`ErrorKind::BatchSizeExceeded`],
    /// [`ErrorKind::Sandbox`]. What is complete before the error is still to be had from
    /// [`take_batches`](Self::take_batches). Each later call fails with the same error.
    pub fn push(&mut self, script: &[u8]) -> Result<Vec<Batch>> {
        self.in_script = true;
        for piece in script.chunks(PIECE_BYTES) {
            self.tally.received += piece.len() as u64;
            self.call(|session| session.push(piece, 0))?;
        }
        Ok(self.take_batches())
    }

    /// Takes one statement, as [`Batcher::add`](crate::Batcher::add) does, and gives the batches
    /// that are complete.
    ///
    /// # Errors
    /// As [`push`](Self::push).
    pub fn add(&mut self, statement: &str) -> Result<Vec<Batch>> {
        if self.in_script {
            self.end_input()?;
        }
        if statement.len() > PIECE_BYTES {
            self.push(statement.as_bytes()).map(|batches| self.batches = batches)?;
            self.end_input()?;
            return Ok(self.take_batches());
        }
        self.tally.received += statement.len() as u64;
        let mut one = Statements::default();
        one.push(statement);
        if let Command::Statements { text, ends } = one.take() {
            self.call(|session| session.add(&text, &ends, 0))?;
        }
        Ok(self.take_batches())
    }

    /// What is pushed from here on is an input of its own, with this name in positions. The input
    /// before it is ended.
    ///
    /// # Errors
    /// As [`push`](Self::push). Batches that this completes come with the next call.
    pub fn begin_input(&mut self, name: impl Into<Arc<str>>) -> Result<()> {
        self.end_input()?;
        self.sources.begin(self.tally.received, Some(name.into()));
        Ok(())
    }

    /// Ends an input: a last statement without terminator is complete; what is pushed after it has
    /// no name.
    ///
    /// # Errors
    /// As [`push`](Self::push). Batches that this completes come with the next call.
    pub fn end_input(&mut self) -> Result<()> {
        self.call(|session| session.end_input(0))?;
        self.sources.begin(self.tally.received, None);
        self.in_script = false;
        Ok(())
    }

    /// Ends the input and gives the last batches, and the account. In it no statement is applied:
    /// all of them are not reached.
    ///
    /// # Errors
    /// As [`push`](Self::push). The batches that are complete are lost with the splitter: where
    /// they matter, use [`end`](Self::end).
    pub fn finish(mut self) -> Result<(Vec<Batch>, Report)> {
        let report = self.end()?;
        Ok((self.take_batches(), report))
    }

    /// As [`finish`](Self::finish), and leaves the last batches to
    /// [`take_batches`](Self::take_batches).
    ///
    /// # Errors
    /// As [`push`](Self::push).
    pub fn end(&mut self) -> Result<Report> {
        let progress = self.call(|session| session.finish(0))?;
        if progress.account.is_none() {
            return Err(Error::new(ErrorKind::Sandbox, "the run has ended without an account"));
        }
        Ok(self.report(None))
    }

    /// The batches that are complete and have not been given out: after an error, those before it.
    pub fn take_batches(&mut self) -> Vec<Batch> {
        mem::take(&mut self.batches)
    }

    /// Where each statement of a batch starts, in their order.
    pub fn positions(&self, batch: &Batch) -> impl Iterator<Item = Position> {
        self.sources.of_statements(batch)
    }

    /// Where the statement of this index (from 0) of a batch starts; none where there is no such
    /// statement. To find that of one is to count the lines before it in its batch:
    /// [`positions`](Self::positions) are those of all.
    pub fn position(&self, batch: &Batch, index: usize) -> Option<Position> {
        self.sources.of_statement(batch, index)
    }

    fn call(
        &mut self,
        function: impl FnOnce(&mut Session) -> Result<Progress>,
    ) -> Result<Progress> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        let called = function(&mut self.session);
        self.batches.extend(self.session.take_batches());
        let ended = match called {
            Ok(Progress { failure: Some(failure), .. }) => {
                Error::of_refusal(failure, &self.sources)
            }
            Ok(progress) => {
                self.count()?;
                return Ok(progress);
            }
            Err(error) => error,
        };
        // A sandbox that has failed has no account any more; the last one holds.
        let _ = self.count();
        let report = self.report(Some(Failure::from(&ended)));
        let error = ended.with_report(report);
        self.failed = Some(error.clone());
        Err(error)
    }

    fn count(&mut self) -> Result<()> {
        self.tally.account = self.session.account()?;
        self.tally.noticed = self.session.noticed();
        Ok(())
    }

    fn report(&self, failure: Option<Failure>) -> Report {
        let mut report = self.tally.report(failure);
        report.not_reached += mem::take(&mut report.applied);
        report
    }
}
