//! What a run counts for whoever watches it: one table of names, types, units and attributes, and
//! the instruments made from it. The library speaks to the OpenTelemetry interface only; where no
//! provider is installed, nothing is kept.
//!
//! Names and units follow the OpenTelemetry conventions for databases where those have one,
//! <https://opentelemetry.io/docs/specs/semconv/db/database-metrics/>. No value of an attribute
//! comes from the SQL, the data or the URL.

mod instruments;

pub(crate) use self::instruments::{Instruments, UnderWay};

/// The name of the meter.
pub(crate) const METER: &str = "sql-batcher";

/// A measurement that a run makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Metric {
    /// Its name. Prometheus writes `_` for `.`, and appends the unit, and `_total` to a counter.
    pub name: &'static str,
    /// How it is measured.
    pub kind: MetricKind,
    /// Its unit, in UCUM: `s`, `By`, or what is counted, in braces.
    pub unit: &'static str,
    /// The names of its attributes, besides `db.system.name`, which all have.
    pub attributes: &'static [&'static str],
    /// What it is.
    pub description: &'static str,
}

/// How a metric is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MetricKind {
    /// A sum that only grows.
    Counter,
    /// A sum that grows and shrinks.
    UpDownCounter,
    /// The value of this moment.
    Gauge,
    /// How often values fell into each class.
    Histogram,
}

macro_rules! metrics {
    ($($name:ident = $kind:ident $metric:literal, $unit:literal, [$($attribute:literal),*], $description:literal;)*) => {
        $(pub(crate) const $name: Metric = Metric {
            name: $metric,
            kind: MetricKind::$kind,
            unit: $unit,
            attributes: &[$($attribute),*],
            description: $description,
        };)*

        /// Everything that a run measures.
        pub const METRICS: &[Metric] = &[$($name),*];
    };
}

metrics! {
    STATEMENTS = Counter "sql_batcher.statements", "{statement}", ["state"],
        "Statements whose fate is decided, by it: as in the report.";
    ROWS = Counter "sql_batcher.rows", "{row}", [],
        "Rows affected, as far as the database says.";
    READ = Counter "sql_batcher.read", "By", [],
        "Input up to the end of the last whole statement.";
    SENT = Counter "sql_batcher.sent", "By", [],
        "Bodies of the batches that were handed to the database.";
    BATCHES = Counter "sql_batcher.batches", "{batch}", ["sealed_by"],
        "Batches that were handed to the database, by why they were closed.";
    BATCH_SIZE = Histogram "sql_batcher.batch.size", "By", [],
        "Body of a batch.";
    BATCH_STATEMENTS = Histogram "sql_batcher.batch.statements", "{statement}", [],
        "Statements of a batch.";
    BATCH_DURATION = Histogram "sql_batcher.batch.duration", "s", ["outcome"],
        "From handing a batch to the database to its end, waits and retries included.";
    IN_FLIGHT = UpDownCounter "sql_batcher.in_flight", "{batch}", [],
        "Batches under way.";
    ATTEMPT_DURATION = Histogram "db.client.operation.duration", "s", ["error.type"],
        "One attempt at a batch or a part of one; attempts are its count.";
    RETRIES = Counter "sql_batcher.retries", "{attempt}", ["error.type"],
        "Further attempts, by what had gone wrong before.";
    FAILURES = Counter "sql_batcher.failures", "{run}", ["error.type"],
        "Runs that ended early, by the kind of error.";
    CONNECTION_WAIT = Histogram "db.client.connection.wait_time", "s",
        ["db.client.connection.pool.name"],
        "Wait for a connection, making it included.";
    SANDBOX_DURATION = Counter "sql_batcher.sandbox.duration", "s", [],
        "Time inside the sandboxed component, that of hooks not included.";
    SANDBOX_MEMORY = Gauge "sql_batcher.sandbox.memory", "By", [],
        "Memory of the sandboxed component.";
    HOOK_DURATION = Histogram "sql_batcher.hook.duration", "s", ["hook", "phase"],
        "One call of a hook, by its name, `pre` or `post`.";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_readme_has_the_same_table() {
        let readme = include_str!("../../README.md");
        for metric in METRICS {
            let Metric { name, kind, unit, attributes, description } = metric;
            let attributes: Vec<String> =
                attributes.iter().map(|attribute| format!("`{attribute}`")).collect();
            let kind = format!("{kind:?}").to_lowercase();
            let attributes = attributes.join(", ");
            let line = format!("| `{name}` | {kind} | `{unit}` | {attributes} | {description} |");
            assert!(readme.contains(&line.replace("|  |", "| |")), "{line}");
        }
    }

    #[test]
    fn names_are_unique() {
        let names: std::collections::BTreeSet<&str> = METRICS.iter().map(|m| m.name).collect();
        assert_eq!(names.len(), METRICS.len());
    }
}
