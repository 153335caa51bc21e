//! The intake: from text in the buffer to statements in the batch that is being filled.

use memchr::memchr;

use crate::filling::Piece;
use crate::input::{COMPACT_BYTES, Mark};
use crate::insert::Text;
use crate::merging::Found;
use crate::position::{Cursor, units_of_utf16};
use crate::session::Session;
use crate::settings::backslash_setting;
use crate::splitter::{Item, Reason, Refusal, Statement};
use crate::types::{
    Event, Failure, FailureKind, Host, Kind, Limits, Oversized, Position, SealReason,
};

/// What a byte-order mark looks like in UTF-8; clients skip it at the start of an input.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
/// How much larger than what is sent the statements of a batch may be apart.
const MOST_APART: u64 = 16;
/// Positions in a body are 32 bits wide.
const MOST_BODY_BYTES: u64 = u32::MAX as u64;

impl Session {
    /// Reads on by one item; false where nothing is left to do without more text.
    pub(crate) fn advance(&mut self, host: &mut impl Host) -> bool {
        if self.input.data.is_some() {
            self.take_data(host);
            return true;
        }
        let mark = self.input.marks.front().copied();
        let end = mark.map_or(self.input.buffer.len(), |mark| mark.at);
        let ended = mark.is_some_and(|mark| mark.input_ends);
        if self.input.at_start && !self.skip_byte_order_mark(end, ended) {
            return mark.is_some_and(|mark| self.reach(host, mark));
        }
        self.take_plain(end);
        match self.splitter.next(&self.input.buffer[..end], ended) {
            Item::More => mark.is_some_and(|mark| self.reach(host, mark)),
            Item::Statement(statement) => {
                self.take_statement(host, &statement);
                true
            }
            Item::CopyData(data) => {
                self.input.data = Some(data);
                true
            }
            Item::PassedOver { start } => {
                self.input.move_to(start);
                let position = self.position(self.input.tracker.place);
                host.emit(Event::CommandPassedOver(position));
                true
            }
            Item::Refused(refusal) => {
                let failure = self.failure_of(&refusal);
                self.refuse(host, failure);
                true
            }
        }
    }

    /// Drops text that is not needed any more.
    pub(crate) fn compact(&mut self) {
        let data = self.input.data.map_or(usize::MAX, |data| data.start);
        let keep = self.splitter.keep_from().min(data).min(self.input.buffer.len());
        let all = keep == self.input.buffer.len();
        if !all && (keep < COMPACT_BYTES || keep * 2 < self.input.buffer.len()) {
            return;
        }
        if let Some(start) = self.splitter.comment_before(keep) {
            self.input.comment = self.input.place(start);
        }
        self.filling.copy(&self.input.buffer);
        self.input.move_to(keep);
        self.input.buffer.drain(..keep);
        self.input.tracker.shift(keep);
        self.splitter.shift(keep);
        for mark in &mut self.input.marks {
            mark.at -= keep;
        }
        if let Some(data) = &mut self.input.data {
            data.start -= keep;
            data.end -= keep;
        }
    }

    /// All text before a mark is read.
    fn reach(&mut self, host: &mut impl Host, mark: Mark) -> bool {
        self.input.marks.pop_front();
        if mark.input_ends {
            self.input.move_to(mark.at);
            self.input.tracker.place = self.input.tracker.place.new_input();
            self.input.at_start = true;
            self.splitter.end_input(mark.at);
            self.filling.end_input();
            self.account.read(self.input.tracker.place.offset);
        }
        let last = self.input.marks.is_empty() && self.is_finishing();
        if last {
            self.seal(host, SealReason::Finish, true);
        } else if !mark.input_ends && !self.filling.in_copy() {
            self.seal(host, SealReason::Flush, true);
        }
        true
    }

    /// Whether the start of the input is behind us.
    fn skip_byte_order_mark(&mut self, end: usize, ended: bool) -> bool {
        let start = self.splitter.keep_from();
        let text = &self.input.buffer[start..end];
        if text.len() < BYTE_ORDER_MARK.len() && !ended && BYTE_ORDER_MARK.starts_with(text) {
            return false;
        }
        self.input.at_start = false;
        if text.starts_with(BYTE_ORDER_MARK) {
            let length = BYTE_ORDER_MARK.len();
            self.input.move_to(start);
            self.input.tracker.pass_over(length);
            self.splitter.end_input(start + length);
        }
        true
    }

    fn position(&self, place: Cursor) -> Position {
        Position {
            statement: self.account.number_of_next(),
            offset: place.offset,
            line: place.line,
            column: place.column,
        }
    }

