//! What can be said about resuming a run, leaving bad statements out, and running several batches at
//! once.

use std::path::PathBuf;

use clap::{Args, ValueEnum, builder::BoolishValueParser};
use serde::Deserialize;
use sql_batcher::{InDoubt, LedgerOptions, Options, RejectsFile};

use super::{Usage, config::Config};

/// The ledger, and resuming from it.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Ledger")]
pub(super) struct LedgerArgs {
    /// Write what is applied into a table of the database, in the same transactions, so that the
    /// run can be resumed
    #[arg(long, env = "SQL_BATCHER_LEDGER")]
    #[arg(num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    #[arg(hide_possible_values = true)]
    #[arg(value_name = "true|false", value_parser = BoolishValueParser::new())]
    ledger: Option<bool>,

    /// The table, NAME or SCHEMA.NAME; made if it is missing. Implies --ledger
    /// [default: sql_batcher_ledger]
    #[arg(long, value_name = "NAME", env = "SQL_BATCHER_LEDGER_TABLE")]
    ledger_table: Option<String>,

    /// The name of the run in the ledger. Implies --ledger [default: made from time and chance;
    /// with --resume, the newest]
    #[arg(long, value_name = "NAME", env = "SQL_BATCHER_RUN")]
    run: Option<String>,

    /// Go on with a run that was begun before, with the same input and options; begin one where
    /// there is none. Implies --ledger
    #[arg(long, env = "SQL_BATCHER_RESUME")]
    #[arg(num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    #[arg(hide_possible_values = true)]
    #[arg(value_name = "true|false", value_parser = BoolishValueParser::new())]
    resume: Option<bool>,

    /// With --resume: what becomes of a statement that no transaction protects and that was under
    /// way when the run ended [default: stop]
    #[arg(long, value_name = "WHAT", env = "SQL_BATCHER_IN_DOUBT")]
    in_doubt: Option<InDoubtArg>,
}

/// Bad statements, and batches beside one another.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Bad statements and order")]
pub(super) struct RejectArgs {
    /// What a statement does that the database refuses: end the run, or be left out
    /// [default: stop]
    #[arg(long, value_name = "WHAT", env = "SQL_BATCHER_ON_ERROR")]
    on_error: Option<OnErrorArg>,

    /// With --on-error skip: the file for the statements that are left out, each with its error; a
    /// script that can be run again
    #[arg(long, value_name = "FILE", env = "SQL_BATCHER_REJECTS")]
    rejects: Option<PathBuf>,

    /// With --on-error skip: how many statements may be left out before the next one ends the run
    /// [default: no limit]
    #[arg(long, value_name = "COUNT", env = "SQL_BATCHER_MAX_REJECTS")]
    max_rejects: Option<u64>,

    /// Batches that may be under way at once, each on a connection of its own, 1 to 64; for scripts
    /// whose INSERT, UPDATE, DELETE and COPY do not depend on their order [default: 1]
    #[arg(long, value_name = "COUNT", env = "SQL_BATCHER_IN_FLIGHT")]
    in_flight: Option<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum InDoubtArg {
    /// The run stops and says where
    Stop,
    /// It is sent again
    Repeat,
    /// It counts as applied
    Skip,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum OnErrorArg {
    /// The run ends
    #[default]
    Stop,
    /// It is left out, and the run goes on
    Skip,
}

impl From<InDoubtArg> for InDoubt {
    fn from(arg: InDoubtArg) -> Self {
        match arg {
            InDoubtArg::Stop => Self::Stop,
            InDoubtArg::Repeat => Self::Repeat,
            InDoubtArg::Skip => Self::Skip,
        }
    }
}

/// Where bad statements go.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct RejectsPlan {
    path: PathBuf,
    resume: bool,
    pub(super) max: Option<u64>,
}

impl LedgerArgs {
    /// What was asked for; none: no ledger.
    pub(super) fn settle(self, config: &Config) -> Option<LedgerOptions> {
        let table = self.ledger_table.or_else(|| config.ledger_table.clone());
        let run = self.run.or_else(|| config.run.clone());
        let resume = self.resume.or(config.resume).unwrap_or_default();
        let implied = table.is_some() || run.is_some() || resume;
        if !self.ledger.or(config.ledger).unwrap_or(implied) {
            return None;
        }
        let default = LedgerOptions::default();
        Some(LedgerOptions {
            table: table.unwrap_or(default.table),
            run,
            resume,
            in_doubt: self.in_doubt.or(config.in_doubt).map_or(default.in_doubt, InDoubt::from),
        })
    }
}

impl RejectArgs {
    /// How many batches run at once; what was not said is left as it is.
    pub(super) fn in_flight(&self, config: &Config) -> Option<u32> {
        self.in_flight.or(config.in_flight)
    }

