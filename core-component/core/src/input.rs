//! Text that was handed over, up to where it is read.

use std::collections::VecDeque;

use memchr::memmem;

use crate::copy::CopyData;
use crate::position::{Cursor, Tracker};

/// Below this, moving the rest of the buffer to its front is not worth it.
pub(crate) const COMPACT_BYTES: usize = 64 * 1024;

/// How far into a chunk the statement may reach that has begun before it.
const LONGEST_SEAM: usize = 4096;

/// A place in the buffer at which something happens once all before it is read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mark {
    pub(crate) at: usize,
    /// An input ends; otherwise a flush.
    pub(crate) input_ends: bool,
}

/// Text that has not been read yet, or not to its end.
#[derive(Debug)]
pub(crate) struct Input {
    pub(crate) buffer: Vec<u8>,
    pub(crate) marks: VecDeque<Mark>,
    /// How far positions are counted.
    pub(crate) tracker: Tracker,
    /// Whether nothing of the input is read yet.
    pub(crate) at_start: bool,
    /// Where the comment begins whose beginning was dropped last.
    pub(crate) comment: Cursor,
    /// Data of a `COPY` that has not found room yet.
    pub(crate) data: Option<CopyData>,
}

impl Input {
    pub(crate) fn new() -> Self {
        Self {
            buffer: Vec::new(),
            marks: VecDeque::new(),
            tracker: Tracker::new(),
            at_start: true,
            comment: Cursor::new(),
            data: None,
        }
    }

    pub(crate) fn push(&mut self, chunk: Vec<u8>) {
        if !self.buffer.is_empty() {
            return self.extend(&chunk);
        }
        self.buffer = chunk;
        self.tracker.grow(&self.buffer, 0);
    }

    /// As [`push`](Self::push), of text that is copied in any case.
    pub(crate) fn extend(&mut self, text: &[u8]) {
        let length = self.buffer.len();
        self.buffer.extend_from_slice(text);
        self.tracker.grow(&self.buffer, length);
    }

    /// How many bytes of a chunk end the statement that has begun in the buffer, if that seems so
    /// and it is worth it: the rest can then be read where it is.
    pub(crate) fn seam(&self, chunk: &[u8]) -> Option<usize> {
        let plain = !self.buffer.is_empty() && self.marks.is_empty() && self.data.is_none();
        let first = chunk.get(..LONGEST_SEAM).filter(|_| plain && chunk.len() >= COMPACT_BYTES)?;
        memmem::find(first, b";\n").map(|at| at + 1)
    }

    /// Goes on with a chunk, of which so many bytes are read; the buffer is empty.
    pub(crate) fn go_on_in(&mut self, chunk: Vec<u8>, read: usize) {
        self.buffer = chunk;
        self.tracker.go_on_in(&self.buffer, read);
    }

    pub(crate) fn end(&mut self) {
        self.marks.push_back(Mark { at: self.buffer.len(), input_ends: true });
    }

    pub(crate) fn flush(&mut self) {
        self.marks.push_back(Mark { at: self.buffer.len(), input_ends: false });
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::new();
    }

    /// The place of a byte of the buffer that is not behind the tracker.
    pub(crate) fn place(&self, at: usize) -> Cursor {
        self.tracker.ahead(&self.buffer, at)
    }

    pub(crate) fn move_to(&mut self, at: usize) {
        self.tracker.move_to(&self.buffer, at);
    }
}
