//! A session: text in, batches out, outcomes in, an account out. The loop that drives the parts.

use std::collections::VecDeque;

use crate::account::{Account, Weight};
use crate::filling::{Filling, Sealed};
use crate::input::Input;
use crate::merging::Merger;
use crate::run::MOST_PAUSED;
use crate::sequence::{self, Decision};
use crate::splitter::Splitter;
use crate::transaction::ScriptTransaction;
use crate::trials::Trials;
use crate::types::{
    BatchInfo, Cause, Event, Execution, Failure, FailureKind, Host, Options, Outcome, Progress,
    Report, SealReason, Transactions,
};

/// The most batches under way, and the most hooks.
const MOST: u32 = 64;
/// The most characters of a hook's name.
const MOST_OF_A_NAME: usize = 64;
/// The most bytes of one body: positions in it are 32 bits wide.
const MAX_BODY_BYTES: u64 = u32::MAX as u64;

/// A batch that the database has not answered yet.
#[derive(Debug)]
struct InFlight {
    info: BatchInfo,
    weight: Weight,
    barrier: bool,
}

/// One run.
#[derive(Debug)]
pub struct Session {
    pub(crate) options: Options,
    pub(crate) input: Input,
    pub(crate) splitter: Splitter,
    pub(crate) script: ScriptTransaction,
    pub(crate) account: Account,
    pub(crate) filling: Filling,
    /// What joins INSERTs, where that is wanted.
    pub(crate) merger: Option<Merger>,
    pub(crate) trials: Trials,
    pub(crate) waiting: VecDeque<Sealed>,
    /// What ends the run once all before it is applied.
    pub(crate) refusal: Option<Failure>,
    /// The script has changed something inside its own transaction, which is still open.
    pub(crate) uncommitted: bool,
    pub(crate) now_ms: u64,
    in_flight: Vec<InFlight>,
    batches: u64,
    failure: Option<Failure>,
    finishing: bool,
    stopped: bool,
}

impl Session {
    /// Opens a session.
    ///
    /// # Errors
    /// [`FailureKind::InvalidOptions`] where a limit leaves its range.
    pub fn open(options: Options) -> Result<Self, Failure> {
        check(&options)?;
        let longest = usize::try_from(options.limits.max_statement_bytes).unwrap_or(usize::MAX);
        let counts_rows = options.limits.max_rows.is_some();
        Ok(Self {
            input: Input::new(),
            splitter: Splitter::new(options.dialect, longest, counts_rows),
            script: ScriptTransaction::default(),
            account: Account::new(options.transactions == Transactions::Run),
            filling: Filling::default(),
            merger: options.merging.map(|merging| Merger::new(options.dialect, merging)),
            trials: Trials::new(MOST_PAUSED),
            waiting: VecDeque::new(),
            refusal: None,
            uncommitted: false,
            now_ms: 0,
            in_flight: Vec::new(),
            batches: 0,
            failure: None,
            finishing: false,
            stopped: false,
            options,
        })
    }

    /// Takes a piece of a script, cut anywhere.
    pub fn push(&mut self, host: &mut impl Host, chunk: Vec<u8>, now_ms: u64) -> Progress {
        self.now_ms = self.now_ms.max(now_ms);
        match self.input.seam(&chunk) {
            Some(seam) => self.take_in_two(host, chunk, seam),
            None => self.take(chunk),
        }
        self.go_on(host, now_ms)
    }

    /// Takes a chunk whose first bytes end the statement that has begun, if they do: the rest is
    /// then not copied behind what is left of the chunk before.
    fn take_in_two(&mut self, host: &mut impl Host, chunk: Vec<u8>, seam: usize) {
        if self.stopped || self.finishing {
            return self.take(chunk);
        }
        self.input.extend(&chunk[..seam]);
        self.pump(host);
        self.compact();
        if self.stopped {
            return;
        }
        if self.input.buffer.is_empty() && self.splitter.is_between() {
            self.input.go_on_in(chunk, seam);
            self.splitter.go_on_at(seam);
        } else {
            self.input.extend(&chunk[seam..]);
        }
    }

    /// Whether the database's protocol cannot carry NUL bytes.
    pub(crate) fn refuses_nul(&self) -> bool {
        !self.options.dialect.rules().nul
    }

    /// Takes statements that are already apart, each an input of its own: `ends` are their ends in
    /// `text`. Ends that are not ascending, or beyond the text, are a misuse.
    pub fn add(&mut self, host: &mut impl Host, text: &str, ends: &[u32], now_ms: u64) -> Progress {
        let mut start = 0;
        for &end in ends {
            match text.get(start..end as usize) {
                Some(statement) => {
                    self.take(statement.as_bytes().to_vec());
                    self.input.end();
                    start = end as usize;
                }
                None => {
                    self.misuse("the ends of statements are not ascending within their text");
                    break;
                }
            }
        }
        self.go_on(host, now_ms)
    }

