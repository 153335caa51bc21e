//! A connection that is cut after each byte of a batch, in each direction: the batch is there as
//! a whole or not at all, and the report says which, or that it cannot be known.

use std::net::{SocketAddr, ToSocketAddrs as _};

use sql_batcher::{
    Batcher, Builder, ErrorKind, LedgerOptions, RetryOptions, adapters::PoolOptions, connect,
};
use sql_batcher_tests::{
    proxy::{Direction, Fault, Proxy, Traffic},
    servers::{mysql_url, postgres_url},
};

use crate::{
    direct::Direct,
    run::{Ended, builder, patient, ready},
};

const DIRECTIONS: [Direction; 2] = [Direction::ToServer, Direction::ToClient];
/// Rows of the batch, one for each statement.
const ROWS: i64 = 2;
/// Bytes between the points where a connection is cut while it is made.
const STRIDE: usize = 13;

/// A way to a server that leads through a proxy, with a user and a table of the test's own.
pub(crate) struct Way {
    pub(crate) proxy: Proxy,
    pub(crate) url: String,
    pub(crate) direct: Direct,
    name: String,
    server: String,
    /// Whether runs have a ledger.
    has_ledger: bool,
}

impl Way {
    pub(crate) async fn to_postgres(name: &str) -> Option<Self> {
        Some(Self::to(postgres_url()?, name).await)
    }

    pub(crate) async fn to_mysql(name: &str) -> Option<Self> {
        Some(Self::to(mysql_url()?, name).await)
    }

    /// One more way to the same server.
    pub(crate) async fn another(&self, number: usize) -> Self {
        Self::to(self.server.clone(), &format!("{}_{number}", self.name)).await
    }

    async fn to(server: String, name: &str) -> Self {
        let mut direct = Direct::to(&server).await;
        direct.run(&[&format!("DROP TABLE IF EXISTS {name}")]).await;
        let statements = match direct {
            Direct::Postgres(_) => [
                format!("DROP ROLE IF EXISTS {name}"),
                format!("CREATE ROLE {name} LOGIN"),
                format!("ALTER ROLE {name} SUPERUSER"),
                format!("CREATE TABLE {name} (id int)"),
            ],
            Direct::MySql(_) => [
                format!("DROP USER IF EXISTS {name}"),
                format!("CREATE USER {name}"),
                format!("GRANT ALL ON *.* TO {name}"),
                format!("CREATE TABLE {name} (id int) ENGINE=InnoDB"),
            ],
        };
        direct.run(&statements.each_ref().map(String::as_str)).await;
        let proxy = Proxy::start(address_in(&server)).expect("a port is free");
        let (scheme, rest) = server.split_once("://").expect("it is a URL");
        let (_, database) = rest.rsplit_once('/').expect("it names a database");
        let url = format!("{scheme}://{name}@{}/{database}", proxy.address());
        Self { proxy, url, direct, name: name.to_owned(), server, has_ledger: false }
    }

    /// Waits until the server has ended all sessions of the test, so that nothing of theirs can
    /// still come.
    pub(crate) async fn gone(&mut self) {
        let name = &self.name;
        let sessions = match self.direct {
            Direct::Postgres(_) => {
                format!("SELECT count(*) FROM pg_stat_activity WHERE usename = '{name}'")
            }
            Direct::MySql(_) => {
                format!("SELECT count(*) FROM information_schema.processlist WHERE user = '{name}'")
            }
        };
        self.direct.until(&sessions, 0).await;
    }

    /// How many rows there are in the end. They are removed.
    pub(crate) async fn take_rows(&mut self) -> i64 {
        self.gone().await;
        let rows = self.direct.number(&format!("SELECT count(*) FROM {}", self.name)).await;
        self.direct.run(&[&format!("DELETE FROM {}", self.name)]).await;
        rows
    }

    /// A batch of [`ROWS`] statements.
    pub(crate) fn batch(&self) -> String {
        (0..ROWS).map(|id| format!("INSERT INTO {} VALUES ({id});\n", self.name)).collect()
    }

    pub(crate) async fn drop(mut self) {
        self.gone().await;
        let name = &self.name;
        let user = match self.direct {
            Direct::Postgres(_) => format!("DROP ROLE {name}"),
            Direct::MySql(_) => format!("DROP USER {name}"),
        };
        let ledger = format!("DROP TABLE IF EXISTS {name}_ledger");
        self.direct.run(&[&format!("DROP TABLE {name}"), &ledger, &user]).await;
    }

