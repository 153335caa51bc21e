//! Takes many plain statements at once: whatever the batch that is being filled has room for, and
//! nothing else comes between. It is the same as to take them one by one, and that is what becomes
//! of each that needs a decision: one that does not fit, one that the options want looked at.

use crate::filling::{Adding, Room};
use crate::intake::most_apart_bytes;
use crate::lanes::LANES;
use crate::session::Session;
use crate::types::{Scope, Transactions};

/// The most statements that are taken one by one because none could be taken at once before: in a
/// script where something in each statement is left to the lexer, trying costs more than it brings.
pub(crate) const MOST_PAUSED: u32 = 64;

impl Session {
    /// Takes the plain statements that come next before `end` in the buffer, as many as can be
    /// taken without a decision.
    pub(crate) fn take_plain(&mut self, end: usize) {
        let start = self.splitter.keep_from();
        let is_short = end.saturating_sub(start) < LANES;
        // Places are told by 32 bits.
        if is_short || u32::try_from(end).is_err() || !self.splitter.may_be_plain() {
            return;
        }
        let Some(scope) = self.undisputed_scope() else { return };
        if !self.trials.is_due() {
            return self.trials.pass(1);
        }
        self.input.move_to(start);
        let Self { input, splitter, filling, merger, account, options, .. } = self;
        let window = input.buffer.as_slice();
        let tracker = &mut input.tracker;
        let spot = tracker.spot();
        let Some(mut statements) = splitter.plain(&window[..end], spot) else { return };
        let limits = &options.limits;
        let room = Room {
            bytes: limits.max_batch_bytes.saturating_sub(options.hook_room),
            apart_bytes: most_apart_bytes(limits),
            // The last one closes the batch.
            statements: (limits.max_statements as usize).saturating_sub(1),
            longest: usize::try_from(limits.max_statement_bytes).unwrap_or(usize::MAX),
        };
        let offset = tracker.place.offset.wrapping_sub(spot.at as u64);
        let begins = filling.is_empty();
        if begins {
            filling.make_room();
        }
        let mut adding = Adding::new(filling, window, offset, &room);
        if let Some(merger) = merger {
            adding.join_by(merger, splitter.backslash_escapes());
        }
        statements.take(&mut adding);
        let added = adding.end(statements.are_ascii());
        let (spot, after, begun) = statements.stop();
        self.trials.note(added.statements > 0);
        if added.statements > 0 {
            if begins {
                filling.begin_with(account.number_of_next());
                filling.open(scope, splitter.backslash_escapes(), self.now_ms);
            }
            account.found_many(added.statements, added.read);
            self.uncommitted |= added.changes && self.script.is_open();
            tracker.jump(window, spot);
            splitter.go_on(after, begun);
        } else if let Some(begun) = begun {
            splitter.go_on_within(&begun);
        }
    }

    /// How plain statements are to be applied, where nothing but limits has to be looked at for
    /// each of them.
    fn undisputed_scope(&self) -> Option<Scope> {
        let limits = &self.options.limits;
        let looks_at_each = limits.max_batch_characters.is_some()
            || limits.max_commands.is_some()
            || limits.max_rows.is_some();
        if looks_at_each || self.filling.in_copy() {
            return None;
        }
        let scope = match self.options.transactions {
            Transactions::Run => Scope::Scripted,
            _ if self.script.is_open() => Scope::Scripted,
            Transactions::None => Scope::Bare,
            Transactions::Batch => Scope::Atomic,
        };
        let fits = self.filling.is_empty() || self.filling.scope() == Some(scope);
        fits.then_some(scope)
    }
}
