//! What is said on the command line about merging INSERTs.

use clap::{Args, builder::BoolishValueParser};
use sql_batcher::Options;

use super::config::Config;

/// Whether and how INSERTs are merged.
#[derive(Debug, Args)]
#[command(next_help_heading = "Batching")]
pub(super) struct MergeArgs {
    /// Make one INSERT of several rows of consecutive ones that differ in constants only; where the
    /// result could be another one they are left as they are
    #[arg(long, env = "SQL_BATCHER_MERGE_INSERTS")]
    #[arg(num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    #[arg(hide_possible_values = true)]
    #[arg(value_name = "true|false", value_parser = BoolishValueParser::new())]
    merge_inserts: Option<bool>,

    /// Most rows of a merged INSERT [default: 500 on PostgreSQL, 1000 on SQLite, elsewhere no limit but those of
    /// the batch]
    #[arg(long, value_name = "COUNT", env = "SQL_BATCHER_MAX_INSERT_ROWS")]
    max_insert_rows: Option<u32>,

    /// Send merged INSERTs of plain constants the fastest way that gives the same result (COPY on
    /// PostgreSQL, rows read by the batcher on SQLite); merges INSERTs, too
    #[arg(long, env = "SQL_BATCHER_FAST_PATH")]
    #[arg(num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    #[arg(hide_possible_values = true)]
    #[arg(value_name = "true|false", value_parser = BoolishValueParser::new())]
    fast_path: Option<bool>,
}

impl MergeArgs {
    /// The options with what was said here.
    pub(super) fn settle(&self, options: Options, config: &Config) -> Options {
        let fast = self.fast_path.or(config.fast_path).unwrap_or_default();
        let merges = self.merge_inserts.or(config.merge_inserts).unwrap_or(fast);
        let options = options.merge_inserts(merges).fast_path(fast);
        match self.max_insert_rows.or(config.max_insert_rows) {
            Some(count) => options.max_insert_rows(count),
            None => options,
        }
    }
}
