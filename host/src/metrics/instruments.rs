//! The instruments of a run. Each call is cheap where nobody listens.

use std::{fmt, time::Duration};

use opentelemetry::{
    KeyValue,
    metrics::{Counter, Gauge, Histogram, Meter, UpDownCounter},
};
use sql_batcher_adapters::{Capabilities, Dialect};

use super::{
    ATTEMPT_DURATION, BATCH_DURATION, BATCH_SIZE, BATCH_STATEMENTS, BATCHES, CONNECTION_WAIT,
    FAILURES, HOOK_DURATION, IN_FLIGHT, Metric, READ, RETRIES, ROWS, SANDBOX_DURATION,
    SANDBOX_MEMORY, SENT, STATEMENTS,
};
use crate::{account::Account, batch::Batch};

/// Bounds of the classes for times, in seconds: those that the conventions advise.
const SECONDS: [f64; 10] = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 60.0];
/// Bounds of the classes for the calls of hooks, in seconds.
const SHORT_SECONDS: [f64; 8] = [1e-6, 5e-6, 2e-5, 1e-4, 5e-4, 2e-3, 1e-2, 1e-1];
/// Bounds of the classes for sizes, in bytes.
const BYTES: [f64; 9] =
    [256.0, 1024.0, 4096.0, 16384.0, 65536.0, 262_144.0, 1_048_576.0, 4_194_304.0, 16_777_216.0];
/// Bounds of the classes for numbers of statements.
const COUNTS: [f64; 9] = [1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0, 3000.0, 10000.0];

/// The instruments of a run.
#[derive(Clone)]
pub(crate) struct Instruments {
    system: &'static str,
    statements: Counter<u64>,
    rows: Counter<u64>,
    read: Counter<u64>,
    sent: Counter<u64>,
    batches: Counter<u64>,
    batch_size: Histogram<u64>,
    batch_statements: Histogram<u64>,
    batch_duration: Histogram<f64>,
    in_flight: UpDownCounter<i64>,
    attempt_duration: Histogram<f64>,
    retries: Counter<u64>,
    failures: Counter<u64>,
    connection_wait: Histogram<f64>,
    sandbox_duration: Counter<f64>,
    sandbox_memory: Gauge<u64>,
    hook_duration: Histogram<f64>,
}

/// A batch under way: it counts until it is dropped.
pub(crate) struct UnderWay {
    in_flight: UpDownCounter<i64>,
    system: &'static str,
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.in_flight.add(-1, &[of_system(self.system)]);
    }
}

impl Instruments {
    pub(crate) fn new(meter: &Meter, database: &Capabilities) -> Self {
        let counter = |metric: Metric| {
            let builder = meter.u64_counter(metric.name).with_unit(metric.unit);
            builder.with_description(metric.description).build()
        };
        let times = |metric: Metric, bounds: &[f64]| {
            let builder = meter.f64_histogram(metric.name).with_unit(metric.unit);
            builder.with_description(metric.description).with_boundaries(bounds.to_vec()).build()
        };
        let sizes = |metric: Metric, bounds: &[f64]| {
            let builder = meter.u64_histogram(metric.name).with_unit(metric.unit);
            builder.with_description(metric.description).with_boundaries(bounds.to_vec()).build()
        };
        let in_flight = meter.i64_up_down_counter(IN_FLIGHT.name).with_unit(IN_FLIGHT.unit);
        let sandbox = meter.f64_counter(SANDBOX_DURATION.name).with_unit(SANDBOX_DURATION.unit);
        let memory = meter.u64_gauge(SANDBOX_MEMORY.name).with_unit(SANDBOX_MEMORY.unit);
        Self {
            system: system_name(database),
            statements: counter(STATEMENTS),
            rows: counter(ROWS),
            read: counter(READ),
            sent: counter(SENT),
            batches: counter(BATCHES),
            batch_size: sizes(BATCH_SIZE, &BYTES),
            batch_statements: sizes(BATCH_STATEMENTS, &COUNTS),
            batch_duration: times(BATCH_DURATION, &SECONDS),
            in_flight: in_flight.with_description(IN_FLIGHT.description).build(),
            attempt_duration: times(ATTEMPT_DURATION, &SECONDS),
            retries: counter(RETRIES),
            failures: counter(FAILURES),
            connection_wait: times(CONNECTION_WAIT, &SECONDS),
            sandbox_duration: sandbox.with_description(SANDBOX_DURATION.description).build(),
            sandbox_memory: memory.with_description(SANDBOX_MEMORY.description).build(),
            hook_duration: times(HOOK_DURATION, &SHORT_SECONDS),
        }
    }

