//! What a session is: headers that are sent with each statement, and that answers change
//! (<https://trino.io/docs/current/develop/client-protocol.html#client-request-headers>).

use std::collections::BTreeMap;

use percent_encoding::percent_decode_str;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use url::form_urlencoded::byte_serialize;

/// What the client understands: times of any precision, and headers that change the user.
const CAPABILITIES: &str = "PATH,PARAMETRIC_DATETIME,SESSION_AUTHORIZATION";

/// What no answer changes.
#[derive(Clone, Debug, Default)]
pub(super) struct Fixed {
    pub(super) user: String,
    pub(super) source: String,
    pub(super) client_tags: Option<String>,
    pub(super) client_info: Option<String>,
    pub(super) time_zone: Option<String>,
    pub(super) extra_credentials: BTreeMap<String, String>,
}

/// A session.
#[derive(Clone, Debug, Default)]
pub(super) struct State {
    fixed: Fixed,
    pub(super) catalog: Option<String>,
    pub(super) schema: Option<String>,
    path: Option<String>,
    /// Whom `SET SESSION AUTHORIZATION` has made the user.
    authorized_as: Option<String>,
    /// Session properties, by their names.
    pub(super) properties: BTreeMap<String, String>,
    /// Roles, by catalogs.
    pub(super) roles: BTreeMap<String, String>,
    /// Prepared statements, by their names.
    prepared: BTreeMap<String, String>,
    /// The script's own transaction.
    pub(super) transaction: Option<String>,
}

impl State {
    pub(super) fn new(fixed: Fixed) -> Self {
        Self { fixed, ..Self::default() }
    }

    /// The headers of a statement; or the name of the one that cannot be made.
    pub(super) fn headers(&self) -> Result<HeaderMap, &'static str> {
        let mut headers = HeaderMap::new();
        let mut add = |name: &'static str, value: Option<&str>| -> Result<(), &'static str> {
            let Some(value) = value.filter(|value| !value.is_empty()) else { return Ok(()) };
            let value = HeaderValue::from_bytes(value.as_bytes()).map_err(|_| name)?;
            headers.append(HeaderName::from_static(name), value);
            Ok(())
        };
        let Fixed { user, source, client_tags, client_info, time_zone, extra_credentials } =
            &self.fixed;
        add("content-type", Some("text/plain; charset=utf-8"))?;
        add("x-trino-catalog", self.catalog.as_deref())?;
        add("x-trino-schema", self.schema.as_deref())?;
        add("x-trino-path", self.path.as_deref())?;
        add("x-trino-source", Some(source))?;
        add("x-trino-user", Some(self.authorized_as.as_deref().unwrap_or(user)))?;
        if self.authorized_as.is_some() {
            add("x-trino-original-user", Some(user))?;
        }
        add("x-trino-time-zone", time_zone.as_deref())?;
        add("x-trino-client-capabilities", Some(CAPABILITIES))?;
        add("x-trino-role", joined(&self.roles, role).as_deref())?;
        add("x-trino-client-tags", client_tags.as_deref())?;
        add("x-trino-client-info", client_info.as_deref())?;
        add("x-trino-session", joined(&self.properties, encoded).as_deref())?;
        // One each: a header has a bound on its length.
        for (name, sql) in &self.prepared {
            let value = format!("{}={}", encoded(name), encoded(sql));
            add("x-trino-prepared-statement", Some(&value))?;
        }
        add("x-trino-transaction-id", Some(self.transaction.as_deref().unwrap_or("NONE")))?;
        add("x-trino-extra-credential", joined(extra_credentials, encoded).as_deref())?;
        Ok(headers)
    }

    /// Takes over what an answer changes.
    pub(super) fn learn(&mut self, answer: &HeaderMap) {
        let set = |name: &str, place: &mut Option<String>| {
            if let Some(value) = texts(answer, name).last() {
                *place = Some(decoded(value));
            }
        };
        set("x-trino-set-catalog", &mut self.catalog);
        set("x-trino-set-schema", &mut self.schema);
        set("x-trino-set-path", &mut self.path);
        set("x-trino-set-authorization-user", &mut self.authorized_as);
        set("x-trino-started-transaction-id", &mut self.transaction);
        for (name, place) in [
            ("x-trino-set-session", &mut self.properties),
            ("x-trino-set-role", &mut self.roles),
            ("x-trino-added-prepare", &mut self.prepared),
        ] {
            let pairs = texts(answer, name).filter_map(|pair| pair.split_once('='));
            place.extend(pairs.map(|(name, value)| (decoded(name.trim()), decoded(value.trim()))));
        }
        for (name, place) in [
            ("x-trino-clear-session", &mut self.properties),
            ("x-trino-deallocated-prepare", &mut self.prepared),
        ] {
            for name in texts(answer, name) {
                place.remove(&decoded(name.trim()));
            }
        }
        if answer.contains_key("x-trino-clear-transaction-id") {
            self.transaction = None;
        }
        if answer.contains_key("x-trino-reset-authorization-user") {
            self.authorized_as = None;
            self.roles.clear();
        }
    }

    /// Gives a limit on time to each statement, unless there is a shorter one.
    pub(super) fn limit_statements(&mut self, limit_ms: u32) {
        const NAME: &str = "query_max_run_time";
        let shorter = self.properties.get(NAME).and_then(|set| milliseconds(set));
        if shorter.is_none_or(|set| set > f64::from(limit_ms)) {
            self.properties.insert(NAME.to_owned(), format!("{limit_ms}ms"));
        }
    }
}

