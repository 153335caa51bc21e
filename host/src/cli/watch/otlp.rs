//! Traces and metrics for an OpenTelemetry collector: OTLP over HTTP, as protobuf,
//! <https://opentelemetry.io/docs/specs/otlp/#otlphttp>. They are sent from threads of their own:
//! a collector that is slow or gone never holds the run up, and its end by [`FLUSH`] at most.

use std::{
    env,
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::{
    ExporterBuildError, MetricExporter, Protocol, SpanExporter, WithExportConfig as _,
    WithHttpConfig as _,
};
use opentelemetry_sdk::{
    Resource,
    error::OTelSdkResult,
    metrics::{PeriodicReader, SdkMeterProvider},
    trace::{SdkTracer, SdkTracerProvider},
};
use url::Url;

use super::{
    logs::OpenSpans,
    sender::{Sender, Trouble},
};
use crate::cli::Usage;

/// How long the end of the program waits for the collector.
const FLUSH: Duration = Duration::from_secs(5);
/// How long it waits before for spans that others hold.
const LAST_SPAN: Duration = Duration::from_secs(1);
/// How long a request may take, where no variable says otherwise: the specification's default,
/// <https://opentelemetry.io/docs/specs/otel/protocol/exporter/>.
const TIMEOUT: Duration = Duration::from_secs(10);
/// The name under which spans come.
const TRACER: &str = "sql-batcher";

/// The collector's URL.
#[derive(Clone, Debug)]
pub(super) struct Endpoint(Url);

/// What is sent, by its names in URLs and in variables.
struct Signal {
    path: &'static str,
    variable: &'static str,
}

const TRACES: Signal = Signal { path: "traces", variable: "TRACES" };
const METRICS: Signal = Signal { path: "metrics", variable: "METRICS" };

/// Traces and metrics under way to a collector.
pub(super) struct Otlp {
    spans: SdkTracerProvider,
    open: OpenSpans,
    trouble: Trouble,
}

impl Otlp {
    /// Starts to send: to be called outside any runtime. Metrics are sent once the reader is
    /// installed.
    ///
    /// # Errors
    /// Where the variables of OpenTelemetry ask for what cannot be done.
    pub(super) fn start(
        endpoint: &Endpoint,
        resource: Resource,
    ) -> Result<(Self, PeriodicReader<MetricExporter>), Usage> {
        let trouble = Trouble::with(&endpoint.0.origin().ascii_serialization());
        let spans = SpanExporter::builder()
            .with_http()
            .with_http_client(sender(&TRACES, &trouble)?)
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(endpoint.of(&TRACES))
            .build();
        let metrics = MetricExporter::builder()
            .with_http()
            .with_http_client(sender(&METRICS, &trouble)?)
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(endpoint.of(&METRICS))
            .build();
        let spans = SdkTracerProvider::builder()
            .with_resource(resource)
            .with_batch_exporter(spans.map_err(unusable)?)
            .build();
        let reader = PeriodicReader::builder(metrics.map_err(unusable)?).build();
        Ok((Self { spans, open: OpenSpans::default(), trouble }, reader))
    }

    /// What spans are given to, and what counts them.
    pub(super) fn tracer(&self) -> (SdkTracer, OpenSpans) {
        (self.spans.tracer(TRACER), self.open.clone())
    }

    /// Sends the rest, for [`FLUSH`] at most.
    pub(super) fn end(self, meters: SdkMeterProvider) {
        self.open.end(LAST_SPAN);
        let (done, all) = mpsc::channel();
        let spans = self.spans;
        let ends: [Box<dyn FnOnce() -> OTelSdkResult + Send>; 2] = [
            Box::new(move || spans.shutdown_with_timeout(FLUSH)),
            Box::new(move || meters.shutdown_with_timeout(FLUSH)),
        ];
        let count = ends.len();
        for end in ends {
            let done = done.clone();
            // Who waits may have given up.
            thread::spawn(move || drop(done.send(end())));
        }
        let last = Instant::now() + FLUSH;
        let was_sent = |_: &usize| {
            let left = last.saturating_duration_since(Instant::now());
            matches!(all.recv_timeout(left), Ok(Ok(())))
        };
        // Where a request has failed, that was said already. Each is waited for.
        if (0..count).filter(was_sent).count() < count {
            self.trouble.say(format_args!("not everything was sent within {FLUSH:?}"));
        }
    }
}

impl Endpoint {
    /// Reads a URL.
    ///
    /// # Errors
    /// Where it is none of HTTP, or has a password, which has a better place.
    pub(super) fn parse(text: &str) -> Result<Self, Usage> {
        let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
        let url = url.ok_or_else(|| {
            Usage("otlp-endpoint is not a url such as http://localhost:4318".into())
        })?;
        if !url.username().is_empty() || url.password().is_some() {
            let variable = "OTEL_EXPORTER_OTLP_HEADERS";
            return Err(Usage(format!(
                "otlp-endpoint has a user: what proves it goes to {variable}"
            )));
        }
        Ok(Self(url))
    }

    /// Where this is sent to.
    fn of(&self, signal: &Signal) -> String {
        let mut url = self.0.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(["v1", signal.path]);
        }
        url.into()
    }
}

