//! A piece of a batch on its way to the database, and the ledger's row with it: in one request and
//! one transaction wherever that can be, and so for the price of a few bytes.

mod joined;
mod text;
mod way;

use std::{
    ops::Range,
    sync::{Arc, Mutex, PoisonError},
};

use sql_batcher_adapters::{
    Adapter, Connection, CopyPart, Effects, Fault, InsertRows, Prepared, Problem, Request, Scope,
};

pub(crate) use self::{
    joined::{Bounds, Recovery, can_be_apart},
    way::Rows,
};
use self::{
    text::{Layout, Text, of_ledger},
    way::Way,
};
use crate::{
    batch::{Batch, Join, StatementKind, Stretch},
    guard::Refused,
    ledger::{Ledger, Row, State, row_of},
};

/// Statements of a batch that are sent together.
#[derive(Debug)]
pub(crate) struct Piece<'a> {
    pub(crate) batch: &'a Batch,
    /// Which, by index.
    pub(crate) range: Range<usize>,
    /// Statements of the batch that are not joined, by index, whatever the batch says.
    pub(crate) apart: Range<usize>,
    /// How joined ones can be taken apart again.
    recovery: Recovery,
    bounds: Bounds,
    way: Way,
    /// Its text, where that was made before.
    pub(crate) ready: Option<Ready>,
}

/// A whole batch as it is sent, where some of its statements are joined.
#[derive(Debug)]
pub(crate) struct Ready {
    body: Arc<Vec<u8>>,
    ends: Vec<u32>,
    inserts: Vec<InsertRows>,
    /// What the adapter has made of it; for the first attempt.
    prepared: Mutex<Option<Prepared>>,
}

impl Ready {
    /// None where the batch is sent as it is. `locates_rows`: whether INSERTs may go the fast way.
    pub(crate) fn of(batch: &Batch, locates_rows: bool, adapter: &dyn Adapter) -> Option<Self> {
        if batch.joins.is_empty() {
            return None;
        }
        let mut ready = Self::as_it_is(batch, locates_rows);
        ready.prepared = Mutex::new(adapter.prepare(&ready.request(batch.scope), &ready.body));
        Some(ready)
    }

    fn as_it_is(batch: &Batch, locates_rows: bool) -> Self {
        let mut inserts = Vec::new();
        if locates_rows {
            let mut joined = 0;
            inserts.extend(batch.joins.iter().map(|join| {
                let Join { first, statements, prefix, tail } = *join;
                let statement = first - joined;
                joined += statements.saturating_sub(1);
                InsertRows { statement, prefix, tail }
            }));
        }
        let body = Arc::clone(&batch.sent_form().body);
        Self { body, ends: batch.sent_ends(), inserts, prepared: Mutex::new(None) }
    }

    fn request(&self, scope: Scope) -> Request<'_> {
        let Self { body, ends, inserts, .. } = self;
        Request { body, ends, scope, copy: None, inserts }
    }

    fn take_prepared(&self) -> Option<Prepared> {
        self.prepared.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
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
    /// Statements of the batch, by index, that were one to the database, so that it cannot say
    /// which of them it refuses. They can be sent apart.
    pub(crate) joined: Option<Range<usize>>,
}

impl Refused for Refusal {
    fn map(self, change: impl FnOnce(Problem) -> Problem) -> Self {
        Self { problem: change(self.problem), ..self }
    }
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        Self { problem, by_ledger: false, is_certain: false, joined: None }
    }
}

