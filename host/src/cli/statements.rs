//! Batches as text: for people, and one line of JSON a statement.

use std::{
    borrow::Cow,
    io::{self, Write},
    str,
    sync::Arc,
};

use serde::Serialize;
use sql_batcher::{Batch, CopyPart, Position, Scope, SealReason, Splitter, StatementKind};

use super::feed::Taker;

/// Characters of a statement's first line that `--brief` shows.
const BRIEF_CHARS: usize = 100;

/// How statements are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    /// For people, with their whole text.
    Whole,
    /// For people, the first line of each.
    Brief,
    /// For machines.
    Json,
}

/// Prints batches as they come.
pub(super) struct Printer<W> {
    out: W,
    style: Style,
    /// The beginning of a `COPY` block whose data is still coming, and bytes of it so far.
    copy: Option<(Batch, u64)>,
}

impl<W: Write> Printer<W> {
    pub(super) fn new(out: W, style: Style) -> Self {
        Self { out, style, copy: None }
    }

    /// Prints what was held back.
    pub(super) fn finish(mut self, splitter: &Splitter) -> io::Result<()> {
        self.release(splitter)?;
        self.out.flush()
    }

    fn batch(&mut self, splitter: &Splitter, batch: Batch) -> io::Result<()> {
        match self.style {
            Style::Json => self.json(splitter, batch),
            Style::Whole | Style::Brief => self.text(splitter, &batch),
        }
    }

    /// How much data a `COPY` has is known at its end, so that its line waits for it.
    fn json(&mut self, splitter: &Splitter, batch: Batch) -> io::Result<()> {
        let data = data_bytes(&batch);
        match batch.copy {
            Some(CopyPart::First) => {
                self.release(splitter)?;
                self.copy = Some((batch, data));
                Ok(())
            }
            Some(CopyPart::Middle | CopyPart::Last) => {
                if let Some((_, so_far)) = &mut self.copy {
                    *so_far += data;
                }
                Ok(())
            }
            Some(CopyPart::Whole) | None => {
                self.release(splitter)?;
                self.json_lines(splitter, &batch, data)
            }
        }
    }

    fn release(&mut self, splitter: &Splitter) -> io::Result<()> {
        match self.copy.take() {
            Some((batch, data)) => self.json_lines(splitter, &batch, data),
            None => Ok(()),
        }
    }

    fn json_lines(&mut self, splitter: &Splitter, batch: &Batch, data: u64) -> io::Result<()> {
        for (index, position) in splitter.positions(batch).enumerate() {
            let Some(statement) = Statement::of(batch, index, position) else { continue };
            let text = str::from_utf8(&statement.sql);
            let line = Line {
                batch: batch.id,
                statement: statement.position.statement,
                file: statement.position.input.as_ref(),
                line: statement.position.line,
                column: statement.position.column,
                offset: statement.position.offset,
                bytes: statement.sql.len(),
                kind: statement.kind,
                sql: text.ok(),
                sql_base64: text.is_err().then(|| base64(&statement.sql)),
                data_bytes: batch.copy.map(|_| data),
                merged: batch.is_joined(index),
            };
            serde_json::to_writer(&mut self.out, &line)?;
            self.out.write_all(b"\n")?;
        }
        Ok(())
    }

    fn text(&mut self, splitter: &Splitter, batch: &Batch) -> io::Result<()> {
        let scope = scope(batch.scope);
        let sealed_by = sealed_by(batch.sealed_by);
        let bytes = batch.sent_bytes();
        match batch.statements() {
            0 => write!(self.out, "batch {}: data", batch.id)?,
            1 => write!(self.out, "batch {}: 1 statement", batch.id)?,
            count => write!(self.out, "batch {}: {count} statements", batch.id)?,
        }
        if batch.commands() < batch.statements() {
            write!(self.out, " merged to {}", batch.commands())?;
        }
        writeln!(self.out, ", {bytes} bytes, {scope}, {sealed_by}")?;
        for (index, position) in splitter.positions(batch).enumerate() {
            if let Some(statement) = Statement::of(batch, index, position) {
                self.statement(&statement)?;
            }
        }
        match batch.copy.map(|_| data_bytes(batch)) {
            Some(data) => writeln!(self.out, "    … {data} bytes of data"),
            None => Ok(()),
        }
    }

