//! The command line of `cargo xtask`: words in, a [`Task`] out.

use crate::bench::options::{self, BenchOptions};

/// What `cargo xtask` prints when it is asked for help, or asked wrongly.
pub(crate) const USAGE: &str = "\
usage: cargo xtask COMMAND

commands:
  demo        load examples/demo.sql into an SQLite file and ask it a question
  test        start PostgreSQL, MariaDB and, where it can be had, Trino, run every test, stop them
              [--skip-servers] [-- ARGUMENTS FOR cargo test]
              [--trino]  only what is about Trino, which must be there
  bench       start the servers, run the benchmarks, write one table of them as Markdown, JSON and SVG
              [--only NAME]... [--rows N] [--memory-gb N] [--out FOLDER] [--skip-servers]
              [--peers | --no-peers] [--profile NAME] [-- ARGUMENTS FOR cargo bench]
  servers     start the servers, print how to reach them, stop them at Enter or Ctrl-C
  setup       add the wasm32-unknown-unknown target if it is missing
  help        print this

environment:
  SQL_BATCHER_TEST_POSTGRES_URL   use this PostgreSQL server, start none
  SQL_BATCHER_TEST_MYSQL_URL      use this MariaDB or MySQL server, start none
  SQL_BATCHER_TEST_TRINO_URL      use this Trino server, fetch and start none
  SQL_BATCHER_TEST_POSTGRES_BIN   folder of initdb, postgres, psql and pg_dump: looked at first
  SQL_BATCHER_TEST_MYSQL_BIN      folder of mariadb and mariadb-dump: looked at first
  SQL_BATCHER_BENCH_PYTHON        use this Python, which has what benches/peers needs
  SQL_BATCHER_CORE_COMPONENT      use this component, build none (needs no wasm target)";

/// What to do.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Task {
    /// Print the usage.
    Help,
    /// Add the target of the component.
    Setup,
    /// Show the main job on an example.
    Demo,
    /// Run the tests.
    Test(CargoOptions),
    /// Run the benchmarks.
    Bench(BenchOptions),
    /// Start the servers and wait.
    Servers,
}

/// What `test` may be told.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct CargoOptions {
    /// Do without the servers, and say so.
    pub(crate) skip_servers: bool,
    /// Only what is about Trino, which must be there (`test` only).
    pub(crate) trino: bool,
    /// What stood behind `--`: for cargo, as it is.
    pub(crate) cargo_arguments: Vec<String>,
}

/// Reads the words behind `cargo xtask`.
///
/// # Errors
///
/// A sentence that names the word that is not understood.
pub(crate) fn parse(words: &[String]) -> Result<Task, String> {
    let Some((command, rest)) = words.split_first() else {
        return Ok(Task::Help);
    };
    let task = match command.as_str() {
        "test" => return cargo_options(rest, &["--skip-servers", "--trino"]).map(Task::Test),
        "bench" => return options::parse(rest).map(Task::Bench),
        "demo" => Task::Demo,
        "servers" => Task::Servers,
        "setup" => Task::Setup,
        "help" | "--help" | "-h" => Task::Help,
        unknown => return Err(format!("unknown command `{unknown}`")),
    };
    match rest.first() {
        Some(word) => Err(format!("`{command}` takes no argument `{word}`")),
        None => Ok(task),
    }
}

/// Reads what stands behind `test`.
fn cargo_options(words: &[String], known: &[&str]) -> Result<CargoOptions, String> {
    let mut options = CargoOptions::default();
    let mut words = words.iter();
    for word in words.by_ref() {
        match word.as_str() {
            "--" => break,
            "--skip-servers" => options.skip_servers = true,
            "--trino" if known.contains(&"--trino") => options.trino = true,
            unknown => {
                return Err(format!("unknown argument `{unknown}` (those for cargo follow `--`)"));
            }
        }
    }
    options.cargo_arguments = words.cloned().collect();
    if options.trino && options.skip_servers {
        return Err("`--trino` needs the servers that `--skip-servers` leaves out".to_owned());
    }
    Ok(options)
}

#[cfg(test)]
mod tests {
    use super::{CargoOptions, Task, parse};

    fn parsed(line: &str) -> Result<Task, String> {
        parse(&line.split_whitespace().map(String::from).collect::<Vec<_>>())
    }

    #[test]
    fn no_command_asks_for_help() {
        assert_eq!(parsed(""), Ok(Task::Help));
    }

    #[test]
    fn what_follows_two_dashes_is_for_cargo_as_it_is() {
        let options = CargoOptions {
            skip_servers: true,
            trino: false,
            cargo_arguments: ["--test", "a", "--", "--skip-servers"].map(String::from).to_vec(),
        };
        assert_eq!(
            parsed("test --skip-servers -- --test a -- --skip-servers"),
            Ok(Task::Test(options))
        );
    }

    #[test]
    fn trino_alone_is_for_tests_and_needs_its_servers() {
        let options = CargoOptions { trino: true, ..CargoOptions::default() };
        assert_eq!(parsed("test --trino"), Ok(Task::Test(options)));
        assert!(parsed("bench --trino").is_err());
        assert!(parsed("test --trino --skip-servers").is_err());
    }

    #[test]
    fn unknown_words_are_refused_and_named() {
        for line in ["tset", "demo --fast", "test --fast", "bench split", "servers now"] {
            let message = parsed(line).expect_err(line);
            let word = line.split_whitespace().last().unwrap_or_default();
            assert!(message.contains(word), "{message}");
        }
    }
}
