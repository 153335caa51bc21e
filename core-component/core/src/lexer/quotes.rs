//! What stands in quotes: strings, names in quotes and dollar quotes, with what may come before them
//! and go on behind them.

use std::mem;

use memchr::{memchr, memchr2};

use super::{
    Context, Continuation, Lexeme, Lexer, MAX_WORD_BYTES, Mode, Quoted, Step, found, is_word,
};
use crate::dialect::Quote;
use crate::scan::{Ahead, block_end};

/// The longest tag of a dollar quote, in bytes.
const MAX_TAG_BYTES: usize = 1024;

impl Lexer {
    /// Reads the quote at `start` if it is an ordinary one that ends at one of the bytes ahead,
    /// without a backslash before that; gives what is ahead then.
    pub(super) fn short_quote(
        &mut self,
        text: &[u8],
        start: usize,
        mut ahead: Ahead,
    ) -> Option<Ahead> {
        let open = text[start];
        let goes_on = start == self.closed_at && self.closed.close == open;
        let quoted = if goes_on {
            self.closed
        } else {
            let quote = self.rules.quotes.iter().find(|quote| quote.open == open)?;
            let backslash = self.escapes(*quote);
            Quoted { close: quote.close, backslash, escape_string: false }
        };
        if quoted.escape_string {
            return None;
        }
        let end = ahead.find(|stop| text[*stop] == quoted.close || text[*stop] == b'\\')?;
        if text[end] != quoted.close {
            return None;
        }
        if !goes_on {
            self.opened_at = Some(start);
        }
        self.closed = quoted;
        self.closed_at = end + 1;
        Some(ahead)
    }

    pub(super) fn continue_string(&mut self, space: &[u8]) {
        if memchr2(b'\n', b'\r', space).is_some() {
            self.continuation = Continuation::NextLine;
        } else if !space.is_empty() && self.continuation == Continuation::JustClosed {
            self.continuation = Continuation::SameLine;
        }
    }

    pub(super) fn open_quote(&mut self, text: &[u8], at: usize, context: Context) -> Step {
        let byte = text[at];
        let continuation = mem::replace(&mut self.continuation, Continuation::No);
        let Some(quote) = self.rules.quotes.iter().find(|quote| quote.open == byte) else {
            return found(Lexeme::Symbol { start: at, end: at + 1 }, context);
        };
        if at == self.closed_at && self.closed.close == byte {
            self.mode = Mode::Quote(self.closed);
            return found(Lexeme::Symbol { start: at, end: at + 1 }, context);
        }
        let prefix = self.string_prefix(text, at, context.floor);
        let escape_string =
            prefix == Some(b'e') || (byte == b'\'' && continuation == Continuation::NextLine);
        let plain = matches!(prefix, Some(b'u' | b'b' | b'x'));
        self.mode = Mode::Quote(Quoted {
            close: quote.close,
            backslash: escape_string || (!plain && self.escapes(*quote)),
            escape_string,
        });
        self.opened_at = Some(at);
        found(Lexeme::Symbol { start: at, end: at + 1 }, context)
    }

    pub(super) fn escapes(&self, quote: Quote) -> bool {
        match self.backslash {
            Some(escapes) if quote.backslash || quote.open == b'\'' => escapes,
            _ => quote.backslash,
        }
    }

    /// The letter that says what the string is whose quote is at `at`, in lower case.
    pub(super) fn string_prefix(&self, text: &[u8], at: usize, floor: usize) -> Option<u8> {
        if !self.rules.escape_strings || text[at] != b'\'' {
            return None;
        }
        let (before, letter) = match text.get(floor.max(self.closed_at)..at)? {
            [before @ .., letter @ (b'u' | b'U'), b'&'] => (before, letter),
            [before @ .., letter @ (b'e' | b'E' | b'b' | b'B' | b'x' | b'X')] => (before, letter),
            _ => return None,
        };
        let in_word = before.last().is_some_and(|byte| is_word(*byte));
        (!in_word).then_some(letter.to_ascii_lowercase())
    }

