//! The texts that a request becomes, and the transaction around them.

use sqlx::{AssertSqlSafe, MySqlConnection, Row as _, mysql::MySqlQueryResult};

use crate::{
    Problem,
    answers::{self, Ran},
    body::{Body, first_word},
};

use super::problem::{commit_is_unknown, is_lost, problem};

/// Opens a transaction around a batch. Not `START TRANSACTION`: that would release the script's
/// `LOCK TABLES`, which dumps put around their INSERTs.
pub(super) const OPEN: &str = "SET @sql_batcher_autocommit = @@autocommit, autocommit = 0;";
/// Ends it; the line feed ends a comment that the last statement may end with.
const KEEP: &str = "\nCOMMIT;\
    SET autocommit = @sql_batcher_autocommit, @sql_batcher_autocommit = NULL";
/// Takes it back. In this order, as turning autocommit on commits.
pub(super) const TAKE_BACK: &str = "ROLLBACK";
pub(super) const RESTORE: &str = "SET \
    autocommit = COALESCE(@sql_batcher_autocommit, @@autocommit), @sql_batcher_autocommit = NULL";

/// Runs a statement that is not UTF-8, from a variable with its bytes.
const RUN_BYTES: &str = "PREPARE sql_batcher FROM @sql_batcher_statement;EXECUTE sql_batcher;\
    DEALLOCATE PREPARE sql_batcher;SET @sql_batcher_statement = NULL";
/// Clears what is left where that fails; it may not have been prepared.
const FORGET: &str = "SET @sql_batcher_statement = NULL;DEALLOCATE PREPARE sql_batcher";

/// A change of a table without transactions could not be taken back
/// (`ER_WARNING_NOT_COMPLETE_ROLLBACK`).
const NOT_TAKEN_BACK: u32 = 1196;

/// A request that was applied.
pub(super) struct Applied {
    pub(super) rows: u64,
    /// Whether the session was lost behind it, or could not be made as it was before.
    pub(super) lost: bool,
}

/// A request that failed, and whether the connection went with it.
pub(super) struct Failed {
    pub(super) problem: Problem,
    pub(super) lost: bool,
}

impl Failed {
    fn at(error: sqlx::Error, statement: u32) -> Self {
        let lost = is_lost(&error);
        let statement = Some(statement);
        Self { problem: Problem { statement, ..problem(error) }, lost }
    }
}

/// The body as one text.
pub(super) async fn as_it_is(
    connection: &mut MySqlConnection,
    body: Body<'_>,
    text: &str,
) -> Result<Applied, Failed> {
    let ran = run(connection, text).await;
    match ran.error {
        None => Ok(Applied { rows: ran.rows, lost: false }),
        Some(error) => Err(Failed::at(error, ran.results.min(body.count() - 1))),
    }
}

/// The body as one text with a transaction around it.
pub(super) async fn in_transaction(
    connection: &mut MySqlConnection,
    body: Body<'_>,
    text: &str,
) -> Result<Applied, Failed> {
    // The last statement of a file may have no separator, and an empty statement is an error.
    let separator = if text.trim_ascii_end().ends_with(';') { "" } else { "\n;" };
    let ran = run(connection, &format!("{OPEN}{text}{separator}{KEEP}")).await;
    // The first result is that of the opening.
    let completed = ran.results.saturating_sub(1);
    let Some(error) = ran.error else {
        return Ok(Applied { rows: ran.rows, lost: false });
    };
    if completed == body.count() + 1 {
        // The commit was confirmed; only giving back the setting failed.
        return Ok(Applied { rows: ran.rows, lost: true });
    }
    if completed > body.count() {
        // A statement gave more than one result, so it cannot be told which one failed.
        let problem = Problem { outcome_unknown: true, ..problem(error) };
        return Err(Failed { problem, lost: true });
    }
    let committing = completed == body.count();
    let unknown = committing && commit_is_unknown(&error);
    let mut failed = Failed::at(error, completed.min(body.count() - 1));
    if committing {
        failed.problem.statement = None;
        failed.problem.outcome_unknown = unknown;
    }
    Err(take_back(connection, failed).await)
}

