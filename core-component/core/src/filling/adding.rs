//! Many statements added at a time.

use std::ops::Range;

use super::few::{Bits, FEW, Few, first_of_few};
use super::{Filling, SEPARATOR};
use crate::following::{Following, Known};
use crate::insert::Text;
use crate::joined::{PARTED, saved_by_one};
use crate::merging::{Found, Like, Merger};
use crate::position::Cursor;
use crate::trials::Trials;
use crate::types::Kind;

/// Bytes of a row that are copied without a call.
const SHORT: usize = 64;

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

/// What there is still room for.
#[derive(Clone, Copy, Debug)]
struct Left {
    /// Bytes that are sent.
    bytes: usize,
    /// Bytes that the statements have apart.
    apart: usize,
    /// The most bytes of a statement.
    longest: usize,
}

impl Left {
    /// Takes a statement of so many bytes, which saves some that would be sent; false where there is
    /// no room for it.
    fn take(&mut self, length: usize, saved: usize) -> bool {
        let bytes = self.bytes.saturating_add(saved);
        // The last newline is not sent.
        let fits = length < bytes.min(self.apart) && length <= self.longest;
        if fits {
            self.bytes = bytes.saturating_sub(length + PARTED.len());
            self.apart = self.apart.saturating_sub(length + PARTED.len());
        }
        fits
    }

