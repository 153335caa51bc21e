//! Texts that are sent, and what their answers mean.

use futures_util::TryStreamExt as _;
use sqlx::{AssertSqlSafe, Either, PgConnection};

use crate::body::{Body, commits, first_word};

/// What became of a text.
pub(super) struct Ran {
    /// Statements that were completed.
    pub(super) completed: u32,
    pub(super) rows: u64,
    pub(super) error: Option<sqlx::Error>,
}

/// Sends a text as one query and reads all its answers; rows are dropped as they come.
pub(super) async fn run(connection: &mut PgConnection, text: &str) -> Ran {
    let mut ran = Ran { completed: 0, rows: 0, error: None };
    let mut answers = sqlx::raw_sql(AssertSqlSafe(text.to_owned())).fetch_many(connection);
    loop {
        match answers.try_next().await {
            Ok(Some(Either::Left(done))) => {
                ran.completed = ran.completed.saturating_add(1);
                ran.rows += done.rows_affected();
            }
            Ok(Some(Either::Right(_))) => {}
            Ok(None) => return ran,
            Err(error) => {
                ran.error = Some(error);
                return ran;
            }
        }
    }
}

/// Statements that stay applied: up to the last commit. Those after it were one implicit
/// transaction with the statement at fault, or belong to one that is still open.
pub(super) fn kept(body: Body<'_>, completed: u32) -> u32 {
    let before = body.statements().take(completed as usize);
    (1..)
        .zip(before)
        .filter(|(_, (_, statement))| commits(&first_word(statement)))
        .map(|(count, _)| count)
        .last()
        .unwrap_or(0)
}
