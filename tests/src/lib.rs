//! What the tests across crates share.

pub mod collector;
pub mod conformance;
pub mod direct;
pub mod dumps;
pub mod hooks;
pub mod http;
pub mod http_proxy;
pub mod own_server;
pub mod proxy;
pub mod recorder;
pub mod scripts;
pub mod servers;
pub mod snowflake;
pub mod split;
pub mod types;
