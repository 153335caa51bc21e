//! What an OpenTelemetry collector gets of a run.

use opentelemetry_proto::tonic::trace::v1::{Span, span::SpanKind, status::StatusCode};
use serde_json::Value;
use sql_batcher_tests::collector::{Collector, attribute, sum};

use crate::{Ended, Running, script};

/// A run whose traces and metrics go to the collector.
fn run(collector: &Collector, script: &str, variables: &[(&str, &str)]) -> Ended {
    let url = collector.url();
    let arguments = ["--report", "json", "--max-statements", "20", "--otlp-endpoint", &url];
    Running::start(script, &arguments, variables).end()
}

fn spans(collector: &Collector, name: &str) -> Vec<Span> {
    let spans = collector.spans().into_iter().map(|(span, _)| span);
    spans.filter(|span| span.name == name).collect()
}

/// The one span of the run.
fn run_span(collector: &Collector) -> Span {
    let [run] = spans(collector, "run").try_into().unwrap();
    run
}

fn number(span: &Span, name: &str) -> u64 {
    attribute(&span.attributes, name).unwrap().parse().unwrap()
}

#[test]
fn a_collector_gets_a_run_with_its_batches_and_their_attempts() {
    let collector = Collector::start();
    let ended = run(&collector, &script(50), &[]);
    assert_eq!((ended.code, ended.err.as_str()), (Some(0), ""));
    let run = run_span(&collector);
    assert!(run.parent_span_id.is_empty());
    let batches = spans(&collector, "batch");
    let attempts = spans(&collector, "attempt");
    let mut seen: Vec<_> = batches
        .iter()
        .map(|batch| {
            let own = attempts.iter().filter(|attempt| attempt.parent_span_id == batch.span_id);
            let own: Vec<_> = own.map(|own| number(own, "sql_batcher.attempt")).collect();
            (number(batch, "sql_batcher.batch"), number(batch, "sql_batcher.statements"), own)
        })
        .collect();
    seen.sort();
    assert_eq!(seen, [(1, 20, vec![1]), (2, 20, vec![1]), (3, 11, vec![1])]);
    assert!(batches.iter().all(|batch| batch.parent_span_id == run.span_id));
    assert!(batches.iter().chain(&attempts).all(|span| span.trace_id == run.trace_id));
    assert!(attempts.iter().all(|attempt| attempt.kind() == SpanKind::Client));
    assert_eq!(attempts.len(), 3);
    let bytes: u64 = batches.iter().map(|batch| number(batch, "sql_batcher.bytes")).sum();
    let report: Value = serde_json::from_str(&ended.out).unwrap();
    assert_eq!(report["bytes"], bytes);
}

#[test]
fn a_collector_gets_the_numbers_of_the_report() {
    let collector = Collector::start();
    let ended = run(&collector, &(script(50) + "INSERT INTO t VALUES (1, 'twice');"), &[]);
    assert_eq!(ended.code, Some(1), "{}", ended.err);
    let report: Value = serde_json::from_str(&ended.out).unwrap();
    let metrics = collector.last_metrics();
    for state in ["applied", "failed", "rolled_back", "not_reached"] {
        let counted = sum(&metrics, "sql_batcher.statements", Some(("state", state)));
        assert_eq!(report[state], counted, "{state}");
    }
    assert_eq!(report["failed"], 1);
    assert_eq!(report["bytes"], sum(&metrics, "sql_batcher.sent", None));
    assert_eq!(report["batches"], sum(&metrics, "sql_batcher.batches", None));
    let run = run_span(&collector);
    assert_eq!(attribute(&run.attributes, "error.type").as_deref(), Some("database"));
    let failed = |name| {
        let mut spans = spans(&collector, name).into_iter();
        spans.any(|span| span.status.is_some_and(|status| status.code() == StatusCode::Error))
    };
    assert!(failed("batch") && failed("attempt"));
}

#[test]
fn the_variables_of_opentelemetry_hold() {
    let collector = Collector::start();
    let variables = [
        ("OTEL_EXPORTER_OTLP_HEADERS", "x-token=for-you"),
        ("OTEL_SERVICE_NAME", "nightly"),
        ("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test"),
    ];
    run(&collector, &script(1), &variables);
    let sent = collector.sent();
    for path in ["/v1/traces", "/v1/metrics"] {
        let one = sent.iter().find(|sent| sent.path == path).unwrap();
        for header in ["x-token: for-you", "content-type: application/x-protobuf"] {
            assert!(one.headers.iter().any(|sent| sent == header), "{:?}", one.headers);
        }
    }
    let (_, process) = &collector.spans()[0];
    let said = |name| attribute(process, name);
    assert_eq!(said("service.name").as_deref(), Some("nightly"));
    assert_eq!(said("deployment.environment.name").as_deref(), Some("test"));
}

#[test]
fn without_a_name_of_its_own_the_service_is_the_program() {
    let collector = Collector::start();
    run(&collector, &script(1), &[]);
    let (_, process) = &collector.spans()[0];
    assert_eq!(attribute(process, "service.name").as_deref(), Some("sql-batcher"));
}

#[test]
fn a_collector_gets_an_interrupted_run_too() {
    let collector = Collector::start();
    let url = collector.url();
    let arguments = ["-v", "--max-age", "1ms", "--otlp-endpoint", &url];
    let mut running = Running::open(&script(3), &arguments, &[]);
    running.line_with("batch ended");
    running.interrupt();
    let ended = running.end();
    assert_eq!(ended.code, Some(130), "{}", ended.err);
    let run = run_span(&collector);
    assert_eq!(attribute(&run.attributes, "error.type").as_deref(), Some("cancelled"));
    assert!(!spans(&collector, "attempt").is_empty());
    assert!(!collector.last_metrics().is_empty());
}
