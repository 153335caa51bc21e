//! The lexer: finds what counts in a script, one lexeme a call, and skips what cannot.
//!
//! It is total: any bytes give some lexemes. It owns no text. The caller passes a window that
//! begins at or before the statement being read; where a lexeme cannot be told without more text
//! the answer is [`Lexeme::More`], and the caller comes back with a longer window. So cutting the
//! input anywhere gives the same lexemes.
//!
//! Cost: outside quotes and comments one table look-up a byte while all lexemes are wanted, after
//! that 64 bytes at a time; `memchr` inside them; no allocation but for the first dollar quotes.

use memchr::{memchr, memchr2, memchr3};

use crate::blocks::{Blocks, Closed, Marks, State};
use crate::classes::{Class, classes};
use crate::dialect::{CommentRule, Quote, Rules};
use crate::scan::{Ahead, Scan, block_end};

/// The longest tag of a dollar quote, in bytes.
const MAX_TAG_BYTES: usize = 1024;
/// The longest piece of a word that is one lexeme; no keyword and no identifier is longer.
const MAX_WORD_BYTES: usize = 256;
/// The longest start of an executable comment: `/*M!999999`.
const EXECUTABLE_BYTES: usize = 10;
/// Executable comments of this version and above are for no server: MariaDB's dumps hide the
/// switch to sandbox mode in one.
const NO_SERVER_VERSION: u32 = 999_999;

/// Which lexemes the caller wants to see.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Detail {
    /// All of them.
    Full,
    /// Only what can end a statement, and commands.
    Bulk,
}

/// What the caller knows about the window.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Context {
    /// Where the statement begins; where none has begun, where reading goes on.
    pub(crate) floor: usize,
    /// Whether a statement has begun.
    pub(crate) begun: bool,
    /// Whether the window's end is the input's end.
    pub(crate) ended: bool,
    pub(crate) detail: Detail,
}

/// Something that counts. Numbers are indexes into the window.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Lexeme {
    /// The window ends; nothing before `at` need be read again.
    More { at: usize },
    /// Letters, digits, `_`, bytes above 127.
    Word { start: usize, end: usize },
    /// A byte that stands for itself, or the opening of a quote, or `/*!`.
    Symbol { start: usize, end: usize },
    /// `(`, with the depth before it.
    Open { start: usize, depth: u32 },
    /// `)`.
    Close { start: usize },
    /// The delimiter.
    Terminator { start: usize, end: usize },
    /// A backslash, where the client reads commands.
    Backslash { start: usize },
}

impl Lexeme {
    /// Where reading goes on.
    pub(crate) fn end(self) -> usize {
        match self {
            Lexeme::More { at } => at,
            Lexeme::Word { end, .. }
            | Lexeme::Symbol { end, .. }
            | Lexeme::Terminator { end, .. } => end,
            Lexeme::Open { start, .. } | Lexeme::Close { start } | Lexeme::Backslash { start } => {
                start + 1
            }
        }
    }
}

/// Something left open at the end of the text, with where it was opened; none where that is not
/// in the window any more.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Unclosed {
    Quote(Option<usize>),
    DollarQuote(Option<usize>),
    Comment(Option<usize>),
    /// The end of the text closes it.
    LineComment,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Mode {
    Plain,
    Quote(Quoted),
    LineComment,
    BlockComment {
        depth: u32,
    },
    /// Up to the tag that opened it.
    Dollar,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Quoted {
    close: u8,
    backslash: bool,
    escape_string: bool,
}

/// PostgreSQL joins string constants that only white space with a newline parts; what follows an
/// `E'…'` in that way has its escapes too.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Continuation {
    No,
    JustClosed,
    SameLine,
    NextLine,
}

/// What came of one step.
enum Step {
    Found(Lexeme),
    On(usize),
    More(usize),
}