    /// Ends one input: a statement without terminator is complete, lines and columns start anew.
    pub fn end_input(&mut self, host: &mut impl Host, now_ms: u64) -> Progress {
        self.input.end();
        self.go_on(host, now_ms)
    }

    /// Says what time it is.
    pub fn tick(&mut self, host: &mut impl Host, now_ms: u64) -> Progress {
        self.go_on(host, now_ms)
    }

    /// Closes the batch that is being filled, once all that came before is read.
    pub fn flush(&mut self, host: &mut impl Host, now_ms: u64) -> Progress {
        self.input.flush();
        self.go_on(host, now_ms)
    }

    /// Says how a batch ended that was pending.
    pub fn complete(
        &mut self,
        host: &mut impl Host,
        batch: u64,
        outcome: &Outcome,
        now_ms: u64,
    ) -> Progress {
        match self.in_flight.iter().position(|waiting| waiting.info.id == batch) {
            Some(index) => {
                let done = self.in_flight.swap_remove(index);
                self.ended(host, &done, outcome);
            }
            None => self.misuse(&format!("batch {batch} is not in flight")),
        }
        self.go_on(host, now_ms)
    }

    /// Starts nothing more: what has not been sent is not reached.
    pub fn cancel(&mut self, host: &mut impl Host, now_ms: u64) -> Progress {
        self.stop();
        self.go_on(host, now_ms)
    }

    /// Ends the input and sends what is left.
    pub fn finish(&mut self, host: &mut impl Host, now_ms: u64) -> Progress {
        self.input.end();
        self.finishing = true;
        self.go_on(host, now_ms)
    }

    /// The account as it stands.
    #[must_use]
    pub fn account(&self) -> Report {
        self.account.report()
    }

    pub(crate) fn is_finishing(&self) -> bool {
        self.finishing
    }

    fn take(&mut self, chunk: Vec<u8>) {
        if self.finishing && !chunk.is_empty() {
            self.misuse("text was pushed after the end");
        } else if !self.stopped {
            self.input.push(chunk);
        }
    }

    fn misuse(&mut self, message: &str) {
        self.fail(Failure::new(FailureKind::Misuse, message));
    }

    /// Does all that can be done, and says what is next.
    fn go_on(&mut self, host: &mut impl Host, now_ms: u64) -> Progress {
        self.now_ms = self.now_ms.max(now_ms);
        self.pump(host);
        if self.waiting.is_empty() && self.deadline_ms().is_some_and(|due| due <= self.now_ms) {
            self.seal(host, SealReason::Age, true);
            self.pump(host);
        }
        self.compact();
        let report = self.settle();
        Progress {
            in_flight: u32::try_from(self.in_flight.len()).unwrap_or(u32::MAX),
            ready: self.waiting.is_empty() && !self.stopped && !self.finishing,
            deadline_ms: self.deadline_ms(),
            failure: self.failure.clone(),
            report,
        }
    }

    fn pump(&mut self, host: &mut impl Host) {
        while !self.stopped {
            if let Some(sealed) = self.waiting.pop_front() {
                if !self.may_start(&sealed) {
                    self.waiting.push_front(sealed);
                    return;
                }
                self.start(host, sealed);
            } else if self.refusal.is_some() {
                self.refusal.take().into_iter().for_each(|refusal| self.fail(refusal));
            } else if !self.advance(host) {
                return;
            }
        }
    }

    fn deadline_ms(&self) -> Option<u64> {
        let age = self.options.limits.max_age_ms.filter(|_| self.filling.statements() > 0)?;
        Some(self.filling.opened_ms().saturating_add(age))
    }

    fn may_start(&self, sealed: &Sealed) -> bool {
        let alone = sealed.barrier || self.in_flight.iter().any(|other| other.barrier);
        self.in_flight.is_empty()
            || (!alone && self.in_flight.len() < self.options.limits.max_in_flight as usize)
    }

    /// Closes the batch that is being filled, if it holds anything.
    pub(crate) fn seal(&mut self, host: &mut impl Host, reason: SealReason, last: bool) {
        if self.filling.is_empty() && last && !self.filling.in_copy() {
            return;
        }
        self.batches += 1;
        let (id, sequential) = (self.batches, self.options.limits.sequential);
        let mut sealed = self.filling.seal(&self.input.buffer, id, reason, last, sequential);
        if let Some(merger) = &mut self.merger {
            merger.part(&mut sealed.batch.joins);
        }
        host.emit(Event::Sealed(sealed.batch.info()));
        self.waiting.push_back(sealed);
    }

