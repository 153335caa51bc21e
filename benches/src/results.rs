//! One table of all benchmarks of a run: what they have left behind, read again, with the goals in
//! front and the picture beside.

use std::{
    env,
    fmt::Write as _,
    fs, io,
    num::NonZero,
    path::{Path, PathBuf},
    thread,
};

use serde::{Deserialize, Serialize};

use crate::{
    goal::Target,
    picture,
    table::{Row, Table, rounded},
};

/// Where in the folder of a run the tables of single benchmarks are.
pub const PARTS: &str = "parts";

/// All results of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Results {
    /// The profile with which all of it was built.
    pub profile: String,
    /// Of what kind the machine is.
    pub machine: String,
    /// Goals that were set, with what was found.
    pub goals: Vec<Judged>,
    /// The tables of the benchmarks.
    pub tables: Vec<Table>,
}

/// A goal, and whether it is reached.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Judged {
    /// The goal, and what was found.
    #[serde(flatten)]
    pub target: Target,
    /// Whether it is reached.
    pub reached: bool,
}

impl Results {
    /// Puts tables together.
    #[must_use]
    pub fn new(profile: &str, tables: Vec<Table>) -> Self {
        let targets = tables.iter().flat_map(|table| &table.rows).flat_map(Row::targets);
        let judged = |target: Target| {
            let reached = target.goal.is_reached(target.found);
            Judged { target, reached }
        };
        let goals = targets.map(judged).collect();
        let cores = thread::available_parallelism().map_or(1, NonZero::get);
        let machine = format!("{} on {}, {cores} cores", env::consts::OS, env::consts::ARCH);
        Self { profile: profile.to_owned(), machine, goals, tables }
    }

    /// Reads the tables of these benchmarks in a folder. One that has left none, since it ended
    /// before, is an empty table that says so.
    ///
    /// # Errors
    /// Where one cannot be read.
    pub fn read(folder: &Path, profile: &str, names: &[String]) -> io::Result<Self> {
        let tables = names.iter().map(|name| read(folder, name));
        Ok(Self::new(profile, tables.collect::<io::Result<_>>()?))
    }

    /// As Markdown.
    #[must_use]
    pub fn markdown(&self) -> String {
        let mut text = format!(
            "# Benchmarks\n\n{}; profile `{}`. Medians; take the ratios, which are of one run, and \
             not the numbers.\n",
            self.machine, self.profile
        );
        if self.profile != "release" {
            text.push_str(
                "\n**Not an optimised build: nothing here says how fast anything is.**\n",
            );
        }
        if !self.goals.is_empty() {
            text.push_str("\n## Goals\n\n| what | found | goal | |\n|---|---:|---:|---|\n");
        }
        for Judged { target, .. } in &self.goals {
            let Target { what, found, unit, goal } = target;
            let verdict = goal.judge(*found);
            // A `String` takes whatever is written.
            let _ = writeln!(text, "| {what} | {}{unit} | {goal} | {verdict} |", rounded(*found));
        }
        for table in &self.tables {
            let _ = write!(text, "\n## {}\n\n{}", table.name, table.markdown());
        }
        text
    }

    /// Writes `results.json` and `results.md`, and `results.svg` where there is something to draw;
    /// gives what was written.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn write(&self, folder: &Path) -> io::Result<Vec<PathBuf>> {
        let json = serde_json::to_string_pretty(self)? + "\n";
        let mut files = vec![("json", json), ("md", self.markdown())];
        files.extend(picture::draw(&self.tables).map(|picture| ("svg", picture)));
        let write = |(extension, text): (&str, String)| {
            let path = folder.join("results").with_extension(extension);
            fs::write(&path, text).map(|()| path)
        };
        files.into_iter().map(write).collect()
    }
}

fn read(folder: &Path, name: &str) -> io::Result<Table> {
    let file = folder.join(name).with_extension("json");
    match fs::read(file) {
        Ok(json) => Ok(serde_json::from_slice(&json)?),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let mut table = Table::new(name);
            table.leave_out(format!("{name} ended without a result"));
            Ok(table)
        }
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{goal::Goal, table::Bar};

    fn table() -> Table {
        let bar = Bar { group: "SQLite".to_owned(), label: "ours".to_owned(), ours: true };
        let row = Row::new("SQLite, ours", 3.0, "rows/s").with_goal(Goal::at_least(4.0));
        let mut table = Table::new("databases");
        table.push(row.with_bar(bar));
        table
    }

    #[test]
    fn the_results_of_a_run_are_read_and_written_as_they_are() {
        let folder = tempfile::tempdir().unwrap();
        table().write(folder.path()).unwrap();
        let names = ["databases", "memory"].map(String::from);
        let results = Results::read(folder.path(), "release", &names).unwrap();
        assert_eq!(results.tables[0], table());
        assert_eq!(results.tables[1].left_out, ["memory ended without a result"]);

        let written = results.write(folder.path()).unwrap();
        let extensions = written.iter().map(|path| path.extension().unwrap().to_str().unwrap());
        assert_eq!(extensions.collect::<Vec<_>>(), ["json", "md", "svg"]);
        let json = fs::read(&written[0]).unwrap();
        assert_eq!(serde_json::from_slice::<Results>(&json).unwrap(), results);
    }

    #[test]
    fn goals_come_first_with_what_was_found() {
        let text = Results::new("release", vec![table()]).markdown();
        let goal = "| SQLite, ours | 3.00 rows/s | ≥ 4.00 | not reached |";
        let [goal, row] = [goal, "\n## databases\n"].map(|part| text.find(part).unwrap());
        assert!(goal < row, "{text}");
    }

    #[test]
    fn a_build_that_is_not_optimised_is_called_one() {
        assert!(Results::new("dev", Vec::new()).markdown().contains("Not an optimised build"));
        assert!(!Results::new("release", Vec::new()).markdown().contains("Not an optimised build"));
    }
}
