//! Commands that the database's client runs itself: `DELIMITER` and others by name at the start of
//! a statement (MySQL, MariaDB), and backslash commands (psql). All but those that only shape the
//! script are refused, never run.

use std::ops::Range;

use memchr::memmem;

use crate::lexer::line_end;

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
    if !first.fresh && *name != "delimiter" {
        return ClientCommand::None;
    }
    let Some(end) = line_end(text, word.start, first.ended) else { return ClientCommand::More };
    let line = text[word.start..end].trim_ascii_end();
    let parameter = line[name.len()..].trim_ascii_start();
    let after = end.saturating_add(1).min(text.len());
    if *name == "delimiter" {
        return delimiter_command(word.start + line.len() - parameter.len(), parameter, after);
    }
    let is_statement = [delimiter, b"\\g", b"\\G"]
        .iter()
        .any(|terminator| memmem::find(line, terminator).is_some());
    if is_statement || (!takes_parameter && !parameter.is_empty()) {
        return ClientCommand::None;
    }
    if *name == "use" {
        return ClientCommand::Use { end: word.start + line.len(), after };
    }
    ClientCommand::Refused
}

fn delimiter_command(start: usize, parameter: &[u8], after: usize) -> ClientCommand {
    let length =
        parameter.iter().position(u8::is_ascii_whitespace).unwrap_or(parameter.len());
    let delimiter = &parameter[..length];
    if delimiter.is_empty() || delimiter.len() > 64 || delimiter.contains(&b'\\') {
        return ClientCommand::Refused;
    }
    ClientCommand::Delimiter { delimiter: start..start + length, after }
}

/// Where the line of a psql command that shapes nothing ends (`\restrict` and `\unrestrict`, which
/// newer dumps have); `start` for any other command; none where more text is needed.
pub(crate) fn psql_command(text: &[u8], start: usize, ended: bool) -> Option<usize> {
    let end = line_end(text, start, ended)?;
    let line = &text[start + 1..end];
    let length = line.iter().position(u8::is_ascii_whitespace).unwrap_or(line.len());
    let passed_over = matches!(&line[..length], b"restrict" | b"unrestrict");
    Some(if passed_over { end } else { start })
}
