//! The text of a request: statements of a batch, and the ledger's row among them; and what a problem
//! with the request says of the batch.

use std::ops::Range;

use sql_batcher_adapters::{Connection, Effects, InsertRows, Problem, Request, Scope};

use super::Refusal;
use crate::batch::{Batch, Join};

/// What of a piece is written, and how.
#[derive(Clone, Debug, Default)]
pub(super) struct Layout<'a> {
    /// The ledger's row, and the index in the piece of the statement that it stands before.
    pub(super) row: Option<(&'a str, usize)>,
    /// Statements of the batch, by index, that are not joined, whatever the batch says.
    pub(super) apart: Range<usize>,
    /// Whether to say where the rows of INSERTs are.
    pub(super) locates_rows: bool,
}

/// The text of a request, and where it comes from.
#[derive(Debug, Default)]
pub(super) struct Text {
    body: Vec<u8>,
    ends: Vec<u32>,
    inserts: Vec<InsertRows>,
    /// For each of `ends` the statements of the batch that it is; none for what is not the script's.
    sources: Vec<Range<usize>>,
    /// Where a part of it comes from: the place here, and there. What comes from nowhere is not said.
    origins: Vec<(u32, Origin)>,
}

/// Where a text comes from.
#[derive(Clone, Copy, Debug)]
enum Origin {
    /// A place in the batch's body.
    Apart(usize),
    /// A place in what is sent of the batch.
    Sent(usize),
}

impl Text {
    /// Statements of a batch.
    pub(super) fn of(batch: &Batch, range: Range<usize>, layout: &Layout<'_>) -> Self {
        let place = |index| batch.range(index).unwrap_or_default();
        let most = place(range.end.saturating_sub(1)).end.saturating_sub(place(range.start).start);
        let mut text = Self { body: Vec::with_capacity(most), ..Self::default() };
        let row_at = layout.row.map(|(_, index)| range.start + index);
        let mut index = range.start;
        while index < range.end {
            if let Some((row, _)) = layout.row.filter(|_| row_at == Some(index)) {
                text.push_own(row, 0..0);
            }
            let join = batch.join_of(index);
            // Up to the next one that is not joined to the one before.
            let apart = layout.apart.start.max(index) + 1;
            let end = join.map_or(index + 1, |join| (join.first + join.statements) as usize);
            let mut end = end.min(range.end);
            if layout.apart.contains(&apart) {
                end = end.min(apart);
            }
            if let Some(row_at) = row_at.filter(|row_at| *row_at > index) {
                end = end.min(row_at);
            }
            text.push(batch, index..end, join.filter(|_| layout.locates_rows));
            index = end;
        }
        if let Some((row, _)) = layout.row.filter(|_| row_at >= Some(range.end)) {
            text.push_own(row, 0..0);
        }
        text
    }

    /// A statement, or several that are joined.
    fn push(&mut self, batch: &Batch, statements: Range<usize>, rows: Option<Join>) {
        let (first, last) = (statements.start, statements.end.saturating_sub(1));
        let (Some(first_parts), Some(last_parts)) = (batch.parts(first), batch.parts(last)) else {
            return;
        };
        let start = |index| batch.range(index).unwrap_or_default().start;
        self.part();
        if let Some(Join { prefix, tail, .. }) = rows {
            let statement = clamp(self.ends.len());
            self.inserts.push(InsertRows { statement, prefix, tail });
        }
        self.put(first_parts.prefix, Origin::Apart(start(first)));
        if first == last {
            let rows_start = start(first) + first_parts.prefix.len();
            self.put(first_parts.rows, Origin::Apart(rows_start));
        } else {
            let rows = batch.rows_sent(statements.clone());
            let text = batch.sent().get(rows.clone()).unwrap_or_default();
            self.put(text, Origin::Sent(rows.start));
        }
        let rows_end = start(last) + last_parts.prefix.len() + last_parts.rows.len();
        self.put(last_parts.tail, Origin::Apart(rows_end));
        self.put(last_parts.behind, Origin::Apart(rows_end + last_parts.tail.len()));
        self.ends.push(clamp(self.body.len()));
        self.sources.push(statements);
    }

    fn put(&mut self, text: &[u8], origin: Origin) {
        self.origins.push((clamp(self.body.len()), origin));
        self.body.extend_from_slice(text);
    }

    /// A statement that is not the script's; what goes wrong in it is about those of the source.
    fn push_own(&mut self, statement: &str, source: Range<usize>) {
        self.part();
        self.body.extend_from_slice(statement.as_bytes());
        self.ends.push(clamp(self.body.len()));
        self.sources.push(source);
    }

    /// Parts the last statement from the next by a newline, which belongs to it.
    fn part(&mut self) {
        if let Some(end) = self.ends.last_mut().filter(|_| !self.body.ends_with(b"\n")) {
            self.body.push(b'\n');
            *end += 1;
        }
    }

