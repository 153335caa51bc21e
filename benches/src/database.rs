//! The databases of a benchmark, one beside the other: where they are, and their table made anew
//! and looked at.

use std::path::Path;

use sqlx::{MySqlConnection, PgConnection, SqliteConnection};

use crate::{
    peer::{self, Failed, server},
    table::Table,
};

/// Which database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// SQLite, in a file of this process's own.
    Sqlite,
    /// A PostgreSQL server.
    Postgres,
    /// A MariaDB or MySQL server.
    MySql,
}

/// A database, and how to reach it.
#[derive(Clone, Debug)]
pub struct Database {
    /// Which.
    pub kind: Kind,
    /// Where.
    pub url: String,
}

/// The same with the connection of whichever database it is.
macro_rules! with {
    ($kind:expr, $connection:ident => $work:expr) => {
        match $kind {
            Kind::Sqlite => {
                type $connection = SqliteConnection;
                $work
            }
            Kind::Postgres => {
                type $connection = PgConnection;
                $work
            }
            Kind::MySql => {
                type $connection = MySqlConnection;
                $work
            }
        }
    };
}
pub(crate) use with;

impl Kind {
    /// Its name, for people.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "SQLite",
            Self::Postgres => "PostgreSQL",
            Self::MySql => "MariaDB",
        }
    }
}

impl Database {
    /// The servers that the environment names; of those it does not, the table says so.
    pub fn servers(table: &mut Table) -> Vec<Self> {
        let known = [
            (Kind::Postgres, "SQL_BATCHER_TEST_POSTGRES_URL"),
            (Kind::MySql, "SQL_BATCHER_TEST_MYSQL_URL"),
        ];
        let known = known.into_iter().filter_map(|(kind, variable)| {
            server(table, kind.name(), variable).map(|url| Self { kind, url })
        });
        known.collect()
    }

    /// The servers, and an SQLite file in this folder.
    pub fn all(table: &mut Table, folder: &Path) -> Vec<Self> {
        let file = folder.join("bench.db");
        let url = format!("sqlite://{}?mode=rwc", file.display());
        let mut all = Self::servers(table);
        all.push(Self { kind: Kind::Sqlite, url });
        all
    }

    /// The file of an SQLite database; for a server its URL.
    #[must_use]
    pub fn file(&self) -> &str {
        let path = self.url.strip_prefix("sqlite://").unwrap_or(&self.url);
        path.split_once('?').map_or(path, |(path, _)| path)
    }

    /// Makes the table anew, as this statement makes it.
    ///
    /// # Errors
    /// Where the database refuses that.
    pub async fn prepare(&self, create: &str) -> Result<(), Failed> {
        with!(self.kind, C => peer::prepare::<C>(&self.url, create).await)
    }

    /// Whether the table has so many rows, numbered from 0.
    ///
    /// # Errors
    /// Where it has others, or the database does not say.
    pub async fn check(&self, expected: usize) -> Result<(), Failed> {
        with!(self.kind, C => peer::check::<C>(&self.url, expected).await)
    }
}
