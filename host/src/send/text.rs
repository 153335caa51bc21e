//! The text of a request: statements of a batch, and the ledger's row among them; and what a problem
//! with the request says of the batch.

use std::ops::Range;

use sql_batcher_adapters::Problem;

use super::Refusal;
use crate::batch::Batch;

/// The text of a request, and what of it is not the script's.
pub(super) struct Text {
    pub(super) body: Vec<u8>,
    pub(super) ends: Vec<u32>,
    /// Index in the batch of the first statement, and bytes before it in the batch's body.
    first: usize,
    start: usize,
    /// Index of the row's statement, and its bytes.
    row: Option<(usize, Range<usize>)>,
}

impl Text {
    /// Statements of a batch, with a row before that of an index (in the range), or at the end.
    pub(super) fn of(batch: &Batch, range: Range<usize>, row: Option<(&str, usize)>) -> Self {
        let start = range.start.checked_sub(1).map_or(0, |before| end(batch, before));
        let stop = range.end.checked_sub(1).map_or(start, |last| end(batch, last)).max(start);
        let bytes = batch.body.get(start..stop).unwrap_or_default();
        let ends = batch.ends.get(range.clone()).unwrap_or_default();
        let ends = ends.iter().map(|&end| (end as usize).saturating_sub(start)).collect();
        let mut text =
            Self { body: Vec::new(), ends: Vec::new(), first: range.start, start, row: None };
        match row {
            Some((row, index)) => text.fill(bytes, ends, (row, index)),
            None => {
                text.body = bytes.to_vec();
                text.set_ends(ends);
            }
        }
        text
    }

    fn fill(&mut self, bytes: &[u8], mut ends: Vec<usize>, (row, index): (&str, usize)) {
        let at = index.checked_sub(1).and_then(|before| ends.get(before)).copied().unwrap_or(0);
        let (before, after) = bytes.split_at(at.min(bytes.len()));
        let parted = before.is_empty() || before.ends_with(b"\n");
        let row = match (parted, after.is_empty()) {
            (true, true) => row.to_owned(),
            (true, false) => format!("{row}\n"),
            (false, true) => format!("\n{row}"),
            (false, false) => format!("\n{row}\n"),
        };
        for end in ends.iter_mut().skip(index) {
            *end += row.len();
        }
        ends.insert(index.min(ends.len()), at + row.len());
        self.body = [before, row.as_bytes(), after].concat();
        self.row = Some((index, at..at + row.len()));
        self.set_ends(ends);
    }

    /// The same with a row and a commit behind it.
    pub(super) fn committed_with(mut self, row: &str) -> Self {
        let bytes = std::mem::take(&mut self.body);
        let ends: Vec<usize> = self.ends.iter().map(|&end| end as usize).collect();
        let index = ends.len();
        self.fill(&bytes, ends, (row, index));
        self.body.extend_from_slice(b"\nCOMMIT;");
        self.ends.push(u32::try_from(self.body.len()).unwrap_or(u32::MAX));
        self
    }

    fn set_ends(&mut self, ends: Vec<usize>) {
        self.ends = ends.into_iter().map(|end| u32::try_from(end).unwrap_or(u32::MAX)).collect();
    }

    /// A problem in the terms of the batch.
    pub(super) fn explain(&self, problem: Problem) -> Refusal {
        let Some((row, bytes)) = &self.row else { return self.shifted(problem, 0, 0).into() };
        let (row, statement) = (*row, problem.statement.map(|index| index as usize));
        if statement == Some(row) {
            return of_ledger(problem);
        }
        let beyond = statement.is_some_and(|index| index > row);
        let kept = problem.kept - u32::from(problem.kept as usize > row);
        let added = if beyond { bytes.len() } else { 0 };
        self.shifted(Problem { kept, ..problem }, usize::from(beyond), added).into()
    }

