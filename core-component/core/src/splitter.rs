//! The splitter: finds statements in a window of text, as the database's own client would send
//! them. It owns no text and allocates nothing for a statement.

mod commands;
mod item;

use memchr::memrchr;

pub(crate) use self::item::{Item, Reason, Refusal, Statement};
use crate::body::Body;
use crate::classify::{Classified, MAX_WORDS, classify, plain_class, plain_start};
use crate::copy::CopyReader;
use crate::dialect::{CommandRule, Dialect, Rules};
use crate::lexer::{Context, Detail, Lexeme, Lexer, Unclosed};
use crate::plain::{Begun, PlainStatements};
use crate::position::Spot;
use crate::types::Kind;

#[derive(Debug)]
struct Current {
    start: usize,
    /// How many of its words are noted.
    count: usize,
    /// What its first word alone says, if it does.
    class: Option<Classified>,
    body: Body,
    detail: Detail,
    rows: Rows,
}

impl Current {
    /// One of which nothing matters any more but where it ends.
    fn plain(start: usize, class: Classified) -> Self {
        Self {
            start,
            count: 0,
            class: Some(class),
            body: Body::Plain,
            detail: Detail::Bulk,
            rows: Rows::default(),
        }
    }
}

/// Counts the rows of `VALUES (…), (…)`.
#[derive(Clone, Copy, Debug, Default)]
struct Rows {
    inside: bool,
    count: u32,
}

#[derive(Debug)]
pub(crate) struct Splitter {
    dialect: Dialect,
    rules: &'static Rules,
    lexer: Lexer,
    at: usize,
    max_statement_bytes: usize,
    counts_rows: bool,
    current: Option<Current>,
    /// Where the first words of the current statement are.
    words: [(usize, usize); MAX_WORDS],
    copy: Option<CopyReader>,
    /// Whether nothing but white space stands between the beginning of the line and `at`.
    line_is_fresh: bool,
}

impl Splitter {
    pub(crate) fn new(dialect: Dialect, max_statement_bytes: usize, counts_rows: bool) -> Self {
        let rules = dialect.rules();
        Self {
            dialect,
            rules,
            lexer: Lexer::new(rules, counts_rows),
            at: 0,
            max_statement_bytes,
            counts_rows,
            current: None,
            words: [(0, 0); MAX_WORDS],
            copy: None,
            line_is_fresh: true,
        }
    }

    /// Text before this is not needed any more.
    pub(crate) fn keep_from(&self) -> usize {
        self.current.as_ref().map_or(self.at, |current| current.start)
    }

    /// Where the comment begins that is open, if it does so before `at`.
    pub(crate) fn comment_before(&self, at: usize) -> Option<usize> {
        let Some(Unclosed::Comment(start)) = self.lexer.unclosed() else { return None };
        start.filter(|start| *start < at)
    }

    /// The caller dropped so many bytes from the front of the window, at most
    /// [`Splitter::keep_from`].
    pub(crate) fn shift(&mut self, bytes: usize) {
        self.at -= bytes;
        self.lexer.shift(bytes);
        if let Some(current) = &mut self.current {
            current.start -= bytes;
            for word in &mut self.words[..current.count] {
                *word = (word.0 - bytes, word.1 - bytes);
            }
        }
    }

    /// Whether all that came was read, and nothing has begun.
    pub(crate) fn is_between(&self) -> bool {
        self.at == 0
            && self.current.is_none()
            && self.copy.is_none()
            && self.lexer.unclosed().is_none()
    }

    /// Goes on at `at` of another window.
    pub(crate) fn go_on_at(&mut self, at: usize) {
        self.at = at;
        // It has looked at the other window only.
        self.lexer.shift(0);
    }

    /// An input has ended at `at`: nothing of it reaches the next one but the session's settings.
    pub(crate) fn end_input(&mut self, at: usize) {
        self.at = at;
        self.current = None;
        self.copy = None;
        self.line_is_fresh = true;
        self.lexer.end_statement();
        self.lexer.set_delimiter(b";");
    }

    /// What was said last about backslashes in ordinary strings, if anything was.
    pub(crate) fn backslash_escapes(&self) -> Option<bool> {
        self.lexer.backslash()
    }

    /// Whether a backslash escapes in ordinary strings from now on.
    pub(crate) fn set_backslash(&mut self, escapes: bool) {
        self.lexer.set_backslash(escapes);
    }

    /// Whether plain statements may come next: nothing else is being read.
    pub(crate) fn may_be_plain(&self) -> bool {
        if self.rules.body.is_inside_any() {
            return false;
        }
        match &self.current {
            None => self.lexer.unclosed().is_none() && self.copy.is_none(),
            Some(current) => current.class.is_some() && current.detail == Detail::Bulk,
        }
    }

