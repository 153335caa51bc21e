//! Finds the rows of an INSERT of constants. What is not understood to the last byte is no such
//! INSERT: it is then left as it is. One pass over the text, nothing is allocated.

use crate::alike::{Alike, Marks};
use crate::constant::{Reader, escapes, is_space};
use crate::dialect::{InsertRules, Rules};
use crate::family::{Families, Ruled};
use crate::tail::is_harmless;

/// A statement without its terminator, in a text that may go on behind it.
#[derive(Clone, Copy)]
pub(crate) struct Text<'a> {
    wide: &'a [u8],
    length: usize,
}

impl<'a> Text<'a> {
    /// The statement from `start` to `end`.
    pub(crate) fn new(window: &'a [u8], start: usize, end: usize) -> Self {
        let wide = window.get(start..).unwrap_or_default();
        Self { wide, length: end.saturating_sub(start).min(wide.len()) }
    }

    /// The statement and what stands behind it.
    pub(crate) fn wide(self) -> &'a [u8] {
        self.wide
    }

    /// The statement alone.
    pub(crate) fn get(self) -> &'a [u8] {
        &self.wide[..self.length]
    }
}

/// Where the rows stand in an INSERT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct InsertRows {
    /// Bytes before the first row.
    pub(crate) prefix: usize,
    /// Where the last row ends.
    pub(crate) end: usize,
    pub(crate) count: u32,
}

/// The rows of an INSERT whose text is new; their families are put in. `conflicts`: whether it may
/// say what to do with a row that conflicts.
pub(crate) fn rows_of(
    (rules, conflicts): (&'static Rules, bool),
    backslash: Option<bool>,
    text: Text<'_>,
    families: &mut Families,
) -> Option<InsertRows> {
    let prefix = head(rules, conflicts, text.get())?;
    let rows = rows_behind(rules, backslash, text, prefix, families)?;
    is_harmless(&rules.inserts, conflicts, &text.get()[rows.end..]).then_some(rows)
}

/// The rows that stand behind a prefix; what is behind them is left to the caller.
pub(crate) fn rows_behind(
    rules: &'static Rules,
    backslash: Option<bool>,
    text: Text<'_>,
    prefix: usize,
    families: &mut Families,
) -> Option<InsertRows> {
    let mut reader = Reader::new(rules, backslash, text.get(), prefix);
    let (rule, marks) = (rules.inserts.families, Marks::new(escapes(rules, backslash)));
    let mut count = 0_u32;
    families.clear();
    loop {
        let column = reader.row(families)?;
        if !families.is_as_wide(column) {
            return None;
        }
        // Most rows are like the one before.
        let alike = Alike::new(marks, Ruled::new(rule, families), families.width());
        let (end, more) = alike.more(text.wide, reader.at());
        count = count.checked_add(1)?.checked_add(more)?;
        if end > text.length {
            return None;
        }
        reader.go_to(end);
        reader.space();
        if !reader.eat(b',') {
            return Some(InsertRows { prefix, end, count });
        }
        reader.space();
    }
}

/// Where the first row begins: behind `INSERT INTO t (a, b) VALUES `.
fn head(rules: &'static Rules, conflicts: bool, text: &[u8]) -> Option<usize> {
    let mut head = Head { rules: &rules.inserts, text, at: 0 };
    head.verb(conflicts)?;
    head.name()?;
    while rules.inserts.qualified && head.eat(b'.') {
        head.name()?;
    }
    head.space();
    if head.eat(b'(') {
        loop {
            head.space();
            head.name()?;
            head.space();
            if !head.eat(b',') {
                break;
            }
        }
        head.eat(b')').then_some(())?;
        head.space();
    }
    head.is_word("VALUES").then_some(())?;
    head.space();
    (text.get(head.at) == Some(&b'(')).then_some(head.at)
}

/// Reads what is before the rows.
struct Head<'a> {
    rules: &'static InsertRules,
    text: &'a [u8],
    at: usize,
}

