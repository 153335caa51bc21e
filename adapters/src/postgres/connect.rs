//! URL, capabilities, and the ways to cancel and to end a session.

use std::time::Duration;

use async_trait::async_trait;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection as _, Executor as _, PgConnection, Row as _};

use crate::{
    AdapterError, Cancel, Capabilities, Dialect, Fault,
    connect::{Target, scheme, server_url, unreadable, unsupported},
    pool::within,
    query::POLL_EVERY,
};

use super::{
    Options, problem,
    settings::{Process, STARTED},
};

/// Options of the URL that the driver knows.
const KNOWN: &[&str] = &[
    "sslmode",
    "sslrootcert",
    "sslcert",
    "sslkey",
    "host",
    "hostaddr",
    "port",
    "dbname",
    "user",
    "password",
    "application_name",
    "options",
];

/// The largest text: `MaxAllocSize` of PostgreSQL (1 GiB - 1, `src/include/utils/memutils.h`),
/// without room for the message around it.
const MAX_REQUEST_BYTES: u64 = (1 << 30) - 1 - 1024;

/// How many rows an INSERT has best. Measured with PostgreSQL 15 and rows of 60 bytes: 250 to 500 rows
/// in an INSERT are inserted in two thirds of the time of 17,000 rows in one, whose parsed form fits
/// no cache.
const BEST_ROWS: u32 = 500;

/// Reads a URL.
pub(super) fn options(url: &str) -> Result<Options, AdapterError> {
    match scheme(url)? {
        "postgres" | "postgresql" => {}
        other => return Err(unsupported(other)),
    }
    let url = server_url(url, KNOWN)?;
    let options = Options::from_url(&url).map_err(unreadable)?;
    let options = match options.get_application_name() {
        Some(_) => options,
        None => options.application_name("sql-batcher"),
    };
    // sqlx would send `extra_float_digits=2`, which changes how numbers are printed.
    Ok(options.extra_float_digits(None).disable_statement_logging())
}

/// What messages say about the place.
pub(super) fn target(options: &Options) -> Target {
    let place = match options.get_socket() {
        Some(path) => path.display().to_string(),
        None => format!("{}:{}", options.get_host(), options.get_port()),
    };
    Target {
        system: "postgresql",
        place,
        user: options.get_username().to_owned(),
        database: Some(options.get_database().unwrap_or(options.get_username()).to_owned()),
    }
}

/// Asks the server what it is.
pub(super) async fn capabilities(
    connection: &mut PgConnection,
) -> Result<Capabilities, sqlx::Error> {
    let row = connection.fetch_one(sqlx::raw_sql("SHOW server_version")).await?;
    let version: String = row.try_get(0)?;
    let version = version.split(' ').next().unwrap_or_default();
    let row = connection.fetch_one(sqlx::raw_sql("SELECT pg_catalog.version()")).await;
    let full: String = row.and_then(|row| row.try_get(0)).unwrap_or_default();
    Ok(Capabilities {
        server: format!("PostgreSQL {version}"),
        dialect: Dialect::PostgreSql,
        max_request_bytes: MAX_REQUEST_BYTES,
        max_request_characters: None,
        max_statements_per_request: None,
        max_rows_per_insert: None,
        best_rows_per_insert: Some(BEST_ROWS),
        merging_obstacle: None,
        merges_conflicts: true,
        fast_path: is_known_server(version, &full),
        transactions: true,
        transactions_span_requests: true,
        transactional_ddl: true,
        savepoints: true,
        max_writers: None,
        copy: true,
        binary_text: false,
        cancel: true,
        notes: Vec::new(),
    })
}

/// Whether it is PostgreSQL itself, in a version whose catalog says all that decides whether rows
/// can be copied (12: generated columns), and not a database that only speaks like it.
fn is_known_server(version: &str, full: &str) -> bool {
    let major: u32 = version
        .split(|c: char| !c.is_ascii_digit())
        .next()
        .unwrap_or_default()
        .parse()
        .unwrap_or(0);
    let others = ["-YB-", "Redshift", "Greenplum", "CockroachDB", "Materialize"];
    major >= 12
        && full.starts_with(&format!("PostgreSQL {version} "))
        && !others.iter().any(|other| full.contains(other))
}