fn sender(signal: &Signal, trouble: &Trouble) -> Result<Sender, Usage> {
    let timeout = timeout(signal, |name| env::var(name).ok());
    let sender = Sender::new(timeout, trouble.clone());
    sender.map_err(|error| Usage(format!("cannot send traces and metrics: {error}")))
}

/// How long a request may take: variables are in milliseconds, the one for the signal goes first.
fn timeout(signal: &Signal, environment: impl Fn(&str) -> Option<String>) -> Duration {
    let own = format!("OTEL_EXPORTER_OTLP_{}_TIMEOUT", signal.variable);
    let said = [own.as_str(), "OTEL_EXPORTER_OTLP_TIMEOUT"].into_iter().find_map(environment);
    let said = said.and_then(|text| text.trim().parse().ok());
    said.map_or(TIMEOUT, Duration::from_millis)
}

fn unusable(error: ExporterBuildError) -> Usage {
    Usage(format!("cannot send traces and metrics: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_paths_are_appended_to_the_url() {
        for (url, expected) in [
            ("http://localhost:4318", "http://localhost:4318/v1/traces"),
            ("https://h/", "https://h/v1/traces"),
            ("http://h/otel/", "http://h/otel/v1/traces"),
            ("http://h/otel", "http://h/otel/v1/traces"),
        ] {
            assert_eq!(Endpoint::parse(url).unwrap().of(&TRACES), expected);
        }
    }

    #[test]
    fn what_is_no_url_of_a_collector_is_refused_without_being_shown() {
        for url in ["localhost:4318", "grpc://h:4317", "", "http://u:s3cret@h", "http://s3cret@h"] {
            let refused = Endpoint::parse(url).unwrap_err().to_string();
            assert!(refused.starts_with("otlp-endpoint "), "{refused}");
            assert!(!refused.contains("s3cret"), "{refused}");
        }
    }

    #[test]
    fn the_time_limit_is_that_of_the_variables() {
        let timeout = |variables: &[(&str, &str)]| {
            let value = |name: &str| variables.iter().find(|(known, _)| *known == name);
            timeout(&TRACES, |name| value(name).map(|(_, value)| (*value).to_owned()))
        };
        let (all, own) = ("OTEL_EXPORTER_OTLP_TIMEOUT", "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT");
        assert_eq!(timeout(&[]), TIMEOUT);
        assert_eq!(timeout(&[(all, "250")]), Duration::from_millis(250));
        assert_eq!(timeout(&[(all, "250"), (own, "90")]), Duration::from_millis(90));
        assert_eq!(timeout(&[(all, "soon")]), TIMEOUT);
    }
}