    /// Where bad statements go; none: they end the run.
    ///
    /// # Errors
    /// Where what was said does not go together.
    pub(super) fn settle(
        self,
        config: &Config,
        resume: bool,
    ) -> Result<Option<RejectsPlan>, Usage> {
        let path = self.rejects.or_else(|| config.rejects.clone());
        let max = self.max_rejects.or(config.max_rejects);
        match (self.on_error.or(config.on_error).unwrap_or_default(), path) {
            (OnErrorArg::Skip, Some(path)) => Ok(Some(RejectsPlan { path, resume, max })),
            (OnErrorArg::Skip, None) => Err(Usage("on-error skip needs rejects, a file".into())),
            (OnErrorArg::Stop, Some(_)) => Err(Usage("rejects needs on-error skip".into())),
            (OnErrorArg::Stop, None) if max.is_some() => {
                Err(Usage("max-rejects needs on-error skip".into()))
            }
            (OnErrorArg::Stop, None) => Ok(None),
        }
    }
}

impl RejectsPlan {
    /// Opens the file.
    ///
    /// # Errors
    /// Where it cannot be used.
    pub(super) fn open(&self) -> Result<RejectsFile, Usage> {
        let opened = match self.resume {
            true => RejectsFile::resume(&self.path),
            false => RejectsFile::create(&self.path),
        };
        opened.map_err(|error| {
            Usage(format!("cannot write rejects to {}: {error}", self.path.display()))
        })
    }
}

/// Adds what was said to the options.
pub(super) fn with_recovery(
    options: Options,
    ledger: Option<LedgerOptions>,
    in_flight: Option<u32>,
) -> Options {
    let options = match ledger {
        Some(ledger) => options.ledger(ledger),
        None => options,
    };
    match in_flight {
        Some(batches) => options.in_flight(batches),
        None => options,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_needs_a_ledger_brings_one() {
        let config = Config::default();
        assert_eq!(LedgerArgs::default().settle(&config), None);
        let named = LedgerArgs { run: Some("r".into()), ..LedgerArgs::default() };
        assert_eq!(named.settle(&config).unwrap().run.as_deref(), Some("r"));
        let resumes = LedgerArgs { resume: Some(true), ..LedgerArgs::default() };
        assert!(resumes.settle(&config).unwrap().resume);
        let config = Config { ledger_table: Some("t".into()), ..Config::default() };
        let off = LedgerArgs { ledger: Some(false), ..LedgerArgs::default() };
        assert_eq!(off.settle(&config), None);
        assert_eq!(LedgerArgs::default().settle(&config).unwrap().table, "t");
    }

    #[test]
    fn bad_statements_are_left_out_only_where_there_is_a_file_for_them() {
        let settle = |on_error, rejects: Option<&str>, max_rejects| {
            let args = RejectArgs {
                on_error,
                rejects: rejects.map(PathBuf::from),
                max_rejects,
                in_flight: None,
            };
            args.settle(&Config::default(), false)
        };
        assert_eq!(settle(None, None, None).unwrap(), None);
        let plan = settle(Some(OnErrorArg::Skip), Some("r.sql"), Some(3)).unwrap();
        assert_eq!(plan.unwrap().max, Some(3));
        assert!(settle(Some(OnErrorArg::Skip), None, None).is_err());
        assert!(settle(None, Some("r.sql"), None).is_err());
        assert!(settle(None, None, Some(1)).is_err());
    }
}
