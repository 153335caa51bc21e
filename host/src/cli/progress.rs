//! The progress bar: on standard error, and only if that is a terminal.

use std::{
    io::{self, IsTerminal as _, Write as _},
    time::Duration,
};

use indicatif::{ProgressBar, ProgressStyle};
use sql_batcher::Snapshot;

use super::say;

/// How often the bar is drawn while nothing happens.
const REDRAW: Duration = Duration::from_millis(200);
const WITH_TOTAL: &str = "[{bar:24}] {bytes} of {total_bytes}, {msg}, {bytes_per_sec}, {eta} left";
const WITHOUT_TOTAL: &str = "{spinner} {bytes}, {msg}, {bytes_per_sec}, {elapsed}";

/// How far a run has come, for whoever looks on. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Progress(ProgressBar);

impl Progress {
    /// A bar, if one is wanted and there is a terminal; it is as long as the input, where that is
    /// known.
    pub(super) fn new(wanted: bool, total_bytes: Option<u64>) -> Self {
        if !wanted || !io::stderr().is_terminal() {
            return Self(ProgressBar::hidden());
        }
        let (bar, template) = match total_bytes {
            Some(total) => (ProgressBar::new(total), WITH_TOTAL),
            None => (ProgressBar::no_length(), WITHOUT_TOTAL),
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("=> "));
        }
        bar.set_message("starting");
        bar.enable_steady_tick(REDRAW);
        Self(bar)
    }

    /// Shows how far it has come.
    pub(super) fn show(&self, so_far: &Snapshot) {
        self.0.set_position(so_far.bytes_read);
        let Snapshot { statements, batches, .. } = so_far;
        self.0.set_message(format!("{statements} statements, {batches} batches"));
    }

    /// Says something without tearing the bar.
    pub(super) fn say(&self, text: &str) {
        self.0.suspend(|| say(text));
    }

    /// Writes text as it is without tearing the bar.
    ///
    /// # Errors
    /// Where standard error cannot be written to.
    pub(super) fn write(&self, text: &[u8]) -> io::Result<()> {
        self.0.suspend(|| io::stderr().write_all(text))
    }

    /// Takes the bar away.
    pub(super) fn clear(&self) {
        self.0.finish_and_clear();
    }
}
