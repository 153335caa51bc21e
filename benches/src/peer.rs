//! Databases as benchmarks need them, beside the adapters that are measured: a table that is made
//! anew, and looked at afterwards.

use std::env;

use sqlx::{AssertSqlSafe, Connection, Executor, MySqlConnection, PgConnection, SqliteConnection};

use crate::{scripts::CREATE_TABLE, table::Table};

/// Whatever ends a measurement early.
pub type Failed = Box<dyn std::error::Error>;

/// A connection of sqlx to one of the databases.
pub trait Peer: Connection<Database: sqlx::Database> + Sized {
    /// Runs a text.
    fn run(&mut self, sql: &str) -> impl Future<Output = Result<(), sqlx::Error>> + Send;

    /// Rows of the table.
    fn count(&mut self) -> impl Future<Output = Result<i64, sqlx::Error>> + Send;
}

/// The same text for each connection, because what an executor is cannot be said in general.
macro_rules! peer {
    ($connection:ty) => {
        impl Peer for $connection {
            async fn run(&mut self, sql: &str) -> Result<(), sqlx::Error> {
                self.execute(sqlx::raw_sql(AssertSqlSafe(sql))).await.map(drop)
            }

            async fn count(&mut self) -> Result<i64, sqlx::Error> {
                sqlx::query_scalar("SELECT count(*) FROM bench_rows").fetch_one(self).await
            }
        }
    };
}

peer!(SqliteConnection);
peer!(PgConnection);
peer!(MySqlConnection);

/// Makes the table anew.
///
/// # Errors
/// Where the database refuses that.
pub async fn prepare<C: Peer>(url: &str) -> Result<(), Failed> {
    let mut connection = C::connect(url).await?;
    connection.run("DROP TABLE IF EXISTS bench_rows").await?;
    connection.run(CREATE_TABLE).await?;
    Ok(connection.close().await?)
}

/// Whether the table has so many rows.
///
/// # Errors
/// Where the database does not say.
///
/// # Panics
/// If it has others.
pub async fn check<C: Peer>(url: &str, expected: usize) -> Result<(), Failed> {
    let mut connection = C::connect(url).await?;
    let count = connection.count().await?;
    assert_eq!(usize::try_from(count), Ok(expected), "rows");
    Ok(connection.close().await?)
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
