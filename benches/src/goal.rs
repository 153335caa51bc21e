//! What a result should be, so that a table says itself whether it is.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::table::rounded;

/// A bound that a result should keep.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Goal {
    /// As much, or more.
    AtLeast(f64),
    /// As much, or less.
    AtMost(f64),
}

/// A goal, and what was found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Target {
    /// What was measured.
    pub what: String,
    /// What was found.
    pub found: f64,
    /// What stands behind the number.
    pub unit: String,
    /// What it should be.
    pub goal: Goal,
}

impl Goal {
    /// As much, or more.
    #[must_use]
    pub fn at_least(bound: f64) -> Self {
        Self::AtLeast(bound)
    }

    /// As much, or less.
    #[must_use]
    pub fn at_most(bound: f64) -> Self {
        Self::AtMost(bound)
    }

    /// Whether it is reached.
    #[must_use]
    pub fn is_reached(self, found: f64) -> bool {
        match self {
            Self::AtLeast(bound) => found >= bound,
            Self::AtMost(bound) => found <= bound,
        }
    }

    /// Whether it is reached, in words.
    #[must_use]
    pub fn judge(self, found: f64) -> &'static str {
        if self.is_reached(found) { "reached" } else { "not reached" }
    }
}

impl fmt::Display for Goal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtLeast(bound) => write!(formatter, "≥ {}", rounded(*bound)),
            Self::AtMost(bound) => write!(formatter, "≤ {}", rounded(*bound)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_goal_is_reached_at_its_bound() {
        for (goal, below, above) in
            [(Goal::at_least(2.0), false, true), (Goal::at_most(2.0), true, false)]
        {
            assert_eq!(goal.is_reached(1.9), below);
            assert!(goal.is_reached(2.0));
            assert_eq!(goal.is_reached(2.1), above);
        }
    }
}
