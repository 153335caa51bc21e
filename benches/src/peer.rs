//! Databases as benchmarks need them, beside the adapters that are measured: a table that is made
//! anew, and looked at afterwards.

use std::env;

use sqlx::{AssertSqlSafe, Connection, Executor, MySqlConnection, PgConnection, SqliteConnection};

use crate::table::Table;

/// Whatever ends a measurement early.
pub type Failed = Box<dyn std::error::Error>;

/// A connection of sqlx to one of the databases.
pub trait Peer: Connection<Database: sqlx::Database> + Sized {
    /// Runs a text.
    fn run(&mut self, sql: &str) -> impl Future<Output = Result<(), sqlx::Error>> + Send;

    /// The one number that a query gives.
    fn number(&mut self, sql: &str) -> impl Future<Output = Result<i64, sqlx::Error>> + Send;
}

/// The same text for each connection, because what an executor is cannot be said in general.
macro_rules! peer {
    ($connection:ty) => {
        impl Peer for $connection {
            async fn run(&mut self, sql: &str) -> Result<(), sqlx::Error> {
                self.execute(sqlx::raw_sql(AssertSqlSafe(sql))).await.map(drop)
            }

            async fn number(&mut self, sql: &str) -> Result<i64, sqlx::Error> {
                sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(self).await
            }
        }
    };
}

peer!(SqliteConnection);
peer!(PgConnection);
peer!(MySqlConnection);

/// Makes the table anew, as this statement makes it.
///
/// # Errors
/// Where the database refuses that.
pub async fn prepare<C: Peer>(url: &str, create: &str) -> Result<(), Failed> {
    let mut connection = C::connect(url).await?;
    connection.run("DROP TABLE IF EXISTS bench_rows").await?;
    connection.run(create).await?;
    Ok(connection.close().await?)
}

/// Whether the table has so many rows, numbered from 0.
///
/// # Errors
/// Where it has others, or the database does not say.
pub async fn check<C: Peer>(url: &str, expected: usize) -> Result<(), Failed> {
    let mut connection = C::connect(url).await?;
    let rows = connection.number("SELECT count(*) FROM bench_rows").await?;
    let numbered =
        format!("SELECT count(DISTINCT id) FROM bench_rows WHERE id >= 0 AND id < {expected}");
    let ids = connection.number(&numbered).await?;
    connection.close().await?;
    let expected = i64::try_from(expected)?;
    if (rows, ids) == (expected, expected) {
        return Ok(());
    }
    Err(format!("{rows} rows, {ids} with a number of their own, instead of {expected}").into())
}

/// Where a server is; said loudly where that is not known.
#[must_use]
pub fn server(table: &mut Table, database: &str, variable: &str) -> Option<String> {
    let url = env::var(variable).ok().filter(|url| !url.is_empty());
    if url.is_none() {
        table.leave_out(format!("{database}: {variable} is not set"));
    }
    url
}
