//! What is refused. No component here.

use crate::scan;

const KINDS: [&str; 21] = [
    "select",
    "insert",
    "replace",
    "update",
    "delete",
    "merge",
    "copy",
    "create",
    "alter",
    "drop",
    "truncate",
    "grant",
    "set",
    "begin",
    "commit",
    "rollback",
    "savepoint",
    "lock",
    "call",
    "maintain",
    "other",
];
const DDL: [&str; 5] = ["create", "alter", "drop", "truncate", "grant"];

/// What is refused, and how.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Rules {
    kinds: Vec<&'static str>,
    unbounded: bool,
    skips: bool,
}

impl Rules {
    /// Reads the configuration.
    pub(crate) fn read(text: &str) -> Result<Self, String> {
        let mut rules = Self::default();
        let mut denied = None;
        for word in text.split_whitespace() {
            match word.split_once('=') {
                Some(("deny", list)) => denied = Some(list),
                Some(("action", "abort")) => rules.skips = false,
                Some(("action", "skip")) => rules.skips = true,
                _ => return Err(format!("{word:?} is neither deny=… nor action=abort or skip")),
            }
        }
        for what in denied.unwrap_or("ddl,unbounded").split(',') {
            match (what, KINDS.iter().find(|kind| **kind == what)) {
                ("ddl", _) => rules.kinds.extend(DDL),
                ("unbounded", _) => rules.unbounded = true,
                (_, Some(kind)) => rules.kinds.push(kind),
                _ => {
                    let kinds = KINDS.join(", ");
                    return Err(format!("{what:?} is neither ddl, unbounded nor one of {kinds}"));
                }
            }
        }
        Ok(rules)
    }

    /// Whether a batch is left out, rather than the run ended.
    pub(crate) fn skips(&self) -> bool {
        self.skips
    }

    /// Why a statement is refused, if it is.
    pub(crate) fn refuses(&self, kind: &str, text: &[u8]) -> Option<String> {
        if self.kinds.contains(&kind) {
            return Some(format!("{kind} is refused"));
        }
        let may_change = matches!(kind, "update" | "delete" | "other" | "select");
        if self.unbounded && may_change && scan::changes_a_whole_table(text) {
            return Some("a change of a whole table, without WHERE, is refused".to_owned());
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_words_definitions_and_changes_of_whole_tables_are_refused() {
        let rules = Rules::read("").expect("it is right");
        assert!(rules.refuses("drop", b"DROP TABLE t").is_some());
        assert!(rules.refuses("delete", b"DELETE FROM t").is_some());
        assert_eq!(rules.refuses("delete", b"DELETE FROM t WHERE a = 1"), None);
        assert_eq!(rules.refuses("insert", b"INSERT INTO t VALUES (1)"), None);
        assert!(!rules.skips());
    }

    #[test]
    fn what_is_refused_can_be_said() {
        let rules = Rules::read("deny=drop,call action=skip").expect("it is right");
        assert!(rules.refuses("call", b"CALL p()").is_some());
        assert_eq!(rules.refuses("create", b"CREATE TABLE t (a INT)"), None);
        assert_eq!(rules.refuses("delete", b"DELETE FROM t"), None);
        assert!(rules.skips());
    }

    #[test]
    fn what_is_no_word_of_it_is_refused() {
        for config in ["deny=drops", "deny=", "allow=drop", "action=ignore", "drop"] {
            assert!(Rules::read(config).is_err(), "{config}");
        }
    }
}
