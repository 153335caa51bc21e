//! URL, first questions, capabilities.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use percent_encoding::percent_decode_str;
use url::Url;

use crate::{
    AdapterError, Capabilities, Dialect, Fault, PoolOptions, Problem,
    connect::{Target, scheme, server_url, unsupported},
    http::{Http, HttpOptions},
};

use super::{
    cancel::Running,
    protocol::{Auth, Client, Rows},
    session::{Fixed, State},
};

/// Options of the URL.
const KNOWN: &[&str] = &[
    "access-token",
    "source",
    "client-tags",
    "client-info",
    "session",
    "role",
    "extra-credential",
    "timezone",
    "ssl-ca",
    "max-query-length",
];

/// The default of `query.max-length`, and the most that it can be
/// (<https://trino.io/docs/current/admin/properties-query-management.html>).
const MAX_QUERY_LENGTH: u64 = 1_000_000;
const LONGEST_QUERY_LENGTH: u64 = 1_000_000_000;
/// Bytes of UTF-8 that one unit of UTF-16 takes at most.
const BYTES_A_CHARACTER: u64 = 3;
/// How long a request may take; a GET is answered within seconds, be it that there is nothing new.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);

/// What a URL says.
pub(super) struct Options {
    pub(super) client: Client,
    pub(super) state: State,
    pub(super) target: Target,
    pub(super) max_query_length: u64,
}

/// Reads a URL.
pub(super) fn options(url: &str, pool: &PoolOptions) -> Result<Options, AdapterError> {
    let is_tls = match scheme(url)? {
        "trino" => false,
        "trinos" => true,
        other => return Err(unsupported(other)),
    };
    let url = server_url(url, KNOWN)?;
    let host = url.host_str().filter(|host| !host.is_empty());
    let host = host.ok_or_else(|| refuse("the database url has no host"))?;
    let port = url.port().unwrap_or(if is_tls { 443 } else { 8080 });
    let user = decoded(url.username())?;
    let auth = auth(&url, &user, is_tls)?;
    let (catalog, schema) = place(&url)?;
    let target = Target {
        system: "trino",
        place: format!("{host}:{port}"),
        user: user.clone(),
        database: catalog.clone(),
    };
    let mut state = State::new(fixed(&url, user)?);
    (state.catalog, state.schema) = (catalog, schema);
    state.properties = pairs(&url, "session")?;
    state.roles = pairs(&url, "role")?;
    state
        .headers()
        .map_err(|header| refuse(format!("the url has what no header can hold: {header}")))?;
    let ca_file = option(&url, "ssl-ca").map(PathBuf::from);
    let http = Http::new(&HttpOptions {
        connect_timeout: pool.connect_timeout,
        answer_timeout: ANSWER_TIMEOUT,
        is_tls,
        ca_file: ca_file.as_deref(),
        user_agent: concat!("sql-batcher/", env!("CARGO_PKG_VERSION")),
    })?;
    let base = format!("{}://{host}:{port}/v1/statement", if is_tls { "https" } else { "http" });
    let base = Url::parse(&base).map_err(|error| refuse(format!("the host: {error}")))?;
    let client = Client::new(http, base, auth);
    Ok(Options { client, state, target, max_query_length: max_query_length(&url)? })
}

fn refuse(message: impl Into<String>) -> AdapterError {
    AdapterError::new(Fault::Options, message)
}

fn decoded(text: &str) -> Result<String, AdapterError> {
    let text = percent_decode_str(text).decode_utf8();
    let text =
        text.map_err(|_| refuse("the user name, password or path of the url is not UTF-8"))?;
    Ok(text.into_owned())
}

