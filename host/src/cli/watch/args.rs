//! What can be said about watching a run.

use std::time::Duration;

use clap::{ArgAction, Args};

use super::{logs::LogPlan, otlp::Endpoint};
use crate::cli::{Usage, args::Format, config::Config, units::TimeSpan};

/// The longest time that metrics may be served after the run.
const MAX_LINGER: Duration = Duration::from_secs(24 * 3600);

/// The log, the metrics, the traces.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Watching")]
pub(in crate::cli) struct WatchArgs {
    /// Write a log to standard error: with -v of batches, with -vv of failed attempts, too
    /// [default: no log; warnings with --log-format]
    #[arg(long, short, action = ArgAction::Count, env = "SQL_BATCHER_VERBOSE")]
    verbose: u8,

    /// How the log is written: a line for people, or an object of JSON; implies that there is one
    /// [default: text]
    #[arg(long, value_name = "FORMAT", env = "SQL_BATCHER_LOG_FORMAT")]
    log_format: Option<Format>,

    /// Serve metrics to Prometheus at http://ADDR/metrics while the run lasts, such as
    /// 127.0.0.1:9464; with port 0 on a port that is free, which is said [default: none]
    #[arg(long, value_name = "ADDR", env = "SQL_BATCHER_METRICS_ADDR")]
    metrics_addr: Option<String>,

    /// How much longer to serve them after a run that was not interrupted, so that the last numbers
    /// are fetched, too; up to 24h. Ctrl-C ends the wait [default: 0s]
    #[arg(long, value_name = "TIME", env = "SQL_BATCHER_METRICS_LINGER")]
    metrics_linger: Option<TimeSpan>,

    /// Send traces and metrics to the OpenTelemetry collector at this URL, such as
    /// http://localhost:4318 (HTTP, protobuf; /v1/traces and /v1/metrics are appended). Headers and
    /// time limits are taken from the variables OTEL_EXPORTER_OTLP_* [default: none]
    #[arg(long, value_name = "URL", env = "SQL_BATCHER_OTLP_ENDPOINT", hide_env_values = true)]
    otlp_endpoint: Option<String>,
}

/// Who watches a run.
#[derive(Clone, Debug)]
pub(in crate::cli) struct WatchPlan {
    pub(super) log: LogPlan,
    pub(super) metrics_addr: Option<String>,
    pub(super) linger: Duration,
    pub(super) otlp_endpoint: Option<Endpoint>,
}

impl WatchArgs {
    /// Settles what was asked for.
    ///
    /// # Errors
    /// What cannot be done.
    pub(in crate::cli) fn settle(self, config: &Config, quiet: bool) -> Result<WatchPlan, Usage> {
        let metrics_addr = self.metrics_addr.or_else(|| config.metrics_addr.clone());
        let linger = self.metrics_linger.or(config.metrics_linger);
        if linger.is_some() && metrics_addr.is_none() {
            return Err(Usage("metrics-linger needs metrics-addr".into()));
        }
        let linger = linger.map_or(Duration::ZERO, |TimeSpan(time)| time);
        if linger > MAX_LINGER {
            let message = format!("metrics-linger of {linger:?} is not in the range 0s to 24h");
            return Err(Usage(message));
        }
        let endpoint = self.otlp_endpoint.or_else(|| config.otlp_endpoint.clone());
        let verbose = match self.verbose {
            0 => config.verbose.unwrap_or_default(),
            said => said,
        };
        let format = self.log_format.or(config.log_format);
        Ok(WatchPlan {
            log: LogPlan { verbose, format, quiet },
            metrics_addr,
            linger,
            otlp_endpoint: endpoint.as_deref().map(Endpoint::parse).transpose()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settled(args: WatchArgs, config: &Config) -> Result<WatchPlan, Usage> {
        args.settle(config, false)
    }

    #[test]
    fn the_wait_for_those_who_fetch_metrics_needs_an_address_and_is_a_day_at_most() {
        let lingering = |hours: u64, metrics_addr: Option<&str>| WatchArgs {
            metrics_linger: Some(TimeSpan(Duration::from_secs(hours * 3600))),
            metrics_addr: metrics_addr.map(Into::into),
            ..WatchArgs::default()
        };
        let config = Config::default();
        let refused = settled(lingering(1, None), &config).unwrap_err();
        assert_eq!(refused.to_string(), "metrics-linger needs metrics-addr");
        let refused = settled(lingering(25, Some("127.0.0.1:0")), &config).unwrap_err();
        assert!(refused.to_string().ends_with("is not in the range 0s to 24h"), "{refused}");
        let plan = settled(lingering(24, Some("127.0.0.1:0")), &config).unwrap();
        assert_eq!(plan.linger, MAX_LINGER);
    }

    #[test]
    fn the_command_line_goes_before_the_file() {
        let config = Config {
            verbose: Some(2),
            metrics_addr: Some("127.0.0.1:1".into()),
            ..Config::default()
        };
        let plan = settled(WatchArgs::default(), &config).unwrap();
        assert_eq!((plan.log.verbose, plan.metrics_addr.as_deref()), (2, Some("127.0.0.1:1")));
        let said = WatchArgs { verbose: 1, ..WatchArgs::default() };
        assert_eq!(settled(said, &config).unwrap().log.verbose, 1);
    }
}
