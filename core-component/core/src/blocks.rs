//! Reads a script a block of 64 bytes at a time: all terminators of a block at once, as the bits of
//! one number. It knows strings, names in quotes and parentheses; at anything else that can change
//! what a byte means it stops, and leaves that to the lexer.
//!
//! Cost of a block: seven to ten comparisons of all its bytes, and no branch for a string or a pair
//! of parentheses in it.

use memchr::{memchr, memchr2};

use crate::classes::Class;
use crate::dialect::{Quote, Rules};
use crate::lanes::{LANES, Lanes, Seen, Set, Splat, equal};

/// What to look for: one dialect's bytes, and what the session says of backslashes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Marks {
    classes: [Class; 256],
    /// A terminator inside parentheses is none.
    parentheses: bool,
    /// A letter before a string may change how it is read.
    prefixes: bool,
    /// Two slashes open a comment.
    slash_comments: bool,
    /// A statement may not have a NUL.
    refuses_nul: bool,
    /// Bytes that may mean something outside strings.
    others: Set,
}

impl Marks {
    /// None where the dialect has more than a block can be searched for.
    pub(crate) fn new(rules: &Rules, classes: &[Class; 256]) -> Option<Self> {
        let escapes = rules.escape_strings || rules.quotes.iter().any(|quote| quote.backslash);
        let is_other = |byte: &u8| {
            let counts = classes[usize::from(*byte)] >= Class::Delimiter;
            let has_own = matches!(byte, b';' | b'\'' | b'-' | b'/' | b'*' | b'(' | b')');
            (counts && !has_own) || (*byte == b'\\' && escapes)
        };
        let others: Vec<u8> = (0..=u8::MAX).filter(is_other).chain(*b"-/").collect();
        Some(Self {
            classes: *classes,
            parentheses: rules.parentheses,
            prefixes: rules.escape_strings,
            slash_comments: rules.slash_comments,
            refuses_nul: !rules.nul,
            others: Set::new(&others)?,
        })
    }

    pub(crate) fn is_space(&self, byte: u8) -> bool {
        self.classes[usize::from(byte)] == Class::Space
    }
}

/// Something in quotes that was read: where it ended, and where it was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Closed {
    pub(crate) close: u8,
    pub(crate) at: usize,
    pub(crate) opened_at: Option<usize>,
}

/// What is known where reading has come to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct State {
    /// Whether it is inside a string: all ones or all zeros.
    pub(crate) in_string: u64,
    /// Where the string was opened that was read last.
    pub(crate) opened_at: Option<usize>,
    /// One if a string was closed by the byte before.
    pub(crate) closed: u64,
    /// One if the byte before escapes the first.
    pub(crate) escaped: u64,
    pub(crate) depth: u32,
    /// What stood in other quotes last.
    pub(crate) other: Closed,
    /// What stands before this is read already.
    pub(crate) read_to: usize,
}

impl State {
    /// Where nothing is open.
    pub(crate) fn new(read_to: usize) -> Self {
        Self {
            in_string: 0,
            opened_at: None,
            closed: 0,
            escaped: 0,
            depth: 0,
            other: Closed { close: 0, at: 0, opened_at: None },
            read_to,
        }
    }
}

/// The most blocks that are read at once.
pub(crate) const MOST_BLOCKS: usize = 32;

/// Blocks that were read, side by side.
#[derive(Debug)]
pub(crate) struct Ahead {
    /// Where the first begins.
    pub(crate) base: usize,
    pub(crate) count: usize,
    /// What ends statements in each.
    pub(crate) terminators: [u64; MOST_BLOCKS],
    pub(crate) newlines: [u64; MOST_BLOCKS],
    /// Whether all of the last is read; else something in it is left to the lexer.
    pub(crate) complete: bool,
    /// Whether all that was read is ASCII, of these blocks and of those before.
    pub(crate) is_ascii: bool,
}

impl Ahead {
    /// Nothing is read, up to `base`.
    pub(crate) fn new(base: usize) -> Self {
        let none = [0; MOST_BLOCKS];
        Self { base, count: 0, terminators: none, newlines: none, complete: true, is_ascii: true }
    }

    /// Where what was read ends.
    pub(crate) fn end(&self) -> usize {
        self.base + self.count * LANES
    }
}

/// Reads blocks of one text.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Blocks<'a> {
    pub(crate) text: &'a [u8],
    pub(crate) marks: &'a Marks,
    pub(crate) quotes: &'a [Quote],
    /// Whether a backslash escapes in strings.
    pub(crate) escapes: bool,
}

/// What was found in a block, as bits.
#[derive(Clone, Copy)]
struct Found {
    quotes: u64,
    others: u64,
    /// Letters that say of a string behind them how it is read.
    letters: u64,
    /// What is not read yet.
    visible: u64,
    /// What is inside a string.
    inside: u64,
}

