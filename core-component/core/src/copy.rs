//! The data behind `COPY … FROM stdin;`: everything from the next line up to a line that is `\.`,
//! or to the end of the input. It is passed on as it comes, in pieces of any size.

use memchr::memchr;

/// A piece of data in the window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CopyData {
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) last: bool,
}

/// Which part of the block is being read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    /// The rest of the statement's own line.
    Line,
    /// A comment in it.
    Comment,
    Data,
}

#[derive(Debug)]
pub(crate) struct CopyReader {
    part: Part,
    /// Whether `at` is at the beginning of a line.
    line_start: bool,
}

impl CopyReader {
    pub(crate) fn new() -> Self {
        Self { part: Part::Line, line_start: true }
    }

    /// The next piece from `at` on, which is moved behind it; none where more text is needed.
    ///
    /// # Errors
    /// Where text stands behind the statement in its line: where that is.
    pub(crate) fn next(
        &mut self,
        text: &[u8],
        at: &mut usize,
        ended: bool,
    ) -> Result<Option<CopyData>, usize> {
        if self.part != Part::Data && !self.skip_line(text, at, ended)? {
            return Ok(None);
        }
        let start = *at;
        let mut line = start;
        while line < text.len() {
            if self.line_start {
                match end_marker(&text[line..], ended) {
                    Marker::Found(length) => {
                        *at = line + length;
                        return Ok(Some(CopyData { start, end: line, last: true }));
                    }
                    Marker::More => break,
                    Marker::No => {}
                }
            }
            let newline = memchr(b'\n', &text[line..]);
            self.line_start = newline.is_some();
            line = newline.map_or(text.len(), |length| line + length + 1);
        }
        *at = line;
        if ended && line == text.len() {
            return Ok(Some(CopyData { start, end: line, last: true }));
        }
        Ok((line > start).then_some(CopyData { start, end: line, last: false }))
    }

    /// Skips the rest of the statement's line; whether its end was seen.
    fn skip_line(&mut self, text: &[u8], at: &mut usize, ended: bool) -> Result<bool, usize> {
        while let Some(&byte) = text.get(*at) {
            match (self.part, byte, text.get(*at + 1)) {
                (_, b'\n', _) => {
                    *at += 1;
                    self.part = Part::Data;
                    return Ok(true);
                }
                (Part::Comment, ..) => {
                    *at = memchr(b'\n', &text[*at..]).map_or(text.len(), |length| *at + length);
                }
                (_, b'-', Some(b'-')) => self.part = Part::Comment,
                (_, b'-', None) if !ended => return Ok(false),
                (_, byte, _) if byte.is_ascii_whitespace() => *at += 1,
                _ => return Err(*at),
            }
        }
        self.part = if ended { Part::Data } else { self.part };
        Ok(ended)
    }
}

enum Marker {
    Found(usize),
    No,
    More,
}

/// Whether a line is `\.`
fn end_marker(line: &[u8], ended: bool) -> Marker {
    match line {
        [b'\\', b'.', b'\n', ..] => Marker::Found(3),
        [b'\\', b'.', b'\r', b'\n', ..] => Marker::Found(4),
        [b'\\', b'.'] | [b'\\', b'.', b'\r'] if ended => Marker::Found(line.len()),
        [b'\\'] | [b'\\', b'.'] | [b'\\', b'.', b'\r'] if !ended => Marker::More,
        _ => Marker::No,
    }
}
