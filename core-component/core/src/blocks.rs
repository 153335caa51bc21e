//! Reads a script a block of 64 bytes at a time: all terminators of a block at once, as the bits of
//! one number. It knows strings, names in quotes and parentheses; at anything else that can change
//! what a byte means it stops, and leaves that to the lexer.
//!
//! Cost of a block: seven to ten comparisons of all its bytes, and no branch for a string or a pair
//! of parentheses in it. What that says is read in a loop that calls nothing; a block that needs more
//! is looked at closer.

mod closer;
mod depth;

use memchr::memchr;

use self::closer::{Found, Rare};
use self::depth::{Depth, outside};
use crate::classes::Class;
use crate::dialect::{Quote, Rules};
use crate::lanes::{LANES, Lanes, Seen, Set, Splat};

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
pub(crate) const MOST_BLOCKS: usize = 64;

/// What was found in a block, as bits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Block {
    /// What ends statements.
    pub(crate) terminators: u64,
    pub(crate) newlines: u64,
    /// What is inside strings, with the quotes that open them.
    inside: u64,
}

/// Blocks that were read, side by side.
#[derive(Debug)]
pub(crate) struct Ahead {
    /// Where the first begins.
    pub(crate) base: usize,
    pub(crate) count: usize,
    pub(crate) blocks: [Block; MOST_BLOCKS],
    /// Whether all of the last is read; else something in it is left to the lexer.
    pub(crate) complete: bool,
    /// Whether all that was read is ASCII, of these blocks and of those before.
    pub(crate) is_ascii: bool,
}

impl Ahead {
    /// Nothing is read, up to `base`.
    pub(crate) fn new(base: usize) -> Self {
        let none = Block { terminators: 0, newlines: 0, inside: 0 };
        Self { base, count: 0, blocks: [none; MOST_BLOCKS], complete: true, is_ascii: true }
    }