/// Sends a piece, with its row if there is a ledger.
pub(crate) async fn send(
    connection: &mut dyn Connection,
    piece: &Piece<'_>,
    ledger: Option<&Ledger>,
) -> Result<Effects, Refusal> {
    let Some(ledger) = ledger else { return piece.plain(connection).await };
    match piece.way {
        Way::Plain => piece.plain_beside(connection, ledger).await,
        Way::Refused(index) => Err(distributed(index).into()),
        Way::Within(row, index) => {
            piece.written(connection, Some((&ledger.insert(&row), index))).await
        }
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

impl<'a> Piece<'a> {
    /// These statements, by index. The checksum of its row is computed here, once. `open`: whether
    /// it is in a transaction that was opened before it.
    pub(crate) fn new(
        batch: &'a Batch,
        range: Range<usize>,
        rows: Rows,
        (bounds, open): (Bounds, bool),
    ) -> Self {
        let way = Way::of(batch, range.clone(), rows);
        let recovery = Recovery::of(batch, &range, &bounds, open);
        // What could not be taken apart is not joined.
        let apart = if recovery == Recovery::None { range.clone() } else { 0..0 };
        Self { batch, range, apart, recovery, bounds, way, ready: None }
    }

    /// Whether any of its statements are one to the database.
    fn is_joined(&self) -> bool {
        let last = self.range.end.saturating_sub(1);
        let joins = |join: &Join| {
            let end = (join.first + join.statements) as usize;
            (join.first as usize) < last && end > self.range.start + 1 && join.statements > 1
        };
        self.batch.joins.iter().any(joins)
    }

    /// What the ledger says of the piece once it is applied. None where it has no row, or the row
    /// is not of the same transaction.
    pub(crate) fn key(&self) -> Option<(u64, State)> {
        match self.way {
            Way::Within(row, _) | Way::Copy(Some(row)) => Some(row.key()),
            _ => None,
        }
    }

    /// Whether it is applied outside any transaction, so that its row cannot share one with it.
    pub(crate) fn is_around(&self) -> bool {
        matches!(self.way, Way::Around(_) | Way::Split(_))
    }

    /// Whether it is certain to leave open the transaction that it belongs to, which is not its
    /// own: so that nothing of it is kept where the connection is lost. `open`: whether that was
    /// opened before it.
    pub(crate) fn commits_nothing(&self, open: bool) -> bool {
        use StatementKind::{Begin, Delete, Insert, Replace, Savepoint, Select, Update};
        let start = self.range.start;
        let is_within = |(stretch, statements): (Stretch, Range<usize>)| match stretch.kind {
            Begin => statements == (start..start + 1) && !open,
            Insert | Replace | Update | Delete | Select | Savepoint => {
                open || statements.start > start
            }
            _ => false,
        };
        self.is_scripted()
            && self.batch.copy.is_none()
            && !self.range.is_empty()
            && self.batch.stretches_of(self.range.clone()).all(is_within)
    }

    /// Whether it belongs to a transaction that is not its own.
    fn is_scripted(&self) -> bool {
        self.batch.scope == Scope::Scripted
    }

    /// As it is.
    async fn plain(&self, connection: &mut dyn Connection) -> Result<Effects, Refusal> {
        if self.is_whole() && self.batch.joins.is_empty() {
            return Ok(connection.execute(self.batch.request()).await?);
        }
        self.written(connection, None).await
    }

    /// The statements, joined where they may be, perhaps with a row before one of them.
    async fn written(
        &self,
        connection: &mut dyn Connection,
        row: Option<(&str, usize)>,
    ) -> Result<Effects, Refusal> {
        match self.recovery {
            _ if !self.is_joined() => self.with(connection, row).await,
            _ if !self.apart.is_empty() => self.apart(connection, row).await,
            Recovery::Savepoint => self.behind_savepoint(connection, row).await,
            Recovery::Itself | Recovery::None => self.with(connection, row).await,
        }
    }

    /// As it is, but that tables are locked together with the ledger.
    async fn plain_beside(
        &self,
        connection: &mut dyn Connection,
        ledger: &Ledger,
    ) -> Result<Effects, Refusal> {
        let locks = self.batch.first_kind() == Some(StatementKind::Lock);
        let text = self.batch.statement(0).filter(|_| locks && self.batch.statements() == 1);
        let Some(text) = text.and_then(|text| ledger.locked_too(&text)) else {
            return self.plain(connection).await;
        };
        let ends = [u32::try_from(text.len()).unwrap_or(u32::MAX)];
        Ok(connection.execute(self.request(&text, &ends)).await?)
    }

    /// The statements as one request, perhaps with a row before one of them.
    async fn with(
        &self,
        connection: &mut dyn Connection,
        row: Option<(&str, usize)>,
    ) -> Result<Effects, Refusal> {
        let layout = Layout { row, locates_rows: self.bounds.fast_path, ..Layout::default() };
        if row.is_none() && self.is_whole() {
            let made;
            let ready = match &self.ready {
                Some(ready) => ready,
                None => {
                    made = Ready::as_it_is(self.batch, layout.locates_rows);
                    &made
                }
            };
            let request = ready.request(self.batch.scope);
            let executed = match ready.take_prepared() {
                Some(prepared) => connection.execute_prepared(request, prepared).await,
                None => connection.execute(request).await,
            };
            return executed.map_err(|problem| self.text(&layout).explain(self.batch, problem));
        }
        self.text(&layout).send(connection, self.batch, self.batch.scope).await
    }

    /// Its text, laid out in this way.
    fn text(&self, layout: &Layout<'_>) -> Text {
        Text::of(self.batch, self.range.clone(), layout)
    }

    /// Whether it is all of its batch.
    fn is_whole(&self) -> bool {
        self.range == (0..self.batch.statements())
    }

    fn request<'b>(&self, body: &'b [u8], ends: &'b [u32]) -> Request<'b> {
        Request { body, ends, scope: self.batch.scope, copy: None, inserts: &[] }
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
            let known = ledger.holds(connection, begun.key()).await;
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
        let text = Text::of(self.batch, last..self.range.end, &Layout::default());
        text.send(connection, self.batch, Scope::Bare).await
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
            let layout = Layout { apart: self.range.clone(), ..Layout::default() };
            let before = Text::of(self.batch, self.range.start..last, &layout);
            let row = ledger.insert(&row);
            let text = before.committed_with(&row);
            rows = text.send(connection, self.batch, self.batch.scope).await?.rows;
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
        let request = Request {
            body: row.as_bytes(),
            ends: &ends,
            scope: Scope::Scripted,
            copy: None,
            inserts: &[],
        };
        connection.execute(request).await.map_err(of_ledger)?;
        if own {
            connection.commit().await?;
        }
        Ok(effects)
    }
}

/// A distributed transaction is committed apart from what is in it.
fn distributed(index: usize) -> Problem {
    let message = "a distributed transaction cannot hold the ledger's row";
    let statement = u32::try_from(index).ok();
    Problem { statement, ..Problem::new(Fault::Unsupported, message) }
}
