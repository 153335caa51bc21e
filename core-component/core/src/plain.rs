//! Reads plain statements one behind the other: those of which nothing matters but their first word
//! and where they end, as most of most scripts are. Everything else is left to the lexer, and so is
//! whatever is not read to its end here: the lexer goes on where this stops.

use std::ops::Range;

use memchr::{memchr_iter, memrchr};

use crate::blocks::{Ahead, Blocks, MOST_BLOCKS, State, from};
use crate::classify::{Classified, plain_start};
use crate::filling::{Adding, FEW, Few};
use crate::lanes::{LANES, is_ascii};
use crate::merging::Like;
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

    /// Whether a text goes on with a newline and the word at `after`.
    #[inline]
    fn begins_line(self, text: &[u8], after: usize) -> bool {
        let first = text.get(after..).and_then(|rest| rest.first_chunk());
        first.is_some_and(|[newline, word @ ..]: &[u8; 9]| {
            *newline == b'\n' && u64::from_le_bytes(*word) & self.mask == self.bytes
        })
    }
}

/// Blocks that are read at first; then twice as many each time, as long as all of them are used.
const FIRST_BLOCKS: usize = 4;

/// Lines are counted here as long as none can be beyond what 32 bits tell.
const MOST_LINES: u32 = u32::MAX - ((MOST_BLOCKS + 1) * LANES) as u32;

/// Reads one window.
#[derive(Debug)]
pub(crate) struct PlainStatements<'a> {
    blocks: Blocks<'a>,
    /// What holds behind the blocks that are read.
    state: State,
    ahead: Ahead,
    /// How many blocks are read the next time.
    stretch: usize,
    at: Place,
    /// Where the last statement has ended, its terminator included.
    after: usize,
    /// The statement that is being read, where it is a plain one.
    class: Option<Classified>,
    word: FirstWord,
    spot: Spot,
    /// The most bytes of a statement.
    longest: usize,
    /// What was read of the statement before, whose newlines are not counted.
    read_before: Range<usize>,
    /// Whether nothing is left of what can be read.
    used_up: bool,
}

/// How far the blocks are used.
#[derive(Clone, Copy, Debug)]
struct Place {
    /// Which block comes next.
    next: usize,
    /// The line that it begins in.
    line: u32,
    /// What ends the statements that are still to be read in the one before.
    terminators: u64,
}

/// Why a few statements are not more.
enum Pause {
    /// The next blocks must be read.
    Blocks,
    /// A statement has ended here, and the next does not begin in the next line with the same word.
    Ended(usize),
    /// There are enough, or the lexer must go on.
    Stop,
}

impl<'a> PlainStatements<'a> {
    /// Begins behind a statement: at `spot`. None where no plain statement follows.
    pub(crate) fn new(blocks: Blocks<'a>, spot: Spot, longest: usize) -> Option<Self> {
        let mut new = Self::at(blocks, spot, State::new(spot.at), longest);
        new.begin_anew(spot.at, spot.line);
        new.class?;
        Some(new)
    }

    /// Goes on with a statement that has begun at `spot`.
    pub(crate) fn within(blocks: Blocks<'a>, spot: Spot, begun: &Begun) -> Self {
        let mut new = Self::at(blocks, spot, begun.state, begun.longest);
        new.class = Some(begun.class);
        new.ahead.base = begun.state.read_to;
        new.read_before = spot.at..begun.state.read_to;
        new
    }

    fn at(blocks: Blocks<'a>, spot: Spot, state: State, longest: usize) -> Self {
        let Spot { at: base, line, .. } = spot;
        Self {
            blocks,
            state,
            ahead: Ahead::new(base),
            stretch: FIRST_BLOCKS,
            at: Place { next: 0, line, terminators: 0 },
            after: base,
            class: None,
            word: FirstWord::NONE,
            spot,
            longest,
            read_before: 0..0,
            used_up: false,
        }
    }

