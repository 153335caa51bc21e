//! What a run is to do: the command line, the environment and the configuration file taken
//! together, and checked as far as possible without a database.

use std::{env, time::Duration};

use sql_batcher::{Options, RetryOptions, adapters::PoolOptions};

use super::{
    Usage,
    args::{AttemptArgs, BatchingArgs, DialectArg, Format, RunArgs, TransactionsArg},
    config::{self, Config},
    database::Database,
    hooks::HooksPlan,
    inputs::Inputs,
    recovery::{RejectsPlan, with_recovery},
    units::{ByteSize, TimeSpan},
    watch::WatchPlan,
};

/// What `run` is to do.
pub(super) struct Plan {
    pub(super) database: Database,
    pub(super) pool: PoolOptions,
    pub(super) options: Options,
    /// How connecting is tried; batches have the same in `options`.
    pub(super) retries: RetryOptions,
    /// Whether the dialect was chosen; else it is that of the database.
    pub(super) dialect_is_named: bool,
    pub(super) inputs: Inputs,
    /// Where bad statements go; none: they end the run.
    pub(super) rejects: Option<RejectsPlan>,
    pub(super) hooks: HooksPlan,
    /// Whether batches run beside one another, so that what is applied need not be the beginning.
    pub(super) has_order: bool,
    pub(super) report: Format,
    pub(super) dry_run: bool,
    pub(super) quiet: bool,
    pub(super) progress: bool,
    pub(super) watch: WatchPlan,
}

impl Plan {
    /// Settles what was asked for.
    ///
    /// # Errors
    /// What cannot be done, before anything is.
    pub(super) fn of(args: RunArgs) -> Result<Self, Usage> {
        let config = config::load(args.sources.config.as_deref())?;
        let inputs = Inputs::check(&args.sources.files)?;
        let mut pool = pool(args.connect_timeout.or(config.connect_timeout))?;
        if let Some(TimeSpan(deadline)) = args.attempts.deadline.or(config.deadline) {
            pool.connect_timeout = pool.connect_timeout.min(deadline);
        }
        let max_age = args.max_age.or(config.max_age);
        let dialect = args.batching.dialect.or(config.dialect).unwrap_or_default();
        let retries = retries(&args.attempts, &config);
        let transactions = args.batching.transactions.or(config.transactions);
        let options = options(args.batching, &config).retries(retries);
        let options = limits(options, &args.attempts, &config);
        let options = match max_age {
            Some(TimeSpan(age)) => options.max_age(age),
            None => options,
        };
        let ledger = args.ledger.settle(&config);
        let resume = ledger.as_ref().is_some_and(|ledger| ledger.resume);
        let in_flight = args.rejecting.in_flight(&config);
        let options = with_recovery(options, ledger, in_flight);
        let rejects = args.rejecting.settle(&config, resume)?;
        if rejects.is_some() && transactions == Some(TransactionsArg::Run) {
            let message = "on-error skip does not go with transactions run: where one statement \
                           is left out, nothing can be all or nothing";
            return Err(Usage(message.into()));
        }
        let options =
            options.show_values(args.show_values.or(config.show_values).unwrap_or_default());
        let options = args.hooks.with_room(options, &config);
        let hooks = args.hooks.settle(&config)?;
        check(&options)?;
        // One more is for what is looked up beside them.
        let batches = in_flight.unwrap_or(1);
        pool.max_connections = pool.max_connections.max(batches + 1);
        let dry_run = args.dry_run.or(config.dry_run).unwrap_or_default();
        let quiet = args.quiet.or(config.quiet).unwrap_or_default();
        let watch = args.watch.settle(&config, quiet)?;
        let no_progress = args.no_progress.or(config.no_progress).unwrap_or_default();
        Ok(Self {
            database: Database::choose(args.database.or(config.database), |name| {
                env::var(name).ok()
            })?,
            pool,
            options,
            retries,
            dialect_is_named: dialect.named().is_some(),
            inputs,
            rejects,
            hooks,
            has_order: batches == 1,
            report: args.report.or(config.report).unwrap_or_default(),
            dry_run,
            quiet,
            progress: !quiet && !no_progress,
            watch,
        })
    }
}

/// The options of batching; what was not said is left at the library's default.
pub(super) fn options(args: BatchingArgs, config: &Config) -> Options {
    let mut options = Options::default();
    if let Some(ByteSize(bytes)) = args.max_bytes.or(config.max_bytes) {
        options = options.max_bytes(bytes);
    }
    if let Some(ByteSize(bytes)) = args.max_statement_bytes.or(config.max_statement_bytes) {
        options = options.max_statement_bytes(bytes);
    }
    if let Some(count) = args.max_statements.or(config.max_statements) {
        options = options.max_statements(count);
    }
    if let Some(count) = args.max_rows.or(config.max_rows) {
        options = options.max_rows(count);
    }
    options = args.merging.settle(options, config);
    let dialect = args.dialect.or(config.dialect).and_then(DialectArg::named);
    if let Some(dialect) = dialect {
        options = options.dialect(dialect);
    }
    let transactions = args.transactions.or(config.transactions).unwrap_or_default();
    let oversized = args.oversized.or(config.oversized).unwrap_or_default();
    options.transactions(transactions.into()).oversized(oversized.into())
}

