//! What an INSERT inserts into: `INSERT INTO schema.table (a, b)`, read strictly.

use crate::literals::is_blank;

/// The longest name that the server does not cut (`NAMEDATALEN` - 1).
const MAX_NAME_BYTES: usize = 63;

/// A table and columns of it, as the statement names them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target<'a> {
    /// The name, quotes included.
    pub(super) table: &'a str,
    /// The list of columns with its parentheses; empty where there is none.
    pub(super) list: &'a str,
    /// The names in the list as the catalog has them; none where there is no list.
    pub(super) columns: Option<Vec<String>>,
}

impl<'a> Target<'a> {
    /// Reads what stands before `VALUES`; none where anything is not understood.
    pub(super) fn of(into: &'a [u8]) -> Option<Self> {
        let into = std::str::from_utf8(into).ok()?;
        let rest = blanks(word(blanks(word(into, "INSERT")?), "INTO")?);
        let (_, mut behind) = name(rest)?;
        if let Some(second) = behind.strip_prefix('.') {
            behind = name(second)?.1;
        }
        let table = rest.strip_suffix(behind)?;
        let list = blanks(behind);
        if list.is_empty() {
            return Some(Self { table, list, columns: None });
        }
        let mut columns = Vec::new();
        let mut rest = list.strip_prefix('(')?;
        loop {
            let (column, behind) = name(blanks(rest))?;
            columns.push(column);
            let behind = blanks(behind);
            match behind.strip_prefix(',') {
                Some(behind) => rest = behind,
                None if behind == ")" => break,
                None => return None,
            }
        }
        Some(Self { table, list, columns: Some(columns) })
    }
}

fn blanks(text: &str) -> &str {
    text.trim_start_matches(|character| u8::try_from(character).is_ok_and(is_blank))
}

/// What follows a word of the language and a blank.
fn word<'a>(text: &'a str, expected: &str) -> Option<&'a str> {
    let (word, rest) = text.split_at_checked(expected.len())?;
    let is_apart = rest.bytes().next().is_some_and(is_blank);
    (word.eq_ignore_ascii_case(expected) && is_apart).then_some(rest)
}

/// A name as the catalog has it, and what follows.
fn name(text: &str) -> Option<(String, &str)> {
    let (name, rest) = match text.strip_prefix('"') {
        Some(quoted) => {
            let (name, rest) = quoted.split_once('"')?;
            // A doubled quote would go on here.
            (name.to_owned(), rest)
        }
        None => {
            // What other letters become depends on the server's locale.
            let is_letter = |byte: u8| byte.is_ascii_alphabetic() || byte == b'_';
            let is_part = |byte: u8| is_letter(byte) || byte.is_ascii_digit() || byte == b'$';
            let length = text.bytes().take_while(|byte| is_part(*byte)).count();
            let (name, rest) = text.split_at_checked(length)?;
            name.bytes().next().filter(|byte| is_letter(*byte))?;
            (name.to_ascii_lowercase(), rest)
        }
    };
    let is_end = rest
        .bytes()
        .next()
        .is_none_or(|next| is_blank(next) || matches!(next, b'.' | b',' | b'(' | b')'));
    (is_end && (1..=MAX_NAME_BYTES).contains(&name.len())).then_some((name, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_read_as_the_server_reads_it() {
        let read = |into| Target::of(into).map(|target| (target.table, target.columns));
        let names = |names: &[&str]| Some(names.iter().map(|name| (*name).to_owned()).collect());
        assert_eq!(read(b"INSERT INTO t"), Some(("t", None)));
        assert_eq!(read(b"insert\n into S.\"T b\" "), Some(("S.\"T b\"", None)));
        assert_eq!(read(b"INSERT INTO t(A)"), Some(("t", names(&["a"]))));
        let listed = read(b"INSERT INTO \"t\" ( a , \"B,)\" )");
        assert_eq!(listed, Some(("\"t\"", names(&["a", "B,)"]))));
        assert_eq!(Target::of(b"INSERT INTO t ( a )").map(|target| target.list), Some("( a )"));
    }

    #[test]
    fn what_is_not_a_plain_target_is_not_read() {
        for into in [
            "INSERT t",
            "INSERTINTO t",
            "INSERT INTO ",
            "INSERT INTO t AS x",
            "INSERT INTO a.b.c",
            "INSERT INTO a . b",
            "INSERT INTO t (a) OVERRIDING USER VALUE",
            "INSERT INTO t ()",
            "INSERT INTO t (a,)",
            "INSERT INTO t (a[1])",
            "INSERT INTO t (a.b)",
            "INSERT INTO t (a) x",
            "INSERT INTO U&\"t\"",
            "INSERT INTO \"a\"\"b\"",
            "INSERT INTO größe",
            "INSERT INTO 1t",
            "INSERT INTO \"\"",
            "WITH x AS (SELECT 1) INSERT INTO t",
        ] {
            assert_eq!(Target::of(into.as_bytes()), None, "{into}");
        }
        let long = format!("INSERT INTO {}", "a".repeat(MAX_NAME_BYTES + 1));
        assert_eq!(Target::of(long.as_bytes()), None);
    }
}
