//! What Snowflake says when something goes wrong.
//!
//! Where one of several statements fails, the service says it in the words of the procedure that
//! runs them, with a code of that procedure: what it says of the statement is inside
//! (<https://docs.snowflake.com/en/developer-guide/sql-api/submitting-multiple-statements>).

use crate::{
    Fault, Problem,
    http::Answer,
    values::{Quotes, quoted},
};

use super::{answer::Body, texts::Text};

/// What a code means to a batcher (<https://docs.snowflake.com/en/developer-guide/sql-api>, and
/// what the service's own clients know of its codes).
const FAULTS: &[(&str, Fault)] = &[
    ("000604", Fault::Cancelled),      // SQL execution canceled
    ("000606", Fault::Options),        // no active warehouse is selected
    ("000625", Fault::Conflict),       // too many wait for the same lock
    ("000630", Fault::Timeout),        // the statement has reached its time limit
    ("390100", Fault::Authentication), // user name or password is wrong
    ("390101", Fault::Authentication), // authorization is missing
    ("390103", Fault::Authentication), // the token has expired
    ("390104", Fault::Authentication), // the token is invalid
    ("390114", Fault::Authentication), // the token has expired
    ("390144", Fault::Authentication), // the JWT is invalid
    ("390189", Fault::Options),        // the role does not exist
    ("390201", Fault::Options),        // the warehouse does not exist
    ("390303", Fault::Authentication), // the OAuth token is invalid
    ("390318", Fault::Authentication), // the OAuth token has expired
];

/// Words of a message that mean the same as a code: where several statements were sent, the code is
/// lost.
const WORDS: &[(&str, Fault)] = &[
    ("SQL execution canceled", Fault::Cancelled),
    ("No active warehouse selected", Fault::Options),
    ("number of waiters for this lock", Fault::Conflict),
    ("reached its statement or warehouse timeout", Fault::Timeout),
];

/// Codes whose messages quote names only.
const NAMES_ONLY: &[&str] = &[
    "000904", // invalid identifier
    "002002", // the object exists
    "002003", // the object does not exist
    "002043", // the object does not exist
    "003001", // insufficient privileges
];

const FAILED_ON: &str = "Execution of multiple statements failed on statement";
const PLACE: &str = "(at line ";
const WRAPPED_IN: &str = " in SYSTEM$MULTISTMT at ";

/// The problem of a statement that was refused (422) or ended by its limit (408).
pub(super) fn of_statement(body: Body, text: &Text) -> Problem {
    let said = body.message.unwrap_or_else(|| "the statement was refused".to_owned());
    let (wrapped, message) = unwrap(&said);
    let code = body.code.as_deref().unwrap_or_default();
    let known = FAULTS.iter().find(|(known, _)| *known == code).map(|(_, fault)| *fault);
    let by_words = WORDS.iter().find(|(words, _)| message.contains(words)).map(|(_, fault)| *fault);
    let fault = known.or(by_words).unwrap_or(Fault::Statement);
    let statement = wrapped.and_then(|wrapped| failed_at(wrapped, text));
    let (statement, offset) = place(&message, statement, text);
    let quotes = match NAMES_ONLY.contains(&code) || fault != Fault::Statement {
        true => Quotes::Names,
        false => Quotes::Marked,
    };
    Problem {
        quoted: quoted(&message, quotes),
        // The state of the procedure says nothing.
        code: match wrapped {
            Some(_) => body.code,
            None => body.sql_state.filter(|state| !state.is_empty()).or(body.code),
        },
        statement,
        offset,
        transient: fault == Fault::Conflict,
        ..Problem::new(fault, message)
    }
}

