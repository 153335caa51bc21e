//! How fast a script is split and batched: by the core itself, and by the same core in the sandbox;
//! and what it costs to look for INSERTs that can be merged, where there are some and where there
//! are none. All four take turns, a round after the other, and a ratio is the median of those of the
//! rounds. Nothing is sent anywhere. What a script costs on its way in (one copy of each chunk)
//! and what a batch costs on its way out are part of it.

use std::time::Duration;

use sql_batcher::{Dialect, Options, Splitter};
use sql_batcher_benches::{
    goal::Goal,
    is_measuring, native,
    sample::{Plan, Sample, in_turns, timed},
    scripts::{self, Script},
    table::{Ratio, Row, Table, rounded},
};
use sql_batcher_core as core;

/// Long enough that the opening of a session, which has a measurement of its own, does not count.
const SCRIPT_BYTES: usize = 256 << 20;

const PLAN: Plan = Plan { rounds: 21, budget: Duration::from_secs(20) };

/// Where the core runs, and what it is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Engine {
    sandboxed: bool,
    merges: bool,
}

impl Engine {
    /// All of them, in the order of measurement.
    const ALL: [Self; 4] = [
        Self { sandboxed: false, merges: false },
        Self { sandboxed: true, merges: false },
        Self { sandboxed: false, merges: true },
        Self { sandboxed: true, merges: true },
    ];

    fn name(self) -> &'static str {
        match (self.sandboxed, self.merges) {
            (false, false) => "native",
            (true, false) => "sandbox",
            (false, true) => "native, merging",
            (true, true) => "sandbox, merging",
        }
    }

    /// Splits the script of a case, and gives how many statements it found.
    fn split(self, case: &Case) -> u64 {
        let script = case.script.text.as_bytes();
        match self.sandboxed {
            true => in_sandbox(script, case.dialects.0, self.merges),
            false => natively(script, case.dialects.1, self.merges),
        }
    }
}

struct Case {
    name: String,
    dialects: (Dialect, core::Dialect),
    script: Script,
    /// Whether it is the one that a goal is about.
    is_goal: bool,
    /// What merging should be at least, as a multiple of not merging.
    merging: f64,
}

fn cases() -> impl Iterator<Item = Case> {
    let dialects = [
        ("postgresql", Dialect::PostgreSql, core::Dialect::PostgreSql),
        ("mysql", Dialect::MySql, core::Dialect::MySql),
        ("sqlite", Dialect::Sqlite, core::Dialect::Sqlite),
    ];
    dialects.into_iter().flat_map(|(name, dialect, native)| {
        [
            ("60-byte INSERTs", scripts::inserts(SCRIPT_BYTES, 60)),
            ("600-byte INSERTs", scripts::inserts(SCRIPT_BYTES, 600)),
            ("INSERTs into two tables by turns", scripts::by_turns(SCRIPT_BYTES, 1)),
            ("INSERTs in series of three", scripts::by_turns(SCRIPT_BYTES, 3)),
            ("INSERTs with a function", scripts::with_function(SCRIPT_BYTES)),
            ("dump", scripts::dump(SCRIPT_BYTES, dialect)),
            ("UPDATEs", scripts::updates(SCRIPT_BYTES)),
        ]
        .map(|(kind, script)| Case {
            name: format!("{kind}, {name}"),
            dialects: (dialect, native),
            script,
            is_goal: kind == "60-byte INSERTs",
            // Nothing, where there are none, but for what two medians of the same differ by.
            merging: if kind == "UPDATEs" { 0.97 } else { 0.7 },
        })
    })
}

fn natively(script: &[u8], dialect: core::Dialect, merges: bool) -> u64 {
    let mut options = core::Options::new(dialect);
    options.merging = merges.then_some(core::Merging::default());
    native::split(script, options).statements
}

fn in_sandbox(script: &[u8], dialect: Dialect, merges: bool) -> u64 {
    let options = Options::default().dialect(dialect).merge_inserts(merges);
    let mut splitter = Splitter::new(options).expect("the defaults are valid");
    for chunk in script.chunks(native::CHUNK_BYTES) {
        drop(splitter.push(chunk).expect("the script is valid"));
    }
    splitter.finish().expect("the script is valid").1.statements
}

fn measured(case: &Case, engine: Engine, sample: &Sample) -> Row {
    let ns = sample.median().as_nanos() as f64;
    let Script { text, statements } = &case.script;
    let millions = rounded(*statements as f64 / ns * 1e3);
    Row::new(format!("{}, {}", case.name, engine.name()), text.len() as f64 / ns, "GB/s")
        .with_note(format!("{millions} million statements/s"))
}

fn compare(table: &mut Table, case: &Case) {
    let samples = in_turns(PLAN, &Engine::ALL, |engine| {
        Ok(timed(|| assert_eq!(engine.split(case), case.script.statements)))
    });
    let samples: Result<Vec<Sample>, String> = samples.into_iter().collect();
    let samples = samples.expect("nothing that is needed can be missing");
    let [native, sandbox, ..] = &samples[..] else { return };
    let of_native = case.is_goal.then(|| Goal::at_least(0.8));
    let of_plain = Some(Goal::at_least(case.merging));
    let against = [
        None,
        Some((native, "native", of_native)),
        Some((native, "not merging", of_plain)),
        Some((sandbox, "not merging", of_plain)),
    ];
    for ((engine, sample), against) in Engine::ALL.into_iter().zip(&samples).zip(against) {
        let mut row = measured(case, engine, sample);
        if let Some((other, of, goal)) = against {
            let times = sample.times_as_fast_as(other);
            row = row.times(Ratio { times, of: of.to_owned(), goal });
        }
        let is_goal = case.is_goal && engine == (Engine { sandboxed: true, merges: false });
        table.push(if is_goal { row.with_goal(Goal::at_least(1.5)) } else { row });
    }
}

fn main() {
    if !is_measuring() {
        return;
    }
    let mut table = Table::new("splitting");
    for case in cases() {
        compare(&mut table, &case);
    }
    table.publish(env!("CARGO_TARGET_TMPDIR"));
}
