//! A closer look at a block in which some byte may mean something: what it means is found one byte
//! after the other, and what only the lexer knows is left to it.

use memchr::{memchr, memchr2};

use super::{Blocks, Closed, State, below, from, parity};
use crate::classes::Class;
use crate::lanes::equal;

/// What was found in a block, as bits.
#[derive(Clone, Copy)]
pub(super) struct Found {
    pub(super) quotes: u64,
    pub(super) others: u64,
    /// Letters that say of a string behind them how it is read.
    pub(super) letters: u64,
    /// What is not read yet.
    pub(super) visible: u64,
    /// What is inside a string.
    pub(super) inside: u64,
}

impl Found {
    /// What must be looked at closer.
    #[inline]
    fn unclear(&self) -> u64 {
        let prefixed = self.quotes & self.inside & self.letters;
        self.visible & ((self.others & !self.inside) | prefixed)
    }
}

/// What is known where reading has come to and matters to few blocks.
#[derive(Clone, Copy)]
pub(super) struct Rare {
    pub(super) other: Closed,
    pub(super) read_to: usize,
}

impl Rare {
    pub(super) fn new(state: &State) -> Self {
        let State { other, read_to, .. } = *state;
        Self { other, read_to }
    }

    /// Whether it matters to the block that begins here.
    pub(super) fn reaches(&self, base: usize) -> bool {
        self.read_to > base
    }
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
    /// Looks at each byte that may mean something, up to one that the lexer must read; whether that
    /// is all of the block.
    pub(super) fn look_closer(
        &self,
        base: usize,
        found: &mut Found,
        in_string: u64,
        rare: &mut Rare,
    ) -> bool {
        let Rare { mut other, mut read_to } = *rare;
        if read_to > base {
            found.visible = from(read_to - base);
        }
        found.inside = parity(found.quotes & found.visible) ^ in_string;
        let mut ends = Ends { close: 0, base, bits: 0 };
        loop {
            let unclear = found.unclear();
            if unclear == 0 {
                *rare = Rare { other, read_to };
                return true;
            }
            let place = unclear.trailing_zeros() as usize;
            match self.look(base + place, &other, &mut ends) {
                Look::Nothing => found.others &= !(1 << place),
                Look::Quoted(closed) => {
                    let name = from(place) & below(closed.at - base);
                    found.visible &= !name;
                    if found.quotes & name != 0 {
                        found.inside = parity(found.quotes & found.visible) ^ in_string;
                    }
                    other = closed;
                    read_to = closed.at;
                }
                Look::Unknown => {
                    found.visible &= below(place);
                    return false;
                }
            }
        }
    }

    fn look(&self, at: usize, last: &Closed, ends: &mut Ends) -> Look {
        let [byte, rest @ ..] = &self.text[at..] else { return Look::Unknown };
        let opens_comment = |second| rest.first().is_none_or(|next| *next == second);
        let opens_line = |second| self.marks.slash_comments && opens_comment(second);
        match self.marks.classes[usize::from(*byte)] {
            Class::Dash if !opens_comment(b'-') => Look::Nothing,
            Class::Slash if !(opens_comment(b'*') || opens_line(b'/')) => Look::Nothing,
            Class::Quote if *byte != b'\'' => self.quoted(at, last, ends),
            _ => Look::Unknown,
        }
    }

    /// What is in the quotes that open at `at`, if they hold no backslash that counts.
    fn quoted(&self, at: usize, last: &Closed, ends: &mut Ends) -> Look {
        let byte = self.text[at];
        let Some(quote) = self.quotes.iter().find(|quote| quote.open == byte) else {
            return Look::Unknown;
        };
        let close = quote.close;
        let end = match quote.backslash {
            true => self.position_behind(at, |rest| memchr2(close, b'\\', rest)),
            false => ends
                .next(self.text, close, at)
                .or_else(|| self.position_behind(at, |rest| memchr(close, rest))),
        };
        let Some(end) = end.filter(|end| self.text[*end] == close) else { return Look::Unknown };
        let goes_on = last.at == at && last.close == byte;
        let opened_at = if goes_on { last.opened_at } else { Some(at) };
        Look::Quoted(Closed { close, at: end + 1, opened_at })
    }

    fn position_behind(&self, at: usize, find: impl Fn(&[u8]) -> Option<usize>) -> Option<usize> {
        find(&self.text[at + 1..]).map(|length| at + 1 + length)
    }
}

/// What ends names in quotes of one kind in a block: most end in the one in which they begin.
struct Ends {
    close: u8,
    base: usize,
    bits: u64,
}

impl Ends {
    /// Where the first of these quotes stands behind `at`, which is in the block, if it is in the
    /// block, too.
    fn next(&mut self, text: &[u8], close: u8, at: usize) -> Option<usize> {
        if close != self.close {
            self.bits = equal(text.get(self.base..)?.first_chunk()?, &[close]);
            self.close = close;
        }
        let behind = self.bits & from(at - self.base + 1);
        (behind != 0).then(|| self.base + behind.trailing_zeros() as usize)
    }
}
