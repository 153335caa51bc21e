//! Statements that are joined, sent so that they can be taken apart again where the database refuses
//! them; and sent apart, in as many requests as the limits ask for.

use std::ops::Range;

use sql_batcher_adapters::{Capabilities, Connection, Effects, Problem, Request, Scope};

use super::{
    Piece, Refusal,
    text::{Layout, Text},
};
use crate::{
    batch::{Batch, StatementKind, Stretch},
    options::Settings,
};

/// What stands before joined statements in a transaction that is not the batch's own.
const SAVEPOINT: &str = "SAVEPOINT sql_batcher_joined;";
const RELEASE: &str = "RELEASE SAVEPOINT sql_batcher_joined;";
const ROLL_BACK: &str = "ROLLBACK TO SAVEPOINT sql_batcher_joined;";

/// What a request may be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// Bytes; no more characters than that, either.
    pub(crate) max_bytes: u64,
    pub(crate) max_commands: usize,
    /// Whether a transaction can go on in a further request.
    pub(crate) transactions_span_requests: bool,
    /// Whether the database has savepoints.
    pub(crate) savepoints: bool,
    /// Whether definitions take part in transactions.
    pub(crate) transactional_ddl: bool,
    /// Whether INSERTs of constants may go the database's fastest way.
    pub(crate) fast_path: bool,
}

impl Bounds {
    pub(crate) fn of(settings: &Settings, database: &Capabilities) -> Self {
        let commands = settings.max_commands.map_or(usize::MAX, |count| count as usize);
        Self {
            max_bytes: settings.max_bytes.min(settings.max_characters.unwrap_or(u64::MAX)),
            max_commands: commands,
            transactions_span_requests: database.transactions_span_requests,
            savepoints: database.savepoints,
            transactional_ddl: database.transactional_ddl,
            fast_path: settings.merging.is_some_and(|merging| merging.locates_rows),
        }
    }
}

/// Whether statements of a batch can be sent with some of them apart.
pub(crate) fn can_be_apart(batch: &Batch, range: &Range<usize>, bounds: &Bounds) -> bool {
    let place = |index| batch.range(index).unwrap_or_default();
    let bytes = place(range.end.saturating_sub(1)).end.saturating_sub(place(range.start).start);
    batch.scope != Scope::Atomic
        || bounds.transactions_span_requests
        || bytes as u64 <= bounds.max_bytes && range.len() <= bounds.max_commands
}

/// How joined statements can be taken apart again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Recovery {
    /// Nothing of the request stays if a statement is refused, or it is known what does.
    Itself,
    /// By a savepoint in the transaction that is open.
    Savepoint,
    /// Not at all.
    None,
}

impl Recovery {
    /// For statements of a batch; `open`: in a transaction that was opened before them.
    pub(crate) fn of(batch: &Batch, range: &Range<usize>, bounds: &Bounds, open: bool) -> Self {
        use StatementKind::{Begin, Commit, Rollback};
        if batch.scope != Scope::Scripted {
            return Self::Itself;
        }
        let first = range.start..range.start + 1;
        let last = range.end.saturating_sub(1)..range.end;
        let fits = |(stretch, statements): (Stretch, Range<usize>)| match stretch.kind {
            Begin => statements == first && !open,
            Commit | Rollback => statements == last,
            kind => changes_nothing_else(kind, bounds.transactional_ddl),
        };
        match batch.stretches_of(range.clone()).all(fits) {
            true if !open => Self::Itself,
            true if bounds.savepoints => Self::Savepoint,
            _ => Self::None,
        }
    }
}

/// Whether a statement leaves the transaction and its savepoints as they are.
fn changes_nothing_else(kind: StatementKind, transactional_ddl: bool) -> bool {
    use StatementKind::{Alter, Create, Delete, Drop, Insert, Replace, Select, Truncate, Update};
    match kind {
        Insert | Replace | Update | Delete | Select => true,
        Create | Alter | Drop | Truncate => transactional_ddl,
        _ => false,
    }
}

