//! What is tried in vain is tried less often: again at once, then after one more occasion, two, four and
//! so on.

/// Whether it is time for the next trial. A trial that is not due is [passed over](Self::pass); of one
/// that is made, somebody [notes](Self::note) what came of it.
#[derive(Debug)]
pub(crate) struct Trials {
    pause: u32,
    left: u32,
    /// The most occasions between two trials.
    most: u32,
}

impl Trials {
    /// With at most so many occasions between two trials.
    pub(crate) fn new(most: u32) -> Self {
        Self { pause: 0, left: 0, most }
    }

    pub(crate) fn is_due(&self) -> bool {
        self.left == 0
    }

    /// How many occasions are passed over before the next trial.
    pub(crate) fn left(&self) -> usize {
        self.left as usize
    }

    /// Passes over so many occasions.
    pub(crate) fn pass(&mut self, occasions: usize) {
        self.left = u32::try_from(self.left().saturating_sub(occasions)).unwrap_or(u32::MAX);
    }

    pub(crate) fn note(&mut self, succeeded: bool) {
        self.left = if succeeded { 0 } else { self.pause };
        self.pause = if succeeded { 0 } else { (2 * self.pause).clamp(1, self.most) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fails_is_tried_less_often_until_it_succeeds() {
        let mut trials = Trials::new(4);
        let mut passed = [0; 5];
        for count in &mut passed {
            trials.note(false);
            while !trials.is_due() {
                trials.pass(1);
                *count += 1;
            }
        }
        assert_eq!(passed, [0, 1, 2, 4, 4]);
        trials.note(true);
        trials.note(false);
        assert!(trials.is_due());
    }
}