/// What proves who the user is. Never sent in the clear, as Trino's own clients have it.
fn auth(url: &Url, user: &str, is_tls: bool) -> Result<Auth, AdapterError> {
    let auth = match (option(url, "access-token"), url.password()) {
        (Some(_), Some(_)) => return Err(refuse("the url has a password and an access token")),
        (Some(token), None) => Auth::Bearer(token),
        (None, Some(password)) => Auth::Basic(user.to_owned(), decoded(password)?),
        (None, None) if user.is_empty() => {
            return Err(refuse("the database url has no user, which trino always needs"));
        }
        (None, None) => return Ok(Auth::None),
    };
    match is_tls {
        true => Ok(auth),
        false => Err(refuse("a password or an access token is sent over TLS only: trinos://")),
    }
}

/// Catalog and schema.
fn place(url: &Url) -> Result<(Option<String>, Option<String>), AdapterError> {
    let names: Vec<&str> = url.path().split('/').filter(|name| !name.is_empty()).collect();
    match names[..] {
        [] => Ok((None, None)),
        [catalog] => Ok((Some(decoded(catalog)?), None)),
        [catalog, schema] => Ok((Some(decoded(catalog)?), Some(decoded(schema)?))),
        _ => Err(refuse("the path of a trino url is a catalog and a schema")),
    }
}

fn fixed(url: &Url, user: String) -> Result<Fixed, AdapterError> {
    Ok(Fixed {
        user,
        source: option(url, "source").unwrap_or_else(|| "sql-batcher".to_owned()),
        client_tags: option(url, "client-tags"),
        client_info: option(url, "client-info"),
        time_zone: option(url, "timezone"),
        extra_credentials: pairs(url, "extra-credential")?,
    })
}

fn option(url: &Url, name: &str) -> Option<String> {
    let mut pairs = url.query_pairs();
    pairs.find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}

/// All options of a name, each as `name:value`.
fn pairs(url: &Url, option: &str) -> Result<BTreeMap<String, String>, AdapterError> {
    let of_name = url.query_pairs().filter(|(key, _)| key == option);
    let split = |(_, pair): (_, std::borrow::Cow<'_, str>)| {
        let pair = pair.split_once(':').filter(|(name, _)| !name.is_empty());
        // The value may be a secret.
        let (name, value) = pair.ok_or_else(|| refuse(format!("{option} is not name:value")))?;
        Ok((name.to_owned(), value.to_owned()))
    };
    of_name.map(split).collect()
}

fn max_query_length(url: &Url) -> Result<u64, AdapterError> {
    let Some(text) = option(url, "max-query-length") else { return Ok(MAX_QUERY_LENGTH) };
    let length = text.parse().ok().filter(|length| (1..=LONGEST_QUERY_LENGTH).contains(length));
    length.ok_or_else(|| refuse(format!("max-query-length is not 1 to {LONGEST_QUERY_LENGTH}")))
}

/// Asks the server what it is, whether it lets the user in, and whether it has the catalog.
pub(super) async fn server(
    client: &Client,
    state: &State,
    target: &Target,
    limit: Duration,
) -> Result<String, AdapterError> {
    let ask = async {
        let version = fetch(client, state, "SELECT version()").await?;
        let version = version.into_iter().flatten().flatten().next().unwrap_or_default();
        let Some(catalog) = &state.catalog else { return Ok(version) };
        let name = catalog.replace('\'', "''");
        let sql =
            format!("SELECT 1 FROM system.metadata.catalogs WHERE catalog_name = lower('{name}')");
        if fetch(client, state, &sql).await?.is_empty() {
            let message =
                format!("{target} cannot open database {catalog:?}: there is no such catalog");
            return Err(refuse(message));
        }
        Ok(version)
    };
    match tokio::time::timeout(limit, ask).await {
        Ok(Ok(version)) => Ok(format!("Trino {version}")),
        Ok(Err(error)) => Err(explain(error, target)),
        Err(_) => {
            let said = format!("no answer from {target} within {} ms", limit.as_millis());
            Err(AdapterError { transient: true, ..AdapterError::new(Fault::Timeout, said) })
        }
    }
}

