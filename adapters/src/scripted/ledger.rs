//! The rows of a ledger that statements insert, and the queries that ask for them. Not SQL: no more
//! is understood than what a batcher writes for its ledger.

use crate::body::first_word;

/// The column that rows are ordered by.
const ORDER: &str = "first_statement";

/// What makes two rows the same.
const KEY: &[&str] = &["run", ORDER, "state"];

/// A row of a ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Row {
    table: Vec<Token>,
    /// Names and values.
    columns: Vec<(String, Option<String>)>,
}

/// Whether a statement creates a ledger, inserts into one or deletes from it: a table whose name
/// has `_ledger` in it.
pub(super) fn is_of_ledger(statement: &str) -> bool {
    let name = statement.split('(').next().unwrap_or_default();
    let word = first_word(statement.as_bytes());
    name.contains("_ledger") && matches!(word.as_str(), "CREATE" | "INSERT" | "DELETE")
}

/// The rows that statements leave in ledgers.
pub(super) fn rows<'a>(statements: impl Iterator<Item = &'a String>) -> Vec<Row> {
    let mut rows = Vec::new();
    for statement in statements {
        rows.extend(row(statement));
        delete(&mut rows, statement);
    }
    rows
}

/// Takes out what a statement deletes.
fn delete(rows: &mut Vec<Row>, statement: &str) {
    let tokens = tokens(statement);
    let Some(mut rest) = after_words(&tokens, &["DELETE", "FROM"]) else { return };
    let table = take_until(&mut rest, |token| token.is_word("WHERE"));
    rows.retain(|row| row.table != table || !fits(row, rest));
}

/// The row that a statement inserts into a ledger.
pub(super) fn row(statement: &str) -> Option<Row> {
    if !is_of_ledger(statement) {
        return None;
    }
    let tokens = tokens(statement);
    let mut rest = after_words(&tokens, &["INSERT", "INTO"])?;
    let table = take_until(&mut rest, |token| token.is_sign('('));
    let names = take_until(&mut rest, |token| token.is_sign(')'));
    let mut rest = after_words(rest.get(1..)?, &["VALUES"])?.get(1..)?;
    let values = take_until(&mut rest, |token| token.is_sign(')'));
    let names = names.get(1..)?.split(|token| token.is_sign(','));
    let values = values.split(|token| token.is_sign(','));
    let column = |(name, value): (&[Token], &[Token])| match (name, value) {
        ([Token::Name(name)], [Token::Name(null)]) if null.eq_ignore_ascii_case("NULL") => {
            Some((name.clone(), None))
        }
        ([Token::Name(name)], [Token::Name(value) | Token::Text(value)]) => {
            Some((name.clone(), Some(value.clone())))
        }
        _ => None,
    };
    let columns = names.zip(values).map(column).collect::<Option<_>>()?;
    Some(Row { table, columns })
}

impl Row {
    /// Whether both are rows of one table for the same.
    pub(super) fn collides_with(&self, other: &Self) -> bool {
        let same = |name: &&str| self.value(name) == other.value(name);
        self.table == other.table && KEY.iter().all(same)
    }

    fn value(&self, name: &str) -> Option<&str> {
        let found = self.columns.iter().find(|(column, _)| column == name);
        found.and_then(|(_, value)| value.as_deref())
    }

    fn order(&self) -> i64 {
        self.value(ORDER).and_then(|value| value.parse().ok()).unwrap_or(0)
    }
}

/// Answers `SELECT columns FROM table …` with the rows of a ledger; anything else with none.
///
/// Of what follows the table, `column = value`, `first_statement > number`,
/// `ORDER BY first_statement DESC` and `LIMIT number` count.
pub(super) fn answer(rows: &[Row], sql: &str) -> Vec<Vec<Option<String>>> {
    let tokens = tokens(sql);
    let Some(mut rest) = after_words(&tokens, &["SELECT"]) else { return Vec::new() };
    let names = take_until(&mut rest, |token| token.is_word("FROM"));
    let mut rest = rest.get(1..).unwrap_or_default();
    let table = take_until(&mut rest, |token| {
        ["WHERE", "ORDER", "LIMIT"].iter().any(|word| token.is_word(word)) || token.is_sign(';')
    });
    let mut found: Vec<&Row> =
        rows.iter().filter(|row| row.table == table && fits(row, rest)).collect();
    found.sort_by_key(|row| row.order());
    if rest.iter().any(|token| token.is_word("DESC")) {
        found.reverse();
    }
    let limit = rest.windows(2).find_map(|pair| match pair {
        [word, Token::Name(number)] if word.is_word("LIMIT") => number.parse().ok(),
        _ => None,
    });
    found.truncate(limit.unwrap_or(usize::MAX));
    found.into_iter().filter_map(|row| select(row, &names)).collect()
}

