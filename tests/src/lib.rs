//! What the tests across crates share.

pub mod conformance;
pub mod recorder;
pub mod scripts;
pub mod servers;
