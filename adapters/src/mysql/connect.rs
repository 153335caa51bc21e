//! URL, capabilities, session settings, and the ways to cancel and to end a session.

use std::{num::ParseIntError, str::FromStr, time::Duration};

use async_trait::async_trait;
use sqlx::{
    AssertSqlSafe, ConnectOptions, Connection as _, Executor as _, MySqlConnection, Row as _,
};

use crate::{
    AdapterError, Cancel, Capabilities, Dialect, Fault,
    connect::{Target, scheme, server_url, unreadable, unsupported},
    pool::within,
    query::{POLL_EVERY, limit_ms},
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

/// Which server it is, which thread of it, and when it was started: see [`identify`].
const IDENTIFY: &str = "SELECT CAST(connection_id() AS CHAR), CAST(@@hostname AS CHAR), \
     CAST(UNIX_TIMESTAMP() AS CHAR), (SELECT CAST(host AS CHAR) \
     FROM information_schema.processlist WHERE id = connection_id()); \
     SHOW GLOBAL STATUS LIKE 'Uptime'";
/// How far two readings of a server's start may lie apart. The time and the time up are read by
/// two statements, each in whole seconds.
const START_WITHIN_SECONDS: u64 = 5;

/// Reads a URL.
pub(super) fn options(url: &str) -> Result<Options, AdapterError> {
    match scheme(url)? {
        "mysql" | "mariadb" => {}
        other => return Err(unsupported(other)),
    }
    let url = server_url(url, KNOWN)?;
    let options = Options::from_url(&url).map_err(unreadable)?;
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
        max_request_characters: None,
        max_statements_per_request: None,
        max_rows_per_insert: None,
        best_rows_per_insert: None,
        merging_obstacle: obstacle(connection).await?,
        merges_conflicts: !tells_rows_apart(connection).await?,
        fast_path: false,
        transactions: true,
        transactions_span_requests: true,
        transactional_ddl: false,
        savepoints: true,
        max_writers: None,
        copy: false,
        binary_text: true,
        cancel: true,
        notes: Vec::new(),
    })
}