    /// Reads the plain statements that come next in `text`, the first of them from `spot` on, which
    /// is [`keep_from`](Self::keep_from). None where something else comes first.
    pub(crate) fn plain<'a>(&'a self, text: &'a [u8], spot: Spot) -> Option<PlainStatements<'a>> {
        if self.counts_rows || !self.may_be_plain() {
            return None;
        }
        let longest = self.max_statement_bytes;
        let blocks = self.lexer.blocks(text)?;
        let state = self.lexer.state(self.at)?;
        let Some(current) = &self.current else {
            return PlainStatements::new(blocks, spot, longest);
        };
        let begun = Begun { start: current.start, class: current.class?, state, longest };
        Some(PlainStatements::within(blocks, spot, &begun))
    }

    /// Goes on behind plain statements that have been taken, the last of which ends at `after`,
    /// with the one that has begun behind them.
    pub(crate) fn go_on(&mut self, after: usize, begun: Option<Begun>) {
        self.line_is_fresh = false;
        self.lexer.end_statement();
        self.current = None;
        self.at = after;
        if let Some(begun) = begun {
            self.go_on_within(&begun);
        }
    }

    /// Goes on with the statement that comes next or is being read, of which more has been read.
    pub(crate) fn go_on_within(&mut self, begun: &Begun) {
        self.lexer.go_on(&begun.state);
        self.at = begun.state.read_to;
        self.current.get_or_insert_with(|| Current::plain(begun.start, begun.class));
    }

    /// What `text` holds next. `ended`: the input ends where `text` does.
    pub(crate) fn next(&mut self, text: &[u8], ended: bool) -> Item {
        if let Some(reader) = &mut self.copy {
            return match reader.next(text, &mut self.at, ended) {
                Ok(None) => Item::More,
                Ok(Some(data)) => {
                    if data.last {
                        self.copy = None;
                        self.line_is_fresh = true;
                    }
                    Item::CopyData(data)
                }
                Err(at) => Item::Refused(Refusal { at: Some(at), reason: Reason::TextAfterCopy }),
            };
        }
        loop {
            if let Some(item) = self.step(text, ended) {
                return item;
            }
        }
    }

    /// Reads one lexeme; an item where that completes one.
    fn step(&mut self, text: &[u8], ended: bool) -> Option<Item> {
        if self.current.is_none() {
            self.begin_plain(text);
        }
        let limit = self.window_end(text.len());
        let context = Context {
            floor: self.keep_from(),
            begun: self.current.is_some(),
            ended: ended && limit == text.len(),
            detail: self.current.as_ref().map_or(Detail::Full, |current| current.detail),
        };
        let lexeme = self.lexer.next(&text[..limit], self.at, context);
        match lexeme {
            Lexeme::More { at } => {
                self.note_line(&text[self.at..at]);
                self.at = at;
                return Some(self.at_window_end(text, limit, ended));
            }
            Lexeme::Terminator { start, end } => return self.terminator(text, start, end),
            Lexeme::Backslash { start } => return self.backslash(text, start, ended),
            Lexeme::Word { start, end } => {
                if self.current.is_none()
                    && let Some(item) = self.first_word(text, start, end, ended)
                {
                    return item;
                }
                self.word(text, start, end);
            }
            Lexeme::Symbol { start, .. } => {
                if self.current.is_none() && self.is_dot_command(text, start) {
                    return Some(self.refused_command(text, start, ended));
                }
                self.begin(text, start).body.symbol();
            }
            Lexeme::Open { start, depth } => self.open(text, start, depth),
            Lexeme::Close { start } => self.begin(text, start).body.symbol(),
        }
        self.at = lexeme.end();
        None
    }

    /// Where the lexer must stop: a statement that reaches this far is refused. (Its first word
    /// may reach farther: it is read before there is a statement.)
    fn window_end(&self, length: usize) -> usize {
        let Some(current) = &self.current else { return length };
        let longest = self.max_statement_bytes.saturating_add(1);
        length.min(current.start.saturating_add(longest)).max(self.at)
    }

    fn note_line(&mut self, gap: &[u8]) {
        if self.current.is_some() || self.rules.commands != CommandRule::MySql {
            return;
        }
        let (fresh, line) = match memrchr(b'\n', gap) {
            Some(newline) => (true, &gap[newline + 1..]),
            None => (self.line_is_fresh, gap),
        };
        self.line_is_fresh = fresh && line.iter().all(u8::is_ascii_whitespace);
    }

    /// The statement that is being read; begun at `start` if there is none.
    fn begin(&mut self, text: &[u8], start: usize) -> &mut Current {
        if self.current.is_none() {
            self.note_line(&text[self.at..start]);
        }
        let rule = self.rules.body;
        self.current.get_or_insert_with(|| Current {
            start,
            count: 0,
            class: None,
            body: Body::new(rule),
            detail: Detail::Full,
            rows: Rows::default(),
        })
    }

    /// Begins a statement of a class that its first word alone decides, of which nothing else
    /// matters but where it ends: most statements of most scripts. It is the same as to read its
    /// words one by one, and left to that where the text ends too early or anything is unusual.
    fn begin_plain(&mut self, text: &[u8]) {
        if self.counts_rows || self.rules.body.is_inside_any() {
            return;
        }
        let Some(start) = self.lexer.quick_start(text, self.at) else { return };
        let Some((class, end)) = plain_start(&text[start..]) else { return };
        self.current = Some(Current::plain(start, class));
        self.at = start + end;
    }

