//! What `cargo xtask bench` may be told, and which benchmarks there are.

use std::path::PathBuf;

/// The benchmarks, in the order in which the table has them.
pub(crate) const NAMES: [&str; 12] = [
    "startup",
    "sessions",
    "splitting",
    "splitters",
    "hooks",
    "databases",
    "fast_path",
    "sandbox",
    "recovery",
    "network",
    "trino",
    "memory",
];

/// What the benchmarks may be told.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct BenchOptions {
    /// Do without the servers, and say so.
    pub(crate) skip_servers: bool,
    /// Which benchmarks; all of them where none is named.
    pub(crate) only: Vec<String>,
    /// Rows of whole runs; without it, the benchmarks' own number.
    pub(crate) rows: Option<u64>,
    /// A script of so many gigabytes besides, for the benchmark of memory.
    pub(crate) memory_gb: Option<u64>,
    /// Where the results go; without it, into the target folder.
    pub(crate) out: Option<PathBuf>,
    /// What becomes of the peers in Python.
    pub(crate) peers: Peers,
    /// The profile with which everything is built.
    pub(crate) profile: String,
    /// What stood behind `--`: for cargo, as it is.
    pub(crate) cargo_arguments: Vec<String>,
}

/// What becomes of the peers in Python.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Peers {
    /// They are installed where that is possible.
    IfPossible,
    /// They are installed, or nothing is measured.
    Required,
    /// They are left out.
    LeftOut,
}

impl Default for BenchOptions {
    fn default() -> Self {
        Self {
            skip_servers: false,
            only: Vec::new(),
            rows: None,
            memory_gb: None,
            out: None,
            peers: Peers::IfPossible,
            profile: "release".to_owned(),
            cargo_arguments: Vec::new(),
        }
    }
}

impl BenchOptions {
    /// The benchmarks that run, in the order of the table.
    pub(crate) fn names(&self) -> Vec<&'static str> {
        let is_wanted = |name: &&str| self.only.is_empty() || self.only.iter().any(|o| o == name);
        NAMES.into_iter().filter(is_wanted).collect()
    }

    /// The folder that cargo has for the profile.
    pub(crate) fn profile_folder(&self) -> &str {
        if self.profile == "dev" { "debug" } else { &self.profile }
    }
}

/// Reads what stands behind `bench`.
///
/// # Errors
///
/// A sentence that names the word that is not understood.
pub(crate) fn parse(words: &[String]) -> Result<BenchOptions, String> {
    let mut options = BenchOptions::default();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or_else(|| format!("`{word}` wants a value"));
        match word.as_str() {
            "--skip-servers" => options.skip_servers = true,
            "--peers" => options.peers = Peers::Required,
            "--no-peers" => options.peers = Peers::LeftOut,
            "--only" => options.only.push(known(value()?)?),
            "--rows" => options.rows = Some(number(word, value()?)?),
            "--memory-gb" => options.memory_gb = Some(number(word, value()?)?),
            "--out" => options.out = Some(PathBuf::from(value()?)),
            "--profile" => options.profile.clone_from(value()?),
            "--" => break,
            unknown => {
                return Err(format!("unknown argument `{unknown}` (those for cargo follow `--`)"));
            }
        }
    }
    options.cargo_arguments = words.cloned().collect();
    Ok(options)
}

fn known(name: &str) -> Result<String, String> {
    if NAMES.contains(&name) {
        return Ok(name.to_owned());
    }
    Err(format!("there is no benchmark `{name}`, but {}", NAMES.join(", ")))
}

fn number(option: &str, text: &str) -> Result<u64, String> {
    match text.parse() {
        Ok(number @ 1..) => Ok(number),
        _ => Err(format!("`{option}` wants a number of at least 1, and not `{text}`")),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{BenchOptions, NAMES, Peers, parse};

    fn parsed(line: &str) -> Result<BenchOptions, String> {
        parse(&line.split_whitespace().map(String::from).collect::<Vec<_>>())
    }

    #[test]
    fn without_words_everything_is_measured() {
        let options = parsed("").expect("nothing is wrong with it");
        assert_eq!(options.names(), NAMES);
        assert_eq!((options.profile_folder(), options.peers), ("release", Peers::IfPossible));
    }

    #[test]
    fn each_option_says_what_it_says() {
        let line = "--only memory --rows 2000 --only databases --memory-gb 10 --out some/folder \
                    --skip-servers --no-peers --profile dev -- --rows";
        let options = parsed(line).expect("nothing is wrong with it");
        assert_eq!(options.names(), ["databases", "memory"]);
        assert_eq!((options.rows, options.memory_gb), (Some(2000), Some(10)));
        assert_eq!(options.out.as_deref(), Some(Path::new("some/folder")));
        assert_eq!((options.skip_servers, options.peers), (true, Peers::LeftOut));
        assert_eq!(options.profile_folder(), "debug");
        assert_eq!(options.cargo_arguments, ["--rows"]);
    }

    #[test]
    fn what_makes_no_sense_is_refused_and_named() {
        for line in ["--only speed", "--rows many", "--rows 0", "--fast", "split", "--out"] {
            let message = parsed(line).expect_err(line);
            let word = line.split_whitespace().last().unwrap_or_default();
            assert!(message.contains(word), "{message}");
        }
    }

    #[test]
    fn every_benchmark_has_a_name_here() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../benches/benches");
        let files = folder.read_dir().expect("the benchmarks are there");
        let mut found: Vec<String> = files
            .map(|file| file.expect("it can be read").path())
            .filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned()))
            .collect();
        let mut known = NAMES.map(String::from).to_vec();
        found.sort();
        known.sort();
        assert_eq!(found, known);
    }
}
