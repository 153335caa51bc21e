//! Database adapters: one trait, [`Adapter`], and a module per database.
//!
//! An adapter runs requests that others have made; it decides nothing about batching, retries or
//! time limits. All of them pass the same conformance tests, chosen by [`Capabilities`].

pub mod mysql;
pub mod postgres;
pub mod scripted;
pub mod snowflake;
pub mod sqlite;
pub mod trino;

mod adapter;
mod answers;
mod body;
mod connect;
mod failure;
mod http;
mod insert;
mod literals;
mod pool;
mod query;
mod values;

pub use adapter::{
    Adapter, Cancel, Capabilities, Connection, CopyPart, Dialect, Effects, InsertRows, Prepared,
    Request, Scope,
};
pub use connect::connect;
pub use failure::{AdapterError, Fault, Problem};
pub use mysql::MySql;
pub use pool::PoolOptions;
pub use postgres::Postgres;
pub use scripted::Scripted;
pub use snowflake::Snowflake;
pub use sqlite::Sqlite;
pub use trino::Trino;