    async fn builder(&self) -> Builder {
        let builder = builder(&self.url).await;
        if !self.has_ledger {
            return builder;
        }
        let table = format!("{}_ledger", self.name);
        builder.ledger(LedgerOptions { table, ..LedgerOptions::default() })
    }

    /// A run whose session is there already when `fault` is armed.
    async fn run(&mut self, retries: RetryOptions, fault: Option<Armed>) -> Ended {
        let mut batcher = ready(self.builder().await.retries(retries)).await;
        if let Some((fault, direction, after_bytes)) = fault {
            self.proxy.arm(fault, direction, after_bytes);
        }
        let batch = self.batch();
        let result = async {
            batcher.push_str(&batch).await?;
            batcher.finish().await
        };
        let ended = Ended::of(result.await);
        self.proxy.heal().expect("the port is ours");
        ended
    }

    /// What an undisturbed batch and its end send, and what the whole run does.
    async fn measure(&mut self) -> (Traffic, Traffic) {
        let before = self.proxy.traffic();
        let mut batcher = ready(self.builder().await).await;
        let between = self.proxy.traffic();
        batcher.push_str(&self.batch()).await.expect("it is taken");
        batcher.finish().await.expect("it is applied");
        assert_eq!(self.take_rows().await, ROWS);
        let after = self.proxy.traffic();
        (minus(after, between), minus(after, before))
    }
}

/// A fault, and after how many bytes of which direction it strikes.
type Armed = (Fault, Direction, u64);

fn minus(after: Traffic, before: Traffic) -> Traffic {
    Traffic {
        connections: after.connections - before.connections,
        to_server: after.to_server - before.to_server,
        to_client: after.to_client - before.to_client,
    }
}

fn address_in(url: &str) -> SocketAddr {
    let (_, rest) = url.split_once("://").expect("it is a URL");
    let (place, _) = rest.rsplit_once('/').expect("it names a database");
    let place = place.rsplit_once('@').map_or(place, |(_, place)| place);
    let mut found = place.to_socket_addrs().expect("the server has an address and a port");
    found.next().expect("it has an address")
}

/// All or nothing is there, and the report says so.
#[track_caller]
fn is_true(ended: &Ended, rows: i64, armed: Armed) {
    let wanted = ROWS.unsigned_abs();
    // Without those that made the session ready.
    let applied = ended.report.applied - ended.report.statements.saturating_sub(wanted);
    let holds = match (applied, ended.report.unknown) {
        (applied, 0) if applied == wanted => rows == ROWS && ended.error.is_none(),
        (0, 0) => rows == 0 && ended.error.is_some(),
        (0, unknown) if unknown == wanted => {
            (rows == 0 || rows == ROWS) && ended.kind() == Some(ErrorKind::OutcomeUnknown)
        }
        _ => false,
    };
    assert!(holds, "{rows} rows are there after {armed:?}: {ended}");
}

/// Cuts the connection after each byte of the batch and its end.
async fn cut_everywhere(way: &mut Way, fault: Fault, retries: RetryOptions) {
    let (of_batch, _) = way.measure().await;
    let mut unknown = 0;
    for direction in DIRECTIONS {
        let total = of_batch.bytes(direction);
        assert!(total > 0, "{of_batch:?}");
        for after_bytes in 0..=total {
            let armed = (fault, direction, after_bytes);
            let ended = way.run(retries, Some(armed)).await;
            is_true(&ended, way.take_rows().await, armed);
            unknown += u64::from(ended.report.unknown > 0);
        }
    }
    assert!(unknown > 0, "a cut before the answer leaves the outcome unknown");
}

/// With a ledger: cuts the connection after each byte of the batch and its end, and each time the
/// run finds out what became of it and goes on to its end.
async fn cut_and_resolved_everywhere(mut way: Way, fault: Fault) {
    way.has_ledger = true;
    let (of_batch, _) = way.measure().await;
    for direction in DIRECTIONS {
        for after_bytes in 0..=of_batch.bytes(direction) {
            let armed = (fault, direction, after_bytes);
            let ended = way.run(patient(), Some(armed)).await;
            let rows = way.take_rows().await;
            let holds = rows == ROWS && ended.error.is_none() && ended.report.unknown == 0;
            assert!(holds, "{rows} rows are there after {armed:?}: {ended}");
        }
    }
    way.drop().await;
}

