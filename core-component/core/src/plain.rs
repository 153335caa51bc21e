//! Reads plain statements one behind the other: those of which nothing matters but their first word
//! and where they end, as most of most scripts are. Everything else is left to the lexer, and so is
//! whatever is not read to its end here: the lexer goes on where this stops.

use std::ops::Range;

use memchr::{memchr_iter, memrchr};

use crate::blocks::{Block, Blocks, State, below, from};
use crate::classify::{Classified, plain_start};
use crate::filling::Adding;
use crate::lanes::LANES;
use crate::position::{Spot, characters};

/// A plain statement that has not ended yet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Begun {
    pub(crate) start: usize,
    pub(crate) class: Classified,
    /// What is read of it.
    pub(crate) state: State,
    /// The most bytes that it may have.
    pub(crate) longest: usize,
}

/// The first word of the last plain statement and the space behind it: most begin as the one
/// before.
#[derive(Clone, Copy, Debug)]
struct FirstWord {
    bytes: u64,
    mask: u64,
}

impl FirstWord {
    /// No statement begins so.
    const NONE: Self = Self { bytes: 0, mask: u64::MAX };

    /// The first word of this text, which has so many letters.
    fn new(text: &[u8], length: usize) -> Self {
        let Some(first) = text.first_chunk() else { return Self::NONE };
        let mask = u64::MAX >> (8 * 7_usize.saturating_sub(length));
        Self { bytes: u64::from_le_bytes(*first) & mask, mask }
    }

    /// Whether a text goes on with it at `start`.
    #[inline]
    fn begins(self, text: &[u8], start: usize) -> bool {
        let first = text.get(start..).and_then(|rest| rest.first_chunk());
        first.is_some_and(|first| u64::from_le_bytes(*first) & self.mask == self.bytes)
    }
}

/// Reads one window.
#[derive(Debug)]
pub(crate) struct PlainStatements<'a> {
    blocks: Blocks<'a>,
    base: usize,
    /// What holds behind what is read.
    state: State,
    /// The block at `base`; its terminators are those that are still to be read.
    block: Block,
    /// Where the last statement has ended, its terminator included.
    after: usize,
    /// The statement that is being read, where it is a plain one.
    class: Option<Classified>,
    word: FirstWord,
    spot: Spot,
    /// The most bytes of a statement.
    longest: usize,
    /// The line that `counted` is in, and where it begins; 0 where that is not known.
    line: u32,
    line_start: usize,
    /// Newlines before this are counted, but for those in what was read before.
    counted: usize,
    read_before: Range<usize>,
}

impl<'a> PlainStatements<'a> {
    /// Begins behind a statement: at `spot`. None where no plain statement follows.
    pub(crate) fn new(blocks: Blocks<'a>, spot: Spot, longest: usize) -> Option<Self> {
        let mut new = Self { longest, ..Self::at(blocks, spot, State::new(spot.at)) };
        new.begin(spot.at);
        new.class?;
        new.base = new.spot.at;
        new.read();
        Some(new)
    }

    /// Goes on with a statement that has begun at `spot`.
    pub(crate) fn within(blocks: Blocks<'a>, spot: Spot, begun: &Begun) -> Self {
        let mut new = Self { longest: begun.longest, ..Self::at(blocks, spot, begun.state) };
        new.class = Some(begun.class);
        new.base = begun.state.read_to;
        new.counted = new.base;
        new.read_before = spot.at..new.base;
        new.read();
        new
    }

    fn at(blocks: Blocks<'a>, spot: Spot, state: State) -> Self {
        Self {
            blocks,
            base: spot.at,
            state,
            block: Block { terminators: 0, newlines: 0, complete: false },
            after: spot.at,
            class: None,
            word: FirstWord::NONE,
            spot,
            longest: 0,
            line: spot.line,
            line_start: 0,
            counted: spot.at,
            read_before: 0..0,
        }
    }

    /// Takes all that can be read and that there is room for.
    pub(crate) fn take(&mut self, adding: &mut Adding<'_>) {
        while let Some(class) = self.class {
            while self.block.terminators == 0 {
                if self.next_block().is_none() {
                    return;
                }
            }
            let place = self.block.terminators.trailing_zeros() as usize;
            let end = self.base + place;
            let found = adding.look(self.spot.at, end, class.kind);
            if !adding.has_room(end - self.spot.at, found) {
                return;
            }
            adding.add(self.spot, end, class.kind, found);
            self.block.terminators &= self.block.terminators - 1;
            self.count_in_block(below(place));
            if !self.read_before.is_empty() {
                self.count_before();
            }
            self.begin(end + 1);
        }
    }

