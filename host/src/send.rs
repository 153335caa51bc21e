//! A piece of a batch on its way to the database, and the ledger's row with it: in one request and
//! one transaction wherever that can be, and so for the price of a few bytes.

use std::ops::Range;

use sql_batcher_adapters::{Connection, CopyPart, Effects, Fault, Problem, Request, Scope};

use crate::{
    batch::{Batch, StatementKind},
    guard::Refused,
    ledger::{Ledger, Row, State, commits_before, row_of},
};

/// Statements of a batch that are sent together.
#[derive(Clone, Debug)]
pub(crate) struct Piece<'a> {
    pub(crate) batch: &'a Batch,
    /// Which, by index.
    pub(crate) range: Range<usize>,
    /// The row that is to be written with it and stands for earlier batches, too.
    pub(crate) span: Option<Row>,
    /// Whether the whole run is one transaction.
    pub(crate) spans_run: bool,
}

/// A piece that was refused.
#[derive(Debug)]
pub(crate) struct Refusal {
    /// Its statement and offset count in the batch.
    pub(crate) problem: Problem,
    /// Whether it is the ledger's row that was refused.
    pub(crate) by_ledger: bool,
    /// Whether the ledger was asked since, and said that nothing of it is applied.
    pub(crate) is_certain: bool,
}

impl Refused for Refusal {
    fn map(self, change: impl FnOnce(Problem) -> Problem) -> Self {
        Self { problem: change(self.problem), ..self }
    }
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        Self { problem, by_ledger: false, is_certain: false }
    }
}

/// Where the row of a piece is written.
enum Way {
    /// Nowhere: it has none.
    Plain,
    /// Before the statement of this index in the piece, in the same request.
    Within(Row, usize),
    /// Before and after the statement, which cannot share a transaction with it.
    Around(Row),
    /// After what the last statement commits before it is applied itself.
    Split(Option<Row>),
    /// After the data of a `COPY`.
    Copy(Option<Row>),
}

/// Sends a piece, with its row if there is a ledger.
pub(crate) async fn send(
    connection: &mut dyn Connection,
    piece: &Piece<'_>,
    ledger: Option<&Ledger>,
) -> Result<Effects, Refusal> {
    let Some(ledger) = ledger else { return Ok(piece.plain(connection).await?) };
    match piece.way()? {
        Way::Plain => piece.plain_beside(connection, ledger).await,
        Way::Within(row, index) => piece.within(connection, &ledger.insert(&row), index).await,
        Way::Around(row) => piece.around(connection, ledger, row).await,
        Way::Split(row) => piece.split(connection, ledger, row).await,
        Way::Copy(row) => {
            let row = row.map(|row| ledger.insert(&row));
            let copied = piece.copy(connection, row.as_deref()).await;
            if copied.is_err() && !piece.is_scripted() {
                // Where that fails the connection is lost, and the transaction with it.
                let _ = connection.rollback().await;
            }
            copied
        }
    }
}