#[derive(Debug)]
pub(crate) struct Lexer {
    rules: &'static Rules,
    classes: [Class; 256],
    /// Finds whatever ends a run of bytes that mean nothing by themselves.
    scan: Scan,
    /// What a block is searched for; none where the delimiter is not the usual one.
    marks: Option<Marks>,
    mode: Mode,
    /// The tag of the dollar quote that was opened last, with its dollars.
    tag: Vec<u8>,
    delimiter: Vec<u8>,
    depth: u32,
    in_executable: bool,
    continuation: Continuation,
    /// Where the quote or comment was opened that was read last.
    opened_at: Option<usize>,
    /// The quote that was read last, and where it ended: one that opens there goes on with it.
    closed: Quoted,
    closed_at: usize,
    /// Where the line comment ended that was read last.
    comment_end: usize,
    /// What the session says about backslashes in strings, where it has said anything.
    backslash: Option<bool>,
}

impl Lexer {
    /// `parentheses`: whether they are wanted although the dialect does not need them.
    pub(crate) fn new(rules: &'static Rules, parentheses: bool) -> Self {
        let mut lexer = Self {
            rules,
            classes: classes(rules, parentheses),
            scan: Scan::new(Vec::new()),
            marks: None,
            mode: Mode::Plain,
            tag: Vec::new(),
            delimiter: Vec::new(),
            depth: 0,
            in_executable: false,
            continuation: Continuation::No,
            opened_at: None,
            closed: Quoted { close: 0, backslash: false, escape_string: false },
            closed_at: 0,
            comment_end: 0,
            backslash: None,
        };
        lexer.set_delimiter(b";");
        lexer
    }

    /// What ends statements from now on; at least one byte.
    pub(crate) fn set_delimiter(&mut self, delimiter: &[u8]) {
        let parentheses = self.classes[usize::from(b'(')] == Class::Open;
        self.classes = classes(self.rules, parentheses);
        self.delimiter = delimiter.to_vec();
        if let Some(&first) = delimiter.first() {
            let class = &mut self.classes[usize::from(first)];
            *class = (*class).max(Class::Delimiter);
        }
        self.scan = Scan::new(self.bytes_that_count());
        let usual = delimiter == b";";
        self.marks = usual.then(|| Marks::new(self.rules, &self.classes)).flatten();
    }

    /// Those that the lexer stops at where only [`Detail::Bulk`] is wanted, and those that can end
    /// a quote or take part in one.
    fn bytes_that_count(&self) -> Vec<u8> {
        let counts = |byte: &u8| {
            self.classes[usize::from(*byte)] >= Class::Delimiter
                || *byte == b'\\'
                || self.rules.quotes.iter().any(|quote| quote.close == *byte)
        };
        (0..=u8::MAX).filter(counts).collect()
    }

    pub(crate) fn delimiter(&self) -> &[u8] {
        &self.delimiter
    }

    /// Parentheses open at the moment.
    pub(crate) fn depth(&self) -> u32 {
        self.depth
    }

    /// What was said last about backslashes in ordinary strings, if anything was.
    pub(crate) fn backslash(&self) -> Option<bool> {
        self.backslash
    }

    /// Whether a backslash escapes in ordinary strings from now on, whatever the dialect says.
    pub(crate) fn set_backslash(&mut self, escapes: bool) {
        self.backslash = Some(escapes);
    }

    /// A statement has ended, and with it all that it left open.
    pub(crate) fn end_statement(&mut self) {
        self.mode = Mode::Plain;
        self.depth = 0;
        self.in_executable = false;
        self.continuation = Continuation::No;
        self.closed.close = 0;
        self.closed_at = 0;
    }

    /// The caller dropped so many bytes from the front of the window.
    pub(crate) fn shift(&mut self, bytes: usize) {
        self.scan.forget();
        self.opened_at = self.opened_at.and_then(|at| at.checked_sub(bytes));
        self.closed_at = self.closed_at.saturating_sub(bytes);
        self.comment_end = self.comment_end.saturating_sub(bytes);
    }

    /// Whether nothing stands between a line comment and its end at `at` or behind.
    pub(crate) fn is_in_comment(&self, at: usize) -> bool {
        self.mode == Mode::LineComment || self.comment_end >= at
    }

