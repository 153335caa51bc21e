//! What the service answers, as its documentation has it
//! (<https://docs.snowflake.com/en/developer-guide/sql-api/reference>).

use serde::Deserialize;

/// A row of values, each of them text or NULL.
pub(super) type Values = Vec<Option<String>>;

/// `ResultSet`, `QueryStatus` and `QueryFailureStatus` in one: what is absent is empty.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Body {
    pub(super) code: Option<String>,
    pub(super) sql_state: Option<String>,
    pub(super) message: Option<String>,
    pub(super) statement_handle: Option<String>,
    /// One for each statement, where there are several.
    pub(super) statement_handles: Option<Vec<String>>,
    pub(super) result_set_meta_data: Option<MetaData>,
    pub(super) data: Option<Vec<Values>>,
    pub(super) stats: Option<Stats>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct MetaData {
    partition_info: Option<Vec<serde_json::Value>>,
}

impl Body {
    /// The parts that the rows come in; the answer itself has the first.
    pub(super) fn partitions(&self) -> usize {
        let info = self.result_set_meta_data.as_ref();
        info.and_then(|info| info.partition_info.as_ref()).map_or(0, Vec::len)
    }

    /// The values of the first rows.
    pub(super) fn first(self) -> Option<String> {
        self.data.into_iter().flatten().flatten().flatten().next()
    }
}

/// What a change did.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Stats {
    num_rows_inserted: Option<u64>,
    num_rows_updated: Option<u64>,
    num_rows_deleted: Option<u64>,
}

impl Stats {
    /// Rows affected, where something says so.
    pub(super) fn rows(&self) -> Option<u64> {
        let counts = [self.num_rows_inserted, self.num_rows_updated, self.num_rows_deleted];
        counts.into_iter().flatten().reduce(u64::saturating_add)
    }
}

/// A further part of the rows of a result.
#[derive(Debug, Deserialize)]
pub(super) struct Partition {
    pub(super) data: Vec<Values>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_may_lack_anything() {
        for text in ["{}", r#"{"data":null,"resultSetMetaData":{"partitionInfo":null}}"#] {
            let body: Body = serde_json::from_str(text).unwrap();
            assert!(body.code.is_none() && body.partitions() == 0 && body.first().is_none());
        }
        let stats = r#"{"stats":{"numRowsInserted":2,"numRowsDeleted":1},"other":1}"#;
        let body: Body = serde_json::from_str(stats).unwrap();
        assert_eq!(body.stats.and_then(|stats| stats.rows()), Some(3));
    }
}
