//! A body that a hook gives in place of another: split and sized again, and held against what it
//! replaces. Both are split by the same rules, so that a statement with terminators inside, as
//! `DELIMITER` allows, is known by its pieces.

use memchr::memchr;

use crate::classify::{Classified, Effect};
use crate::dialect::Dialect;
use crate::filling::Reading;
use crate::insert::Text;
use crate::joined::Around;
use crate::merging::{Found, Merger};
use crate::position::units_of_utf16;
use crate::sequence::Fault;
use crate::settings::backslash_setting;
use crate::splitter::{Item, Splitter};
use crate::types::{Batch, FailureKind, Join, Kind, Options, Oversized, Position, Scope, Stretch};

/// What ends at a terminator: a statement, or a piece of one that has terminators inside.
struct Piece<'a> {
    start: usize,
    /// Without terminator.
    end: usize,
    after: usize,
    text: &'a [u8],
    class: Classified,
    rows: u32,
    /// What it says about backslashes in strings behind it.
    setting: Option<bool>,
}

/// A batch whose statements are apart with this body in place of its own; none where they are the
/// same.
pub(crate) fn replace(
    options: &Options,
    batch: &Batch,
    reading: Reading,
    body: Vec<u8>,
) -> Result<Option<Batch>, Fault> {
    if body == batch.body {
        return Ok(None);
    }
    if batch.copy.is_some() {
        return Err(hook("the data of a copy cannot be replaced"));
    }
    check_nul(options, &body)?;
    let counts_rows = options.limits.max_rows.is_some();
    let split = |body| split(options.dialect, body, reading, counts_rows);
    let (Some(old), Some(new)) = (split(&batch.body), split(&body)) else {
        return Err(hook("the replaced body is no script of whole statements"));
    };
    let Some(statements) = statements_of(&old, &batch.ends) else {
        return Err(hook("a statement that its client command delimits cannot be replaced"));
    };
    if new.len() != old.len() {
        let (new, old) = (new.len(), old.len());
        return Err(hook(format!("the replaced body has {new} statements in place of {old}")));
    }
    for (index, pair) in old.iter().zip(&new).enumerate() {
        check_piece(batch, pair)
            .map_err(|fact| hook(format!("replaced statement {}: {fact}", index + 1)))?;
    }
    let rows = check_rows(options, batch, &new)?;
    let Shape { ends, stretches } = Shape::of(&new, &statements, batch, &body);
    let (is_ascii, joined) = (body.is_ascii(), Vec::new());
    let mut replaced =
        Batch { ends, stretches, rows, body, is_ascii, joins: joined, ..batch.clone() };
    replaced.joins = joins(options, &replaced, &batch.joins, reading);
    check_size(options, &replaced.sent())?;
    Ok(Some(replaced))
}

fn hook(fact: impl Into<String>) -> Fault {
    (FailureKind::Hook, fact.into())
}

/// What is joined of a body: what was joined before and still differs in rows only.
fn joins(options: &Options, batch: &Batch, before: &[Join], reading: Reading) -> Vec<Join> {
    let Some(merging) = options.merging.filter(|_| !reading.changes) else {
        return Vec::new();
    };
    let mut joins: Vec<Join> = Vec::new();
    for old in before {
        let mut merger = Merger::new(options.dialect, merging);
        for index in old.first..old.first + old.statements {
            let text = batch.statement(index as usize);
            let whole = Text::new(text, 0, text.len());
            let found = merger.look(whole, reading.backslash);
            merger.take(text, found);
            if !batch.takes_rows(index as usize) {
                merger.close();
            }
            match found {
                Some(found) if found.joins => {
                    joins.last_mut().into_iter().for_each(|join| join.statements += 1);
                }
                Some(Found { around: Around { prefix, tail }, .. }) => {
                    joins.push(Join { first: index, statements: 1, prefix, tail });
                }
                None => {}
            }
        }
    }
    if !merging.locates_rows {
        joins.retain(|join| join.statements > 1);
    }
    joins
}

/// Whether a batch keeps the limits as it is sent.
fn check_size(options: &Options, batch: &Batch) -> Result<(), Fault> {
    let limits = &options.limits;
    let limit = match options.oversized {
        Oversized::SendAlone(most) if batch.ends.len() == 1 => most.max(limits.max_batch_bytes),
        _ => limits.max_batch_bytes,
    };
    let joined: u32 = batch.joins.iter().map(|join| join.statements - 1).sum();
    let commands = batch.ends.len() as u64 - u64::from(joined);
    let exceeded = |what: &str, count: u64, limit: u64| {
        let fact = format!("replaced body of {count} {what} exceeds the limit of {limit}");
        (count > limit).then_some((FailureKind::BatchSizeExceeded, fact))
    };
    let characters = || match limits.max_batch_characters {
        Some(most) => exceeded("characters", units_of_utf16(&batch.body), most),
        None => None,
    };
    let commands = || match limits.max_commands {
        Some(most) => exceeded("statements", commands, u64::from(most)),
        None => None,
    };
    exceeded("bytes", batch.body.len() as u64, limit)
        .or_else(characters)
        .or_else(commands)
        .map_or(Ok(()), Err)
}

fn check_nul(options: &Options, body: &[u8]) -> Result<(), Fault> {
    if !options.dialect.rules().nul && memchr(0, body).is_some() {
        return Err(hook("the replaced body holds a NUL byte"));
    }
    Ok(())
}

