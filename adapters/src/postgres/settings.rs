//! Time zone and date style as the user's own client would have them, and the server's limit on
//! the time of a statement.
//!
//! sqlx says `TimeZone=UTC` and `DateStyle=ISO, MDY` in its greeting, and what stands there hides
//! the server's own value from the session: `RESET` only goes back to the greeting. So the value is
//! looked for where the server takes it from, in the server's order
//! (<https://www.postgresql.org/docs/current/config-setting.html>), and then set.

use std::{env, time::Duration};

use sqlx::{AssertSqlSafe, Executor as _, PgConnection, Row as _};

use crate::query;

use super::Options;

/// What is set in each session; none: left as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Settings {
    time_zone: Option<String>,
    date_style: Option<String>,
}

/// The server's process of a session. Its number may be that of another one later, but not with
/// the same start.
#[derive(Clone, Copy, Debug)]
pub(super) struct Process {
    pub(super) id: i32,
    /// [`STARTED`], where the server says it.
    pub(super) started: Option<i64>,
}

/// When the process of a row of `pg_stat_activity` was started, in microseconds since 1970.
pub(super) const STARTED: &str =
    "CAST(EXTRACT(EPOCH FROM backend_start) * 1000000 AS pg_catalog.int8)";

/// Finds the settings of a session that asks for none.
pub(super) async fn of_server(
    connection: &mut PgConnection,
    options: &Options,
    notes: &mut Vec<String>,
) -> Result<Settings, sqlx::Error> {
    let asked = options.get_options().map(command_line).unwrap_or_default();
    let readable = file_is_readable(connection).await?;
    let mut guessed = Vec::new();
    let mut values = Vec::new();
    for (name, variable) in [("TimeZone", "PGTZ"), ("DateStyle", "PGDATESTYLE")] {
        let known = match last_of(&asked, name).or_else(|| env::var(variable).ok()) {
            Some(value) => Some(value),
            None => of_role(connection, name).await?,
        };
        let value = match known {
            Some(value) => value,
            None if readable => of_file(connection, name).await?,
            None => {
                let value = by_default(connection, name).await?;
                guessed.push(format!("{name} {value:?}"));
                value
            }
        };
        values.push(Some(value));
    }
    if !guessed.is_empty() {
        notes.push(format!(
            "the server's own settings cannot be read by this role; assumed are {} \
             (PGTZ and PGDATESTYLE say others)",
            guessed.join(" and ")
        ));
    }
    let mut values = values.into_iter();
    Ok(Settings { time_zone: values.next().flatten(), date_style: values.next().flatten() })
}

/// Makes a new session as it should be, and says which process it has.
pub(super) async fn apply(
    connection: &mut PgConnection,
    settings: &Settings,
) -> Result<Process, sqlx::Error> {
    let mut sql = format!(
        "SELECT pg_catalog.pg_backend_pid(), (SELECT {STARTED} FROM pg_catalog.pg_stat_activity
         WHERE pid = pg_catalog.pg_backend_pid())"
    );
    for (name, value) in [("TimeZone", &settings.time_zone), ("DateStyle", &settings.date_style)] {
        if let Some(value) = value {
            sql.push_str(&format!(", pg_catalog.set_config('{name}', {}, false)", literal(value)));
        }
    }
    let row = connection.fetch_one(sqlx::raw_sql(AssertSqlSafe(sql))).await?;
    Ok(Process { id: row.try_get(0)?, started: row.try_get(1)? })
}

/// A limit as the server takes it: in milliseconds, at most what an `int` holds.
pub(super) fn limit_ms(limit: Duration) -> u32 {
    query::limit_ms(limit, i32::MAX.unsigned_abs())
}

/// Limits the time of each statement of a session, unless a shorter limit is set (0 is none). Gives
/// a row where it does.
pub(super) fn limit_statements(limit_ms: u32) -> String {
    set_limit_where(limit_ms, &format!("NOT BETWEEN 1 AND {limit_ms}"))
}

/// Sets another limit in place of this one, and gives a row; any other stays. Not for the
/// transaction alone (`is_local`): outside of one that would be over with this very query, and in
/// one that is rolled back it is taken back with it all the same.
pub(super) fn replace_limit(from_ms: u32, to_ms: u32) -> String {
    set_limit_where(to_ms, &format!("= {from_ms}"))
}

fn set_limit_where(limit_ms: u32, condition: &str) -> String {
    format!(
        "SELECT pg_catalog.set_config('statement_timeout', '{limit_ms}', false)
         FROM pg_catalog.pg_settings WHERE name = 'statement_timeout'
         AND CAST(setting AS pg_catalog.int8) {condition}"
    )
}

/// A text as a literal that means the same whatever `standard_conforming_strings` says.
pub(super) fn literal(value: &str) -> String {
    format!("E'{}'", value.replace('\\', "\\\\").replace('\'', "''"))
}