/// Cuts the connection while it is made, and while the session is made ready.
async fn cut_while_connecting(way: &mut Way, fault: Fault) {
    let (of_batch, of_run) = way.measure().await;
    let script = way.batch();
    for direction in DIRECTIONS {
        let total = of_run.bytes(direction) - of_batch.bytes(direction);
        for after_bytes in (0..=total).step_by(STRIDE) {
            let armed = (fault, direction, after_bytes);
            way.proxy.arm(fault, direction, after_bytes);
            let pool = PoolOptions::default();
            let database = connect(&way.url, &pool, &RetryOptions::none()).await;
            let result = async {
                let builder = Batcher::builder_boxed(database?).retries(patient());
                let mut batcher = builder.build().await?;
                batcher.push_str(&script).await?;
                batcher.finish().await
            };
            let ended = Ended::of(result.await);
            way.proxy.heal().expect("the port is ours");
            is_true(&ended, way.take_rows().await, armed);
        }
    }
}

#[tokio::test]
async fn a_close_after_any_byte_leaves_all_of_a_batch_or_nothing_in_postgresql() {
    let Some(mut way) = Way::to_postgres("faults_close").await else { return };
    cut_everywhere(&mut way, Fault::Close, RetryOptions::none()).await;
    way.drop().await;
}

#[tokio::test]
async fn a_reset_after_any_byte_leaves_all_of_a_batch_or_nothing_in_postgresql() {
    let Some(mut way) = Way::to_postgres("faults_reset").await else { return };
    cut_everywhere(&mut way, Fault::Reset, RetryOptions::none()).await;
    way.drop().await;
}

#[tokio::test]
async fn a_cut_after_any_byte_doubles_nothing_in_postgresql_when_it_is_retried() {
    let Some(mut way) = Way::to_postgres("faults_retry").await else { return };
    cut_everywhere(&mut way, Fault::Close, patient()).await;
    way.drop().await;
}

#[tokio::test]
async fn a_cut_while_connecting_to_postgresql_applies_a_batch_once_or_not_at_all() {
    let Some(mut way) = Way::to_postgres("faults_greeting").await else { return };
    cut_while_connecting(&mut way, Fault::Close).await;
    cut_while_connecting(&mut way, Fault::Reset).await;
    way.drop().await;
}

#[tokio::test]
async fn a_close_after_any_byte_leaves_all_of_a_batch_or_nothing_in_mysql() {
    let Some(mut way) = Way::to_mysql("faults_close").await else { return };
    cut_everywhere(&mut way, Fault::Close, RetryOptions::none()).await;
    way.drop().await;
}

#[tokio::test]
async fn a_reset_after_any_byte_leaves_all_of_a_batch_or_nothing_in_mysql() {
    let Some(mut way) = Way::to_mysql("faults_reset").await else { return };
    cut_everywhere(&mut way, Fault::Reset, RetryOptions::none()).await;
    way.drop().await;
}

#[tokio::test]
async fn a_cut_after_any_byte_doubles_nothing_in_mysql_when_it_is_retried() {
    let Some(mut way) = Way::to_mysql("faults_retry").await else { return };
    cut_everywhere(&mut way, Fault::Close, patient()).await;
    way.drop().await;
}

#[tokio::test]
async fn a_cut_while_connecting_to_mysql_applies_a_batch_once_or_not_at_all() {
    let Some(mut way) = Way::to_mysql("faults_greeting").await else { return };
    cut_while_connecting(&mut way, Fault::Close).await;
    cut_while_connecting(&mut way, Fault::Reset).await;
    way.drop().await;
}

#[tokio::test]
async fn a_cut_after_any_byte_is_resolved_by_the_ledger_in_postgresql() {
    let Some(way) = Way::to_postgres("faults_ledger").await else { return };
    cut_and_resolved_everywhere(way, Fault::Close).await;
    let Some(way) = Way::to_postgres("faults_ledger").await else { return };
    cut_and_resolved_everywhere(way, Fault::Reset).await;
}

#[tokio::test]
async fn a_cut_after_any_byte_is_resolved_by_the_ledger_in_mysql() {
    let Some(way) = Way::to_mysql("faults_ledger").await else { return };
    cut_and_resolved_everywhere(way, Fault::Close).await;
    let Some(way) = Way::to_mysql("faults_ledger").await else { return };
    cut_and_resolved_everywhere(way, Fault::Reset).await;
}
