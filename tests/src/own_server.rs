//! Servers that belong to one test, which may fill their disk, take their last connection and kill
//! them.

use std::net::SocketAddr;

use xtask::{
    error::Result,
    servers::{Server, Setup, has_disks},
};

use crate::servers::{may_skip, note_skipped};

/// A small PostgreSQL server; its superuser is `postgres`, without a password. None where the test
/// is to be skipped: without servers, or where it wants a disk in memory that this user cannot have.
///
/// # Panics
/// If its programs are missing, see [`postgres_url`](crate::servers::postgres_url), or it does not
/// start.
#[must_use]
pub fn own_postgres(setup: Setup<'_>) -> Option<Server> {
    start(Server::postgres, setup)
}

/// As [`own_postgres`], with MariaDB; its user is `root`, without a password, its database `test`.
///
/// # Panics
/// As [`own_postgres`].
#[must_use]
pub fn own_mariadb(setup: Setup<'_>) -> Option<Server> {
    start(Server::mariadb, setup)
}

/// A Prometheus that fetches the metrics of this address ten times a second. None where the test is
/// to be skipped.
///
/// # Panics
/// As [`own_postgres`].
#[must_use]
pub fn own_prometheus(target: SocketAddr) -> Option<Server> {
    started(|| Server::prometheus(target))
}

fn start(
    start: impl FnOnce(&Setup<'_>) -> Result<Option<Server>>,
    setup: Setup<'_>,
) -> Option<Server> {
    if setup.disk_mib.is_some() && !may_skip() && !has_disks() {
        note_skipped("only root can have a disk in memory");
        return None;
    }
    started(|| start(&Setup { is_small: true, ..setup }))
}

fn started(start: impl FnOnce() -> Result<Option<Server>>) -> Option<Server> {
    if may_skip() {
        note_skipped("no server");
        return None;
    }
    let server = start().unwrap_or_else(|error| panic!("{error}"));
    assert!(
        server.is_some(),
        "the programs of a server are missing: `cargo xtask servers` installs them, or set \
         SQL_BATCHER_SKIP_SERVERS=1 to skip the tests that need servers"
    );
    server
}
