//! What a run counts agrees with its report; and what a program that drops a batcher is told.
#![expect(clippy::unwrap_used, reason = "a test ends where something of its own fails")]

use std::{
    collections::BTreeMap,
    io,
    sync::{Arc, Mutex},
};

use opentelemetry::metrics::MeterProvider as _;
use opentelemetry_sdk::metrics::{
    InMemoryMetricExporter, PeriodicReader, SdkMeterProvider,
    data::{AggregatedMetrics, MetricData},
};
use sql_batcher::{
    Batcher, Error, METRICS, Report, RetryOptions, Transactions,
    adapters::{Fault, Problem, Scripted, scripted::Answer},
};

/// A provider whose sums can be read.
struct Watched {
    provider: SdkMeterProvider,
    exporter: InMemoryMetricExporter,
}

impl Watched {
    fn new() -> Self {
        let exporter = InMemoryMetricExporter::default();
        let reader = PeriodicReader::builder(exporter.clone()).build();
        let provider = SdkMeterProvider::builder().with_reader(reader).build();
        Self { provider, exporter }
    }

    /// The sums by name and by the value of the attribute that is not the database's name; of a
    /// histogram, how many values it has.
    fn sums(&self) -> BTreeMap<String, f64> {
        self.provider.force_flush().unwrap();
        let exported = self.exporter.get_finished_metrics().unwrap();
        let last = exported.last().unwrap();
        let mut sums = BTreeMap::new();
        for metric in last.scope_metrics().flat_map(|scope| scope.metrics()) {
            let known = METRICS.iter().find(|known| known.name == metric.name()).unwrap();
            assert_eq!(known.unit, metric.unit(), "{}", metric.name());
            for (attribute, value) in points(metric.data()) {
                let key = match attribute {
                    Some(attribute) => format!("{} {attribute}", metric.name()),
                    None => metric.name().to_owned(),
                };
                *sums.entry(key).or_default() += value;
            }
        }
        sums
    }
}

type Points = Vec<(Option<String>, f64)>;

fn points(data: &AggregatedMetrics) -> Points {
    match data {
        AggregatedMetrics::U64(data) => points_of(data, |value| *value as f64),
        AggregatedMetrics::I64(data) => points_of(data, |value| *value as f64),
        AggregatedMetrics::F64(data) => points_of(data, |value| *value),
    }
}

fn points_of<T>(data: &MetricData<T>, number: impl Fn(&T) -> f64) -> Points
where
    T: Copy,
{
    fn named<'a>(attributes: impl Iterator<Item = &'a opentelemetry::KeyValue>) -> Option<String> {
        let mut own = attributes.filter(|attribute| attribute.key.as_str() != "db.system.name");
        own.next().map(|attribute| attribute.value.to_string())
    }
    match data {
        MetricData::Sum(sum) => {
            let points = sum.data_points();
            points.map(|point| (named(point.attributes()), number(&point.value()))).collect()
        }
        MetricData::Gauge(gauge) => {
            let points = gauge.data_points();
            points.map(|point| (named(point.attributes()), number(&point.value()))).collect()
        }
        MetricData::Histogram(histogram) => {
            let points = histogram.data_points();
            points.map(|point| (named(point.attributes()), point.count() as f64)).collect()
        }
        MetricData::ExponentialHistogram(_) => Vec::new(),
    }
}

/// Runs a script in batches of two statements.
async fn run(
    database: &Scripted,
    watched: &Watched,
    transactions: Transactions,
    script: &str,
) -> Result<Report, Error> {
    let builder = Batcher::builder(database.clone()).max_statements(2);
    let builder = builder.transactions(transactions).meter(watched.provider.meter("test"));
    let mut batcher = builder.retries(RetryOptions::default()).build().await.unwrap();
    match batcher.push_str(script).await {
        Ok(()) => batcher.finish().await,
        Err(error) => Err(error),
    }
}