    /// What is sent.
    fn request(&self, scope: Scope) -> Request<'_> {
        let Self { body, ends, inserts, .. } = self;
        Request { body, ends, scope, copy: None, inserts }
    }

    /// Sends it, and says what came of it in the terms of the batch: without the ledger's own row.
    pub(super) async fn send(
        &self,
        connection: &mut dyn Connection,
        batch: &Batch,
        scope: Scope,
    ) -> Result<Effects, Refusal> {
        let own_rows = self.sources.iter().filter(|source| source.is_empty()).count() as u64;
        let executed = connection.execute(self.request(scope)).await;
        let Effects { rows } = executed.map_err(|problem| self.explain(batch, problem))?;
        Ok(Effects { rows: rows.map(|rows| rows.saturating_sub(own_rows)) })
    }

    /// The same with a row and a commit behind it.
    pub(super) fn committed_with(mut self, row: &str) -> Self {
        let last = self.sources.last().map_or(0..0, |source| source.end.max(1) - 1..source.end);
        self.push_own(row, 0..0);
        self.push_own("COMMIT;", last);
        self
    }

    /// A problem in the terms of the batch. What is the row's is the ledger's.
    pub(super) fn explain(&self, batch: &Batch, problem: Problem) -> Refusal {
        let last = self.sources.len().saturating_sub(1);
        let source = |index: u32| self.sources.get(last.min(index as usize)).cloned();
        let named = problem.statement.and_then(source);
        if named.as_ref().is_some_and(|source| source.is_empty()) {
            return of_ledger(problem);
        }
        let offset = problem.offset.and_then(|offset| self.origin_of(batch, offset as usize));
        let joined = named.clone().filter(|source| source.len() > 1);
        // Where several are one to the database, its place in the text says which it means.
        let meant = offset
            .map(|offset| batch.statement_at(offset))
            .filter(|meant| joined.as_ref().is_some_and(|joined| joined.contains(meant)));
        let statement = meant.or(named.map(|source| source.start)).map(clamp);
        let kept = self.sources.iter().take(problem.kept as usize).map(|source| source.end).max();
        let kept = clamp(kept.unwrap_or(0));
        let offset = offset.map(clamp);
        let problem = Problem { statement, offset, kept, ..problem };
        Refusal { joined, ..Refusal::from(problem) }
    }

    /// Where in the batch's body a place of this one comes from.
    fn origin_of(&self, batch: &Batch, place: usize) -> Option<usize> {
        let after = self.origins.partition_point(|(here, _)| *here as usize <= place);
        let (here, there) = *self.origins.get(after.checked_sub(1)?)?;
        let behind = place - here as usize;
        match there {
            Origin::Apart(there) => Some(there + behind),
            Origin::Sent(there) => batch.apart_from_sent(there + behind),
        }
    }
}

