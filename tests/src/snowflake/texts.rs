//! A statement of Snowflake's as SQLite takes it, and the session that it is run in.

use std::collections::HashMap;

use super::{DATABASE, SCHEMA, script::first_word};

/// What a session knows: it ends with its request.
#[derive(Debug)]
pub(super) struct Context {
    schema: String,
    variables: HashMap<String, String>,
    pub(super) in_transaction: bool,
}

/// What is to be done for a statement.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Work {
    /// This is to be run.
    Run(String),
    /// The transaction that is open is committed, then this is to be run.
    CommitAndRun(String),
    /// So many seconds are to be waited.
    Wait(u64),
    /// It was done.
    Done,
    /// There is no such thing.
    Unknown(String),
}

impl Context {
    pub(super) fn new() -> Self {
        Self { schema: SCHEMA.to_owned(), variables: HashMap::new(), in_transaction: false }
    }

    /// What a statement means here.
    pub(super) fn work(&mut self, statement: &str) -> Work {
        let words: Vec<String> =
            statement.split_whitespace().take(3).map(str::to_uppercase).collect();
        let word = |index: usize| words.get(index).map_or("", String::as_str);
        match first_word(statement).as_str() {
            "USE" => self.use_schema(statement),
            "SET" => self.set(statement),
            "UNSET" => {
                self.variables.remove(word(1));
                Work::Done
            }
            "ALTER" if word(1) == "SESSION" => Work::Done,
            "CALL" => wait(statement),
            "BEGIN" | "START" if self.in_transaction => Work::Done,
            "BEGIN" | "START" => {
                self.in_transaction = true;
                Work::Run("BEGIN IMMEDIATE".to_owned())
            }
            "COMMIT" | "ROLLBACK" if !self.in_transaction => Work::Done,
            "COMMIT" | "ROLLBACK" => {
                self.in_transaction = false;
                Work::Run(word(0).to_owned())
            }
            "CREATE" | "DROP" | "ALTER" if self.in_transaction => {
                self.in_transaction = false;
                Work::CommitAndRun(self.translated(statement))
            }
            "TRUNCATE" => {
                let table = statement.split_whitespace().last().unwrap_or_default();
                Work::Run(format!("DELETE FROM {}", self.translated(table)))
            }
            _ => Work::Run(self.translated(statement)),
        }
    }

    fn use_schema(&mut self, statement: &str) -> Work {
        let name = statement.split_whitespace().nth(2).unwrap_or_default();
        if name == "missing" {
            return Work::Unknown("SQL compilation error:\nObject does not exist.".to_owned());
        }
        self.schema = name.to_uppercase();
        Work::Done
    }

    fn set(&mut self, statement: &str) -> Work {
        let assignment = statement.get("SET".len()..).unwrap_or_default();
        let Some((name, value)) = assignment.split_once('=') else {
            return Work::Unknown("SQL compilation error: SET needs a value".to_owned());
        };
        self.variables.insert(name.trim().to_uppercase(), value.trim().to_owned());
        Work::Done
    }

    /// Functions and names that SQLite does not have.
    fn translated(&self, statement: &str) -> String {
        let text = |value: &str| format!("'{value}'");
        let mut sql = statement
            .replace(&format!("\"{DATABASE}\".\"{SCHEMA}\"."), "main.")
            .replace("CURRENT_VERSION()", &text("9.30.1"))
            .replace("CURRENT_DATABASE()", &text(DATABASE))
            .replace("CURRENT_SCHEMA()", &text(&self.schema));
        while let Some((before, rest)) = sql.split_once("GETVARIABLE('") {
            let (name, after) = rest.split_once("')").unwrap_or((rest, ""));
            let value = self.variables.get(&name.to_uppercase()).map_or("NULL", String::as_str);
            sql = format!("{before}{value}{after}");
        }
        for (name, value) in &self.variables {
            sql = sql
                .replace(&format!("${name}"), value)
                .replace(&format!("${}", name.to_lowercase()), value);
        }
        sql
    }
}

fn wait(statement: &str) -> Work {
    let seconds = statement.split_once("SYSTEM$WAIT(").and_then(|(_, rest)| rest.split_once(')'));
    match seconds.and_then(|(seconds, _)| seconds.trim().parse().ok()) {
        Some(seconds) => Work::Wait(seconds),
        None => Work::Unknown("SQL compilation error:\nUnknown procedure.".to_owned()),
    }
}
