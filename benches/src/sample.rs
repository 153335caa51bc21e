//! Times and their medians, for what is too long for criterion.

use std::time::{Duration, Instant};

/// How often something is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Rounds, beside a first one that warms up and is not counted.
    pub rounds: usize,
    /// Whatever has taken so long in all is not measured again; what has taken so long in the first
    /// round has that one counted.
    pub budget: Duration,
}

/// How long each counted run of one contender took.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    times: Vec<Duration>,
}

impl Sample {
    /// The median.
    #[must_use]
    pub fn median(&self) -> Duration {
        median(&self.times)
    }

    /// The shortest.
    #[must_use]
    pub fn least(&self) -> Duration {
        self.times.iter().copied().min().unwrap_or_default()
    }

    /// How many runs count.
    #[must_use]
    pub fn runs(&self) -> usize {
        self.times.len()
    }

    /// How many times as fast as another one it is: the median of what is found in each round that
    /// both have had. So a noisy minute, which meets both, does not count for one alone.
    ///
    /// # Panics
    /// If a run took no time.
    #[must_use]
    pub fn times_as_fast_as(&self, other: &Self) -> f64 {
        let ratio =
            |(own, others): (&Duration, &Duration)| others.as_secs_f64() / own.as_secs_f64();
        let mut ratios: Vec<f64> = self.times.iter().zip(&other.times).map(ratio).collect();
        ratios.sort_unstable_by(f64::total_cmp);
        ratios[(ratios.len() - 1) / 2]
    }
}

/// The median of some times; of an even number the lower one of the middle.
///
/// # Panics
/// If there is none.
#[must_use]
pub fn median(times: &[Duration]) -> Duration {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    sorted[(sorted.len() - 1) / 2]
}

/// How long something takes.
pub fn timed(work: impl FnOnce()) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed()
}

/// Runs all contenders in turns, so that whatever else the machine does meets each of them, and
/// gives what each took, or why one cannot be measured: it is not asked again.
pub fn in_turns<T>(
    plan: Plan,
    contenders: &[T],
    mut run: impl FnMut(&T) -> Result<Duration, String>,
) -> Vec<Result<Sample, String>> {
    let mut all: Vec<Result<Times, String>> =
        contenders.iter().map(|_| Ok(Times::default())).collect();
    for round in 0..=plan.rounds {
        for (contender, times) in contenders.iter().zip(&mut all) {
            let Ok(known) = times else { continue };
            if known.spent >= plan.budget {
                continue;
            }
            match run(contender) {
                Ok(time) => known.add(round, time),
                Err(why) => *times = Err(why),
            }
        }
    }
    all.into_iter().map(|times| times.map(Times::counted)).collect()
}

#[derive(Debug, Default)]
struct Times {
    warm_up: Duration,
    counted: Vec<Duration>,
    spent: Duration,
}

impl Times {
    fn add(&mut self, round: usize, time: Duration) {
        self.spent += time;
        match round {
            0 => self.warm_up = time,
            _ => self.counted.push(time),
        }
    }

    fn counted(self) -> Sample {
        let times = if self.counted.is_empty() { vec![self.warm_up] } else { self.counted };
        Sample { times }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn sample<const N: usize>(seconds: [u64; N]) -> Sample {
        Sample { times: seconds.map(Duration::from_secs).to_vec() }
    }

    #[test]
    fn the_median_is_one_of_the_times() {
        let times = [5, 1, 4, 2].map(Duration::from_secs);
        assert_eq!(median(&times), Duration::from_secs(2));
        assert_eq!(median(&times[..3]), Duration::from_secs(4));
    }

    #[test]
    fn contenders_take_turns_and_the_first_round_is_not_counted() {
        let plan = Plan { rounds: 2, budget: 1000 * SECOND };
        let mut order = Vec::new();
        let samples = in_turns(plan, &["a", "b"], |name| {
            order.push(*name);
            Ok(if order.len() <= 2 { 100 * SECOND } else { SECOND })
        });
        assert_eq!(order, ["a", "b", "a", "b", "a", "b"]);
        assert_eq!(samples, [Ok(sample([1, 1])), Ok(sample([1, 1]))]);
    }

    #[test]
    fn the_least_is_of_the_times_that_count() {
        let mut times = [0, 5, 3, 4].map(Duration::from_secs).into_iter();
        let plan = Plan { rounds: 3, budget: 1000 * SECOND };
        let samples = in_turns(plan, &[()], |()| times.next().ok_or_else(String::new));
        assert_eq!(samples, [Ok(sample([5, 3, 4]))]);
        assert_eq!(sample([5, 3, 4]).least(), 3 * SECOND);
        assert_eq!(sample([5, 3, 4]).median(), 4 * SECOND);
    }

    #[test]
    fn a_noisy_round_does_not_change_how_much_faster_one_is() {
        // The machine is slower from round to round, and once for one of them alone.
        let (slow, fast) = (sample([4, 40, 80, 8, 800]), sample([2, 20, 40, 40, 400]));
        assert_eq!(fast.times_as_fast_as(&slow), 2.0);
        assert_eq!(slow.times_as_fast_as(&fast), 0.5);
    }

    #[test]
    fn what_is_above_its_budget_is_not_measured_again() {
        let plan = Plan { rounds: 5, budget: 3 * SECOND };
        let samples = in_turns(plan, &[1, 2, 3], |seconds| Ok(*seconds * SECOND));
        let runs: Vec<usize> = samples.into_iter().map(|sample| sample.unwrap().runs()).collect();
        assert_eq!(runs, [2, 1, 1]);
    }

    #[test]
    fn what_cannot_be_measured_is_not_asked_again() {
        let mut asked = 0;
        let samples = in_turns(Plan { rounds: 5, budget: SECOND }, &[()], |()| {
            asked += 1;
            Err("not installed".to_owned())
        });
        assert_eq!((samples, asked), (vec![Err("not installed".to_owned())], 1));
    }
}