    fn shifted(&self, problem: Problem, statements: usize, bytes: usize) -> Problem {
        let move_by = |value: Option<u32>, less: usize, more: usize| {
            let value = value? as usize;
            u32::try_from((value.checked_sub(less)?).checked_add(more)?).ok()
        };
        let last =
            (self.first + self.ends.len()).saturating_sub(1 + usize::from(self.row.is_some()));
        let statement = move_by(problem.statement, statements, self.first)
            .map(|index| index.min(u32::try_from(last).unwrap_or(u32::MAX)));
        let offset = move_by(problem.offset, bytes, self.start);
        let kept = match problem.kept {
            0 => 0,
            kept => kept.saturating_add(u32::try_from(self.first).unwrap_or(u32::MAX)),
        };
        Problem { statement, offset, kept, ..problem }
    }
}

fn end(batch: &Batch, index: usize) -> usize {
    batch.ends.get(index).map_or(0, |&end| end as usize)
}

pub(super) fn of_ledger(problem: Problem) -> Refusal {
    let message = format!("the ledger's row was refused: {}", problem.message);
    let problem = Problem { message, statement: None, offset: None, ..problem };
    Refusal { problem, by_ledger: true, is_certain: false }
}

#[cfg(test)]
mod tests {
    use sql_batcher_adapters::Fault;

    use super::*;
    use crate::batch::tests::batch;

    fn text(range: Range<usize>, row: Option<(&str, usize)>) -> Text {
        let mut batch = batch(&["a", "bb", "ccc"]);
        // As the component gives it: nothing parts the last statement from anything.
        batch.body.pop();
        *batch.ends.last_mut().unwrap() -= 1;
        Text::of(&batch, range, row)
    }

    fn cut(text: &Text) -> Vec<&str> {
        let body = std::str::from_utf8(&text.body).unwrap();
        let mut start = 0;
        let statements = text.ends.iter().map(|&end| {
            let statement = &body[start..end as usize];
            start = end as usize;
            statement
        });
        let statements: Vec<&str> = statements.collect();
        assert_eq!(start, body.len());
        statements
    }

    #[test]
    fn a_row_is_a_statement_of_its_own_wherever_it_stands() {
        assert_eq!(cut(&text(0..3, None)), ["a;\n", "bb;\n", "ccc;"]);
        assert_eq!(cut(&text(0..3, Some(("R;", 0)))), ["R;\n", "a;\n", "bb;\n", "ccc;"]);
        assert_eq!(cut(&text(0..3, Some(("R;", 2)))), ["a;\n", "bb;\n", "R;\n", "ccc;"]);
        assert_eq!(cut(&text(0..3, Some(("R;", 3)))), ["a;\n", "bb;\n", "ccc;", "\nR;"]);
        assert_eq!(cut(&text(1..2, Some(("R;", 0)))), ["R;\n", "bb;\n"]);
        let committed = text(0..2, None).committed_with("R;");
        assert_eq!(cut(&committed), ["a;\n", "bb;\n", "R;", "\nCOMMIT;"]);
        assert_eq!(cut(&text(0..0, None).committed_with("R;")), ["R;", "\nCOMMIT;"]);
    }

    #[test]
    fn a_problem_counts_in_the_batch() {
        let at = |statement: u32, offset: u32| {
            let problem = Problem::new(Fault::Statement, "no");
            Problem { statement: Some(statement), offset: Some(offset), ..problem }
        };
        let place = |refusal: Refusal| (refusal.problem.statement, refusal.problem.offset);
        // The row is the first of the request, so "bb" is its third, and begins at byte 6.
        let whole = text(0..3, Some(("R;", 0)));
        assert_eq!(place(whole.explain(at(2, 6))), (Some(1), Some(3)));
        let cut = text(1..3, None);
        assert_eq!(place(cut.explain(at(1, 4))), (Some(2), Some(7)));
        let last = text(0..3, Some(("R;", 2)));
        assert_eq!(place(last.explain(at(1, 3))), (Some(1), Some(3)));
        assert_eq!(place(last.explain(at(3, 10))), (Some(2), Some(7)));
    }

    #[test]
    fn a_problem_of_the_row_is_the_ledgers() {
        let problem = Problem { statement: Some(0), ..Problem::new(Fault::Statement, "no") };
        let refusal = text(0..3, Some(("R;", 0))).explain(problem);
        assert!(refusal.by_ledger);
        assert_eq!(refusal.problem.statement, None);
        assert_eq!(refusal.problem.message, "the ledger's row was refused: no");
    }
}