/// The problem of an answer that is no answer of a statement: 400, 401, 403, 404, 405, 413, 5xx.
pub(super) fn of_status(answer: &Answer) -> Problem {
    let body: Body = serde_json::from_slice(&answer.body).unwrap_or_default();
    let status = answer.status.as_u16();
    // A page is for browsers, and of whatever stands in front of the service.
    let is_page = answer.header("content-type").is_some_and(|kind| kind.contains("html"));
    let words = || if is_page { String::new() } else { answer.words() };
    let said = body.message.unwrap_or_else(words);
    let by_code = body
        .code
        .as_deref()
        .and_then(|code| FAULTS.iter().find(|(known, _)| *known == code))
        .map(|(_, fault)| *fault);
    let (fault, transient) = match status {
        401 | 403 => (Fault::Authentication, false),
        429 => (Fault::Resources, true),
        500..=599 => (Fault::Connection, true),
        _ => (Fault::Unsupported, false),
    };
    let message = match said.is_empty() {
        true => format!("the service answers {status}"),
        false => format!("the service answers {status}: {said}"),
    };
    Problem {
        quoted: quoted(&message, Quotes::Marked),
        code: Some(body.code.unwrap_or_else(|| status.to_string())),
        transient,
        ..Problem::new(by_code.unwrap_or(fault), message)
    }
}

/// Parts the words of the procedure that runs several statements from those of the statement.
fn unwrap(said: &str) -> (Option<&str>, String) {
    let Some(at) = said.find(FAILED_ON) else { return (None, one_line(said)) };
    let inner = said.split_once('\n').map_or(said, |(_, inner)| inner);
    let end = inner.find(WRAPPED_IN).unwrap_or(inner.len());
    (said.get(at..), one_line(inner.get(..end).unwrap_or(inner)))
}

fn one_line(text: &str) -> String {
    text.split(['\n', '\r'])
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}

/// Which statement the service names. The text of the statement stands before its place, and may
/// look like one: only a place where a statement begins is taken.
fn failed_at(wrapped: &str, text: &Text) -> Option<u32> {
    wrapped.match_indices(PLACE).find_map(|(at, mark)| {
        let (line, rest) = number(wrapped.get(at + mark.len()..)?)?;
        let (position, _) = number(rest.strip_prefix(", position ")?)?;
        let (statement, _) = text.place(text.at(0, line, position)?)?;
        let start = text.start_of(statement)?;
        let before = text.text.get(start..text.at(0, line, position)?)?;
        before.trim().is_empty().then_some(statement)
    })
}

/// Where in the body the error is: the place in the statement that its message names.
fn place(message: &str, statement: Option<u32>, text: &Text) -> (Option<u32>, Option<u32>) {
    let only = (text.count == 1).then_some(0);
    let from = statement.or(only).and_then(|statement| text.start_of(statement));
    let start = from.map_or(0, |from| from + blanks(&text.text, from));
    let at = message.find("error line ").and_then(|at| {
        let (line, rest) = number(message.get(at + "error line ".len()..)?)?;
        let (position, _) = number(rest.strip_prefix(" at position ")?)?;
        text.place(text.at(start, line, position)?)
    });
    match (statement.or(only), at) {
        (Some(statement), Some((found, offset))) if found == statement => {
            (Some(statement), Some(offset))
        }
        (Some(statement), _) => (Some(statement), text.place(start).map(|(_, offset)| offset)),
        // The whole text was refused before any of it ran: the place is one in the text.
        (None, Some((found, offset))) => (Some(found), Some(offset)),
        (None, None) => (None, None),
    }
}

fn blanks(text: &str, from: usize) -> usize {
    text.get(from..).map_or(0, |rest| rest.len() - rest.trim_start().len())
}

fn number(text: &str) -> Option<(usize, &str)> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, rest) = text.split_at(digits);
    Some((number.parse().ok()?, rest))
}

/// The problem of the first statement of all, which is the adapter's own.
pub(super) fn of_connecting(body: Body) -> Problem {
    let code = body.code.or(body.sql_state);
    let fault = FAULTS.iter().find(|(known, _)| Some(*known) == code.as_deref());
    let fault = fault.map_or(Fault::Options, |(_, fault)| *fault);
    let message = one_line(&body.message.unwrap_or_default());
    Problem { code, ..Problem::new(fault, message) }
}

