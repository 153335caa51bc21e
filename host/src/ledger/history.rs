//! What an earlier process has applied of the same run, and whether the input is still the same.

use std::{collections::VecDeque, ops::Range};

use sql_batcher_adapters::{Connection, CopyPart, Scope};

use super::{Digest, InDoubt, Ledger, State, Unopened, digest::Growing, text};
use crate::{
    Error, ErrorKind,
    batch::{Batch, Place},
};

/// Rows that are read at once. At least four, as a statement has at most three.
const PAGE_ROWS: usize = 10_000;

/// What became of statements in an earlier process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Applied,
    /// Left out as bad.
    Rejected,
}

/// Statements of a batch, by index, and what is known of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) range: Range<usize>,
    /// None: they are to be sent.
    pub(crate) known: Option<Fate>,
}

/// Why a run cannot be gone on with.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Unlike {
    pub(crate) kind: ErrorKind,
    pub(crate) message: String,
    pub(crate) place: Option<Place>,
}

/// Statements that stand one after another and had the same fate.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Past {
    statements: Range<u64>,
    checksum: Digest,
    state: State,
}

/// What is left of the past: statements that were dealt with and have not been met yet. Its size is
/// that of the gaps, not that of the run.
#[derive(Debug, Default)]
pub(crate) struct History {
    run: String,
    /// The run that was the last to apply anything, where this one was not named, and has not.
    pub(crate) other: Option<String>,
    in_doubt: InDoubt,
    pasts: VecDeque<Past>,
    /// The checksum of what was met of the first.
    met: Digest,
    /// The `COPY` whose parts are being met: what is known of it, and its text.
    copy: Option<(Option<Fate>, Growing)>,
}

impl History {
    /// Reads what the ledger says.
    pub(super) async fn read(
        connection: &mut dyn Connection,
        ledger: &Ledger,
        in_doubt: InDoubt,
    ) -> Result<Self, Unopened> {
        let mut history = Self { run: ledger.run.clone(), in_doubt, ..Self::default() };
        let mut after = 0;
        loop {
            let page = text::page(&ledger.table, &ledger.run, after, PAGE_ROWS);
            let mut rows = rows(connection.fetch(&page).await?)?;
            let full = rows.len() >= PAGE_ROWS;
            if full && let Some(last) = rows.last().map(|row| row.statements.start) {
                // The rest of its rows may be on the next page.
                rows.retain(|row| row.statements.start != last);
                after = last - 1;
            }
            for row in without_ended(rows) {
                history.add(row)?;
            }
            if !full {
                return Ok(history);
            }
        }
    }

    fn add(&mut self, row: Past) -> Result<(), Error> {
        let Some(last) = self.pasts.back_mut() else {
            self.pasts.push_back(row);
            return Ok(());
        };
        if row.statements.start < last.statements.end {
            return Err(broken());
        }
        let joins = row.statements.start == last.statements.end && row.state == last.state;
        if joins && row.state != State::Started {
            last.statements.end = row.statements.end;
            last.checksum += row.checksum;
        } else {
            self.pasts.push_back(row);
        }
        Ok(())
    }

    /// Whether nothing is known that was dealt with.
    pub(super) fn is_empty(&self) -> bool {
        self.pasts.is_empty()
    }

    /// Statements that it says were dealt with and that have not been met.
    pub(crate) fn ahead(&self) -> Option<u64> {
        self.pasts.back().map(|past| past.statements.end - 1)
    }

    /// What is known of the statements of the next batch.
    pub(crate) fn meet(&mut self, batch: &Batch) -> Result<Vec<Part>, Unlike> {
        if self.pasts.is_empty() && self.copy.is_none() {
            return Ok(vec![Part { range: 0..batch.statements(), known: None }]);
        }
        if batch.copy.is_some_and(|part| part != CopyPart::Whole) {
            return self.meet_copy(batch);
        }
        let mut parts = Vec::new();
        let mut from = 0;
        while from < batch.statements() {
            let part = self.meet_part(batch, from)?;
            from = part.range.end;
            join(&mut parts, part);
        }
        if batch.scope == Scope::Scripted && parts.len() > 1 {
            return Err(self.unlike(
                batch,
                0,
                "its transactions are not the same as those that it has applied",
            ));
        }
        Ok(parts)
    }

    /// The part of a batch that begins with the statement of this index.
    fn meet_part(&mut self, batch: &Batch, from: usize) -> Result<Part, Unlike> {
        let number = batch.first_statement + from as u64;
        let index = |number: u64| {
            usize::try_from(number - batch.first_statement)
                .map_or(batch.statements(), |index| index.min(batch.statements()))
        };
        let Some(past) = self.pasts.front() else {
            return Ok(Part { range: from..batch.statements(), known: None });
        };
        if past.statements.end <= number {
            let Range { start, end } = past.statements;
            let message = format!(
                "statements {start} to {} were applied, and are left out now: run {:?} cannot go on \
                 without them",
                end - 1,
                self.run
            );
            return Err(Unlike { kind: ErrorKind::Input, message, place: batch.place(from) });
        }
        if number < past.statements.start {
            return Ok(Part { range: from..index(past.statements.start), known: None });
        }
        let range = from..index(past.statements.end);
        let known = self.fate(batch, from)?;
        self.met += Digest::of(batch, range.clone());
        self.leave(batch, range.end)?;
        Ok(Part { range, known })
    }

