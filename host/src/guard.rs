//! Limits on time, and the cancel on the server that makes them hold.
//!
//! What exceeds a limit is cancelled from outside, through a second connection, and the answer is
//! waited for, for a bounded time: a confirmed cancel says that the request was not applied.
//! Whatever the answer, the session is of no further use, since a late cancel would hit its next
//! request. The server's own limit (`statement_timeout` and its like) is only a second line: it is
//! a setting of the session, which the script sees and may change, and holds for each statement.

use std::{pin::pin, time::Duration};

use sql_batcher_adapters::{AdapterError, Cancel, Fault, Problem};
use tokio::{
    sync::watch,
    time::{Instant, sleep_until, timeout, timeout_at},
};

use crate::{driver::Stop, trouble::End};

/// How long to ask for a cancel and to wait for its effect. After it nothing is known.
const CANCEL_WITHIN: Duration = Duration::from_secs(2);

/// The limits on time of a run, as they hold for what is under way.
#[derive(Clone, Debug)]
pub(crate) struct Guard {
    /// How long taking a session may take.
    pub(crate) connect_timeout: Option<Duration>,
    /// How long one attempt may take.
    pub(crate) attempt_timeout: Option<Duration>,
    /// How long the whole run may take.
    pub(crate) deadline: Option<Deadline>,
    pub(crate) stop: watch::Receiver<Stop>,
    /// When the last request was interrupted, if it was.
    pub(crate) interrupted_at: Option<Instant>,
}

/// The end of the time of a run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadline {
    pub(crate) at: Instant,
    pub(crate) after: Duration,
}

/// The end of a limit that begins now, or of what a deadline and the cancel at it leave of it.
fn no_later_than(limit: Duration, deadline: Option<Deadline>) -> Instant {
    let own = Instant::now() + limit;
    deadline.map_or(own, |deadline| own.min(deadline.at + CANCEL_WITHIN))
}

/// What became of a request under guard.
pub(crate) struct Guarded<T, E = Problem> {
    pub(crate) result: Result<T, E>,
    /// Whether it was interrupted, so that its session is of no further use.
    pub(crate) interrupted: bool,
}

/// What a request under guard may fail with: a problem, perhaps with something about it.
pub(crate) trait Refused: From<Problem> {
    /// The same about another problem.
    fn map(self, change: impl FnOnce(Problem) -> Problem) -> Self;
}

impl Refused for Problem {
    fn map(self, change: impl FnOnce(Problem) -> Problem) -> Self {
        change(self)
    }
}

/// Why something is interrupted.
#[derive(Clone, Copy, Debug)]
enum Why {
    Attempt(Duration),
    Deadline(Duration),
    Stopped,
}

impl Guard {
    /// Runs a request within the limits of an attempt.
    pub(crate) async fn request<T, E: Refused>(
        &mut self,
        cancel: Option<Box<dyn Cancel>>,
        work: impl Future<Output = Result<T, E>>,
    ) -> Guarded<T, E> {
        let limit = self.limit();
        self.interrupted_at = None;
        let mut work = pin!(work);
        let why = tokio::select! {
            biased;
            result = &mut work => return Guarded { result, interrupted: false },
            why = interrupted(limit, &mut self.stop, Stop::Abort) => why,
        };
        self.interrupted_at = Some(Instant::now());
        let stopping = async {
            let cancel = cancel?;
            let ask = async {
                // Where the server cannot be asked there is still its answer to wait for.
                let _ = cancel.cancel().await;
                std::future::pending().await
            };
            tokio::select! {
                biased;
                result = &mut work => Some(result),
                () = ask => None,
            }
        };
        let result = match timeout(CANCEL_WITHIN, stopping).await.ok().flatten() {
            Some(Ok(done)) => Ok(done),
            Some(Err(refused)) => Err(refused.map(|problem| why.explain(problem))),
            None => Err(why.unconfirmed().into()),
        };
        Guarded { result, interrupted: true }
    }

    /// Takes a session within the limits.
    pub(crate) async fn session<T>(
        &mut self,
        work: impl Future<Output = Result<T, AdapterError>>,
    ) -> Result<T, AdapterError> {
        let own = self.connect_timeout.map(|limit| (Instant::now() + limit, Why::Attempt(limit)));
        let limit = earlier(own, self.of_run());
        tokio::select! {
            biased;
            taken = work => taken,
            why = interrupted(limit, &mut self.stop, Stop::Abort) => Err(why.without_session()),
        }
    }

