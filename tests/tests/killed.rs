//! The program is killed at random moments and resumed each time, on every database: at the end
//! each row is there exactly once. `SQL_BATCHER_TEST_SEED` repeats the moments of a failure as far
//! as that can be, `SQL_BATCHER_TEST_KILLS` says another number of them.
#![expect(clippy::unwrap_used, reason = "a test ends where something of its own fails")]

use std::{
    env,
    fmt::Write as _,
    fs,
    hash::{BuildHasher as _, RandomState},
    path::{Path, PathBuf},
    process::{self, Child, Command, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

use sql_batcher::{
    RetryOptions,
    adapters::{PoolOptions, Request, Scope},
    connect,
};
use sql_batcher_tests::{
    dumps::program,
    servers::{mysql_url, postgres_url},
};

const ROWS: usize = 100_000;
const KILLS: u32 = 200;
/// Rows that the script inserts in transactions of its own.
const TRANSACTIONS: std::ops::Range<usize> = 10_000..30_000;
/// Rows that are inserted while their table is locked, where the database has such locks.
const LOCKED: std::ops::Range<usize> = 60_000..80_000;
/// Before these rows something is defined, which some databases do outside any transaction.
const DEFINITIONS: [usize; 3] = [35_000, 45_000, 55_000];
/// Between two looks at the process.
const PROBE: Duration = Duration::from_millis(1);

/// A database, and how its script is written.
struct Target {
    url: String,
    setting: &'static str,
    has_table_locks: bool,
    has_copy: bool,
}

/// Random numbers that can be repeated: xorshift64, <https://doi.org/10.18637/jss.v008.i14>.
struct Random(u64);

impl Random {
    fn new() -> Self {
        let seed = env::var("SQL_BATCHER_TEST_SEED").ok().and_then(|seed| seed.parse().ok());
        let seed = seed.unwrap_or_else(|| RandomState::new().hash_one(0)) | 1;
        println!("SQL_BATCHER_TEST_SEED={seed}");
        Self(seed)
    }

    fn up_to(&mut self, most: Duration) -> Duration {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        let most = u64::try_from(most.as_micros()).unwrap().max(1);
        Duration::from_micros(self.0 % most)
    }
}

impl Target {
    /// A script that fills a table with rows from 0 on.
    fn script(&self, table: &str) -> String {
        let mut script = format!("{};\n", self.setting);
        for id in 0..ROWS {
            if DEFINITIONS.contains(&id) {
                writeln!(script, "CREATE TABLE IF NOT EXISTS {table}_{id} (id INTEGER);").unwrap();
            }
            let locks = self.has_table_locks && !LOCKED.is_empty();
            if locks && id == LOCKED.start {
                writeln!(script, "LOCK TABLES {table} WRITE;").unwrap();
            }
            if locks && id == LOCKED.end {
                writeln!(script, "UNLOCK TABLES;").unwrap();
            }
            let own = TRANSACTIONS.contains(&id);
            if own && id % 100 == 0 {
                script.push_str("BEGIN;\n");
            }
            if self.has_copy && id == ROWS - 1000 {
                writeln!(script, "COPY {table} FROM stdin;").unwrap();
            }
            if self.has_copy && id >= ROWS - 1000 {
                writeln!(script, "{id}\ta row of a copy").unwrap();
                continue;
            }
            writeln!(script, "INSERT INTO {table} VALUES ({id}, 'it''s; a row');").unwrap();
            if own && id % 100 == 99 {
                script.push_str(if id % 1000 == 999 { "ROLLBACK;\n" } else { "COMMIT;\n" });
            }
        }
        script
    }

    /// Rows that the script leaves: those of transactions that it takes back are not there.
    fn rows() -> usize {
        let taken_back = TRANSACTIONS.clone().filter(|id| id % 1000 >= 900).count();
        ROWS - taken_back
    }

    #[tokio::main(flavor = "current_thread")]
    async fn query(&self, sql: &str) -> Vec<Vec<Option<String>>> {
        let adapter = connect(&self.url, &PoolOptions::default(), &RetryOptions::default()).await;
        let mut connection = adapter.unwrap().acquire().await.unwrap();
        connection.fetch(sql).await.unwrap()
    }

    #[tokio::main(flavor = "current_thread")]
    async fn execute(&self, sql: &str) {
        let adapter = connect(&self.url, &PoolOptions::default(), &RetryOptions::default()).await;
        let mut connection = adapter.unwrap().acquire().await.unwrap();
        let ends = [u32::try_from(sql.len()).unwrap()];
        let body = sql.as_bytes();
        let request = Request { body, ends: &ends, scope: Scope::Bare, copy: None };
        connection.execute(request).await.unwrap();
    }

    fn start(&self, run: &str, script: &Path) -> Child {
        let mut command = Command::new(program());
        command.args(["run", "--quiet", "--database", &self.url, "--run", run, "--resume"]);
        // What is defined here can be defined again.
        command.args(["--in-doubt", "repeat", "--max-bytes", "16KiB"]).arg(script);
        command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
    }

    /// Each row is in the table exactly once.
    fn check(&self, table: &str, context: &str) {
        let sql = format!(
            "SELECT CAST(count(*) AS CHAR(20)), CAST(count(DISTINCT id) AS CHAR(20)) FROM {table}"
        );
        let counts: Vec<String> =
            self.query(&sql).remove(0).into_iter().flatten().map(|n| n.trim().to_owned()).collect();
        let rows = Self::rows().to_string();
        assert_eq!(counts, [rows.clone(), rows], "{table}: {context}");
    }

    /// Runs a script again and again until it was killed often enough, and each run to its end.
    fn survives(&self, name: &str) {
        let folder = tempfile::tempdir().unwrap();
        let mut random = Random::new();
        let kills = env::var("SQL_BATCHER_TEST_KILLS").ok().and_then(|kills| kills.parse().ok());
        let kills: u32 = kills.unwrap_or(KILLS);
        let whole = self.round(folder.path(), &format!("{name}_whole"), |_| None);
        // Some runs come to their end, some are killed often.
        let longest = whole.took / 8;
        let (mut killed, mut rounds) = (0, 0);
        while killed < kills {
            rounds += 1;
            let table = format!("{name}_{rounds}");
            let round = self.round(folder.path(), &table, |so_far| {
                (killed + so_far < kills).then(|| random.up_to(longest))
            });
            killed += round.kills;
        }
        println!(
            "{name}: killed {killed} times in {rounds} runs; one alone takes {:?}",
            whole.took
        );
    }

    /// One run into a table of its own, which is killed after each of these times.
    fn round(
        &self,
        folder: &Path,
        table: &str,
        mut next: impl FnMut(u32) -> Option<Duration>,
    ) -> Round {
        let table = format!("{table}_{}", process::id());
        let script: PathBuf = folder.join("script.sql");
        fs::write(&script, self.script(&table)).unwrap();
        self.execute(&format!("CREATE TABLE {table} (id INTEGER, name VARCHAR(30))"));
        let started = Instant::now();
        let mut kills = 0;
        loop {
            let child = self.start(&table, &script);
            let output = match next(kills) {
                Some(delay) => wait_or_kill(child, delay),
                None => Some(child.wait_with_output().unwrap()),
            };
            let Some(output) = output else {
                kills += 1;
                continue;
            };
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{}: after {kills} kills: {said}", output.status);
            self.check(&table, &format!("after {kills} kills"));
            for suffix in DEFINITIONS {
                self.execute(&format!("DROP TABLE {table}_{suffix}"));
            }
            self.execute(&format!("DROP TABLE {table}"));
            return Round { kills, took: started.elapsed() };
        }
    }
}

struct Round {
    kills: u32,
    took: Duration,
}

/// The output of a process that ends by itself within a time; none of one that was killed.
fn wait_or_kill(mut child: Child, delay: Duration) -> Option<Output> {
    let until = Instant::now() + delay;
    while Instant::now() < until {
        if child.try_wait().unwrap().is_some() {
            return Some(child.wait_with_output().unwrap());
        }
        thread::sleep(PROBE);
    }
    child.kill().unwrap();
    let output = child.wait_with_output().unwrap();
    output.status.code().is_some().then_some(output)
}

#[test]
fn sqlite_has_every_row_once_however_often_the_program_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", folder.path().join("killed.db").display());
    let setting = "PRAGMA synchronous = NORMAL";
    Target { url, setting, has_table_locks: false, has_copy: false }.survives("killed");
}

#[test]
fn postgresql_has_every_row_once_however_often_the_program_is_killed() {
    let Some(url) = postgres_url() else { return };
    let setting = "SET client_min_messages = warning";
    Target { url, setting, has_table_locks: false, has_copy: true }.survives("killed");
}

#[test]
fn mariadb_has_every_row_once_however_often_the_program_is_killed() {
    let Some(url) = mysql_url() else { return };
    let setting = "SET foreign_key_checks = 0";
    Target { url, setting, has_table_locks: true, has_copy: false }.survives("killed");
}
