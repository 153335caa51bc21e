//! The answers, in the shapes of the documentation.

use serde_json::{Value, json};

/// What a result may be.
#[derive(Clone, Debug)]
pub(super) enum Answer {
    /// 200: rows, their number and how many are in one partition, and what a change did.
    Rows { rows: Vec<Vec<Option<String>>>, partitions: usize, affected: Option<(String, u64)> },
    /// 200: several statements.
    Several(Vec<String>),
    /// 422 or 408.
    Failed { status: u16, code: &'static str, state: &'static str, message: String },
}

/// What a failure says whose statement is one of several.
pub(super) fn of_several(statement: &str, line: usize, position: usize, inner: &str) -> String {
    const FAILED: &str = "Execution of multiple statements failed on statement";
    let mut shown: String = statement.chars().take(30).collect();
    if shown.len() < statement.len() {
        shown.push_str(" ...");
    }
    format!(
        "JavaScript execution error: Uncaught {FAILED} \"{shown}\" (at line {line}, position \
         {position}).\n{inner} in SYSTEM$MULTISTMT at '    throw `{FAILED} {{0}} (at line {{1}}, \
         position {{2}}).`.replace('{{1}}', LINES[i])' position 4\nstackstrace: \n\
         SYSTEM$MULTISTMT line: 10"
    )
}

impl Answer {
    /// The status and the body.
    pub(super) fn body(&self, handle: &str, request_id: &str) -> (u16, Value) {
        let url = format!("/api/v2/statements/{handle}?requestId={request_id}");
        match self {
            Self::Rows { rows, partitions, affected } => {
                let data = match affected {
                    Some((_, count)) => json!([[count.to_string()]]),
                    None => json!(rows),
                };
                let name = affected.as_ref().map_or("C1", |(name, _)| name.as_str());
                let parts = vec![json!({"rowCount": 1, "uncompressedSize": 1}); *partitions];
                let mut body = json!({
                    "resultSetMetaData": {
                        "numRows": rows.len(), "format": "jsonv2", "partitionInfo": parts,
                        "rowType": [{"name": name, "type": "text", "nullable": true}],
                    },
                    "data": data, "code": "090001", "sqlState": "00000", "statementHandle": handle,
                    "statementStatusUrl": url, "message": "Statement executed successfully.",
                    "createdOn": 1_622_494_569_592_u64,
                });
                if let Some((name, count)) = affected {
                    let stats = match name.as_str() {
                        "number of rows updated" => json!({"numRowsUpdated": count}),
                        "number of rows deleted" => json!({"numRowsDeleted": count}),
                        _ => json!({"numRowsInserted": count}),
                    };
                    body["stats"] = stats;
                }
                (200, body)
            }
            Self::Several(handles) => (
                200,
                json!({
                    "resultSetMetaData": {
                        "numRows": 1, "format": "jsonv2", "partitionInfo": [{"rowCount": 1}],
                        "rowType": [{"name": "multiple statement execution", "type": "text"}],
                    },
                    "data": [["Multiple statements executed successfully."]],
                    "code": "090001", "statementHandles": handles, "statementStatusUrl": url,
                    "sqlState": "00000", "statementHandle": handle,
                    "message": "Statement executed successfully.",
                    "createdOn": 1_625_684_162_876_u64,
                }),
            ),
            Self::Failed { status, code, state, message } => (
                *status,
                json!({
                    "code": code, "message": message, "sqlState": state, "statementHandle": handle,
                    "statementStatusUrl": url, "createdOn": 1_622_494_569_592_u64,
                }),
            ),
        }
    }
}

/// The body of 202.
pub(super) fn running(handle: &str, request_id: &str) -> Value {
    json!({
        "message": "Asynchronous execution in progress. Use provided query id to perform query \
                    monitoring and management.",
        "code": "333334", "statementHandle": handle,
        "statementStatusUrl": format!("/api/v2/statements/{handle}?requestId={request_id}"),
    })
}
