//! Statements without what clients keep or drop as they like: comments and white space. Written
//! without the splitter's own lexer, which is what is being tested.

/// What a comment is, and a quote.
#[derive(Clone, Copy)]
struct Rules {
    hashes: bool,
    dashes_need_space: bool,
    nested: bool,
    executable: bool,
    backslashes: bool,
}

const MYSQL: Rules = Rules {
    hashes: true,
    dashes_need_space: true,
    nested: false,
    executable: true,
    backslashes: true,
};
const STANDARD: Rules = Rules {
    hashes: false,
    dashes_need_space: false,
    nested: false,
    executable: false,
    backslashes: false,
};
const POSTGRESQL: Rules = Rules { nested: true, ..STANDARD };

/// psql drops empty lines, and `--` comments before a statement.
pub(crate) fn postgresql(text: &[u8]) -> Vec<u8> {
    let text = without_lead(text, POSTGRESQL);
    let mut out: Vec<u8> = Vec::with_capacity(text.len());
    for &byte in text {
        if byte != b'\n' || out.last() != Some(&b'\n') {
            out.push(byte);
        }
    }
    trimmed(&out).to_vec()
}

/// `sqlite3_complete` drops nothing.
pub(crate) fn sqlite(text: &[u8]) -> Vec<u8> {
    trimmed(without_lead(text, STANDARD)).to_vec()
}

/// The mariadb client drops all comments, some white space around them, the newline behind a line
/// that looks like `DELIMITER`, the `\r` of `\r\n`, and a backslash at the end of a line. `USE` it does by other means, and asks what came of it.
pub(crate) fn mysql(text: &[u8]) -> Vec<u8> {
    let mut out: Vec<u8> = Vec::with_capacity(text.len());
    let is_use = without_lead(text, MYSQL).to_ascii_lowercase().starts_with(b"use ");
    let mut at = if is_use { text.len() } else { 0 };
    while at < text.len() {
        let rest = &text[at..];
        if let Some(length) = comment(rest, MYSQL) {
            at += length;
        } else if rest[0].is_ascii_whitespace() {
            at += 1;
        } else {
            let length = quoted(rest, MYSQL).unwrap_or(1);
            push_quoted(&mut out, &rest[..length]);
            at += length;
        }
    }
    let out = trimmed(&out);
    if out == b"SELECTDATABASE()" { Vec::new() } else { out.to_vec() }
}

fn push_quoted(out: &mut Vec<u8>, text: &[u8]) {
    let mut rest = text;
    while let [byte, tail @ ..] = rest {
        let dropped = matches!(rest, [b'\r' | b'\\', b'\n', ..] | [b'\\', b'\r', b'\n', ..]);
        if !dropped {
            out.push(*byte);
        }
        rest = tail;
    }
}

/// Without white space and comments before it.
fn without_lead(mut text: &[u8], rules: Rules) -> &[u8] {
    loop {
        text = text.trim_ascii_start();
        match comment(text, rules) {
            Some(length) => text = &text[length..],
            None => return text,
        }
    }
}

/// Without white space and semicolons behind it.
fn trimmed(text: &[u8]) -> &[u8] {
    let end = text.iter().rposition(|byte| !byte.is_ascii_whitespace() && *byte != b';');
    &text[..end.map_or(0, |end| end + 1)]
}

/// How long the comment is that a text begins with.
fn comment(text: &[u8], rules: Rules) -> Option<usize> {
    let line = |text: &[u8]| text.iter().position(|byte| *byte == b'\n').unwrap_or(text.len());
    match text {
        [b'#', ..] if rules.hashes => Some(line(text)),
        [b'-', b'-', next, ..] if !rules.dashes_need_space || next.is_ascii_whitespace() => {
            Some(line(text))
        }
        [b'-', b'-'] => Some(2),
        [b'/', b'*', b'M', b'!', b'9', b'9', b'9', b'9', b'9', b'9', ..] if rules.executable => {
            block(text, rules)
        }
        [b'/', b'*', b'!', ..] | [b'/', b'*', b'M', b'!', ..] if rules.executable => None,
        [b'/', b'*', ..] => block(text, rules),
        _ => None,
    }
}

fn block(text: &[u8], rules: Rules) -> Option<usize> {
    let mut depth = 1;
    let mut at = 2;
    while depth > 0 {
        match text.get(at..)? {
            [b'*', b'/', ..] => (depth, at) = (depth - 1, at + 2),
            [b'/', b'*', ..] if rules.nested => (depth, at) = (depth + 1, at + 2),
            [b'/', b'*', b'!', ..] if rules.executable => (depth, at) = (2, at + 3),
            [b'/', b'*', ..] if rules.executable => at += 2,
            [] | [_] => return Some(text.len()),
            _ => at += 1,
        }
    }
    Some(at)
}

/// How long the quoted thing is that a text begins with.
fn quoted(text: &[u8], rules: Rules) -> Option<usize> {
    let quote = text.first().filter(|byte| matches!(byte, b'\'' | b'"' | b'`'))?;
    let mut at = 1;
    while let Some(byte) = text.get(at) {
        at += match byte {
            b'\\' if rules.backslashes && *quote != b'`' => 2,
            byte if byte == quote => return Some(at + 1),
            _ => 1,
        };
    }
    Some(text.len())
}