fn clamp(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

pub(super) fn of_ledger(problem: Problem) -> Refusal {
    let message = format!("the ledger's row was refused: {}", problem.message);
    let problem = Problem { message, statement: None, offset: None, ..problem };
    Refusal { by_ledger: true, ..Refusal::from(problem) }
}

#[cfg(test)]
mod tests {
    use sql_batcher_adapters::Fault;

    use super::*;
    use crate::batch::tests::{batch, join, rewrite};

    fn of_three() -> Batch {
        let mut batch = batch(&["a", "bb", "ccc"]);
        // As the component gives it: nothing parts the last statement from anything.
        rewrite(&mut batch, |body, ends| {
            body.pop();
            *ends.last_mut().unwrap() -= 1;
        });
        batch
    }

    fn text(range: Range<usize>, row: Option<(&str, usize)>) -> Text {
        Text::of(&of_three(), range, &Layout { row, ..Layout::default() })
    }

    /// Three INSERTs that are joined, and another statement before and behind them.
    fn of_joined() -> Batch {
        let insert = |row: &str| format!("INSERT INTO t VALUES {row} ON CONFLICT DO NOTHING");
        let (one, two, three) = (insert("(1)"), insert("(22), (3)"), insert("(4)"));
        let mut batch = batch(&["x", &one, &two, &three, "y"]);
        join(&mut batch, Join { first: 1, statements: 3, prefix: 21, tail: 23 });
        batch
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

    fn at(statement: u32, offset: u32) -> Problem {
        let problem = Problem::new(Fault::Statement, "no");
        Problem { statement: Some(statement), offset: Some(offset), ..problem }
    }

    #[test]
    fn a_row_is_a_statement_of_its_own_wherever_it_stands() {
        assert_eq!(cut(&text(0..3, None)), ["a;\n", "bb;\n", "ccc;"]);
        assert_eq!(cut(&text(0..3, Some(("R;", 0)))), ["R;\n", "a;\n", "bb;\n", "ccc;"]);
        assert_eq!(cut(&text(0..3, Some(("R;", 2)))), ["a;\n", "bb;\n", "R;\n", "ccc;"]);
        assert_eq!(cut(&text(0..3, Some(("R;", 3)))), ["a;\n", "bb;\n", "ccc;\n", "R;"]);
        assert_eq!(cut(&text(1..2, Some(("R;", 0)))), ["R;\n", "bb;\n"]);
        let committed = text(0..2, None).committed_with("R;");
        assert_eq!(cut(&committed), ["a;\n", "bb;\n", "R;\n", "COMMIT;"]);
        assert_eq!(cut(&text(0..0, None).committed_with("R;")), ["R;\n", "COMMIT;"]);
    }

    #[test]
    fn a_problem_counts_in_the_batch() {
        let place = |text: &Text, problem: Problem| {
            let problem = text.explain(&of_three(), problem).problem;
            (problem.statement, problem.offset)
        };
        // The row is the first of the request, so "bb" is its third, and begins at byte 6.
        assert_eq!(place(&text(0..3, Some(("R;", 0))), at(2, 6)), (Some(1), Some(3)));
        assert_eq!(place(&text(1..3, None), at(1, 4)), (Some(2), Some(7)));
        let last = text(0..3, Some(("R;", 2)));
        assert_eq!(place(&last, at(1, 3)), (Some(1), Some(3)));
        assert_eq!(place(&last, at(3, 10)), (Some(2), Some(7)));
        // What is only found at the commit is about the last statement.
        let committed = text(0..2, None).committed_with("R;");
        assert_eq!(place(&committed, at(3, 11)).0, Some(1));
    }

    #[test]
    fn a_problem_of_the_row_is_the_ledgers() {
        let problem = Problem { statement: Some(0), ..Problem::new(Fault::Statement, "no") };
        let refusal = text(0..3, Some(("R;", 0))).explain(&of_three(), problem);
        assert!(refusal.by_ledger);
        assert_eq!(refusal.problem.statement, None);
        assert_eq!(refusal.problem.message, "the ledger's row was refused: no");
    }

    #[test]
    fn what_is_joined_is_one_statement_however_it_is_cut() {
        let batch = of_joined();
        let of = |range, row, apart| {
            let layout = Layout { row, apart, ..Layout::default() };
            let text = Text::of(&batch, range, &layout);
            cut(&text).into_iter().map(|part| part.trim_ascii().to_owned()).collect::<Vec<_>>()
        };
        let insert = |rows: &str| format!("INSERT INTO t VALUES {rows} ON CONFLICT DO NOTHING;");
        let (x, y, row) = ("x;".to_owned(), "y;".to_owned(), "R;".to_owned());
        let all = insert("(1),(22), (3),(4)");
        assert_eq!(of(0..5, None, 0..0), [x.clone(), all.clone(), y.clone()]);
        assert_eq!(of(0..5, Some(("R;", 0)), 0..0), [row.clone(), x.clone(), all, y]);
        assert_eq!(of(2..4, None, 0..0), [insert("(22), (3),(4)")]);
        assert_eq!(of(1..2, None, 0..0), [insert("(1)")]);
        let (one, others) = (insert("(1)"), insert("(22), (3),(4)"));
        assert_eq!(of(0..4, Some(("R;", 2)), 0..0), [x.clone(), one, row, others]);
        let singles = [x, insert("(1)"), insert("(22), (3)"), insert("(4)")];
        assert_eq!(of(0..4, None, 1..4), singles);
    }

    #[test]
    fn a_problem_of_joined_statements_is_about_all_of_them_or_the_one_that_is_meant() {
        let batch = of_joined();
        let text = Text::of(&batch, 0..5, &Layout::default());
        let whole = text.explain(&batch, Problem { offset: None, ..at(1, 0) });
        assert_eq!((whole.problem.statement, whole.joined), (Some(1), Some(1..4)));
        let place = String::from_utf8_lossy(&text.body).find("(4)").unwrap();
        let meant = text.explain(&batch, at(1, clamp(place)));
        assert_eq!(meant.problem.statement, Some(3));
        let start = meant.problem.offset.unwrap() as usize;
        assert!(batch.body()[start..].starts_with(b"(4) ON"));
        let other = text.explain(&batch, Problem { kept: 2, ..at(2, 0) });
        assert_eq!((other.problem.statement, other.joined), (Some(4), None));
        assert_eq!(other.problem.kept, 4);
    }

    #[test]
    fn rows_are_located_where_that_is_wanted() {
        let batch = of_joined();
        let layout = Layout { locates_rows: true, ..Layout::default() };
        let text = Text::of(&batch, 0..5, &layout);
        assert_eq!(text.inserts, [InsertRows { statement: 1, prefix: 21, tail: 23 }]);
        let row = Layout { row: Some(("R;", 0)), ..layout };
        assert_eq!(Text::of(&batch, 1..4, &row).inserts[0].statement, 1);
    }
}