/// The values of a header, which may come several times or have several values, none of which has
/// a comma that is not encoded.
fn texts<'a>(headers: &'a HeaderMap, name: &str) -> impl Iterator<Item = &'a str> {
    let values = headers.get_all(name).into_iter();
    values.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','))
}

/// As Java's `URLEncoder` has it.
fn encoded(text: &str) -> String {
    byte_serialize(text.as_bytes()).collect()
}

fn decoded(text: &str) -> String {
    percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned()
}

/// A role as the server writes it: `NONE`, `ALL` or `ROLE{name}`; one from the URL is a bare name.
fn role(role: &str) -> String {
    match role {
        "NONE" | "ALL" => role.to_owned(),
        _ if role.starts_with("ROLE{") => encoded(role),
        _ => encoded(&format!("ROLE{{{role}}}")),
    }
}

fn joined(pairs: &BTreeMap<String, String>, write: fn(&str) -> String) -> Option<String> {
    let pairs: Vec<_> =
        pairs.iter().map(|(name, value)| format!("{name}={}", write(value))).collect();
    (!pairs.is_empty()).then(|| pairs.join(","))
}

/// A length of time as Trino writes it (`1.50m`), in milliseconds.
fn milliseconds(text: &str) -> Option<f64> {
    let text = text.trim();
    let unit = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let number: f64 = text.get(..unit)?.parse().ok()?;
    let factor = match text.get(unit..)?.trim() {
        "ns" => 1e-6,
        "us" => 1e-3,
        "ms" => 1.0,
        "s" => 1e3,
        "m" => 60e3,
        "h" => 3600e3,
        "d" => 86400e3,
        _ => return None,
    };
    Some(number * factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(headers: &[(&'static str, &str)]) -> HeaderMap {
        let pair = |(name, value): &(&'static str, &str)| {
            (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())
        };
        headers.iter().map(pair).collect()
    }

    fn sent(state: &State, name: &str) -> Option<String> {
        let values = state.headers().unwrap();
        let values: Vec<_> = values.get_all(name).iter().map(|v| v.to_str().unwrap()).collect();
        (!values.is_empty()).then(|| values.join("; "))
    }

    #[test]
    fn what_an_answer_changes_is_sent_from_then_on() {
        let mut state = State::new(Fixed { user: "me".to_owned(), ..Fixed::default() });
        for (set, value, name, expected) in [
            ("x-trino-set-catalog", "c", "x-trino-catalog", Some("c")),
            ("x-trino-set-schema", "s", "x-trino-schema", Some("s")),
            ("x-trino-set-path", "a.b", "x-trino-path", Some("a.b")),
            ("x-trino-set-session", "z=%2B01%3A00", "x-trino-session", Some("z=%2B01%3A00")),
            ("x-trino-set-session", "a=b+c", "x-trino-session", Some("a=b+c,z=%2B01%3A00")),
            ("x-trino-clear-session", "z", "x-trino-session", Some("a=b+c")),
            ("x-trino-set-role", "system=NONE", "x-trino-role", Some("system=NONE")),
            (
                "x-trino-set-role",
                "h=ROLE%7Br%7D",
                "x-trino-role",
                Some("h=ROLE%7Br%7D,system=NONE"),
            ),
            (
                "x-trino-added-prepare",
                "p=SELECT+%27a%27",
                "x-trino-prepared-statement",
                Some("p=SELECT+%27a%27"),
            ),
            (
                "x-trino-added-prepare",
                "q=x",
                "x-trino-prepared-statement",
                Some("p=SELECT+%27a%27; q=x"),
            ),
            ("x-trino-deallocated-prepare", "p", "x-trino-prepared-statement", Some("q=x")),
            ("x-trino-started-transaction-id", "t1", "x-trino-transaction-id", Some("t1")),
            ("x-trino-clear-transaction-id", "true", "x-trino-transaction-id", Some("NONE")),
            ("x-trino-set-authorization-user", "joe", "x-trino-user", Some("joe")),
            ("x-trino-set-authorization-user", "joe", "x-trino-original-user", Some("me")),
            ("x-trino-reset-authorization-user", "true", "x-trino-user", Some("me")),
        ] {
            state.learn(&answer(&[(set, value)]));
            assert_eq!(sent(&state, name).as_deref(), expected, "{set}: {value}");
        }
    }

    #[test]
    fn a_shorter_limit_stays_and_one_of_the_script_goes_before() {
        let mut state = State::default();
        for (limit_ms, expected) in [(5000, "5000ms"), (6000, "5000ms"), (300, "300ms")] {
            state.limit_statements(limit_ms);
            assert_eq!(state.properties["query_max_run_time"], expected);
        }
        state.learn(&answer(&[("x-trino-set-session", "query_max_run_time=1.00h")]));
        assert_eq!(state.properties["query_max_run_time"], "1.00h");
        for (text, ms) in
            [("2s", Some(2e3)), ("1.50m", Some(90e3)), ("1d", Some(864e5)), ("x", None)]
        {
            assert_eq!(milliseconds(text), ms, "{text}");
        }
    }

    #[test]
    fn what_no_header_can_hold_is_named() {
        let mut state = State { catalog: Some("a\nb".to_owned()), ..State::default() };
        assert_eq!(state.headers().unwrap_err(), "x-trino-catalog");
        state.catalog = Some("ä".to_owned());
        assert!(state.headers().is_ok());
    }
}
