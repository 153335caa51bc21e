//! Reads a script a block of 64 bytes at a time: all terminators of a block at once, as the bits of
//! one number. It knows strings, names in quotes and parentheses; at anything else that can change
//! what a byte means it stops, and leaves that to the lexer.
//!
//! Cost of a block: seven comparisons of all its bytes, and no branch for a string or a pair of
//! parentheses in it.

use memchr::{memchr, memchr2};

use crate::classes::Class;
use crate::dialect::{Quote, Rules};
use crate::lanes::{LANES, Lanes, Splat};

/// Bytes that a dialect may have for names in quotes, comments and the like, besides those that
/// all dialects have.
const MOST_OTHERS: usize = 4;

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
    others: [Splat; MOST_OTHERS],
}

impl Marks {
    /// None where the dialect has more than a block can be searched for.
    pub(crate) fn new(rules: &Rules, classes: &[Class; 256]) -> Option<Self> {
        let is_other = |byte: &u8| {
            !matches!(byte, b';' | b'\'' | b'-' | b'/' | b'*' | b'(' | b')')
                && classes[usize::from(*byte)] >= Class::Delimiter
        };
        let mut found = (0..=u8::MAX).filter(is_other);
        let first = found.next()?;
        let mut others = [first; MOST_OTHERS];
        others[1..].iter_mut().zip(&mut found).for_each(|(other, byte)| *other = byte);
        found.next().is_none().then_some(Self {
            classes: *classes,
            parentheses: rules.parentheses,
            prefixes: rules.escape_strings,
            slash_comments: rules.slash_comments,
            others: others.map(Splat::new),
        })
    }

    /// Bytes that may mean something outside strings.
    #[inline]
    fn others(&self, lanes: Lanes) -> u64 {
        // Dash and slash differ in the second bit only.
        let dashes = lanes.with(Splat::new(2)).equal(Splat::new(b'/'));
        self.others.iter().fold(dashes, |found, &byte| found.or(lanes.equal(byte))).bits()
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

/// One that was read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Block {
    /// What ends statements in it.
    pub(crate) terminators: u64,
    pub(crate) newlines: u64,
    /// Whether all of it is read; else something in it is left to the lexer.
    pub(crate) complete: bool,
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
struct Found {
    quotes: u64,
    others: u64,
    visible: u64,
    inside: u64,
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
    /// The block that begins at `base`; none where the text ends in it. The state moves on behind
    /// the block if that is complete.
    #[inline(always)]
    pub(crate) fn read(&self, base: usize, state: &mut State) -> Option<Block> {
        let lanes = Lanes::load(self.text.get(base..)?.first_chunk::<LANES>()?);
        let marks = self.marks;
        let mut quotes = lanes.equal(Splat::new(b'\'')).bits();
        let mut others = marks.others(lanes);
        let mut next_escaped = 0;
        if self.escapes {
            let backslashes = lanes.equal(Splat::new(b'\\')).bits();
            if backslashes | state.escaped != 0 {
                let escaped;
                (escaped, next_escaped) = escapes(backslashes, state.escaped);
                quotes &= !escaped;
                others |= backslashes;
            }
        }
        let mut visible = if state.read_to > base { from(state.read_to - base) } else { u64::MAX };

        let mut inside = parity(quotes & visible) ^ state.in_string;
        let mut complete = true;
        if visible & others & !inside | self.prefixed(base, quotes & inside & visible) != 0 {
            let found = Found { quotes, others, visible, inside };
            (visible, inside, complete) = self.look_closer(base, state, found);
        }
        let quotes = quotes & visible;
        let plain = visible & !inside;
        let mut terminators = lanes.equal(Splat::new(b';')).bits() & plain;
        let mut depth = state.depth;
        if marks.parentheses {
            let opens = lanes.equal(Splat::new(b'(')).bits() & plain;
            let parens = opens | lanes.equal(Splat::new(b')')).bits() & plain;
            (terminators, depth) = outside(terminators, opens, parens, depth);
        }
        let newlines = lanes.equal(Splat::new(b'\n')).bits();
        if complete {
            state.escaped = next_escaped;
            state.depth = depth;
            let closings = quotes & !inside;
            // A quote right behind a closed one is part of the same string.
            let opened = quotes & inside & !(closings << 1 | state.closed);
            if opened != 0 {
                state.opened_at = Some(base + 63 - opened.leading_zeros() as usize);
            }
            state.closed = closings >> 63;
            state.in_string = (inside.cast_signed() >> 63).cast_unsigned();
            state.read_to = state.read_to.max(base + LANES);
        }
        Some(Block { terminators, newlines, complete })
    }

    /// Looks at each byte that may mean something, up to one that the lexer must read: which bytes
    /// are to be read here, which are inside a string, and whether that is all of them.
    #[cold]
    fn look_closer(&self, base: usize, state: &mut State, found: Found) -> (u64, u64, bool) {
        let Found { quotes, mut others, mut visible, mut inside } = found;
        let before = (state.other, state.read_to);
        loop {
            let prefixed = self.prefixed(base, quotes & inside & visible);
            let unclear = visible & others & !inside | prefixed;
            if unclear == 0 {
                return (visible, inside, true);
            }
            let place = unclear.trailing_zeros() as usize;
            match self.look(base + place, &state.other) {
                Look::Nothing => others &= !(1 << place),
                Look::Quoted(closed) => {
                    visible &= !(from(place) & below(closed.at - base));
                    inside = parity(quotes & visible) ^ state.in_string;
                    state.other = closed;
                    state.read_to = closed.at;
                }
                Look::Unknown => {
                    (state.other, state.read_to) = before;
                    return (visible & below(place), inside, false);
                }
            }
        }
    }

    /// Those of the strings that open at these places before which a letter says how they are read.
    #[inline]
    fn prefixed(&self, base: usize, mut openings: u64) -> u64 {
        let mut found = 0;
        while self.marks.prefixes && openings != 0 {
            let before = (base + openings.trailing_zeros() as usize).wrapping_sub(1);
            if self.text.get(before).is_some_and(|byte| byte | 0x20 == b'e') {
                found |= openings & openings.wrapping_neg();
            }
            openings &= openings - 1;
        }
        found
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
