//! Full disks of servers: what does not fit is taken back, and works once there is room.

use std::{
    fs,
    time::{Duration, Instant},
};

use sql_batcher::{ErrorKind, LedgerOptions, Report, RetryOptions};
use sql_batcher_tests::{
    direct::Direct,
    own_server::{own_mariadb, own_postgres},
};
use xtask::servers::{Server, Setup};

use crate::run::{Ended, builder, patient, run};

/// A server with a table on a small disk, and what does not fit into it while the disk is filled.
struct Small {
    server: Server,
    direct: Direct,
    /// The third of its statements needs room, of which there is none while `filling` is there.
    script: String,
    filling: usize,
    /// The code of what the server says then, and how many rows there are in the end.
    code: &'static str,
    rows: i64,
}

/// The rows of both tables.
const COUNT: &str =
    "SELECT (SELECT count(*) FROM faults_large) + (SELECT count(*) FROM faults_small)";

fn script(many: &str, rows: i64) -> String {
    format!(
        "INSERT INTO faults_large VALUES (1);\n\
         INSERT INTO faults_large VALUES (2);\n\
         INSERT INTO faults_small SELECT i, repeat('x', 1000) FROM {many};\n\
         INSERT INTO faults_large VALUES ({rows});\n"
    )
}

async fn on_postgres() -> Option<Small> {
    let server = own_postgres(Setup { disk_mib: Some(16), ..Setup::default() })?;
    let mut direct = Direct::to(&server.url()).await;
    let space = format!("CREATE TABLESPACE small LOCATION '{}'", server.disk().display());
    let small = "CREATE TABLE faults_small (id int, filling text) TABLESPACE small";
    direct.run(&[&space, small, "CREATE TABLE faults_large (id int)"]).await;
    let script = script("generate_series(1, 5000) AS many(i)", 5003);
    Some(Small { server, direct, script, filling: 14 << 20, code: "53100", rows: 5003 })
}

async fn on_mariadb() -> Option<Small> {
    let server = own_mariadb(Setup { disk_mib: Some(32), ..Setup::default() })?;
    let direct = tables_of_mariadb(&server, "InnoDB").await;
    let script = script("(SELECT seq AS i FROM seq_1_to_8000) AS many", 8003);
    Some(Small { server, direct, script, filling: 28 << 20, code: "1114", rows: 8003 })
}

async fn tables_of_mariadb(server: &Server, engine: &str) -> Direct {
    let mut direct = Direct::to(&server.url()).await;
    let small = format!(
        "CREATE TABLE faults_small (id int, filling text) ENGINE={engine} \
         DATA DIRECTORY='{}'",
        server.disk().display()
    );
    direct.run(&[&small, "CREATE TABLE faults_large (id int) ENGINE=InnoDB"]).await;
    direct
}

impl Small {
    fn filler(&self) -> std::path::PathBuf {
        self.server.disk().join("filler")
    }

    fn fill_the_disk(&self) {
        fs::write(self.filler(), vec![0; self.filling]).expect("there is room for it");
    }

    fn make_room(&self) {
        fs::remove_file(self.filler()).expect("it is ours");
    }

    /// The error says what is wrong, and the report what became of the statements.
    fn says_that_the_disk_is_full(&self, ended: &Ended, applied: u64, rolled_back: u64) {
        let code = Some(self.code);
        assert_eq!((ended.kind(), ended.code()), (Some(ErrorKind::Database), code), "{ended}");
        let said = ended.error.as_ref().map(ToString::to_string).unwrap_or_default();
        assert!(said.contains("No space left") || said.contains("is full"), "{said}");
        let Report { failed, unknown, .. } = ended.report;
        let fates = (ended.report.applied, failed, ended.report.rolled_back, unknown);
        assert_eq!(fates, (applied, 1, rolled_back, 0), "{ended}");
    }

    /// All in one batch.
    async fn takes_a_batch_back(mut self) {
        let url = self.server.url();
        self.fill_the_disk();
        let ended = run(builder(&url).await.retries(RetryOptions::none()), &self.script).await;
        self.says_that_the_disk_is_full(&ended, 0, 3);
        assert_eq!(self.direct.number(COUNT).await, 0);

        self.make_room();
        let ended = run(builder(&url).await, &self.script).await;
        assert!(ended.error.is_none(), "{ended}");
        assert_eq!(self.direct.number(COUNT).await, self.rows);
    }