    fn statement(&mut self, statement: &Statement<'_>) -> io::Result<()> {
        let Statement { position, kind, sql, .. } = statement;
        let kind = word(*kind);
        let text = String::from_utf8_lossy(sql);
        if self.style == Style::Brief {
            let first = text.lines().next().unwrap_or_default();
            let shown: String = first.chars().take(BRIEF_CHARS).map(visible).collect();
            let more = if shown.len() < text.len() { " …" } else { "" };
            return writeln!(self.out, "  {position} {kind}: {shown}{more}");
        }
        writeln!(self.out, "  {position} {kind}:")?;
        for line in text.lines() {
            let line: String = line.chars().map(visible).collect();
            writeln!(self.out, "    {line}")?;
        }
        Ok(())
    }
}

impl<W: Write> Taker for Printer<W> {
    fn take(&mut self, splitter: &Splitter, batches: Vec<Batch>) -> io::Result<()> {
        for batch in batches {
            self.batch(splitter, batch)?;
        }
        self.out.flush()
    }
}

/// What is known of one statement.
struct Statement<'a> {
    position: Position,
    kind: StatementKind,
    sql: Cow<'a, [u8]>,
}

impl<'a> Statement<'a> {
    fn of(batch: &'a Batch, index: usize, position: Position) -> Option<Self> {
        Some(Self { position, kind: batch.kind(index)?, sql: batch.statement(index)? })
    }
}

#[derive(Serialize)]
struct Line<'a> {
    batch: u64,
    statement: u64,
    file: Option<&'a Arc<str>>,
    line: u32,
    column: u32,
    offset: u64,
    bytes: usize,
    kind: StatementKind,
    #[serde(skip_serializing_if = "Option::is_none")]
    sql: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sql_base64: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data_bytes: Option<u64>,
    /// Whether it is sent as one with the statement before it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    merged: bool,
}

/// Bytes of a `COPY`'s data in this batch.
fn data_bytes(batch: &Batch) -> u64 {
    let statements = batch.ends().last().copied().unwrap_or(0);
    (batch.body().len() as u64).saturating_sub(u64::from(statements))
}

fn scope(scope: Scope) -> &'static str {
    match scope {
        Scope::Atomic => "atomic",
        Scope::Bare => "bare",
        Scope::Scripted => "scripted",
    }
}

fn sealed_by(reason: SealReason) -> String {
    format!("sealed by {}", word(reason))
}

/// The word that JSON has for it.
fn word(value: impl Serialize) -> String {
    let value = serde_json::to_value(value).unwrap_or_default();
    value.as_str().unwrap_or_default().to_owned()
}

/// Keeps control characters from doing something to the terminal.
fn visible(character: char) -> char {
    match character {
        '\t' => character,
        '\0'..='\u{1f}' => char::from_u32(0x2400 + u32::from(character)).unwrap_or('\u{fffd}'),
        '\u{7f}'..='\u{9f}' => '\u{fffd}',
        _ => character,
    }
}

/// Base64 with padding (RFC 4648, section 4).
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let at = |index: usize| u32::from(group.get(index).copied().unwrap_or(0));
        let bits = at(0) << 16 | at(1) << 8 | at(2);
        for index in 0..4_usize {
            let sextet = (bits >> (18 - 6 * index)) & 63;
            let letter = char::from(ALPHABET[sextet as usize]);
            text.push(if index <= group.len() { letter } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_that_of_the_rfc() {
        for (bytes, text) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
        assert_eq!(base64(&[0xff, 0xfe]), "//4=");
    }

    #[test]
    fn control_characters_are_shown_and_not_obeyed() {
        let shown: String = "a\u{1b}[2J\tb\u{9b}é".chars().map(visible).collect();
        assert_eq!(shown, "a␛[2J\tb\u{fffd}é");
    }
}
