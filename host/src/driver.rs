//! The driver: one loop between what the caller gives, what the component wants, and what the
//! database answers. It runs as a task of its own, so that reading, splitting and the database
//! overlap; it owns the session, the connections and the account.

mod ending;
mod launch;

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use sql_batcher_adapters::{Adapter, Problem};
use tokio::{
    sync::{mpsc, oneshot, watch},
    task::{JoinError, JoinSet},
    time::{Instant, sleep_until},
};

use self::ending::outcome_alone;
use crate::{
    Error, ErrorKind, Position, Report, Result, Transactions,
    batch::Batch,
    guard::Deadline,
    input::Sources,
    ledger::{History, Spans},
    metrics::Instruments,
    options::Settings,
    progress::{Outcome, Progress},
    run_batch::Landed,
    sandbox::Session,
    send::{Ready, Refusal},
    session_memory::SessionMemory,
    slot::Slot,
    tally::{Observer, Tally},
    trouble::{Failed, Trouble},
};

/// How long what is under way may take to end once the run is aborted: its cancel is bounded, and
/// this is for whatever is not.
const ABORT_WITHIN: Duration = Duration::from_secs(5);

/// What a caller wants done, in order.
#[derive(Debug)]
pub(crate) enum Command {
    /// A piece of a script, cut anywhere.
    Bytes(Vec<u8>),
    /// A piece of a script that is UTF-8.
    Text(String),
    /// Statements that are already apart.
    Statements { text: String, ends: Vec<u32> },
    /// What follows is an input of its own, with this name.
    BeginInput(Arc<str>),
    /// The input has ended; what follows has no name.
    EndInput,
    /// Send what there is, and answer once all of it is applied.
    Flush(oneshot::Sender<()>),
    /// There is no more.
    Finish,
}

/// How a run is to end early.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stop {
    #[default]
    No,
    /// Nothing more is started; what is under way may end.
    Cancel,
    /// What is under way is taken back, too.
    Abort,
}

/// Everything that one run needs.
pub(crate) struct Driver {
    pub(crate) session: Session,
    pub(crate) adapter: Arc<dyn Adapter>,
    pub(crate) idle: Vec<Slot>,
    pub(crate) commands: mpsc::Receiver<Command>,
    pub(crate) stop: watch::Receiver<Stop>,
    pub(crate) tally: Arc<Mutex<Tally>>,
    pub(crate) observer: Observer,
    pub(crate) settings: Settings,
    pub(crate) instruments: Instruments,
    pub(crate) memory: Arc<Mutex<SessionMemory>>,
    /// The end of the run's time, if it has one.
    pub(crate) deadline: Option<Deadline>,
}

struct Run {
    driver: Driver,
    progress: Progress,
    /// Batches that the component has handed out and that are not under way.
    queue: VecDeque<Batch>,
    /// The next of them, by its number, and its text.
    ready: Option<(u64, Ready)>,
    /// Batches and bytes that were handed out and are never sent.
    given_back: (u64, u64),
    flights: JoinSet<Landed>,
    /// Statements of the batches that were applied, be it inside a transaction that is still open.
    landed: u64,
    /// Shared with the batches under way.
    sources: Arc<Sources>,
    /// What an earlier process has applied.
    history: History,
    /// What the ledger's next row stands for; none without a ledger.
    spans: Option<Spans>,
    /// Where the `COPY` block starts whose data is under way.
    copying: Option<Position>,
    /// Whether a script has been pushed and not ended.
    in_script: bool,
    flush: Option<oneshot::Sender<()>>,
    stopped: Stop,
    /// Whether the time of the run is over.
    expired: bool,
    /// Whether a batch was interrupted: nothing is started after it.
    broken: bool,
    ticked_ms: Option<u64>,
    failure: Option<Error>,
    started: Instant,
}

impl Driver {
    /// Drives one run to its end.
    ///
    /// # Errors
    /// Whatever ended the run early, with the report.
    pub(crate) async fn run(self) -> Result<Report> {
        let mut run = Run {
            driver: self,
            progress: Progress { ready: true, ..Progress::default() },
            queue: VecDeque::new(),
            ready: None,
            given_back: (0, 0),
            flights: JoinSet::new(),
            landed: 0,
            sources: Arc::default(),
            history: History::default(),
            spans: None,
            copying: None,
            in_script: false,
            flush: None,
            stopped: Stop::No,
            expired: false,
            broken: false,
            ticked_ms: None,
            failure: None,
            started: Instant::now(),
        };
        let worked = match run.open_ledger().await {
            Ok(()) => run.work().await,
            Err(error) => Err(error),
        };
        if let Err(error) = worked {
            run.failure.get_or_insert(error);
            run.settle().await;
        }
        run.close().await
    }
}

