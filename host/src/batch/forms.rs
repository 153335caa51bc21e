//! The two forms of a batch's text: as it is sent, where INSERTs are joined, and its statements one by
//! one. Most batches have one for both. Where they differ the second is made when somebody asks for
//! it: a run in which nothing goes wrong needs only what is sent.

use std::{
    borrow::Cow,
    ops::Range,
    sync::{Arc, OnceLock},
};

use super::{Batch, Join};

/// What stands between the text of a joined statement and the next, where they are apart.
pub(crate) const PARTED: &[u8] = b";\n";

/// A text, and where each statement ends in it, its separator included.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Form {
    pub(crate) body: Arc<Vec<u8>>,
    pub(crate) ends: Vec<u32>,
}

impl Form {
    /// Where the statement of this index stands; none where there is no such statement.
    pub(crate) fn range(&self, index: usize) -> Option<Range<usize>> {
        let end = *self.ends.get(index)?;
        let start = match index.checked_sub(1) {
            Some(before) => *self.ends.get(before)?,
            None => 0,
        };
        Some(start as usize..end as usize)
    }

    fn get(&self, range: Range<usize>) -> &[u8] {
        self.body.get(range).unwrap_or_default()
    }
}

/// The text of a batch.
#[derive(Clone, Debug)]
pub(crate) struct Forms {
    /// The form in which it was given.
    given: Form,
    /// Whether that is what is sent.
    is_sent: bool,
    /// The other form, where they differ and it was asked for.
    other: OnceLock<Form>,
    /// Bytes that are not sent because of the joins before each, and of all.
    saved: Vec<usize>,
}

impl PartialEq for Forms {
    fn eq(&self, other: &Self) -> bool {
        (&self.given, self.is_sent) == (&other.given, other.is_sent)
    }
}

impl Eq for Forms {}

impl Forms {
    /// A text as it is sent.
    pub(crate) fn sent(body: Vec<u8>, ends: Vec<u32>, joins: &[Join]) -> Self {
        Self::new(Form { body: Arc::new(body), ends }, true, joins)
    }

    /// Statements one by one.
    pub(crate) fn apart(body: Vec<u8>, ends: Vec<u32>, joins: &[Join]) -> Self {
        Self::new(Form { body: Arc::new(body), ends }, false, joins)
    }

    fn new(given: Form, is_sent: bool, joins: &[Join]) -> Self {
        let mut saved = Vec::with_capacity(joins.len() + 1);
        let all = joins.iter().fold(0_usize, |sum, join| {
            saved.push(sum);
            sum.saturating_add(join.saved_by(join.statements.saturating_sub(1) as usize))
        });
        saved.push(all);
        Self { given, is_sent, other: OnceLock::new(), saved }
    }

    /// The form in which it was given.
    pub(crate) fn given(&self) -> &Form {
        &self.given
    }

    /// Whether statements are joined in the form in which it was given.
    pub(crate) fn is_joined(&self) -> bool {
        self.is_sent && self.saves() > 0
    }

    /// Bytes that are not sent because statements are joined.
    fn saves(&self) -> usize {
        self.saved.last().copied().unwrap_or(0)
    }
}

impl Join {
    /// Bytes that are not sent because so many are joined to the first: what stands around the rows,
    /// and the separators, less a comma each.
    fn saved_by(&self, others: usize) -> usize {
        let each = self.prefix as usize + self.tail as usize + PARTED.len() - 1;
        others.saturating_mul(each)
    }

    fn last(&self) -> usize {
        (self.first as usize + self.statements as usize).saturating_sub(1)
    }
}

/// What a statement is made of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Parts<'a> {
    /// What is before the rows; nothing where it is not joined.
    pub(crate) prefix: &'a [u8],
    /// The rows; the whole text where it is not joined.
    pub(crate) rows: &'a [u8],
    /// What is behind the rows; nothing where it is not joined.
    pub(crate) tail: &'a [u8],
    /// What parts it from the next.
    pub(crate) behind: &'a [u8],
}

impl<'a> Parts<'a> {
    fn text(self) -> Cow<'a, [u8]> {
        let Self { prefix, rows, tail, .. } = self;
        if prefix.is_empty() && tail.is_empty() {
            return Cow::Borrowed(rows);
        }
        Cow::Owned([prefix, rows, tail].concat())
    }

    fn len(self) -> usize {
        self.prefix.len() + self.rows.len() + self.tail.len()
    }
}

