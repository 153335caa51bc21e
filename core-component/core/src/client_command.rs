//! Commands that the database's client runs itself: `DELIMITER` and others by name at the start of
//! a statement (MySQL, MariaDB), and backslash commands (psql). All but those that only shape the
//! script are refused, never run.

use std::ops::Range;

use memchr::{memchr, memmem};

/// The longest line that can be a command; a longer one is read as SQL.
const MAX_LINE_BYTES: usize = 4096;
/// The longest delimiter; the clients cut longer ones.
const MAX_DELIMITER_BYTES: usize = 15;
/// How much of a command a message repeats.
const MAX_NAME_BYTES: usize = 32;

/// What a line that begins with the name of a command is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ClientCommand {
    /// No command.
    None,
    /// The rest of the line is needed to know.
    More,
    /// `DELIMITER xx`
    Delimiter { delimiter: Range<usize>, after: usize },
    /// `USE db` without a terminator: a statement that its line ends.
    Use { end: usize, after: usize },
    /// A command that only the client can run.
    Refused,
}

/// What of the commands is a statement too: with a terminator it goes to the server.
const STATEMENTS: [&str; 2] = ["help", "use"];

/// The commands by name that may stand in a script, and whether they take a parameter: with one
/// behind it, one that takes none is no command. From `help` of the mariadb and mysql clients.
const NAMED: [(&str, bool); 27] = [
    ("charset", true),
    ("clear", false),
    ("connect", true),
    ("delimiter", true),
    ("edit", false),
    ("ego", false),
    ("exit", false),
    ("go", false),
    ("help", true),
    ("nopager", false),
    ("notee", false),
    ("nowarning", false),
    ("pager", true),
    ("print", false),
    ("prompt", true),
    ("query_attributes", true),
    ("quit", false),
    ("rehash", false),
    ("resetconnection", false),
    ("sandbox", false),
    ("source", true),
    ("ssl_session_data_print", true),
    ("status", false),
    ("system", true),
    ("tee", true),
    ("use", true),
    ("warnings", false),
];

/// The first word of a statement, in its window.
#[derive(Clone, Debug)]
pub(crate) struct FirstWord<'a> {
    pub(crate) text: &'a [u8],
    pub(crate) word: Range<usize>,
    /// Nothing but white space stands before it in its line.
    pub(crate) fresh: bool,
    /// The input ends where `text` does.
    pub(crate) ended: bool,
}

/// What the line is in which a statement begins.
pub(crate) fn client_command(first: &FirstWord<'_>, delimiter: &[u8]) -> ClientCommand {
    let FirstWord { text, word, .. } = first;
    let name = &text[word.clone()];
    let known = NAMED.iter().find(|(known, _)| name.eq_ignore_ascii_case(known.as_bytes()));
    let Some((name, takes_parameter)) = known else { return ClientCommand::None };
    let end = match line_end(text, word.start, first.ended) {
        Line::End(end) => end,
        Line::More => return ClientCommand::More,
        Line::TooLong => return ClientCommand::None,
    };
    let line = text[word.start..end].trim_ascii_end();
    let rest = &line[name.len()..];
    let terminators = [delimiter, b"\\g", b"\\G"];
    let terminator = terminators.iter().filter_map(|sought| memmem::find(rest, sought)).min();
    if terminator != Some(0) && !matches!(rest.first(), None | Some(b' ' | b'\t')) {
        return ClientCommand::None;
    }
    let parameter = rest.trim_ascii_start();
    let after = end.saturating_add(1).min(text.len());
    if *name == "delimiter" {
        return delimiter_command(word.start + line.len() - parameter.len(), parameter, after);
    }
    let has_parameter = !rest[..terminator.unwrap_or(rest.len())].trim_ascii().is_empty();
    let is_statement = match terminator {
        Some(_) => STATEMENTS.contains(name),
        None => !first.fresh,
    };
    if is_statement || (has_parameter && !takes_parameter) {
        return ClientCommand::None;
    }
    if *name == "use" {
        return ClientCommand::Use { end: word.start + line.len(), after };
    }
    ClientCommand::Refused
}

/// The delimiter may stand in quotes.
fn delimiter_command(start: usize, parameter: &[u8], after: usize) -> ClientCommand {
    let (start, length) = match parameter {
        [quote @ (b'\'' | b'"' | b'`'), rest @ ..] => {
            let Some(length) = memchr(*quote, rest) else { return ClientCommand::Refused };
            (start + 1, length)
        }
        _ => {
            let space = parameter.iter().position(u8::is_ascii_whitespace);
            (start, space.unwrap_or(parameter.len()))
        }
    };
    let too_long = length > MAX_DELIMITER_BYTES;
    if length == 0 || too_long || parameter.contains(&b'\\') {
        return ClientCommand::Refused;
    }
    ClientCommand::Delimiter { delimiter: start..start + length, after }
}

/// Where the line of a psql command that shapes nothing ends (`\restrict` and `\unrestrict`, which
/// newer dumps have); `start` for any other command; none where more text is needed.
pub(crate) fn psql_command(text: &[u8], start: usize, ended: bool) -> Option<usize> {
    let name = command_name(text, start, ended)?;
    if !matches!(name, b"\\restrict" | b"\\unrestrict") {
        return Some(start);
    }
    match line_end(text, start, ended) {
        Line::End(end) => Some(end),
        Line::TooLong => Some(start),
        Line::More => None,
    }
}

/// A command up to white space, or as much of it as a message repeats; none where more text is
/// needed.
pub(crate) fn command_name(text: &[u8], start: usize, ended: bool) -> Option<&[u8]> {
    let rest = &text[start..];
    let longest = &rest[..rest.len().min(MAX_NAME_BYTES)];
    match longest.iter().skip(1).position(u8::is_ascii_whitespace) {
        Some(length) => Some(&rest[..=length]),
        None => (ended || longest.len() == MAX_NAME_BYTES).then_some(longest),
    }
}

/// How far the line goes that `start` is in.
enum Line {
    End(usize),
    TooLong,
    More,
}

fn line_end(text: &[u8], start: usize, ended: bool) -> Line {
    let rest = text.get(start..).unwrap_or_default();
    let longest = &rest[..rest.len().min(MAX_LINE_BYTES)];
    match memchr(b'\n', longest) {
        Some(length) => Line::End(start + length),
        None if longest.len() == MAX_LINE_BYTES => Line::TooLong,
        None if ended => Line::End(text.len()),
        None => Line::More,
    }
}