    fn meet_copy(&mut self, batch: &Batch) -> Result<Vec<Part>, Unlike> {
        if batch.copy == Some(CopyPart::First) {
            let met = self
                .pasts
                .front()
                .is_some_and(|past| past.statements.contains(&batch.first_statement));
            let known = if met { self.fate(batch, 0)? } else { None };
            self.copy = Some((known, Growing::new(batch.first_statement)));
        }
        let Some((known, mut copy)) = self.copy.take() else {
            return Ok(vec![Part { range: 0..batch.statements(), known: None }]);
        };
        copy.add_part(batch);
        if batch.copy != Some(CopyPart::Last) {
            self.copy = Some((known, copy));
        } else if known.is_some() {
            self.met += copy.end();
            self.leave(batch, 1)?;
        }
        Ok(vec![Part { range: 0..batch.statements(), known }])
    }

    /// What became of the first statement of the past, which is at this index of the batch.
    fn fate(&self, batch: &Batch, index: usize) -> Result<Option<Fate>, Unlike> {
        match (self.pasts.front().map(|past| past.state), self.in_doubt) {
            (Some(State::Applied), _) | (Some(State::Started), InDoubt::Skip) => {
                Ok(Some(Fate::Applied))
            }
            (Some(State::Rejected), _) => Ok(Some(Fate::Rejected)),
            (Some(State::Started), InDoubt::Stop) => Err(Unlike {
                kind: ErrorKind::OutcomeUnknown,
                message: "the run was interrupted while this statement was under way, outside any \
                          transaction: it is not known whether it was applied; look, and resume \
                          with in_doubt repeat or skip"
                    .to_owned(),
                place: batch.place(index),
            }),
            (Some(State::Started), InDoubt::Repeat) | (None, _) => Ok(None),
        }
    }

    /// Goes on to the next past where this one ends before a statement of the batch.
    fn leave(&mut self, batch: &Batch, next: usize) -> Result<(), Unlike> {
        let next_number = batch.first_statement + next as u64;
        let Some(past) = self.pasts.front().filter(|past| past.statements.end <= next_number)
        else {
            return Ok(());
        };
        if past.checksum != self.met {
            let Range { start, end } = past.statements;
            let fact = format!(
                "statements {start} to {} are not the same as those that it has applied",
                end - 1
            );
            return Err(self.unlike(batch, next.saturating_sub(1), &fact));
        }
        self.met = Digest::default();
        self.pasts.pop_front();
        Ok(())
    }

    fn unlike(&self, batch: &Batch, index: usize, fact: &str) -> Unlike {
        Unlike {
            kind: ErrorKind::Input,
            message: format!("the input is not that of run {:?}: {fact}", self.run),
            place: batch.place(index),
        }
    }

    /// The end of the input has come while there is a past that was not met.
    pub(crate) fn unmet(&self, statements: u64) -> Option<Error> {
        let ahead = self.ahead()?;
        let run = &self.run;
        Some(Error::new(
            ErrorKind::Input,
            format!(
                "the input is not that of run {run:?}: it has {statements} statements, and \
                 statement {ahead} was dealt with before"
            ),
        ))
    }
}

/// Adds a part, as one with the last where the same is known of both.
fn join(parts: &mut Vec<Part>, part: Part) {
    match parts.last_mut() {
        Some(last) if last.known == part.known => last.range.end = part.range.end,
        _ => parts.push(part),
    }
}

/// Rows in the order of their statements, without those of what was begun and then dealt with.
fn without_ended(rows: Vec<Past>) -> Vec<Past> {
    let mut kept: Vec<Past> = Vec::with_capacity(rows.len());
    for row in rows {
        match kept.last_mut() {
            Some(last) if last.statements == row.statements => {
                if last.state == State::Started {
                    *last = row;
                }
            }
            _ => kept.push(row),
        }
    }
    kept
}

fn rows(rows: Vec<Vec<Option<String>>>) -> Result<Vec<Past>, Error> {
    rows.into_iter().map(|row| past(&row).ok_or_else(broken)).collect()
}

fn past(row: &[Option<String>]) -> Option<Past> {
    let [first, statements, checksum, state] = row else { return None };
    let first: u64 = first.as_ref()?.parse().ok()?;
    let statements: u64 = statements.as_ref()?.parse().ok()?;
    Some(Past {
        statements: first..first.checked_add(statements)?,
        checksum: checksum.as_ref()?.parse().ok()?,
        state: State::of_name(state.as_ref()?)?,
    })
}

