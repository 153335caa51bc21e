//! What a benchmark leaves behind: a table for people, printed and as Markdown, and the same as
//! JSON, from which [`results`](crate::results) makes one of all of them.

use std::{
    env,
    fmt::Write as _,
    fs, io,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::goal::{Goal, Target};

/// The variable with the folder for results; without it, they go to `bench` in the target folder.
pub const FOLDER: &str = "SQL_BATCHER_BENCH_OUT";

/// The results of one benchmark.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Table {
    /// The name of the benchmark.
    pub name: String,
    /// Its results.
    pub rows: Vec<Row>,
    /// What could not be measured, and why.
    pub left_out: Vec<String>,
}

/// One result.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// What was measured.
    pub what: String,
    /// The median, unless a note says what else; none where it could not be measured, which a note
    /// explains.
    pub value: Option<f64>,
    /// Its unit.
    pub unit: String,
    /// What the value should be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub goal: Option<Goal>,
    /// The value as a multiple of others of the same run.
    pub ratios: Vec<Ratio>,
    /// What else there is to say.
    pub notes: Vec<String>,
    /// Where it is a bar of the picture: which.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bar: Option<Bar>,
}

/// How many times another result a result is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ratio {
    /// How many times.
    pub times: f64,
    /// Which other result.
    pub of: String,
    /// What it should be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub goal: Option<Goal>,
}

/// A bar of the picture.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bar {
    /// With which others it is drawn to one scale.
    pub group: String,
    /// What stands beside it.
    pub label: String,
    /// Whether it is sql-batcher's.
    pub ours: bool,
}

impl Row {
    /// A result by itself.
    pub fn new(what: impl Into<String>, value: f64, unit: impl Into<String>) -> Self {
        Self { value: Some(value), ..Self::missing(what, unit) }
    }

    /// What could not be measured; say why with [`Row::with_note`].
    pub fn missing(what: impl Into<String>, unit: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            value: None,
            unit: unit.into(),
            goal: None,
            ratios: Vec::new(),
            notes: Vec::new(),
            bar: None,
        }
    }

    /// Also as a multiple of another result of the same unit, which is called `of` here. Nothing is
    /// said where one of them could not be measured.
    #[must_use]
    pub fn against(self, other: &Row, of: impl Into<String>) -> Self {
        self.compared(other, of.into(), None)
    }

    /// As [`Row::against`], with what the ratio should be.
    #[must_use]
    pub fn with_ratio(self, other: &Row, of: impl Into<String>, goal: Goal) -> Self {
        self.compared(other, of.into(), Some(goal))
    }

    fn compared(self, other: &Row, of: String, goal: Option<Goal>) -> Self {
        match (self.value, other.value) {
            (Some(own), Some(others)) => self.times(Ratio { times: own / others, of, goal }),
            _ => self,
        }
    }

    /// Also as a multiple that was found by itself, as the median of several.
    #[must_use]
    pub fn times(mut self, ratio: Ratio) -> Self {
        self.ratios.push(ratio);
        self
    }

    /// With what the value should be.
    #[must_use]
    pub fn with_goal(mut self, goal: Goal) -> Self {
        self.goal = Some(goal);
        self
    }

    /// With something else to say.
    #[must_use]
    pub fn with_note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }

    /// As a bar of the picture.
    #[must_use]
    pub fn with_bar(mut self, bar: Bar) -> Self {
        self.bar = Some(bar);
        self
    }

    /// The goals that were set for this result, and what was found.
    pub fn targets(&self) -> impl Iterator<Item = Target> + '_ {
        let own = self.value.zip(self.goal).map(|(found, goal)| Target {
            what: self.what.clone(),
            found,
            unit: format!(" {}", self.unit),
            goal,
        });
        let ratios = self.ratios.iter().filter_map(|ratio| {
            let unit = format!(" × {}", ratio.of);
            let what = self.what.clone();
            ratio.goal.map(|goal| Target { what, found: ratio.times, unit, goal })
        });
        own.into_iter().chain(ratios)
    }

    fn remarks(&self) -> String {
        let judged = |found: f64, goal: Option<Goal>| {
            goal.map(|goal| format!(" (goal {goal}: {})", goal.judge(found))).unwrap_or_default()
        };
        let own = self.value.zip(self.goal);
        let own = own.map(|(found, goal)| format!("goal {goal}: {}", goal.judge(found)));
        let ratio = |ratio: &Ratio| {
            format!("{} × {}{}", rounded(ratio.times), ratio.of, judged(ratio.times, ratio.goal))
        };
        let ratios = self.ratios.iter().map(ratio);
        own.into_iter()
            .chain(ratios)
            .chain(self.notes.iter().cloned())
            .collect::<Vec<_>>()
            .join(", ")
    }
}