fn check_rows(options: &Options, batch: &Batch, pieces: &[Piece<'_>]) -> Result<u32, Fault> {
    let rows = pieces.iter().fold(0_u32, |sum, piece| sum.saturating_add(piece.rows));
    match options.limits.max_rows {
        Some(limit) if rows > limit && batch.ends.len() > 1 => {
            let fact = format!("replaced body of {rows} rows exceeds the limit of {limit}");
            Err((FailureKind::BatchSizeExceeded, fact))
        }
        _ => Ok(rows),
    }
}

/// The pieces of a body; none where it is no script, an empty one, or has the data of a `COPY`.
fn split(
    dialect: Dialect,
    body: &[u8],
    reading: Reading,
    counts_rows: bool,
) -> Option<Vec<Piece<'_>>> {
    let mut splitter = Splitter::new(dialect, body.len(), counts_rows);
    if let Some(escapes) = reading.backslash {
        splitter.set_backslash(escapes);
    }
    let mut pieces = Vec::new();
    loop {
        match splitter.next(body, true) {
            Item::Statement(statement) if !statement.copy => {
                let text = &body[statement.start..statement.end];
                let setting = match statement.class.kind {
                    Kind::Set => backslash_setting(dialect, text),
                    _ => None,
                };
                if let Some(escapes) = setting {
                    splitter.set_backslash(escapes);
                }
                pieces.push(Piece {
                    start: statement.start,
                    end: statement.end,
                    after: statement.after,
                    text,
                    class: statement.class,
                    rows: statement.rows,
                    setting,
                });
            }
            Item::More if !pieces.is_empty() => return Some(pieces),
            _ => return None,
        }
    }
}

/// The statement that each piece belongs to, by index; none where the pieces do not make up the
/// statements.
fn statements_of(pieces: &[Piece<'_>], ends: &[u32]) -> Option<Vec<usize>> {
    let statements: Vec<usize> = pieces
        .iter()
        .map(|piece| ends.partition_point(|&end| end as usize <= piece.start))
        .collect();
    let within = |(piece, statement): (&Piece<'_>, &usize)| {
        ends.get(*statement).is_some_and(|&end| piece.after <= end as usize)
    };
    let mut distinct = statements.clone();
    distinct.dedup();
    let fits = pieces.iter().zip(&statements).all(within) && distinct.len() == ends.len();
    fits.then_some(statements)
}

/// Whether a piece may stand where another stood.
fn check_piece(batch: &Batch, (old, new): (&Piece<'_>, &Piece<'_>)) -> Result<(), &'static str> {
    if old.setting != new.setting {
        return Err("it changes how the strings behind it are read");
    }
    let effect = |piece: &Piece<'_>| match piece.class.effect {
        // There is nothing open that it could commit.
        Effect::ImplicitCommit if batch.scope == Scope::Bare => Effect::None,
        effect => effect,
    };
    let control = "it controls transactions otherwise than the one before";
    if effect(old) != effect(new) {
        return Err(control);
    }
    if (is_control(old.class.kind) || is_control(new.class.kind))
        && (old.class.kind != new.class.kind || !is_same_but_for_comments(old.text, new.text))
    {
        return Err(control);
    }
    let by_itself = batch.scope == Scope::Bare && batch.ends.len() == 1;
    if new.class.alone && !old.class.alone && !by_itself {
        return Err("it cannot share a transaction with others");
    }
    Ok(())
}

fn is_control(kind: Kind) -> bool {
    matches!(kind, Kind::Begin | Kind::Commit | Kind::Rollback | Kind::Savepoint | Kind::Lock)
}

/// Whether nothing but a comment follows the text that was there.
fn is_same_but_for_comments(old: &[u8], new: &[u8]) -> bool {
    let Some(rest) = new.strip_prefix(old) else { return false };
    let rest = rest.trim_ascii();
    let inside = rest.strip_prefix(b"/*").and_then(|rest| rest.strip_suffix(b"*/"));
    let is_plain = |text: &[u8]| {
        !text.starts_with(b"!")
            && !text.starts_with(b"M!")
            && !text.windows(2).any(|pair| pair == b"*/" || pair == b"/*")
    };
    rest.is_empty() || inside.is_some_and(is_plain)
}

/// Where the statements of a new body are, each of which comes from where the one did that it
/// replaces.
struct Shape {
    ends: Vec<u32>,
    stretches: Vec<Stretch>,
}

impl Shape {
    fn of(pieces: &[Piece<'_>], statements: &[usize], replaced: &Batch, body: &[u8]) -> Self {
        let mut shape = Self { ends: Vec::new(), stretches: Vec::new() };
        let mut kind = Kind::Other;
        let mut positions = replaced.positions();
        for (index, piece) in pieces.iter().enumerate() {
            if index == 0 || statements.get(index - 1) != statements.get(index) {
                kind = piece.class.kind;
            }
            if statements.get(index) == statements.get(index + 1) {
                continue;
            }
            let is_last = index + 1 == pieces.len();
            let newline = usize::from(body.get(piece.after) == Some(&b'\n'));
            let end = if is_last { body.len() } else { piece.after + newline };
            let Some(Position { offset, line, column, .. }) = positions.next() else { break };
            let (first, terminator) =
                (narrow(shape.ends.len()), narrow(end - piece.end - usize::from(!is_last)));
            shape.stretches.push(Stretch { first, offset, line, column, terminator, kind });
            shape.ends.push(narrow(end));
        }
        shape
    }
}

/// Bodies are shorter than 4 GiB.
fn narrow(position: usize) -> u32 {
    u32::try_from(position).unwrap_or(u32::MAX)
}