impl Batch {
    /// What is sent: the statements, each with its separator, and INSERTs that are joined as one.
    pub fn sent(&self) -> &[u8] {
        &self.sent_form().body
    }

    /// [`sent`](Self::sent), to keep.
    pub fn into_sent(self) -> Vec<u8> {
        let body = Arc::clone(&self.sent_form().body);
        drop(self);
        Arc::unwrap_or_clone(body)
    }

    /// The statements one by one, each with its separator.
    pub fn body(&self) -> &[u8] {
        &self.apart_form().body
    }

    /// Where each statement ends in [`body`](Self::body), its separator included.
    pub fn ends(&self) -> &[u32] {
        &self.apart_form().ends
    }

    /// What is sent, and where statements end in it; those that are joined end behind a comma.
    pub(crate) fn sent_form(&self) -> &Form {
        let Forms { given, is_sent, other, .. } = &self.forms;
        if *is_sent || self.forms.saves() == 0 {
            return given;
        }
        other.get_or_init(|| self.joined())
    }

    fn apart_form(&self) -> &Form {
        if self.forms.is_joined() {
            return self.forms.other.get_or_init(|| self.apart());
        }
        &self.forms.given
    }

    /// Bytes of [`body`](Self::body).
    pub(crate) fn body_bytes(&self) -> usize {
        let Forms { given, .. } = &self.forms;
        let saved = if self.forms.is_joined() { self.forms.saves() } else { 0 };
        given.body.len().saturating_add(saved)
    }

    /// Bytes of the request as it is sent.
    pub fn sent_bytes(&self) -> usize {
        self.body_bytes().saturating_sub(self.forms.saves())
    }

    /// Where the statement of this index (from 0) is in [`body`](Self::body), its separator included;
    /// none where there is no such statement.
    pub fn range(&self, index: usize) -> Option<Range<usize>> {
        let start = match index.checked_sub(1) {
            Some(before) => self.end(before)?,
            None => 0,
        };
        Some(start..self.end(index)?)
    }

    /// Where the statement of this index ends in [`body`](Self::body).
    fn end(&self, index: usize) -> Option<usize> {
        let Forms { given, saved, .. } = &self.forms;
        let end = *given.ends.get(index)? as usize;
        if !self.forms.is_joined() {
            return Some(end);
        }
        let before = self.joins.partition_point(|join| join.first as usize <= index);
        let Some(known) = before.checked_sub(1) else { return Some(end) };
        let (join, saved) = (self.joins.get(known)?, saved.get(known)?);
        let is_within = index < join.last();
        let others = index.min(join.last()) - join.first as usize;
        // In place of the comma stands what was behind the rows.
        let behind = if is_within { join.tail as usize + PARTED.len() - 1 } else { 0 };
        Some(end + saved + join.saved_by(others) + behind)
    }

