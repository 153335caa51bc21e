//! Joins a few INSERTs to the ones before them, as far as there is room.

use super::few::Few;
use super::runs::{Runs, Sum};
use crate::following::Known;
use crate::insert::Text;
use crate::joined::PARTED;
use crate::merging::{Found, Like, Merger};
use crate::trials::Trials;

/// What there is still room for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Left {
    /// Bytes that are sent.
    pub(super) bytes: usize,
    /// Bytes that the statements have apart.
    pub(super) apart: usize,
    /// The most bytes of a statement.
    pub(super) longest: usize,
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

    /// Takes as many of these statements as there is room for; how many that are. `together`: whether
    /// they stand side by side. `saved`: bytes that are not sent because of all of them.
    fn take_all(
        &mut self,
        (starts, ends): (&[u32], &[u32]),
        together: bool,
        saved: usize,
        saved_by_each: impl Iterator<Item = usize>,
    ) -> usize {
        let lengths = || starts.iter().zip(ends).map(|(start, end)| end - start);
        let more = self.bytes.saturating_add(saved);
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
        let each = lengths().zip(saved_by_each);
        each.take_while(|(length, saved)| self.take(*length as usize, *saved)).count()
    }
}

/// A few INSERTs, while they are joined.
pub(super) struct Joining<'j> {
    pub(super) merger: &'j mut Merger,
    pub(super) backslash: Option<bool>,
    pub(super) window: &'j [u8],
    pub(super) few: &'j Few,
    /// Where those of them begin and end for which there may be room.
    pub(super) places: (&'j [u32], &'j [u32]),
    pub(super) runs: &'j mut Runs,
    /// When INSERTs are found by their rows.
    pub(super) by_rows: &'j mut Trials,
    pub(super) left: Left,
    /// How many of them there is room for, of those that were looked at.
    pub(super) count: usize,
    /// Whether the last of all is like the one before.
    pub(super) goes_on: bool,
}

impl Joining<'_> {
    /// `known`: all of them are like this, and listed so.
    #[inline]
    pub(super) fn run(&mut self, known: Option<Like>) {
        if known.is_none() {
            self.runs.clear();
        }
        let mut found = known.map(|like| (Sum::default(), like));
        loop {
            // Most have around their rows what others had before.
            let alike = found.take().unwrap_or_else(|| self.read(self.places.0.len()));
            self.take_alike(alike);
            let fits = self.leave_unread().unwrap_or_else(|| self.take_one());
            if !fits {
                return;
            }
        }
    }

    /// What the next ones are that are like INSERTs before them, up to this one, and what was listed
    /// before them.
    fn read(&mut self, most: usize) -> (Sum, Like) {
        let before = self.runs.all();
        let places = (&self.places.0[..most], &self.places.1[..most]);
        let known = Known::new(places, (self.count, self.merger.longest()), self.runs);
        (before, self.merger.read_like(self.window, known, self.backslash))
    }

    /// Takes these, or as many of them as there is room for.
    fn take_alike(&mut self, (before, mut like): (Sum, Like)) {
        while like.count > 0 {
            let run = self.count..self.count + like.count;
            let places = (&self.places.0[run.clone()], &self.places.1[run.clone()]);
            let together = self.few.side_by_side(run.start, run.end) == run;
            let saved = self.runs.all().saved - before.saved;
            let mut rest = self.left;
            let fitting = rest.take_all(places, together, saved, self.runs.saved_by_each(run));
            if fitting == like.count {
                self.left = rest;
                self.merger.take_like(&like);
                self.count += like.count;
                self.goes_on |= self.count == self.few.count();
                return;
            }
            self.runs.cut(before);
            (_, like) = self.read(self.count + fitting);
        }
    }

    /// Takes the next ones, where they are not looked at; whether there is room for all of these.
    fn leave_unread(&mut self) -> Option<bool> {
        let (starts, ends) = self.places;
        let (starts, ends) = (&starts[self.count..], &ends[self.count..]);
        let unread = self.merger.unread(self.window, (starts, ends));
        if unread == 0 {
            return None;
        }
        let places = (&starts[..unread], &ends[..unread]);
        let fitting = self.left.take_all(places, false, 0, std::iter::repeat(0));
        self.merger.leave(fitting);
        self.by_rows.note(false);
        if fitting > 0 {
            self.runs.put_single(self.count);
        }
        self.count += fitting;
        Some(fitting == unread)
    }

    /// Takes the next one, whatever it is; false where there is none, or no room for it.
    fn take_one(&mut self) -> bool {
        let (starts, ends) = self.places;
        let Some((start, end)) = starts.get(self.count).zip(ends.get(self.count)) else {
            return false;
        };
        let text = Text::new(self.window, *start as usize, *end as usize);
        let found = self.merger.look_closer(text, self.backslash);
        let saved = found.map_or(0, Found::saved);
        if !self.left.take(text.get().len(), saved) {
            return false;
        }
        self.merger.take(text.get(), found);
        match found {
            Some(found) => self.runs.put(self.count..self.count + 1, found.around, found.joins),
            None => self.runs.put_single(self.count),
        }
        self.count += 1;
        true
    }
}
