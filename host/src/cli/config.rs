//! `sql-batcher.toml`: the options of the command line, under their long names.
//!
//! | key | value | default |
//! |---|---|---|
//! | `database` | URL | `"sqlite://sql-batcher.db"` |
//! | `connect-timeout` | time | `"30s"` |
//! | `max-retries` | 0 to 1000 | `5` |
//! | `backoff` | `"constant"`, `"linear"`, `"exponential"` | `"exponential"` |
//! | `retry-delay` | time, 1 ms to 1 hour | `"100ms"` |
//! | `max-retry-delay` | time, `retry-delay` to 1 hour | `"10s"`, or `retry-delay` if that is more |
//! | `attempt-timeout` | time, 1 ms to 1 day | no limit |
//! | `deadline` | time, 1 ms to 30 days | no limit |
//! | `max-bytes` | size | `"1MiB"` |
//! | `max-statement-bytes` | size | `"64MiB"`, or `max-bytes` if that is more |
//! | `max-statements` | 1 to 1000000 | `100000` |
//! | `max-rows` | at least 1 | no limit |
//! | `max-age` | time, 1 ms to 1 day | no limit |
//! | `ledger` | `true`, `false` | `false`, or `true` with one of the next three |
//! | `ledger-table` | name | `"sql_batcher_ledger"` |
//! | `run` | name | made from time and chance |
//! | `resume` | `true`, `false` | `false` |
//! | `in-doubt` | `"stop"`, `"repeat"`, `"skip"` | `"stop"` |
//! | `on-error` | `"stop"`, `"skip"` | `"stop"` |
//! | `rejects` | file | none |
//! | `max-rejects` | number | no limit |
//! | `in-flight` | 1 to 64 | `1` |
//! | `hook` | `"FILE"`, `"FILE=CONFIG"`, or a list of these | none |
//! | `hook-policy` | `"abort"`, `"ignore"` | `"abort"` |
//! | `hook-timeout` | time, 10 ms to 1 hour | `"100ms"` |
//! | `hook-memory` | size, 64 KiB to 4 GiB | `"16MiB"`, and more with `max-bytes` above 1 MiB |
//! | `hook-component-bytes` | size, 1 byte to 1 GiB | `"16MiB"` |
//! | `hook-room` | size, less than `max-bytes` | `"1KiB"`, or half of `max-bytes` if that is less |
//! | `audit-log` | file | none |
//! | `audit-sql` | `true`, `false` | `false` |
//! | `merge-inserts` | `true`, `false` | `false`, or `true` with `fast-path` |
//! | `max-insert-rows` | at least 1 | no limit |
//! | `fast-path` | `true`, `false` | `false` |
//! | `transactions` | `"batch"`, `"run"`, `"none"` | `"batch"` |
//! | `oversized` | `"refuse"`, `"send-alone"` | `"refuse"` |
//! | `dialect` | `"auto"`, `"generic"`, `"sqlite"`, `"postgresql"`, `"mysql"`, `"trino"`, `"snowflake"` | `"auto"` |
//! | `report` | `"text"`, `"json"` | `"text"` |
//! | `format` | `"text"`, `"json"` | `"text"` |
//! | `brief` | `true`, `false` | `false` |
//! | `dry-run` | `true`, `false` | `false` |
//! | `show-values` | `true`, `false` | `false` |
//! | `quiet` | `true`, `false` | `false` |
//! | `no-progress` | `true`, `false` | `false` |
//! | `verbose` | 0 to 3: how often `-v` is said | `0` |
//! | `log-format` | `"text"`, `"json"` | `"text"`, and no log without `verbose` |
//! | `metrics-addr` | address and port | none |
//! | `metrics-linger` | time, 0 s to 24 hours | `"0s"` |
//! | `otlp-endpoint` | URL | none |
//!
//! A size is a string (`"64KiB"`) or a number of bytes. `max_bytes` may be written for
//! `max-bytes`, and so on. `report`, `dry-run`, `show-values`, `quiet`, `no-progress`, `database`,
//! `connect-timeout`, `max-retries` to `deadline`, `max-age`, `ledger` to `audit-sql` and `verbose`
//! to `otlp-endpoint` are for `run`; `format` and `brief` for `split`.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use serde::Deserialize;