    /// Where the last string of the first so many blocks is opened, and whether their last byte closes
    /// one, as in [`State`]. `before`: what holds before the first.
    fn strings(&self, count: usize, before: &State) -> (Option<usize>, u64) {
        let inside = |behind: usize| match behind.checked_sub(1) {
            None => before.in_string,
            Some(index) => self.blocks[index].inside,
        };
        let quotes = |index: usize| quotes(inside(index + 1), inside(index));
        let closed = |behind: usize| match behind.checked_sub(1) {
            None => before.closed,
            Some(index) => quotes(index).1 >> 63,
        };
        let opened_at = (0..count).rev().find_map(|index| {
            let (opening, closing) = quotes(index);
            // A quote right behind a closed one is part of the same string.
            let last = (opening & !(closing << 1 | closed(index))).checked_ilog2()?;
            Some(self.base + LANES * index + last as usize)
        });
        (opened_at.or(before.opened_at), closed(count))
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

/// What changes from block to block.
#[derive(Clone, Copy)]
struct Carried {
    /// Whether it is inside a string: all ones or all zeros.
    in_string: u64,
    /// One if the byte before says of a string how it is read.
    letter: u64,
    /// One if the byte before escapes the first.
    escaped: u64,
    depth: u32,
    seen: Seen,
}

impl Blocks<'_> {
    /// Reads blocks from `base` on, at most so many, up to one that is not complete or in which the
    /// text ends. The state moves on behind those that are complete. None is read where one has a
    /// NUL that the lexer must see.
    pub(crate) fn read(&self, base: usize, most: usize, state: &mut State, ahead: &mut Ahead) {
        let (blocks, _) = self.text.get(base..).unwrap_or_default().as_chunks::<LANES>();
        let blocks = &blocks[..blocks.len().min(most.min(MOST_BLOCKS))];
        let State { in_string, escaped, depth, .. } = *state;
        let before = base.checked_sub(1).and_then(|before| self.text.get(before));
        let letter = u64::from(before.is_some_and(|byte| byte | 0x20 == b'e'));
        let mut carried = Carried { in_string, letter, escaped, depth, seen: Seen::new() };
        let mut rare = Rare::new(state);
        (ahead.base, ahead.count, ahead.complete) = (base, 0, true);
        if !rare.reaches(base) {
            ahead.count = self.run::<false>(blocks, &mut ahead.blocks, &mut carried);
        }
        loop {
            if !rare.reaches(ahead.end()) {
                let (rest, free) = (&blocks[ahead.count..], &mut ahead.blocks[ahead.count..]);
                ahead.count += self.run::<true>(rest, free, &mut carried);
            }
            let Some(block) = blocks.get(ahead.count) else { break };
            if !self.read_closer(block, &mut carried, &mut rare, ahead) {
                ahead.complete = false;
                break;
            }
        }
        let count = ahead.count;
        ahead.count += usize::from(!ahead.complete);
        if carried.seen.may_have_nul() && !self.is_allowed(&self.text[base..ahead.end()]) {
            (ahead.count, ahead.complete) = (0, false);
            return;
        }
        ahead.is_ascii &= carried.seen.is_ascii();
        let Carried { in_string, escaped, depth, .. } = carried;
        let Rare { other, read_to } = rare;
        let (opened_at, closed) = ahead.strings(count, state);
        let read_to = read_to.max(base + LANES * count);
        *state = State { in_string, opened_at, closed, escaped, depth, other, read_to };
    }

    /// Reads these blocks, up to one that must be looked at closer; how many that are. Without `OTHERS`
    /// such is each in which other bytes than those of strings may mean something: as long as there is
    /// none, less must be kept at hand.
    fn run<const OTHERS: bool>(
        &self,
        blocks: &[[u8; LANES]],
        found: &mut [Block],
        carried: &mut Carried,
    ) -> usize {
        match (self.marks.prefixes, self.marks.parentheses) {
            (false, false) => self.run_with::<OTHERS, false, false>(blocks, found, carried),
            (false, true) => self.run_with::<OTHERS, false, true>(blocks, found, carried),
            (true, false) => self.run_with::<OTHERS, true, false>(blocks, found, carried),
            (true, true) => self.run_with::<OTHERS, true, true>(blocks, found, carried),
        }
    }

    /// As [`run`](Self::run), by what the dialect has. Nothing is called here, as all that is at hand
    /// would have to be put aside for it.
    #[inline(never)]
    fn run_with<const OTHERS: bool, const PREFIXES: bool, const PARENTHESES: bool>(
        &self,
        blocks: &[[u8; LANES]],
        found: &mut [Block],
        carried: &mut Carried,
    ) -> usize {
        let Carried { mut in_string, mut letter, mut escaped, depth, mut seen } = *carried;
        let (set, escapes) = (self.marks.others, self.escapes);
        // Where parentheses mean nothing, the depth is left as it is.
        let Some(mut open) = Depth::flat(if PARENTHESES { depth } else { 0 }) else { return 0 };
        let mut count = 0;
        for (block, found) in blocks.iter().zip(found) {
            let lanes = Lanes::load(block);
            let mut quotes = lanes.equal(Splat::new(b'\'')).bits();
            let mut inside = parity(quotes) ^ in_string;
            let mut next_escaped = 0;
            let others = lanes.any_of(set);
            if others.is_any() || escaped != 0 {
                if !OTHERS {
                    break;
                }
                if escapes {
                    let backslashes = lanes.equal(Splat::new(b'\\')).bits();
                    let these;
                    (these, next_escaped) = escaped_by(backslashes, escaped);
                    quotes &= !these;
                    inside = parity(quotes) ^ in_string;
                }
                let unclear = others.bits() & !inside;
                if unclear != 0 && !are_signs(lanes, unclear) {
                    break;
                }
            }
            let letters = if PREFIXES { lanes.letters() } else { 0 };
            if PREFIXES && quotes & inside & (letters << 1 | letter) != 0 {
                break;
            }
            let mut terminators = lanes.equal(Splat::new(b';')).bits() & !inside;
            if PARENTHESES {
                let (opens, closes) = lanes.parentheses();
                let Some(nested) = open.nested(opens & !inside, closes & !inside) else { break };
                terminators &= !nested;
                open = Depth::behind(nested);
            }
            let newlines = lanes.equal(Splat::new(b'\n')).bits();
            *found = Block { terminators, newlines, inside };
            seen = seen.with(lanes);
            if PREFIXES {
                letter = letters >> 63;
            }
            escaped = next_escaped;
            in_string = (inside.cast_signed() >> 63).cast_unsigned();
            count += 1;
        }
        let depth = if PARENTHESES { open.count() } else { depth };
        *carried = Carried { in_string, letter, escaped, depth, seen };
        count
    }

    /// Reads the block that comes next, whatever is in it; false where something of it is left to
    /// the lexer.
    #[cold]
    #[inline(never)]
    fn read_closer(
        &self,
        block: &[u8; LANES],
        carried: &mut Carried,
        rare: &mut Rare,
        ahead: &mut Ahead,
    ) -> bool {
        let (index, at) = (ahead.count % MOST_BLOCKS, ahead.end());
        let Carried { in_string, letter, depth, mut escaped, .. } = *carried;
        let lanes = Lanes::load(block);
        let (letters, letter_behind) = match self.marks.prefixes {
            true => (lanes.letters() << 1 | letter, lanes.letters() >> 63),
            false => (0, 0),
        };
        let quotes = lanes.equal(Splat::new(b'\'')).bits();
        let others = lanes.any_of(self.marks.others).bits();
        let inside = parity(quotes) ^ in_string;
        let mut found = Found { quotes, others, letters, visible: u64::MAX, inside };
        if self.escapes {
            let backslashes = lanes.equal(Splat::new(b'\\')).bits();
            let these;
            (these, escaped) = escaped_by(backslashes, escaped);
            found.quotes &= !these;
        }
        let complete = self.look_closer(at, &mut found, in_string, rare);
        let Found { visible, inside, .. } = found;
        let plain = visible & !inside;
        let mut terminators = lanes.equal(Splat::new(b';')).bits() & plain;
        let mut depth = depth;
        if self.marks.parentheses {
            let (opens, closes) = lanes.parentheses();
            (terminators, depth) = outside(terminators, opens & plain, closes & plain, depth);
        }
        let newlines = lanes.equal(Splat::new(b'\n')).bits();
        ahead.blocks[index] = Block { terminators, newlines, inside };
        carried.seen = carried.seen.with(lanes);
        if complete {
            let in_string = (inside.cast_signed() >> 63).cast_unsigned();
            let (letter, seen) = (letter_behind, carried.seen);
            *carried = Carried { in_string, letter, escaped, depth, seen };
            ahead.count += 1;
        }
        complete
    }

    /// Whether a text may stand in a statement.
    pub(crate) fn is_allowed(&self, text: &[u8]) -> bool {
        !self.marks.refuses_nul || memchr(0, text).is_none()
    }
}

/// Whether these bytes are dashes behind each of which comes no other one.
#[inline]
fn are_signs(lanes: Lanes, bytes: u64) -> bool {
    let dashes = lanes.equal(Splat::new(b'-')).bits();
    // What comes behind the last one is not known.
    bytes & !(dashes & !(dashes >> 1) & u64::MAX >> 1) == 0
}

/// The quotes that open strings, and those that close them, by what is inside strings; `before`: in
/// the block before.
fn quotes(inside: u64, before: u64) -> (u64, u64) {
    let was_inside = inside << 1 | before >> 63;
    (inside & !was_inside, was_inside & !inside)
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
#[inline]
fn escaped_by(mut backslashes: u64, first: u64) -> (u64, u64) {
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