    /// Where what was not taken begins, where a statement has ended last, and the one that has
    /// begun behind it and goes on beyond what was read.
    pub(crate) fn stop(self) -> (Spot, usize, Option<Begun>) {
        let Self { mut state, longest, .. } = self;
        if state.in_string != 0 && state.escaped != 0 {
            // The lexer reads a backslash and what it escapes together.
            state.read_to -= 1;
            state.escaped = 0;
        }
        let start = self.spot.at;
        let reads_on = self.block.terminators == 0
            && state.read_to > start
            && state.read_to <= start.saturating_add(longest);
        let begun = self.class.filter(|_| reads_on);
        (self.spot, self.after, begun.map(|class| Begun { start, class, state, longest }))
    }

    #[inline(always)]
    fn read(&mut self) -> Option<()> {
        self.block = Block { terminators: 0, newlines: 0, complete: false };
        self.block = self.blocks.read(self.base, &mut self.state)?;
        Some(())
    }

    #[inline(always)]
    fn next_block(&mut self) -> Option<()> {
        if !self.block.complete {
            return None;
        }
        self.count_in_block(u64::MAX);
        self.base += LANES;
        if self.spot.at >= self.base + LANES {
            // Nothing but white space stands before it.
            self.base = self.spot.at;
        }
        if self.base + LANES > self.spot.at.saturating_add(self.longest) {
            self.block = Block { terminators: 0, newlines: 0, complete: false };
            return None;
        }
        self.read()
    }

    /// Counts the newlines of the block among `places` that are not counted yet.
    #[inline]
    fn count_in_block(&mut self, places: u64) {
        let mut newlines = self.block.newlines & places;
        if self.counted > self.base {
            newlines &= from(self.counted - self.base);
        }
        self.block.newlines &= !places;
        if newlines != 0 {
            self.line = self.line.saturating_add(newlines.count_ones());
            self.line_start = self.base + 64 - newlines.leading_zeros() as usize;
        }
    }

    #[cold]
    fn count_before(&mut self) {
        let before = std::mem::take(&mut self.read_before);
        let start = before.start;
        let text = self.blocks.text.get(before).unwrap_or_default();
        let newlines = memchr_iter(b'\n', text).count();
        self.line = self.line.saturating_add(u32::try_from(newlines).unwrap_or(u32::MAX));
        if let Some(newline) = memrchr(b'\n', text) {
            self.line_start = self.line_start.max(start + newline + 1);
        }
    }

    /// Begins the next statement, which is behind white space from `after` on.
    #[inline]
    fn begin(&mut self, after: usize) {
        self.after = after;
        let text = self.blocks.text;
        let mut start = after;
        if text.get(start) == Some(&b'\n') {
            start += 1;
            self.line = self.line.saturating_add(1);
            self.line_start = start;
        }
        if text.get(start).is_some_and(|byte| self.blocks.marks.is_space(*byte)) {
            start = self.skip_space(start);
        }
        self.counted = start;
        let is_first = start == self.line_start && start > 0;
        let column = if is_first { 1 } else { self.column(start) };
        self.spot = Spot { at: start, line: self.line, column };
        if !self.word.begins(text, start) {
            self.classify(start);
        }
    }

    #[cold]
    fn skip_space(&mut self, mut start: usize) -> usize {
        while let Some(&byte) = self.blocks.text.get(start)
            && self.blocks.marks.is_space(byte)
        {
            start += 1;
            if byte == b'\n' {
                self.line = self.line.saturating_add(1);
                self.line_start = start;
            }
        }
        start
    }

    /// The column of a place that is not at the beginning of its line.
    #[cold]
    fn column(&self, start: usize) -> u32 {
        let (from, column) = match self.line_start > self.spot.at {
            true => (self.line_start, 1),
            false => (self.spot.at, self.spot.column),
        };
        let text = self.blocks.text.get(from..start).unwrap_or_default();
        column.saturating_add(characters(text))
    }

    /// Finds what the statement is that begins here.
    #[cold]
    fn classify(&mut self, start: usize) {
        let text = self.blocks.text.get(start..).unwrap_or_default();
        let first = plain_start(text);
        self.class = first.map(|(class, _)| class);
        self.word = first.map_or(FirstWord::NONE, |(_, length)| FirstWord::new(text, length));
    }
}