#[cfg(test)]
mod tests {
    use super::super::settings::Settings;
    use super::*;
    use crate::body;

    fn text(statements: &[&str], commits: bool) -> Text {
        let mut bytes = Vec::new();
        let mut ends = Vec::new();
        for statement in statements {
            bytes.extend_from_slice(statement.as_bytes());
            ends.push(u32::try_from(bytes.len()).unwrap());
        }
        let body = body::Body::new(&bytes, &ends).unwrap();
        Text::of(body, &Settings::default(), commits).unwrap()
    }

    fn said(code: &str, state: &str, message: &str) -> Body {
        let text = |value: &str| Some(value.to_owned());
        Body { code: text(code), sql_state: text(state), message: text(message), ..Body::default() }
    }

    fn wrapped(statement: &str, line: usize, position: usize, inner: &str) -> Body {
        let message = format!(
            "JavaScript execution error: Uncaught {FAILED_ON} \"{statement}\" (at line {line}, \
             position {position}).\n{inner}{WRAPPED_IN}'    throw `{FAILED_ON} {{0}} (at line {{1}}, \
             position {{2}}).`.replace('{{1}}', LINES[i])' position 4\nstackstrace: \n\
             SYSTEM$MULTISTMT line: 10"
        );
        said("100132", "P0000", &message)
    }

    #[test]
    fn a_statement_among_several_is_named_by_its_place() {
        let statements = ["INSERT a;\n", "/* x */ INSERT b\n c;\n", "INSERT d;\n"];
        let inner = "SQL compilation error: error line 2 at position 1\ninvalid identifier 'C'";
        let body = wrapped("INSERT b (at line 2, position 5).", 3, 0, inner);
        let problem = of_statement(body, &text(&statements, true));
        assert_eq!((problem.statement, problem.offset), (Some(1), Some(28)));
        assert_eq!(
            problem.message,
            "SQL compilation error: error line 2 at position 1 invalid identifier 'C'"
        );
        assert_eq!(problem.code.as_deref(), Some("100132"));
    }

    #[test]
    fn a_statement_alone_is_at_fault_itself() {
        let body = said(
            "001003",
            "42000",
            "SQL compilation error:\nsyntax error line 1 at position 7 unexpected 'x'.",
        );
        let problem = of_statement(body, &text(&["SELECT x y z;"], false));
        assert_eq!((problem.statement, problem.offset), (Some(0), Some(7)));
        assert_eq!((problem.fault, problem.code.as_deref()), (Fault::Statement, Some("42000")));
        assert!(!problem.without_values().message.contains("'x'"));
    }

    #[test]
    fn a_text_that_cannot_be_read_names_the_place_in_the_text() {
        let body = said(
            "001003",
            "42000",
            "SQL compilation error:\nsyntax error line 3 at position 0 unexpected 'SELEKT'.",
        );
        let problem = of_statement(body, &text(&["INSERT a;\n", "SELEKT;\n"], true));
        assert_eq!((problem.statement, problem.offset), (Some(1), Some(10)));
    }

    #[test]
    fn codes_and_words_say_what_kind_of_fault_it_is() {
        for (code, message, fault) in [
            ("000604", "SQL execution canceled", Fault::Cancelled),
            (
                "000630",
                "Statement reached its statement or warehouse timeout of 1 second(s)",
                Fault::Timeout,
            ),
            ("100038", "Numeric value 'x' is not recognized", Fault::Statement),
        ] {
            let text = text(&["SELECT 1;\n", "SELECT 2;\n"], true);
            assert_eq!(of_statement(said(code, "22018", message), &text).fault, fault);
            let problem = of_statement(wrapped("SELECT 2", 3, 0, message), &text);
            assert_eq!((problem.fault, problem.statement), (fault, Some(1)), "{message}");
        }
    }

    #[test]
    fn each_code_stands_once_in_its_order() {
        assert!(FAULTS.is_sorted_by(|one, next| one.0 < next.0));
        assert!(NAMES_ONLY.is_sorted());
    }
}
