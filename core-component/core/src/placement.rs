//! Which batch a statement goes into, by what it does to transactions.

use crate::classify::Effect;
use crate::filling::Piece;
use crate::session::Session;
use crate::splitter::Statement;
use crate::types::{Failure, FailureKind, Kind, Position, Scope, SealReason, Transactions};

/// How a statement is to be batched.
pub(crate) struct Placement {
    pub(crate) scope: Scope,
    pub(crate) starts_batch: bool,
    pub(crate) ends_batch: bool,
    pub(crate) ends_transaction: bool,
    pub(crate) reason: SealReason,
}

impl Placement {
    fn new(scope: Scope, apart: bool, reason: SealReason) -> Self {
        Self { scope, starts_batch: apart, ends_batch: apart, ends_transaction: false, reason }
    }
}

impl Session {
    /// How the next statement is to be batched; a failure where it cannot be.
    pub(crate) fn place(
        &mut self,
        statement: &Statement,
        piece: Piece,
        position: Position,
    ) -> Result<Placement, Failure> {
        let class = &statement.class;
        let oversized = piece.bytes() > self.options.limits.max_batch_bytes;
        if self.options.transactions == Transactions::Run {
            if class.alone || class.effect != Effect::None {
                let message = "statement cannot be part of one transaction for the whole run";
                return Err(Failure::new(FailureKind::InvalidQuery, message).at(position));
            }
            let alone = oversized || statement.copy;
            return Ok(Placement::new(Scope::Scripted, alone, SealReason::Alone));
        }
        let step = self.script.step(class.effect, piece.text(&self.input.buffer), position);
        if step.inside {
            let quiet = matches!(
                class.kind,
                Kind::Begin | Kind::Set | Kind::Select | Kind::Savepoint | Kind::Lock
            );
            self.uncommitted = !step.ends && (self.uncommitted || !quiet);
            let apart = oversized || statement.copy;
            let mut placement = Placement::new(Scope::Scripted, apart, SealReason::Transaction);
            placement.starts_batch |= step.begins;
            placement.ends_batch |= step.ends;
            placement.ends_transaction = step.ends;
            return Ok(placement);
        }
        let ends_nothing = class.effect != Effect::None;
        if class.alone || ends_nothing {
            return Ok(Placement::new(Scope::Bare, true, SealReason::Alone));
        }
        let scope = match self.options.transactions {
            Transactions::None if !statement.copy => Scope::Bare,
            _ => Scope::Atomic,
        };
        let apart = oversized || statement.copy;
        let mut placement = Placement::new(scope, apart, SealReason::Alone);
        placement.starts_batch |= self.filling.scope().is_some_and(|open| open != scope);
        Ok(placement)
    }
}
