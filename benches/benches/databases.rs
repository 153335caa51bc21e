//! Whole runs on each database, against everything else that brings the same rows into the same
//! table: one statement a round trip, INSERTs of many rows made by hand, `COPY`, prepared
//! statements, the databases' own clients, and what Python offers.
//!
//! Programs are measured from their start to their end, the library and what is written by hand from
//! connecting to the answer to the last statement; scripts in Python take their time themselves,
//! from connecting to the last commit. After each run the rows are counted.
//!
//! On PostgreSQL the programs are measured a second time, with columns of types to which its server
//! converts no constant.
//!
//! `SQL_BATCHER_BENCH_ROWS` says how many rows (100000); ways that take them one by one take fewer,
//! because it is their rate that counts. The servers are those of `SQL_BATCHER_TEST_POSTGRES_URL`
//! and `SQL_BATCHER_TEST_MYSQL_URL`; the table `bench_rows` in them is dropped. The program is that
//! of `SQL_BATCHER_TEST_BIN`, the Python that of `SQL_BATCHER_BENCH_PYTHON`.

use std::time::Duration;

use sql_batcher_benches::{
    database::{Database, Kind},
    goal::Goal,
    is_measuring, number,
    rows::CREATE_TABLE_UNCONVERTED,
    sample::{Plan, Sample, in_turns},
    table::{Bar, Row, Table},
    ways::{Input, Mode, Way, run},
};
use tokio::runtime::Runtime;

const PLAN: Plan = Plan { rounds: 5, budget: Duration::from_secs(10) };

/// The programs that are measured where constants need no conversion.
const PROGRAMS: [Way; 4] =
    [Way::Program(Mode::Merged), Way::Program(Mode::Fast), Way::Client, Way::ClientHandMade];

/// A way, and its row of the table.
type Measured = (Way, Row);

/// Ways that are held against one another.
struct Contest<'a> {
    /// What they are called together.
    group: &'a str,
    database: &'a Database,
    ways: &'a [Way],
    /// Whether they are drawn.
    is_drawn: bool,
}

fn measure(runtime: &Runtime, contest: &Contest<'_>, input: &Input) -> Vec<Measured> {
    let samples = in_turns(PLAN, contest.ways, |way| {
        let once = runtime.block_on(run(*way, contest.database, input));
        once.map_err(|error| said(*way, contest.database, &error.to_string()))
    });
    let ways = contest.ways.iter().copied();
    ways.zip(samples).map(|(way, sample)| (way, row(way, contest, input, sample))).collect()
}

/// What is missing was left out; anything else has failed, and is said at once, too.
fn said(way: Way, database: &Database, error: &str) -> String {
    let name = way.name(database.kind);
    eprintln!("{}, {name}: {error}", database.kind.name());
    match error.strip_prefix("not installed: ") {
        Some(_) => error.to_owned(),
        None => format!("failed: {error}"),
    }
}

fn row(way: Way, contest: &Contest<'_>, input: &Input, sample: Result<Sample, String>) -> Row {
    let (group, label) = (contest.group, way.name(contest.database.kind));
    let what = format!("{group}, {label}");
    let count = way.rows(input.count());
    let row = match sample {
        Err(why) => Row::missing(what, "rows/s").with_note(why),
        Ok(sample) => {
            let row = Row::new(what, count as f64 / sample.median().as_secs_f64(), "rows/s");
            let runs = sample.runs();
            let runs = if runs == 1 { "1 run".to_owned() } else { format!("{runs} runs") };
            row.with_note(if count == input.count() {
                runs
            } else {
                format!("{runs}, {count} rows")
            })
        }
    };
    let is_drawn = !matches!(way, Way::Library(_) | Way::Autocommit);
    match is_drawn && contest.is_drawn {
        true => row.with_bar(Bar { group: group.to_owned(), label, ours: way.is_ours() }),
        false => row,
    }
}

/// What each of ours is held against: which other way, and what the ratio should be.
fn rivals(kind: Kind, way: Way) -> Vec<(Way, Option<f64>)> {
    let (mode, is_program) = match way {
        Way::Program(mode) => (mode, true),
        Way::Library(mode) => (mode, false),
        _ => return Vec::new(),
    };
    let merged = mode == Mode::Merged;
    let goal = |wanted: bool, bound: f64| wanted.then_some(bound);
    let mut rivals = vec![match (is_program, kind) {
        (true, Kind::Postgres) => (Way::Client, goal(mode != Mode::Plain, 20.0)),
        (true, Kind::Sqlite) if mode == Mode::Plain => (Way::Client, Some(0.9)),
        (true, Kind::Sqlite) => (Way::Client, goal(merged, 3.0)),
        (true, Kind::MySql) => (Way::Client, None),
        (false, _) => (Way::OneByOne, None),
    }];
    if mode != Mode::Plain {
        let by_hand = if is_program { Way::ClientHandMade } else { Way::HandMade };
        rivals.push((by_hand, goal(merged && kind != Kind::Sqlite, 0.9)));
    }
    match (kind, mode, is_program) {
        (Kind::Postgres, Mode::Fast, false) => rivals.push((Way::Copy, Some(0.5))),
        (Kind::Sqlite, Mode::Fast, false) => rivals.push((Way::Prepared, Some(0.7))),
        _ => {}
    }
    rivals
}

fn compare(table: &mut Table, contest: &Contest<'_>, input: &Input) {
    let runtime = Runtime::new().expect("a runtime can be started");
    let measured = measure(&runtime, contest, input);
    let kind = contest.database.kind;
    for (way, row) in &measured {
        let mut row = row.clone();
        for (rival, goal) in rivals(kind, *way) {
            let Some((_, other)) = measured.iter().find(|(way, _)| *way == rival) else { continue };
            let name = rival.name(kind);
            row = match goal {
                Some(bound) => row.with_ratio(other, name, Goal::at_least(bound)),
                None => row.against(other, name),
            };
        }
        table.push(row);
    }
}

fn main() {
    if !is_measuring() {
        return;
    }
    let rows = number("SQL_BATCHER_BENCH_ROWS", 100_000);
    let input = Input::new(usize::try_from(rows).expect("the number fits"));
    let mut input = input.unwrap_or_else(|error| panic!("{rows} rows: {error}"));
    let mut table = Table::new("databases");
    let databases = Database::all(&mut table, input.files.folder());
    for database in &databases {
        let (group, ways) = (database.kind.name(), &Way::all(database.kind)[..]);
        compare(&mut table, &Contest { group, database, ways, is_drawn: true }, &input);
    }
    input.create_table = CREATE_TABLE_UNCONVERTED;
    for database in databases.iter().filter(|database| database.kind == Kind::Postgres) {
        let group = "PostgreSQL, no constant converted";
        compare(&mut table, &Contest { group, database, ways: &PROGRAMS, is_drawn: false }, &input);
    }
    table.publish(env!("CARGO_TARGET_TMPDIR"));
}
