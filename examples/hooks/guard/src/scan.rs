//! Whether a statement changes a whole table: a `DELETE` or an `UPDATE` without a `WHERE` of its
//! own. Words are looked for outside strings, quoted names and comments, and each at its own depth
//! of parentheses, so that the `WHERE` of a sub-select is not that of the statement around it.
//!
//! How strings and comments are read differs between databases and with their settings, which a hook
//! is not told. A text that could be read in several ways is read in all of them, and counts as
//! bounded only if it is in each.

/// How a text may be read.
#[derive(Clone, Copy, Debug)]
struct Reading {
    /// A backslash takes the next byte of a string with it.
    backslash: bool,
    /// Comments nest.
    nested: bool,
    /// `#` begins a comment, and `--` only before white space.
    hash: bool,
    /// `$tag$` quotes.
    dollar: bool,
    /// What a comment `/*! … */` holds is executed.
    executed: bool,
}

/// A word, or a parenthesis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token<'a> {
    Word(&'a [u8]),
    Open,
    Close,
    Other,
}

/// Whether the statement is, or has inside, a change without a `WHERE` of its own, in any reading.
pub(crate) fn changes_a_whole_table(text: &[u8]) -> bool {
    readings(text).any(|reading| is_unbounded(text, reading))
}

/// The readings in which a text can differ: one, where it has nothing that is ambiguous.
fn readings(text: &[u8]) -> impl Iterator<Item = Reading> {
    let has = |byte: u8| text.contains(&byte);
    let pairs = |pair: &[u8]| text.windows(2).any(|two| two == pair);
    let choices = [
        has(b'\\'),
        pairs(b"/*"),
        has(b'#') || pairs(b"--"),
        has(b'$'),
        pairs(b"*!") || text.windows(3).any(|three| three == b"*M!"),
    ];
    (0..32_u32)
        .filter(move |bits| {
            choices.iter().enumerate().all(|(index, open)| *open || bits >> index & 1 == 0)
        })
        .map(|bits| Reading {
            backslash: bits & 1 != 0,
            nested: bits & 2 != 0,
            hash: bits & 4 != 0,
            dollar: bits & 8 != 0,
            executed: bits & 16 != 0,
        })
}

/// A change that is being read, and the depth at which it stands.
struct Change {
    depth: u32,
    bounded: bool,
}

fn is_unbounded(text: &[u8], reading: Reading) -> bool {
    let mut changes: Vec<Change> = Vec::new();
    let (mut depth, mut before) = (0_u32, Token::Other);
    let mut tokens = Tokens { text, at: 0, reading };
    while let Some(token) = tokens.next() {
        match token {
            Token::Open => depth += 1,
            Token::Close => {
                if ends_unbounded(&mut changes, depth) {
                    return true;
                }
                depth = depth.saturating_sub(1);
            }
            Token::Word(word) if is(word, "WHERE") => {
                if let Some(change) = changes.iter_mut().rfind(|change| change.depth == depth) {
                    change.bounded = true;
                }
            }
            Token::Word(word) if begins_change(word, before) => {
                changes.push(Change { depth, bounded: false });
            }
            _ => {}
        }
        before = token;
    }
    changes.iter().any(|change| !change.bounded)
}

/// A parenthesis closes: what stands inside it has ended.
fn ends_unbounded(changes: &mut Vec<Change>, depth: u32) -> bool {
    let mut unbounded = false;
    while changes.last().is_some_and(|change| change.depth >= depth && depth > 0) {
        unbounded |= changes.pop().is_some_and(|change| !change.bounded);
    }
    unbounded
}

/// Whether a word begins a change, rather than being part of another clause: `FOR UPDATE`,
/// `ON DELETE CASCADE`, `ON CONFLICT … DO UPDATE`, `ON DUPLICATE KEY UPDATE`.
fn begins_change(word: &[u8], before: Token<'_>) -> bool {
    let is_change = is(word, "DELETE") || is(word, "UPDATE");
    let clause = ["FOR", "KEY", "DO", "ON", "OR", "THEN", "BEFORE", "AFTER", "OF"];
    let is_clause = match before {
        Token::Word(before) => clause.iter().any(|name| is(before, name)),
        _ => false,
    };
    is_change && !is_clause
}

