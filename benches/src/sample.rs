//! Times and their medians, for what is too long for criterion.

use std::time::{Duration, Instant};

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
/// gives the median of each. The first round warms up and is not counted.
pub fn in_turns<T>(
    rounds: usize,
    contenders: &[T],
    mut run: impl FnMut(&T) -> Duration,
) -> Vec<Duration> {
    let mut times = vec![Vec::new(); contenders.len()];
    for round in 0..=rounds {
        for (contender, times) in contenders.iter().zip(&mut times) {
            let time = run(contender);
            if round > 0 {
                times.push(time);
            }
        }
    }
    times.iter().map(|times| median(times)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_one_of_the_times() {
        let times = [5, 1, 4, 2].map(Duration::from_secs);
        assert_eq!(median(&times), Duration::from_secs(2));
        assert_eq!(median(&times[..3]), Duration::from_secs(4));
    }
}
