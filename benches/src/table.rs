//! What a benchmark leaves behind: a table for people, printed and as Markdown, and the same as
//! JSON, in the folder `bench` of the target folder.

use std::{
    fmt::Write as _,
    fs, io,
    path::{Path, PathBuf},
};

use serde::Serialize;

/// The results of one benchmark.
#[derive(Clone, Debug, Serialize)]
pub struct Table {
    name: &'static str,
    rows: Vec<Row>,
    /// What could not be measured, and why.
    left_out: Vec<String>,
}

/// One result.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// What was measured.
    pub what: String,
    /// The median.
    pub value: f64,
    /// Its unit.
    pub unit: &'static str,
    /// The value as a multiple of others of the same run.
    pub ratios: Vec<Ratio>,
    /// What else there is to say, such as what the value should be.
    pub notes: Vec<String>,
}

/// How many times another result a result is.
#[derive(Clone, Debug, Serialize)]
pub struct Ratio {
    /// How many times.
    pub times: f64,
    /// Which other result.
    pub of: String,
}

impl Row {
    /// A result by itself.
    pub fn new(what: impl Into<String>, value: f64, unit: &'static str) -> Self {
        Self { what: what.into(), value, unit, ratios: Vec::new(), notes: Vec::new() }
    }

    /// Also as a multiple of another result of the same unit, which is called `of` here.
    #[must_use]
    pub fn against(mut self, other: &Row, of: impl Into<String>) -> Self {
        self.ratios.push(Ratio { times: self.value / other.value, of: of.into() });
        self
    }

    /// With something else to say.
    #[must_use]
    pub fn with_note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }

    fn remarks(&self) -> String {
        let ratio = |ratio: &Ratio| format!("{} × {}", rounded(ratio.times), ratio.of);
        let notes = self.notes.iter().cloned();
        self.ratios.iter().map(ratio).chain(notes).collect::<Vec<_>>().join(", ")
    }
}

impl Table {
    /// An empty table; `name` is that of the benchmark.
    #[must_use]
    pub fn new(name: &'static str) -> Self {
        Self { name, rows: Vec::new(), left_out: Vec::new() }
    }

    /// Adds a result.
    pub fn push(&mut self, row: Row) {
        self.rows.push(row);
    }

    /// Whether it has no result.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
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
            let value = rounded(row.value);
            // A `String` takes whatever is written.
            let _ = writeln!(text, "| {} | {value} {} | {} |", row.what, row.unit, row.remarks());
        }
        for why in &self.left_out {
            let _ = writeln!(text, "\nLeft out: {why}");
        }
        text
    }

    /// Prints the table and writes it as `target/bench/<name>.md` and `.json`. `temporary` is
    /// cargo's `CARGO_TARGET_TMPDIR`, which only a benchmark itself knows.
    ///
    /// # Panics
    /// If it cannot be written.
    pub fn publish(&self, temporary: &str) {
        println!("\n{}", self.markdown());
        let folder = target(temporary).join("bench");
        self.write(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    }

    fn write(&self, folder: &Path) -> io::Result<()> {
        fs::create_dir_all(folder)?;
        let json = serde_json::to_string_pretty(self)?;
        fs::write(folder.join(self.name).with_extension("json"), json + "\n")?;
        fs::write(folder.join(self.name).with_extension("md"), self.markdown())
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

    #[test]
    fn a_ratio_names_what_it_is_of() {
        let mut table = Table::new("speed");
        let native = Row::new("native", 200.0, "MB/s");
        table.push(Row::new("sandbox", 150.0, "MB/s").against(&native, "native"));
        let last = "| sandbox | 150 MB/s | 0.75 × native |\n";
        assert!(table.markdown().ends_with(last), "{}", table.markdown());
    }
}