fn broken() -> Error {
    Error::new(ErrorKind::InvalidOptions, "the ledger has rows that do not fit together")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::tests::batch;

    fn history(pasts: &[(Range<u64>, State)], statements: &[&str]) -> History {
        let whole = batch(statements);
        let mut history = History { run: "r".to_owned(), ..History::default() };
        let past = |(statements, state): &(Range<u64>, State)| {
            let range = statements.start as usize - 1..statements.end as usize - 1;
            let checksum = Digest::of(&whole, range);
            Past { statements: statements.clone(), checksum, state: *state }
        };
        for row in without_ended(pasts.iter().map(past).collect()) {
            history.add(row).unwrap();
        }
        history
    }

    fn part(range: Range<usize>, known: Option<Fate>) -> Part {
        Part { range, known }
    }

    /// Statements of a batch, as a batch of their own.
    fn cut(statements: &[&str], range: Range<usize>) -> Batch {
        let mut piece = batch(&statements[range.clone()]);
        piece.first_statement = range.start as u64 + 1;
        piece
    }

    const FIVE: &[&str] = &["a", "b", "c", "d", "e"];

    #[test]
    fn ranges_side_by_side_are_kept_as_one() {
        let history = history(&[(1..2, State::Applied), (2..4, State::Applied)], FIVE);
        assert_eq!(history.pasts.len(), 1);
        assert_eq!(history.ahead(), Some(3));
    }

    #[test]
    fn a_batch_is_parted_at_the_edges_of_what_is_known() {
        let pasts = [(1..2, State::Applied), (3..4, State::Rejected)];
        let mut history = history(&pasts, FIVE);
        assert_eq!(
            history.meet(&batch(FIVE)).unwrap(),
            [
                part(0..1, Some(Fate::Applied)),
                part(1..2, None),
                part(2..3, Some(Fate::Rejected)),
                part(3..5, None)
            ]
        );
        assert!(history.unmet(5).is_none());
    }

    #[test]
    fn what_is_known_may_span_batches_that_are_cut_differently() {
        let mut history = history(&[(1..5, State::Applied)], FIVE);
        for range in [0..2, 2..3] {
            let piece = cut(FIVE, range.clone());
            let all = part(0..range.len(), Some(Fate::Applied));
            assert_eq!(history.meet(&piece).unwrap(), [all]);
        }
        let last = history.meet(&cut(FIVE, 3..5)).unwrap();
        assert_eq!(last, [part(0..1, Some(Fate::Applied)), part(1..2, None)]);
    }

    #[test]
    fn an_input_that_changed_or_became_shorter_is_refused() {
        let pasts = [(1..4, State::Applied)];
        let refused = history(&pasts, FIVE).meet(&batch(&["a", "B", "c", "d"])).unwrap_err();
        assert_eq!(refused.kind, ErrorKind::Input);
        assert!(refused.message.contains("statements 1 to 3 are not the same"), "{refused:?}");
        let mut shorter = history(&pasts, FIVE);
        shorter.meet(&batch(&["a", "b"])).unwrap();
        let said = shorter.unmet(2).unwrap().to_string();
        assert!(said.contains("it has 2 statements, and statement 3 was"), "{said}");
    }

    #[test]
    fn what_was_applied_may_not_be_left_out() {
        let mut history = history(&[(2..3, State::Applied)], FIVE);
        history.meet(&cut(FIVE, 0..1)).unwrap();
        let refused = history.meet(&cut(FIVE, 3..5)).unwrap_err();
        assert!(refused.message.contains("statements 2 to 2 were applied, and"), "{refused:?}");
    }

    #[test]
    fn a_statement_in_doubt_stops_is_repeated_or_skipped() {
        let pasts = [(1..2, State::Started)];
        let mut stop = history(&pasts, FIVE);
        assert_eq!(stop.meet(&batch(FIVE)).unwrap_err().kind, ErrorKind::OutcomeUnknown);
        let mut repeat = history(&pasts, FIVE);
        repeat.in_doubt = InDoubt::Repeat;
        assert_eq!(repeat.meet(&batch(FIVE)).unwrap(), [part(0..5, None)]);
        let mut skip = history(&pasts, FIVE);
        skip.in_doubt = InDoubt::Skip;
        assert_eq!(skip.meet(&batch(FIVE)).unwrap()[0], part(0..1, Some(Fate::Applied)));
    }

    #[test]
    fn a_statement_that_was_ended_is_not_in_doubt_in_whatever_order_its_rows_come() {
        let (begun, ended) = ((2..3, State::Started), (2..3, State::Applied));
        for pair in [[begun.clone(), ended.clone()], [ended, begun]] {
            let [one, other] = pair;
            let history = history(&[(1..2, State::Applied), one, other], FIVE);
            assert_eq!((history.pasts.len(), history.ahead()), (1, Some(2)));
        }
    }

    #[test]
    fn rows_that_overlap_are_refused() {
        let mut history = history(&[(1..4, State::Applied)], FIVE);
        let overlaps = Past { statements: 3..5, ..history.pasts[0].clone() };
        assert!(history.add(overlaps).is_err());
    }
}
