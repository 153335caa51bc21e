//! The lexer: finds what counts in a script, one lexeme a call, and skips what cannot.
//!
//! It is total: any bytes give some lexemes. It owns no text. The caller passes a window that
//! begins at or before the statement being read; where a lexeme cannot be told without more text
//! the answer is [`Lexeme::More`], and the caller comes back with a longer window. So cutting the
//! input anywhere gives the same lexemes.
//!
//! Cost: outside quotes and comments one table look-up a byte while all lexemes are wanted, after
//! that 64 bytes at a time; `memchr` inside them; no allocation but for the first dollar quotes.

mod comments;
mod quotes;

use crate::blocks::{Blocks, Closed, Marks, State};
use crate::classes::{Class, classes};
use crate::dialect::{Quote, Rules};
use crate::scan::{Scan, block_end};

/// The longest piece of a word that is one lexeme; no keyword and no identifier is longer.
const MAX_WORD_BYTES: usize = 256;

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
}

/// A lexeme that only [`Detail::Full`] shows.
fn found(lexeme: Lexeme, context: Context) -> Step {
    match context.detail {
        Detail::Full => Step::Found(lexeme),
        Detail::Bulk => Step::On(lexeme.end()),
    }
}

fn is_number(word: &[u8]) -> bool {
    word.iter().all(u8::is_ascii_digit)
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'$' || byte >= 0x80
}
