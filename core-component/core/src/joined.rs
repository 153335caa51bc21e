//! The two forms of a batch's text: as it is sent, with INSERTs joined, and one statement behind the
//! other, as hooks are shown it. The one can be had from the other.

use std::borrow::Cow;
use std::ops::Range;

use crate::types::{Batch, Join};

/// What is behind the text of most statements: a terminator, and what parts them from the next. Only
/// behind such a one another INSERT is joined.
pub(crate) const PARTED: &[u8] = b";\n";

/// A text that is written anew, and where its statements end.
#[derive(Default)]
struct Written {
    body: Vec<u8>,
    ends: Vec<u32>,
}

impl Written {
    fn with_room(bytes: usize, statements: usize) -> Self {
        Self { body: Vec::with_capacity(bytes), ends: Vec::with_capacity(statements) }
    }

    fn put(&mut self, text: &[u8]) {
        self.body.extend_from_slice(text);
    }

    fn end(&mut self) {
        self.ends.push(u32::try_from(self.body.len()).unwrap_or(u32::MAX));
    }
}

impl Batch {
    /// The statements one by one: the same batch, but for `body` and `ends`.
    #[must_use]
    pub fn apart(&self) -> Cow<'_, Self> {
        self.rewritten(Self::put_apart).map_or(Cow::Borrowed(self), Cow::Owned)
    }

    /// The opposite: a batch whose statements are apart as it is sent.
    pub(crate) fn sent(&self) -> Cow<'_, Self> {
        self.rewritten(Self::put_joined).map_or(Cow::Borrowed(self), Cow::Owned)
    }

    /// [`sent`](Self::sent), to keep.
    pub(crate) fn into_sent(self) -> Self {
        self.rewritten(Self::put_joined).unwrap_or(self)
    }

    /// The same batch with its joined statements put in another way; none where there are no such.
    fn rewritten(&self, put: impl Fn(&Self, &mut Written, Join)) -> Option<Self> {
        self.joined().next()?;
        let saved: usize = self.joined().map(Join::saved).sum();
        let mut to = Written::with_room(self.body.len() + saved, self.ends.len());
        let mut next = 0;
        for join in self.joined() {
            self.put_whole(&mut to, next..join.first as usize);
            next = (join.first + join.statements) as usize;
            put(self, &mut to, *join);
        }
        self.put_whole(&mut to, next..self.ends.len());
        let Written { body, ends } = to;
        Some(Self { body, ends, ..self.clone() })
    }

    /// The joins of several statements.
    fn joined(&self) -> impl Iterator<Item = &Join> {
        self.joins.iter().filter(|join| join.statements > 1)
    }

    /// Statements that are the same in both forms.
    fn put_whole(&self, to: &mut Written, statements: Range<usize>) {
        for index in statements {
            to.put(self.between(self.start(index), self.end(index)));
            to.end();
        }
    }

    /// Statements that are joined, one by one.
    fn put_apart(&self, to: &mut Written, join: Join) {
        let Join { prefix, tail, .. } = join;
        let (first, last) = (join.first as usize, (join.first + join.statements) as usize - 1);
        let start = self.start(first);
        let rows_start = start + prefix as usize;
        let behind = self.behind(last);
        let rows_end = self.end(last) - behind - tail as usize;
        for index in first..=last {
            to.put(self.between(start, rows_start));
            let from = if index == first { rows_start } else { self.start(index) };
            let until = if index == last { rows_end } else { self.end(index) - 1 };
            to.put(self.between(from, until));
            to.put(self.between(rows_end, rows_end + tail as usize));
            match index == last {
                true => to.put(self.between(self.end(last) - behind, self.end(last))),
                false => to.put(PARTED),
            }
            to.end();
        }
    }

    /// Statements that are apart, joined.
    fn put_joined(&self, to: &mut Written, join: Join) {
        let Join { prefix, tail, .. } = join;
        let (first, last) = (join.first as usize, (join.first + join.statements) as usize - 1);
        for index in first..=last {
            let skipped = if index == first { 0 } else { prefix as usize };
            let rows_end = self.end(index) - self.behind(index) - tail as usize;
            let until = if index == last { self.end(index) } else { rows_end };
            to.put(self.between(self.start(index) + skipped, until));
            if index < last {
                to.put(b",");
            }
            to.end();
        }
    }

    /// Whether what parts a statement from the next, which is apart from it, is as in most scripts, so
    /// that the two can be joined.
    pub(crate) fn takes_rows(&self, index: usize) -> bool {
        self.between(self.end(index) - self.behind(index), self.end(index)) == PARTED
    }

    /// Bytes behind the text of a statement.
    fn behind(&self, index: usize) -> usize {
        self.end(index) - self.start(index) - self.length(index)
    }

    fn between(&self, start: usize, end: usize) -> &[u8] {
        self.body.get(start..end).unwrap_or_default()
    }
}

impl Join {
    /// Bytes that are not sent because these are joined: what stands around the rows, and the
    /// separators, less a comma each.
    fn saved(&self) -> usize {
        let Self { prefix, tail, .. } = *self;
        let others = (self.statements as usize).saturating_sub(1);
        others * Around { prefix, tail }.saved_by_one()
    }
}

/// Bytes that INSERTs have around their rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Around {
    /// Before the first row.
    pub(crate) prefix: u32,
    /// Behind the last one, up to the terminator.
    pub(crate) tail: u32,
}

impl Around {
    pub(crate) fn prefix(self) -> usize {
        self.prefix as usize
    }

    pub(crate) fn tail(self) -> usize {
        self.tail as usize
    }

    /// Bytes that are not sent because one such INSERT is joined to another.
    pub(crate) fn saved_by_one(self) -> usize {
        self.prefix() + self.tail() + PARTED.len() - 1
    }
}