impl Piece<'_> {
    /// Sends by `work` what can be taken back by a savepoint if it is refused.
    pub(super) async fn behind_savepoint(
        &self,
        connection: &mut dyn Connection,
        row: Option<(&str, usize)>,
    ) -> Result<Effects, Refusal> {
        self.say(connection, SAVEPOINT).await?;
        match self.with(connection, row).await {
            Ok(effects) => {
                let ends = self.batch.ends_transaction && self.range.end == self.batch.statements();
                if !ends {
                    self.say(connection, RELEASE).await?;
                }
                Ok(effects)
            }
            Err(refusal) => {
                let joined = match self.say(connection, ROLL_BACK).await {
                    Ok(()) => refusal.joined,
                    Err(_) => None,
                };
                Err(Refusal { joined, ..refusal })
            }
        }
    }

    async fn say(&self, connection: &mut dyn Connection, words: &str) -> Result<(), Problem> {
        let ends = [u32::try_from(words.len()).unwrap_or(u32::MAX)];
        let request = Request {
            body: words.as_bytes(),
            ends: &ends,
            scope: Scope::Scripted,
            copy: None,
            inserts: &[],
        };
        // What was open stays so: nothing of it is applied or lost by these words.
        let said = connection.execute(request).await.map(|_| ());
        said.map_err(|problem| Problem { kept: 0, statement: None, offset: None, ..problem })
    }

    /// Sends the statements with some of them apart, which may take several requests: as one
    /// transaction where the batch is one.
    pub(super) async fn apart(
        &self,
        connection: &mut dyn Connection,
        row: Option<(&str, usize)>,
    ) -> Result<Effects, Refusal> {
        let own = self.batch.scope == Scope::Atomic;
        if own && !self.bounds.transactions_span_requests {
            // The caller has made sure that it fits into one.
            return self.laid_out(connection, row).await;
        }
        if own {
            connection.begin().await?;
        }
        let sent = self.in_requests(connection, row).await;
        if !own {
            return sent;
        }
        match sent {
            Ok(effects) => {
                connection.commit().await?;
                Ok(effects)
            }
            Err(refusal) => {
                let taken_back = connection.rollback().await;
                let outcome_unknown = refusal.problem.outcome_unknown;
                let mut refusal = refusal;
                refusal.problem.kept = 0;
                // A connection that cannot even do that is gone, and what was open with it.
                refusal.problem.outcome_unknown = outcome_unknown && taken_back.is_err();
                Err(refusal)
            }
        }
    }

    /// All of it in one request.
    async fn laid_out(
        &self,
        connection: &mut dyn Connection,
        row: Option<(&str, usize)>,
    ) -> Result<Effects, Refusal> {
        let layout = Layout { row, apart: self.apart.clone(), locates_rows: false };
        self.text(&layout).send(connection, self.batch, self.batch.scope).await
    }

    async fn in_requests(
        &self,
        connection: &mut dyn Connection,
        row: Option<(&str, usize)>,
    ) -> Result<Effects, Refusal> {
        let scope = match self.batch.scope {
            Scope::Atomic => Scope::Scripted,
            scope => scope,
        };
        let mut all = Effects::default();
        for part in self.parts() {
            let within = row.filter(|(_, index)| {
                let at = self.range.start + index;
                part.contains(&at) || (at == self.range.end && part.end == at)
            });
            let row = within.map(|(row, index)| (row, self.range.start + index - part.start));
            let layout = Layout { row, apart: self.apart.clone(), locates_rows: false };
            let text = Text::of(self.batch, part.clone(), &layout);
            let sent = text.send(connection, self.batch, scope).await;
            let effects = sent.map_err(|mut refusal| {
                let before = u32::try_from(part.start).unwrap_or(u32::MAX);
                if scope == Scope::Bare {
                    refusal.problem.kept = refusal.problem.kept.max(before);
                }
                refusal
            })?;
            all.rows = match (all.rows, effects.rows) {
                (Some(before), Some(rows)) => Some(before + rows),
                (before, rows) => before.or(rows),
            };
        }
        Ok(all)
    }

    /// The statements in runs of which each keeps the limits, sent with these apart.
    fn parts(&self) -> Vec<Range<usize>> {
        let mut parts: Vec<Range<usize>> = Vec::new();
        let (mut bytes, mut commands) = (0, 0);
        for index in self.range.clone() {
            let place = self.batch.range(index).unwrap_or_default();
            let joins = self.batch.join_of(index).filter(|join| {
                (join.first as usize) < index
                    && !(self.apart.contains(&index) && self.apart.start < index)
            });
            let more = match joins {
                Some(join) => 1 + place.len() - join.prefix as usize,
                None => place.len(),
            };
            let more_commands = usize::from(joins.is_none());
            let fits = bytes + more <= usize::try_from(self.bounds.max_bytes).unwrap_or(usize::MAX)
                && commands + more_commands <= self.bounds.max_commands;
            match parts.last_mut().filter(|_| fits) {
                Some(part) => {
                    part.end = index + 1;
                    (bytes, commands) = (bytes + more, commands + more_commands);
                }
                None => {
                    parts.push(index..index + 1);
                    (bytes, commands) = (place.len(), 1);
                }
            }
        }
        parts
    }
}
