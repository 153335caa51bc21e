//! URL, capabilities, session settings, and the way to cancel.

use std::time::Duration;

use async_trait::async_trait;
use sqlx::{
    AssertSqlSafe, ConnectOptions, Connection as _, Executor as _, MySqlConnection, Row as _,
};

use crate::{
    AdapterError, Cancel, Capabilities, Dialect, Fault,
    connect::{Target, scheme, server_url, unsupported},
    pool::within,
};

use super::{Options, execute, problem};

/// Options of the URL that the driver knows.
const KNOWN: &[&str] = &[
    "ssl-mode",
    "sslmode",
    "ssl-ca",
    "sslca",
    "ssl-cert",
    "sslcert",
    "ssl-key",
    "sslkey",
    "socket",
    "charset",
    "collation",
    "timezone",
    "time-zone",
];

/// Takes away what the greeting of sqlx adds to the session's SQL mode (`CLIENT_IGNORE_SPACE`),
/// but nothing that the server or its `init_connect` sets.
const OWN_SQL_MODE: &str = "SET sql_mode = IF(FIND_IN_SET('IGNORE_SPACE', @@global.sql_mode), \
     @@session.sql_mode, TRIM(BOTH ',' FROM REPLACE(CONCAT(',', @@session.sql_mode, ','), \
     ',IGNORE_SPACE,', ',')))";

/// Reads a URL.
pub(super) fn options(url: &str) -> Result<Options, AdapterError> {
    match scheme(url)? {
        "mysql" | "mariadb" => {}
        other => return Err(unsupported(other)),
    }
    let url = server_url(url, KNOWN)?;
    let options = Options::from_url(&url).map_err(|error| {
        let said = match &error {
            sqlx::Error::Configuration(inner) => inner.to_string(),
            other => other.to_string(),
        };
        AdapterError::new(Fault::Options, format!("the database url cannot be read: {said}"))
    })?;
    let asks = |names: &[&str]| url.query_pairs().any(|(key, _)| names.contains(&&*key));
    let names = asks(&["charset", "collation"]);
    let options = if asks(&["timezone", "time-zone"]) { options } else { options.timezone(None) };
    Ok(options
        .pipes_as_concat(false)
        .no_engine_substitution(false)
        .set_names(names)
        .disable_statement_logging())
}

/// What messages say about the place.
pub(super) fn target(options: &Options) -> Target {
    let place = match options.get_socket() {
        Some(path) => path.display().to_string(),
        None => format!("{}:{}", options.get_host(), options.get_port()),
    };
    Target {
        system: "mysql",
        place,
        user: options.get_username().to_owned(),
        database: options.get_database().map(str::to_owned),
    }
}

/// Asks the server what it is.
pub(super) async fn capabilities(
    connection: &mut MySqlConnection,
) -> Result<Capabilities, sqlx::Error> {
    let sql = "SELECT CAST(@@version AS CHAR), CAST(@@max_allowed_packet AS CHAR)";
    let row = connection.fetch_one(sqlx::raw_sql(sql)).await?;
    let version: String = row.try_get(0)?;
    let packet: String = row.try_get(1)?;
    let packet: u64 = packet.parse().map_err(|error| sqlx::Error::Decode(Box::new(error)))?;
    let system = if version.contains("MariaDB") { "MariaDB" } else { "MySQL" };
    let number = version.split('-').next().unwrap_or_default();
    Ok(Capabilities {
        server: format!("{system} {number}"),
        dialect: Dialect::MySql,
        max_request_bytes: packet.saturating_sub(execute::OVERHEAD_BYTES),
        max_statements_per_request: None,
        transactions: true,
        transactional_ddl: false,
        savepoints: true,
        copy: false,
        binary_text: true,
        cancel: true,
        notes: Vec::new(),
    })
}

/// Makes a new session as it should be, and says the number of its thread.
pub(super) async fn apply(connection: &mut MySqlConnection, own: bool) -> Result<u64, sqlx::Error> {
    if own {
        connection.execute(sqlx::raw_sql(OWN_SQL_MODE)).await?;
    }
    let sql = "SELECT CAST(connection_id() AS CHAR)";
    let thread: String = connection.fetch_one(sqlx::raw_sql(sql)).await?.try_get(0)?;
    thread.parse().map_err(|error| sqlx::Error::Decode(Box::new(error)))
}

/// Cancels what a session runs, through a connection of its own.
#[derive(Clone)]
pub(super) struct Stop {
    pub(super) options: Options,
    pub(super) thread: u64,
    pub(super) target: Target,
    pub(super) limit: Duration,
}

#[async_trait]
impl Cancel for Stop {
    async fn cancel(&self) -> Result<(), AdapterError> {
        let ask = async {
            let mut connection = self.options.connect().await?;
            let sql = format!("KILL QUERY {}", self.thread);
            connection.execute(sqlx::raw_sql(AssertSqlSafe(sql))).await?;
            connection.close().await
        };
        within(self.limit, ask)
            .await
            .map_err(|why| self.target.unavailable(why, problem::classify_connect))
    }
}