    /// Takes as many of these statements as there is room for, each of which saves so many bytes; how
    /// many that are. `together`: whether they stand side by side.
    fn take_all(
        &mut self,
        (starts, ends): (&[u32], &[u32]),
        saved: usize,
        together: bool,
    ) -> usize {
        let lengths = || starts.iter().zip(ends).map(|(start, end)| end - start);
        let more = self.bytes.saturating_add(saved * starts.len());
        let most = more.min(self.apart);
        let all = match (starts, ends) {
            ([start, ..], [.., end]) if together => (end - start) as usize + PARTED.len(),
            _ => lengths().sum::<u32>() as usize + PARTED.len() * starts.len(),
        };
        let are_short = |longest| all <= longest || lengths().all(|it| it as usize <= longest);
        if all <= most && are_short(self.longest) {
            (self.bytes, self.apart) = (more - all, self.apart - all);
            return starts.len();
        }
        lengths().take_while(|length| self.take(*length as usize, saved)).count()
    }
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
        let like = merger.read_like(text, &mut Following::new(start, few), *backslash);
        self.by_rows.note(few.count() >= MANY);
        (few.count() > 0).then(|| {
            let is_unusual = like.is_unusual || merger.is_unusual();
            Like { is_unusual, ..like }
        })
    }

    /// Adds those of a few statements that there is room for, up to the first for which there is
    /// none; how many that are. `like`: all are like the last one that was added.
    pub(crate) fn add(&mut self, few: &Few, kind: Kind, like: Option<Like>) -> usize {
        self.goes_on = like.is_some() && few.is_full();
        if like.is_none() {
            self.by_rows.pass(1);
        }
        let (count, joined) = match &mut self.merger {
            None => (self.fit(few), 0),
            Some((merger, _)) if !matches!(kind, Kind::Insert | Kind::Replace) => {
                merger.meet_other();
                (self.fit(few), 0)
            }
            Some(_) => self.join(few, like),
        };
        if count > 0 {
            self.append(few, count, (kind, joined));
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
        self.filled().saturating_add(usize::try_from(self.filling.saved).unwrap_or(usize::MAX))
    }

    /// Joins those of a few INSERTs to the ones before them that may be, as far as there is room; how
    /// many there is room for, and, as bits, which of them are joined.
    #[inline(never)]
    fn join(&mut self, few: &Few, like: Option<Like>) -> (usize, Bits) {
        let most = self.most.saturating_sub(self.apart_bytes());
        let mut left = Left { bytes: self.bytes, apart: most, longest: self.longest };
        let Some((merger, backslash)) = &mut self.merger else { return (0, 0) };
        let (starts, ends) = few.places();
        let most = starts.len().min(self.statements);
        let (starts, ends) = (&starts[..most], &ends[..most]);
        let first = self.filling.ends.len();
        let (mut count, mut joined) = (0, 0);
        // All of them are known, if there is room for all.
        let mut known = like.filter(|_| most == few.count()).map(|like| (most, like.rows));
        loop {
            // Most are like the ones before them.
            let places = (&starts[count..], &ends[count..]);
            let read = |places| {
                let mut known = Known::new(places, merger.longest());
                let like = merger.read_like(self.window, &mut known, *backslash);
                (known.count, like.rows)
            };
            let (mut like, mut rows) = known.take().unwrap_or_else(|| read(places));
            if like > 0 {
                let saved = saved_by_one(merger.around_rows());
                let places = (&places.0[..like], &places.1[..like]);
                let run = count..count + like;
                let together = few.side_by_side(run.start, run.end) == run;
                let fitting = left.take_all(places, saved, together);
                if fitting < like {
                    (like, rows) = read((&places.0[..fitting], &places.1[..fitting]));
                }
                if like > 0 {
                    merger.take_like(rows);
                    self.filling.join_more(like, like * saved);
                    joined |= first_of_few(count + like) & !first_of_few(count);
                    count += like;
                }
                self.goes_on |= count == few.count();
            }
            let places = (&starts[count..], &ends[count..]);
            let unread = merger.unread(self.window, places);
            if unread > 0 {
                let places = (&places.0[..unread], &places.1[..unread]);
                let fitting = left.take_all(places, 0, false);
                merger.leave(fitting);
                self.by_rows.note(false);
                count += fitting;
                if fitting == unread {
                    continue;
                }
                break;
            }
            let Some((start, end)) = starts.get(count).zip(ends.get(count)) else { break };
            let text = Text::new(self.window, *start as usize, *end as usize);
            let found = merger.look_closer(text, *backslash);
            let saved = found.map_or(0, Found::saved);
            if !left.take(text.get().len(), saved) {
                break;
            }
            merger.take(text.get(), found);
            if let Some(found) = found {
                self.filling.locate_rows(first + count, found);
                joined |= Bits::from(found.joins) << count;
            }
            count += 1;
        }
        self.bytes = left.bytes;
        (count, joined)
    }

    /// Puts the first of a few statements into the lists. `joined`: which of them are joined to the
    /// one before, as bits.
    #[inline(never)]
    fn append(&mut self, few: &Few, count: usize, (kind, joined): (Kind, Bits)) {
        let (starts, ends) = few.places();
        let mut next = 0;
        while next < count {
            let together = few.side_by_side(next, count);
            let (first, last) = (together.start, together.end - 1);
            let offset = self.offset.wrapping_add(u64::from(starts[first]));
            let (line, column) = few.known_place(first);
            let at = Cursor { offset, line, column };
            self.filling.place(at, kind, SEPARATOR.len() as u32);
            while next < together.end {
                let rest = joined >> next;
                let is_joined = rest & 1 == 1;
                let alike =
                    if is_joined { (!rest).trailing_zeros() } else { rest.trailing_zeros() };
                let run = next..together.end.min(next + alike as usize);
                next = run.end;
                match is_joined {
                    true => self.append_rows(&starts[run.clone()], &ends[run]),
                    false => self.append_whole(starts[run.start], &ends[run]),
                }
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

    /// Adds the rows of INSERTs that stand side by side and are joined to the one before them.
    fn append_rows(&mut self, starts: &[u32], ends: &[u32]) {
        let held = std::mem::take(&mut self.held);
        self.hand_over(held);
        let Self { filling, window, .. } = self;
        let index = filling.ends.len();
        let join = filling.joins.iter().rev().find(|join| (join.first as usize) < index);
        let Some((prefix, tail)) = join.map(|join| (join.prefix as usize, join.tail as usize))
        else {
            return;
        };
        filling.open_for_rows(window, tail);
        let Filling { body, ends: list, .. } = &mut **filling;
        let body = body.copied(window);
        let filled = body.len();
        let first = starts.first().map_or(0, |start| *start as usize);
        let end = ends.last().map_or(0, |end| *end as usize);
        // They stand side by side.
        let all = (end - first + PARTED.len())
            .saturating_sub((prefix + tail + PARTED.len() - 1) * starts.len());
        body.resize(filled + all + SHORT, 0);
        let to = body.get_mut(filled..).unwrap_or_default();
        let mut at = 0;
        list.extend(starts.iter().zip(ends).map(|(start, end)| {
            let start = *start as usize + prefix;
            let length = *end as usize - tail - start;
            copy_and_part(to, at, window, start..start + length);
            at += length + 1;
            narrow(filled + at)
        }));
        // The last of them is followed by no comma, but by what was behind the one before.
        body.truncate(filled + at - 1);
        body.extend_from_slice(window.get(end - tail..end).unwrap_or_default());
        body.extend_from_slice(PARTED);
        let length = narrow(body.len());
        filling.ends.last_mut().into_iter().for_each(|end| *end = length);
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

/// Copies a piece of a text to this place, and a comma behind it.
#[inline(always)]
fn copy_and_part(to: &mut [u8], at: usize, text: &[u8], piece: Range<usize>) {
    let length = piece.end - piece.start;
    let from = text.get(piece.start..).and_then(|from| from.first_chunk::<SHORT>());
    let room = to.get_mut(at..).and_then(|to| to.first_chunk_mut::<SHORT>());
    // Most rows are short: a call for each would take longer than to copy it.
    if let Some((from, room)) = from.zip(room)
        && length < SHORT
    {
        let (half, other) = from.split_at(SHORT / 2);
        room[..SHORT / 2].copy_from_slice(half);
        if length >= SHORT / 2 {
            room[SHORT / 2..].copy_from_slice(other);
        }
        room[length] = b',';
    } else if let Some((to, text)) = to.get_mut(at..=at + length).zip(text.get(piece)) {
        to[..length].copy_from_slice(text);
        to[length] = b',';
    }
}
