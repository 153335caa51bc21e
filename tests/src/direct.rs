//! A database asked directly, past the library and past the proxy.

use std::time::{Duration, Instant};

use sqlx::{
    AssertSqlSafe, Connection as _, Executor as _, MySqlConnection, PgConnection, Row as _,
    SqliteConnection,
};

/// How long a condition may take to come true.
const SOON: Duration = Duration::from_secs(30);
/// How long to wait before it is asked about again, and at most: each wait is twice the one before.
/// InnoDB looks at its transactions anew only where nobody has asked for 100 ms
/// (`CACHE_MIN_IDLE_TIME_NS` in `trx0i_s.cc`).
const ASK_AGAIN: Duration = Duration::from_millis(5);
const ASK_AGAIN_AT_MOST: Duration = Duration::from_millis(160);

/// A session of the test's own.
pub enum Direct {
    /// With PostgreSQL.
    Postgres(PgConnection),
    /// With MySQL or MariaDB.
    MySql(MySqlConnection),
    /// With SQLite.
    Sqlite(SqliteConnection),
}

/// The same with whichever session it is.
macro_rules! with {
    ($direct:expr, $session:ident => $work:expr) => {
        match $direct {
            Direct::Postgres($session) => $work,
            Direct::MySql($session) => $work,
            Direct::Sqlite($session) => $work,
        }
    };
}

impl Direct {
    /// Opens one with the database of a URL; an SQLite file is made where there is none.
    ///
    /// # Panics
    /// If the database is not there.
    pub async fn to(url: &str) -> Self {
        Self::try_to(url).await.expect("the database is there")
    }

    /// As [`Direct::to`].
    ///
    /// # Errors
    /// Where the database cannot be reached, or has no connection free.
    pub async fn try_to(url: &str) -> Result<Self, sqlx::Error> {
        Ok(match url.split_once(':').map_or(url, |(scheme, _)| scheme) {
            "postgres" | "postgresql" => Self::Postgres(PgConnection::connect(url).await?),
            "sqlite" => Self::Sqlite(SqliteConnection::connect(&format!("{url}?mode=rwc")).await?),
            _ => Self::MySql(MySqlConnection::connect(url).await?),
        })
    }

    /// Runs statements one after the other.
    ///
    /// # Panics
    /// If one fails.
    pub async fn run(&mut self, statements: &[&str]) {
        for statement in statements {
            self.try_run(statement).await.unwrap_or_else(|error| panic!("{statement}: {error}"));
        }
    }

    /// Runs a statement that may fail.
    ///
    /// # Errors
    /// Where it does.
    pub async fn try_run(&mut self, statement: &str) -> Result<(), sqlx::Error> {
        let sql = sqlx::raw_sql(AssertSqlSafe(statement.to_owned()));
        with!(self, session => session.execute(sql).await.map(drop))
    }

    /// The numbers in the first column of what a query gives.
    ///
    /// # Panics
    /// If it fails, or gives anything else.
    pub async fn numbers(&mut self, query: &str) -> Vec<i64> {
        let sql = sqlx::raw_sql(AssertSqlSafe(query.to_owned()));
        let numbers: Result<Vec<i64>, sqlx::Error> = with!(self, session => {
            let rows = session.fetch_all(sql).await;
            rows.and_then(|rows| rows.iter().map(|row| row.try_get_unchecked(0)).collect())
        });
        numbers.unwrap_or_else(|error| panic!("{query}: {error}"))
    }

    /// The texts in the first column of what a query gives.
    ///
    /// # Panics
    /// If it fails, or gives anything else.
    pub async fn texts(&mut self, query: &str) -> Vec<String> {
        let sql = sqlx::raw_sql(AssertSqlSafe(query.to_owned()));
        let texts: Result<Vec<String>, sqlx::Error> = with!(self, session => {
            let rows = session.fetch_all(sql).await;
            rows.and_then(|rows| rows.iter().map(|row| row.try_get_unchecked(0)).collect())
        });
        texts.unwrap_or_else(|error| panic!("{query}: {error}"))
    }

    /// The one number that a query gives.
    ///
    /// # Panics
    /// If it fails, or gives anything else.
    pub async fn number(&mut self, query: &str) -> i64 {
        match self.numbers(query).await[..] {
            [number] => number,
            ref numbers => panic!("{query}: {numbers:?}"),
        }
    }

    /// Asks until the number is this.
    ///
    /// # Panics
    /// If it does not become this within 30 s.
    pub async fn until(&mut self, query: &str, wanted: i64) {
        self.until_at(query, |number| number == wanted).await;
    }

    /// Asks until the number is one that is wanted, and gives it.
    ///
    /// # Panics
    /// If there is none within 30 s.
    pub async fn until_at(&mut self, query: &str, wanted: impl Fn(i64) -> bool) -> i64 {
        let began = Instant::now();
        let mut wait = ASK_AGAIN;
        loop {
            let number = self.number(query).await;
            if wanted(number) {
                return number;
            }
            assert!(began.elapsed() < SOON, "it is still {number}: {query}");
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(ASK_AGAIN_AT_MOST);
        }
    }

    /// All values that a query gives, as the texts that they are sent as.
    ///
    /// # Panics
    /// If it fails.
    pub async fn values(&mut self, query: &str) -> Vec<Option<String>> {
        let sql = sqlx::raw_sql(AssertSqlSafe(query.to_owned()));
        let values: Result<_, sqlx::Error> = with!(self, session => {
            let rows = session.fetch_all(sql).await;
            let rows = rows.map(|rows| {
                let texts = rows.iter().map(|row| (0..row.len()).map(|at| row.try_get_unchecked(at)));
                texts.flatten().collect()
            });
            rows.and_then(|texts| texts)
        });
        values.unwrap_or_else(|error| panic!("{query}: {error}"))
    }

    /// Ends the session.
    ///
    /// # Panics
    /// If the other side has ended it before.
    pub async fn close(self) {
        with!(self, session => session.close().await).expect("it closes");
    }
}
