//! What may stand behind the rows of an INSERT that is joined with others: nothing, or a clause of
//! which each row sees only itself and what came before it.

use crate::constant::is_space;
use crate::dialect::InsertRules;

/// Words that let an expression see more than its row, or differ each time.
const REFUSED: [&str; 14] = [
    "SELECT",
    "RETURNING",
    "WITH",
    "VALUES",
    "TABLE",
    "DEFAULT",
    "AS",
    "USER",
    "SESSION_USER",
    "SYSTEM_USER",
    "SYSDATE",
    "ROWNUM",
    "LOCALTIME",
    "LOCALTIMESTAMP",
];
/// What words begin with that stand for the time or the session.
const REFUSED_BEGINNINGS: [&str; 2] = ["CURRENT_", "UTC_"];

/// Whether rows may be joined that have this behind them. `conflicts`: whether it may say what to do
/// with a row that conflicts but to leave it out.
pub(crate) fn is_harmless(rules: &InsertRules, conflicts: bool, tail: &[u8]) -> bool {
    if tail.iter().all(|byte| is_space(*byte)) {
        return true;
    }
    let Some(words) = words(rules, tail) else { return false };
    let begins = |clause: &str| {
        clause.split(' ').zip(&words).all(|(name, word)| word.eq_ignore_ascii_case(name.as_bytes()))
            && words.len() >= clause.split(' ').count()
    };
    let ends = |clause: [&str; 2]| {
        let last = words.len().checked_sub(2).and_then(|start| words.get(start..));
        last.is_some_and(|last| {
            last.iter().zip(clause).all(|(word, name)| word.eq_ignore_ascii_case(name.as_bytes()))
        })
    };
    rules.ignoring.is_some_and(begins) && ends(["DO", "NOTHING"])
        || rules.updating.filter(|_| conflicts).is_some_and(begins)
}

/// The words of a clause; none where it has anything that is not understood: a comment, a function,
/// a variable, a parameter, a word that may see more than its row.
fn words<'a>(rules: &InsertRules, tail: &'a [u8]) -> Option<Vec<&'a [u8]>> {
    let mut words: Vec<&[u8]> = Vec::new();
    let mut at = 0;
    while let Some(&byte) = tail.get(at) {
        let rest = &tail[at..];
        let length = match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'_' => {
                let end = rest.iter().position(|byte| !is_word(*byte)).unwrap_or(rest.len());
                let word = &rest[..end];
                let called = rest[end..].iter().find(|byte| !is_space(**byte)) == Some(&b'(');
                if !is_allowed(rules, word, called) {
                    return None;
                }
                words.push(word);
                end
            }
            b'\'' | b'"' | b'`' => {
                let end = rest[1..].iter().position(|other| *other == byte)?;
                // Escapes are left to those who must.
                if rest[1..=end].contains(&b'\\') {
                    return None;
                }
                end + 2
            }
            b'-' if rest.starts_with(b"--") => return None,
            b'/' if rest.starts_with(b"/*") => return None,
            b':' | b'@' | b'?' | b'$' | b'#' | b'{' | b'[' | b'\\' => return None,
            0x80.. => return None,
            _ => 1,
        };
        at += length;
    }
    Some(words)
}

/// Whether a word may stand there; `called`: before a parenthesis.
fn is_allowed(rules: &InsertRules, word: &[u8], called: bool) -> bool {
    let is = |name: &str| word.eq_ignore_ascii_case(name.as_bytes());
    if called {
        // What conflicts, a condition, and the value that MySQL would have inserted.
        return is("CONFLICT")
            || is("WHERE")
            || is("AND")
            || is("OR")
            || is("NOT")
            || is("IN")
            || (is("VALUES") && rules.updating.is_some_and(|clause| clause.contains("DUPLICATE")));
    }
    let starts = |beginning: &str| {
        word.get(..beginning.len())
            .is_some_and(|head| head.eq_ignore_ascii_case(beginning.as_bytes()))
    };
    !REFUSED.iter().any(|name| is(name)) && !REFUSED_BEGINNINGS.iter().any(|name| starts(name))
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::Dialect::{self, MySql, PostgreSql, Snowflake, Sqlite, Trino};

    fn harmless(dialect: Dialect, tail: &str) -> bool {
        is_harmless(&dialect.rules().inserts, true, tail.as_bytes())
    }

    #[test]
    fn a_clause_that_leaves_rows_out_is_harmless() {
        for dialect in [PostgreSql, Sqlite] {
            assert!(harmless(dialect, " ON CONFLICT DO NOTHING"));
            assert!(harmless(dialect, "\non conflict (a, \"b\") where (a > 1) do nothing "));
            assert!(!harmless(dialect, " ON CONFLICT DO NOTHING RETURNING a"));
        }
        for dialect in [MySql, Trino, Snowflake] {
            assert!(harmless(dialect, "\n "));
            assert!(!harmless(dialect, " ON CONFLICT DO NOTHING"), "{dialect:?}");
        }
    }

    #[test]
    fn a_clause_that_updates_is_harmless_where_a_key_may_repeat() {
        let update = " ON CONFLICT (id) DO UPDATE SET n = n + 1, a = excluded.a WHERE a <> 'x'";
        assert!(harmless(Sqlite, update));
        assert!(!harmless(PostgreSql, update));
        assert!(harmless(MySql, " ON DUPLICATE KEY UPDATE n = n + VALUES(n), a = 'x'"));
        assert!(!harmless(Sqlite, " ON DUPLICATE KEY UPDATE n = 1"));
    }

    #[test]
    fn an_update_that_may_see_more_than_its_row_is_not_harmless() {
        for value in [
            "(SELECT 1)",
            "random()",
            "now()",
            "CURRENT_TIMESTAMP",
            "localtimestamp",
            "@a := 1",
            "1 -- c",
            "1 /* c */",
            "?",
            ":a",
            "utc_date",
            "'a\\'",
            "last_insert_id(id)",
            "abs (n)",
        ] {
            assert!(!harmless(MySql, &format!(" ON DUPLICATE KEY UPDATE n = {value}")), "{value}");
            let sqlite = format!(" ON CONFLICT (id) DO UPDATE SET n = {value}");
            assert!(!harmless(Sqlite, &sqlite), "{value}");
        }
    }
}
