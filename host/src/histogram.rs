//! Durations, counted in classes: memory does not grow with their number. Each power of two is cut
//! into 16 classes, so a quantile is within 1/16 of the exact value.

use std::time::Duration;

const CLASSES_PER_OCTAVE: u64 = 16;
const OCTAVE_BITS: u32 = CLASSES_PER_OCTAVE.trailing_zeros();
/// Up to 2^40 microseconds, 12 days; what is longer counts in the last class.
const OCTAVES: usize = 40;
const CLASSES: usize = OCTAVES * CLASSES_PER_OCTAVE as usize;

/// How many durations fell into each class (5 KiB).
#[derive(Clone, Debug)]
pub(crate) struct Histogram {
    counts: Box<[u64; CLASSES]>,
    count: u64,
    min: Duration,
    max: Duration,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { counts: Box::new([0; CLASSES]), count: 0, min: Duration::MAX, max: Duration::ZERO }
    }
}

impl Histogram {
    /// Counts one more.
    pub(crate) fn record(&mut self, time: Duration) {
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        if let Some(count) = self.counts.get_mut(class_of(micros)) {
            *count += 1;
        }
        self.count += 1;
        self.min = self.min.min(time);
        self.max = self.max.max(time);
    }

    /// The shortest and the longest; none where there is none.
    pub(crate) fn range(&self) -> Option<(Duration, Duration)> {
        (self.count > 0).then_some((self.min, self.max))
    }

    /// The duration that this share of all (0 to 1) did not exceed; 0 where there is none.
    pub(crate) fn quantile(&self, share: f64) -> Duration {
        let wanted = (share * self.count as f64).ceil().max(1.0) as u64;
        let mut seen = 0;
        for (class, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= wanted {
                return Duration::from_micros(upper_end(class)).clamp(self.min, self.max);
            }
        }
        Duration::ZERO
    }
}

/// Below 16 each number has a class; above, the leading five bits choose it.
fn class_of(micros: u64) -> usize {
    if micros < CLASSES_PER_OCTAVE {
        return micros as usize;
    }
    let octave = micros.ilog2() - OCTAVE_BITS;
    let within = (micros >> octave) - CLASSES_PER_OCTAVE;
    let class = (u64::from(octave) + 1) * CLASSES_PER_OCTAVE + within;
    (class as usize).min(CLASSES - 1)
}

/// The largest number of a class.
fn upper_end(class: usize) -> u64 {
    let class = class as u64;
    if class < CLASSES_PER_OCTAVE {
        return class;
    }
    let octave = class / CLASSES_PER_OCTAVE - 1;
    let within = class % CLASSES_PER_OCTAVE;
    ((CLASSES_PER_OCTAVE + within + 1) << octave) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_is_in_the_class_that_ends_at_or_after_it() {
        for exponent in 0..40 {
            for micros in [1_u64 << exponent, (1 << exponent) + 1, (1 << exponent) * 3 / 2] {
                let class = class_of(micros);
                assert!(upper_end(class) >= micros, "{micros}");
                assert!(class == 0 || upper_end(class - 1) < micros, "{micros}");
            }
        }
    }

    #[test]
    fn what_is_too_long_counts_in_the_last_class() {
        assert_eq!(class_of(u64::MAX), CLASSES - 1);
    }

    #[test]
    fn quantiles_are_within_a_sixteenth() {
        let mut times = Histogram::default();
        for micros in 1..=10_000 {
            times.record(Duration::from_micros(micros));
        }
        let median = times.quantile(0.5).as_micros() as f64;
        let p95 = times.quantile(0.95).as_micros() as f64;
        assert!((5000.0..5000.0 * 1.0625).contains(&median), "{median}");
        assert!((9500.0..9500.0 * 1.0625).contains(&p95), "{p95}");
        assert_eq!(times.range(), Some((Duration::from_micros(1), Duration::from_millis(10))));
    }

    #[test]
    fn none_is_none() {
        let times = Histogram::default();
        assert_eq!(times.range(), None);
        assert_eq!(times.quantile(0.5), Duration::ZERO);
    }
}
