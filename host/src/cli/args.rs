//! What can be said on the command line. Each option is also a variable of the environment; clap
//! prefers the command line. The configuration file comes third: see `config`.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum, builder::BoolishValueParser};
use serde::Deserialize;
use sql_batcher::{Backoff, Dialect, Oversized, Transactions};

use super::{
    hooks::HookArgs,
    merging::MergeArgs,
    recovery::{LedgerArgs, RejectArgs},
    units::{ByteSize, TimeSpan},
    watch::WatchArgs,
};

const AFTER_HELP: &str = "\
Options are also read from the environment, under the names given above, and from \
sql-batcher.toml in the current folder (or the file given with --config), under their long \
names: `max-bytes = \"64KiB\"`. The command line goes before the environment, and the \
environment before the file. An unknown key in the file is an error.

Sizes: 1000000, 64KiB, 1.5MiB (KiB, MiB, GiB: powers of 1024), 1MB (KB, MB, GB: powers of 1000).
Times: 500ms, 30s, 5m, 2h.

Exit codes:
  0    everything was applied
  1    the run failed
  2    wrong usage or options; nothing was done
  3    finished, but some statements were left out
  4    it is not known whether some statements were applied (also if interrupted)
  130  interrupted by Ctrl-C or SIGTERM";

/// Runs SQL scripts in batches that keep every limit of the database, and says exactly what was
/// applied.
#[derive(Debug, Parser)]
#[command(
    name = "sql-batcher",
    version,
    long_version = concat!(env!("CARGO_PKG_VERSION"), "\ncontract sql-batcher:core@0.1.0"),
    after_help = AFTER_HELP,
    max_term_width = 100
)]
pub(super) struct Cli {
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Run SQL scripts on a database
    ///
    /// Files are run one after another, each as an input of its own; without a file, standard
    /// input is read. The summary goes to standard output, everything else to standard error.
    ///
    /// Example: sql-batcher run --database postgres://me@localhost/shop dump.sql
    #[command(after_help = AFTER_HELP)]
    Run(Box<RunArgs>),
    /// Show the statements and batches of SQL scripts; touches no database
    ///
    /// Example: sql-batcher split --dialect postgresql --max-bytes 64KiB dump.sql
    #[command(after_help = AFTER_HELP)]
    Split(SplitArgs),
}

#[derive(Debug, Args)]
pub(super) struct RunArgs {
    /// Database to run on: sqlite://FILE, postgres://USER@HOST/DATABASE, mysql://USER@HOST/DATABASE
    ///
    /// A password that is not in the URL is taken from SQL_BATCHER_PASSWORD, or else from
    /// PGPASSWORD or MYSQL_PWD. It is never printed.
    ///
    /// [default: sqlite://sql-batcher.db, a file in the current folder]
    #[arg(long, value_name = "URL", env = "SQL_BATCHER_DATABASE", hide_env_values = true)]
    pub(super) database: Option<String>,

    /// How long connecting may take [default: 30s]
    #[arg(long, value_name = "TIME", env = "SQL_BATCHER_CONNECT_TIMEOUT")]
    pub(super) connect_timeout: Option<TimeSpan>,

    #[command(flatten)]
    pub(super) sources: SourceArgs,

    #[command(flatten)]
    pub(super) attempts: AttemptArgs,

    #[command(flatten)]
    pub(super) batching: BatchingArgs,

    #[command(flatten)]
    pub(super) ledger: LedgerArgs,

    #[command(flatten)]
    pub(super) rejecting: RejectArgs,

    #[command(flatten)]
    pub(super) hooks: HookArgs,

    /// How long the first statement of a batch may wait for others, for input that trickles in
    /// [default: no limit]
    #[arg(long, value_name = "TIME", env = "SQL_BATCHER_MAX_AGE", help_heading = "Batching")]
    pub(super) max_age: Option<TimeSpan>,

    /// What is printed at the end [default: text]
    #[arg(long, value_name = "FORMAT", env = "SQL_BATCHER_REPORT", help_heading = "Output")]
    pub(super) report: Option<Format>,

    /// Send nothing and do not connect: only count what would be sent
    #[arg(long, env = "SQL_BATCHER_DRY_RUN", help_heading = "Output")]
    #[arg(num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    #[arg(hide_possible_values = true)]
    #[arg(value_name = "true|false", value_parser = BoolishValueParser::new())]
    pub(super) dry_run: Option<bool>,

