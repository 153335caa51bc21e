//! Takes many plain statements at once: whatever the batch that is being filled has room for, and
//! nothing else comes between. It is the same as to take them one by one, and that is what becomes
//! of each that needs a decision: one that does not fit, one that the options want looked at.

use crate::filling::Piece;
use crate::lanes::LANES;
use crate::session::Session;
use crate::types::{Kind, Position, Scope, Transactions};

impl Session {
    /// Takes the plain statements that come next before `end` in the buffer, as many as can be
    /// taken without a decision.
    pub(crate) fn take_plain(&mut self, end: usize) {
        let start = self.splitter.keep_from();
        if end.saturating_sub(start) < LANES {
            return;
        }
        let Some(scope) = self.undisputed_scope() else { return };
        self.input.move_to(start);
        let Self { input, splitter, filling, account, options, .. } = self;
        let window = input.buffer.as_slice();
        let tracker = &mut input.tracker;
        let spot = tracker.spot();
        let Some(mut statements) = splitter.plain(&window[..end], spot) else { return };
        let limits = &options.limits;
        let room = limits.max_batch_bytes.saturating_sub(options.hook_room);
        let longest = usize::try_from(limits.max_statement_bytes).unwrap_or(usize::MAX);
        let most = (limits.max_statements as usize).saturating_sub(1);
        let first = tracker.place.offset.saturating_sub(spot.at as u64);
        let number = account.number_of_next();
        let (mut taken, mut changes, mut read) = (0, false, 0);
        while let Some(end) = statements.end()
            && let Some(class) = statements.class()
        {
            let spot = statements.spot();
            let piece = Piece::plain(window, spot.at, end);
            if end - spot.at > longest
                || filling.bytes() + piece.bytes() > room
                || filling.statements() >= most
            {
                break;
            }
            if filling.is_empty() {
                filling.open(scope, splitter.backslash_escapes(), self.now_ms);
            }
            let position = Position {
                statement: number + taken,
                offset: first + spot.at as u64,
                line: spot.line,
                column: spot.column,
            };
            filling.add(window, piece, position, (class.kind, 0));
            changes |= class.kind != Kind::Select;
            read = first + end as u64 + 1;
            taken += 1;
            statements.pass();
        }
        let spot = statements.spot();
        let (after, begun) = statements.stop();
        if taken > 0 {
            account.found_many(taken, read);
            self.uncommitted |= changes && self.script.is_open();
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
        let looks_at_each = self.options.merging.is_some()
            || limits.max_batch_characters.is_some()
            || limits.max_commands.is_some()
            || limits.max_rows.is_some()
            || (self.input.holds_nul && !self.options.dialect.rules().nul);
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