    /// What is open where reading stopped.
    pub(crate) fn unclosed(&self) -> Option<Unclosed> {
        match self.mode {
            Mode::Plain => None,
            Mode::Quote(_) => Some(Unclosed::Quote(self.opened_at)),
            Mode::Dollar => Some(Unclosed::DollarQuote(self.opened_at)),
            Mode::BlockComment { .. } => Some(Unclosed::Comment(self.opened_at)),
            Mode::LineComment => Some(Unclosed::LineComment),
        }
    }

    /// The next lexeme of `text` from `at` on.
    pub(crate) fn next(&mut self, text: &[u8], mut at: usize, context: Context) -> Lexeme {
        loop {
            let step = match self.mode {
                Mode::Plain => self.plain(text, at, context),
                Mode::Quote(quoted) => self.quoted(text, at, quoted),
                Mode::LineComment => self.line_comment(text, at),
                Mode::BlockComment { depth } => self.block_comment(text, at, depth),
                Mode::Dollar => self.dollar_quoted(text, at),
            };
            match step {
                Step::Found(lexeme) => return lexeme,
                Step::On(next) => at = next,
                Step::More(stop) => return Lexeme::More { at: stop },
            }
        }
    }

    fn plain(&mut self, text: &[u8], from: usize, context: Context) -> Step {
        let at = if self.continuation != Continuation::No {
            let at = self.skip(text, from, Class::Word);
            self.continue_string(&text[from..at]);
            at
        } else if context.detail == Detail::Full {
            self.skip(text, from, Class::Word)
        } else {
            self.skip_in_bulk(text, from, context.floor)
        };
        let Some(&byte) = text.get(at) else { return Step::More(at) };
        if Some(&byte) == self.delimiter.first()
            && let Some(step) = self.terminator(text, at, context.ended)
        {
            return step;
        }
        let class = self.classes[usize::from(byte)];
        if class == Class::Quote {
            return self.open_quote(text, at, context);
        }
        if !matches!(class, Class::Dash | Class::Hash) {
            self.continuation = Continuation::No;
        }
        match class {
            Class::Dash => self.dash(text, at, context),
            Class::Slash => self.slash(text, at, context),
            Class::Star => self.star(text, at, context),
            Class::Hash => {
                self.mode = Mode::LineComment;
                Step::On(at + 1)
            }
            Class::Dollar => self.dollar(text, at, context),
            Class::Backslash => Step::Found(Lexeme::Backslash { start: at }),
            Class::Open => {
                let depth = self.depth;
                self.depth = depth.saturating_add(1);
                found(Lexeme::Open { start: at, depth }, context)
            }
            Class::Close => {
                self.depth = self.depth.saturating_sub(1);
                found(Lexeme::Close { start: at }, context)
            }
            Class::Word | Class::Delimiter if context.detail == Detail::Full && is_word(byte) => {
                self.word(text, at, context.ended)
            }
            Class::Space | Class::Word | Class::Symbol | Class::Delimiter | Class::Quote => {
                found(Lexeme::Symbol { start: at, end: at + 1 }, context)
            }
        }
    }

    /// A reader of many bytes at once, where one can read this text as the lexer does.
    pub(crate) fn blocks<'a>(&'a self, text: &'a [u8]) -> Option<Blocks<'a>> {
        let marks = self.marks.as_ref()?;
        let escapes = self.string()?.backslash;
        let prefixes_count = escapes && self.rules.escape_strings;
        let quotes = self.rules.quotes;
        (!prefixes_count).then_some(Blocks { text, marks, quotes, escapes })
    }

    /// How an ordinary string is read.
    fn string(&self) -> Option<Quoted> {
        let quote = self.rules.quotes.iter().find(|quote| quote.open == b'\'')?;
        let backslash = self.escapes(*quote);
        Some(Quoted { close: quote.close, backslash, escape_string: false })
    }

