//! A connection that is cut everywhere in what a run sends and hears, with a ledger: each
//! outcome is found out, and the run goes on, or it ends and can be resumed. Each row is there once.

use std::time::Duration;

use sql_batcher::{Builder, LedgerOptions, RetryOptions, Transactions};
use sql_batcher_tests::proxy::{Fault, Traffic};

use crate::{
    network::{Armed, DIRECTIONS, minus},
    run::{Ended, FIRST, builder, patient, ready, run},
    way::{ROWS, Way},
};

/// Bytes between two cuts of a `COPY`, which takes its time to get over one.
const COPY_STEP: usize = 5;

/// What the connection is cut in the middle of.
struct Case {
    /// Sent before.
    before: String,
    last: String,
    options: fn(Builder) -> Builder,
    /// Bytes between two cuts.
    step: usize,
    /// Whether a run can end by a cut, because what is gone with the connection cannot be sent
    /// again by itself.
    may_end: bool,
}

impl Case {
    /// A batch that is a transaction of its own.
    fn batch(way: &Way) -> Self {
        let options = |builder| builder;
        Self { before: String::new(), last: way.batch(), options, step: 1, may_end: false }
    }

    /// A transaction of the script's own in one batch.
    fn transaction(way: &Way) -> Self {
        let last = format!("BEGIN;\n{}COMMIT;\n", way.batch());
        Self { last, ..Self::batch(way) }
    }

    /// The commit of one that takes several.
    fn commit(way: &Way) -> Self {
        let before = format!("BEGIN;\n{}", way.batch());
        let options = |builder: Builder| builder.max_statements(1);
        Self { before, last: "COMMIT;\n".to_owned(), options, step: 1, may_end: true }
    }

    /// The commit of a run that is one transaction.
    fn whole_run(way: &Way) -> Self {
        let options = |builder: Builder| builder.transactions(Transactions::Run);
        Self { before: way.batch(), last: String::new(), options, step: 1, may_end: true }
    }

    /// A `COPY` in one batch.
    fn copy(way: &Way) -> Self {
        let rows: String = (0..ROWS).map(|id| format!("{id:020}\n")).collect();
        let last = format!("COPY {} FROM stdin;\n{rows}\\.\n", way.name);
        Self { last, step: COPY_STEP, ..Self::batch(way) }
    }

    /// In several.
    fn copy_in_parts(way: &Way) -> Self {
        let options = |builder: Builder| builder.max_bytes(60);
        Self { options, may_end: true, ..Self::copy(way) }
    }

    async fn builder(&self, way: &Way, run: Option<String>) -> Builder {
        let resume = run.is_some();
        let table = format!("{}_ledger", way.name);
        let ledger = LedgerOptions { table, run, resume, ..LedgerOptions::default() };
        // The network is there again at once.
        let retries = RetryOptions { delay: Duration::from_millis(1), ..patient() };
        (self.options)(builder(&way.url).await.retries(retries).ledger(ledger))
    }

    /// A run that is cut, perhaps, and what its last part has sent and heard.
    async fn run(&self, way: &mut Way, armed: Option<Armed>) -> (Ended, Traffic) {
        let mut batcher = ready(self.builder(way, None).await).await;
        batcher.push_str(&self.before).await.expect("it is taken");
        batcher.flush().await.expect("it is applied");
        let before = way.proxy.traffic();
        if let Some((fault, direction, after_bytes)) = armed {
            way.proxy.arm(fault, direction, after_bytes);
        }
        let result = async {
            batcher.push_str(&self.last).await?;
            batcher.finish().await
        };
        let ended = Ended::of(result.await);
        way.proxy.heal().expect("the port is ours");
        (ended, minus(way.proxy.traffic(), before))
    }

    async fn resume(&self, way: &Way, name: String) -> Ended {
        let script = [FIRST, &self.before, &self.last].concat();
        run(self.builder(way, Some(name)).await, &script).await
    }

    /// Cuts it everywhere, in each direction.
    async fn holds(&self, way: &mut Way, fault: Fault) {
        let (ended, traffic) = self.run(way, None).await;
        assert!(ended.error.is_none(), "{ended}");
        assert_eq!(way.take_rows().await, ROWS);
        let (mut resumed, mut went_on) = (0, 0);
        for direction in DIRECTIONS {
            for after_bytes in (0..=traffic.bytes(direction)).step_by(self.step) {
                let armed = (fault, direction, after_bytes);
                let (ended, _) = self.run(way, Some(armed)).await;
                assert_eq!(ended.report.unknown, 0, "after {armed:?}: {ended}");
                match &ended.error {
                    None => went_on += 1,
                    Some(_) => {
                        assert!(self.may_end, "after {armed:?}: {ended}");
                        let name = ended.report.run.clone().expect("it has a ledger");
                        let again = self.resume(way, name).await;
                        assert!(again.error.is_none(), "after {armed:?}: {ended}, then {again}");
                        resumed += 1;
                    }
                }
                assert_eq!(way.take_rows().await, ROWS, "after {armed:?}: {ended}");
            }
        }
        println!("{resumed} runs were resumed, {went_on} went on");
        assert!(went_on > 0 && (resumed > 0) == self.may_end);
    }
}

macro_rules! cuts {
    ($($test:ident, $way:ident, $name:literal: $case:ident, $($fault:ident),+;)+) => {$(
        #[tokio::test]
        async fn $test() {
            let Some(mut way) = Way::$way($name).await else { return };
            $(Case::$case(&way).holds(&mut way, Fault::$fault).await;)+
            way.drop().await;
        }
    )+};
}

cuts! {
    a_cut_after_any_byte_of_a_batch_is_resolved_by_the_ledger_in_postgresql,
        to_postgres, "cuts_batch": batch, Close, Reset;
    a_cut_after_any_byte_of_a_batch_is_resolved_by_the_ledger_in_mysql,
        to_mysql, "cuts_batch": batch, Close, Reset;
    a_cut_after_any_byte_of_the_scripts_transaction_is_resolved_by_the_ledger_in_postgresql,
        to_postgres, "cuts_transaction": transaction, Close;
    a_cut_after_any_byte_of_the_scripts_transaction_is_resolved_by_the_ledger_in_mysql,
        to_mysql, "cuts_transaction": transaction, Close;
    a_cut_after_any_byte_of_the_scripts_commit_is_resolved_or_resumed_in_postgresql,
        to_postgres, "cuts_commit": commit, Close, Reset;
    a_cut_after_any_byte_of_the_scripts_commit_is_resolved_or_resumed_in_mysql,
        to_mysql, "cuts_commit": commit, Close, Reset;
    a_cut_after_any_byte_of_the_commit_of_a_run_is_resolved_or_resumed_in_postgresql,
        to_postgres, "cuts_run": whole_run, Close, Reset;
    a_cut_after_any_byte_of_the_commit_of_a_run_is_resolved_or_resumed_in_mysql,
        to_mysql, "cuts_run": whole_run, Close, Reset;
    a_cut_anywhere_in_a_copy_is_resolved_by_the_ledger_in_postgresql,
        to_postgres, "cuts_copy": copy, Close;
    a_cut_anywhere_in_a_copy_in_parts_is_resolved_or_resumed_in_postgresql,
        to_postgres, "cuts_copy_parts": copy_in_parts, Close;
}
