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

/// A median, and of how many times it is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Median {
    /// The time.
    pub time: Duration,
    /// The shortest of the times.
    pub least: Duration,
    /// How many times it was measured.
    pub runs: usize,
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
/// gives the median of each, or why one cannot be measured: it is not asked again.
pub fn in_turns<T>(
    plan: Plan,
    contenders: &[T],
    mut run: impl FnMut(&T) -> Result<Duration, String>,
) -> Vec<Result<Median, String>> {
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
    all.into_iter().map(|times| times.map(|times| times.median())).collect()
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

    fn median(self) -> Median {
        match self.counted.len() {
            0 => Median { time: self.warm_up, least: self.warm_up, runs: 1 },
            runs => {
                let least = self.counted.iter().copied().min().unwrap_or_default();
                Median { time: median(&self.counted), least, runs }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

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
        let medians = in_turns(plan, &["a", "b"], |name| {
            order.push(*name);
            Ok(if order.len() <= 2 { 100 * SECOND } else { SECOND })
        });
        assert_eq!(order, ["a", "b", "a", "b", "a", "b"]);
        let twice = Median { time: SECOND, least: SECOND, runs: 2 };
        assert_eq!(medians, [Ok(twice), Ok(twice)]);
    }

    #[test]
    fn the_least_is_of_the_times_that_count() {
        let mut times = [0, 5, 3, 4].map(Duration::from_secs).into_iter();
        let plan = Plan { rounds: 3, budget: 1000 * SECOND };
        let medians = in_turns(plan, &[()], |()| times.next().ok_or_else(String::new));
        assert_eq!(medians, [Ok(Median { time: 4 * SECOND, least: 3 * SECOND, runs: 3 })]);
    }

    #[test]
    fn what_is_above_its_budget_is_not_measured_again() {
        let plan = Plan { rounds: 5, budget: 3 * SECOND };
        let medians = in_turns(plan, &[1, 2, 3], |seconds| Ok(*seconds * SECOND));
        let runs: Vec<usize> = medians.into_iter().map(|median| median.unwrap().runs).collect();
        assert_eq!(runs, [2, 1, 1]);
    }

    #[test]
    fn what_cannot_be_measured_is_not_asked_again() {
        let mut asked = 0;
        let medians = in_turns(Plan { rounds: 5, budget: SECOND }, &[()], |()| {
            asked += 1;
            Err("not installed".to_owned())
        });
        assert_eq!((medians, asked), (vec![Err("not installed".to_owned())], 1));
    }
}