    fn start(&mut self, host: &mut impl Host, mut sealed: Sealed) {
        if !sealed.asked {
            match sequence::before(host, &self.options, &mut sealed) {
                Decision::Execute => sealed.asked = true,
                Decision::Skip => return self.account.skipped(sealed.weight.statements),
                Decision::Stop(failure) => return self.fail(failure),
            }
            if !self.may_start(&sealed) {
                // What a hook made of it cannot run beside others.
                return self.waiting.push_front(sealed);
            }
        }
        let Sealed { batch, weight, barrier, .. } = sealed;
        let started = InFlight { info: batch.info(), weight, barrier };
        self.account.sent(started.info.bytes);
        match host.execute(batch) {
            Execution::Pending => self.in_flight.push(started),
            Execution::Finished(outcome) => self.ended(host, &started, &outcome),
        }
    }

    fn ended(&mut self, host: &mut impl Host, batch: &InFlight, outcome: &Outcome) {
        self.account.ended(batch.weight, outcome);
        let id = batch.info.id;
        let message = outcome.interruption.map(|interruption| match interruption.cause {
            Cause::Failed => format!("batch {id} failed"),
            Cause::Unknown => format!("the outcome of batch {id} is unknown"),
            Cause::Cancelled => format!("batch {id} was cancelled"),
        });
        let hook = sequence::after(host, &self.options.hooks, batch.info, outcome);
        let own = message.map(|text| Failure::new(FailureKind::Execution, text).in_batch(id));
        if let Some(failure) = own.or(hook) {
            self.fail(failure);
        }
    }

    fn fail(&mut self, failure: Failure) {
        self.failure.get_or_insert(failure);
        self.stop();
    }

    fn stop(&mut self) {
        self.stopped = true;
        self.waiting.clear();
        self.filling = Filling::default();
        self.refusal = None;
        self.input.clear();
        let under_way = self.in_flight.iter().map(|batch| batch.weight.statements).sum();
        self.account.stop(under_way);
    }

    /// The account, once the run has ended and nothing is under way.
    fn settle(&mut self) -> Option<Report> {
        let drained = self.in_flight.is_empty() && self.waiting.is_empty();
        if !drained || !(self.stopped || self.finishing) {
            return None;
        }
        if self.stopped {
            self.account.roll_back();
        } else if self.options.transactions != Transactions::Run {
            match self.script.began_at().filter(|_| self.uncommitted) {
                Some(position) => {
                    let message = "transaction is never committed: the database takes it back";
                    self.account.roll_back();
                    self.fail(Failure::new(FailureKind::InvalidQuery, message).at(position));
                }
                None => self.account.keep_open(),
            }
        }
        Some(self.account.report())
    }
}

fn check(options: &Options) -> Result<(), Failure> {
    let limits = &options.limits;
    let most = u64::from(MOST);
    let merged_rows = options.merging.map_or(1, |merging| merging.max_rows);
    let ranges = [
        ("max-batch-bytes", limits.max_batch_bytes, 1, MAX_BODY_BYTES),
        (
            "max-statement-bytes",
            limits.max_statement_bytes,
            limits.max_batch_bytes,
            MAX_BODY_BYTES - 8,
        ),
        ("max-statements", u64::from(limits.max_statements), 1, 1_000_000),
        ("max-batch-characters", limits.max_batch_characters.unwrap_or(1), 1, u64::MAX),
        ("max-commands", u64::from(limits.max_commands.unwrap_or(1)), 1, u64::from(u32::MAX)),
        ("max-rows of merging", u64::from(merged_rows), 1, u64::from(u32::MAX)),
        ("max-rows", u64::from(limits.max_rows.unwrap_or(1)), 1, u64::from(u32::MAX)),
        ("max-in-flight", u64::from(limits.max_in_flight), 1, most),
        ("hook-room", options.hook_room, 0, limits.max_batch_bytes.saturating_sub(1)),
        ("hooks", options.hooks.len() as u64, 0, most),
    ];
    for (name, value, least, greatest) in ranges {
        if value < least || value > greatest {
            let message = format!("{name} of {value} is not between {least} and {greatest}");
            return Err(Failure::new(FailureKind::InvalidOptions, message));
        }
    }
    for hook in &options.hooks {
        let characters = hook.name.chars().count();
        if characters == 0 || characters > MOST_OF_A_NAME {
            let message =
                format!("a hook's name of {characters} characters is not between 1 and 64");
            return Err(Failure::new(FailureKind::InvalidOptions, message));
        }
    }
    Ok(())
}