use super::{
    Usage,
    args::{BackoffArg, DialectArg, Format, OversizedArg, TransactionsArg},
    hooks::{HookList, HookPolicyArg},
    recovery::{InDoubtArg, OnErrorArg},
    units::{ByteSize, TimeSpan},
};

/// Where the configuration is, unless the user says so.
const DEFAULT_FILE: &str = "sql-batcher.toml";

/// What the configuration file says.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Config {
    pub(super) database: Option<String>,
    #[serde(alias = "connect_timeout")]
    pub(super) connect_timeout: Option<TimeSpan>,
    #[serde(alias = "max_retries")]
    pub(super) max_retries: Option<u32>,
    pub(super) backoff: Option<BackoffArg>,
    #[serde(alias = "retry_delay")]
    pub(super) retry_delay: Option<TimeSpan>,
    #[serde(alias = "max_retry_delay")]
    pub(super) max_retry_delay: Option<TimeSpan>,
    #[serde(alias = "attempt_timeout")]
    pub(super) attempt_timeout: Option<TimeSpan>,
    pub(super) deadline: Option<TimeSpan>,
    #[serde(alias = "max_bytes")]
    pub(super) max_bytes: Option<ByteSize>,
    #[serde(alias = "max_statement_bytes")]
    pub(super) max_statement_bytes: Option<ByteSize>,
    #[serde(alias = "max_statements")]
    pub(super) max_statements: Option<u32>,
    #[serde(alias = "max_rows")]
    pub(super) max_rows: Option<u32>,
    #[serde(alias = "max_age")]
    pub(super) max_age: Option<TimeSpan>,
    pub(super) ledger: Option<bool>,
    #[serde(alias = "ledger_table")]
    pub(super) ledger_table: Option<String>,
    pub(super) run: Option<String>,
    pub(super) resume: Option<bool>,
    #[serde(alias = "in_doubt")]
    pub(super) in_doubt: Option<InDoubtArg>,
    #[serde(alias = "on_error")]
    pub(super) on_error: Option<OnErrorArg>,
    pub(super) rejects: Option<PathBuf>,
    #[serde(alias = "max_rejects")]
    pub(super) max_rejects: Option<u64>,
    #[serde(alias = "in_flight")]
    pub(super) in_flight: Option<u32>,
    pub(super) hook: Option<HookList>,
    #[serde(alias = "hook_policy")]
    pub(super) hook_policy: Option<HookPolicyArg>,
    #[serde(alias = "hook_timeout")]
    pub(super) hook_timeout: Option<TimeSpan>,
    #[serde(alias = "hook_memory")]
    pub(super) hook_memory: Option<ByteSize>,
    #[serde(alias = "hook_component_bytes")]
    pub(super) hook_component_bytes: Option<ByteSize>,
    #[serde(alias = "hook_room")]
    pub(super) hook_room: Option<ByteSize>,
    #[serde(alias = "audit_log")]
    pub(super) audit_log: Option<PathBuf>,
    #[serde(alias = "audit_sql")]
    pub(super) audit_sql: Option<bool>,
    #[serde(alias = "merge_inserts")]
    pub(super) merge_inserts: Option<bool>,
    #[serde(alias = "max_insert_rows")]
    pub(super) max_insert_rows: Option<u32>,
    #[serde(alias = "fast_path")]
    pub(super) fast_path: Option<bool>,
    pub(super) transactions: Option<TransactionsArg>,
    pub(super) oversized: Option<OversizedArg>,
    pub(super) dialect: Option<DialectArg>,
    pub(super) report: Option<Format>,
    pub(super) format: Option<Format>,
    pub(super) brief: Option<bool>,
    #[serde(alias = "dry_run")]
    pub(super) dry_run: Option<bool>,
    #[serde(alias = "show_values")]
    pub(super) show_values: Option<bool>,
    pub(super) quiet: Option<bool>,
    #[serde(alias = "no_progress")]
    pub(super) no_progress: Option<bool>,
    pub(super) verbose: Option<u8>,
    #[serde(alias = "log_format")]
    pub(super) log_format: Option<Format>,
    #[serde(alias = "metrics_addr")]
    pub(super) metrics_addr: Option<String>,
    #[serde(alias = "metrics_linger")]
    pub(super) metrics_linger: Option<TimeSpan>,
    #[serde(alias = "otlp_endpoint")]
    pub(super) otlp_endpoint: Option<String>,
}

