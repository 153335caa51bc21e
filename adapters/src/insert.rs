//! An INSERT of constants, cut where [`InsertRows`] says.

use crate::{InsertRows, literals::is_blank};

/// The parts of the statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Insert<'a> {
    /// What stands before `VALUES`: `INSERT INTO t (a, b)`.
    pub(crate) into: &'a [u8],
    /// The rows, from the first parenthesis to the last.
    pub(crate) rows: &'a [u8],
    /// What stands behind them, blanks around it left out: `ON CONFLICT DO NOTHING`.
    pub(crate) tail: &'a [u8],
}

impl<'a> Insert<'a> {
    /// Cuts a statement; none if it is not what it was said to be.
    pub(crate) fn of(statement: &'a [u8], at: &InsertRows) -> Option<Self> {
        let (prefix, rest) = statement.split_at_checked(at.prefix as usize)?;
        let rest = rest.trim_ascii_end();
        let rest = rest.strip_suffix(b";").unwrap_or(rest);
        let (rows, tail) = rest.split_at_checked(rest.len().checked_sub(at.tail as usize)?)?;
        let (into, values) = last_word(prefix)?;
        let is_cut = values.eq_ignore_ascii_case(b"VALUES")
            && !holds(prefix, b"--")
            && !holds(prefix, b"/*")
            && rows.starts_with(b"(");
        is_cut.then_some(Self { into: into.trim_ascii(), rows, tail: tail.trim_ascii() })
    }
}

/// What stands before the last word, and the word.
fn last_word(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let text = text.trim_ascii_end();
    let letters = text.iter().rev().take_while(|byte| byte.is_ascii_alphabetic()).count();
    let (before, word) = text.split_at_checked(text.len() - letters)?;
    let is_apart = before.last().is_some_and(|byte| is_blank(*byte) || *byte == b')');
    is_apart.then_some((before, word))
}

/// Whether a mark stands somewhere in a text.
pub(crate) fn holds(text: &[u8], mark: &[u8]) -> bool {
    text.windows(mark.len()).any(|window| window.eq_ignore_ascii_case(mark))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(prefix: &str, tail: &str) -> InsertRows {
        InsertRows { statement: 0, prefix: prefix.len() as u32, tail: tail.len() as u32 }
    }

    #[test]
    fn a_statement_is_cut_into_its_parts_whatever_ends_it() {
        let prefix = "\nINSERT INTO t (a)values ";
        for (tail, separator) in
            [("", ";"), ("", ";\n"), (" ", ";\n"), ("", ""), (" ON CONFLICT DO NOTHING", ";\n")]
        {
            let statement = format!("{prefix}(1),(';'){tail}{separator}");
            let insert = Insert::of(statement.as_bytes(), &at(prefix, tail)).unwrap();
            assert_eq!(insert.into, b"INSERT INTO t (a)");
            assert_eq!(insert.rows, b"(1),(';')");
            assert_eq!(insert.tail, tail.trim().as_bytes());
        }
    }

    #[test]
    fn what_is_not_as_it_was_said_to_be_is_not_cut() {
        for (prefix, rest, tail) in [
            ("INSERT INTO t VALUES ", "1", ""),
            ("INSERT INTO t SELECT ", "(1)", ""),
            ("INSERT INTO tVALUES ", "(1)", ""),
            ("VALUES", "(1)", ""),
            ("INSERT INTO t -- x\nVALUES ", "(1)", ""),
            ("INSERT INTO t /* x */ VALUES ", "(1)", ""),
            ("INSERT INTO t VALUES ", "(1)", "a tail that is longer"),
            ("a prefix that is longer than all of it, VALUES ", "", ""),
        ] {
            let statement = format!("{prefix}{rest};");
            let statement = if rest.is_empty() { "short" } else { &statement };
            assert_eq!(Insert::of(statement.as_bytes(), &at(prefix, tail)), None, "{prefix}");
        }
    }
}
