//! What may be handed to a host that deals with one batch after another.

use sql_batcher_core::{
    Batch, BatchInfo, Dialect, Event, Execution, Host, Limits, Options, Outcome, Session, Verdict,
};

/// Says of everything that it is under way.
#[derive(Default)]
struct Starts(Vec<u64>);

impl Host for Starts {
    fn execute(&mut self, batch: Batch) -> Execution {
        self.0.push(batch.id);
        Execution::Pending
    }

    fn pre_batch(&mut self, _: u32, _: &Batch) -> Result<Verdict, String> {
        Ok(Verdict::Proceed)
    }

    fn post_batch(&mut self, _: u32, _: BatchInfo, _: &Outcome) -> Result<(), String> {
        Ok(())
    }

    fn emit(&mut self, _: Event) {}
}

/// The batches that are handed out of a script before any has ended.
fn handed_out(script: &str, max_batch_bytes: u64, sequential: bool) -> Vec<u64> {
    let limits = Limits { max_batch_bytes, max_in_flight: 2, sequential, ..Limits::default() };
    let mut session = Session::open(Options { limits, ..Options::new(Dialect::PostgreSql) })
        .expect("the options are valid");
    let mut host = Starts::default();
    session.push(&mut host, script.as_bytes().to_vec(), 0);
    let progress = session.finish(&mut host, 0);
    assert_eq!(progress.in_flight as usize, host.0.len());
    host.0
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
