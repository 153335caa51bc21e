//! Real servers for tests: where they are, and what to do when they are not.

use std::{env, fs::File, io::Write as _, thread};

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

/// URL of a Trino cluster, `trino://…`, whose catalogs `memory`, `tpch`, `blackhole` and
/// `postgresql` tests may use, from `SQL_BATCHER_TEST_TRINO_URL`. None, and the test is noted as
/// skipped, where `cargo xtask test` has said why there is none (`SQL_BATCHER_TEST_NO_TRINO`), or
/// as for [`postgres_url`].
///
/// # Panics
/// As [`postgres_url`].
#[must_use]
pub fn trino_url() -> Option<String> {
    match env::var("SQL_BATCHER_TEST_NO_TRINO") {
        Ok(why) => {
            println!("not run: {why}");
            None
        }
        Err(_) => url("SQL_BATCHER_TEST_TRINO_URL", "trino://test@127.0.0.1:8080/memory/default"),
    }
}

fn url(variable: &str, example: &str) -> Option<String> {
    if let Ok(url) = env::var(variable) {
        return Some(url);
    }
    assert!(
        may_skip(),
        "no test server: start one with an empty database and set {variable}={example}, \
         or set SQL_BATCHER_SKIP_SERVERS=1 to skip the tests that need servers"
    );
    note_skipped("no server");
    None
}

/// Whether tests that need servers may do without.
pub(crate) fn may_skip() -> bool {
    env::var("SQL_BATCHER_SKIP_SERVERS").is_ok_and(|value| value == "1")
}

/// Tells `cargo xtask test` which test does without its server: a test has a thread of its name.
pub(crate) fn note_skipped(why: &str) {
    println!("skipped: {why}");
    let Some(list) = env::var_os("SQL_BATCHER_TEST_SKIPPED") else { return };
    let name = thread::current().name().unwrap_or("a test without a name").to_owned();
    let file = File::options().append(true).create(true).open(list);
    let written = file.and_then(|mut file| file.write_all(format!("{name}\n").as_bytes()));
    written.expect("the list of skipped tests can be written");
}
