//! Options that have been checked, and what the database allows taken into account.

use std::time::Duration;

use sql_batcher_adapters::{Capabilities, Dialect};

use super::{
    HOOK_ROOM, MEMORY, MIB, Merging, Options, Oversized, SandboxLimits, Times, Transactions,
};
use crate::{Error, ErrorKind, LedgerOptions, Result, RetryOptions, ledger::MAX_ROW_BYTES};

/// How much larger a batch may be than what is sent of it, where statements are joined: as the
/// contract says.
const MOST_APART: u64 = 16;

/// Batches that a component hands out at most: as the contract says.
const MOST_HANDED_OUT: u32 = 64;

impl Options {
    /// Bytes of a batch that are left free where there are hooks.
    pub(crate) fn room_for_hooks(&self, max_bytes: u64) -> u64 {
        self.hook_room.unwrap_or(HOOK_ROOM.min(max_bytes / 2)).min(max_bytes.saturating_sub(1))
    }

    /// The options as they hold where no database is involved.
    pub(crate) fn settle(&self) -> Result<Settings> {
        self.check()?;
        let max_statement_bytes = self.statement_bytes();
        Ok(Settings {
            dialect: self.dialect.unwrap_or(Dialect::Generic),
            max_bytes: self.max_bytes,
            max_characters: None,
            max_statement_bytes,
            max_statements: self.max_statements,
            max_commands: None,
            max_rows: self.max_rows,
            max_age: self.max_age,
            max_in_flight: self.in_flight,
            has_next_at_hand: true,
            show_values: self.show_values,
            send_alone_bytes: match self.oversized {
                Oversized::Refuse => None,
                Oversized::SendAlone => Some(max_statement_bytes),
            },
            transactions: self.transactions,
            merging: self.merge_inserts.then_some(Merging {
                max_rows: self.max_insert_rows.unwrap_or(u32::MAX),
                locates_rows: self.fast_path,
                joins_conflicts: true,
            }),
            sandbox: self.sandbox,
            retries: self.retries,
            times: self.times,
            ledger: self.ledger.clone(),
            hook_room: 0,
        })
    }

    /// The options as they hold with a database that can do this.
    pub(crate) fn settle_for(&self, database: &Capabilities) -> Result<Settings> {
        let mut settings = self.settle()?;
        settings.dialect = self.dialect.unwrap_or(database.dialect);
        let (row_bytes, rows) = match settings.ledger {
            Some(_) => (MAX_ROW_BYTES, 1),
            None => (0, 0),
        };
        let most = database.max_request_bytes.saturating_sub(row_bytes).max(1);
        settings.max_bytes = settings.max_bytes.min(most);
        settings.send_alone_bytes = settings.send_alone_bytes.map(|bytes| bytes.min(most));
        settings.max_characters = database.max_request_characters;
        settings.max_commands =
            database.max_statements_per_request.map(|count| count.saturating_sub(rows).max(1));
        settings.merging = settings.merging.filter(|_| database.merging_obstacle.is_none());
        if let Some(merging) = &mut settings.merging {
            merging.locates_rows &= database.fast_path;
            let best = database.best_rows_per_insert.filter(|_| !merging.locates_rows);
            let wanted = self.max_insert_rows.or(best).unwrap_or(u32::MAX);
            merging.max_rows = wanted.min(database.max_rows_per_insert.unwrap_or(u32::MAX));
            merging.joins_conflicts = database.merges_conflicts;
        }
        let writers = database.max_writers.unwrap_or(u32::MAX).max(1);
        settings.max_in_flight = settings.max_in_flight.min(writers);
        let spans = database.transactions && database.transactions_span_requests;
        if settings.transactions == Transactions::Run && !spans {
            let message = format!("{} has no transactions that span a run", database.server);
            return Err(Error::new(ErrorKind::InvalidOptions, message));
        }
        if database.transactions {
            return Ok(settings);
        }
        if settings.ledger.is_some() {
            let message = format!("{} has no transactions for a ledger", database.server);
            return Err(Error::new(ErrorKind::InvalidOptions, message));
        }
        settings.transactions = Transactions::None;
        Ok(settings)
    }

    /// What a user should know of what the database has changed.
    pub(crate) fn notes_on(&self, settings: &Settings, database: &Capabilities) -> Vec<String> {
        let (wanted, most) = (self.in_flight, settings.max_in_flight);
        let lowered = (most < wanted).then(|| {
            format!("in_flight of {wanted} is lowered to {most}: no more can write at once")
        });
        let obstacle = database.merging_obstacle.as_ref().filter(|_| self.merge_inserts);
        let unmerged = obstacle.map(|why| format!("no INSERTs are merged: {why}"));
        lowered.into_iter().chain(unmerged).collect()
    }
}

/// Options that have been checked, and what the database allows taken into account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Settings {
    pub(crate) dialect: Dialect,
    pub(crate) max_bytes: u64,
    pub(crate) max_characters: Option<u64>,
    pub(crate) max_statement_bytes: u64,
    pub(crate) max_statements: u32,
    /// Statements of a batch as the database counts them.
    pub(crate) max_commands: Option<u32>,
    pub(crate) max_rows: Option<u32>,
    pub(crate) max_age: Option<Duration>,
    pub(crate) max_in_flight: u32,
    /// Whether the component hands out one batch more than may be under way, so that the next is at
    /// hand when one has ended. Not where hooks are asked: they see a batch when it is to be sent.
    pub(crate) has_next_at_hand: bool,
    /// Whether errors may quote values.
    pub(crate) show_values: bool,
    /// The most bytes of a statement that is sent by itself; none: it is refused.
    pub(crate) send_alone_bytes: Option<u64>,
    pub(crate) transactions: Transactions,
    pub(crate) merging: Option<Merging>,
    pub(crate) sandbox: SandboxLimits,
    pub(crate) retries: RetryOptions,
    pub(crate) times: Times,
    pub(crate) ledger: Option<LedgerOptions>,
    /// Bytes of a batch that are left free for hooks; 0 without them.
    pub(crate) hook_room: u64,
}

impl Settings {
    /// Batches that the component may have handed out and not seen completed.
    pub(crate) fn max_handed_out(&self) -> u32 {
        (self.max_in_flight + u32::from(self.has_next_at_hand)).min(MOST_HANDED_OUT)
    }

    /// The most bytes of a body that may cross the boundary: where statements are joined only when
    /// they are sent, more than may be sent.
    pub(crate) fn max_body_bytes(&self) -> u64 {
        let apart = if self.merging.is_some() { MOST_APART } else { 1 };
        let most = self.max_bytes.saturating_mul(apart).min(u64::from(u32::MAX));
        most.max(self.send_alone_bytes.unwrap_or(0))
    }

    /// The memory limit of the sandbox: see [`SandboxLimits::memory_bytes`].
    pub(crate) fn memory_bytes(&self, has_hooks: bool) -> u64 {
        let statements = u64::from(self.max_statements);
        let for_hooks = match has_hooks {
            true => 4 * self.max_body_bytes() + 256 * statements,
            false => 0,
        };
        let needed = 16 * MIB
            + 3 * self.max_statement_bytes
            + 4 * self.max_body_bytes() * u64::from(self.max_handed_out())
            + 128 * statements
            + for_hooks;
        self.sandbox.memory_bytes.unwrap_or(needed).min(*MEMORY.end())
    }
}