impl Table {
    /// An empty table; `name` is that of the benchmark.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), rows: Vec::new(), left_out: Vec::new() }
    }

    /// Adds a result.
    pub fn push(&mut self, row: Row) {
        self.rows.push(row);
    }

    /// Says, at once and at the end, that something could not be measured.
    pub fn leave_out(&mut self, why: impl Into<String>) {
        let why = why.into();
        eprintln!("LEFT OUT: {why}");
        self.left_out.push(why);
    }

    /// As Markdown.
    #[must_use]
    pub fn markdown(&self) -> String {
        let mut text = format!("| {} | median | of the same run |\n|---|---:|---|\n", self.name);
        for row in &self.rows {
            let value = match row.value {
                Some(value) => format!("{} {}", rounded(value), row.unit),
                None => "–".to_owned(),
            };
            // A `String` takes whatever is written.
            let _ = writeln!(text, "| {} | {value} | {} |", row.what, row.remarks());
        }
        for why in &self.left_out {
            let _ = writeln!(text, "\nLeft out: {why}");
        }
        text
    }

    /// Prints the table and writes it as `<name>.md` and `.json` into the folder that [`FOLDER`]
    /// names, else `target/bench`. `temporary` is cargo's `CARGO_TARGET_TMPDIR`, which only a
    /// benchmark itself knows.
    ///
    /// # Panics
    /// If it cannot be written.
    pub fn publish(&self, temporary: &str) {
        println!("\n{}", self.markdown());
        let folder =
            env::var_os(FOLDER).map_or_else(|| target(temporary).join("bench"), PathBuf::from);
        self.write(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    }

    /// Writes the table into a folder, which is made.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write(&self, folder: &Path) -> io::Result<()> {
        fs::create_dir_all(folder)?;
        let json = serde_json::to_string_pretty(self)?;
        fs::write(folder.join(&self.name).with_extension("json"), json + "\n")?;
        fs::write(folder.join(&self.name).with_extension("md"), self.markdown())
    }
}

/// The target folder, from cargo's `CARGO_TARGET_TMPDIR`.
#[must_use]
pub fn target(temporary: &str) -> PathBuf {
    Path::new(temporary).parent().map(Path::to_path_buf).unwrap_or_default()
}

/// Three digits that count, and all before the point.
#[must_use]
pub fn rounded(value: f64) -> String {
    match value.abs() {
        least if least >= 100.0 => format!("{value:.0}"),
        least if least >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn last_line(row: Row) -> String {
        let mut table = Table::new("speed");
        table.push(row);
        table.markdown().lines().last().unwrap().to_owned()
    }

    #[test]
    fn a_ratio_names_what_it_is_of() {
        let native = Row::new("native", 200.0, "MB/s");
        let row = Row::new("sandbox", 150.0, "MB/s").against(&native, "native");
        assert_eq!(last_line(row), "| sandbox | 150 MB/s | 0.75 × native |");
    }

    #[test]
    fn a_goal_is_said_with_whether_it_is_reached() {
        let native = Row::new("native", 200.0, "MB/s");
        let goal = Goal::at_least(0.8);
        let row = Row::new("sandbox", 150.0, "MB/s").with_ratio(&native, "native", goal);
        let row = row.with_goal(Goal::at_least(100.0));
        let expected = "| sandbox | 150 MB/s | goal ≥ 100: reached, 0.75 × native (goal ≥ 0.80: \
                        not reached) |";
        assert_eq!(last_line(row.clone()), expected);
        assert_eq!(row.targets().count(), 2);
    }

    #[test]
    fn what_is_missing_has_neither_a_value_nor_a_ratio() {
        let psql = Row::missing("psql", "rows/s").with_note("not installed");
        let ours = Row::new("ours", 1.0, "rows/s").against(&psql, "psql");
        assert_eq!(last_line(ours), "| ours | 1.00 rows/s |  |");
        assert_eq!(last_line(psql.with_goal(Goal::at_least(1.0))), "| psql | – | not installed |");
    }

    #[test]
    fn what_was_written_as_json_is_read_as_the_same() {
        let native = Row::new("native", 200.0, "MB/s");
        let bar = Bar { group: "g".to_owned(), label: "l".to_owned(), ours: true };
        let mut table = Table::new("speed");
        table.push(
            Row::new("sandbox", 150.0, "MB/s")
                .with_ratio(&native, "native", Goal::at_most(2.0))
                .with_bar(bar),
        );
        table.push(Row::missing("psql", "rows/s"));
        let json = serde_json::to_string(&table).unwrap();
        assert_eq!(serde_json::from_str::<Table>(&json).unwrap(), table);
    }
}
