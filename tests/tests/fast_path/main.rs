//! The fast path stores what the text stores, fails as the text fails, and says the same of it: for
//! tables of all types and literals of all kinds, valid or not.

mod postgres;
mod sqlite;

use proptest::{collection::vec, prelude::*, sample::select};
use sql_batcher_adapters::{Connection, Fault, InsertRows, Problem, Request, Scope};

/// More bytes of rows than any adapter thinks too few for its fast path.
const PADDING: usize = 9000;

/// An INSERT, cut as a batch says it.
#[derive(Clone, Debug)]
struct Insert {
    prefix: String,
    rows: String,
    tail: &'static str,
}

/// What became of a request, as far as it must be the same: rows, or what is said of the error.
#[derive(Debug, PartialEq)]
struct Fate(Result<Option<u64>, Said>);

type Said = (Fault, Option<String>, String, Option<u32>, Option<u32>, u32, bool);

impl Insert {
    fn new(prefix: impl Into<String>, rows: &[Vec<String>], tail: &'static str) -> Self {
        Self { tail, ..Self::padded(prefix, rows, PADDING) }
    }

    fn padded(prefix: impl Into<String>, rows: &[Vec<String>], bytes: usize) -> Self {
        let rows: Vec<String> = rows.iter().map(|row| format!("({})", row.join(", "))).collect();
        let mut rows = rows.join(",\n");
        let end = rows.len() - 1;
        rows.insert_str(end, &" ".repeat(bytes));
        Self { prefix: prefix.into(), rows, tail: "" }
    }

    fn text(&self) -> String {
        format!("{}{}{};", self.prefix, self.rows, self.tail)
    }
}

/// Runs statements with INSERTs among them, as text or in the fastest way.
async fn run(
    session: &mut dyn Connection,
    scope: Scope,
    statements: &[Result<&Insert, &str>],
    is_fast: bool,
) -> Fate {
    let mut body = Vec::new();
    let (mut ends, mut inserts) = (Vec::new(), Vec::new());
    for (index, statement) in statements.iter().enumerate() {
        match statement {
            Ok(insert) => {
                body.extend_from_slice(insert.text().as_bytes());
                inserts.push(InsertRows {
                    statement: u32::try_from(index).expect("tests are small"),
                    prefix: u32::try_from(insert.prefix.len()).expect("tests are small"),
                    tail: u32::try_from(insert.tail.len()).expect("tests are small"),
                });
            }
            Err(text) => body.extend_from_slice(text.as_bytes()),
        }
        if index + 1 < statements.len() {
            body.push(b'\n');
        }
        ends.push(u32::try_from(body.len()).expect("tests are small"));
    }
    let inserts = if is_fast { &inserts[..] } else { &[] };
    let request = Request { body: &body, ends: &ends, scope, copy: None, inserts };
    Fate(session.execute(request).await.map(|effects| effects.rows).map_err(said))
}

fn said(problem: Problem) -> Said {
    let Problem { fault, code, message, statement, offset, kept, outcome_unknown, .. } = problem;
    (fault, code, message, statement, offset, kept, outcome_unknown)
}

/// All rows of a query, so that they can be compared and shown.
async fn rows(session: &mut dyn Connection, query: &str) -> Vec<String> {
    let rows = session.fetch(query).await.unwrap_or_else(|problem| panic!("{query}: {problem:?}"));
    rows.iter().map(|row| format!("{row:?}")).collect()
}

/// Rows of literals: each column has its own that fit, and at times any other.
fn literals(
    columns: Vec<Vec<&'static str>>,
    any: &'static [&'static str],
) -> BoxedStrategy<Vec<Vec<String>>> {
    let value = |fitting: Vec<&'static str>| {
        prop_oneof![
            30 => select(fitting).prop_map(str::to_owned),
            1 => select(any).prop_map(str::to_owned),
            1 => "'[a-z0-9 \t\\\\\n.:-]{0,12}'",
            1 => "[+-]?[0-9]{1,12}",
            1 => "-?[0-9]{0,9}\\.[0-9]{1,9}",
        ]
    };
    let row: Vec<_> = columns.into_iter().map(value).collect();
    vec(row, 1..6).boxed()
}