    /// What the statement of this index is made of; none where there is no such statement.
    pub(crate) fn parts(&self, index: usize) -> Option<Parts<'_>> {
        let given = &self.forms.given;
        let own = given.range(index)?;
        let Some(join) = self.join_of(index).filter(|join| join.statements > 1) else {
            let text = own.start..own.end.saturating_sub(self.behind(index));
            let behind = given.get(text.end..own.end);
            return Some(Parts { prefix: &[], rows: given.get(text), tail: &[], behind });
        };
        let (prefix, tail) = (join.prefix as usize, join.tail as usize);
        // Where they are joined, one of them has what the others have not.
        let (first, last) = match self.forms.is_joined() {
            true => (join.first as usize, join.last()),
            false => (index, index),
        };
        let start = given.range(first)?.start;
        let end = given.range(last)?.end.saturating_sub(self.behind(last));
        let rows_start = own.start + if index == first { prefix } else { 0 };
        let rows_end = if index == last { end } else { own.end };
        let rows_end = rows_end.saturating_sub(if index == last { tail } else { 1 });
        Some(Parts {
            prefix: given.get(start..start + prefix),
            rows: given.get(rows_start..rows_end),
            tail: given.get(end.saturating_sub(tail)..end),
            behind: if index == last { given.get(end..own.end) } else { PARTED },
        })
    }

    /// The text of the statement of this index (from 0), without its terminator; none where there
    /// is no such statement.
    pub fn statement(&self, index: usize) -> Option<Cow<'_, [u8]>> {
        self.parts(index).map(Parts::text)
    }

    /// Where the text of the statement of this index is in [`body`](Self::body), without its
    /// terminator.
    pub(crate) fn text(&self, index: usize) -> Option<Range<usize>> {
        let start = self.range(index)?.start;
        Some(start..start + self.parts(index)?.len())
    }

    /// The statement of this index with its separator.
    pub(crate) fn whole(&self, index: usize) -> Option<Cow<'_, [u8]>> {
        if self.forms.is_joined() && self.join_of(index).is_some() {
            let parts = self.parts(index)?;
            return Some(Cow::Owned([&parts.text(), parts.behind].concat()));
        }
        let Form { body, .. } = &self.forms.given;
        self.forms.given.range(index).and_then(|range| body.get(range)).map(Cow::Borrowed)
    }

    /// Where each statement ends in [`sent`](Self::sent), those that are joined being one.
    pub fn sent_ends(&self) -> Vec<u32> {
        let form = self.sent_form();
        let mut ends = Vec::new();
        let mut next = 0;
        for join in self.joins.iter().filter(|join| join.statements > 1) {
            ends.extend_from_slice(form.ends.get(next..join.first as usize).unwrap_or_default());
            next = join.last();
        }
        ends.extend_from_slice(form.ends.get(next..).unwrap_or_default());
        ends
    }

    /// Where the rows of these statements, which are joined, are in [`sent`](Self::sent).
    pub(crate) fn rows_sent(&self, statements: Range<usize>) -> Range<usize> {
        let form = self.sent_form();
        let last = statements.end.saturating_sub(1);
        let place = |index| form.range(index).unwrap_or_default();
        let prefix = |index| self.parts(index).map_or(0, |parts| parts.prefix.len());
        let skipped = if self.is_joined(statements.start) { 0 } else { prefix(statements.start) };
        let rows = self.parts(last).map_or(0, |parts| parts.rows.len());
        place(statements.start).start + skipped..place(last).start + rows
    }

    /// Where in [`body`](Self::body) the byte at this offset of [`sent`](Self::sent) is.
    pub(crate) fn apart_from_sent(&self, offset: usize) -> Option<usize> {
        let form = self.sent_form();
        let index = form.ends.partition_point(|&end| end as usize <= offset);
        let index = index.min(self.statements().checked_sub(1)?);
        let prefix = match self.is_joined(index) {
            true => self.join_of(index)?.prefix as usize,
            false => 0,
        };
        let behind = offset.saturating_sub(form.range(index)?.start);
        Some(self.range(index)?.start + prefix + behind)
    }

    /// Bytes in a text behind that of a statement, its terminator and what parts it from the next.
    pub(crate) fn behind(&self, index: usize) -> usize {
        let terminator = self.stretch_of(index).map_or(0, |stretch| stretch.terminator);
        self.behind_terminated(index, terminator)
    }

    /// As [`behind`](Self::behind), where the bytes of its terminator are known.
    pub(crate) fn behind_terminated(&self, index: usize, terminator: u32) -> usize {
        terminator as usize + usize::from(index + 1 < self.statements())
    }

    /// The statements one by one.
    fn apart(&self) -> Form {
        let mut body = Vec::with_capacity(self.body_bytes());
        let mut ends = Vec::with_capacity(self.statements());
        for parts in (0..self.statements()).filter_map(|index| self.parts(index)) {
            for part in [parts.prefix, parts.rows, parts.tail, parts.behind] {
                body.extend_from_slice(part);
            }
            ends.push(clamp(body.len()));
        }
        Form { body: Arc::new(body), ends }
    }

    /// The statements as they are sent.
    fn joined(&self) -> Form {
        let mut body = Vec::with_capacity(self.sent_bytes());
        let mut ends: Vec<u32> = Vec::with_capacity(self.statements());
        let mut behind = 0;
        for index in 0..self.statements() {
            let Some(parts) = self.parts(index) else { continue };
            if self.is_joined(index) {
                body.truncate(body.len().saturating_sub(behind));
                body.push(b',');
                ends.last_mut().into_iter().for_each(|end| *end = clamp(body.len()));
            } else {
                body.extend_from_slice(parts.prefix);
            }
            for part in [parts.rows, parts.tail, parts.behind] {
                body.extend_from_slice(part);
            }
            behind = parts.tail.len() + parts.behind.len();
            ends.push(clamp(body.len()));
        }
        Form { body: Arc::new(body), ends }
    }
}

fn clamp(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