/// Statement by statement.
pub(super) async fn one_by_one(
    connection: &mut MySqlConnection,
    body: Body<'_>,
    own_transaction: bool,
) -> Result<Applied, Failed> {
    if own_transaction && let Some(error) = run(connection, OPEN).await.error {
        let mut failed = Failed::at(error, 0);
        failed.problem = failed.problem.known();
        return Err(failed);
    }
    let mut rows = 0;
    for (index, (start, statement)) in (0..).zip(body.statements()) {
        let ran = match std::str::from_utf8(statement) {
            Ok(text) => run(connection, text).await,
            Err(_) => run_bytes(connection, statement).await,
        };
        rows += ran.rows;
        let Some(error) = ran.error else { continue };
        let mut failed = Failed::at(error, index);
        failed.problem.offset = body.text().is_err().then_some(start);
        return Err(if own_transaction { take_back(connection, failed).await } else { failed });
    }
    if !own_transaction {
        return Ok(Applied { rows, lost: false });
    }
    let ran = run(connection, "COMMIT").await;
    if let Some(error) = ran.error {
        let outcome_unknown = commit_is_unknown(&error);
        let lost = is_lost(&error);
        let failed = Failed { problem: Problem { outcome_unknown, ..problem(error) }, lost };
        return Err(take_back(connection, failed).await);
    }
    Ok(Applied { rows, lost: run(connection, RESTORE).await.error.is_some() })
}

/// Rolls back what a failed batch has done, unless the connection is lost, and with it the batch.
async fn take_back(connection: &mut MySqlConnection, mut failed: Failed) -> Failed {
    if failed.lost {
        return failed;
    }
    let ran = run(connection, TAKE_BACK).await;
    if ran.error.is_none() && left_changes(connection).await {
        failed.problem.message.push_str("; changes of tables without transactions stay applied");
        failed.problem.outcome_unknown = true;
    }
    let restored = ran.error.is_none() && run(connection, RESTORE).await.error.is_none();
    // A session that cannot be put right is given up, and its end takes everything back.
    failed.lost = !restored;
    failed
}

/// Whether the rollback before this could not take back everything.
async fn left_changes(connection: &mut MySqlConnection) -> bool {
    let warnings = sqlx::raw_sql("SHOW WARNINGS").fetch_all(connection).await;
    warnings.is_ok_and(|rows| {
        rows.iter().any(|row| matches!(row.try_get_unchecked(1), Ok(NOT_TAKEN_BACK)))
    })
}

/// A statement that is not UTF-8. sqlx sends only text, but binds any bytes, and the server runs
/// what stands in a variable. The binding stays prepared in the session: to close it each time is a
/// message without an answer, and the one after it would wait 40 ms for an acknowledgement.
async fn run_bytes(connection: &mut MySqlConnection, statement: &[u8]) -> Ran {
    let bind = sqlx::query("SET @sql_batcher_statement = ?").bind(without_separator(statement));
    if let Err(error) = bind.execute(&mut *connection).await {
        return Ran { error: Some(error), ..Ran::default() };
    }
    let ran = run(connection, RUN_BYTES).await;
    if ran.error.as_ref().is_some_and(|error| !is_lost(error)) {
        run(connection, FORGET).await;
    }
    ran
}

/// Sends a text as one request and reads all its answers.
pub(super) async fn run(connection: &mut MySqlConnection, text: &str) -> Ran {
    let answers = sqlx::raw_sql(AssertSqlSafe(text.to_owned())).fetch_many(connection);
    answers::read(answers, MySqlQueryResult::rows_affected).await
}

/// A statement as it can be prepared.
fn without_separator(statement: &[u8]) -> &[u8] {
    let statement = statement.trim_ascii_end();
    statement.strip_suffix(b";").unwrap_or(statement)
}

/// Whether each statement gives one result, so that results count statements. A stored program
/// gives as many as it likes: `CALL`, `EXECUTE`, and of MariaDB the compound statements and
/// `SET STATEMENT … FOR` one of these.
pub(super) fn answers_once_each(body: Body<'_>) -> bool {
    const SEVERAL: &[&str] = &["CALL", "EXECUTE", "IF", "CASE", "LOOP", "REPEAT", "WHILE", "FOR"];
    let several = |statement: &[u8]| {
        let word = first_word(statement);
        let has = |other: &[u8]| {
            statement.windows(other.len()).any(|part| part.eq_ignore_ascii_case(other))
        };
        match word.as_str() {
            "BEGIN" => has(b"ATOMIC"),
            "SET" => has(b"STATEMENT"),
            word => SEVERAL.contains(&word),
        }
    };
    body.count() == 1 || !body.statements().any(|(_, statement)| several(statement))
}