impl Found {
    /// What must be looked at closer.
    #[inline]
    fn unclear(&self) -> u64 {
        let prefixed = self.quotes & self.inside & self.letters;
        self.visible & ((self.others & !self.inside) | prefixed)
    }
}

/// What is known where reading has come to and changes in few blocks.
#[derive(Clone, Copy)]
struct Rare {
    escaped: u64,
    other: Closed,
    read_to: usize,
}

/// What a byte is that may mean something outside strings.
enum Look {
    Nothing,
    /// It opens a name in quotes.
    Quoted(Closed),
    /// The lexer must read it.
    Unknown,
}

impl Blocks<'_> {
    /// Reads blocks from `base` on, at most so many, up to one that is not complete or in which the
    /// text ends. The state moves on behind those that are complete. None is read where one has a
    /// NUL that the lexer must see.
    #[inline(never)]
    pub(crate) fn read(&self, base: usize, most: usize, state: &mut State, ahead: &mut Ahead) {
        let (blocks, _) = self.text.get(base..).unwrap_or_default().as_chunks::<LANES>();
        let State { mut in_string, mut closed, mut depth, .. } = *state;
        // What is known beyond that changes seldom.
        let mut rare = Rare { escaped: state.escaped, other: state.other, read_to: state.read_to };
        let mut opened = (0_u64, 0);
        let before = base.checked_sub(1).and_then(|before| self.text.get(before));
        let mut letter = u64::from(before.is_some_and(|byte| byte | 0x20 == b'e'));
        let set = self.marks.others;
        let (prefixes, parentheses) = (self.marks.prefixes, self.marks.parentheses);
        let mut seen = Seen::new();
        let mut at = base;
        let mut count = 0;
        let mut complete = true;
        for block in blocks.iter().take(most.min(MOST_BLOCKS)) {
            let index = count % MOST_BLOCKS;
            count += 1;
            let lanes = Lanes::load(block);
            seen = seen.with(lanes);
            let mut quotes = lanes.equal(Splat::new(b'\'')).bits();
            let others = lanes.any_of(set).bits();
            let mut letters = 0;
            if prefixes {
                let found = lanes.with(Splat::new(0x20)).equal(Splat::new(b'e')).bits();
                letters = found << 1 | letter;
                letter = found >> 63;
            }
            let mut visible = u64::MAX;
            let mut inside = parity(quotes) ^ in_string;
            let backslashes = match self.escapes && others != 0 {
                true => lanes.equal(Splat::new(b'\\')).bits(),
                false => 0,
            };
            let known = rare.escaped | u64::from(rare.read_to > at) | backslashes;
            if known | (others & !inside) | (quotes & inside & letters) != 0 {
                let found = Found { quotes, others, letters, visible, inside };
                let looked = self.look_closer(at, found, in_string, &mut rare);
                (quotes, visible, inside, complete) = looked;
            }
            let plain = visible & !inside;
            let mut terminators = lanes.equal(Splat::new(b';')).bits() & plain;
            let mut depth_behind = depth;
            if parentheses {
                let opens = lanes.equal(Splat::new(b'(')).bits() & plain;
                let parens = opens | lanes.equal(Splat::new(b')')).bits() & plain;
                (terminators, depth_behind) = outside(terminators, opens, parens, depth);
            }
            ahead.terminators[index] = terminators;
            ahead.newlines[index] = lanes.equal(Splat::new(b'\n')).bits();
            if !complete {
                break;
            }
            depth = depth_behind;
            quotes &= visible;
            let closings = quotes & !inside;
            // A quote right behind a closed one is part of the same string.
            let openings = quotes & inside & !(closings << 1 | closed);
            if openings != 0 {
                opened = (openings, at);
            }
            closed = closings >> 63;
            in_string = (inside.cast_signed() >> 63).cast_unsigned();
            at += LANES;
        }
        if !seen.is_ascii_without_nul() {
            let read = blocks[..count].as_flattened();
            if !self.is_allowed(read) {
                (ahead.base, ahead.count, ahead.complete) = (base, 0, false);
                return;
            }
            ahead.is_ascii &= read.is_ascii();
        }
        (ahead.base, ahead.count, ahead.complete) = (base, count, complete);
        let Rare { escaped, other, read_to } = rare;
        let opened_at = match opened {
            (0, _) => state.opened_at,
            (openings, at) => Some(at + 63 - openings.leading_zeros() as usize),
        };
        let read_to = read_to.max(at);
        *state = State { in_string, opened_at, closed, escaped, depth, other, read_to };
    }

    /// Whether a text may stand in a statement.
    pub(crate) fn is_allowed(&self, text: &[u8]) -> bool {
        !self.marks.refuses_nul || memchr(0, text).is_none()
    }

    /// Looks at each byte that may mean something, up to one that the lexer must read: the quotes,
    /// what is to be read here, what of it is inside a string, and whether that is all of the block.
    #[cold]
    #[inline(never)]
    fn look_closer(
        &self,
        base: usize,
        mut found: Found,
        in_string: u64,
        rare: &mut Rare,
    ) -> (u64, u64, u64, bool) {
        let Rare { escaped: first, mut other, mut read_to } = *rare;
        let mut next_escaped = 0;
        if self.escapes {
            let block = self.text.get(base..).and_then(|rest| rest.first_chunk());
            let backslashes = block.map_or(0, |block| equal(block, b"\\"));
            let escaped;
            (escaped, next_escaped) = escapes(backslashes, first);
            found.quotes &= !escaped;
        }
        if read_to > base {
            found.visible = from(read_to - base);
        }
        found.inside = parity(found.quotes & found.visible) ^ in_string;
        loop {
            let unclear = found.unclear();
            if unclear == 0 {
                *rare = Rare { escaped: next_escaped, other, read_to };
                return (found.quotes, found.visible, found.inside, true);
            }
            let place = unclear.trailing_zeros() as usize;
            match self.look(base + place, &other) {
                Look::Nothing => found.others &= !(1 << place),
                Look::Quoted(closed) => {
                    found.visible &= !(from(place) & below(closed.at - base));
                    found.inside = parity(found.quotes & found.visible) ^ in_string;
                    other = closed;
                    read_to = closed.at;
                }
                Look::Unknown => {
                    return (found.quotes, found.visible & below(place), found.inside, false);
                }
            }
        }
    }

    fn look(&self, at: usize, last: &Closed) -> Look {
        let [byte, rest @ ..] = &self.text[at..] else { return Look::Unknown };
        let opens_comment = |second| rest.first().is_none_or(|next| *next == second);
        let opens_line = |second| self.marks.slash_comments && opens_comment(second);
        match self.marks.classes[usize::from(*byte)] {
            Class::Dash if !opens_comment(b'-') => Look::Nothing,
            Class::Slash if !(opens_comment(b'*') || opens_line(b'/')) => Look::Nothing,
            Class::Quote if *byte != b'\'' => self.quoted(at, last),
            _ => Look::Unknown,
        }
    }

    /// What is in the quotes that open at `at`, if they hold no backslash that counts.
    fn quoted(&self, at: usize, last: &Closed) -> Look {
        let (byte, rest) = (self.text[at], &self.text[at + 1..]);
        let Some(quote) = self.quotes.iter().find(|quote| quote.open == byte) else {
            return Look::Unknown;
        };
        let end = match quote.backslash {
            true => memchr2(quote.close, b'\\', rest),
            false => memchr(quote.close, rest),
        };
        let Some(end) = end.filter(|end| rest[*end] == quote.close) else { return Look::Unknown };
        let goes_on = last.at == at && last.close == byte;
        let opened_at = if goes_on { last.opened_at } else { Some(at) };
        Look::Quoted(Closed { close: quote.close, at: at + 1 + end + 1, opened_at })
    }
}