    /// What a reader of blocks must know to go on where this has stopped; none where it cannot.
    pub(crate) fn state(&self, at: usize) -> Option<State> {
        let string = self.string()?;
        let in_string = match self.mode {
            Mode::Plain => 0,
            Mode::Quote(quoted) if quoted == string => u64::MAX,
            _ => return None,
        };
        if self.in_executable || self.continuation != Continuation::No {
            return None;
        }
        let closed = self.closed_at == at && self.closed == string;
        let opened_at = self.opened_at;
        Some(State {
            in_string,
            opened_at,
            closed: u64::from(closed),
            depth: self.depth,
            other: Closed { close: self.closed.close, at: self.closed_at, opened_at },
            ..State::new(at)
        })
    }

    /// Goes on where a reader of blocks has stopped.
    pub(crate) fn go_on(&mut self, state: &State) {
        let Some(string) = self.string() else { return };
        self.mode = if state.in_string == 0 { Mode::Plain } else { Mode::Quote(string) };
        self.depth = state.depth;
        self.continuation = Continuation::No;
        if state.other.at == state.read_to {
            let is_it = |quote: &&Quote| quote.close == state.other.close;
            let quote = self.rules.quotes.iter().find(is_it);
            let backslash = quote.is_some_and(|quote| self.escapes(*quote));
            self.closed = Quoted { close: state.other.close, backslash, escape_string: false };
            self.closed_at = state.read_to;
            self.opened_at = state.other.opened_at;
        } else if state.in_string != 0 || state.closed != 0 {
            self.opened_at = state.opened_at;
            if state.closed != 0 {
                self.closed = string;
                self.closed_at = state.read_to;
            }
        }
    }

    /// Where the next statement begins, if nothing but white space stands before it, in a script
    /// whose delimiter is the usual one.
    pub(crate) fn quick_start(&self, text: &[u8], at: usize) -> Option<usize> {
        let usual = self.mode == Mode::Plain
            && self.continuation == Continuation::No
            && self.delimiter == b";";
        let start = self.skip(text, at, Class::Word);
        (usual && start < text.len()).then_some(start)
    }

    /// The first byte from `at` on whose class is at least `least`.
    fn skip(&self, text: &[u8], at: usize, least: Class) -> usize {
        let rest = text.get(at..).unwrap_or_default();
        rest.iter()
            .position(|byte| self.classes[usize::from(*byte)] >= least)
            .map_or(text.len(), |skipped| at + skipped)
    }

    /// Skips what does not count where only [`Detail::Bulk`] is wanted: bytes that mean nothing by
    /// themselves, parentheses, and quotes that end in the block they begin in.
    fn skip_in_bulk(&mut self, text: &[u8], mut at: usize, floor: usize) -> usize {
        while let Some(mut ahead) = self.scan.ahead(text, at) {
            while let Some(stop) = ahead.next() {
                let byte = text[stop];
                if Some(&byte) == self.delimiter.first() {
                    return stop;
                }
                match self.classes[usize::from(byte)] {
                    Class::Open => self.depth = self.depth.saturating_add(1),
                    Class::Close => self.depth = self.depth.saturating_sub(1),
                    Class::Quote if self.string_prefix(text, stop, floor).is_none() => {
                        let Some(rest) = self.short_quote(text, stop, ahead) else { return stop };
                        ahead = rest;
                    }
                    Class::Space | Class::Word | Class::Symbol => {}
                    _ => return stop,
                }
            }
            at = block_end(at);
        }
        self.skip(text, at, Class::Delimiter)
    }

