//! What the benchmarks share: the scripts they run, the program they start, and the tables they
//! leave in `target/bench/`. The benchmarks themselves are in `benches/`, one question a file:
//!
//! - `splitting`: how fast is a script split and batched, natively and in the sandbox?
//! - `sessions`: what does it cost to open a session, and to call into it?
//! - `startup`: how long from the start of the process to its first batch?
//! - `splitters`: how fast do others split the same script?
//! - `databases`: how much faster is a whole run than others with the same rows?
//! - `fast_path`: what does an adapter's fast path gain, and how near is it to what a database can
//!   take?
//! - `sandbox`: how much slower is a whole run because the core is in a sandbox?
//! - `network`: the same with a server that is some milliseconds away.
//! - `recovery`: what does a ledger cost, and what do several batches in flight gain?
//! - `hooks`: what does a hook cost for each batch?
//! - `trino`: how much faster than one statement a request are joined INSERTs there?
//! - `memory`: does the program need more memory for a larger script?
//!
//! `cargo xtask bench` runs all of them, with servers of its own, and makes one table of all. One
//! without servers: `cargo bench -p sql-batcher-benches --bench splitting`. What a benchmark needs
//! and does not find is said, and left out.
//!
//! Figures of this kind are good as ratios within one run on one machine, and for nothing else.

pub mod database;
pub mod engine;
pub mod estimates;
pub mod goal;
pub mod native;
pub mod peer;
pub mod picture;
pub mod program;
pub mod results;
pub mod rows;
pub mod sample;
pub mod scripts;
pub mod table;
pub mod ways;

/// Whether this process was started by `cargo bench`, and not by `cargo test --benches`, which
/// only wants to know that benchmarks still build.
#[must_use]
pub fn is_measuring() -> bool {
    std::env::args().any(|argument| argument == "--bench")
}

/// A number from the environment.
///
/// # Panics
/// If the variable is set to something that is no number.
#[must_use]
pub fn number(variable: &str, default: u64) -> u64 {
    match std::env::var(variable) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{variable}={text} is no number")),
        Err(_) => default,
    }
}
