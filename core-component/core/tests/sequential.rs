//! What may be handed to a host that deals with one batch after another.

mod recorder;

use sql_batcher_core::{Dialect, Limits, Options, Session};

use crate::recorder::Recorder;

/// The batches that are handed out of a script before any has ended.
fn handed_out(script: &str, max_batch_bytes: u64, sequential: bool) -> Vec<u64> {
    let limits = Limits { max_batch_bytes, max_in_flight: 2, sequential, ..Limits::default() };
    let mut session = Session::open(Options { limits, ..Options::new(Dialect::PostgreSql) })
        .expect("the options are valid");
    let mut host = Recorder { waits: true, ..Recorder::default() };
    session.push(&mut host, script.as_bytes().to_vec(), 0);
    let progress = session.finish(&mut host, 0);
    assert_eq!(progress.in_flight as usize, host.batches.len());
    host.batches.iter().map(|batch| batch.id).collect()
}

#[test]
fn a_batch_that_runs_alone_waits_for_its_turn_with_the_host() {
    for script in [
        "BEGIN; SELECT 1; SELECT 2; SELECT 3; COMMIT;",
        "CREATE TABLE t (a int); INSERT INTO t VALUES (1); INSERT INTO t VALUES (2);",
    ] {
        assert_eq!(handed_out(script, 26, false), [1], "{script}");
        assert_eq!(handed_out(script, 26, true), [1, 2], "{script}");
    }
}

#[test]
fn a_part_of_a_copy_is_handed_out_alone_in_any_case() {
    let script = "COPY t FROM stdin;\n1\n2\n3\n4\n5\n6\n7\n8\n9\n\\.\n";
    for sequential in [false, true] {
        assert_eq!(handed_out(script, 24, sequential), [1]);
    }
}