    fn take_statement(&mut self, host: &mut impl Host, statement: &Statement) {
        self.input.move_to(statement.start);
        let position = self.position(self.input.tracker.place);
        let read = (statement.after - statement.start) as u64;
        self.account.found(position.offset + read);
        let piece = Piece::new(&self.input.buffer, statement);
        self.take_piece(host, statement, piece, position);
    }

    fn take_piece(
        &mut self,
        host: &mut impl Host,
        statement: &Statement,
        piece: Piece,
        position: Position,
    ) {
        if let Some(failure) = self.refusal_of(piece, position) {
            return self.refuse(host, failure);
        }
        let placement = match self.place(statement, piece, position) {
            Ok(placement) => placement,
            Err(failure) => return self.refuse(host, failure),
        };
        let backslash = self.splitter.backslash_escapes();
        let mut found = self.look(host, statement, position);
        let setting = match statement.class.kind {
            Kind::Set => backslash_setting(self.options.dialect, piece.text(&self.input.buffer)),
            _ => None,
        };
        if let Some(escapes) = setting {
            self.splitter.set_backslash(escapes);
        }
        if placement.starts_batch {
            self.seal(host, placement.reason, true);
        } else if let Some(reason) = self.overflow(statement, piece, found) {
            self.seal(host, reason, true);
        }
        if self.filling.is_empty() {
            self.filling.open(placement.scope, backslash, self.now_ms);
            if let (Some(Found { joins: true, .. }), Some(merger)) = (found, &mut self.merger) {
                // What it would have been joined to is gone.
                merger.close();
                let text = Text::new(&self.input.buffer, statement.start, statement.end);
                found = merger.look(text, backslash);
            }
        }
        let characters = self.characters_of(piece, found);
        self.filling.count_characters(characters);
        if let Some(merger) = &mut self.merger {
            if matches!(statement.class.kind, Kind::Insert | Kind::Replace) {
                merger.take(&self.input.buffer[statement.start..statement.end], found);
            }
            if !piece.takes_rows() {
                merger.close();
            }
        }
        let class = (statement.class.kind, statement.rows, found);
        self.filling.add(&self.input.buffer, piece, position, class);
        if setting.is_some() {
            self.filling.changes_reading();
        }
        if placement.ends_transaction {
            self.filling.ends_transaction();
        }
        if statement.copy {
            self.filling.open_copy();
        } else if placement.ends_batch {
            self.seal(host, placement.reason, true);
        } else if self.is_full_with(found) {
            self.seal(host, SealReason::Statements, true);
        }
    }

    /// What merging makes of the next statement.
    fn look(
        &mut self,
        host: &mut impl Host,
        statement: &Statement,
        position: Position,
    ) -> Option<Found> {
        let merger = self.merger.as_mut()?;
        let text = Text::new(&self.input.buffer, statement.start, statement.end);
        let kind = statement.class.kind;
        if matches!(kind, Kind::Insert | Kind::Replace) {
            return merger.look(text, self.splitter.backslash_escapes());
        }
        let text = text.get();
        if merger.note(self.options.dialect, kind, text) {
            host.emit(Event::MergingEnded(position));
        }
        None
    }

    /// Whether no statement can follow the one just added in its batch.
    fn is_full_with(&self, found: Option<Found>) -> bool {
        let limits = &self.options.limits;
        let commands = limits.max_commands.map_or(usize::MAX, |most| most as usize);
        self.filling.statements() >= limits.max_statements as usize
            || (found.is_none() && self.filling.commands() >= commands)
    }

    /// Units of UTF-16 that are sent because of a statement, where they are counted.
    fn characters_of(&self, piece: Piece, found: Option<Found>) -> u64 {
        if self.options.limits.max_batch_characters.is_none() {
            return 0;
        }
        let text = piece.statement(&self.input.buffer);
        let (around, more) = match found.filter(|found| found.joins) {
            Some(found) => ((found.around.prefix(), found.around.tail()), 1),
            None => ((0, 0), 0),
        };
        let rows = text.get(around.0..text.len() - around.1).unwrap_or_default();
        // The last separator is sent behind these rows instead; all are alike but for a newline.
        let separator = if more == 0 { piece.separator() } else { 0 };
        units_of_utf16(rows) + more + separator
    }

