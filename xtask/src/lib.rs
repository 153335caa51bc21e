//! What `cargo xtask` and the tests share: throw-away database servers, and running other programs.
//! It depends on the standard library only, so that it is built at once.

pub mod error;
pub mod process;
pub mod servers;

/// Says, for a person who waits, what happens next.
pub fn announce(what: &str) {
    eprintln!("==> {what}");
}