    /// Takes all that can be read and that there is room for.
    pub(crate) fn take(&mut self, adding: &mut Adding<'_>) {
        let mut few = Few::new();
        while let Some(class) = self.class {
            let before = self.after;
            few.begin(self.spot);
            let like = self.follow_like(adding, &mut few);
            if like.is_none() {
                few.begin(self.spot);
                self.gather(class, adding.least(class.kind), &mut few);
            }
            let taken = adding.add(&few, class.kind, like);
            if let Some(spot) = few.spot(taken, self.blocks.text) {
                // There is no room.
                self.after = few.end_before(taken).map_or(before, |end| end + 1);
                (self.spot, self.used_up) = (spot, false);
                return;
            }
            if taken == 0 {
                return;
            }
        }
    }

    /// Whether all that was read is ASCII.
    pub(crate) fn are_ascii(&self) -> bool {
        self.ahead.is_ascii
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
        let reads_on =
            self.used_up && state.read_to > start && state.read_to <= start.saturating_add(longest);
        let begun = self.class.filter(|_| reads_on);
        (self.spot, self.after, begun.map(|class| Begun { start, class, state, longest }))
    }

    /// Finds a few INSERTs that are like the one before, without a look at blocks.
    fn follow_like(&mut self, adding: &mut Adding<'_>, few: &mut Few) -> Option<Like> {
        if !adding.goes_on() || !self.read_before.is_empty() {
            return None;
        }
        let text = self.blocks.text;
        let like = adding.find_like(text, self.spot.at, few)?;
        let end = few.end_before(few.count())?;
        let mut lines = few.count() as u32 - 1;
        if like.is_unusual {
            let read = text.get(self.spot.at..end)?;
            self.blocks.is_allowed(read).then_some(())?;
            self.ahead.is_ascii &= is_ascii(read);
            lines = newlines(read);
        }
        self.begin_anew(end + 1, self.spot.line.saturating_add(lines));
        Some(like)
    }

    /// Finds a few statements of one class, or as many as can be read. `least`: when more blocks would
    /// have to be read, so many are enough.
    fn gather(&mut self, class: Classified, least: usize, few: &mut Few) {
        loop {
            match self.follow(few) {
                Pause::Stop => return,
                Pause::Blocks => {
                    if few.count() >= least || !self.read_ahead() {
                        return;
                    }
                }
                Pause::Ended(end) => {
                    self.begin(end + 1);
                    if self.class != Some(class) {
                        return;
                    }
                    few.part(self.spot);
                }
            }
        }
    }

    /// Follows statements each of which stands in a line behind the one before and begins with the
    /// same word. All that changes is held apart from what does not: this loop decides how fast
    /// scripts are read.
    #[inline(never)]
    fn follow(&mut self, few: &mut Few) -> Pause {
        let Self { mut at, word, .. } = *self;
        let (text, ahead) = (self.blocks.text, &self.ahead);
        if at.line > MOST_LINES {
            return Pause::Stop;
        }
        let before = few.count();
        let (mut count, mut start) = (before, self.spot.at);
        let pause = loop {
            if at.terminators == 0 {
                if at.next == ahead.count {
                    break Pause::Blocks;
                }
                at.move_on(ahead);
            }
            // One way back to the top: each costs something in the sandbox.
            if at.terminators != 0 {
                if count == FEW {
                    break Pause::Stop;
                }
                let end = at.end(ahead);
                few.put(count, start, end);
                count += 1;
                at.terminators &= at.terminators - 1;
                if !word.begins_line(text, end + 1) {
                    break Pause::Ended(end);
                }
                start = end + 2;
            }
        };
        few.set_count(count);
        self.at = at;
        if start != self.spot.at {
            let line = self.line_of(start - 2).wrapping_add(1);
            self.spot = Spot { at: start, line, column: 1 };
        }
        if let Some(end) = few.end_before(count).filter(|_| count > before) {
            self.after = end + 1;
            if !self.read_before.is_empty() && self.look_before(few).is_none() {
                few.begin(self.spot);
                self.class = None;
                return Pause::Stop;
            }
        }
        pause
    }