/// Cancels what a session runs, or ends the session, through a connection of its own.
#[derive(Clone)]
pub(super) struct Stop {
    pub(super) options: Options,
    pub(super) process: Process,
    pub(super) target: Target,
    pub(super) limit: Duration,
}

#[async_trait]
impl Cancel for Stop {
    async fn cancel(&self) -> Result<(), AdapterError> {
        let ask = self.call("pg_cancel_backend")?;
        self.through_another(async |connection| {
            connection.fetch_all(sqlx::raw_sql(AssertSqlSafe(ask))).await.map(drop)
        })
        .await
    }

    async fn terminate(&self) -> Result<(), AdapterError> {
        // The process is in the view until its transaction is taken back (`ShutdownPostgres` comes
        // before `pgstat_beshutdown_hook`); that it is asked more than once changes nothing.
        let ask = self.call("pg_terminate_backend")?;
        self.through_another(async |connection| {
            let ask = || sqlx::raw_sql(AssertSqlSafe(ask.clone()));
            while !connection.fetch_all(ask()).await?.is_empty() {
                tokio::time::sleep(POLL_EVERY).await;
            }
            Ok(())
        })
        .await
    }
}

impl Stop {
    /// Calls a function of the server with the session's process, and gives a row, where there is
    /// that process still: another one may have its number by now, but has another start. A start
    /// that is hidden is one of another role's, and then the server refuses.
    fn call(&self, function: &str) -> Result<String, AdapterError> {
        let Process { id, started: Some(started) } = self.process else {
            let said = format!("{} does not say when the session was started", self.target);
            return Err(AdapterError::new(Fault::Unsupported, said));
        };
        Ok(format!(
            "SELECT pg_catalog.{function}(pid) FROM pg_catalog.pg_stat_activity
             WHERE pid = {id} AND COALESCE({STARTED}, {started}) = {started}"
        ))
    }

    /// Does something through a connection of its own, within the limit.
    async fn through_another(
        &self,
        work: impl AsyncFnOnce(&mut PgConnection) -> Result<(), sqlx::Error>,
    ) -> Result<(), AdapterError> {
        let ask = async {
            let mut connection = self.options.connect().await?;
            work(&mut connection).await?;
            connection.close().await
        };
        within(self.limit, ask)
            .await
            .map_err(|why| self.target.unavailable(why, problem::classify_connect))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_application_is_named_unless_the_url_does() {
        let named = options("postgres://u@h/d?application_name=etl").unwrap();
        assert_eq!(named.get_application_name(), Some("etl"));
        let unnamed = options("postgresql://u@h/d").unwrap();
        assert_eq!(unnamed.get_application_name(), Some("sql-batcher"));
    }

    #[test]
    fn an_unknown_option_is_refused_by_name() {
        let error = options("postgres://u@h/d?pasword=x").unwrap_err();
        assert!(error.message.starts_with("unknown option \"pasword\" in the url"), "{error}");
    }

    #[test]
    fn rows_are_copied_into_postgresql_only() {
        for (version, full, expected) in [
            ("15.18", "PostgreSQL 15.18 (Debian 15.18-0+deb12u1) on x86_64-pc-linux-gnu", true),
            ("18beta1", "PostgreSQL 18beta1 on x86_64-pc-linux-gnu", true),
            ("11.22", "PostgreSQL 11.22 on x86_64-pc-linux-gnu", false),
            ("15.12-YB-2025", "PostgreSQL 15.12-YB-2025 on x86_64-pc-linux-gnu", false),
            ("13.0.0", "CockroachDB CCL v24.1", false),
            ("8.0.2", "PostgreSQL 8.0.2 on i686-pc-linux-gnu, Redshift 1.0", false),
            ("14.1", "", false),
        ] {
            assert_eq!(is_known_server(version, full), expected, "{full}");
        }
    }
}