    /// Let errors quote values and pieces of the SQL, where the database's messages do; the file of
    /// rejected statements always has them
    #[arg(long, env = "SQL_BATCHER_SHOW_VALUES", help_heading = "Output")]
    #[arg(num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    #[arg(hide_possible_values = true)]
    #[arg(value_name = "true|false", value_parser = BoolishValueParser::new())]
    pub(super) show_values: Option<bool>,

    /// Print nothing but errors, and the report if it is JSON
    #[arg(long, short, env = "SQL_BATCHER_QUIET", help_heading = "Output")]
    #[arg(num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    #[arg(hide_possible_values = true)]
    #[arg(value_name = "true|false", value_parser = BoolishValueParser::new())]
    pub(super) quiet: Option<bool>,

    /// Show no progress bar; there is one only if standard error is a terminal
    #[arg(long, env = "SQL_BATCHER_NO_PROGRESS", help_heading = "Output")]
    #[arg(num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    #[arg(hide_possible_values = true)]
    #[arg(value_name = "true|false", value_parser = BoolishValueParser::new())]
    pub(super) no_progress: Option<bool>,

    #[command(flatten)]
    pub(super) watch: WatchArgs,
}

#[derive(Debug, Args)]
pub(super) struct SplitArgs {
    #[command(flatten)]
    pub(super) sources: SourceArgs,

    #[command(flatten)]
    pub(super) batching: BatchingArgs,

    /// What is printed: text for people, or json, one line a statement [default: text]
    #[arg(long, value_name = "FORMAT", env = "SQL_BATCHER_FORMAT", help_heading = "Output")]
    pub(super) format: Option<Format>,

    /// Print only the first line of each statement, if it is text that is printed
    #[arg(long, env = "SQL_BATCHER_BRIEF", help_heading = "Output")]
    #[arg(num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    #[arg(hide_possible_values = true)]
    #[arg(value_name = "true|false", value_parser = BoolishValueParser::new())]
    pub(super) brief: Option<bool>,
}

/// Where things are read from.
#[derive(Debug, Args)]
pub(super) struct SourceArgs {
    /// Configuration file [default: sql-batcher.toml in the current folder, if there is one]
    #[arg(long, value_name = "FILE", env = "SQL_BATCHER_CONFIG")]
    pub(super) config: Option<PathBuf>,

    /// SQL scripts; `-`, or none at all, is standard input
    #[arg(value_name = "FILE")]
    pub(super) files: Vec<PathBuf>,
}

/// How often something is tried, and how long it may take.
#[derive(Debug, Args)]
#[command(next_help_heading = "Retries and time")]
pub(super) struct AttemptArgs {
    /// How many more attempts a batch has, and connecting, after a failure that may pass by itself
    /// and left nothing applied; 0 for none [default: 5]
    #[arg(long, value_name = "COUNT", env = "SQL_BATCHER_MAX_RETRIES")]
    pub(super) max_retries: Option<u32>,

    /// How the waits between attempts grow [default: exponential]
    #[arg(long, value_name = "HOW", env = "SQL_BATCHER_BACKOFF")]
    pub(super) backoff: Option<BackoffArg>,

    /// The first wait; each is made longer at random, up to twice as long [default: 100ms]
    #[arg(long, value_name = "TIME", env = "SQL_BATCHER_RETRY_DELAY")]
    pub(super) retry_delay: Option<TimeSpan>,

    /// The longest wait [default: 10s, or --retry-delay if that is more]
    #[arg(long, value_name = "TIME", env = "SQL_BATCHER_MAX_RETRY_DELAY")]
    pub(super) max_retry_delay: Option<TimeSpan>,

    /// How long one attempt of a batch may take; then it is cancelled on the server
    /// [default: no limit]
    #[arg(long, value_name = "TIME", env = "SQL_BATCHER_ATTEMPT_TIMEOUT")]
    pub(super) attempt_timeout: Option<TimeSpan>,

    /// How long the whole run may take, once connected [default: no limit]
    #[arg(long, value_name = "TIME", env = "SQL_BATCHER_DEADLINE")]
    pub(super) deadline: Option<TimeSpan>,
}

/// What decides about batches.
#[derive(Debug, Args)]
#[command(next_help_heading = "Batching")]
pub(super) struct BatchingArgs {
    /// Most bytes of one request; where the database takes less, its own limit holds
    /// [default: 1MiB]
    #[arg(long, value_name = "SIZE", env = "SQL_BATCHER_MAX_BYTES")]
    pub(super) max_bytes: Option<ByteSize>,

