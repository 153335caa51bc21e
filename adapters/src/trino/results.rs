//! What the server answers about a statement
//! (<https://trino.io/docs/current/develop/client-protocol.html#important-queryresults-attributes>).

use serde::{Deserialize, de::IgnoredAny};

/// One answer of many. What stands in its rows is what `D` takes of them.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Results<D> {
    pub(super) next_uri: Option<String>,
    // Serde would ask `D` to have a default without this.
    #[serde(default = "none")]
    pub(super) data: Option<D>,
    pub(super) error: Option<QueryError>,
    pub(super) update_count: Option<u64>,
    pub(super) update_type: Option<String>,
    #[serde(default)]
    pub(super) stats: Stats,
    #[serde(default)]
    pub(super) warnings: Vec<Warning>,
}

fn none<D>() -> Option<D> {
    None
}

/// Rows that nobody wants.
pub(super) type NoRows = IgnoredAny;

/// How far it is.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Stats {
    /// Whether work was given to workers.
    #[serde(default)]
    pub(super) scheduled: bool,
}

/// Why a statement failed.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct QueryError {
    pub(super) message: Option<String>,
    pub(super) error_name: String,
    pub(super) error_type: String,
    pub(super) error_location: Option<Location>,
    pub(super) failure_info: Option<FailureInfo>,
}

/// Where in the statement: both count from 1, the column in characters (code points).
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Location {
    pub(super) line_number: u32,
    pub(super) column_number: u32,
}

/// The exception behind it, of Java.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct FailureInfo {
    #[serde(rename = "type")]
    pub(super) class: String,
    pub(super) message: Option<String>,
    pub(super) cause: Option<Box<FailureInfo>>,
}

impl FailureInfo {
    /// The exception and its causes.
    pub(super) fn chain(&self) -> impl Iterator<Item = &Self> {
        std::iter::successors(Some(self), |failure| failure.cause.as_deref())
    }
}

/// Something that the server wants to be known.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Warning {
    pub(super) message: String,
    pub(super) warning_code: WarningCode,
}

/// What kind of thing.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct WarningCode {
    pub(super) name: String,
}
