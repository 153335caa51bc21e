//! What the documentation asks of a request: its headers, its token, its body.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use hyper::{HeaderMap, Method};
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use serde_json::Value;

use super::{ACCOUNT, DATABASE, MAX_TEXT_BYTES, SCHEMA, Setup, TOKEN, USER, key_file};

/// Seconds that clocks may differ.
const SKEW: u64 = 5;

/// What a request asks to be run.
#[derive(Clone, Debug)]
pub(super) struct Posted {
    pub(super) statement: String,
    pub(super) timeout: Option<u64>,
    /// Statements that it says it has; 0: any number.
    pub(super) count: usize,
}

/// Checks the headers of a request.
pub(super) fn headers(method: &Method, has_body: bool, headers: &HeaderMap) -> Result<(), String> {
    let value = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let is = |name: &str, wanted: &str| match value(name) {
        Some(found) if found == wanted => Ok(()),
        found => Err(format!("{name} is {found:?}, not {wanted:?}")),
    };
    is("accept", "application/json")?;
    if has_body {
        is("content-type", "application/json")?;
    } else if value("content-type").is_some() && method == Method::GET {
        return Err("a GET has a content-type".to_owned());
    }
    // RFC 9110: a name, a slash, a version.
    let agent = value("user-agent").unwrap_or_default();
    match agent.split_once('/') {
        Some((name, version)) if !name.is_empty() && !version.is_empty() => Ok(()),
        _ => Err(format!("user-agent is {agent:?}")),
    }
}

/// The token of a request, if it is right; else why it is not, for a 401.
pub(super) fn token(setup: &Setup, headers: &HeaderMap) -> Result<String, String> {
    let value = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let token = value("authorization").and_then(|value| value.strip_prefix("Bearer "));
    let token = token.ok_or("there is no bearer token")?;
    let kind = value("x-snowflake-authorization-token-type").unwrap_or_default();
    match (setup.wants_key, kind) {
        (true, "KEYPAIR_JWT") => jwt(token)?,
        (false, "OAUTH" | "PROGRAMMATIC_ACCESS_TOKEN") if token == TOKEN => {}
        _ => return Err(format!("a token of the type {kind:?} is not right here")),
    }
    Ok(token.to_owned())
}

/// Checks a JWT as the documentation of key pairs describes it
/// (<https://docs.snowflake.com/en/developer-guide/sql-api/authenticating>).
fn jwt(token: &str) -> Result<(), String> {
    let parts: Vec<&str> = token.split('.').collect();
    let [header, claims, signature] = parts[..] else {
        return Err("it has not three parts".into());
    };
    let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|error| error.to_string());
    let object = |part: &str| {
        serde_json::from_slice::<Value>(&decode(part)?).map_err(|error| error.to_string())
    };
    let (header, claims) = (object(header)?, object(claims)?);
    if header["alg"] != "RS256" || header["typ"] != "JWT" {
        return Err(format!("its header is {header}"));
    }
    let public = std::fs::read(key_file("public.der")).map_err(|error| error.to_string())?;
    let said = token.rsplit_once('.').map(|(said, _)| said).unwrap_or_default();
    UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, public)
        .verify(said.as_bytes(), &decode(signature)?)
        .map_err(|_| "its signature is wrong".to_owned())?;
    let subject = format!("{}.{}", ACCOUNT.to_uppercase(), USER.to_uppercase());
    let print = std::fs::read_to_string(key_file("fingerprint.txt"));
    let print = print.map_err(|error| error.to_string())?;
    let issuer = format!("{subject}.{}", print.trim());
    if claims["sub"] != subject || claims["iss"] != issuer {
        return Err(format!("its claims are {claims}, not {subject} and {issuer}"));
    }
    let seconds = |name: &str| claims[name].as_u64().ok_or(format!("it has no {name}"));
    let (iat, exp) = (seconds("iat")?, seconds("exp")?);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    if iat > now + SKEW || exp <= now || exp <= iat || exp - iat > 3600 {
        return Err(format!("it is from {iat} to {exp}, and now it is {now}"));
    }
    Ok(())
}

/// Reads the body of a submission.
pub(super) fn posted(body: &[u8]) -> Result<Posted, String> {
    let value: Value = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    let fields = value.as_object().ok_or("the body is no object")?;
    const KNOWN: [&str; 7] =
        ["statement", "timeout", "database", "schema", "warehouse", "role", "parameters"];
    if let Some(unknown) = fields.keys().find(|key| !KNOWN.contains(&key.as_str())) {
        return Err(format!("there is no field {unknown}"));
    }
    for (name, wanted) in [("database", DATABASE), ("schema", SCHEMA), ("warehouse", "WH")] {
        if value[name] != wanted {
            return Err(format!("{name} is {}, not {wanted}", value[name]));
        }
    }
    let statement = value["statement"].as_str().ok_or("there is no statement")?.to_owned();
    if statement.len() > MAX_TEXT_BYTES {
        return Err(format!("the text has {} bytes", statement.len()));
    }
    let timeout = match &value["timeout"] {
        Value::Null => None,
        timeout => Some(timeout.as_u64().filter(|seconds| *seconds <= 604_800)),
    };
    let timeout =
        timeout.map(|timeout| timeout.ok_or("the timeout is out of range")).transpose()?;
    let parameters = value["parameters"].as_object().ok_or("there are no parameters")?;
    for (name, value) in parameters {
        let known = ["AUTOCOMMIT", "MULTI_STATEMENT_COUNT"].contains(&name.as_str());
        if !known || !value.is_string() {
            return Err(format!("the parameter {name} is not known, or its value is no string"));
        }
    }
    if value["parameters"]["AUTOCOMMIT"] != "true" {
        return Err("AUTOCOMMIT is not set to true".to_owned());
    }
    let count = value["parameters"]["MULTI_STATEMENT_COUNT"].as_str().map_or(Ok(1), str::parse);
    let count = count.map_err(|_| "MULTI_STATEMENT_COUNT is no number")?;
    Ok(Posted { statement, timeout, count })
}

/// Whether a text is a UUID.
pub(super) fn is_uuid(text: &str) -> bool {
    let lengths: Vec<usize> = text.split('-').map(str::len).collect();
    lengths == [8, 4, 4, 4, 12] && text.bytes().all(|b| b == b'-' || b.is_ascii_hexdigit())
}
