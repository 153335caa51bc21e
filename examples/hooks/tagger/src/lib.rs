//! A hook that tags what is sent with a comment behind a statement, as sqlcommenter does
//! (<https://google.github.io/sqlcommenter/spec/>), so that the server's own logs say where it came
//! from:
//!
//! ```sql
//! INSERT INTO t VALUES (1) /*application='loader',team='data'*/;
//! ```
//!
//! It is configured with pairs `application=loader,team=data`. The first statement of each batch is
//! tagged, as a batch is one request; with the word `each` among the pairs, every one. The data of a
//! `COPY` is left as it is.

#![cfg_attr(not(target_arch = "wasm32"), expect(dead_code, reason = "only the component is used"))]

mod bindings;
mod tag;

use std::sync::OnceLock;

use bindings::{
    Component,
    exports::sql_batcher::core::handler::{Batch, BatchInfo, Guest, Outcome, Verdict},
    sql_batcher::core::types::Body,
};
use tag::Tag;

static TAG: OnceLock<Tag> = OnceLock::new();

impl Guest for Component {
    fn configure(text: String) -> Result<(), String> {
        TAG.set(Tag::read(&text)?).map_err(|_| "it is configured already".to_owned())
    }

    fn pre_batch(batch: Batch) -> Result<Verdict, String> {
        let tag = TAG.get().ok_or("it is not configured")?;
        if batch.copy.is_some() {
            return Ok(Verdict::Proceed);
        }
        let terminators: Vec<(u32, u32)> =
            batch.stretches.iter().map(|one| (one.first, one.terminator)).collect();
        let places = (batch.ends.as_slice(), terminators.as_slice());
        Ok(Verdict::Replace(match batch.body {
            Body::Text(text) => {
                let tagged = tag.put(text.as_bytes(), places);
                Body::Text(String::from_utf8(tagged).map_err(|error| error.to_string())?)
            }
            Body::Bytes(bytes) => Body::Bytes(tag.put(&bytes, places)),
        }))
    }

    fn post_batch(_: BatchInfo, _: Outcome) -> Result<(), String> {
        Ok(())
    }
}