fn agree(sums: &BTreeMap<String, f64>, report: &Report) {
    for (state, count) in [
        ("applied", report.applied),
        ("failed", report.failed),
        ("rolled_back", report.rolled_back),
        ("not_reached", report.not_reached),
        ("unknown", report.unknown),
    ] {
        let key = format!("sql_batcher.statements {state}");
        assert_eq!(sums.get(&key).copied().unwrap_or_default(), count as f64, "{state}: {sums:?}");
    }
    assert_eq!(sums["sql_batcher.sent"], report.bytes as f64);
    assert_eq!(sums["sql_batcher.read"], report.read_bytes as f64);
    assert_eq!(sums["sql_batcher.batch.size"], report.batches as f64);
    assert_eq!(sums["sql_batcher.batch.statements"], report.batches as f64);
    assert_eq!(sums["sql_batcher.in_flight"], 0.0);
    let attempts: f64 = sums
        .iter()
        .filter(|(key, _)| key.starts_with("db.client.operation.duration"))
        .map(|(_, count)| count)
        .sum();
    assert_eq!(attempts, report.attempts as f64);
}

#[tokio::test(start_paused = true)]
async fn what_is_counted_agrees_with_the_report() {
    let (database, watched) = (Scripted::new(), Watched::new());
    let collision = Problem { transient: true, ..Problem::new(Fault::Conflict, "deadlock") };
    database.answer(Answer::Fails(collision));
    let script = "INSERT 1; INSERT 2; INSERT 3; INSERT 4; INSERT 5;";
    let report = run(&database, &watched, Transactions::Batch, script).await.unwrap();
    let sums = watched.sums();
    assert_eq!((report.applied, report.attempts), (5, 4));
    agree(&sums, &report);
    assert_eq!(sums["sql_batcher.retries conflict"], 1.0);
    assert_eq!(sums["db.client.operation.duration conflict"], 1.0);
    assert_eq!(sums["sql_batcher.batches statements"], 2.0);
    assert_eq!(sums["sql_batcher.batches finish"], 1.0);
    assert_eq!(sums["sql_batcher.batch.duration applied"], 3.0);
    assert!(sums["sql_batcher.sandbox.memory"] >= 65_536.0);
    assert!(sums["sql_batcher.sandbox.duration"] > 0.0);
    assert_eq!(sums["db.client.connection.wait_time sql-batcher"], 1.0);
}

#[tokio::test(start_paused = true)]
async fn a_run_that_fails_is_counted_to_its_last_statement() {
    for transactions in [Transactions::Batch, Transactions::Run] {
        let (database, watched) = (Scripted::new(), Watched::new());
        let refused = Problem { statement: Some(1), ..Problem::new(Fault::Statement, "no") };
        let applies = || Answer::Applies(sql_batcher::adapters::Effects { rows: Some(2) });
        database.answer(applies()).answer(Answer::Fails(refused));
        let script = "INSERT 1; INSERT 2; INSERT 3; INSERT 4; INSERT 5; INSERT 6;";
        let error = run(&database, &watched, transactions, script).await.unwrap_err();
        let report = error.report().unwrap();
        let applied = if transactions == Transactions::Run { 0 } else { 2 };
        assert_eq!((report.applied, report.statements), (applied, 6));
        let sums = watched.sums();
        agree(&sums, report);
        assert_eq!(sums["sql_batcher.failures database"], 1.0);
        assert_eq!(sums["sql_batcher.batch.duration failed"], 1.0);
    }
}

/// A log that can be read.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn a_batcher_that_is_dropped_says_how_many_statements_were_not_sent() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt().with_writer(move || writer.clone()).with_ansi(false);
    let _logged = tracing::subscriber::set_default(subscriber.finish());
    let (database, watched) = (Scripted::new(), Watched::new());
    database.answer(Answer::Hangs);
    let builder = Batcher::builder(database).max_statements(2);
    let meter = watched.provider.meter("test");
    let mut batcher = builder.meter(meter).build().await.unwrap();
    batcher.push_str("INSERT 1; INSERT 2; INSERT 3;").await.unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    assert_eq!(watched.sums()["sql_batcher.in_flight"], 1.0);
    batcher.add("INSERT 4").await.unwrap();
    drop(batcher);
    tokio::task::yield_now().await;
    let said = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(said.contains("dropped before it was finished statements_not_sent=2"), "{said}");
    assert!(!said.contains("INSERT"), "{said}");
    assert_eq!(watched.sums()["sql_batcher.in_flight"], 0.0);
}
