//! What a splitter finds.

use crate::classify::Classified;
use crate::copy::CopyData;

/// A statement in the window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Statement {
    /// Where its first byte is.
    pub(crate) start: usize,
    /// Where its text ends, without terminator.
    pub(crate) end: usize,
    /// Where its terminator ends.
    pub(crate) after: usize,
    /// Whether its text ends inside a `--` comment, which must not swallow what is put behind it.
    pub(crate) ends_in_comment: bool,
    pub(crate) class: Classified,
    /// Rows of `VALUES`, where they are counted.
    pub(crate) rows: u32,
    /// Whether the data of a `COPY` follows.
    pub(crate) copy: bool,
}

/// What the window holds next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Item {
    /// Nothing more without more text.
    More,
    Statement(Statement),
    /// Data of the `COPY` statement before it.
    CopyData(CopyData),
    /// A client command at `start` that is passed over.
    PassedOver {
        start: usize,
    },
    Refused(Refusal),
}

/// Something that cannot be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// Where it is; none where that is a comment whose beginning was dropped.
    pub(crate) at: Option<usize>,
    pub(crate) reason: Reason,
}

/// Why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    /// Something is not closed at the end of the input.
    Unclosed(&'static str),
    /// Something is not closed within the limit of a statement.
    UnclosedWithin(&'static str),
    /// A statement that goes on beyond the limit.
    TooLong,
    /// A command that only the database's client could run.
    ClientCommand(String),
    /// Text behind a `COPY … FROM stdin;` in its line.
    TextAfterCopy,
}