impl Run {
    /// The loop. Ends with the account of the component, or where the component cannot go on.
    async fn work(&mut self) -> Result<()> {
        loop {
            self.launch().await?;
            self.answer_flush();
            if self.progress.account.is_some() {
                return Ok(());
            }
            let due = self.progress.deadline_ms.filter(|due| self.ticked_ms != Some(*due));
            tokio::select! {
                biased;
                stop = stopped(&mut self.driver.stop, self.stopped) => self.obey_stop(stop)?,
                Some(landed) = self.flights.join_next() => self.land(landed).await?,
                () = at(self.driver.deadline), if !self.expired => {
                    self.expired = true;
                    self.call(Session::cancel)?;
                }
                () = until(self.started, due) => {
                    self.ticked_ms = due;
                    self.call(Session::tick)?;
                }
                command = self.driver.commands.recv(), if self.wants_input() => {
                    self.obey(command.ok_or_else(abandoned)?)?;
                }
            }
        }
    }

    fn wants_input(&self) -> bool {
        let Progress { ready, failure, .. } = &self.progress;
        let open = self.stopped == Stop::No && !self.expired;
        *ready && failure.is_none() && self.flush.is_none() && open
    }

    fn spans_run(&self) -> bool {
        self.driver.settings.transactions == Transactions::Run
    }

    fn answer_flush(&mut self) {
        if self.progress.in_flight == 0 && self.progress.failure.is_none() {
            // Whoever no longer waits needs no answer.
            let _ = self.flush.take().map(|waiting| waiting.send(()));
        }
    }

    fn obey(&mut self, command: Command) -> Result<()> {
        match command {
            Command::Bytes(chunk) => {
                self.receive(chunk.len());
                self.in_script = true;
                self.call(|session, now_ms| session.push(&chunk, now_ms))
            }
            Command::Text(chunk) => {
                self.receive(chunk.len());
                self.in_script = true;
                self.call(|session, now_ms| session.push_text(&chunk, now_ms))
            }
            Command::Statements { text, ends } => {
                if self.in_script {
                    self.end_input(None)?;
                }
                self.receive(text.len());
                self.call(|session, now_ms| session.add(&text, &ends, now_ms))
            }
            Command::BeginInput(name) => self.end_input(Some(name)),
            Command::EndInput => self.end_input(None),
            Command::Flush(waiting) => {
                self.flush = Some(waiting);
                self.call(Session::flush)
            }
            Command::Finish => self.call(Session::finish),
        }
    }

    fn obey_stop(&mut self, stop: Stop) -> Result<()> {
        self.stopped = stop;
        if stop == Stop::Abort {
            return Err(cancelled());
        }
        self.call(Session::cancel)
    }

    fn end_input(&mut self, next: Option<Arc<str>>) -> Result<()> {
        let ended = self.call(Session::end_input);
        let received = self.tally().received;
        self.driver.session.name_input(received, next.clone());
        Arc::make_mut(&mut self.sources).begin(received, next);
        self.in_script = false;
        ended
    }

    fn receive(&mut self, bytes: usize) {
        self.tally().received += bytes as u64;
    }

    /// One call into the component, and what follows from it.
    fn call(&mut self, function: impl FnOnce(&mut Session, u64) -> Result<Progress>) -> Result<()> {
        let now_ms = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let spans_run = self.spans_run();
        let Driver { session, instruments, tally, observer, .. } = &mut self.driver;
        let entered = std::time::Instant::now();
        self.progress = function(session, now_ms)?;
        let own_time = entered.elapsed().saturating_sub(session.take_hook_time());
        instruments.enter(own_time, session.memory_bytes());
        self.queue.extend(session.take_batches());
        let mut account = session.account()?;
        // To the component, what it has handed out is sent.
        let waiting = self.queue.iter().map(|batch| batch.sent_bytes() as u64);
        let (batches, bytes) = self.given_back;
        let handed_out = batches + self.queue.len() as u64;
        account.batches = account.batches.saturating_sub(handed_out);
        account.bytes = account.bytes.saturating_sub(bytes + waiting.sum::<u64>());
        let noticed = session.noticed();
        let news = session.news_of_hooks();

        let mut tally = tally.lock().unwrap_or_else(PoisonError::into_inner);
        tally.account = account;
        tally.noticed = noticed;
        tally.count(instruments, !spans_run);
        if let Some(news) = news {
            tally.hooks = news;
        }
        observer.tell(|| tally.snapshot());
        Ok(())
    }

