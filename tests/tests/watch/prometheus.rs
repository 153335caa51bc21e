//! What a real Prometheus knows of a run.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;
use sql_batcher_tests::{http, own_server::own_prometheus};

use crate::{Running, script};

/// How long Prometheus may take to know the last numbers.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two questions.
const PAUSE: Duration = Duration::from_millis(50);

/// The answer to a query: the values, by the label `state` where they have it.
fn query(prometheus: SocketAddr, query: &str) -> BTreeMap<String, u64> {
    let (head, body) = http::get(prometheus, &format!("/api/v1/query?query={query}")).unwrap();
    let answer: Value = serde_json::from_str(&body).unwrap_or_else(|_| panic!("{head}\n{body}"));
    assert_eq!(answer["status"], "success", "{answer}");
    let results = answer["data"]["result"].as_array().unwrap().iter().map(|result| {
        let state = result["metric"]["state"].as_str().unwrap_or_default().to_owned();
        (state, result["value"][1].as_str().unwrap().parse().unwrap())
    });
    results.collect()
}

/// What the report says, as Prometheus would.
fn totals(report: &Value) -> BTreeMap<String, u64> {
    let states = ["applied", "failed", "rolled_back", "rejected", "skipped", "unknown"];
    let states =
        states.into_iter().map(|state| (state.to_owned(), report[state].as_u64().unwrap()));
    states.filter(|(_, count)| *count > 0).collect()
}

#[test]
fn prometheus_has_the_totals_of_the_report() {
    let script =
        script(200) + "INSERT INTO t VALUES (7, 'twice'); INSERT INTO t VALUES (201, 'a');";
    let skipping = ["--on-error", "skip", "--rejects", "rejects.sql", "--max-statements", "30"];
    let serving = ["--metrics-addr", "127.0.0.1:0", "--metrics-linger", "1h", "--report", "json"];
    let arguments = [&skipping[..], &serving].concat();
    let mut running = Running::start(&script, &arguments, &[]);
    let Some(prometheus) = own_prometheus(running.metrics_address()) else { return };
    let prometheus = prometheus.address();
    let report = running.report();
    assert_eq!((&report["applied"], &report["rejected"]), (&202.into(), &1.into()));
    let started = Instant::now();
    while query(prometheus, "sum%20by(state)(sql_batcher_statements_total)") != totals(&report) {
        assert!(started.elapsed() < PATIENCE, "{report}");
        thread::sleep(PAUSE);
    }
    for (name, field) in [
        ("sum(sql_batcher_batches_total)", "batches"),
        ("sql_batcher_sent_bytes_total", "bytes"),
        ("sql_batcher_read_bytes_total", "read_bytes"),
        ("sql_batcher_rows_total", "rows"),
        ("sum(db_client_operation_duration_seconds_count)", "attempts"),
    ] {
        let known = query(prometheus, name);
        assert_eq!(known.get("").copied(), report[field].as_u64(), "{name}: {known:?}");
    }
    running.interrupt();
    assert_eq!(running.end().code, Some(3));
}