    /// The line of a place that is in the blocks or behind them.
    fn line_of(&self, place: usize) -> u32 {
        let (base, Place { next, line, .. }) = (self.ahead.base, self.at);
        let known = base + LANES * next;
        if place >= known {
            let behind = self.blocks.text.get(known..place).unwrap_or_default();
            return line.saturating_add(newlines(behind));
        }
        let place = place.saturating_sub(base);
        let blocks = self.ahead.blocks.get(place / LANES..next).unwrap_or_default();
        let Some((first, others)) = blocks.split_first() else { return line };
        let behind = (first.newlines & from(place % LANES)).count_ones();
        let others: u32 = others.iter().map(|block| block.newlines.count_ones()).sum();
        line.wrapping_sub(behind).wrapping_sub(others)
    }

    #[cold]
    #[inline(never)]
    fn read_ahead(&mut self) -> bool {
        let (base, complete) = (self.ahead.end(), self.ahead.complete);
        self.ahead.count = 0;
        if complete {
            self.blocks.read(base, self.stretch, &mut self.state, &mut self.ahead);
        }
        self.stretch = (2 * self.stretch).min(MOST_BLOCKS);
        self.at.next = 0;
        self.used_up = self.ahead.count == 0;
        !self.used_up
    }

    /// Counts the newlines of what was read before: the first statement has ended only now. None
    /// where something of it is left to the lexer.
    #[cold]
    fn look_before(&mut self, few: &mut Few) -> Option<()> {
        let before = std::mem::take(&mut self.read_before);
        let before = self.blocks.text.get(before).unwrap_or_default();
        let newlines = newlines(before);
        self.ahead.is_ascii &= is_ascii(before);
        self.blocks.is_allowed(before).then_some(())?;
        self.at.line = self.at.line.saturating_add(newlines);
        self.spot.line = self.spot.line.saturating_add(newlines);
        few.add_lines_behind_first(newlines);
        Some(())
    }

    /// Begins the next statement, which is behind white space from `after` on, in this line; the
    /// blocks that were read are of no use for it.
    fn begin_anew(&mut self, after: usize, line: u32) {
        (self.ahead.base, self.ahead.count, self.ahead.complete) = (after, 0, true);
        self.at = Place { next: 0, line, terminators: 0 };
        self.begin(after);
        (self.ahead.base, self.at.line) = (self.spot.at, self.spot.line);
        self.state = State::new(self.spot.at);
        self.stretch = FIRST_BLOCKS;
    }

    /// Begins the next statement, which is behind white space from `after` on.
    #[cold]
    #[inline(never)]
    fn begin(&mut self, after: usize) {
        self.after = after;
        let text = self.blocks.text;
        let space = text.get(after..).unwrap_or_default();
        let blank = space.iter().take_while(|byte| self.blocks.marks.is_space(**byte)).count();
        let start = after + blank;
        let line = self.line_of(start);
        let before = text.get(self.spot.at..start).unwrap_or_default();
        let column = match memrchr(b'\n', before) {
            Some(newline) => characters(&before[newline + 1..]).saturating_add(1),
            None => self.spot.column.saturating_add(characters(before)),
        };
        self.spot = Spot { at: start, line, column };
        if !self.word.begins(text, start) {
            self.classify(start);
        }
    }

    /// Finds what the statement is that begins here.
    fn classify(&mut self, start: usize) {
        let text = self.blocks.text.get(start..).unwrap_or_default();
        let first = plain_start(text);
        self.class = first.map(|(class, _)| class);
        self.word = first.map_or(FirstWord::NONE, |(_, length)| FirstWord::new(text, length));
    }
}

impl Place {
    /// Where the next statement ends in the block.
    #[inline]
    fn end(&self, ahead: &Ahead) -> usize {
        let behind = ahead.base + LANES * self.next;
        behind - LANES + self.terminators.trailing_zeros() as usize
    }

    #[inline]
    fn move_on(&mut self, ahead: &Ahead) {
        let block = &ahead.blocks[self.next % MOST_BLOCKS];
        self.next += 1;
        self.line = self.line.wrapping_add(block.newlines.count_ones());
        self.terminators = block.terminators;
    }
}

fn newlines(text: &[u8]) -> u32 {
    u32::try_from(memchr_iter(b'\n', text).count()).unwrap_or(u32::MAX)
}