    /// Each statement in a batch of its own.
    async fn resumes_with_a_ledger(mut self) {
        let url = self.server.url();
        let with_ledger = async |resume| {
            let ledger = LedgerOptions { resume, ..LedgerOptions::default() };
            builder(&url).await.retries(RetryOptions::none()).max_statements(1).ledger(ledger)
        };
        self.fill_the_disk();
        let ended = run(with_ledger(false).await, &self.script).await;
        self.says_that_the_disk_is_full(&ended, 2, 0);
        assert_eq!(self.direct.number(COUNT).await, 2);

        self.make_room();
        let ended = run(with_ledger(true).await, &self.script).await;
        assert!(ended.error.is_none(), "{ended}");
        assert_eq!((ended.report.resumed, ended.report.applied), (2, 4), "{ended}");
        assert_eq!(self.direct.number(COUNT).await, self.rows);
    }
}

#[tokio::test]
async fn a_batch_that_fills_the_disk_of_postgresql_is_taken_back_and_works_once_there_is_room() {
    let Some(small) = on_postgres().await else { return };
    small.takes_a_batch_back().await;
}

#[tokio::test]
async fn a_batch_that_fills_the_disk_of_mariadb_is_taken_back_and_works_once_there_is_room() {
    let Some(small) = on_mariadb().await else { return };
    small.takes_a_batch_back().await;
}

#[tokio::test]
async fn a_run_that_filled_the_disk_of_postgresql_is_resumed_once_there_is_room() {
    let Some(small) = on_postgres().await else { return };
    small.resumes_with_a_ledger().await;
}

#[tokio::test]
async fn a_run_that_filled_the_disk_of_mariadb_is_resumed_once_there_is_room() {
    let Some(small) = on_mariadb().await else { return };
    small.resumes_with_a_ledger().await;
}

/// Nothing of a batch is applied whose row has no room.
#[tokio::test]
async fn a_run_whose_ledger_has_no_room_in_postgresql_ends_and_is_resumed_once_there_is_some() {
    let Some(mut small) = on_postgres().await else { return };
    let url = small.server.url();
    let with_ledger = async |resume| {
        let run = Some("full".to_owned());
        let ledger = LedgerOptions { run, resume, ..LedgerOptions::default() };
        builder(&url).await.retries(RetryOptions::none()).max_statements(1).ledger(ledger)
    };
    // A row of it takes more than 100 bytes, so that some hundreds need a page of 8192 more.
    let rows = 500;
    let script: String =
        (0..rows).map(|id| format!("INSERT INTO faults_large VALUES ({id});\n")).collect();
    let ended = run(with_ledger(true).await, "").await;
    assert!(ended.error.is_none(), "{ended}");
    small.direct.run(&["ALTER TABLE sql_batcher_ledger SET TABLESPACE small"]).await;
    small.filling = 32 << 20;
    // As much as there is room for.
    fs::write(small.filler(), vec![0; small.filling]).expect_err("the disk is smaller");

    let ended = run(with_ledger(true).await, &script).await;
    let applied = small.direct.number(COUNT).await;
    assert!((1..rows).contains(&applied), "{applied} rows");
    small.says_that_the_disk_is_full(&ended, applied.unsigned_abs(), 0);

    small.make_room();
    let ended = run(with_ledger(true).await, &script).await;
    assert!(ended.error.is_none(), "{ended}");
    assert_eq!(small.direct.number(COUNT).await, rows);
    assert_eq!(small.direct.number("SELECT count(DISTINCT id) FROM faults_large").await, rows);
}

/// MyISAM waits for room, a minute at a time, and does not hear a cancel while it sleeps.
#[tokio::test]
async fn a_batch_that_waits_for_room_on_the_disk_of_mariadb_ends_by_its_time_limit() {
    let setup = Setup { disk_mib: Some(8), ..Setup::default() };
    let Some(server) = own_mariadb(setup) else { return };
    drop(tables_of_mariadb(&server, "MyISAM").await);
    let script = script("(SELECT seq AS i FROM seq_1_to_20000) AS many", 3);
    let limit = Duration::from_secs(2);
    let began = Instant::now();
    let limited = builder(&server.url()).await.retries(patient()).attempt_timeout(limit);
    let ended = run(limited, &script).await;
    assert!(began.elapsed() < limit + Duration::from_secs(5), "{:?}", began.elapsed());
    assert_eq!((ended.report.applied, ended.report.unknown), (0, 4), "{ended}");
    assert_eq!(ended.kind(), Some(ErrorKind::OutcomeUnknown), "{ended}");
}
