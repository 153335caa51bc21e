//! A connection that is cut after each byte of a batch, in each direction: the batch is there as
//! a whole or not at all, and the report says which, or that it cannot be known.

use sql_batcher::{Batcher, ErrorKind, RetryOptions, adapters::PoolOptions, connect};
use sql_batcher_tests::proxy::{Direction, Fault, Traffic};

use crate::{
    run::{Ended, builder, patient, ready},
    way::{ROWS, Way},
};

pub(crate) const DIRECTIONS: [Direction; 2] = [Direction::ToServer, Direction::ToClient];
/// Bytes between the points where a connection is cut while it is made.
const STRIDE: usize = 13;

impl Way {
    /// A run whose session is there already when `fault` is armed.
    async fn run(&mut self, retries: RetryOptions, fault: Option<Armed>) -> Ended {
        let mut batcher = ready(builder(&self.url).await.retries(retries)).await;
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
        let mut batcher = ready(builder(&self.url).await).await;
        let between = self.proxy.traffic();
        batcher.push_str(&self.batch()).await.expect("it is taken");
        batcher.finish().await.expect("it is applied");
        assert_eq!(self.take_rows().await, ROWS);
        let after = self.proxy.traffic();
        (minus(after, between), minus(after, before))
    }
}

/// A fault, and after how many bytes of which direction it strikes.
pub(crate) type Armed = (Fault, Direction, u64);

pub(crate) fn minus(after: Traffic, before: Traffic) -> Traffic {
    Traffic {
        connections: after.connections - before.connections,
        to_server: after.to_server - before.to_server,
        to_client: after.to_client - before.to_client,
    }
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
