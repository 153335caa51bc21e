//! How a run can be watched: a log on standard error, metrics for Prometheus to fetch, traces and
//! metrics sent to an OpenTelemetry collector. The library only says what happens, through
//! `tracing` and OpenTelemetry's interface; who listens is settled here, before a run starts.
//!
//! None of it has a word of the SQL, the data or the URL: the library gives out none, and what
//! other crates say (sqlx writes whole statements into its log) is left out.

mod args;
mod logs;
mod otlp;
mod sender;
mod server;
mod totals;

use std::time::Duration;

use opentelemetry::{Key, global};
use opentelemetry_sdk::{Resource, metrics::SdkMeterProvider};
use tokio::runtime;
use tracing::info;

pub(super) use self::args::{WatchArgs, WatchPlan};

use self::{otlp::Otlp, server::Server};
use super::{Usage, progress::Progress, signals::Signals};

/// The name of the service, unless the environment says another.
const SERVICE: &str = "sql-batcher";

/// Whoever watches a run.
pub(super) struct Watch {
    meters: Option<SdkMeterProvider>,
    server: Option<Server>,
    otlp: Option<Otlp>,
    linger: Duration,
}

impl Watch {
    /// Starts to watch: before the run, and outside any runtime.
    ///
    /// # Errors
    /// Where the address cannot be listened on, or the variables of OpenTelemetry cannot be kept.
    pub(super) fn start(plan: &WatchPlan, progress: &Progress) -> Result<Self, Usage> {
        let listener = plan.metrics_addr.as_deref().map(server::listen).transpose()?;
        let resource = resource();
        let mut readers = SdkMeterProvider::builder().with_resource(resource.clone());
        let mut otlp = None;
        if let Some(endpoint) = &plan.otlp_endpoint {
            let (started, reader) = Otlp::start(endpoint, resource)?;
            readers = readers.with_reader(reader);
            otlp = Some(started);
        }
        logs::start(plan.log, progress, otlp.as_ref().map(Otlp::tracer));
        let mut server = None;
        if let Some(listener) = listener {
            let (totals, reader) = totals::keep()?;
            readers = readers.with_reader(reader);
            server = Some(Server::start(listener, totals)?);
        }
        let is_measured = server.is_some() || otlp.is_some();
        let meters = is_measured.then(|| readers.build());
        if let Some(meters) = &meters {
            global::set_meter_provider(meters.clone());
        }
        Ok(Self { meters, server, otlp, linger: plan.linger })
    }

    /// Sends what was not sent yet, and waits for the last who fetch metrics, if they `may_linger`.
    /// To be called outside any runtime.
    pub(super) fn end(self, may_linger: bool) {
        if let Some(server) = &self.server {
            server.keep_last();
        }
        match (self.otlp, self.meters) {
            (Some(otlp), Some(meters)) => otlp.end(meters),
            // Its readers only answer: there is nothing that could fail.
            (_, Some(meters)) => drop(meters.shutdown()),
            (_, None) => {}
        }
        let Some(server) = self.server else { return };
        if may_linger && !self.linger.is_zero() {
            linger(self.linger);
        }
        server.stop();
    }
}

/// Waits, at most until the next signal that wants the program to end.
fn linger(time: Duration) {
    let Ok(runtime) = runtime::Builder::new_current_thread().enable_all().build() else { return };
    runtime.block_on(async {
        let Ok(mut signals) = Signals::listen() else { return };
        info!("metrics are served for another {time:?}; Ctrl-C ends that");
        // Either is the end of it.
        let _ = tokio::time::timeout(time, signals.next()).await;
    });
}

/// What is said about this process: `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES`.
fn resource() -> Resource {
    let said = Resource::builder().build();
    let name = said.get(&Key::from_static_str("service.name"));
    match name.is_none_or(|name| name.as_str().starts_with("unknown_service")) {
        true => Resource::builder().with_service_name(SERVICE).build(),
        false => said,
    }
}