    /// The name that the conventions have for the database.
    pub(crate) fn system(&self) -> &'static str {
        self.system
    }

    fn own(&self) -> KeyValue {
        of_system(self.system)
    }

    /// Counts what the account has more than when it was last counted. While the transaction that
    /// spans the run is open, no fate is decided.
    pub(crate) fn count(&self, counted: &mut Account, account: &Account, fates_decided: bool) {
        let add = |counter: &Counter<u64>, counted: &mut u64, now: u64, attributes: &[KeyValue]| {
            let more = now.saturating_sub(*counted);
            if more > 0 {
                *counted = now;
                counter.add(more, attributes);
            }
        };
        let own = [self.own()];
        add(&self.rows, &mut counted.rows, account.rows, &own);
        add(&self.read, &mut counted.read, account.read, &own);
        add(&self.sent, &mut counted.bytes, account.bytes, &own);
        if !fates_decided {
            return;
        }
        for (state, counted, now) in [
            ("applied", &mut counted.applied, account.applied),
            ("failed", &mut counted.failed, account.failed),
            ("rolled_back", &mut counted.rolled_back, account.rolled_back),
            ("rejected", &mut counted.rejected, account.rejected),
            ("skipped", &mut counted.skipped, account.skipped),
            ("unknown", &mut counted.unknown, account.unknown),
            ("not_reached", &mut counted.not_reached, account.not_reached),
        ] {
            add(&self.statements, counted, now, &[self.own(), KeyValue::new("state", state)]);
        }
    }

    /// A batch is handed to the database.
    pub(crate) fn start(&self, batch: &Batch) -> UnderWay {
        let own = [self.own()];
        let sealed_by = KeyValue::new("sealed_by", batch.sealed_by.name());
        self.batches.add(1, &[self.own(), sealed_by]);
        self.batch_size.record(batch.sent_bytes() as u64, &own);
        self.batch_statements.record(batch.statements() as u64, &own);
        self.in_flight.add(1, &own);
        UnderWay { in_flight: self.in_flight.clone(), system: self.system }
    }

    /// A batch has ended.
    pub(crate) fn end(&self, elapsed: Duration, outcome: &'static str) {
        let attributes = [self.own(), KeyValue::new("outcome", outcome)];
        self.batch_duration.record(elapsed.as_secs_f64(), &attributes);
    }

    /// An attempt has ended, perhaps with an error.
    pub(crate) fn attempt(&self, elapsed: Duration, error: Option<&'static str>) {
        let seconds = elapsed.as_secs_f64();
        match error {
            None => self.attempt_duration.record(seconds, &[self.own()]),
            Some(error) => self.attempt_duration.record(seconds, &[self.own(), of_error(error)]),
        }
    }

    /// There is a further attempt after an error.
    pub(crate) fn retry(&self, error: &'static str) {
        self.retries.add(1, &[self.own(), of_error(error)]);
    }

    /// The run has ended early.
    pub(crate) fn fail(&self, error: &'static str) {
        self.failures.add(1, &[self.own(), of_error(error)]);
    }

    /// A connection was waited for.
    pub(crate) fn wait(&self, elapsed: Duration) {
        let pool = KeyValue::new("db.client.connection.pool.name", super::METER);
        self.connection_wait.record(elapsed.as_secs_f64(), &[self.own(), pool]);
    }

    /// The component was called.
    pub(crate) fn enter(&self, elapsed: Duration, memory_bytes: u64) {
        let own = [self.own()];
        self.sandbox_duration.add(elapsed.as_secs_f64(), &own);
        self.sandbox_memory.record(memory_bytes, &own);
    }

    /// A hook was called.
    pub(crate) fn hook(&self, hook: &str, phase: &'static str, elapsed: Duration) {
        let hook = KeyValue::new("hook", hook.to_owned());
        let attributes = [self.own(), hook, KeyValue::new("phase", phase)];
        self.hook_duration.record(elapsed.as_secs_f64(), &attributes);
    }
}

fn of_system(system: &'static str) -> KeyValue {
    KeyValue::new("db.system.name", system)
}

fn of_error(error: &'static str) -> KeyValue {
    KeyValue::new("error.type", error)
}

fn system_name(database: &Capabilities) -> &'static str {
    match database.dialect {
        Dialect::PostgreSql => "postgresql",
        Dialect::Sqlite => "sqlite",
        Dialect::MySql if database.server.starts_with("MariaDB") => "mariadb",
        Dialect::MySql => "mysql",
        Dialect::Snowflake => "snowflake",
        Dialect::Trino => "trino",
        _ => "other_sql",
    }
}

impl fmt::Debug for Instruments {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Instruments").field("system", &self.system).finish_non_exhaustive()
    }
}
