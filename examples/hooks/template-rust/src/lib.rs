//! A hook in Rust: ends the run before a batch of more statements than it is configured with.

wit_bindgen::generate!({ path: "../../../wit", world: "hook", generate_all });

use exports::sql_batcher::core::handler::{Batch, BatchInfo, Guest, Outcome, Verdict};
use std::sync::OnceLock;

static MOST: OnceLock<usize> = OnceLock::new();
struct MyHook;

impl Guest for MyHook {
    fn configure(text: String) -> Result<(), String> {
        let most = text.parse().map_err(|_| format!("{text:?} is no number of statements"))?;
        MOST.set(most).map_err(|_| "configured twice".to_owned())
    }

    fn pre_batch(batch: Batch) -> Result<Verdict, String> {
        let (count, most) = (batch.ends.len(), *MOST.get().ok_or("not configured")?);
        Ok(match count > most {
            true => Verdict::Abort(format!("{count} statements are more than {most}")),
            false => Verdict::Proceed,
        })
    }

    fn post_batch(_: BatchInfo, _: Outcome) -> Result<(), String> {
        Ok(())
    }
}

export!(MyHook);