    /// Reads the quote at `start` if it is an ordinary one that ends at one of the bytes ahead,
    /// without a backslash before that; gives what is ahead then.
    fn short_quote(&mut self, text: &[u8], start: usize, mut ahead: Ahead) -> Option<Ahead> {
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

    fn continue_string(&mut self, space: &[u8]) {
        if memchr2(b'\n', b'\r', space).is_some() {
            self.continuation = Continuation::NextLine;
        } else if !space.is_empty() && self.continuation == Continuation::JustClosed {
            self.continuation = Continuation::SameLine;
        }
    }

    fn terminator(&self, text: &[u8], at: usize, ended: bool) -> Option<Step> {
        if self.rules.parentheses && self.depth > 0 {
            return None;
        }
        // The first byte is one already.
        let end = at + self.delimiter.len();
        if self.delimiter.len() == 1 {
            return Some(Step::Found(Lexeme::Terminator { start: at, end }));
        }
        let rest = &text[at..];
        if rest.starts_with(&self.delimiter) {
            return Some(Step::Found(Lexeme::Terminator { start: at, end }));
        }
        (!ended && self.delimiter.starts_with(rest)).then_some(Step::More(at))
    }

    fn open_quote(&mut self, text: &[u8], at: usize, context: Context) -> Step {
        let byte = text[at];
        let continuation = std::mem::replace(&mut self.continuation, Continuation::No);
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

    fn escapes(&self, quote: Quote) -> bool {
        match self.backslash {
            Some(escapes) if quote.backslash || quote.open == b'\'' => escapes,
            _ => quote.backslash,
        }
    }

    /// The letter that says what the string is whose quote is at `at`, in lower case.
    fn string_prefix(&self, text: &[u8], at: usize, floor: usize) -> Option<u8> {
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

    fn word(&self, text: &[u8], start: usize, ended: bool) -> Step {
        let longest = text.len().min(start + MAX_WORD_BYTES);
        let delimiter = self.delimiter.first();
        let ends = |at: usize| {
            let byte = text[at];
            !is_word(byte)
                || (byte == b'$' && (self.dollar_ends_words() || is_number(&text[start..at])))
                || (Some(&byte) == delimiter && text[at..].starts_with(&self.delimiter))
        };
        // What is of this class ends no word: it is neither a dollar nor begins a delimiter.
        let inside = |at: usize| self.classes[usize::from(text[at])] == Class::Word;
        let end = (start + 1..longest).find(|at| !inside(*at) && ends(*at)).unwrap_or(longest);
        // What follows may be the rest of a delimiter that the word ends with.
        if text.len() - end < self.delimiter.len() && !ended {
            return Step::More(start);
        }
        Step::Found(Lexeme::Word { start, end })
    }

    fn dollar_ends_words(&self) -> bool {
        !self.rules.dollar_quotes || !self.rules.dollars_in_words
    }

    fn dash(&mut self, text: &[u8], at: usize, context: Context) -> Step {
        let rest = &text[at..];
        let symbol = Lexeme::Symbol { start: at, end: at + 1 };
        match rest {
            [_, b'-', next, ..] if self.dashes_open(Some(*next), context.begun) => {}
            [_, b'-'] if context.ended || !self.rules.dashes_need_space || !context.begun => {}
            [_, b'-'] | [_] if !context.ended => return Step::More(at),
            _ => {
                self.continuation = Continuation::No;
                return found(symbol, context);
            }
        }
        self.mode = Mode::LineComment;
        Step::On(at + 2)
    }

    fn dashes_open(&self, next: Option<u8>, begun: bool) -> bool {
        !self.rules.dashes_need_space
            || !begun
            || next.is_none_or(|byte| byte.is_ascii_whitespace() || byte == 0x0b || byte == 0)
    }

    fn slash(&mut self, text: &[u8], at: usize, context: Context) -> Step {
        let rest = &text[at..];
        if rest.len() < 2 && !context.ended {
            return Step::More(at);
        }
        if self.rules.slash_comments && rest.get(1) == Some(&b'/') {
            self.mode = Mode::LineComment;
            return Step::On(at + 2);
        }
        if rest.get(1) != Some(&b'*') {
            return found(Lexeme::Symbol { start: at, end: at + 1 }, context);
        }
        if self.rules.executable_comments {
            if rest.len() < EXECUTABLE_BYTES && !context.ended {
                return Step::More(at);
            }
            if let Some(length) = executable_comment(rest) {
                self.in_executable = true;
                return Step::Found(Lexeme::Symbol { start: at, end: at + length });
            }
        }
        let hint = rest.get(2) == Some(&b'+') && !context.begun;
        if rest.len() < 3 && !context.ended {
            return Step::More(at);
        }
        self.mode = Mode::BlockComment { depth: 1 };
        self.opened_at = Some(at);
        if hint {
            // A hint belongs to the statement that follows it.
            return found(Lexeme::Symbol { start: at, end: at + 2 }, context);
        }
        Step::On(at + 2)
    }

    fn star(&mut self, text: &[u8], at: usize, context: Context) -> Step {
        match text.get(at + 1) {
            Some(b'/') if self.in_executable => {
                self.in_executable = false;
                Step::On(at + 2)
            }
            None if !context.ended => Step::More(at),
            _ => found(Lexeme::Symbol { start: at, end: at + 1 }, context),
        }
    }

    fn dollar(&mut self, text: &[u8], at: usize, context: Context) -> Step {
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

    fn quoted(&mut self, text: &[u8], from: usize, quoted: Quoted) -> Step {
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

    /// Up to the newline, which is left: it counts as white space.
    fn line_comment(&mut self, text: &[u8], at: usize) -> Step {
        let rest = text.get(at..).unwrap_or_default();
        let newline = if self.rules.carriage_returns {
            memchr2(b'\n', b'\r', rest)
        } else {
            memchr(b'\n', rest)
        };
        let Some(length) = newline else { return Step::More(text.len()) };
        self.mode = Mode::Plain;
        self.comment_end = at + length;
        Step::On(at + length)
    }

    fn block_comment(&mut self, text: &[u8], from: usize, mut depth: u32) -> Step {
        let mut at = from;
        loop {
            let rest = text.get(at..).unwrap_or_default();
            let next = match self.rules.comments {
                CommentRule::Flat => memchr(b'*', rest),
                CommentRule::Executable if depth > 1 => memchr3(b'*', b'/', b'\n', rest),
                CommentRule::Nested | CommentRule::Executable => memchr2(b'*', b'/', rest),
            };
            let stop = next.map_or(text.len(), |skipped| at + skipped);
            let step = match (text.get(stop..).unwrap_or_default(), self.rules.comments) {
                ([b'*', b'/', ..], _) if depth <= 1 => {
                    self.mode = Mode::Plain;
                    return Step::On(stop + 2);
                }
                ([b'*', b'/', ..], _) => {
                    depth -= 1;
                    2
                }
                ([b'/', b'*', ..], CommentRule::Nested) => {
                    depth = depth.saturating_add(1);
                    2
                }
                ([b'/', b'*', b'!', ..], CommentRule::Executable) => {
                    depth = 2;
                    3
                }
                ([b'\n', ..], _) => {
                    depth = 1;
                    1
                }
                ([b'/', b'*', _, ..], CommentRule::Executable) => 2,
                ([] | [_] | [b'/', b'*'], _) => {
                    self.mode = Mode::BlockComment { depth };
                    return Step::More(stop);
                }
                _ => 1,
            };
            at = stop + step;
        }
    }

    fn dollar_quoted(&mut self, text: &[u8], from: usize) -> Step {
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

/// A lexeme that only [`Detail::Full`] shows.
fn found(lexeme: Lexeme, context: Context) -> Step {
    match context.detail {
        Detail::Full => Step::Found(lexeme),
        Detail::Bulk => Step::On(lexeme.end()),
    }
}

/// Whether a text ends in an identifier, of which a dollar behind it is a part. (Behind a number
/// it is none.)
fn is_identifier_before_dollar(text: &[u8]) -> bool {
    let word = text.iter().rev().take_while(|byte| is_word(**byte) && **byte != b'$');
    word.into_iter().any(|byte| !byte.is_ascii_digit())
}

fn is_number(word: &[u8]) -> bool {
    word.iter().all(u8::is_ascii_digit)
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'$' || byte >= 0x80
}

/// How long the opening of an executable comment is, its version included; none where it is an
/// ordinary comment.
fn executable_comment(text: &[u8]) -> Option<usize> {
    let prefix = match text {
        [b'/', b'*', b'!', ..] => 3,
        [b'/', b'*', b'M', b'!', ..] => 4,
        _ => return None,
    };
    let digits = text[prefix..].iter().take(6).take_while(|byte| byte.is_ascii_digit());
    let (mut count, mut version) = (0, 0);
    for digit in digits {
        count += 1;
        version = version * 10 + u32::from(digit - b'0');
    }
    (version < NO_SERVER_VERSION).then_some(prefix + count)
}