/// How what fails is tried again; what was not said is left at the library's default.
fn retries(args: &AttemptArgs, config: &Config) -> RetryOptions {
    let default = RetryOptions::default();
    let time = |said: Option<TimeSpan>| said.map(|TimeSpan(time)| time);
    let delay = time(args.retry_delay.or(config.retry_delay)).unwrap_or(default.delay);
    let longest = time(args.max_retry_delay.or(config.max_retry_delay));
    RetryOptions {
        strategy: args.backoff.or(config.backoff).unwrap_or_default().into(),
        delay,
        max_delay: longest.unwrap_or(default.max_delay.max(delay)),
        max_retries: args.max_retries.or(config.max_retries).unwrap_or(default.max_retries),
        ..default
    }
}

/// The limits on time.
fn limits(mut options: Options, args: &AttemptArgs, config: &Config) -> Options {
    if let Some(TimeSpan(limit)) = args.attempt_timeout.or(config.attempt_timeout) {
        options = options.attempt_timeout(limit);
    }
    if let Some(TimeSpan(limit)) = args.deadline.or(config.deadline) {
        options = options.deadline(limit);
    }
    options
}

/// Whether the options are in their ranges.
pub(super) fn check(options: &Options) -> Result<(), Usage> {
    options.check().map_err(|error| Usage(as_typed(&error.to_string())))
}

/// The name of an option as it is written on the command line.
fn as_typed(message: &str) -> String {
    match message.split_once(' ') {
        Some((name, rest)) => format!("{} {rest}", name.replace('_', "-")),
        None => message.to_owned(),
    }
}

fn pool(connect_timeout: Option<TimeSpan>) -> Result<PoolOptions, Usage> {
    let mut pool = PoolOptions::default();
    let Some(TimeSpan(timeout)) = connect_timeout else { return Ok(pool) };
    if !(Duration::from_millis(1)..=Duration::from_secs(3600)).contains(&timeout) {
        let message = format!("connect-timeout of {timeout:?} is not in the range 1ms to 1h");
        return Err(Usage(message));
    }
    pool.connect_timeout = timeout;
    Ok(pool)
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;
    use sql_batcher::Backoff;

    use super::*;
    use crate::cli::args::{Cli, Command};

    fn said(words: &[&str], config: &Config) -> RetryOptions {
        let words = ["sql-batcher", "run"].iter().chain(words);
        match Cli::parse_from(words).command {
            Command::Run(args) => retries(&args.attempts, config),
            Command::Split(_) => panic!("that was run"),
        }
    }

    fn plan(words: &[&str]) -> Result<Plan, Usage> {
        match Cli::parse_from(["sql-batcher", "run"].iter().chain(words)).command {
            Command::Run(args) => Plan::of(*args),
            Command::Split(_) => panic!("that was run"),
        }
    }

    #[test]
    fn connecting_takes_no_longer_than_the_whole_run_may() {
        for (words, seconds) in [
            (&["--deadline", "2s"][..], 2),
            (&["--deadline", "2s", "--connect-timeout", "1s"], 1),
            (&["--deadline", "60s"], 30),
            (&[], 30),
        ] {
            let planned = plan(words).unwrap().pool.connect_timeout;
            assert_eq!(planned, Duration::from_secs(seconds), "{words:?}");
        }
    }

    #[test]
    fn nothing_is_left_out_of_a_run_that_is_one_transaction() {
        let skips = ["--on-error", "skip", "--rejects", "rejects.sql"];
        assert!(plan(&skips).unwrap().rejects.is_some());
        let whole = [&skips[..], &["--transactions", "run"]].concat();
        let refused = plan(&whole).err().unwrap().to_string();
        assert!(
            refused.starts_with("on-error skip does not go with transactions run"),
            "{refused}"
        );
    }

    #[test]
    fn the_command_line_goes_before_the_file_and_both_before_the_default() {
        let config = Config { max_retries: Some(7), ..Config::default() };
        let retries = said(&["--backoff", "linear", "--retry-delay", "20s"], &config);
        assert_eq!((retries.strategy, retries.max_retries), (Backoff::Linear, 7));
        // A first wait above the default of the longest raises it.
        assert_eq!(retries.max_delay, Duration::from_secs(20));
        assert_eq!(said(&["--max-retries", "0"], &config).max_retries, 0);
        assert_eq!(said(&[], &Config::default()), RetryOptions::default());
    }
}
