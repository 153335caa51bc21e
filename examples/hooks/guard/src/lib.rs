//! A hook that refuses statements: by what they do, and changes of whole tables.
//!
//! It is configured with words: `deny=` and what is refused, parted by commas, and `action=abort`
//! (the run ends, the default) or `action=skip` (the batch is left out). What can be refused:
//!
//! | word | statements |
//! |---|---|
//! | `ddl` | `CREATE`, `ALTER`, `DROP`, `TRUNCATE`, `GRANT` and their like |
//! | `unbounded` | `DELETE` and `UPDATE` without `WHERE`, inside `WITH` and `EXPLAIN`, too |
//! | a kind: `select`, `insert`, `update`, `delete`, `call`, … | those of that kind |
//!
//! Without `deny=` it is `ddl,unbounded`. What a statement does is said by the splitter, which has
//! read it as the database's client does: neither comments nor case nor a second statement in the
//! same line hide anything. What a stored program, `CALL`, `DO` or `EXECUTE` does inside is not
//! seen; `deny=call` refuses them.

#![cfg_attr(not(target_arch = "wasm32"), expect(dead_code, reason = "only the component is used"))]

mod bindings;
mod rules;
mod scan;

use std::sync::OnceLock;

use bindings::{
    Component,
    exports::sql_batcher::core::handler::{Batch, BatchInfo, Guest, Outcome, Verdict},
    sql_batcher::core::types::{Body, Kind},
};
use rules::Rules;

static RULES: OnceLock<Rules> = OnceLock::new();

impl Guest for Component {
    fn configure(text: String) -> Result<(), String> {
        RULES.set(Rules::read(&text)?).map_err(|_| "it is configured already".to_owned())
    }

    fn pre_batch(batch: Batch) -> Result<Verdict, String> {
        let rules = RULES.get().ok_or("it is not configured")?;
        let body = match &batch.body {
            Body::Text(text) => text.as_bytes(),
            Body::Bytes(bytes) => bytes,
        };
        let mut start = 0;
        let mut stretches = batch.stretches.iter().peekable();
        let (mut line, mut kind) = (1, Kind::Other);
        for (index, &end) in batch.ends.iter().enumerate() {
            if let Some(next) = stretches.next_if(|next| next.first as usize == index) {
                (line, kind) = (u64::from(next.line), next.kind);
            }
            let text = body.get(start..end as usize).unwrap_or_default();
            start = end as usize;
            let starts_in = line;
            line += text.iter().filter(|byte| **byte == b'\n').count() as u64;
            if let Some(reason) = rules.refuses(name(kind), text) {
                let number = batch.first_statement + index as u64;
                let reason = format!("statement {number} (line {starts_in}): {reason}");
                return Ok(match rules.skips() {
                    true => Verdict::Skip(reason),
                    false => Verdict::Abort(reason),
                });
            }
        }
        Ok(Verdict::Proceed)
    }

    fn post_batch(_: BatchInfo, _: Outcome) -> Result<(), String> {
        Ok(())
    }
}

/// A kind as it is written in the configuration.
fn name(kind: Kind) -> &'static str {
    match kind {
        Kind::Select => "select",
        Kind::Insert => "insert",
        Kind::Replace => "replace",
        Kind::Update => "update",
        Kind::Delete => "delete",
        Kind::Merge => "merge",
        Kind::Copy => "copy",
        Kind::Create => "create",
        Kind::Alter => "alter",
        Kind::Drop => "drop",
        Kind::Truncate => "truncate",
        Kind::Grant => "grant",
        Kind::Set => "set",
        Kind::Begin => "begin",
        Kind::Commit => "commit",
        Kind::Rollback => "rollback",
        Kind::Savepoint => "savepoint",
        Kind::Lock => "lock",
        Kind::Call => "call",
        Kind::Maintain => "maintain",
        Kind::Other => "other",
    }
}