    fn word(&mut self, text: &[u8], start: usize, end: usize) {
        let depth = self.lexer.depth();
        let counts_rows = self.counts_rows;
        let word = &text[start..end];
        self.begin(text, start);
        let Some(current) = &mut self.current else { return };
        current.body.word(word, depth);
        if depth == 0 {
            if let Some(slot) = self.words.get_mut(current.count) {
                *slot = (start, end);
                current.count += 1;
            }
            if current.count == 1 {
                current.class = plain_class(word);
            }
            current.rows.word(word);
        }
        let read = current.class.is_some() || current.count == MAX_WORDS;
        if read && !counts_rows && !current.body.reads_words() {
            current.detail = Detail::Bulk;
        }
    }

    fn open(&mut self, text: &[u8], start: usize, depth: u32) {
        let current = self.begin(text, start);
        current.body.symbol();
        if depth == 0 && current.rows.inside {
            current.rows.count = current.rows.count.saturating_add(1);
        }
    }

    fn terminator(&mut self, text: &[u8], start: usize, end: usize) -> Option<Item> {
        let Some(current) = &mut self.current else {
            // An empty statement.
            self.note_line(&text[self.at..start]);
            self.line_is_fresh = false;
            self.lexer.end_statement();
            self.at = end;
            return None;
        };
        if !current.body.terminator() {
            self.at = end;
            return None;
        }
        Some(self.statement(text, start, end, false))
    }

    /// Completes the statement that is being read.
    fn statement(&mut self, text: &[u8], end: usize, after: usize, ends_in_comment: bool) -> Item {
        self.at = after;
        self.line_is_fresh = false;
        self.lexer.end_statement();
        let Some(current) = self.current.take() else { return Item::More };
        let (class, copy) = match current.class {
            Some(class) => (class, false),
            None => self.classify(text, current.count),
        };
        if copy {
            self.copy = Some(CopyReader::new());
        }
        Item::Statement(Statement {
            start: current.start,
            end,
            after,
            ends_in_comment,
            class,
            rows: current.rows.count,
            copy,
        })
    }

    /// What a statement is by its first `count` words, and whether the data of a `COPY` follows.
    fn classify(&self, text: &[u8], count: usize) -> (Classified, bool) {
        let mut words: [&[u8]; MAX_WORDS] = [&[]; MAX_WORDS];
        for (word, (start, end)) in words.iter_mut().zip(&self.words[..count]) {
            *word = &text[*start..*end];
        }
        let words = &words[..count];
        let class = classify(self.dialect, words);
        (class, self.rules.copy && class.kind == Kind::Copy && reads_stdin(words))
    }

    /// The lexer wants more text.
    fn at_window_end(&mut self, text: &[u8], limit: usize, ended: bool) -> Item {
        if let Some(current) = &self.current
            && limit - current.start > self.max_statement_bytes
        {
            let (at, reason) = match self.lexer.unclosed().and_then(open_thing) {
                Some((at, what)) => (at, Reason::UnclosedWithin(what)),
                None => (Some(current.start), Reason::TooLong),
            };
            return Item::Refused(Refusal { at, reason });
        }
        if !ended {
            return Item::More;
        }
        if let Some((at, what)) = self.lexer.unclosed().and_then(open_thing) {
            return Item::Refused(Refusal { at, reason: Reason::Unclosed(what) });
        }
        let Some(current) = &self.current else {
            self.at = text.len();
            return Item::More;
        };
        let length = text[current.start..].trim_ascii_end().len();
        let end = current.start + length;
        self.statement(text, end, text.len(), self.lexer.is_in_comment(end))
    }
}

impl Rows {
    fn word(&mut self, word: &[u8]) {
        let values = word.eq_ignore_ascii_case(b"values") || word.eq_ignore_ascii_case(b"value");
        self.inside = values || (self.inside && word.eq_ignore_ascii_case(b"row"));
    }
}

/// What is open, in words; none for what the end of the text closes.
fn open_thing(unclosed: Unclosed) -> Option<(Option<usize>, &'static str)> {
    match unclosed {
        Unclosed::Quote(at) => Some((at, "quote")),
        Unclosed::DollarQuote(at) => Some((at, "dollar quote")),
        Unclosed::Comment(at) => Some((at, "comment")),
        Unclosed::LineComment => None,
    }
}

/// `… FROM STDIN …`; the server takes `STDOUT` for the same there.
fn reads_stdin(words: &[&[u8]]) -> bool {
    let is = |word: &[u8], name: &str| word.eq_ignore_ascii_case(name.as_bytes());
    words
        .windows(2)
        .any(|pair| is(pair[0], "from") && (is(pair[1], "stdin") || is(pair[1], "stdout")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_that_its_line_ends_keeps_the_limit_too() {
        let text = b"use db\n";
        for (limit, fits) in [(5, false), (6, true), (7, true)] {
            let item = Splitter::new(Dialect::MySql, limit, false).next(text, true);
            let too_long = Item::Refused(Refusal { at: Some(0), reason: Reason::TooLong });
            assert_eq!(item != too_long, fits, "{limit}: {item:?}");
        }
    }
}