    /// Tells the component how a batch ended; the details of a failure stay here.
    async fn land(&mut self, landed: Result<Landed, JoinError>) -> Result<()> {
        let (batch, outcome) = self.record(landed)?;
        let statements = batch.statements() as u64;
        let whole = outcome.interruption.is_none();
        self.broken |= !whole;
        // The database does not wait for the component.
        let launched = if whole { self.launch().await } else { Ok(()) };
        let kept = outcome.clone();
        let told = self.call(|session, now_ms| session.complete(batch.id, outcome, now_ms));
        if told.is_err() {
            self.tally().account.settle(statements, &outcome_alone(&batch, kept));
        } else if whole {
            self.landed += statements;
        }
        told.and(launched)
    }

    fn record(&mut self, landed: Result<Landed, JoinError>) -> Result<(Batch, Outcome)> {
        let landed = landed.map_err(|_| abandoned())?;
        let Landed { mut slot, batch, outcome, failed, elapsed, tries, around } = landed;
        let warnings = std::mem::take(&mut slot.warnings);
        if tries.attempts > 0 {
            self.driver.instruments.end(elapsed, outcome.name());
        }
        self.driver.idle.push(slot);
        let mut tally = self.tally();
        tally.under_way -= batch.statements() as u64;
        if tries.attempts > 0 {
            tally.times.record(elapsed);
        }
        tally.attempts += u64::from(tries.attempts);
        tally.retries.add(&tries.retries);
        tally.warn(warnings);
        if around > 0 {
            tally.around += u64::from(around);
            let last = batch.statements().saturating_sub(1);
            let place = || self.sources.of_statement(&batch, last);
            tally.first_around = tally.first_around.take().or_else(place);
        }
        drop(tally);
        if let Some(failed) = failed {
            let error = self.explain(failed, &batch);
            self.failure.get_or_insert(error);
        }
        Ok((batch, outcome))
    }

    fn explain(&self, failed: Failed, batch: &Batch) -> Error {
        let Failed { trouble, attempts, end } = failed;
        let error = match *trouble {
            Trouble::Unreachable(error) => return Error::from(error).after(attempts, end),
            Trouble::Unwritten(error) => return Error::unwritten(error),
            Trouble::Lacking { gone, lacks } => {
                let message = format!("{gone}, and a new one would lack {lacks}");
                Error::new(ErrorKind::Connection, message).never_again()
            }
            Trouble::Refused(Refusal { problem, .. }) => {
                let problem = self.shown(problem);
                let position = self.position_of(&problem, batch);
                Error::of_problem(problem).at(position)
            }
        };
        let error = error.after(attempts, end);
        if error.position().is_some() {
            return error;
        }
        let first = self.sources.of_statement(batch, 0);
        let from = first.map(|first| format!(", from {first}")).unwrap_or_default();
        error.about(&format!("batch {}{from}", batch.id))
    }

    /// What is to be shown of a problem.
    fn shown(&self, problem: Problem) -> Problem {
        match self.driver.settings.show_values {
            true => problem,
            false => problem.without_values(),
        }
    }

    fn position_of(&self, problem: &Problem, batch: &Batch) -> Option<Position> {
        let place = match (problem.offset, problem.statement, batch.statements()) {
            (_, _, 0) => {
                let start = self.copying.clone()?;
                return Some(Position { batch: Some(batch.id), ..start });
            }
            (Some(offset), _, _) => batch.locate(offset as usize),
            (None, Some(index), _) => batch.place(index as usize),
            (None, None, 1) => batch.place(0),
            (None, None, _) => None,
        };
        Some(self.sources.position(place?, Some(batch.id)))
    }

    fn tally(&self) -> MutexGuard<'_, Tally> {
        self.driver.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Waits for this moment; for ever where there is none.
async fn until(started: Instant, due_ms: Option<u64>) {
    match due_ms {
        Some(due_ms) => sleep_until(started + Duration::from_millis(due_ms)).await,
        None => std::future::pending().await,
    }
}

/// Waits for the end of the run's time; for ever where there is none.
async fn at(deadline: Option<Deadline>) {
    match deadline {
        Some(deadline) => sleep_until(deadline.at).await,
        None => std::future::pending().await,
    }
}

/// Waits until a stop is wanted that goes further than the one before.
async fn stopped(stop: &mut watch::Receiver<Stop>, seen: Stop) -> Stop {
    let wanted = stop.wait_for(|stop| *stop > seen).await.map(|stop| *stop);
    match wanted {
        Ok(stop) => stop,
        Err(_) => std::future::pending().await,
    }
}

fn cancelled() -> Error {
    Error::new(ErrorKind::Cancelled, "the run was cancelled")
}

fn abandoned() -> Error {
    Error::new(ErrorKind::Cancelled, "the run was abandoned before its end")
}
