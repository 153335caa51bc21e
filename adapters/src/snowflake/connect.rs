//! URL, capabilities, and the ways to cancel and to end a session.

use std::{path::Path, sync::Arc, time::Duration};

use async_trait::async_trait;
use url::{Url, form_urlencoded};

use crate::{
    AdapterError, Cancel, Capabilities, Dialect, Fault, PoolOptions, Problem,
    connect::{Target, scheme, server_url, unsupported},
    http::{Http, HttpOptions},
};

use super::{
    api::{Api, Context, Ended},
    credentials::{Credentials, Given, KeyPair},
    flight::Current,
    problem, settings, texts,
};

/// Options of the URL.
const KNOWN: &[&str] = &[
    "warehouse",
    "role",
    "private_key_file",
    "token_file",
    "authenticator",
    "base_url",
    "ca_file",
];

/// The most bytes of a text, all of its statements together, that the service advises
/// (<https://docs.snowflake.com/en/user-guide/query-size-limits>).
const MAX_TEXT_BYTES: u64 = 1_000_000;
/// The most rows of one `VALUES`. Newer accounts take 200,000, others no more than this
/// (<https://docs.snowflake.com/en/sql-reference/sql/insert>).
const MAX_ROWS: u32 = 16_384;
/// How long one answer may take: the service gives one after 45 seconds, whatever runs.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(120);

const USER_AGENT: &str = concat!("sql-batcher/", env!("CARGO_PKG_VERSION"));

/// Reads a URL.
pub(super) fn api(url: &str, pool: &PoolOptions) -> Result<Api, AdapterError> {
    match scheme(url)? {
        "snowflake" => {}
        other => return Err(unsupported(other)),
    }
    let url = server_url(url, KNOWN)?;
    let option = |name: &str| {
        let mut pairs = url.query_pairs();
        pairs.find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
    };
    let account = url.host_str().map(decoded).filter(|account| !account.is_empty());
    let account = account.ok_or_else(|| refused("the database url names no account"))?;
    let user = decoded(url.username());
    let base = base(&account, option("base_url"))?;
    let http = Http::new(&HttpOptions {
        connect_timeout: pool.connect_timeout,
        answer_timeout: ANSWER_TIMEOUT,
        is_tls: base.starts_with("https:"),
        ca_file: option("ca_file").as_deref().map(Path::new),
        user_agent: USER_AGENT,
    })?;
    let credentials = credentials(&url, &account, &user, option)?;
    let mut path = url.path_segments().into_iter().flatten().map(decoded);
    let mut name = || path.next().filter(|name| !name.is_empty());
    let (database, schema) = (name(), name());
    let target = Target {
        system: "snowflake",
        place: base.split_once("://").map_or(&*base, |(_, place)| place).to_owned(),
        user,
        database: database.clone(),
    };
    let context =
        Context { database, schema, warehouse: option("warehouse"), role: option("role") };
    Ok(Api { http, base, credentials, context, target, patience: pool.connect_timeout })
}

/// The URL of an account. Its tokens are for nobody's eyes, so it is `https`, except on this
/// machine.
fn base(account: &str, given: Option<String>) -> Result<String, AdapterError> {
    let Some(given) = given else {
        let valid = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if !account.chars().all(valid) {
            return Err(refused("the account has other than letters, digits, and -_."));
        }
        // Host names have no underscores; the service takes a hyphen for each.
        let host = account.to_ascii_lowercase().replace('_', "-");
        return Ok(format!("https://{host}.snowflakecomputing.com"));
    };
    let url = Url::parse(&given).map_err(|error| refused(format!("base_url: {error}")))?;
    let is_here = matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
    match url.scheme() {
        "https" => {}
        "http" if is_here => {}
        _ => return Err(refused("base_url has to begin with https:")),
    }
    if url.query().is_some() || !url.username().is_empty() || url.password().is_some() {
        return Err(refused("base_url is a host and a path, and nothing else"));
    }
    Ok(given.trim_end_matches('/').to_owned())
}

fn credentials(
    url: &Url,
    account: &str,
    user: &str,
    option: impl Fn(&str) -> Option<String>,
) -> Result<Credentials, AdapterError> {
    let secret = url.password().map(decoded).filter(|secret| !secret.is_empty());
    if let Some(path) = option("private_key_file") {
        if user.is_empty() {
            return Err(refused("the database url names no user, whose key it would be"));
        }
        let pair = KeyPair::read(Path::new(&path), secret.as_deref(), account, user)?;
        return Ok(Credentials::KeyPair(Box::new(pair)));
    }
    let kind = match option("authenticator").as_deref() {
        None | Some("programmatic_access_token") => "PROGRAMMATIC_ACCESS_TOKEN",
        Some("oauth") => "OAUTH",
        Some(other) => {
            let known = "programmatic_access_token, oauth";
            return Err(refused(format!("unknown authenticator {other:?}; known are {known}")));
        }
    };
    let token = match (option("token_file"), secret) {
        (Some(path), _) => Given::File(path.into()),
        (None, Some(secret)) => Given::Value(secret),
        (None, None) => {
            return Err(refused(
                "there is no private key and no token: say private_key_file or token_file in the \
                 url, or put the token in the place of its password or in SQL_BATCHER_PASSWORD",
            ));
        }
    };
    Ok(Credentials::Given { kind, token })
}