/// The terminators that stand outside parentheses, and the depth behind the block.
#[inline]
fn outside(terminators: u64, opens: u64, parens: u64, depth: u32) -> (u64, u32) {
    if depth <= 1 {
        let inside = parity(parens) ^ 0_u64.wrapping_sub(u64::from(depth));
        // Each opens where none is open, or closes the one that is.
        if parens & inside == opens {
            return (terminators & !inside, (inside >> 63) as u32);
        }
    }
    let (mut outside, mut depth, mut rest) = (0, depth, terminators | parens);
    while rest != 0 {
        let bit = rest & rest.wrapping_neg();
        rest ^= bit;
        if terminators & bit != 0 {
            outside |= if depth == 0 { bit } else { 0 };
        } else if opens & bit != 0 {
            depth = depth.saturating_add(1);
        } else {
            depth = depth.saturating_sub(1);
        }
    }
    (outside, depth)
}

/// Each bit: whether an odd number of `bits` is at its place and below.
#[inline]
fn parity(mut bits: u64) -> u64 {
    for shift in [1, 2, 4, 8, 16, 32] {
        bits ^= bits << shift;
    }
    bits
}

/// The places behind a backslash that is not escaped itself, and whether the first of the next
/// block is one.
fn escapes(mut backslashes: u64, first: u64) -> (u64, u64) {
    let (mut escaped, mut next) = (first, 0);
    backslashes &= !first;
    while backslashes != 0 {
        let bit = backslashes & backslashes.wrapping_neg();
        escaped |= bit << 1;
        next = bit >> 63;
        backslashes &= !(bit | bit << 1);
    }
    (escaped, next)
}

/// The bits from this place on.
#[inline]
pub(crate) fn from(place: usize) -> u64 {
    !below(place)
}

/// The bits below this place.
#[inline]
pub(crate) fn below(place: usize) -> u64 {
    if place < LANES { (1 << place) - 1 } else { u64::MAX }
}