fn is(word: &[u8], name: &str) -> bool {
    word.eq_ignore_ascii_case(name.as_bytes())
}

struct Tokens<'a> {
    text: &'a [u8],
    at: usize,
    reading: Reading,
}

impl<'a> Tokens<'a> {
    fn next(&mut self) -> Option<Token<'a>> {
        loop {
            let rest = self.text.get(self.at..)?;
            let first = *rest.first()?;
            match first {
                _ if first.is_ascii_whitespace() => self.at += 1,
                b'\'' | b'"' | b'`' => {
                    self.at += quoted(rest, first, self.reading.backslash && first != b'`');
                    return Some(Token::Other);
                }
                b'[' if bracket(rest).is_some() => {
                    self.at += bracket(rest).unwrap_or(1);
                    return Some(Token::Other);
                }
                b'#' if self.reading.hash => self.at += line(rest),
                b'-' if self.begins_line_comment(rest) => self.at += line(rest),
                b'/' if rest.starts_with(b"/*") => self.comment(rest),
                b'*' if self.reading.executed && rest.starts_with(b"*/") => self.at += 2,
                b'$' if self.reading.dollar && dollar(rest).is_some() => {
                    self.at += dollar(rest).unwrap_or(1);
                    return Some(Token::Other);
                }
                _ => return Some(self.plain(rest, first)),
            }
        }
    }

    fn begins_line_comment(&self, rest: &[u8]) -> bool {
        let space = rest.get(2).is_none_or(u8::is_ascii_whitespace);
        rest.starts_with(b"--") && (!self.reading.hash || space)
    }

    fn comment(&mut self, rest: &[u8]) {
        let is_executed = rest.starts_with(b"/*!") || rest.starts_with(b"/*M!");
        if self.reading.executed && is_executed {
            let mark = rest.iter().position(|&byte| byte == b'!').unwrap_or(2) + 1;
            let version = rest.iter().skip(mark).take_while(|byte| byte.is_ascii_digit()).count();
            self.at += mark + version;
        } else {
            self.at += comment(rest, self.reading.nested);
        }
    }

    fn plain(&mut self, rest: &'a [u8], first: u8) -> Token<'a> {
        let of_word = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_' || *byte >= 0x80;
        let length = rest.iter().take_while(|byte| of_word(byte)).count();
        self.at += length.max(1);
        match first {
            b'(' => Token::Open,
            b')' => Token::Close,
            _ if length > 0 => Token::Word(rest.get(..length).unwrap_or_default()),
            _ => Token::Other,
        }
    }
}

/// Bytes of a string or a quoted name, the rest of the text if it is not closed. A doubled quote
/// ends one and begins the next, which is the same.
fn quoted(rest: &[u8], quote: u8, backslash: bool) -> usize {
    let mut at = 1;
    while let Some(&byte) = rest.get(at) {
        at += 1;
        match byte {
            b'\\' if backslash => at += 1,
            _ if byte == quote => return at,
            _ => {}
        }
    }
    rest.len()
}

/// Bytes of a name in brackets; none for what is rather an index.
fn bracket(rest: &[u8]) -> Option<usize> {
    let end = rest.iter().position(|&byte| byte == b']')?;
    let name = rest.get(1..end)?;
    let starts_name = name.first().is_some_and(|byte| byte.is_ascii_alphabetic() || *byte == b'_');
    let plain = name.iter().all(|byte| byte.is_ascii_alphanumeric() || b"_ .".contains(byte));
    (starts_name && plain).then_some(end + 1)
}

fn line(rest: &[u8]) -> usize {
    rest.iter().position(|&byte| byte == b'\n').map_or(rest.len(), |end| end + 1)
}

