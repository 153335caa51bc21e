//! A host for the native core that keeps what it is given and answers as a test says.

use std::collections::VecDeque;

use sql_batcher_core::{
    Batch, BatchInfo, Cause, Event, Execution, Failure, Host, Interruption, Options, Outcome,
    Progress, Report, Session, Verdict,
};

/// How a batch ends.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The outcome.
    pub outcome: Outcome,
    /// Whether it comes later, by `complete`.
    pub later: bool,
}

/// Keeps what it is given. After the last of its answers every batch is applied as soon as may be.
#[derive(Debug, Default)]
pub struct Recorder {
    /// What was executed.
    pub batches: Vec<Batch>,
    /// What was told.
    pub events: Vec<Event>,
    /// What to answer, in the order of batches.
    pub answers: VecDeque<Answer>,
    /// How each batch has ended, in the order of batches; those under way as they will.
    pub outcomes: Vec<Outcome>,
    sequential: bool,
    /// Batches under way, by their index.
    pending: VecDeque<(u64, usize)>,
}

/// What came of a run.
#[derive(Debug)]
pub struct Run {
    /// What was executed.
    pub batches: Vec<Batch>,
    /// How each has ended.
    pub outcomes: Vec<Outcome>,
    /// What ended it.
    pub failure: Option<Failure>,
    /// The account.
    pub report: Report,
}

impl Host for Recorder {
    fn execute(&mut self, batch: Batch) -> Execution {
        let (id, index) = (batch.id, self.batches.len());
        self.batches.push(batch);
        let answer = self.answers.pop_front();
        let Answer { outcome, later } =
            answer.unwrap_or(Answer { outcome: Outcome::applied(None), later: false });
        self.outcomes.push(outcome.clone());
        if later || (self.sequential && !self.pending.is_empty()) {
            self.pending.push_back((id, index));
            return Execution::Pending;
        }
        Execution::Finished(outcome)
    }

    fn pre_batch(&mut self, _: u32, _: &Batch) -> Result<Verdict, String> {
        Ok(Verdict::Proceed)
    }

    fn post_batch(&mut self, _: u32, _: BatchInfo, _: &Outcome) -> Result<(), String> {
        Ok(())
    }

    fn emit(&mut self, event: Event) {
        self.events.push(event);
    }
}

impl Recorder {
    /// One that gives these answers.
    #[must_use]
    pub fn answering(answers: impl IntoIterator<Item = Answer>) -> Self {
        Self { answers: answers.into_iter().collect(), ..Self::default() }
    }
}

/// Runs a script that comes in these chunks. Late answers are given whenever the session wants no
/// more input, and at the end, oldest first.
///
/// # Panics
/// Where the options are not valid, or the run does not end with a report.
pub fn run<'a>(
    options: &Options,
    chunks: impl IntoIterator<Item = &'a [u8]>,
    mut host: Recorder,
) -> Run {
    host.sequential = options.limits.sequential;
    let mut session = Session::open(options.clone()).expect("the options are valid");
    for chunk in chunks {
        let mut progress = session.push(&mut host, chunk.to_vec(), 0);
        while !progress.ready && progress.in_flight > 0 {
            progress = complete_oldest(&mut session, &mut host);
        }
    }
    let mut progress = session.finish(&mut host, 0);
    while progress.report.is_none() {
        progress = complete_oldest(&mut session, &mut host);
    }
    Run {
        batches: host.batches,
        outcomes: host.outcomes,
        failure: progress.failure,
        report: progress.report.expect("the loop ends with a report"),
    }
}

fn complete_oldest(session: &mut Session, host: &mut Recorder) -> Progress {
    let (id, index) = host.pending.pop_front().expect("something is under way");
    let outcome = host.outcomes[index].clone();
    if host.sequential && outcome.interruption.is_some() {
        // Those behind it are never started.
        let interruption = Interruption { cause: Cause::Cancelled, statements: 1, statement: None };
        for (_, behind) in &host.pending {
            host.outcomes[*behind] =
                Outcome { interruption: Some(interruption), ..Outcome::default() };
        }
    }
    session.complete(host, id, &outcome, 0)
}
