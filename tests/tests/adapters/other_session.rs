//! A cancel and an end that come late: the number of their session may be that of another one by
//! then, which is not theirs to stop.

#![expect(clippy::unwrap_used, reason = "a test ends where something of its own fails")]

use std::{future::Future, time::Duration};

use sql_batcher_adapters::{Connection, Effects, Fault, MySql, Postgres, Problem};
use sql_batcher_tests::{
    conformance::{bare, session},
    own_server::{own_mariadb, own_postgres},
    servers::mysql_url,
};
use xtask::servers::Setup;

/// How long a statement takes that is to be stopped; one that is not to be stopped takes no longer
/// than it must.
const SLOW_SECONDS: u32 = 2;

/// Runs a statement that takes its time, and calls meanwhile what may stop it.
async fn while_slow(
    session: &mut dyn Connection,
    slow: &str,
    stop: impl Future<Output = ()>,
) -> Result<Effects, Problem> {
    let slow = [slow];
    let (ran, ()) = tokio::join!(bare(session, &slow), async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        stop.await;
    });
    ran
}

#[tokio::test]
async fn a_process_of_postgresql_with_another_start_is_another_session() {
    let setup = Setup { settings: &["allow_system_table_mods=on"], ..Setup::default() };
    let Some(server) = own_postgres(setup) else { return };
    let adapter = Postgres::connect(&server.url()).await.unwrap();
    let mut victim = session(&adapter).await;
    let cancel = victim.cancel_handle().unwrap();
    let mut admin = session(&adapter).await;
    // The numbers that a server of PostgreSQL gives cannot be chosen, but what it says of them can:
    // as if the session had ended, and another one had its number since.
    let later = [
        "ALTER VIEW pg_catalog.pg_stat_activity RENAME TO pg_stat_true;",
        "CREATE VIEW pg_catalog.pg_stat_activity AS SELECT pid, \
         backend_start + interval '1 second' AS backend_start FROM pg_catalog.pg_stat_true;",
    ];
    bare(&mut *admin, &later).await.unwrap();
    let slow = format!("SELECT pg_sleep({SLOW_SECONDS});");
    let ran = while_slow(&mut *victim, &slow, async {
        cancel.cancel().await.unwrap();
        cancel.terminate().await.unwrap();
    });
    ran.await.unwrap();
    let as_it_was = [
        "DROP VIEW pg_catalog.pg_stat_activity;",
        "ALTER VIEW pg_catalog.pg_stat_true RENAME TO pg_stat_activity;",
    ];
    bare(&mut *admin, &as_it_was).await.unwrap();
    let ran = while_slow(&mut *victim, "SELECT pg_sleep(60);", async {
        cancel.cancel().await.unwrap();
    });
    assert_eq!(ran.await.unwrap_err().fault, Fault::Cancelled);
}

#[tokio::test]
async fn a_thread_of_mariadb_after_a_restart_is_another_session() {
    let Some(mut server) = own_mariadb(Setup::default()) else { return };
    let adapter = MySql::connect(&server.url()).await.unwrap();
    let mut first = session(&adapter).await;
    let cancel = first.cancel_handle().unwrap();
    let id = id_of(&mut *first).await;
    first.close().await;
    server.stop();
    // So soon that the two starts are not told apart: the clients are.
    server.start_again().unwrap();
    let mut other = session(&adapter).await;
    while id_of(&mut *other).await < id {
        other.close().await;
        other = session(&adapter).await;
    }
    assert_eq!(id_of(&mut *other).await, id, "numbers begin anew");
    let slow = format!("SELECT sleep({SLOW_SECONDS});");
    let ran = while_slow(&mut *other, &slow, async {
        cancel.cancel().await.unwrap();
        cancel.terminate().await.unwrap();
    });
    ran.await.unwrap();
    assert_eq!(id_of(&mut *other).await, id);
}

async fn id_of(session: &mut dyn Connection) -> u64 {
    let rows = session.fetch("SELECT CAST(connection_id() AS CHAR)").await.unwrap();
    rows[0][0].as_deref().unwrap().parse().unwrap()
}

#[tokio::test]
async fn a_cancel_of_a_session_of_mariadb_that_has_ended_does_nothing() {
    let Some(url) = mysql_url() else { return };
    let adapter = MySql::connect(&url).await.unwrap();
    let session = session(&adapter).await;
    let cancel = session.cancel_handle().unwrap();
    session.close().await;
    cancel.terminate().await.unwrap();
    cancel.cancel().await.unwrap();
}