    pub(super) fn quoted(&mut self, text: &[u8], from: usize, quoted: Quoted) -> Step {
        let mut at = from;
        loop {
            let Some(stop) = self.quote_stops(text, at, quoted) else {
                return Step::More(text.len());
            };
            at = stop;
            if text[at] == quoted.close {
                self.mode = Mode::Plain;
                self.closed = quoted;
                self.closed_at = at + 1;
                if quoted.escape_string {
                    self.continuation = Continuation::JustClosed;
                }
                return Step::On(at + 1);
            }
            if at + 1 == text.len() {
                return Step::More(at);
            }
            at += 2;
        }
    }

    /// Where a quote ends or a backslash stands in it.
    fn quote_stops(&self, text: &[u8], mut at: usize, quoted: Quoted) -> Option<usize> {
        // Most are short: they end in the block that was looked at last.
        if let Some(mut ahead) = self.scan.known(at) {
            let stops = |stop: &usize| match text.get(*stop) {
                Some(b'\\') => quoted.backslash,
                byte => byte == Some(&quoted.close),
            };
            if let Some(stop) = ahead.find(stops) {
                return Some(stop);
            }
            at = block_end(at);
        }
        let rest = text.get(at..)?;
        let next = if quoted.backslash {
            memchr2(quoted.close, b'\\', rest)
        } else {
            memchr(quoted.close, rest)
        };
        next.map(|skipped| at + skipped)
    }

    pub(super) fn dollar(&mut self, text: &[u8], at: usize, context: Context) -> Step {
        let symbol = Lexeme::Symbol { start: at, end: at + 1 };
        let before = &text[at.saturating_sub(MAX_WORD_BYTES).max(context.floor)..at];
        if self.rules.dollars_in_words && is_identifier_before_dollar(before) {
            // Its other dollars are no quotes either.
            let longest = text.len().min(at + MAX_WORD_BYTES);
            return match text[at..longest].iter().position(|byte| !is_word(*byte)) {
                Some(length) => Step::On(at + length),
                None if longest < at + MAX_WORD_BYTES && !context.ended => Step::More(at),
                None => Step::On(longest),
            };
        }
        let longest = text.len().min(at + 1 + MAX_TAG_BYTES);
        let name = &text[at + 1..longest];
        let length = name.iter().position(|byte| !is_word(*byte) || *byte == b'$');
        match length {
            Some(length)
                if name[length] == b'$'
                    && !name[0].is_ascii_digit()
                    && (length == 0 || self.rules.dollar_tags) =>
            {
                self.mode = Mode::Dollar;
                self.tag.clear();
                self.tag.extend_from_slice(&text[at..=at + 1 + length]);
                self.opened_at = Some(at);
                found(Lexeme::Symbol { start: at, end: at + length + 2 }, context)
            }
            None if longest == text.len() && name.len() < MAX_TAG_BYTES && !context.ended => {
                Step::More(at)
            }
            _ => found(symbol, context),
        }
    }

    pub(super) fn dollar_quoted(&mut self, text: &[u8], from: usize) -> Step {
        let tag = &self.tag;
        let mut at = from;
        loop {
            let Some(skipped) = memchr(b'$', text.get(at..).unwrap_or_default()) else {
                return Step::More(text.len());
            };
            at += skipped;
            let rest = &text[at..];
            if rest.starts_with(tag) {
                let end = at + tag.len();
                self.mode = Mode::Plain;
                self.closed.close = 0;
                self.closed_at = end;
                return Step::On(end);
            }
            if tag.starts_with(rest) {
                return Step::More(at);
            }
            at += 1;
        }
    }
}

/// Whether a text ends in an identifier, of which a dollar behind it is a part. (Behind a number
/// it is none.)
fn is_identifier_before_dollar(text: &[u8]) -> bool {
    let word = text.iter().rev().take_while(|byte| is_word(**byte) && **byte != b'$');
    word.into_iter().any(|byte| !byte.is_ascii_digit())
}