/// Whether a row is one that the conditions ask for.
fn fits(row: &Row, conditions: &[Token]) -> bool {
    conditions.windows(3).all(|condition| match condition {
        [Token::Name(name), sign, Token::Name(value) | Token::Text(value)] if sign.is_sign('=') => {
            row.value(name) == Some(value)
        }
        [Token::Name(name), sign, Token::Name(value)] if name == ORDER && sign.is_sign('>') => {
            value.parse().is_ok_and(|least: i64| row.order() > least)
        }
        _ => true,
    })
}

/// The columns of a row that are asked for by name; none where one of them is not there.
fn select(row: &Row, names: &[Token]) -> Option<Vec<Option<String>>> {
    let value = |name: &[Token]| match name {
        [Token::Name(name)] => {
            let found = row.columns.iter().find(|(column, _)| column == name);
            found.map(|(_, value)| value.clone())
        }
        _ => None,
    };
    names.split(|token| token.is_sign(',')).map(value).collect()
}

/// A part of a statement.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    /// A word, a number, or a name in double quotes, without them.
    Name(String),
    /// A text in single quotes, without them.
    Text(String),
    /// Any other character.
    Sign(char),
}

impl Token {
    fn is_word(&self, word: &str) -> bool {
        matches!(self, Self::Name(name) if name.eq_ignore_ascii_case(word))
    }

    fn is_sign(&self, sign: char) -> bool {
        *self == Self::Sign(sign)
    }
}

/// A statement in its parts. A backslash means itself, comments are not known.
fn tokens(statement: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut rest = statement.trim_start();
    while let Some(first) = rest.chars().next() {
        let in_word = |character: char| character.is_alphanumeric() || character == '_';
        let length = match first {
            '\'' | '"' => quoted_length(rest, first),
            first if in_word(first) => {
                rest.find(|character| !in_word(character)).unwrap_or(rest.len())
            }
            other => other.len_utf8(),
        };
        let (part, tail) = rest.split_at(length);
        let inner = || {
            let inner = part.get(1..part.len() - 1).unwrap_or_default();
            inner.replace(&format!("{first}{first}"), &first.to_string())
        };
        tokens.push(match first {
            '\'' => Token::Text(inner()),
            '"' => Token::Name(inner()),
            first if in_word(first) => Token::Name(part.to_owned()),
            other => Token::Sign(other),
        });
        rest = tail.trim_start();
    }
    tokens
}

/// How long the quoted text is that a text begins with; a quote in it is doubled.
fn quoted_length(text: &str, quote: char) -> usize {
    let mut inside = true;
    for (at, character) in text.char_indices().skip(1) {
        match (character == quote, inside) {
            (true, _) => inside = !inside,
            (false, true) => {}
            (false, false) => return at,
        }
    }
    text.len()
}

/// What follows some words, if it is with them that the tokens begin.
fn after_words<'t>(tokens: &'t [Token], words: &[&str]) -> Option<&'t [Token]> {
    let (head, rest) = tokens.split_at_checked(words.len())?;
    head.iter().zip(words).all(|(token, word)| token.is_word(word)).then_some(rest)
}

/// Takes the tokens before one that ends them.
fn take_until(rest: &mut &[Token], ends: impl Fn(&Token) -> bool) -> Vec<Token> {
    let end = rest.iter().position(ends).unwrap_or(rest.len());
    let (taken, tail) = rest.split_at(end);
    *rest = tail;
    taken.to_vec()
}
