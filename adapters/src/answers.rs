//! What servers answer to a text of several statements. SQLite runs in this process and answers
//! nothing.

use futures_util::{TryStreamExt as _, stream::BoxStream};
use sqlx::{Either, Error};

/// What became of a text.
#[derive(Debug, Default)]
pub(crate) struct Ran {
    /// Results that came: one for each statement that was completed, but for statements that give
    /// several.
    pub(crate) results: u32,
    pub(crate) rows: u64,
    pub(crate) error: Option<Error>,
}

/// Reads all answers to a text; rows are dropped as they come.
pub(crate) async fn read<D, R>(
    mut answers: BoxStream<'_, Result<Either<D, R>, Error>>,
    rows_of: fn(&D) -> u64,
) -> Ran {
    let mut ran = Ran::default();
    loop {
        match answers.try_next().await {
            Ok(Some(Either::Left(done))) => {
                ran.results = ran.results.saturating_add(1);
                ran.rows += rows_of(&done);
            }
            Ok(Some(Either::Right(_))) => {}
            Ok(None) => return ran,
            Err(error) => return Ran { error: Some(error), ..ran },
        }
    }
}
