//! How often and after how long a batch is tried once more. Whether it may be is decided elsewhere
//! (`run_batch`): this is only about time.

use std::{fmt, time::Duration};

use backon::{BackoffBuilder as _, ConstantBuilder, ExponentialBuilder};
use serde::Serialize;
use sql_batcher_adapters::Fault;
use tokio::time::Instant;

use crate::{guard::Guard, trouble::End};

/// How the waits between attempts grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Backoff {
    /// Each as long as the first.
    Constant,
    /// Longer by the first each time: 1, 2, 3, 4 times.
    Linear,
    /// Twice as long each time: 1, 2, 4, 8 times. The default.
    #[default]
    Exponential,
}

/// How a batch is tried once more after a failure that may pass by itself (a deadlock, a lock
/// wait, a lost connection) and that is known to have left nothing of it applied.
///
/// ```
/// use std::time::Duration;
/// use sql_batcher::{Backoff, RetryOptions};
///
/// let retries = RetryOptions {
///     strategy: Backoff::Linear,
///     delay: Duration::from_millis(50),
///     max_retries: 3,
///     ..RetryOptions::default()
/// };
/// # assert!(sql_batcher::Options::default().retries(retries).check().is_ok());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryOptions {
    /// How the waits grow. Default [`Backoff::Exponential`].
    pub strategy: Backoff,
    /// The first wait: 1 ms to 1 hour, default 100 ms.
    pub delay: Duration,
    /// The longest wait, jitter included: `delay` to 1 hour, default 10 s.
    pub max_delay: Duration,
    /// Whether each wait is made longer at random, up to twice as long, so that sessions that
    /// collided do not collide again. Default true.
    pub jitter: bool,
    /// The seed of the jitter, for waits that can be repeated. Default none: a new one each time.
    pub jitter_seed: Option<u64>,
    /// How many more attempts a batch has after its first: 0 (none) to 1000, default 5.
    pub max_retries: u32,
}

impl Default for RetryOptions {
    fn default() -> Self {
        Self {
            strategy: Backoff::default(),
            delay: Duration::from_millis(100),
            max_delay: Duration::from_secs(10),
            jitter: true,
            jitter_seed: None,
            max_retries: 5,
        }
    }
}

impl RetryOptions {
    /// No retries: each failure ends the run.
    pub fn none() -> Self {
        Self { max_retries: 0, ..Self::default() }
    }

    /// The waits before each further attempt of one batch.
    fn delays(&self) -> Delays {
        let times = self.max_retries as usize;
        let longest = self.max_delay;
        let delays: Delays = match self.strategy {
            Backoff::Constant => Box::new(self.constant().build()),
            // A constant wait with its jitter, a growing number of times.
            Backoff::Linear => {
                Box::new((1..).zip(self.constant().build()).map(|(n, delay)| delay * n))
            }
            Backoff::Exponential => {
                let builder = ExponentialBuilder::new()
                    .with_min_delay(self.delay)
                    .with_max_delay(self.max_delay)
                    .with_max_times(times);
                let builder = if self.jitter { builder.with_jitter() } else { builder };
                Box::new(match self.jitter_seed {
                    Some(seed) => builder.with_jitter_seed(seed).build(),
                    None => builder.build(),
                })
            }
        };
        Box::new(delays.map(move |delay| delay.min(longest)))
    }

    fn constant(&self) -> ConstantBuilder {
        let builder =
            ConstantBuilder::new().with_delay(self.delay).with_max_times(self.max_retries as usize);
        let builder = if self.jitter { builder.with_jitter() } else { builder };
        match self.jitter_seed {
            Some(seed) => builder.with_jitter_seed(seed),
            None => builder,
        }
    }
}

/// Waits, one before each further attempt.
type Delays = Box<dyn Iterator<Item = Duration> + Send>;

/// The attempts at one thing, of which the first is being made.
pub(crate) struct Attempts {
    /// From 1.
    pub(crate) count: u32,
    started: Instant,
    delays: Delays,
}

impl Attempts {
    pub(crate) fn new(retries: &RetryOptions) -> Self {
        Self { count: 1, started: Instant::now(), delays: retries.delays() }
    }