impl Piece<'_> {
    /// What the ledger says of the piece once it is applied: the statement that its row begins
    /// with. None where it has no row, or the row is not of the same transaction.
    pub(crate) fn key(&self) -> Option<(u64, State)> {
        match self.way().ok()? {
            Way::Within(row, _) | Way::Copy(Some(row)) => Some((row.first_statement, row.state)),
            _ => None,
        }
    }

    /// Whether it is applied outside any transaction, so that its row cannot share one with it.
    pub(crate) fn is_around(&self) -> bool {
        matches!(self.way(), Ok(Way::Around(_) | Way::Split(_)))
    }

    /// Whether it belongs to a transaction that is not its own.
    fn is_scripted(&self) -> bool {
        self.batch.scope == Scope::Scripted
    }

    fn way(&self) -> Result<Way, Problem> {
        let batch = self.batch;
        if batch.copy.is_some() {
            return Ok(self.way_of_copy());
        }
        let row = || row_of(batch, self.range.clone(), State::Applied);
        Ok(match batch.scope {
            Scope::Atomic => Way::Within(row(), 0),
            Scope::Bare if self.is_of_session() => Way::Plain,
            Scope::Bare => Way::Around(row()),
            Scope::Scripted if self.spans_run => Way::Within(row(), 0),
            Scope::Scripted => {
                self.refuse_distributed()?;
                self.way_of_transaction()
            }
        })
    }

    fn way_of_copy(&self) -> Way {
        let whole = self.batch.copy == Some(CopyPart::Whole);
        let has_own = !self.is_scripted() || self.spans_run;
        let own = || row_of(self.batch, 0..1, State::Applied);
        Way::Copy(self.span.or_else(|| (whole && has_own).then(own)))
    }

    fn way_of_transaction(&self) -> Way {
        if commits_before(self.batch) {
            return Way::Split(self.span);
        }
        let Some(row) = self.span else { return Way::Plain };
        match self.batch.kinds.last() {
            Some(StatementKind::Rollback) => Way::Within(row, self.range.len()),
            _ => Way::Within(row, self.range.len().saturating_sub(1)),
        }
    }

    /// Whether it only changes the session, which is done again for each new one.
    fn is_of_session(&self) -> bool {
        use StatementKind::{Begin, Lock, Savepoint, Select, Set};
        let kinds = self.batch.kinds.get(self.range.clone()).unwrap_or_default();
        kinds.iter().all(|kind| matches!(kind, Begin | Lock | Savepoint | Select | Set))
    }

    /// A distributed transaction is committed apart from what is in it.
    fn refuse_distributed(&self) -> Result<(), Problem> {
        let distributed = |index: &usize| {
            let kinds = [StatementKind::Begin, StatementKind::Commit];
            let text = self.batch.statement(*index).unwrap_or_default().trim_ascii_start();
            let starts = |word: &[u8]| {
                text.get(..word.len()).is_some_and(|head| head.eq_ignore_ascii_case(word))
            };
            self.batch.kinds.get(*index).is_some_and(|kind| kinds.contains(kind))
                && (starts(b"XA ") || starts(b"PREPARE "))
        };
        let Some(index) = self.range.clone().find(distributed) else { return Ok(()) };
        let message = "a distributed transaction cannot hold the ledger's row";
        let statement = u32::try_from(index).ok();
        Err(Problem { statement, ..Problem::new(Fault::Unsupported, message) })
    }

    /// As it is.
    async fn plain(&self, connection: &mut dyn Connection) -> Result<Effects, Problem> {
        if self.range == (0..self.batch.statements()) {
            return connection.execute(self.batch.request()).await;
        }
        self.with(connection, None).await.map_err(|refusal| refusal.problem)
    }

    /// As it is, but that tables are locked together with the ledger.
    async fn plain_beside(
        &self,
        connection: &mut dyn Connection,
        ledger: &Ledger,
    ) -> Result<Effects, Refusal> {
        let locks = self.batch.kinds.first() == Some(&StatementKind::Lock);
        let text = self.batch.statement(0).filter(|_| locks && self.batch.statements() == 1);
        let Some(text) = text.and_then(|text| ledger.locked_too(text)) else {
            return Ok(self.plain(connection).await?);
        };
        let ends = [u32::try_from(text.len()).unwrap_or(u32::MAX)];
        Ok(connection.execute(self.request(&text, &ends)).await?)
    }

    async fn within(
        &self,
        connection: &mut dyn Connection,
        row: &str,
        index: usize,
    ) -> Result<Effects, Refusal> {
        self.with(connection, Some((row, index))).await
    }

    /// The statements as one request, perhaps with a row before one of them.
    async fn with(
        &self,
        connection: &mut dyn Connection,
        row: Option<(&str, usize)>,
    ) -> Result<Effects, Refusal> {
        let text = Text::of(self.batch, self.range.clone(), row);
        let executed = connection.execute(self.request(&text.body, &text.ends)).await;
        let own_rows = u64::from(row.is_some());
        executed
            .map(|Effects { rows }| Effects {
                rows: rows.map(|rows| rows.saturating_sub(own_rows)),
            })
            .map_err(|problem| text.explain(problem))
    }

    fn request<'a>(&self, body: &'a [u8], ends: &'a [u32]) -> Request<'a> {
        Request { body, ends, scope: self.batch.scope, copy: None }
    }

    /// A statement that cannot share a transaction with its row: what is written before says that
    /// it may have been applied, what is written after that it was.
    async fn around(
        &self,
        connection: &mut dyn Connection,
        ledger: &Ledger,
        row: Row,
    ) -> Result<Effects, Refusal> {
        let begun = Row { state: State::Started, ..row };
        if let Err(problem) = ledger.write(connection, &begun).await {
            let known = ledger.holds(connection, (row.first_statement, State::Started)).await;
            if !matches!(known, Ok(true)) {
                // The statement itself was not sent.
                return Err(of_ledger(Problem { outcome_unknown: false, ..problem }));
            }
        }
        let effects = match self.last_alone(connection).await {
            Ok(effects) => effects,
            Err(refusal) if refusal.problem.outcome_unknown => return Err(refusal),
            Err(refusal) => {
                // Where that fails, resuming asks about the statement, which does no harm.
                let _ = ledger.forget(connection, row.first_statement).await;
                return Err(refusal);
            }
        };
        match ledger.write(connection, &row).await {
            Ok(()) => Ok(effects),
            Err(problem) => {
                let kept = u32::try_from(self.range.end).unwrap_or(u32::MAX);
                let problem = Problem { outcome_unknown: false, transient: false, kept, ..problem };
                let mut refusal = of_ledger(problem);
                refusal.problem.message.push_str("; the statement itself is applied");
                Err(refusal)
            }
        }
    }

    /// The last statement of the piece by itself, outside any transaction.
    async fn last_alone(&self, connection: &mut dyn Connection) -> Result<Effects, Refusal> {
        let last = self.range.end.saturating_sub(1);
        let text = Text::of(self.batch, last..self.range.end, None);
        let request =
            Request { body: &text.body, ends: &text.ends, scope: Scope::Bare, copy: None };
        connection.execute(request).await.map_err(|problem| text.explain(problem))
    }

    /// A definition that commits the script's transaction: what is before it is committed with the
    /// row, then it goes alone.
    async fn split(
        &self,
        connection: &mut dyn Connection,
        ledger: &Ledger,
        row: Option<Row>,
    ) -> Result<Effects, Refusal> {
        let last = self.range.end.saturating_sub(1);
        let mut rows = None;
        if let Some(row) = row {
            let before = Text::of(self.batch, self.range.start..last, None);
            let row = ledger.insert(&row);
            let text = before.committed_with(&row);
            let executed = connection.execute(self.request(&text.body, &text.ends)).await;
            let effects = executed.map_err(|problem| text.explain(problem))?;
            rows = effects.rows.map(|rows| rows.saturating_sub(1));
        }
        let alone = row_of(self.batch, last..self.range.end, State::Applied);
        match self.around(connection, ledger, alone).await {
            Ok(effects) => Ok(Effects { rows: rows.or(effects.rows) }),
            Err(mut refusal) => {
                let before = u32::try_from(last).unwrap_or(u32::MAX);
                refusal.problem.kept = refusal.problem.kept.max(before);
                Err(refusal)
            }
        }
    }

    /// A `COPY`, or a part of one, in a transaction with its row.
    async fn copy(
        &self,
        connection: &mut dyn Connection,
        row: Option<&str>,
    ) -> Result<Effects, Refusal> {
        let part = self.batch.copy;
        let own = !self.is_scripted();
        if own && matches!(part, Some(CopyPart::Whole | CopyPart::First)) {
            connection.begin().await?;
        }
        let request = Request { scope: Scope::Scripted, ..self.batch.request() };
        let effects = connection.execute(request).await?;
        let Some(row) = row else { return Ok(effects) };
        let ends = [u32::try_from(row.len()).unwrap_or(u32::MAX)];
        let request =
            Request { body: row.as_bytes(), ends: &ends, scope: Scope::Scripted, copy: None };
        connection.execute(request).await.map_err(of_ledger)?;
        if own {
            connection.commit().await?;
        }
        Ok(effects)
    }
}

fn of_ledger(problem: Problem) -> Refusal {
    let message = format!("the ledger's row was refused: {}", problem.message);
    let problem = Problem { message, statement: None, offset: None, ..problem };
    Refusal { problem, by_ledger: true, is_certain: false }
}

/// The text of a request, and what of it is not the script's.
struct Text {
    body: Vec<u8>,
    ends: Vec<u32>,
    /// Index in the batch of the first statement, and bytes before it in the batch's body.
    first: usize,
    start: usize,
    /// Index of the row's statement, and its bytes.
    row: Option<(usize, Range<usize>)>,
}

impl Text {
    /// Statements of a batch, with a row before that of an index (in the range), or at the end.
    fn of(batch: &Batch, range: Range<usize>, row: Option<(&str, usize)>) -> Self {
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
    fn committed_with(mut self, row: &str) -> Self {
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
    fn explain(&self, problem: Problem) -> Refusal {
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

#[cfg(test)]
mod tests {
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
