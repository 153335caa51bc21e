//! A network that stands still: every call ends within its limit on time, and what it says is
//! true when the network goes on.

use std::{
    future::Future,
    thread,
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use sql_batcher::{
    Batcher, Builder, Error, ErrorKind, RetryOptions, Transactions,
    adapters::{self, PoolOptions},
    blocking, connect,
};
use sql_batcher_tests::proxy::{Direction, Fault};
use tokio::sync::oneshot;

use crate::{
    run::{Ended, FIRST, builder, patient, ready},
    way::Way,
};

/// The limit that each call is given.
const LIMIT: Duration = Duration::from_secs(1);
/// What the cancel on the server may take beyond it.
const CANCEL: Duration = Duration::from_secs(2);
/// What a busy machine may take beyond that.
const MARGIN: Duration = Duration::from_secs(2);

/// Where a batch gets stuck: before it is sent, in its middle, before its answer, in its middle.
const POINTS: [(Direction, u64); 4] = [
    (Direction::ToServer, 0),
    (Direction::ToServer, 40),
    (Direction::ToServer, 100_000),
    (Direction::ToClient, 5),
];

/// A batch that is larger than the points above, so that each strikes.
fn large_batch(way: &Way) -> String {
    let comment = format!("/* {} */ VALUES", "x".repeat(200_000));
    way.batch().replacen("VALUES", &comment, 1)
}

/// How long a future takes, which must be no longer than this and the margin.
async fn within<T>(limit: Duration, what: &str, work: impl Future<Output = T>) -> T {
    let began = Instant::now();
    let done = tokio::time::timeout(limit + MARGIN, work).await;
    done.unwrap_or_else(|_| panic!("{what} should end within {limit:?}: {:?}", began.elapsed()))
}

/// Heals the network, and holds the report against the rows.
async fn compare(way: &mut Way, mut ended: Ended) {
    way.proxy.heal().expect("the port is ours");
    // The first statement makes no row.
    ended.report.applied -= 1;
    let rows = way.take_rows().await;
    ended.accounts_for(rows);
    assert!(rows == 0 || rows == 2, "half of the batch is there: {ended}");
}

/// At each point, on ways of their own.
async fn finish_ends(way: &mut Way, limited: impl Fn(Builder) -> Builder) {
    let points = POINTS.into_iter().enumerate().map(async |(number, point)| {
        let mut way = way.another(number).await;
        let batcher = ready(limited(builder(&way.url).await)).await;
        finish_ends_at(&mut way, batcher, point).await;
        way.drop().await;
    });
    join_all(points).await;
}

async fn finish_ends_at(way: &mut Way, mut batcher: Batcher, point: (Direction, u64)) {
    let (direction, after_bytes) = point;
    way.proxy.arm(Fault::Stall, direction, after_bytes);
    let batch = large_batch(way);
    let finished = within(LIMIT + CANCEL, "finish", async {
        batcher.push_str(&batch).await?;
        batcher.finish().await
    });
    let ended = Ended::of(finished.await);
    let kinds = [ErrorKind::Timeout, ErrorKind::OutcomeUnknown];
    assert!(ended.kind().is_some_and(|kind| kinds.contains(&kind)), "{ended}");
    compare(way, ended).await;
}

async fn flush_and_scope_end(way: &mut Way) {
    let limited = builder(&way.url).await.retries(patient()).attempt_timeout(LIMIT);
    let batch = way.batch();
    let proxy = &way.proxy;
    let scope = limited.scope(async |batcher| {
        batcher.push_str(FIRST).await?;
        batcher.flush().await?;
        proxy.strike(Fault::Stall);
        batcher.push_str(&batch).await?;
        within(LIMIT + CANCEL, "flush", batcher.flush()).await
    });
    let ended = within(LIMIT + CANCEL, "scope", scope).await;
    let ended = Ended::of(ended.map(|(_, report)| report));
    assert_eq!(ended.kind(), Some(ErrorKind::OutcomeUnknown), "{ended}");
    compare(way, ended).await;
}

/// Without any limit on time: it is the program that wants to end.
async fn a_failing_scope_ends(way: &mut Way) {
    let unlimited = builder(&way.url).await;
    let batch = way.batch();
    let proxy = &way.proxy;
    let scope = unlimited.scope(async |batcher| {
        batcher.push_str(FIRST).await?;
        batcher.flush().await?;
        proxy.strike(Fault::Stall);
        batcher.push_str(&batch).await?;
        let stuck = tokio::time::timeout(Duration::from_millis(100), batcher.flush()).await;
        assert!(stuck.is_err(), "the network stands still");
        Err::<(), _>(Error::cancelled("enough"))
    });
    let ended = within(CANCEL, "scope", scope).await;
    let ended = Ended::of(ended.map(|(_, report)| report));
    assert_eq!(ended.kind(), Some(ErrorKind::Cancelled), "{ended}");
    compare(way, ended).await;
}

async fn drop_ends(way: &mut Way) {
    let mut batcher = ready(builder(&way.url).await).await;
    way.proxy.strike(Fault::Stall);
    batcher.push_str(&way.batch()).await.expect("it is taken");
    within(Duration::ZERO, "drop", async { drop(batcher) }).await;
    way.proxy.heal().expect("the port is ours");
    let rows = way.take_rows().await;
    assert!(rows == 0 || rows == 2, "half of the batch is there: {rows} rows");
}

async fn blocking_drop_ends(way: &mut Way) {
    let (url, batch) = (way.url.clone(), way.batch());
    let (is_ready, ready) = oneshot::channel();
    let (go_on, stalled) = oneshot::channel::<()>();
    let (is_dropped, dropped) = oneshot::channel();
    // A thread that no runtime knows: a blocking batcher wants none around it.
    let program = thread::spawn(move || {
        let pool = PoolOptions::default();
        let database = async { adapters::connect(&url, &pool).await };
        let mut batcher = blocking::Batcher::builder_boxed(database)?.build()?;
        batcher.push_str(FIRST)?;
        batcher.flush()?;
        is_ready.send(()).ok();
        stalled.blocking_recv().ok();
        batcher.push_str(&batch)?;
        drop(batcher);
        is_dropped.send(()).ok();
        Ok::<_, Error>(())
    });
    ready.await.expect("it starts");
    way.proxy.strike(Fault::Stall);
    go_on.send(()).expect("it waits");
    within(Duration::ZERO, "drop", dropped).await.expect("it is dropped");
    program.join().expect("it does not panic").expect("it is taken");
    way.proxy.heal().expect("the port is ours");
    let rows = way.take_rows().await;
    assert!(rows == 0 || rows == 2, "half of the batch is there: {rows} rows");
}

async fn a_commit_of_the_run_ends(way: &mut Way) {
    let whole = builder(&way.url).await.transactions(Transactions::Run).attempt_timeout(LIMIT);
    let mut batcher = ready(whole).await;
    batcher.push_str(&way.batch()).await.expect("it is taken");
    batcher.flush().await.expect("it is applied");
    way.proxy.arm(Fault::Swallow, Direction::ToClient, 1);
    let finished = within(LIMIT + CANCEL, "finish", batcher.finish()).await;
    let ended = Ended::of(finished);
    assert_eq!(ended.kind(), Some(ErrorKind::OutcomeUnknown), "{ended}");
    way.proxy.strike(Fault::Close);
    way.proxy.heal().expect("the port is ours");
    // The commit had arrived.
    assert_eq!((way.take_rows().await, ended.report.unknown), (2, 3), "{ended}");
}

/// With nothing under way there is nothing to wait for.
async fn an_idle_run_ends(way: &mut Way) {
    let batcher = ready(builder(&way.url).await).await;
    way.proxy.strike(Fault::Stall);
    let report = within(Duration::ZERO, "finish", batcher.finish()).await.expect("it is applied");
    assert_eq!(report.applied, 1);
    way.proxy.heal().expect("the port is ours");
    way.gone().await;
}

/// In the middle of the greeting, and of the questions after it.
async fn connecting_ends(way: &mut Way) {
    let retries = patient();
    let mut pool = PoolOptions::default();
    let before = way.proxy.traffic().to_client;
    connect(&way.url, &pool, &retries).await.expect("the server is there").close().await;
    let total = way.proxy.traffic().to_client - before;
    pool.connect_timeout = LIMIT;
    for after_bytes in [0, 20, total * 3 / 4] {
        way.proxy.arm(Fault::Stall, Direction::ToClient, after_bytes);
        let connecting = connect(&way.url, &pool, &retries);
        let error = within(LIMIT, "connecting", connecting).await.err();
        let kind = error.as_ref().map(Error::kind);
        assert_eq!(kind, Some(ErrorKind::Timeout), "after {after_bytes}: {error:?}");
        way.proxy.heal().expect("the port is ours");
        way.gone().await;
    }
}

/// The session cannot be made ready: the limit holds for each attempt, the deadline for all.
async fn taking_a_session_ends(way: &mut Way, retries: RetryOptions) {
    let limited =
        builder(&way.url).await.connect_timeout(LIMIT / 4).retries(retries).deadline(LIMIT);
    way.proxy.strike(Fault::Stall);
    let mut batcher = limited.build().await.expect("it starts");
    let batch = way.batch();
    let finished = within(LIMIT, "finish", async {
        batcher.push_str(&batch).await?;
        batcher.finish().await
    });
    let ended = Ended::of(finished.await);
    assert_eq!((ended.kind(), ended.report.not_reached), (Some(ErrorKind::Timeout), 2), "{ended}");
    let attempts = ended.error.as_ref().map_or(0, Error::attempts);
    assert_eq!(attempts > 1, retries.max_retries > 0, "{ended}");
    way.proxy.heal().expect("the port is ours");
    assert_eq!(way.take_rows().await, 0);
}

macro_rules! stalls {
    ($($test:ident, $way:ident, $name:literal: $($work:expr),+;)+) => {$(
        #[tokio::test]
        async fn $test() {
            let Some(mut way) = Way::$way($name).await else { return };
            $($work(&mut way).await;)+
            way.drop().await;
        }
    )+};
}

async fn finish_ends_by_the_limit_of_an_attempt(way: &mut Way) {
    finish_ends(way, |builder| builder.retries(patient()).attempt_timeout(LIMIT)).await;
}

async fn finish_ends_by_the_deadline(way: &mut Way) {
    finish_ends(way, |builder| builder.retries(patient()).deadline(LIMIT)).await;
}

async fn taking_a_session_once_ends(way: &mut Way) {
    taking_a_session_ends(way, RetryOptions::none()).await;
}

async fn taking_a_session_again_and_again_ends(way: &mut Way) {
    taking_a_session_ends(way, patient()).await;
}

stalls! {
    finish_ends_within_the_limit_of_an_attempt_when_the_way_to_postgresql_stalls,
        to_postgres, "stalls_attempt": finish_ends_by_the_limit_of_an_attempt;
    finish_ends_within_the_deadline_when_the_way_to_postgresql_stalls,
        to_postgres, "stalls_deadline": finish_ends_by_the_deadline;
    flush_and_scope_end_when_the_way_to_postgresql_stalls,
        to_postgres, "stalls_scope": flush_and_scope_end, a_failing_scope_ends;
    a_batcher_can_be_dropped_when_the_way_to_postgresql_stalls,
        to_postgres, "stalls_drop": drop_ends, blocking_drop_ends, an_idle_run_ends;
    the_commit_of_a_run_ends_within_its_limit_when_the_way_to_postgresql_stalls,
        to_postgres, "stalls_commit": a_commit_of_the_run_ends;
    connecting_ends_within_its_limit_when_the_way_to_postgresql_stalls,
        to_postgres, "stalls_connect": connecting_ends, taking_a_session_once_ends,
        taking_a_session_again_and_again_ends;
    finish_ends_within_the_limit_of_an_attempt_when_the_way_to_mysql_stalls,
        to_mysql, "stalls_attempt": finish_ends_by_the_limit_of_an_attempt;
    finish_ends_within_the_deadline_when_the_way_to_mysql_stalls,
        to_mysql, "stalls_deadline": finish_ends_by_the_deadline;
    flush_and_scope_end_when_the_way_to_mysql_stalls,
        to_mysql, "stalls_scope": flush_and_scope_end, a_failing_scope_ends;
    a_batcher_can_be_dropped_when_the_way_to_mysql_stalls,
        to_mysql, "stalls_drop": drop_ends, blocking_drop_ends, an_idle_run_ends;
    the_commit_of_a_run_ends_within_its_limit_when_the_way_to_mysql_stalls,
        to_mysql, "stalls_commit": a_commit_of_the_run_ends;
    connecting_ends_within_its_limit_when_the_way_to_mysql_stalls,
        to_mysql, "stalls_connect": connecting_ends, taking_a_session_once_ends,
        taking_a_session_again_and_again_ends;
}
