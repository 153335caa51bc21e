//! The statements of a text, as the double finds them: by rules of its own, so that what it counts
//! does not depend on what it tests.

/// A statement, and where it begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) text: String,
    /// From 1.
    pub(super) line: usize,
    /// From 0, in units of UTF-16.
    pub(super) position: usize,
}

/// First words of statements; what begins otherwise cannot be read.
const KNOWN: [&str; 25] = [
    "ALTER", "BEGIN", "CALL", "COMMIT", "CREATE", "DECLARE", "DELETE", "DESC", "DROP", "EXECUTE",
    "INSERT", "LIST", "MERGE", "ROLLBACK", "SELECT", "SET", "SHOW", "START", "TRUNCATE", "UNSET",
    "UPDATE", "USE", "VALUES", "WITH", "GRANT",
];

/// Cuts a text at its semicolons, those in strings, comments and blocks aside.
pub(super) fn statements(text: &str) -> Vec<Found> {
    let mut found = Vec::new();
    let mut start = 0;
    let mut blocks = 0_i32;
    let mut at = 0;
    while at < text.len() {
        let rest = &text[at..];
        let skipped = quoted(rest).or_else(|| comment(rest));
        if let Some(skipped) = skipped {
            at += skipped;
            continue;
        }
        let word: String = rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        match word.to_uppercase().as_str() {
            "BEGIN" if opens_block(&rest[word.len()..]) => blocks += 1,
            "CASE" if blocks > 0 => blocks += 1,
            "END" if blocks > 0 => blocks -= 1,
            _ => {}
        }
        if rest.starts_with(';') && blocks == 0 {
            push(&mut found, text, start, at);
            start = at + 1;
        }
        at += word.len().max(rest.chars().next().map_or(1, char::len_utf8));
    }
    push(&mut found, text, start, text.len());
    found
}

/// The first word of a statement, in capitals.
pub(super) fn first_word(statement: &str) -> String {
    let mut rest = statement.trim_start();
    while let Some(length) = comment(rest) {
        rest = rest[length..].trim_start();
    }
    rest.chars().take_while(|c| c.is_ascii_alphabetic()).collect::<String>().to_uppercase()
}

/// What of a text cannot be read: the word, its line and its position.
pub(super) fn unreadable(found: &[Found]) -> Option<(String, usize, usize)> {
    let bad = found.iter().find(|found| !KNOWN.contains(&&*first_word(&found.text)))?;
    let word = bad.text.split_whitespace().next().unwrap_or_default();
    Some((word.to_owned(), bad.line, bad.position))
}

fn push(found: &mut Vec<Found>, text: &str, start: usize, end: usize) {
    let statement = &text[start..end];
    if first_word(statement).is_empty() && statement.trim().is_empty() {
        return;
    }
    let start = start + (statement.len() - statement.trim_start().len());
    let before = &text[..start];
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    found.push(Found {
        text: statement.trim().to_owned(),
        line: before.matches('\n').count() + 1,
        position: text[line_start..start].encode_utf16().count(),
    });
}

/// Bytes of the string that a text begins with.
fn quoted(text: &str) -> Option<usize> {
    if let Some(rest) = text.strip_prefix("$$") {
        return Some(rest.find("$$").map_or(text.len(), |end| end + 4));
    }
    let quote = text.chars().next().filter(|c| *c == '\'' || *c == '"')?;
    let mut escaped = false;
    for (at, character) in text.char_indices().skip(1) {
        match character {
            _ if escaped => escaped = false,
            '\\' if quote == '\'' => escaped = true,
            end if end == quote => return Some(at + 1),
            _ => {}
        }
    }
    Some(text.len())
}

/// Bytes of the comment that a text begins with.
fn comment(text: &str) -> Option<usize> {
    if text.starts_with("--") || text.starts_with("//") {
        return Some(text.find('\n').unwrap_or(text.len()));
    }
    let rest = text.strip_prefix("/*")?;
    Some(rest.find("*/").map_or(text.len(), |end| end + 4))
}

fn opens_block(behind: &str) -> bool {
    let next = behind.trim_start();
    let word = first_word(next);
    !(next.is_empty()
        || next.starts_with(';')
        || ["TRANSACTION", "WORK", "NAME"].contains(&word.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_where_it_should_be() {
        let text = "SELECT 'a;\\';' ;\n  -- b;\nBEGIN x; END; BEGIN; $$;$$ // ;\n;";
        let cut: Vec<_> =
            statements(text).into_iter().map(|s| (s.text, s.line, s.position)).collect();
        let expected = [
            ("SELECT 'a;\\';'", 1, 0),
            ("-- b;\nBEGIN x; END", 2, 2),
            ("BEGIN", 3, 14),
            ("$$;$$ // ;", 3, 21),
        ];
        assert_eq!(cut, expected.map(|(text, line, at)| (text.to_owned(), line, at)));
    }
}
