//! What a program does that was written for the purpose: single statements, INSERTs of many rows, or
//! `COPY`, through the same driver that the adapters use.

use sqlx::{Connection as _, MySqlConnection, PgConnection, SqliteConnection};

use crate::{
    database::{Database, Kind, with},
    peer::{Failed, Peer},
};

/// Bytes of `COPY` that are sent at once.
const PIECE_BYTES: usize = 256 * 1024;

/// Sends each statement by itself and waits for its answer.
pub(super) async fn one_by_one<'a>(
    database: &Database,
    statements: impl Iterator<Item = &'a str>,
    in_transaction: bool,
) -> Result<(), Failed> {
    with!(database.kind, C => each::<C>(&database.url, statements, in_transaction).await)
}

async fn each<'a, C: Peer>(
    url: &str,
    statements: impl Iterator<Item = &'a str>,
    in_transaction: bool,
) -> Result<(), Failed> {
    let mut connection = C::connect(url).await?;
    if in_transaction {
        connection.run("BEGIN").await?;
    }
    for statement in statements {
        connection.run(statement).await?;
    }
    if in_transaction {
        connection.run("COMMIT").await?;
    }
    Ok(connection.close().await?)
}

/// Sends rows that have the form of `COPY`.
pub(super) async fn copy(url: &str, tabbed: &str) -> Result<(), Failed> {
    let mut connection = PgConnection::connect(url).await?;
    let mut copy = connection.copy_in_raw("COPY bench_rows FROM STDIN").await?;
    for piece in tabbed.as_bytes().chunks(PIECE_BYTES) {
        copy.send(piece).await?;
    }
    copy.finish().await?;
    Ok(connection.close().await?)
}
