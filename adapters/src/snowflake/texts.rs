//! The text of a request: the settings, what opens and ends a transaction, the statements between;
//! and where in them a place is that the service names.

use crate::{Fault, Problem, body::Body};

use super::settings::{Leaves, Settings, Words, leaves};

const BEGIN: &str = "BEGIN TRANSACTION;\n";
const COMMIT: &str = "\nCOMMIT";
/// Stands behind what the service takes among several statements only.
const COMPANION: &str = "\nSELECT 1";

/// What is added to the statements at most, the settings left aside.
pub(super) const OVERHEAD_BYTES: usize = 64;

/// A text to send.
#[derive(Debug)]
pub(super) struct Text {
    pub(super) text: String,
    /// How many statements there are in it.
    pub(super) count: u32,
    /// Where the caller's statements begin, in the text.
    shift: usize,
    /// Where each of them begins in the caller's body, and their end.
    starts: Vec<usize>,
}

impl Text {
    /// The text of a body. `commits`: as a transaction of its own.
    pub(super) fn of(body: Body<'_>, settings: &Settings, commits: bool) -> Result<Self, Problem> {
        let mut text = settings.text().to_owned();
        if commits {
            text.push_str(BEGIN);
        }
        let shift = text.len();
        text.push_str(without_separator(body.text()?));
        let mut count = settings.count() + body.count();
        if commits {
            text.push(';');
            text.push_str(COMMIT);
            count += 2;
        } else if count == 1 && body.statements().any(|(_, one)| needs_company(one)) {
            text.push(';');
            text.push_str(COMPANION);
            count += 1;
        }
        let mut starts: Vec<usize> = body.statements().map(|(start, _)| start as usize).collect();
        starts.push(body.bytes().len());
        Ok(Self { text, count, shift, starts })
    }

    /// The statement that a place in the text belongs to, and the place in the caller's body; none
    /// where it belongs to none of the caller's.
    pub(super) fn place(&self, at: usize) -> Option<(u32, u32)> {
        let offset = at.checked_sub(self.shift)?;
        let index = self.starts.partition_point(|start| *start <= offset).checked_sub(1)?;
        if index + 1 >= self.starts.len() {
            return None;
        }
        Some((u32::try_from(index).ok()?, u32::try_from(offset).ok()?))
    }

    /// Where in the text a line and a position in it are: lines count from 1, positions from 0, in
    /// units of UTF-16. `from`: where the first line begins.
    pub(super) fn at(&self, from: usize, line: usize, position: usize) -> Option<usize> {
        let rest = self.text.get(from..)?;
        let mut start = 0;
        for _ in 1..line {
            start += rest.get(start..)?.find('\n')? + 1;
        }
        let mut left = position;
        for (at, character) in rest.get(start..)?.char_indices() {
            if left == 0 {
                return Some(from + start + at);
            }
            left = left.checked_sub(character.len_utf16())?;
        }
        (left == 0).then_some(self.text.len())
    }

    /// Where a statement of the caller's begins in the text.
    pub(super) fn start_of(&self, statement: u32) -> Option<usize> {
        Some(self.shift + self.starts.get(statement as usize)?)
    }
}

/// Refuses what is not a whole transaction of the script's own: another request could not go on
/// with it.
pub(super) fn check_transaction(body: Body<'_>) -> Result<(), Problem> {
    let mut open = false;
    let refuse = |statement, message: &str| {
        let problem = Problem::new(Fault::Unsupported, message);
        Err(Problem { statement: Some(statement), ..problem })
    };
    for (index, (_, statement)) in (0..).zip(body.statements()) {
        match step(statement) {
            Step::Begin => open = true,
            Step::End => open = false,
            Step::Other if open || leaves(statement) == Leaves::Setting => {}
            Step::Other => {
                return refuse(
                    index,
                    "a transaction cannot go on in a further request: each is a session of its own",
                );
            }
        }
    }
    if open {
        return refuse(
            0,
            "the transaction does not fit into one request, and none can span several: it was not \
             begun; larger limits (--max-bytes, --max-statements) or smaller transactions help",
        );
    }
    Ok(())
}

/// How many of the first statements stay applied, where the one of this index failed: up to the
/// last that ended a transaction, be it that a definition did.
pub(super) fn kept(body: Body<'_>, failed: u32) -> u32 {
    let mut kept = 0;
    for (count, (_, statement)) in (1..).zip(body.statements().take(failed as usize)) {
        let first = Words(statement).next().unwrap_or_default();
        let ends = matches!(
            first.as_str(),
            "CREATE" | "ALTER" | "DROP" | "UNDROP" | "GRANT" | "REVOKE" | "COMMENT"
        );
        if (ends && leaves(statement) == Leaves::Nothing) || first == "COMMIT" {
            kept = count;
        }
    }
    kept
}

