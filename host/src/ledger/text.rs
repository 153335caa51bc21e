//! What is said to a database about the ledger. The names were checked before, so they can be quoted
//! as they are.

use sql_batcher_adapters::Dialect;

use super::{Row, State};
use crate::{Error, ErrorKind, Result, Transactions, options::Settings};

/// The columns of a row, in the order of its values.
const COLUMNS: &str =
    "run, first_statement, statements, batch, input_start, input_end, checksum, state, details";

impl State {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::Applied => "applied",
            Self::Rejected => "rejected",
        }
    }

    pub(super) fn of_name(name: &str) -> Option<Self> {
        [Self::Started, Self::Applied, Self::Rejected]
            .into_iter()
            .find(|state| state.name() == name)
    }
}

/// A name in the quotes of a dialect.
pub(super) fn quote(dialect: Dialect, name: &str) -> String {
    match dialect {
        Dialect::MySql => format!("`{name}`"),
        _ => format!("\"{name}\""),
    }
}

/// What asks for the schema that names without one belong to.
pub(super) fn current_schema(dialect: Dialect) -> Option<&'static str> {
    match dialect {
        Dialect::PostgreSql => Some("SELECT pg_catalog.current_schema()"),
        Dialect::MySql => Some("SELECT CAST(DATABASE() AS CHAR)"),
        _ => None,
    }
}

/// What fails where there is no table.
pub(super) fn probe(table: &str) -> String {
    format!("SELECT {COLUMNS} FROM {table} WHERE 1 = 0")
}

/// What makes the table. A key by run, statement and state lets two sessions that would apply the
/// same wait for each other, and the second fail.
pub(super) fn create(table: &str, dialect: Dialect) -> String {
    // A table without a rowid leaves last_insert_rowid() alone.
    let (word, long, time, tail) = match dialect {
        Dialect::PostgreSql => {
            ("text", "text", "timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp()", "")
        }
        Dialect::MySql => (
            "varchar(64) CHARACTER SET ascii COLLATE ascii_bin",
            "varchar(400) CHARACTER SET ascii COLLATE ascii_bin",
            "timestamp(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6)",
            " ENGINE=InnoDB",
        ),
        Dialect::Sqlite => (
            "TEXT",
            "TEXT",
            "TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))",
            " WITHOUT ROWID",
        ),
        _ => ("varchar(64)", "varchar(400)", "timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP", ""),
    };
    format!(
        "CREATE TABLE IF NOT EXISTS {table} (run {word} NOT NULL, \
         first_statement bigint NOT NULL, statements bigint NOT NULL, batch bigint NOT NULL, \
         input_start bigint NOT NULL, input_end bigint NOT NULL, checksum {word} NOT NULL, \
         state {word} NOT NULL, details {long}, recorded_at {time}, \
         PRIMARY KEY (run, first_statement, state)){tail};"
    )
}

/// What writes the row of a run itself, before the first of its statements.
pub(super) fn header(table: &str, run: &str, shape: &str) -> String {
    format!(
        "INSERT INTO {table} ({COLUMNS}) VALUES ('{run}', 0, 0, 0, 0, 0, '', 'run', '{shape}');"
    )
}

/// What writes a row.
pub(super) fn insert(table: &str, run: &str, row: &Row) -> String {
    let Row { first_statement, statements, batch, input: (start, end), checksum, state } = row;
    let state = state.name();
    format!(
        "INSERT INTO {table} ({COLUMNS}) VALUES ('{run}', {first_statement}, {statements}, \
         {batch}, {start}, {end}, '{checksum}', '{state}', NULL);"
    )
}

/// What asks for the newest run, or for the one of this name.
pub(super) fn newest_run(table: &str, run: Option<&str>) -> String {
    let named = run.map(|run| format!(" AND run = '{run}'")).unwrap_or_default();
    format!(
        "SELECT run, details FROM {table} WHERE first_statement = 0 AND state = 'run'{named} \
         ORDER BY recorded_at DESC, run DESC LIMIT 1"
    )
}

/// What asks for the run that was the last to apply anything.
pub(super) fn last_applied(table: &str) -> String {
    format!(
        "SELECT run FROM {table} WHERE state = 'applied' ORDER BY recorded_at DESC, run DESC LIMIT 1"
    )
}

/// What asks whether there is a row.
pub(super) fn find(table: &str, run: &str, first_statement: u64, state: State) -> String {
    let state = state.name();
    format!(
        "SELECT run FROM {table} WHERE run = '{run}' AND first_statement = {first_statement} \
         AND state = '{state}'"
    )
}

/// What takes back that a statement was begun, where it has failed for certain.
pub(super) fn forget(table: &str, run: &str, first_statement: u64) -> String {
    let state = State::Started.name();
    format!(
        "DELETE FROM {table} WHERE run = '{run}' AND first_statement = {first_statement} \
         AND state = '{state}';"
    )
}

/// What asks for the next rows of a run.
pub(super) fn page(table: &str, run: &str, after: u64, rows: usize) -> String {
    format!(
        "SELECT first_statement, statements, checksum, state FROM {table} WHERE run = '{run}' \
         AND first_statement > {after} ORDER BY first_statement LIMIT {rows}"
    )
}