async fn fetch(
    client: &Client,
    state: &State,
    sql: &str,
) -> Result<Vec<Vec<Option<String>>>, AdapterError> {
    let mut rows = Rows::default();
    let ran = client.run(&mut state.clone(), &Running::default(), sql, &mut rows).await;
    match ran {
        Ok(_) => Ok(rows.0),
        Err(Problem { fault, message, code, transient, source, .. }) => {
            Err(AdapterError { fault, message, code, transient, source })
        }
    }
}

fn explain(error: AdapterError, target: &Target) -> AdapterError {
    let said = &error.message;
    let message = match error.fault {
        Fault::Options => return error,
        Fault::Authentication => format!("{target} refused user {:?}: {said}", target.user),
        Fault::Connection => format!("cannot reach {target}: {said}"),
        _ => format!("{target} refused the connection: {said}"),
    };
    AdapterError { message, ..error }
}

/// What a cluster can do.
pub(super) fn capabilities(server: String, max_query_length: u64) -> Capabilities {
    Capabilities {
        server,
        dialect: Dialect::Trino,
        max_request_bytes: max_query_length * BYTES_A_CHARACTER,
        // The terminator that a body ends with is not sent.
        max_request_characters: Some(max_query_length + 1),
        max_statements_per_request: Some(1),
        max_rows_per_insert: None,
        best_rows_per_insert: None,
        merging_obstacle: None,
        merges_conflicts: false,
        fast_path: false,
        transactions: false,
        transactions_span_requests: false,
        transactional_ddl: false,
        savepoints: false,
        max_writers: None,
        copy: false,
        binary_text: false,
        cancel: true,
        notes: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(url: &str) -> Result<Options, AdapterError> {
        options(url, &PoolOptions::default())
    }

    fn refused(url: &str) -> String {
        read(url).err().expect(url).message
    }

    #[test]
    fn a_url_says_where_and_who_and_how() {
        let url = "trino://m%40x@h/c/s%2Ft?source=etl&session=a:1&session=b.c:x:y&role=system:r";
        let Options { state, target, max_query_length, .. } = read(url).unwrap();
        assert_eq!((&*target.place, &*target.user), ("h:8080", "m@x"));
        assert_eq!((state.catalog.as_deref(), state.schema.as_deref()), (Some("c"), Some("s/t")));
        assert_eq!(state.properties["b.c"], "x:y");
        assert_eq!(state.roles["system"], "r");
        assert_eq!(max_query_length, 1_000_000);
        let headers = state.headers().unwrap();
        assert_eq!(headers["x-trino-source"], "etl");
        assert_eq!(headers["x-trino-session"], "a=1,b.c=x%3Ay");
        assert_eq!(read("trino://u@h:1?max-query-length=5").unwrap().max_query_length, 5);
    }

    #[test]
    fn secrets_go_over_tls_only_and_are_not_repeated() {
        for url in ["trino://u:s3cret@h/c", "trino://u@h/c?access-token=s3cret"] {
            let said = refused(url);
            assert!(said.contains("TLS") && !said.contains("s3cret"), "{said}");
        }
        for url in [
            "trinos://u:s3cret@h/c?access-token=s3cret",
            "trinos://u@h/c?extra-credential=s3cret",
            "trinos://u@h/c?access_token=s3cret",
        ] {
            assert!(!refused(url).contains("s3cret"), "{url}");
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for (url, said) in [
            ("trino://h/c", "no user"),
            ("trino:///c", "no host"),
            ("trino://u@h/a/b/c", "a catalog and a schema"),
            ("trino://u@h?max-query-length=0", "1 to 1000000000"),
            ("trino://u@h?max-query-length=1000000001", "1 to 1000000000"),
            ("trino://u@h?session=a", "session is not name:value"),
            ("trino://u@h?colour=red", "unknown option"),
        ] {
            assert!(refused(url).contains(said), "{url}: {}", refused(url));
        }
    }
}
