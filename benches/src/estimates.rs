//! What criterion has measured in this run, read from where it keeps it.

use std::{fs, path::PathBuf, time::SystemTime};

use crate::table::target;

/// The estimates of one run.
#[derive(Clone, Debug)]
pub struct Estimates {
    folder: PathBuf,
    since: SystemTime,
}

impl Estimates {
    /// Those that will be made from now on; what earlier runs have left does not count.
    /// `temporary` is cargo's `CARGO_TARGET_TMPDIR`.
    #[must_use]
    pub fn from_now(temporary: &str) -> Self {
        Self { folder: target(temporary).join("criterion"), since: SystemTime::now() }
    }

    /// The median of one benchmark in nanoseconds; none where this run has left it out. `path` are
    /// the names of group, function and parameter, of at most 64 letters that a file may have.
    #[must_use]
    pub fn median_ns(&self, path: &[&str]) -> Option<f64> {
        let mut file = self.folder.clone();
        file.extend(path);
        file.push("new/estimates.json");
        let written = fs::metadata(&file).and_then(|metadata| metadata.modified()).ok()?;
        if written < self.since {
            return None;
        }
        let estimates: serde_json::Value = serde_json::from_slice(&fs::read(file).ok()?).ok()?;
        estimates["median"]["point_estimate"].as_f64()
    }
}