/// The last setting of a name.
fn last_of(settings: &[(String, String)], name: &str) -> Option<String> {
    settings
        .iter()
        .rev()
        .find(|(key, _)| key.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.clone())
}

/// The settings in the `options` of a connection: `-c name=value`, `-cname=value`, `--name=value`;
/// words end at blanks, a backslash takes the next character as it is.
fn command_line(options: &str) -> Vec<(String, String)> {
    let mut words = vec![String::new()];
    let mut characters = options.chars();
    while let Some(character) = characters.next() {
        let Some(word) = words.last_mut() else { break };
        match character {
            '\\' => word.extend(characters.next()),
            blank if blank.is_ascii_whitespace() => words.push(String::new()),
            other => word.push(other),
        }
    }
    let mut settings = Vec::new();
    let mut words = words.into_iter().filter(|word| !word.is_empty());
    while let Some(word) = words.next() {
        let setting = match word.strip_prefix("--").or_else(|| word.strip_prefix("-c")) {
            Some("") => words.next(),
            Some(setting) => Some(setting.to_owned()),
            None => None,
        };
        if let Some((name, value)) = setting.as_deref().and_then(|setting| setting.split_once('='))
        {
            settings.push((name.replace('-', "_"), value.to_owned()));
        }
    }
    settings
}

/// `ALTER ROLE … SET` and `ALTER DATABASE … SET`, the strongest first.
async fn of_role(connection: &mut PgConnection, name: &str) -> Result<Option<String>, sqlx::Error> {
    let found = sqlx::query_scalar(
        "SELECT pg_catalog.substr(setting, pg_catalog.strpos(setting, '=') + 1)
         FROM pg_catalog.pg_db_role_setting, pg_catalog.unnest(setconfig) AS setting
         WHERE setdatabase IN (0, (SELECT oid FROM pg_catalog.pg_database
                                   WHERE datname = pg_catalog.current_database()))
           AND setrole IN (0, (SELECT oid FROM pg_catalog.pg_roles WHERE rolname = session_user))
           AND pg_catalog.lower(pg_catalog.split_part(setting, '=', 1)) = pg_catalog.lower($1)
         ORDER BY setrole = 0, setdatabase = 0 LIMIT 1",
    )
    .persistent(false)
    .bind(name)
    .fetch_optional(connection)
    .await?;
    Ok(found)
}

/// Whether the role may read the server's configuration files: the view and the function below it.
async fn file_is_readable(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    let sql = "SELECT pg_catalog.has_table_privilege('pg_catalog.pg_file_settings', 'SELECT')
         AND pg_catalog.has_function_privilege(
             'pg_catalog.pg_show_all_file_settings()', 'EXECUTE')";
    match connection.fetch_one(sqlx::raw_sql(sql)).await {
        Ok(row) => row.try_get(0),
        // Before version 9.5, and in databases that only speak like PostgreSQL.
        Err(sqlx::Error::Database(_)) => Ok(false),
        Err(error) => Err(error),
    }
}

/// What the server's files set, or its built-in value.
async fn of_file(connection: &mut PgConnection, name: &str) -> Result<String, sqlx::Error> {
    sqlx::query_scalar(
        "SELECT coalesce((SELECT setting FROM pg_catalog.pg_file_settings
                          WHERE applied AND pg_catalog.lower(name) = pg_catalog.lower($1)
                          ORDER BY seqno DESC LIMIT 1), boot_val)
         FROM pg_catalog.pg_settings WHERE pg_catalog.lower(name) = pg_catalog.lower($1)",
    )
    .persistent(false)
    .bind(name)
    .fetch_one(connection)
    .await
}

/// The best guess: `initdb` writes the same zone for the log as for sessions.
async fn by_default(connection: &mut PgConnection, name: &str) -> Result<String, sqlx::Error> {
    sqlx::query_scalar(
        "SELECT CASE WHEN $1 = 'TimeZone' THEN pg_catalog.current_setting('log_timezone')
                     ELSE boot_val END
         FROM pg_catalog.pg_settings WHERE pg_catalog.lower(name) = pg_catalog.lower($1)",
    )
    .persistent(false)
    .bind(name)
    .fetch_one(connection)
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_on_the_command_line_are_read_as_the_server_reads_them() {
        let read = command_line(r"-c TimeZone=Asia/Tokyo --DateStyle=SQL,\ DMY -cgeqo=off -x y=1");
        let expected = [("TimeZone", "Asia/Tokyo"), ("DateStyle", "SQL, DMY"), ("geqo", "off")];
        assert_eq!(read, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
        assert_eq!(last_of(&read, "timezone").as_deref(), Some("Asia/Tokyo"));
        assert!(command_line("").is_empty());
        assert!(command_line("-c").is_empty());
    }

    #[test]
    fn a_literal_keeps_quotes_and_backslashes() {
        assert_eq!(literal(r"a'b\c"), r"E'a''b\\c'");
    }
}
