//! URL, capabilities, and the handler that lets a session be stopped.

use std::{ops::DerefMut, str::FromStr as _, sync::Arc};

use sqlx::{ConnectOptions as _, SqliteConnection, sqlite::SqliteConnectOptions};
use tokio::runtime::Handle;

use crate::{
    AdapterError, Capabilities, Dialect, Fault,
    connect::{Target, scheme, unreadable, unsupported},
};

use super::{execute::Signal, raw::Database};

/// Instructions of SQLite's machine between two looks at whether to stop.
const WATCH_EVERY: i32 = 10_000;

/// Where a database is.
pub(super) struct Place {
    pub(super) options: SqliteConnectOptions,
    pub(super) in_memory: bool,
}

/// How many rows an INSERT has best: longer ones are not faster, and SQLite keeps all of a statement
/// in a parsed form that takes many times its text.
const BEST_ROWS: u32 = 1000;

/// Reads a URL.
pub(super) fn place(url: &str) -> Result<Place, AdapterError> {
    match scheme(url)? {
        "sqlite" => {}
        other => return Err(unsupported(other)),
    }
    let rest = url.trim_start_matches("sqlite:").trim_start_matches("//");
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    let mode = query.split('&').find_map(|pair| pair.strip_prefix("mode="));
    let in_memory = path == ":memory:" || mode == Some("memory");
    if path.is_empty() && !in_memory {
        return Err(AdapterError::new(Fault::Options, "the database url names no file"));
    }
    let options = SqliteConnectOptions::from_str(url).map_err(unreadable)?;
    let options = match (in_memory, mode) {
        // The cache is what sessions of a database in memory share.
        (true, _) => options.shared_cache(true),
        (false, None) => options.create_if_missing(true),
        (false, Some(_)) => options,
    };
    // As in the shell; sqlx would turn them on.
    let options = options.foreign_keys(false).disable_statement_logging();
    Ok(Place { options, in_memory })
}

/// What messages say about the place.
pub(super) fn target(options: &SqliteConnectOptions) -> Target {
    let place = options.get_filename().display().to_string();
    let in_memory = place.starts_with("file:sqlx-in-memory-");
    Target {
        system: "sqlite",
        place: if in_memory { ":memory:".to_owned() } else { place },
        user: String::new(),
        database: None,
    }
}

/// Asks the library what it can, on a thread that may block: a lock of another process is waited
/// for. The connection comes back; where the wait was given up it ends with that thread's work.
pub(super) async fn capabilities<C>(connection: C) -> Result<(C, Capabilities), sqlx::Error>
where
    C: DerefMut<Target = SqliteConnection> + Send + 'static,
{
    let runtime = Handle::current();
    let asked = tokio::task::spawn_blocking(move || {
        let mut connection = connection;
        let mut locked = runtime.block_on(connection.lock_handle())?;
        let capabilities = ask(&mut Database::of(&mut locked));
        drop(locked);
        Ok((connection, capabilities?))
    });
    asked.await.unwrap_or(Err(sqlx::Error::WorkerCrashed))
}

fn ask(database: &mut Database<'_>) -> Result<Capabilities, sqlx::Error> {
    // Opening a file does not read it; this does.
    database.run(b"PRAGMA schema_version").map_err(|failure| failure.into_driver_error())?;
    Ok(Capabilities {
        server: format!("SQLite {}", Database::version()),
        dialect: Dialect::Sqlite,
        max_request_bytes: database.max_text_bytes(),
        max_request_characters: None,
        max_statements_per_request: None,
        max_rows_per_insert: None,
        best_rows_per_insert: Some(BEST_ROWS),
        merging_obstacle: None,
        merges_conflicts: true,
        fast_path: Database::has_fast_path(),
        transactions: true,
        transactions_span_requests: true,
        transactional_ddl: true,
        savepoints: true,
        // A lock of the whole file (<https://www.sqlite.org/lockingv3.html>).
        max_writers: Some(1),
        copy: false,
        binary_text: true,
        cancel: true,
        notes: Vec::new(),
    })
}

/// Lets a session be stopped by its signal.
pub(super) async fn watch(
    connection: &mut SqliteConnection,
    signal: Arc<Signal>,
) -> Result<(), sqlx::Error> {
    let mut locked = connection.lock_handle().await?;
    locked.set_progress_handler(WATCH_EVERY, move || !signal.asks_to_stop());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn databases_in_memory_are_known_by_path_or_mode() {
        for (url, in_memory) in [
            ("sqlite::memory:", true),
            ("sqlite://:memory:", true),
            ("sqlite://?mode=memory", true),
            ("sqlite://a.db?mode=memory", true),
            ("sqlite://a.db", false),
            ("sqlite:a.db?mode=ro", false),
            ("sqlite:///tmp/a.db", false),
        ] {
            assert_eq!(place(url).unwrap().in_memory, in_memory, "{url}");
        }
    }

    #[test]
    fn a_url_without_a_file_or_with_an_unknown_option_is_refused() {
        for url in ["sqlite:", "sqlite://", "sqlite://a.db?mode=fast", "sqlite://a.db?color=red"] {
            assert_eq!(place(url).err().unwrap().fault, Fault::Options, "{url}");
        }
    }
}