    /// Waits before a further attempt; or says why there is to be none: the time of the run does
    /// not suffice, or the run is to stop.
    pub(crate) async fn wait(&mut self, delay: Duration) -> Result<(), End> {
        let until = Instant::now() + delay;
        if self.deadline.is_some_and(|deadline| until >= deadline.at) {
            return Err(End::TooLate);
        }
        tokio::select! {
            biased;
            _ = interrupted(None, &mut self.stop, Stop::Cancel) => Err(End::Stopped),
            () = sleep_until(until) => Ok(()),
        }
    }

    /// What has to be done besides, and can be left undone: within a limit of its own, and not
    /// later than a cancel at the deadline of the run may take. None where it was too late.
    pub(crate) async fn briefly<T>(
        &self,
        limit: Duration,
        work: impl Future<Output = T>,
    ) -> Option<T> {
        timeout_at(no_later_than(limit, self.deadline), work).await.ok()
    }

    /// Until when the goodbyes at the end of a run may take: no longer than their own limit, than
    /// a deadline leaves of it, or than a cancel may take that came before. One that found no answer
    /// leaves no time for them.
    pub(crate) fn goodbye_until(&self, limit: Duration) -> Instant {
        let until = no_later_than(limit, self.deadline);
        self.interrupted_at.map_or(until, |at| until.min(at + CANCEL_WITHIN))
    }

    fn limit(&self) -> Option<(Instant, Why)> {
        let own = self.attempt_timeout.map(|limit| (Instant::now() + limit, Why::Attempt(limit)));
        earlier(own, self.of_run())
    }

    fn of_run(&self) -> Option<(Instant, Why)> {
        self.deadline.map(|deadline| (deadline.at, Why::Deadline(deadline.after)))
    }
}

fn earlier(a: Option<(Instant, Why)>, b: Option<(Instant, Why)>) -> Option<(Instant, Why)> {
    a.into_iter().chain(b).min_by_key(|(at, _)| *at)
}

/// Waits for a limit, or for a stop that goes as far as this.
async fn interrupted(
    limit: Option<(Instant, Why)>,
    stop: &mut watch::Receiver<Stop>,
    as_far_as: Stop,
) -> Why {
    let time = async {
        match limit {
            Some((at, why)) => {
                sleep_until(at).await;
                why
            }
            None => std::future::pending().await,
        }
    };
    let stopped = async {
        if stop.wait_for(|stop| *stop >= as_far_as).await.is_err() {
            // Nobody is left who could stop it.
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        biased;
        () = stopped => Why::Stopped,
        why = time => why,
    }
}

impl Why {
    fn fault(self) -> Fault {
        match self {
            Self::Attempt(_) | Self::Deadline(_) => Fault::Timeout,
            Self::Stopped => Fault::Cancelled,
        }
    }

    /// Only the limit of one attempt may be kept by another.
    fn passes(self) -> bool {
        matches!(self, Self::Attempt(_))
    }

    fn words(self) -> String {
        match self {
            Self::Attempt(limit) => format!("the time limit of {limit:?} was reached"),
            Self::Deadline(limit) => format!("the deadline of the run, {limit:?}, was reached"),
            Self::Stopped => "the run was cancelled".to_owned(),
        }
    }

    /// What came after the cancel. An answer to it confirms it; any other stands for itself.
    fn explain(self, problem: Problem) -> Problem {
        let answers = matches!(problem.fault, Fault::Cancelled | Fault::Timeout);
        if !answers && !problem.outcome_unknown {
            return problem;
        }
        let message = match problem.outcome_unknown {
            true => format!("{}, and then: {}", self.words(), problem.message),
            false => format!("{}, and the server has cancelled it", self.words()),
        };
        Problem { fault: self.fault(), message, transient: self.passes(), ..problem }
    }

    fn unconfirmed(self) -> Problem {
        let message = format!(
            "{}, and the server did not confirm the cancel within {CANCEL_WITHIN:?}",
            self.words()
        );
        Problem { outcome_unknown: true, ..Problem::new(self.fault(), message) }
    }

    fn without_session(self) -> AdapterError {
        let message = format!("{} before there was a connection", self.words());
        AdapterError { transient: self.passes(), ..AdapterError::new(self.fault(), message) }
    }
}
