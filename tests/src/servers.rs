//! Real servers for tests: where they are, and what to do when they are not.

use std::env;

/// URL of a PostgreSQL database that tests may fill with tables of their own, from
/// `SQL_BATCHER_TEST_POSTGRES_URL`; none if `SQL_BATCHER_SKIP_SERVERS=1` says that there is none.
///
/// # Panics
/// If neither variable is set: a missing server is never a silent pass.
#[must_use]
pub fn postgres_url() -> Option<String> {
    url("SQL_BATCHER_TEST_POSTGRES_URL", "postgres://postgres@127.0.0.1:5432/test")
}

/// As [`postgres_url`], for MySQL or MariaDB: `SQL_BATCHER_TEST_MYSQL_URL`.
///
/// # Panics
/// As [`postgres_url`].
#[must_use]
pub fn mysql_url() -> Option<String> {
    url("SQL_BATCHER_TEST_MYSQL_URL", "mysql://root@127.0.0.1:3306/test")
}

fn url(variable: &str, example: &str) -> Option<String> {
    if let Ok(url) = env::var(variable) {
        return Some(url);
    }
    let skip = env::var("SQL_BATCHER_SKIP_SERVERS").is_ok_and(|value| value == "1");
    assert!(
        skip,
        "no test server: start one with an empty database and set {variable}={example}, \
         or set SQL_BATCHER_SKIP_SERVERS=1 to skip the tests that need servers"
    );
    println!("skipped: no server");
    None
}
