//! The body of a request, cut into its statements. Not a parser: no more of a statement is read
//! than its first word.

use crate::{Fault, Problem, Request};

/// A body with ends that were checked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Body<'a> {
    bytes: &'a [u8],
    ends: &'a [u32],
}

impl<'a> Body<'a> {
    /// Checks that the ends ascend and that the last of them ends the body.
    pub(crate) fn of(request: &Request<'a>) -> Result<Self, Problem> {
        Self::new(request.body, request.ends)
    }

    pub(crate) fn new(bytes: &'a [u8], ends: &'a [u32]) -> Result<Self, Problem> {
        let last = ends.last().map_or(0, |end| *end as usize);
        let ascending = ends.windows(2).all(|pair| pair[0] < pair[1]);
        if ascending && last == bytes.len() && !ends.is_empty() {
            return Ok(Self { bytes, ends });
        }
        Err(Problem::new(
            Fault::Unsupported,
            format!("statements end at {last} in a request of {}", bytes.len()),
        ))
    }

    pub(crate) fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// How many statements there are.
    pub(crate) fn count(&self) -> u32 {
        // The ends are numbers of 32 bits that ascend, so there are no more of them.
        self.ends.len() as u32
    }

    /// Where each statement begins, and its bytes.
    pub(crate) fn statements(&self) -> impl Iterator<Item = (u32, &'a [u8])> + use<'a> {
        let bytes = self.bytes;
        let mut start = 0;
        self.ends.iter().map(move |&end| {
            let statement = (start, &bytes[start as usize..end as usize]);
            start = end;
            statement
        })
    }

    /// The bytes of the statement of this index.
    pub(crate) fn statement(&self, index: u32) -> Option<&'a [u8]> {
        let end = *self.ends.get(index as usize)?;
        let before = index.checked_sub(1).and_then(|before| self.ends.get(before as usize));
        self.bytes.get(before.copied().unwrap_or(0) as usize..end as usize)
    }

    /// Which statement a place in the body belongs to; the last, for its end.
    pub(crate) fn statement_at(&self, offset: u32) -> u32 {
        let index = self.ends.partition_point(|&end| end <= offset);
        index.min(self.ends.len() - 1) as u32
    }

    /// How many of the first statements stay applied at least, of so many that were completed: up to
    /// the last whose first word keeps what came before it. Those after it belong to a transaction
    /// that is taken back, or is still open.
    pub(crate) fn kept(&self, completed: u32, keeps: impl Fn(&str) -> bool) -> u32 {
        let before = self.statements().take(completed as usize);
        (1..)
            .zip(before)
            .filter(|(_, (_, statement))| keeps(&first_word(statement)))
            .last()
            .map_or(0, |(count, _)| count)
    }

    /// Refuses a zero byte, which would end the text for a database written in C.
    pub(crate) fn without_zero(&self) -> Result<(), Problem> {
        let Some(at) = memchr::memchr(0, self.bytes) else {
            return Ok(());
        };
        let offset = u32::try_from(at).unwrap_or(u32::MAX);
        let mut problem = Problem::new(Fault::Unsupported, "the statement has a zero byte");
        problem.statement = Some(self.statement_at(offset));
        problem.offset = Some(offset);
        Err(problem)
    }

    /// The body as text.
    pub(crate) fn text(&self) -> Result<&'a str, Problem> {
        std::str::from_utf8(self.bytes).map_err(|error| {
            let offset = u32::try_from(error.valid_up_to()).unwrap_or(u32::MAX);
            let mut problem = Problem::new(Fault::Unsupported, "the statement is not UTF-8");
            problem.statement = Some(self.statement_at(offset));
            problem.offset = Some(offset);
            problem
        })
    }
}

/// The first word of a statement in capitals, after blanks and comments. What stands in an
/// executable comment (`/*!50003 CALL …`) counts as there.
pub(crate) fn first_word(statement: &[u8]) -> String {
    let mut rest = statement;
    loop {
        rest = rest.trim_ascii_start();
        rest = match rest {
            [b'-', b'-', ..] | [b'#', ..] => after(rest, b"\n"),
            [b'/', b'*', b'!', tail @ ..] | [b'/', b'*', b'M', b'!', tail @ ..] => {
                let digits = tail.iter().take_while(|byte| byte.is_ascii_digit()).count();
                &tail[digits..]
            }
            [b'/', b'*', tail @ ..] => after(tail, b"*/"),
            _ => break,
        };
    }
    let end = rest.iter().position(|byte| !byte.is_ascii_alphabetic()).unwrap_or(rest.len());
    rest[..end.min(32)].iter().map(|byte| byte.to_ascii_uppercase() as char).collect()
}

/// Whether a word ends a transaction and keeps it.
pub(crate) fn commits(word: &str) -> bool {
    matches!(word, "COMMIT" | "END")
}

/// What follows a mark, or nothing.
fn after<'a>(text: &'a [u8], mark: &[u8]) -> &'a [u8] {
    text.windows(mark.len())
        .position(|window| window == mark)
        .map_or(&[], |at| &text[at + mark.len()..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_are_the_body_cut_at_its_ends() {
        let body = Body::new(b"a;bb;", &[2, 5]).unwrap();
        let cut: Vec<_> = body.statements().collect();
        assert_eq!(cut, [(0, &b"a;"[..]), (2, &b"bb;"[..])]);
        assert_eq!([0, 1, 2, 4, 5, 99].map(|at| body.statement_at(at)), [0, 0, 1, 1, 1, 1]);
    }

    #[test]
    fn what_is_kept_ends_with_the_last_statement_that_keeps_and_was_completed() {
        let body = Body::new(b"a;commit;b;end;c;", &[2, 9, 11, 15, 17]).unwrap();
        let kept = [0, 1, 2, 3, 4, 5, 9].map(|completed| body.kept(completed, commits));
        assert_eq!(kept, [0, 0, 2, 2, 4, 4, 4]);
    }

    #[test]
    fn ends_that_do_not_fit_the_body_are_refused() {
        for (body, ends) in [
            (&b"ab"[..], &[][..]),
            (b"ab", &[1]),
            (b"ab", &[3]),
            (b"ab", &[2, 2]),
            (b"ab", &[2, 1, 2]),
        ] {
            assert!(Body::new(body, ends).is_err(), "{ends:?}");
        }
    }

    #[test]
    fn a_body_that_is_not_utf8_names_its_statement_and_place() {
        let problem = Body::new(b"a;b\xff;", &[2, 5]).unwrap().text().unwrap_err();
        assert_eq!((problem.statement, problem.offset), (Some(1), Some(3)));
    }

    #[test]
    fn the_first_word_stands_after_blanks_and_comments() {
        for (statement, word) in [
            (&b"  commit"[..], "COMMIT"),
            (b"-- a\n/* b */ # c\nCall x()", "CALL"),
            (b"/*!50003 CALL x() */", "CALL"),
            (b"/*M!100100 end*/", "END"),
            (b"(SELECT 1)", ""),
            (b"-- only", ""),
            (b"/* open", ""),
        ] {
            assert_eq!(first_word(statement), word);
        }
    }
}
