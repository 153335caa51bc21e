//! A script comes in long chunks: what is left of one is not copied together with the next where the
//! statement ends soon. Wherever it is cut, the batches are the same.

mod recorder;

use sql_batcher_core::{Batch, Dialect, Options, Session};

use crate::recorder::Recorder;

fn batches(dialect: Dialect, chunks: &[&[u8]]) -> Vec<Batch> {
    let mut options = Options::new(dialect);
    options.limits.max_batch_bytes = 50_000;
    let mut session = Session::open(options).expect("the options are valid");
    let mut kept = Recorder::default();
    for chunk in chunks {
        session.push(&mut kept, chunk.to_vec(), 0);
    }
    let progress = session.finish(&mut kept, 0);
    assert_eq!(progress.failure, None, "{dialect:?}");
    kept.batches
}

/// Statements of all kinds that matter at the end of a chunk.
fn script() -> Vec<u8> {
    let statements = [
        "INSERT INTO t VALUES (1, 'a');\n",
        "INSERT INTO t VALUES (2, 'a;\nb;\n');\n",
        "INSERT INTO t VALUES (3, 'ä'); INSERT INTO t VALUES (4, '');\r\n",
        "-- comment;\nUPDATE t SET a = 1\nWHERE b = 'it''s';\n",
        "/* a;\nb */ CREATE TABLE \"x;\ny\" (a INT);\n\n",
        "SELECT 1",
        ";\nDELETE FROM t;\n",
    ];
    statements.iter().cycle().take(6000).flat_map(|text| text.bytes()).collect()
}

#[test]
fn long_chunks_give_the_same_wherever_they_are_cut() {
    let script = script();
    for dialect in [Dialect::Sqlite, Dialect::PostgreSql, Dialect::MySql] {
        let whole = batches(dialect, &[&script]);
        assert!(whole.len() > 3);
        for first in 70_000..70_260 {
            let (a, b) = script.split_at(first);
            assert!(batches(dialect, &[a, b]) == whole, "{dialect:?}, cut at {first}");
        }
        for size in [65_536, 65_537, 100_003] {
            let chunks: Vec<&[u8]> = script.chunks(size).collect();
            assert!(batches(dialect, &chunks) == whole, "{dialect:?}, chunks of {size}");
        }
    }
}
