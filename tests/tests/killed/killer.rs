//! Kills runs at random moments, and starts each again until it ends by itself.

use std::{
    env,
    hash::{BuildHasher as _, RandomState},
    process::{Child, Command, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

/// Between two looks at the process.
const PROBE: Duration = Duration::from_millis(1);
/// A run is killed before this part of the time that one alone takes: some come to their end, some
/// are killed often.
const PART: u32 = 8;

/// Kills so many times over any number of runs.
pub(crate) struct Killer {
    /// Random numbers that can be repeated: xorshift64, <https://doi.org/10.18637/jss.v008.i14>.
    random: u64,
    /// The latest moment; none before a run was seen to its end.
    latest: Option<Duration>,
    left: u32,
    killed: u32,
}

impl Killer {
    /// One that kills so many times, unless `SQL_BATCHER_TEST_KILLS` says another number.
    pub(crate) fn new(kills: u32) -> Self {
        let number = |name| env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
        let seed = number("SQL_BATCHER_TEST_SEED");
        let random = seed.unwrap_or_else(|| RandomState::new().hash_one(0)) | 1;
        println!("SQL_BATCHER_TEST_SEED={random}");
        let wanted = number("SQL_BATCHER_TEST_KILLS").map(|kills| u32::try_from(kills).unwrap());
        Self { random, latest: None, left: wanted.unwrap_or(kills), killed: 0 }
    }

    /// Whether there is anything left to do.
    pub(crate) fn is_done(&self) -> bool {
        self.left == 0
    }

    /// Starts a command, kills it, and starts it again until it ends by itself; says how often it
    /// was killed. The first time nothing is killed, to see how long it takes.
    pub(crate) fn run_to_its_end(&mut self, command: impl Fn() -> Command) -> (Output, u32) {
        let (started, before) = (Instant::now(), self.killed);
        loop {
            let mut command = command();
            let child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
            let output = match self.moment() {
                Some(moment) => wait_or_kill(child, moment),
                None => Some(child.wait_with_output().unwrap()),
            };
            let Some(output) = output else {
                self.left -= 1;
                self.killed += 1;
                continue;
            };
            self.latest.get_or_insert_with(|| started.elapsed() / PART);
            let kills = self.killed - before;
            println!("killed {kills} times, at its end after {:.1?}", started.elapsed());
            return (output, kills);
        }
    }

    /// When to kill; none: not at all.
    fn moment(&mut self) -> Option<Duration> {
        let latest = self.latest.filter(|_| self.left > 0)?;
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        let latest = u64::try_from(latest.as_micros()).unwrap().max(1);
        Some(Duration::from_micros(self.random % latest))
    }
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