/// The options that shape batches, in words that can be compared.
pub(super) fn shape(settings: &Settings) -> String {
    let most_rows = settings.max_rows.map_or("none".to_owned(), |rows| rows.to_string());
    let alone = settings.send_alone_bytes.map_or("refused".to_owned(), |most| most.to_string());
    let transactions = match settings.transactions {
        Transactions::Batch => "batch",
        Transactions::Run => "run",
        Transactions::None => "none",
    };
    let dialect = match settings.dialect {
        Dialect::Sqlite => "sqlite",
        Dialect::PostgreSql => "postgresql",
        Dialect::MySql => "mysql",
        Dialect::Trino => "trino",
        Dialect::Snowflake => "snowflake",
        _ => "generic",
    };
    let merging = match settings.merging.map(|merging| merging.max_rows) {
        None => String::new(),
        Some(u32::MAX) => ", merge_inserts".to_owned(),
        Some(rows) => format!(", merge_inserts, max_insert_rows {rows}"),
    };
    let room = match settings.hook_room {
        0 => String::new(),
        bytes => format!(", hook_room {bytes}"),
    };
    format!(
        "format 1, dialect {dialect}, max_bytes {}, max_statements {}, max_rows {most_rows}, \
         oversized {alone}, transactions {transactions}{merging}{room}",
        settings.max_bytes, settings.max_statements
    )
}

/// Whether a run was begun with the same options.
pub(super) fn same_shape(run: &str, then: &str, now: &str) -> Result<()> {
    if then == now {
        return Ok(());
    }
    let (then, now): (Vec<&str>, Vec<&str>) =
        (then.split(", ").collect(), now.split(", ").collect());
    let beyond = |some: &[&str], others: &[&str]| {
        let options = some.iter().filter(|option| !others.contains(option)).copied();
        options.collect::<Vec<_>>().join(", ")
    };
    let changed = match (beyond(&then, &now), beyond(&now, &then)) {
        (nothing, new) if nothing.is_empty() => format!("without {new}"),
        (changed, _) => changed,
    };
    let message =
        format!("run {run:?} was begun with other options: {changed}; resume it with the same");
    Err(Error::new(ErrorKind::InvalidOptions, message))
}

/// Whether a statement is MySQL's `LOCK TABLES`.
pub(super) fn locks_tables(statement: &[u8]) -> bool {
    let mut words = statement.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    let is = |word: Option<&[u8]>, names: &[&str]| {
        word.is_some_and(|word| names.iter().any(|name| word.eq_ignore_ascii_case(name.as_bytes())))
    };
    is(words.next(), &["LOCK"]) && is(words.next(), &["TABLE", "TABLES"])
}

/// The statement with one more table to lock; it ends with a separator and no line feed.
pub(super) fn with_lock(statement: &[u8], table: &str) -> Vec<u8> {
    // On a line of its own, as the statement may end with a comment.
    [statement.trim_ascii_end(), b"\n, ", table.as_bytes(), b" WRITE;"].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Options,
        ledger::{Digest, MAX_ROW_BYTES},
    };

    fn shape_of(options: Options) -> String {
        shape(&options.settle().unwrap())
    }

    #[test]
    fn no_row_is_longer_than_what_is_set_aside_for_it() {
        let most = u64::MAX;
        let row = Row {
            first_statement: most,
            statements: most,
            batch: most,
            input: (most, most),
            checksum: Digest::of_statement(1, b""),
            state: State::Rejected,
        };
        let name = "t".repeat(63);
        let text = insert(&format!("\"{name}\".\"{name}\""), &"r".repeat(64), &row);
        assert!((text.len() as u64) < MAX_ROW_BYTES, "{}", text.len());
    }

    #[test]
    fn an_option_that_changed_is_named() {
        let then = shape_of(Options::default().max_bytes(1000));
        let now = shape_of(Options::default().max_bytes(2000).max_rows(7));
        let hooked = shape(&Settings { hook_room: 9, ..Options::default().settle().unwrap() });
        let without = same_shape("r", &shape_of(Options::default()), &hooked).unwrap_err();
        assert!(without.to_string().contains("other options: without hook_room 9;"), "{without}");
        assert!(same_shape("r", &then, &then).is_ok());
        assert_eq!(
            same_shape("r", &then, &now).unwrap_err().to_string(),
            "run \"r\" was begun with other options: max_bytes 1000, max_rows none; resume it \
             with the same"
        );
        assert!(then.len() <= 400);
    }

    #[test]
    fn only_lock_tables_locks_tables() {
        for (statement, locks) in [
            ("LOCK TABLES `t` WRITE", true),
            ("lock\n table t read", true),
            ("UNLOCK TABLES", false),
            ("LOCK INSTANCE FOR BACKUP", false),
        ] {
            assert_eq!(locks_tables(statement.as_bytes()), locks, "{statement}");
        }
        let locked = with_lock(b"LOCK TABLES t WRITE -- x", "`d`.`l`");
        assert_eq!(locked, b"LOCK TABLES t WRITE -- x\n, `d`.`l` WRITE;");
    }
}