/// Why an INSERT of several rows may change values where one of a single row is refused: without a
/// strict mode, or in tables that know no transactions. None where it does not.
/// <https://dev.mysql.com/doc/refman/8.4/en/sql-mode.html#sql-mode-strict>,
/// <https://dev.mysql.com/doc/refman/8.4/en/insert.html> (NULL into a column that has none)
async fn obstacle(connection: &mut MySqlConnection) -> Result<Option<String>, sqlx::Error> {
    let sql = "SELECT CAST(@@session.sql_mode AS CHAR), CAST(@@default_storage_engine AS CHAR), \
         CAST((SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = DATABASE() \
         AND table_type = 'BASE TABLE' AND engine <> 'InnoDB') AS CHAR)";
    let row = connection.fetch_one(sqlx::raw_sql(sql)).await?;
    let (mode, engine, others): (String, String, String) =
        (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
    let strict = mode.contains("STRICT_TRANS_TABLES") || mode.contains("STRICT_ALL_TABLES");
    let why = if !strict {
        "the session's sql_mode is not strict".to_owned()
    } else if !engine.eq_ignore_ascii_case("InnoDB") {
        format!("the default storage engine is {engine}")
    } else if others != "0" {
        format!("{others} tables of the database know no transactions")
    } else {
        return Ok(None);
    };
    Ok(Some(why))
}

/// Whether INSERTs that say what to do with a row that conflicts may do something else with several
/// rows (seen on MariaDB 10.11). A constraint of values, that of a table (MySQL before 8.0.16 has
/// none) or of a view, refuses an `INSERT IGNORE` of a single row, and leaves out one of several.
/// `AUTO_INCREMENT` gives the number that a conflicting row drew to the next row of the statement,
/// but not to the next statement.
async fn tells_rows_apart(connection: &mut MySqlConnection) -> Result<bool, sqlx::Error> {
    let numbers = "SELECT CAST(COUNT(*) AS CHAR) FROM information_schema.columns \
         WHERE table_schema = DATABASE() AND extra LIKE '%auto_increment%'";
    let views = "SELECT CAST(COUNT(*) AS CHAR) FROM information_schema.views \
         WHERE table_schema = DATABASE() AND check_option <> 'NONE'";
    let checks = "SELECT CAST(COUNT(*) AS CHAR) FROM information_schema.check_constraints \
         WHERE constraint_schema = DATABASE()";
    for sql in [numbers, views, checks] {
        match connection.fetch_one(sqlx::raw_sql(sql)).await {
            Ok(row) if row.try_get::<String, _>(0)? != "0" => return Ok(true),
            Ok(_) => {}
            // The server has no such view of its schemas, and so no such constraints.
            Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some("42S02") => {}
            Err(error) => return Err(error),
        }
    }
    Ok(false)
}

/// A session's thread of a server. Its number may be that of another one when the server was
/// started anew.
#[derive(Clone, Debug)]
pub(super) struct Thread {
    pub(super) id: u64,
    host: String,
    /// When the server was started, by its own clock, in seconds since 1970.
    server_started: i64,
    /// The address and the port of its client, as the server has them.
    client: Option<String>,
}

/// Makes a new session as it should be, and says which thread it has.
pub(super) async fn apply(
    connection: &mut MySqlConnection,
    own: bool,
) -> Result<Thread, sqlx::Error> {
    if own {
        connection.execute(sqlx::raw_sql(OWN_SQL_MODE)).await?;
    }
    identify(connection).await
}

/// Says which thread of which server a connection has.
async fn identify(connection: &mut MySqlConnection) -> Result<Thread, sqlx::Error> {
    fn number<T: FromStr<Err = ParseIntError>>(text: String) -> Result<T, sqlx::Error> {
        text.parse().map_err(|error| sqlx::Error::Decode(Box::new(error)))
    }
    let rows = connection.fetch_all(sqlx::raw_sql(IDENTIFY)).await?;
    let [session, uptime, ..] = &rows[..] else { return Err(sqlx::Error::RowNotFound) };
    let now: i64 = number(session.try_get(2)?)?;
    let up: i64 = number(uptime.try_get_unchecked(1)?)?;
    Ok(Thread {
        id: number(session.try_get(0)?)?,
        host: session.try_get(1)?,
        server_started: now.saturating_sub(up),
        client: session.try_get(3)?,
    })
}

/// Limits the time of each statement of a session, unless a shorter limit is set (0 is none). What
/// the server is decides which comment it reads: MariaDB passes over `!50708`, MySQL over `M!`.
pub(super) fn limit_statements(limit: Duration) -> String {
    // The most of `max_execution_time`, 49 days; `max_statement_time` can hold a year.
    let limit_ms = limit_ms(limit, u32::MAX);
    let seconds = format!("{}.{:03}", limit_ms / 1000, limit_ms % 1000);
    format!(
        "SET @sql_batcher_limit = NULL \
         /*!50708 , max_execution_time = IF(@@max_execution_time BETWEEN 1 AND {limit_ms}, \
         @@max_execution_time, {limit_ms}) */ \
         /*M!100101 , max_statement_time = IF(@@max_statement_time > 0 \
         AND @@max_statement_time < {seconds}, @@max_statement_time, {seconds}) */"
    )
}

/// Cancels what a session runs, or ends the session, through a connection of its own.
#[derive(Clone)]
pub(super) struct Stop {
    pub(super) options: Options,
    pub(super) thread: Thread,
    pub(super) target: Target,
    pub(super) limit: Duration,
}

#[async_trait]
impl Cancel for Stop {
    async fn cancel(&self) -> Result<(), AdapterError> {
        self.through_another(async |connection| kill(connection, "QUERY", self.thread.id).await)
            .await
    }

    async fn terminate(&self) -> Result<(), AdapterError> {
        self.through_another(async |connection| {
            kill(connection, "CONNECTION", self.thread.id).await?;
            until_gone(connection, self.thread.id).await
        })
        .await
    }
}

impl Stop {
    /// Does something through a connection of its own, within the limit, if there can be the
    /// session's thread still: of a server that was started anew another thread may have its
    /// number.
    async fn through_another(
        &self,
        work: impl AsyncFnOnce(&mut MySqlConnection) -> Result<(), sqlx::Error>,
    ) -> Result<(), AdapterError> {
        let ask = async {
            let mut connection = self.options.connect().await?;
            let server = identify(&mut connection).await?;
            let is_same_host = server.host == self.thread.host;
            if is_same_host
                && self.thread.is_of_same_start(&server)
                && self.thread.is_not_another(&mut connection).await?
            {
                work(&mut connection).await?;
            }
            connection.close().await?;
            Ok(is_same_host)
        };
        let is_same_host = within(self.limit, ask)
            .await
            .map_err(|why| self.target.unavailable(why, problem::classify_connect))?;
        if is_same_host {
            return Ok(());
        }
        let said = format!(
            "{} has led to another server than {:?}, where the session is",
            self.target, self.thread.host
        );
        Err(AdapterError::new(Fault::Connection, said))
    }
}

impl Thread {
    /// Whether the server has not been started anew between the two.
    fn is_of_same_start(&self, other: &Self) -> bool {
        let apart = self.server_started.abs_diff(other.server_started);
        apart <= START_WITHIN_SECONDS
    }

    /// Whether no other client has the thread of this number: its address and port are not ours,
    /// where a server was started anew sooner than the start tells.
    async fn is_not_another(&self, connection: &mut MySqlConnection) -> Result<bool, sqlx::Error> {
        let look = "SELECT CAST(host AS CHAR) FROM information_schema.processlist WHERE id = ";
        let look = sqlx::raw_sql(AssertSqlSafe(format!("{look}{}", self.id)));
        let Some(thread) = connection.fetch_optional(look).await? else { return Ok(true) };
        let client: Option<String> = thread.try_get(0)?;
        Ok(client == self.client)
    }
}

/// Stops what a thread runs (`QUERY`), or the thread (`CONNECTION`). One that has ended is none.
async fn kill(
    connection: &mut MySqlConnection,
    what: &str,
    thread: u64,
) -> Result<(), sqlx::Error> {
    let kill = AssertSqlSafe(format!("KILL {what} {thread}"));
    match connection.execute(sqlx::raw_sql(kill)).await {
        Err(error) if !problem::is_unknown_thread(&error) => Err(error),
        _ => Ok(()),
    }
}

/// Waits until a thread that was killed is gone: it stays in the list until its transaction is
/// taken back.
async fn until_gone(connection: &mut MySqlConnection, thread: u64) -> Result<(), sqlx::Error> {
    let look = format!("SELECT 1 FROM information_schema.processlist WHERE id = {thread}");
    let look = || sqlx::raw_sql(AssertSqlSafe(look.clone()));
    while !connection.fetch_all(look()).await?.is_empty() {
        tokio::time::sleep(POLL_EVERY).await;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_was_started_within_seconds_of_another_reading_is_the_same() {
        let started =
            |server_started| Thread { id: 1, host: "a".to_owned(), server_started, client: None };
        for (other, same) in [(94, false), (95, true), (100, true), (105, true), (106, false)] {
            assert_eq!(started(100).is_of_same_start(&started(other)), same, "{other}");
        }
    }

    #[test]
    fn a_limit_is_in_milliseconds_for_mysql_and_in_seconds_for_mariadb() {
        let sql = limit_statements(Duration::from_micros(1_050_001));
        assert!(sql.contains("BETWEEN 1 AND 1051, @@max_execution_time, 1051)"), "{sql}");
        assert!(sql.contains("< 1.051, @@max_statement_time, 1.051)"), "{sql}");
    }
}
