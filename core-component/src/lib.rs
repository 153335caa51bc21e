//! The WebAssembly component around `sql-batcher-core`: nothing but the conversions between the
//! records of the contract and those of the core, and one resource that holds a session.

#![cfg_attr(not(target_arch = "wasm32"), expect(dead_code, reason = "only the component is used"))]

mod bindings;
mod convert;
mod guest;
