//! Many statements added at a time.

use std::ops::Range;

use super::few::{FEW, Few};
use super::joining::{Joining, Left};
use super::writing::{SLACK, Writing};
use super::{Filling, SEPARATOR};
use crate::following::Following;
use crate::joined::PARTED;
use crate::merging::{Like, Merger};
use crate::position::Cursor;
use crate::trials::Trials;
use crate::types::Kind;

/// So many INSERTs that are found by their rows are worth it: what was read ahead by blocks is read anew
/// behind them.
const MANY: usize = 8;

/// The most times that statements are added before INSERTs are looked for by their rows again.
const MOST_PAUSED: u32 = 16;

/// What a batch may have.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Room {
    /// Bytes that are sent.
    pub(crate) bytes: u64,
    /// Bytes that the statements have apart.
    pub(crate) apart_bytes: u64,
    pub(crate) statements: usize,
    /// The most bytes of a statement, at least as many as those that are sent.
    pub(crate) longest: usize,
}

/// Adds statements to a batch, a few at once.
#[derive(Debug)]
pub(crate) struct Adding<'a> {
    filling: &'a mut Filling,
    window: &'a [u8],
    /// Input before the window.
    offset: u64,
    /// Bytes and statements that there is room for.
    bytes: usize,
    statements: usize,
    /// The most bytes that the statements may have apart.
    most: usize,
    longest: usize,
    /// What joins INSERTs, where that is wanted, and how backslashes are read.
    merger: Option<(&'a mut Merger, Option<bool>)>,
    /// Whether those that were added last are like the one before.
    goes_on: bool,
    /// When INSERTs are found by their rows.
    by_rows: Trials,
    /// What is added last and side by side in the window, and not in the body yet.
    held: Range<usize>,
    taken: u64,
    read: u64,
    changes: bool,
}

impl<'a> Adding<'a> {
    /// `offset`: bytes of input before the window.
    pub(crate) fn new(
        filling: &'a mut Filling,
        window: &'a [u8],
        offset: u64,
        room: &Room,
    ) -> Self {
        let bytes = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
        Self {
            window,
            offset,
            bytes: bytes(room.bytes.saturating_sub(filling.bytes())),
            statements: room.statements.saturating_sub(filling.statements()),
            most: bytes(room.apart_bytes),
            longest: room.longest,
            merger: None,
            goes_on: true,
            by_rows: Trials::new(MOST_PAUSED),
            held: 0..0,
            taken: 0,
            read: 0,
            changes: false,
            filling,
        }
    }

    /// Lets INSERTs be joined.
    pub(crate) fn join_by(&mut self, merger: &'a mut Merger, backslash: Option<bool>) {
        self.merger = Some((merger, backslash));
    }

    /// Finds a few INSERTs that are like the last one that was added, and begin here.
    pub(crate) fn find_like(&mut self, text: &[u8], start: usize, few: &mut Few) -> Option<Like> {
        let (merger, backslash) = self.merger.as_ref()?;
        let following = Following::new(start, few, &mut self.filling.runs);
        let like = merger.read_like(text, following, *backslash);
        few.set_count(like.count);
        self.by_rows.note(self.filling.runs.all().joined >= MANY);
        (like.count > 0).then_some(like)
    }

    /// Adds those of a few statements that there is room for, up to the first for which there is
    /// none; how many that are. `like`: all are like the last one that was added.
    pub(crate) fn add(&mut self, few: &Few, kind: Kind, like: Option<Like>) -> usize {
        self.goes_on = like.is_some() && few.is_full();
        if like.is_none() {
            self.by_rows.pass(1);
        }
        let count = match &mut self.merger {
            Some(_) if matches!(kind, Kind::Insert | Kind::Replace) => self.join(few, like),
            merger => {
                merger.iter_mut().for_each(|(merger, _)| merger.meet_other());
                self.filling.runs.clear();
                self.fit(few)
            }
        };
        if count > 0 {
            self.append(few, count, kind);
        }
        count
    }

    /// How many statements of this kind are enough to be added at once: INSERTs that are like one
    /// another are found by their rows then.
    pub(crate) fn least(&self, kind: Kind) -> usize {
        let are_joined = self.merger.is_some() && matches!(kind, Kind::Insert | Kind::Replace);
        if are_joined && self.by_rows.is_due() { 2 } else { FEW }
    }

    /// Whether the next statements may be found by [`find_like`](Self::find_like): those that were
    /// added last were like the one before.
    pub(crate) fn goes_on(&self) -> bool {
        self.goes_on && self.by_rows.is_due()
    }

    /// How many of these statements there is room for.
    fn fit(&mut self, few: &Few) -> usize {
        let (starts, ends) = few.places();
        let most = self.bytes.min(self.most.saturating_sub(self.apart_bytes()));
        if let ([start, ..], [.., end]) = (starts, ends)
            && few.side_by_side(0, starts.len()) == (0..starts.len())
            && starts.len() <= self.statements
            && ((end - start) as usize) < most
        {
            self.bytes = self.bytes.saturating_sub((end - start) as usize + PARTED.len());
            return starts.len();
        }
        let mut bytes = 0;
        let lengths = starts.iter().zip(ends).map(|(start, end)| (end - start) as usize);
        let fitting = lengths.take(self.statements).take_while(|length| {
            // The last newline is not sent.
            let fits = bytes + length < most;
            bytes += if fits { length + PARTED.len() } else { 0 };
            fits
        });
        let count = fitting.count();
        self.bytes = self.bytes.saturating_sub(bytes);
        count
    }

    /// Bytes of the body with all that was added.
    fn filled(&self) -> usize {
        self.filling.body.len() + self.held.len()
    }