impl Head<'_> {
    /// `INSERT INTO`, or what else the dialect has that adds rows one by one.
    fn verb(&mut self, conflicts: bool) -> Option<()> {
        let start = self.at;
        let ignoring = self.rules.ignoring_verb.filter(|_| conflicts);
        for words in self.rules.verbs.iter().copied().chain(ignoring) {
            self.at = start;
            if words.split(' ').all(|word| {
                let fits = self.is_word(word);
                self.space();
                fits
            }) {
                return Some(());
            }
        }
        None
    }

    /// Whether this word is next; it is then read.
    fn is_word(&mut self, word: &str) -> bool {
        let end = self.at + word.len();
        let fits = self.text.get(self.at..end).is_some_and(|found| {
            found.eq_ignore_ascii_case(word.as_bytes())
                && self.text.get(end).is_none_or(|next| !is_word(*next))
        });
        if fits {
            self.at = end;
        }
        fits
    }

    /// A name, in quotes or not.
    fn name(&mut self) -> Option<()> {
        let first = *self.text.get(self.at)?;
        if let Some((_, close)) = self.rules.names.iter().find(|(open, _)| *open == first) {
            return self.quoted(*close);
        }
        let rest = &self.text[self.at..];
        let length = rest.iter().position(|byte| !is_word(*byte)).unwrap_or(rest.len());
        let starts = !first.is_ascii_digit() && length > 0;
        // `VALUES` would be the word that follows.
        let name = &rest[..length];
        (starts && !name.eq_ignore_ascii_case(b"VALUES")).then(|| self.at += length)
    }

    fn quoted(&mut self, close: u8) -> Option<()> {
        loop {
            let rest = self.text.get(self.at + 1..)?;
            self.at += 1 + rest.iter().position(|byte| *byte == close)? + 1;
            // A doubled one stands for itself.
            if self.text.get(self.at) != Some(&close) {
                return Some(());
            }
        }
    }

    fn eat(&mut self, byte: u8) -> bool {
        let fits = self.text.get(self.at) == Some(&byte);
        self.at += usize::from(fits);
        fits
    }

    fn space(&mut self) {
        while self.text.get(self.at).is_some_and(|byte| is_space(*byte)) {
            self.at += 1;
        }
    }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'$' || byte >= 0x80
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::Dialect;

    fn found(dialect: Dialect, text: &str) -> Option<(usize, usize, u32)> {
        let rules = dialect.rules();
        let mut families = Families::default();
        let rows =
            rows_of((rules, true), None, Text::new(text.as_bytes(), 0, text.len()), &mut families)?;
        Some((rows.prefix, rows.end, rows.count))
    }

    fn is_found(dialect: Dialect, text: &str) -> bool {
        found(dialect, text).is_some()
    }

    #[test]
    fn rows_are_found_behind_every_head() {
        use Dialect::{MySql, PostgreSql, Sqlite};
        assert_eq!(found(PostgreSql, "INSERT INTO t VALUES (1), (2)"), Some((21, 29, 2)));
        for (dialect, text) in [
            (PostgreSql, "insert into a.b(x,\"y z\") values\n(1,'a')"),
            (PostgreSql, "INSERT INTO \"a\"\"b\".c VALUES (1) ON CONFLICT DO NOTHING"),
            (MySql, "INSERT IGNORE INTO `t` (`a`) VALUES (1)"),
            (MySql, "REPLACE INTO t VALUES (1)"),
            (Sqlite, "INSERT OR IGNORE INTO [t] VALUES (1)"),
            (Sqlite, "REPLACE INTO t VALUES (1)"),
        ] {
            assert!(is_found(dialect, text), "{text}");
        }
    }

    #[test]
    fn what_is_not_understood_is_none() {
        for text in [
            "INSERT INTO t SELECT 1",
            "INSERT INTO t DEFAULT VALUES",
            "INSERT INTO t AS x VALUES (1)",
            "INSERT INTO t VALUES (1) RETURNING id",
            "INSERT INTO t VALUES (1) ON CONFLICT (id) DO UPDATE SET a = 1",
            "INSERT /* hint */ INTO t VALUES (1)",
            "INSERT INTO t VALUES (1) -- tail",
            "INSERT INTO t OVERRIDING SYSTEM VALUE VALUES (1)",
            "INSERT INTO t (a[1]) VALUES (1)",
            "INSERT INTO t VALUES",
            "INSERT INTO t VALUES (1),",
            "INSERT INTO t VALUES ()",
            "INSERT INTO t VALUES (1",
            "INSERT INTO t VALUES (1) (2)",
            "WITH x AS (SELECT 1) INSERT INTO t VALUES (1)",
            "REPLACE INTO t VALUES (1)",
            "INSERT IGNORE INTO t VALUES (1)",
            "INSERT INTO t VALUES (1), (1, 2)",
        ] {
            assert!(!is_found(Dialect::PostgreSql, text), "{text}");
        }
        assert!(!is_found(Dialect::MySql, "INSERT INTO another.t VALUES (1)"));
    }
}