    /// Waits before a further attempt; or says why there is none.
    pub(crate) async fn again(&mut self, guard: &mut Guard) -> Result<(), End> {
        let delay = self.delay()?;
        guard.wait(delay).await?;
        self.count += 1;
        Ok(())
    }

    /// How long to wait before a further attempt; or why there is none.
    pub(crate) fn delay(&mut self) -> Result<Duration, End> {
        self.delays.next().ok_or_else(|| match self.count {
            1 => End::Final,
            _ => End::Exhausted { over: self.started.elapsed() },
        })
    }
}

/// How many further attempts there were, by what had gone wrong before each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct RetryCounts {
    /// All of them.
    pub total: u64,
    /// After a collision with another session: deadlock, serialization failure, lock wait.
    pub conflict: u64,
    /// After a connection that was lost or could not be made.
    pub connection: u64,
    /// After a limit on time.
    pub timeout: u64,
    /// After the database had no room or no resources left.
    pub resources: u64,
}

impl RetryCounts {
    pub(crate) fn count(&mut self, fault: Fault) {
        self.total += 1;
        match fault {
            Fault::Conflict => self.conflict += 1,
            Fault::Connection => self.connection += 1,
            Fault::Timeout => self.timeout += 1,
            Fault::Resources => self.resources += 1,
            _ => {}
        }
    }

    pub(crate) fn add(&mut self, more: &Self) {
        self.total += more.total;
        self.conflict += more.conflict;
        self.connection += more.connection;
        self.timeout += more.timeout;
        self.resources += more.resources;
    }
}

/// `3: conflict 2, connection 1`
impl fmt::Display for RetryCounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.total)?;
        let kinds = [
            ("conflict", self.conflict),
            ("connection", self.connection),
            ("timeout", self.timeout),
            ("resources", self.resources),
        ];
        let mut separator = ": ";
        for (name, count) in kinds.into_iter().filter(|(_, count)| *count > 0) {
            write!(f, "{separator}{name} {count}")?;
            separator = ", ";
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waits(options: RetryOptions) -> Vec<u128> {
        options.delays().map(|delay| delay.as_millis()).collect()
    }

    fn steady(strategy: Backoff) -> RetryOptions {
        let max_delay = Duration::from_millis(350);
        RetryOptions { strategy, jitter: false, max_delay, ..RetryOptions::default() }
    }

    #[test]
    fn waits_grow_as_the_strategy_says_up_to_the_longest() {
        assert_eq!(waits(steady(Backoff::Constant)), [100, 100, 100, 100, 100]);
        assert_eq!(waits(steady(Backoff::Linear)), [100, 200, 300, 350, 350]);
        assert_eq!(waits(steady(Backoff::Exponential)), [100, 200, 350, 350, 350]);
    }

    #[test]
    fn there_is_one_wait_for_each_retry_and_none_without() {
        for strategy in [Backoff::Constant, Backoff::Linear, Backoff::Exponential] {
            for max_retries in [0, 1, 7] {
                let options = RetryOptions { max_retries, ..steady(strategy) };
                assert_eq!(waits(options).len(), max_retries as usize, "{strategy:?}");
            }
        }
    }

    #[test]
    fn jitter_lengthens_a_wait_to_at_most_twice_and_never_beyond_the_longest() {
        for strategy in [Backoff::Constant, Backoff::Linear, Backoff::Exponential] {
            for seed in 0..100 {
                let jittered =
                    RetryOptions { jitter: true, jitter_seed: Some(seed), ..steady(strategy) };
                let plain = waits(steady(strategy));
                for (wait, plain) in waits(jittered).into_iter().zip(plain) {
                    let range = plain..=(2 * plain).min(350);
                    assert!(range.contains(&wait), "{strategy:?}: {wait} not in {range:?}");
                }
                assert_eq!(waits(jittered), waits(jittered), "the seed decides");
            }
        }
    }

    #[test]
    fn counts_are_shown_by_what_went_wrong() {
        let mut counts = RetryCounts::default();
        for fault in [Fault::Conflict, Fault::Connection, Fault::Conflict] {
            counts.count(fault);
        }
        assert_eq!(counts.to_string(), "3: conflict 2, connection 1");
    }
}