/// Reads the file that the user named, or the one in the current folder, if there is one.
pub(super) fn load(named: Option<&Path>) -> Result<Config, Usage> {
    let path = named.unwrap_or(Path::new(DEFAULT_FILE));
    match fs::read_to_string(path) {
        Ok(text) => parse(&path.display().to_string(), &text),
        Err(error) if named.is_none() && error.kind() == io::ErrorKind::NotFound => {
            Ok(Config::default())
        }
        Err(error) => {
            Err(Usage(format!("cannot read the configuration {}: {error}", path.display())))
        }
    }
}

/// The parser's own message shows the line with its values, which may be a password: only its
/// first line is repeated.
fn parse(name: &str, text: &str) -> Result<Config, Usage> {
    toml::from_str(text).map_err(|error| {
        let place = error.span().map(|span| line_and_column(text, span.start));
        let place = place.map(|(line, column)| format!(":{line}:{column}")).unwrap_or_default();
        let message = error.message().replacen("unknown field", "unknown key", 1);
        Usage(format!("{name}{place}: {}", message.lines().next().unwrap_or_default()))
    })
}

fn line_and_column(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let last_line = before.rsplit('\n').next().unwrap_or_default();
    (before.matches('\n').count() + 1, last_line.chars().count() + 1)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    fn refused(text: &str) -> String {
        parse("c.toml", text).unwrap_err().0
    }

    #[test]
    fn keys_are_written_with_dashes_or_underscores() {
        let dashes = parse("c.toml", "max-bytes = \"64KiB\"\nmax-age = \"5s\"").unwrap();
        assert_eq!(dashes.max_bytes, Some(ByteSize(65_536)));
        let underscores = parse("c.toml", "max_bytes = 1000\ndry_run = true").unwrap();
        assert_eq!(
            (underscores.max_bytes, underscores.dry_run),
            (Some(ByteSize(1000)), Some(true))
        );
    }

    #[test]
    fn an_unknown_key_is_named_with_its_place() {
        let said = refused("quiet = true\nmax-byte = 1");
        assert!(said.starts_with("c.toml:2:1: unknown key `max-byte`, expected one of"), "{said}");
    }

    #[test]
    fn a_wrong_value_is_named_with_its_place_and_what_is_expected() {
        for (text, expected) in [
            ("max-bytes = \"64K\"", "c.toml:1:13: \"64K\": write 64KiB for"),
            ("max-bytes = -1", "c.toml:1:13: invalid value: integer `-1`, expected a size such"),
            ("max-age = 5", "c.toml:1:11: invalid type: integer `5`, expected a time such as"),
            ("transactions = \"all\"", "c.toml:1:16: unknown variant `all`, expected one of"),
        ] {
            let said = refused(text);
            assert!(said.starts_with(expected), "{said}");
        }
    }

    #[test]
    fn a_broken_file_does_not_show_the_url_in_it() {
        let said = refused("database = postgres://u:s3cret@h/d");
        assert!(said.starts_with("c.toml:1:12: ") && !said.contains("s3cret"), "{said}");
    }

    #[test]
    fn every_option_of_the_command_line_is_a_key_in_the_table_above() {
        let documentation = include_str!("config.rs");
        for command in super::super::args::Cli::command().get_subcommands() {
            for long in command.get_opts().filter_map(clap::Arg::get_long) {
                if matches!(long, "help" | "config") {
                    continue;
                }
                assert!(documentation.contains(&format!("//! | `{long}` |")), "{long}");
                let message = refused(&format!("{long} = {{ a = 1 }}"));
                assert!(!message.contains("unknown key"), "{message}");
            }
        }
    }
}