fn comment(rest: &[u8], nested: bool) -> usize {
    let (mut at, mut depth) = (2, 1_u32);
    while at < rest.len() {
        match rest.get(at..at + 2) {
            Some(b"*/") => {
                depth -= 1;
                at += 2;
                if depth == 0 {
                    return at;
                }
            }
            Some(b"/*") if nested => {
                depth += 1;
                at += 2;
            }
            _ => at += 1,
        }
    }
    rest.len()
}

/// Bytes of a dollar quote; none where it begins none.
fn dollar(rest: &[u8]) -> Option<usize> {
    let of_tag = |byte: &&u8| byte.is_ascii_alphanumeric() || **byte == b'_' || **byte >= 0x80;
    let tag = rest.iter().skip(1).take_while(of_tag).count();
    if rest.get(tag + 1) != Some(&b'$') || rest.get(1).is_some_and(u8::is_ascii_digit) {
        return None;
    }
    let mark = rest.get(..tag + 2)?;
    let inside = rest.get(mark.len()..)?;
    let end = inside.windows(mark.len()).position(|window| window == mark);
    Some(end.map_or(rest.len(), |end| end + 2 * mark.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(sql: &str) -> bool {
        changes_a_whole_table(sql.as_bytes())
    }

    #[test]
    fn a_where_in_a_comment_a_string_or_a_name_bounds_nothing() {
        for sql in [
            "DELETE FROM t",
            "delete /* where */ from t",
            "DELETE FROM t -- WHERE a = 1",
            "DELETE FROM t # WHERE a = 1",
            "DELETE FROM t AS \"where\"",
            "DELETE FROM `where`",
            "DELETE FROM [where]",
            "UPDATE t SET a = ' WHERE '",
            "UPDATE t SET a = 'it''s WHERE '",
            "UPDATE t SET a = 'it\\' WHERE '",
            "UPDATE t SET a = $$ WHERE $$",
            "UPDATE t SET a = $x$ WHERE $$ $x$",
            "DELETE FROM t /* /* */ WHERE a = 1 */",
            "DELETE FROM t /*! WHERE a = 1 */",
            "DELETE FROM t --\nWHERE_NOT",
            "UPDATE t SET a = 5--WHERE a = 1",
        ] {
            assert!(whole(sql), "{sql}");
        }
    }

    #[test]
    fn a_where_of_another_part_bounds_nothing() {
        for sql in [
            "DELETE FROM t USING (SELECT 1 FROM u WHERE a = 1) v",
            "UPDATE t SET a = (SELECT max(a) FROM u WHERE b = 1)",
            "WITH d AS (DELETE FROM t RETURNING *) SELECT * FROM d WHERE a = 1",
            "WITH d AS (SELECT 1 WHERE true) DELETE FROM t",
            "EXPLAIN ANALYZE DELETE FROM t",
            "EXPLAIN (ANALYZE) UPDATE t SET a = 1",
            "PREPARE p AS DELETE FROM t",
        ] {
            assert!(whole(sql), "{sql}");
        }
    }

    #[test]
    fn a_where_of_its_own_bounds_a_change() {
        for sql in [
            "DELETE FROM t WHERE a = 1",
            "delete from t\nwHeRe a in (select a from u)",
            "UPDATE t SET a = (SELECT max(a) FROM u) WHERE b = 'it''s'",
            "UPDATE t SET a = 'x\\\\' WHERE b = 1",
            "DELETE FROM t /* old */ WHERE a = 1 -- done",
            "WITH d AS (DELETE FROM t WHERE a = 1 RETURNING *) SELECT * FROM d",
            "SELECT * FROM t FOR UPDATE",
            "SELECT * FROM t FOR NO KEY UPDATE",
            "WITH s AS (SELECT 1) SELECT * FROM s FOR UPDATE",
            "SELECT 'DELETE FROM t'",
        ] {
            assert!(!whole(sql), "{sql}");
        }
    }
}