/// Asks the service what it is.
pub(super) async fn capabilities(
    api: &Arc<Api>,
    limit: Duration,
) -> Result<Capabilities, AdapterError> {
    let asked = async {
        let submission = api.submission("SELECT CURRENT_VERSION()", 1, None)?;
        api.run(&submission, &Current::default()).await
    };
    let version = match tokio::time::timeout(limit, asked).await {
        Ok(Ok(Ended::Done(body))) => body.first(),
        Ok(Ok(Ended::Refused(body))) => {
            let problem = problem::of_connecting(body);
            return Err(unavailable(&api.target, problem));
        }
        Ok(Err(problem)) => return Err(unavailable(&api.target, problem)),
        Err(_) => return Err(too_slow(&api.target, limit)),
    };
    let added = settings::MAX_SETTINGS_BYTES + texts::OVERHEAD_BYTES;
    Ok(Capabilities {
        server: format!("Snowflake {}", version.unwrap_or_default()).trim_end().to_owned(),
        dialect: Dialect::Snowflake,
        max_request_bytes: MAX_TEXT_BYTES - added as u64,
        max_request_characters: None,
        max_statements_per_request: None,
        max_rows_per_insert: Some(MAX_ROWS),
        best_rows_per_insert: None,
        merging_obstacle: None,
        merges_conflicts: true,
        fast_path: false,
        transactions: true,
        transactions_span_requests: false,
        transactional_ddl: false,
        savepoints: false,
        max_writers: None,
        copy: false,
        binary_text: false,
        cancel: true,
        notes: Vec::new(),
    })
}

/// Cancels what a session runs, or ends the session.
#[derive(Clone)]
pub(super) struct Stop {
    pub(super) api: Arc<Api>,
    pub(super) current: Current,
    pub(super) limit: Duration,
}

#[async_trait]
impl Cancel for Stop {
    async fn cancel(&self) -> Result<(), AdapterError> {
        let Some(flight) = self.current.flight() else { return Ok(()) };
        self.within(self.api.cancel(&flight)).await.map(drop)
    }

    async fn terminate(&self) -> Result<(), AdapterError> {
        self.current.end_session();
        let Some(flight) = self.current.flight() else { return Ok(()) };
        self.within(self.api.end(&flight)).await?;
        self.current.end();
        Ok(())
    }
}

impl Stop {
    async fn within<T>(
        &self,
        work: impl Future<Output = Result<T, Problem>>,
    ) -> Result<T, AdapterError> {
        match tokio::time::timeout(self.limit, work).await {
            Ok(done) => done.map_err(|problem| unavailable(&self.api.target, problem)),
            Err(_) => Err(too_slow(&self.api.target, self.limit)),
        }
    }
}

fn unavailable(target: &Target, problem: Problem) -> AdapterError {
    let Problem { fault, message, code, transient, source, .. } = problem.without_values();
    let message = target.refused(fault, &message);
    AdapterError { fault, message, code, transient, source }
}

fn too_slow(target: &Target, waited: Duration) -> AdapterError {
    let message = format!("no answer from {target} within {} ms", waited.as_millis());
    AdapterError { transient: true, ..AdapterError::new(Fault::Timeout, message) }
}

/// A part of a URL without its percent signs.
fn decoded(text: &str) -> String {
    let text = format!("={}", text.replace('+', "%2B").replace('&', "%26"));
    form_urlencoded::parse(text.as_bytes()).map(|(_, value)| value.into_owned()).collect()
}

fn refused(message: impl Into<String>) -> AdapterError {
    AdapterError::new(Fault::Options, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(url: &str) -> String {
        api(url, &PoolOptions::default()).err().map_or_else(String::new, |error| error.message)
    }

    #[test]
    fn a_url_names_account_user_and_where_to_work() {
        let url =
            "snowflake://me%40x:a+b%25@my_org-acct/DB%2F1/S?warehouse=W&role=R&authenticator=oauth";
        let api = api(url, &PoolOptions::default()).unwrap();
        assert_eq!(api.base, "https://my-org-acct.snowflakecomputing.com");
        assert_eq!(api.target.user, "me@x");
        let Context { database, schema, warehouse, role } = api.context;
        let names = [database, schema, warehouse, role].map(Option::unwrap_or_default);
        assert_eq!(names, ["DB/1", "S", "W", "R"]);
        let token = api.credentials.token(std::time::SystemTime::now()).unwrap();
        assert_eq!((token.kind, &*token.text), ("OAUTH", "a+b%"));
    }

    #[test]
    fn what_is_wrong_with_a_url_is_said_without_its_secret() {
        for (url, expected) in [
            ("snowflake://u:s3cret@/db", "empty host"),
            ("snowflake:///db", "names no account"),
            ("snowflake://u@acct/db", "no private key and no token"),
            ("snowflake://u:s3cret@acct/db?authenticator=password", "unknown authenticator"),
            ("snowflake://u:s3cret@acct/db?wharehouse=w", "unknown option"),
            ("snowflake://u:s3cret@acct/db?private_key_file=/no/such/file", "cannot be read"),
            ("snowflake://:s3cret@acct/db?private_key_file=/k", "names no user"),
            ("snowflake://u:s3cret@acct/db?base_url=http://elsewhere", "begin with https:"),
            ("snowflake://u:s3cret@acct/db?base_url=https://u:p@elsewhere", "nothing else"),
            ("snowflake://u:s3cret@ac%20ct/db", "other than letters"),
        ] {
            let said = said(url);
            assert!(said.contains(expected) && !said.contains("s3cret"), "{url}: {said}");
        }
        assert_eq!(said("snowflake://u:p@acct?base_url=http://127.0.0.1:1/x/"), "");
    }
}