    /// Bytes that the statements have apart, with all that was added.
    fn apart_bytes(&self) -> usize {
        self.filled().saturating_add(self.filling.joins.saved)
    }

    /// Joins those of a few INSERTs to the ones before them that may be, as far as there is room; how
    /// many there is room for. `like`: what all of them were found to be.
    #[inline(never)]
    fn join(&mut self, few: &Few, like: Option<Like>) -> usize {
        let apart = self.most.saturating_sub(self.apart_bytes());
        let left = Left { bytes: self.bytes, apart, longest: self.longest };
        let Some((merger, backslash)) = &mut self.merger else { return 0 };
        let (starts, ends) = few.places();
        let most = starts.len().min(self.statements);
        // All of them are known, if there is room for all.
        let known = like.filter(|_| most == few.count());
        let (runs, by_rows) = (&mut self.filling.runs, &mut self.by_rows);
        let mut joining = Joining {
            merger,
            backslash: *backslash,
            window: self.window,
            few,
            places: (&starts[..most], &ends[..most]),
            runs,
            by_rows,
            left,
            count: 0,
            goes_on: false,
        };
        joining.run(known);
        self.bytes = joining.left.bytes;
        self.goes_on |= joining.goes_on;
        joining.count
    }

    /// Puts the first of a few statements into the lists.
    #[inline(never)]
    fn append(&mut self, few: &Few, count: usize, kind: Kind) {
        let (starts, ends) = few.places();
        let may_join = self.filling.runs.may_join();
        let mut next = 0;
        while next < count {
            let together = few.side_by_side(next, count);
            let (first, last) = (together.start, together.end - 1);
            let offset = self.offset.wrapping_add(u64::from(starts[first]));
            let (line, column) = few.known_place(first);
            let at = Cursor { offset, line, column };
            self.filling.place(at, kind, SEPARATOR.len() as u32);
            next = together.end;
            match may_join {
                true => self.append_runs((starts, ends), together),
                false => self.append_whole(starts[first], &ends[together]),
            }
            self.read = self.offset + u64::from(ends[last]) + 1;
            self.filling.goes_on_at = Some(self.read + 1);
        }
        self.statements -= count;
        self.taken += count as u64;
        self.changes |= kind != Kind::Select;
    }

    /// Adds statements that stand side by side, from `start` on.
    fn append_whole(&mut self, start: u32, ends: &[u32]) {
        // Bodies and windows stay below 4 GiB.
        let before = narrow(self.filled()).wrapping_sub(start).wrapping_add(2);
        let list = &mut self.filling.ends;
        // Many at once, as each turn of a loop costs something in the sandbox.
        let (many, others) = ends.as_chunks::<16>();
        for ends in many {
            list.extend_from_slice(&ends.map(|end| end.wrapping_add(before)));
        }
        list.extend(others.iter().map(|end| end.wrapping_add(before)));
        let last = ends.last().copied().unwrap_or(start);
        self.add_text(start as usize..last as usize + 1);
    }

    /// Adds those of a few statements that stand side by side, some of which may be sent as one.
    fn append_runs(&mut self, (starts, ends): (&[u32], &[u32]), statements: Range<usize>) {
        let held = std::mem::take(&mut self.held);
        self.hand_over(held);
        let (first, last) = (starts[statements.start], ends[statements.end - 1]);
        let Self { filling, window, .. } = self;
        let Filling { body, ends: list, joins, runs, .. } = &mut **filling;
        let body = body.copied(window);
        let (at, listed) = (body.len(), list.len());
        let is_all = statements.len() == starts.len();
        let saved = if is_all { runs.all().saved } else { runs.saved(statements.clone()) };
        let written = (last - first) as usize + PARTED.len() - saved;
        body.resize(at + written + SLACK, 0);
        list.resize(listed + statements.len(), 0);
        let places = (&starts[statements.start..], &ends[statements.start..]);
        let mut writing = Writing { text: window, places, to: body, at, list, before: listed };
        for section in runs.within(statements) {
            if section.is_apart {
                writing.apart(section.statements);
                continue;
            }
            let (around, joined) = (section.around, section.joined());
            match section.goes_on {
                true => joins.add_to_last(joined, around),
                false => joins.add(listed + section.statements.start, joined + 1, around),
            }
            writing.joined(section);
        }
        let end = writing.at;
        body.truncate(end);
    }

    /// Adds text up to a terminator, and a newline.
    fn add_text(&mut self, text: Range<usize>) {
        let newline = self.window.get(text.end) == Some(&b'\n');
        if newline && self.held.end == text.start {
            self.held.end = text.end + 1;
            return;
        }
        let held = std::mem::replace(&mut self.held, text);
        self.hand_over(held);
        if newline {
            self.held.end += 1;
        } else {
            let held = std::mem::take(&mut self.held);
            self.hand_over(held);
            self.filling.body.append(self.window, b"\n");
        }
    }

    fn hand_over(&mut self, text: Range<usize>) {
        if !text.is_empty() {
            self.filling.body.take(self.window, text);
        }
    }

    /// Ends it: what was added is part of the batch. `ascii`: whether it is that for certain.
    pub(crate) fn end(mut self, ascii: bool) -> Added {
        self.filling.is_beyond_ascii |= !ascii;
        let held = std::mem::take(&mut self.held);
        self.hand_over(held);
        Added { statements: self.taken, read: self.read, changes: self.changes }
    }
}

/// What many statements come to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Added {
    pub(crate) statements: u64,
    /// Bytes of input up to the end of the last one.
    pub(crate) read: u64,
    /// Whether any of them does more than read.
    pub(crate) changes: bool,
}

/// Bodies and windows stay below 4 GiB.
#[inline]
pub(super) fn narrow(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}
