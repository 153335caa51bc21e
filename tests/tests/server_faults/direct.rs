//! A database asked directly, past the library and past the proxy.

use std::time::{Duration, Instant};

use sqlx::{
    AssertSqlSafe, Connection as _, Executor as _, MySqlConnection, PgConnection, Row as _,
};

/// How long a condition may take to come true.
const SOON: Duration = Duration::from_secs(30);
/// How often it is asked about.
const ASK_EVERY: Duration = Duration::from_millis(10);

/// A session of the test's own.
pub(crate) enum Direct {
    Postgres(PgConnection),
    MySql(MySqlConnection),
}

impl Direct {
    pub(crate) async fn to(url: &str) -> Self {
        Self::try_to(url).await.expect("the server is there")
    }

    pub(crate) async fn try_to(url: &str) -> Result<Self, sqlx::Error> {
        match url.starts_with("postgres") {
            true => Ok(Self::Postgres(PgConnection::connect(url).await?)),
            false => Ok(Self::MySql(MySqlConnection::connect(url).await?)),
        }
    }

    /// Runs statements one after the other.
    pub(crate) async fn run(&mut self, statements: &[&str]) {
        for statement in statements {
            let sql = sqlx::raw_sql(AssertSqlSafe((*statement).to_owned()));
            let ran = match self {
                Self::Postgres(session) => session.execute(sql).await.err(),
                Self::MySql(session) => session.execute(sql).await.err(),
            };
            if let Some(error) = ran {
                panic!("{statement}: {error}");
            }
        }
    }

    /// The number that a query gives.
    pub(crate) async fn number(&mut self, query: &str) -> i64 {
        let sql = sqlx::raw_sql(AssertSqlSafe(query.to_owned()));
        let number = match self {
            Self::Postgres(session) => {
                session.fetch_one(sql).await.and_then(|row| row.try_get_unchecked(0))
            }
            Self::MySql(session) => {
                session.fetch_one(sql).await.and_then(|row| row.try_get_unchecked(0))
            }
        };
        number.unwrap_or_else(|error| panic!("{query}: {error}"))
    }

    /// Asks until the number is this.
    pub(crate) async fn until(&mut self, query: &str, wanted: i64) {
        let began = Instant::now();
        while self.number(query).await != wanted {
            assert!(began.elapsed() < SOON, "it should become {wanted}: {query}");
            tokio::time::sleep(ASK_EVERY).await;
        }
    }

    pub(crate) async fn close(self) {
        match self {
            Self::Postgres(session) => session.close().await,
            Self::MySql(session) => session.close().await,
        }
        .expect("it closes");
    }
}