    /// Most bytes that one statement may take while it is read [default: 64MiB, or --max-bytes if
    /// that is more]
    #[arg(long, value_name = "SIZE", env = "SQL_BATCHER_MAX_STATEMENT_BYTES")]
    pub(super) max_statement_bytes: Option<ByteSize>,

    /// Most statements of one batch [default: 100000]
    #[arg(long, value_name = "COUNT", env = "SQL_BATCHER_MAX_STATEMENTS")]
    pub(super) max_statements: Option<u32>,

    /// Most rows of VALUES in one batch, where they can be counted [default: no limit]
    #[arg(long, value_name = "COUNT", env = "SQL_BATCHER_MAX_ROWS")]
    pub(super) max_rows: Option<u32>,

    #[command(flatten)]
    pub(super) merging: MergeArgs,

    /// How far a transaction reaches [default: batch]
    #[arg(long, value_name = "WHICH", env = "SQL_BATCHER_TRANSACTIONS")]
    pub(super) transactions: Option<TransactionsArg>,

    /// What becomes of a single statement above --max-bytes [default: refuse]
    #[arg(long, value_name = "WHAT", env = "SQL_BATCHER_OVERSIZED")]
    pub(super) oversized: Option<OversizedArg>,

    /// Whose client's rules split the scripts [default: auto]
    #[arg(long, value_name = "DIALECT", env = "SQL_BATCHER_DIALECT")]
    pub(super) dialect: Option<DialectArg>,
}

/// How something is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Format {
    /// For people
    #[default]
    Text,
    /// For machines
    Json,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum TransactionsArg {
    /// Each batch is applied whole or not at all
    #[default]
    Batch,
    /// The whole run is applied, or nothing of it
    Run,
    /// Each statement stands for itself
    None,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum OversizedArg {
    /// It ends the run, before any of it is sent
    #[default]
    Refuse,
    /// It is sent by itself, as far as the database and --max-statement-bytes allow
    SendAlone,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum DialectArg {
    /// That of the database; generic where there is none
    #[default]
    Auto,
    /// Standard SQL
    Generic,
    /// As the sqlite3 shell
    Sqlite,
    /// As psql
    Postgresql,
    /// As the mysql and mariadb clients
    Mysql,
    /// As Trino's command line
    Trino,
    /// As Snowflake's command lines
    Snowflake,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum BackoffArg {
    /// Each as long as the first
    Constant,
    /// Longer by the first each time
    Linear,
    /// Twice as long each time
    #[default]
    Exponential,
}

impl From<BackoffArg> for Backoff {
    fn from(arg: BackoffArg) -> Self {
        match arg {
            BackoffArg::Constant => Self::Constant,
            BackoffArg::Linear => Self::Linear,
            BackoffArg::Exponential => Self::Exponential,
        }
    }
}

impl From<TransactionsArg> for Transactions {
    fn from(arg: TransactionsArg) -> Self {
        match arg {
            TransactionsArg::Batch => Self::Batch,
            TransactionsArg::Run => Self::Run,
            TransactionsArg::None => Self::None,
        }
    }
}

impl From<OversizedArg> for Oversized {
    fn from(arg: OversizedArg) -> Self {
        match arg {
            OversizedArg::Refuse => Self::Refuse,
            OversizedArg::SendAlone => Self::SendAlone,
        }
    }
}

impl DialectArg {
    /// The dialect, unless it follows from the database.
    pub(super) fn named(self) -> Option<Dialect> {
        match self {
            Self::Auto => None,
            Self::Generic => Some(Dialect::Generic),
            Self::Sqlite => Some(Dialect::Sqlite),
            Self::Postgresql => Some(Dialect::PostgreSql),
            Self::Mysql => Some(Dialect::MySql),
            Self::Trino => Some(Dialect::Trino),
            Self::Snowflake => Some(Dialect::Snowflake),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_version_names_the_contract_that_the_component_has() {
        let contract = include_str!("../../../wit/sql-batcher.wit");
        let package = contract.lines().find_map(|line| line.strip_prefix("package "));
        let package = package.unwrap().trim_end_matches(';');
        let version = Cli::command().render_long_version();
        assert!(version.contains(&format!("contract {package}")), "{version}");
    }

    #[test]
    fn every_option_has_a_variable_of_the_same_name() {
        for command in Cli::command().get_subcommands() {
            for option in command.get_opts().filter(|option| option.get_long() != Some("help")) {
                let long = option.get_long().unwrap();
                let expected = format!("SQL_BATCHER_{}", long.replace('-', "_").to_uppercase());
                assert_eq!(option.get_env().unwrap(), expected.as_str());
            }
        }
    }
}