enum Step {
    Begin,
    End,
    Other,
}

fn step(statement: &[u8]) -> Step {
    let mut words = Words(statement);
    let first = words.next().unwrap_or_default();
    let second = words.next();
    match (first.as_str(), second.as_deref()) {
        ("BEGIN", None | Some("TRANSACTION" | "WORK" | "NAME"))
        | ("START", Some("TRANSACTION")) => Step::Begin,
        ("COMMIT" | "ROLLBACK", _) => Step::End,
        _ => Step::Other,
    }
}

/// Whether the service takes a statement among several only: what begins and ends transactions,
/// and what changes the session
/// (<https://docs.snowflake.com/en/developer-guide/sql-api/intro>, limitations).
fn needs_company(statement: &[u8]) -> bool {
    leaves(statement) != Leaves::Nothing || !matches!(step(statement), Step::Other)
}

/// A text without the separator that ends it.
fn without_separator(text: &str) -> &str {
    let text = text.trim_end();
    text.strip_suffix(';').unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(statements: &[&str]) -> (Vec<u8>, Vec<u32>) {
        let mut bytes = Vec::new();
        let mut ends = Vec::new();
        for statement in statements {
            bytes.extend_from_slice(statement.as_bytes());
            ends.push(u32::try_from(bytes.len()).unwrap());
        }
        (bytes, ends)
    }

    fn text(statements: &[&str], commits: bool) -> (String, u32) {
        let (bytes, ends) = body(statements);
        let body = Body::new(&bytes, &ends).unwrap();
        let mut settings = Settings::default();
        if commits {
            settings.learn(Body::new(b"USE ROLE r;", &[11]).unwrap());
        }
        let text = Text::of(body, &settings, commits).unwrap();
        (text.text, text.count)
    }

    #[test]
    fn a_text_counts_all_of_its_statements() {
        assert_eq!(text(&["SELECT 1;\n"], false), ("SELECT 1".into(), 1));
        assert_eq!(text(&["USE ROLE r;"], false), ("USE ROLE r;\nSELECT 1".into(), 2));
        let whole = "USE ROLE r;\nBEGIN TRANSACTION;\nINSERT 1;\nINSERT 2;\nCOMMIT";
        assert_eq!(text(&["INSERT 1;\n", "INSERT 2;\n"], true), (whole.into(), 5));
    }

    #[test]
    fn a_place_belongs_to_a_statement_of_the_callers_or_to_none() {
        let (bytes, ends) = body(&["SELECT 'ä😀';\n", "INSERT\n x;\n"]);
        let body = Body::new(&bytes, &ends).unwrap();
        let text = Text::of(body, &Settings::default(), true).unwrap();
        let second = text.at(0, 3, 0).unwrap();
        assert_eq!(text.place(second), Some((1, ends[0])));
        assert_eq!(text.start_of(1), Some(second));
        let quote = text.at(0, 2, 11).and_then(|at| text.place(at));
        assert_eq!(quote, Some((0, 14)), "ä is one unit and two bytes, 😀 two and four");
        assert_eq!(text.at(second, 2, 1).and_then(|at| text.place(at)), Some((1, ends[0] + 8)));
        assert_eq!(text.place(0), None, "BEGIN is not the caller's");
        assert_eq!(text.at(0, 4, 9).and_then(|at| text.place(at)), None);
        assert_eq!(text.at(0, 99, 0), None);
    }

    #[test]
    fn only_a_whole_transaction_is_taken() {
        for (statements, refused) in [
            (&["BEGIN;", "INSERT 1;", "COMMIT;"][..], None),
            (&["begin transaction;", "USE ROLE r;", "rollback;", "SET a = 1;"], None),
            (&["BEGIN;", "INSERT 1;"], Some(0)),
            (&["BEGIN;", "COMMIT;", "INSERT 1;"], Some(2)),
            (&["INSERT 1;", "COMMIT;"], Some(0)),
            (&["BEGIN INSERT 1; END;", "COMMIT;"], Some(0)),
        ] {
            let (bytes, ends) = body(statements);
            let checked = check_transaction(Body::new(&bytes, &ends).unwrap());
            assert_eq!(
                checked.err().map(|problem| problem.statement),
                refused.map(Some),
                "{statements:?}"
            );
        }
    }

    #[test]
    fn a_commit_and_a_definition_keep_what_was_before_them() {
        let (bytes, ends) = body(&[
            "BEGIN;",
            "INSERT 1;",
            "COMMIT;",
            "ALTER SESSION SET a = 1;",
            "DROP TABLE t;",
            "x;",
        ]);
        let body = Body::new(&bytes, &ends).unwrap();
        assert_eq!([0, 2, 3, 4, 5].map(|failed| kept(body, failed)), [0, 0, 3, 3, 5]);
    }
}
