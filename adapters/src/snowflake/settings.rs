//! What a statement leaves in its session, which ends with its request: what the adapter says again
//! in each further request, and what it refuses, as it would be lost without a word.

use crate::{Fault, Problem, body::Body};

/// The most bytes of settings that are said again: they are taken off the limit of a request.
pub(super) const MAX_SETTINGS_BYTES: usize = 16 * 1024;

/// The statements that make a session what the script wants, each with its separator.
#[derive(Clone, Debug, Default)]
pub(super) struct Settings {
    text: String,
    count: u32,
}

/// What a statement does to its session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Leaves {
    /// Nothing that is known of.
    Nothing,
    /// Something that can be said again.
    Setting,
    /// Something that cannot.
    Lost(&'static str),
}

impl Settings {
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    pub(super) fn count(&self) -> u32 {
        self.count
    }

    /// Adds those of a request that was applied.
    pub(super) fn learn(&mut self, body: Body<'_>) {
        for (_, statement) in body.statements() {
            if leaves(statement) == Leaves::Setting
                && let Ok(text) = std::str::from_utf8(statement)
            {
                self.text.push_str(text.trim());
                self.text.push('\n');
                self.count += 1;
            }
        }
    }

    /// Refuses a request whose effects on the session cannot be had again.
    pub(super) fn check(&self, body: Body<'_>) -> Result<(), Problem> {
        let mut bytes = self.text.len();
        for (index, (_, statement)) in (0..).zip(body.statements()) {
            let why = match leaves(statement) {
                Leaves::Nothing => continue,
                Leaves::Setting => {
                    bytes += statement.len() + 1;
                    if bytes <= MAX_SETTINGS_BYTES {
                        continue;
                    }
                    format!(
                        "settings of {bytes} bytes exceed the {MAX_SETTINGS_BYTES} that can be \
                         said again in each request"
                    )
                }
                Leaves::Lost(what) => {
                    format!("{what} would be lost: each request is a session of its own")
                }
            };
            let problem = Problem::new(Fault::Unsupported, why);
            return Err(Problem { statement: Some(index), ..problem });
        }
        Ok(())
    }
}

/// What a statement does to its session, by its words.
pub(super) fn leaves(statement: &[u8]) -> Leaves {
    let mut words = Words(statement);
    let first = words.next().unwrap_or_default();
    match first.as_str() {
        "USE" | "UNSET" => Leaves::Setting,
        "SET" if has_query(statement) => {
            Leaves::Lost("a variable that is set from a function or a query")
        }
        "SET" => Leaves::Setting,
        "ALTER" if words.next().as_deref() == Some("SESSION") => Leaves::Setting,
        "CREATE"
            if words.take_while(|word| is_before_kind(word)).any(|word| is_temporary(&word)) =>
        {
            Leaves::Lost("what is temporary")
        }
        _ => Leaves::Nothing,
    }
}

/// Whether a word may stand between `CREATE` and what is created.
fn is_before_kind(word: &str) -> bool {
    is_temporary(word) || matches!(word, "OR" | "REPLACE" | "LOCAL" | "GLOBAL" | "SECURE")
}

fn is_temporary(word: &str) -> bool {
    matches!(word, "TEMP" | "TEMPORARY" | "VOLATILE")
}

/// Whether a `SET` calls something: a name before a parenthesis, outside quotes, behind the `=`.
fn has_query(statement: &[u8]) -> bool {
    let Some(equals) = statement.iter().position(|&byte| byte == b'=') else { return false };
    let mut before = b' ';
    let mut rest = &statement[equals + 1..];
    while let [byte, tail @ ..] = rest {
        rest = tail;
        match byte {
            b'\'' | b'"' => {
                let end = tail.iter().position(|other| other == byte);
                rest = end.map_or(&[], |end| &tail[end + 1..]);
            }
            b'(' if is_word(before) => return true,
            _ if byte.is_ascii_whitespace() => continue,
            _ => {}
        }
        before = *byte;
    }
    let mut words = Words(&statement[equals + 1..]);
    let mut queries = words.next().as_deref() == Some("SELECT");
    // SET (a, b) = (SELECT …)
    let inner = statement[equals + 1..].trim_ascii_start();
    if let Some(inner) = inner.strip_prefix(b"(") {
        queries |= Words(inner).next().as_deref() == Some("SELECT");
    }
    queries
}

/// The words of a statement in capitals, comments and blanks left out, up to its first other byte.
pub(super) struct Words<'a>(pub(super) &'a [u8]);

impl Iterator for Words<'_> {
    type Item = String;

    fn next(&mut self) -> Option<String> {
        loop {
            self.0 = self.0.trim_ascii_start();
            self.0 = match self.0 {
                [b'-', b'-', ..] | [b'/', b'/', ..] => behind(self.0, b"\n"),
                [b'/', b'*', tail @ ..] => behind(tail, b"*/"),
                _ => break,
            };
        }
        let length = self.0.iter().take_while(|byte| is_word(**byte)).count();
        let (word, rest) = self.0.split_at(length);
        self.0 = rest;
        (length > 0).then(|| String::from_utf8_lossy(word).to_ascii_uppercase())
    }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'$' || byte >= 0x80
}

fn behind<'a>(text: &'a [u8], mark: &[u8]) -> &'a [u8] {
    let at = text.windows(mark.len()).position(|window| window == mark);
    at.map_or(&[], |at| &text[at + mark.len()..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_be_said_again_is_told_from_what_cannot() {
        for (statement, expected) in [
            ("USE SCHEMA s", Some(Leaves::Setting)),
            ("-- a\n// b\n/* c */ alter /* d */ session set x = 1", Some(Leaves::Setting)),
            ("SET a = 'it(s)' || $b", Some(Leaves::Setting)),
            ("SET (a, b) = (1, 2)", Some(Leaves::Setting)),
            ("UNSET a", Some(Leaves::Setting)),
            ("SET a = now()", None),
            ("SET a = (SELECT max(x) FROM t)", None),
            ("set (a, b) = ( select 1, 2)", None),
            ("create or replace local temporary table t (a int)", None),
            ("CREATE TEMP STAGE s", None),
            ("CREATE TABLE temp (a INT)", Some(Leaves::Nothing)),
            ("ALTER TABLE session ADD a INT", Some(Leaves::Nothing)),
            ("INSERT INTO t VALUES (1)", Some(Leaves::Nothing)),
        ] {
            let left = leaves(statement.as_bytes());
            match expected {
                Some(expected) => assert_eq!(left, expected, "{statement}"),
                None => assert!(matches!(left, Leaves::Lost(_)), "{statement}: {left:?}"),
            }
        }
    }

    #[test]
    fn settings_have_a_limit_and_are_said_again_in_their_order() {
        let body = b"USE SCHEMA s;\nSELECT 1;SET a = 1;";
        let body = Body::new(body, &[14, 23, 33]).unwrap();
        let mut settings = Settings::default();
        settings.check(body).unwrap();
        settings.learn(body);
        assert_eq!((settings.text(), settings.count()), ("USE SCHEMA s;\nSET a = 1;\n", 2));
        let used = settings.text().len();
        for (bytes, fits) in
            [(MAX_SETTINGS_BYTES - used - 1, true), (MAX_SETTINGS_BYTES - used, false)]
        {
            let long = format!("SET a = '{}';", "x".repeat(bytes - 11));
            let ends = [u32::try_from(long.len()).unwrap()];
            let checked = settings.check(Body::new(long.as_bytes(), &ends).unwrap());
            assert_eq!(checked.is_ok(), fits, "{bytes}");
        }
    }
}