    /// Why a statement cannot be sent at all.
    fn refusal_of(&self, piece: Piece, position: Position) -> Option<Failure> {
        let limit = self.options.limits.max_batch_bytes;
        let allowed = match self.options.oversized {
            Oversized::Refuse => limit,
            Oversized::SendAlone(greatest) => greatest.max(limit),
        };
        if let Some(most) = self.options.limits.max_batch_characters {
            let characters = self.characters_of(piece, None) - 1;
            if characters > most {
                let message = format!(
                    "statement of {characters} characters with its terminator exceeds the limit \
                     of {most}"
                );
                return Some(Failure::new(FailureKind::BatchSizeExceeded, message).at(position));
            }
        }
        let bytes = piece.bytes();
        if bytes > allowed {
            let message = format!(
                "statement of {bytes} bytes with its terminator exceeds the limit of {allowed}"
            );
            return Some(Failure::new(FailureKind::BatchSizeExceeded, message).at(position));
        }
        if self.refuses_nul() && memchr(0, piece.text(&self.input.buffer)).is_some() {
            let message = "statement holds a NUL byte, which the database's protocol cannot carry";
            return Some(Failure::new(FailureKind::InvalidQuery, message).at(position));
        }
        None
    }

    /// Which limit the next statement would exceed.
    fn overflow(
        &self,
        statement: &Statement,
        piece: Piece,
        found: Option<Found>,
    ) -> Option<SealReason> {
        let limits = &self.options.limits;
        if self.filling.is_empty() {
            return None;
        }
        let room = limits.max_batch_bytes.saturating_sub(self.options.hook_room);
        let saved = found.map_or(0, Found::saved) as u64;
        if self.filling.bytes() + piece.bytes() - saved > room
            || self.filling.apart_bytes() + piece.bytes() > most_apart_bytes(limits)
        {
            return Some(SealReason::Bytes);
        }
        // Nothing parts the last statement from anything.
        let characters = self.filling.characters() + self.characters_of(piece, found);
        if limits.max_batch_characters.is_some_and(|most| characters > most.saturating_add(1)) {
            return Some(SealReason::Bytes);
        }
        let joins = found.is_some_and(|found| found.joins);
        let most = limits.max_commands.map_or(usize::MAX, |most| most as usize);
        if !joins && self.filling.commands() >= most {
            return Some(SealReason::Statements);
        }
        let rows = self.filling.rows().saturating_add(statement.rows);
        limits.max_rows.is_some_and(|limit| rows > limit).then_some(SealReason::Rows)
    }

    /// All before it is sent, then the run ends.
    fn refuse(&mut self, host: &mut impl Host, failure: Failure) {
        self.seal(host, SealReason::Refusal, true);
        self.refusal = Some(failure);
    }

    fn failure_of(&self, refusal: &Refusal) -> Failure {
        let place = refusal.at.map_or(self.input.comment, |at| self.input.place(at));
        let position = self.position(place);
        let limit = self.options.limits.max_statement_bytes;
        let (kind, message) = match &refusal.reason {
            Reason::Unclosed(what) => {
                (FailureKind::InvalidQuery, format!("{what} is never closed"))
            }
            Reason::UnclosedWithin(what) => (
                FailureKind::InvalidQuery,
                format!("{what} is not closed within a statement's limit of {limit} bytes"),
            ),
            Reason::TooLong => (
                FailureKind::BatchSizeExceeded,
                format!("statement of more than {limit} bytes exceeds the limit"),
            ),
            Reason::ClientCommand(command) => (
                FailureKind::InvalidQuery,
                format!("{command} is a command of the database's client, not of the database"),
            ),
            Reason::TextAfterCopy => (
                FailureKind::InvalidQuery,
                "text follows COPY … FROM stdin in its line; its data begins in the next".into(),
            ),
        };
        Failure::new(kind, message).at(position)
    }

    /// Moves data of a `COPY` into the batch, as much as fits.
    fn take_data(&mut self, host: &mut impl Host) {
        let Some(mut data) = self.input.data.take() else { return };
        let limit = self.options.limits.max_batch_bytes;
        let room =
            usize::try_from(limit.saturating_sub(self.filling.bytes())).unwrap_or(usize::MAX);
        let end = data.end.min(data.start.saturating_add(room));
        self.filling.add_data(&self.input.buffer, data.start..end);
        data.start = end;
        if data.start < data.end {
            self.input.data = Some(data);
            self.seal(host, SealReason::Bytes, false);
        } else if data.last {
            self.seal(host, SealReason::Alone, true);
        }
    }
}

/// The most bytes that the statements of a batch may have apart.
pub(crate) fn most_apart_bytes(limits: &Limits) -> u64 {
    limits.max_batch_bytes.saturating_mul(MOST_APART).min(MOST_BODY_BYTES)
}
