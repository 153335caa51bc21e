//! The metrics of a run as text for Prometheus, which outlive the run.
//!
//! The format is <https://prometheus.io/docs/instrumenting/exposition_formats/>, names follow
//! <https://opentelemetry.io/docs/specs/otel/compatibility/prometheus_and_openmetrics/>.

use std::sync::{Arc, OnceLock};

use opentelemetry_prometheus::PrometheusExporter;
use prometheus::{Registry, TextEncoder};

use crate::cli::Usage;

/// The type of the text.
pub(super) const CONTENT_TYPE: &str = prometheus::TEXT_FORMAT;

/// The metrics as they stand, or as they stood at the end.
pub(super) struct Totals {
    registry: Registry,
    last: OnceLock<String>,
}

/// Metrics that can be read, and the reader to install for them.
///
/// # Errors
/// Never with a registry of their own, but the interface allows it.
pub(super) fn keep() -> Result<(Arc<Totals>, PrometheusExporter), Usage> {
    let registry = Registry::new();
    // There is only one meter, so its name beside each number says nothing.
    let reader = opentelemetry_prometheus::exporter().scope_info_enabled(false);
    let reader = reader.with_registry(registry.clone()).build();
    let reader = reader.map_err(|error| Usage(format!("cannot serve metrics: {error}")))?;
    Ok((Arc::new(Totals { registry, last: OnceLock::new() }), reader))
}

impl Totals {
    /// The text.
    ///
    /// # Errors
    /// Where a metric has no values or a name that the format has no place for.
    pub(super) fn text(&self) -> prometheus::Result<String> {
        match self.last.get() {
            Some(last) => Ok(last.clone()),
            None => TextEncoder::new().encode_to_string(&self.registry.gather()),
        }
    }

    /// Stays as it is now, whatever becomes of the meters.
    pub(super) fn keep_last(&self) {
        if let Ok(last) = self.text() {
            // Said twice, the first is kept.
            let _ = self.last.set(last);
        }
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry::metrics::MeterProvider as _;
    use opentelemetry_sdk::metrics::SdkMeterProvider;

    use super::*;

    #[test]
    fn the_last_totals_outlive_the_meters() {
        let (totals, reader) = keep().unwrap();
        let meters = SdkMeterProvider::builder().with_reader(reader).build();
        let counter = meters.meter("m").u64_counter("a.count").with_unit("{thing}").build();
        counter.add(2, &[]);
        assert!(totals.text().unwrap().contains("\na_count_total 2\n"));
        counter.add(1, &[]);
        totals.keep_last();
        counter.add(1, &[]);
        meters.shutdown().unwrap();
        assert!(totals.text().unwrap().contains("\na_count_total 3\n"));
    }
}
