//! Requests with INSERTs of constants whose rows are copied, `COPY … FROM STDIN`.
//!
//! A request is cut into pieces: INSERTs that are copied, and the text between them. The pieces are
//! applied whole or not at all, as the text would be: in a transaction, or, in one of the script's
//! own, behind a savepoint. Whatever the database refuses is taken back and sent once more as text,
//! so that what is said of it is what is said of the text; only what is not about a statement (a
//! lost connection, a cancel, a deadlock) is told at once.
//!
//! Round trips: an INSERT alone, in a request of one transaction, costs two; with others, or in a
//! transaction of the script's own, two more for all, and two for each further one. A table costs
//! one more when it is seen first.

use std::{fmt::Write as _, sync::Arc};

use sqlx::{AssertSqlSafe, Executor as _, PgConnection};

use crate::{
    Effects, Fault, InsertRows, Problem, Scope,
    answers::Ran,
    body::{Body, first_word},
    insert::{Insert, holds},
    literals::{Rows, Syntax},
    query,
};

use super::{
    execute::{Link, Session, run},
    problem::problem,
    rows::copied,
    tables::{self, Table},
    target::Target,
};

/// Fewer bytes of rows than this are inserted sooner than they are copied.
const MIN_BYTES: usize = 8 << 10;

/// Bytes that are sent at once.
const CHUNK: usize = 256 << 10;

/// Where a transaction of the script's own goes back to.
const SAVEPOINT: &str = "sql_batcher_fast_path";

/// A part of a request.
struct Piece {
    /// The first statement of it.
    first: u32,
    /// A text, or the statement that copies the data.
    sql: String,
    /// How many statements a text has.
    count: u32,
    /// What is copied, and the table.
    copied: Option<(Vec<u8>, String)>,
    /// Whether the transaction ends with it.
    ends: bool,
}

/// How the pieces of a request hang together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Frame {
    /// One INSERT, which is a transaction by itself.
    Single,
    /// A transaction of the adapter's own.
    Own,
    /// The script's own transaction, which its first statement opens, if so.
    Scripts { begins: bool },
}

/// What stopped the pieces of a request.
struct Stopped {
    error: sqlx::Error,
    first: u32,
    /// Whether it may be applied all the same.
    may_be_applied: bool,
    is_first_piece: bool,
}

impl Session {
    /// Applies a request with rows that are copied; none, with nothing done, where it has none.
    pub(super) async fn fast(
        &mut self,
        body: Body<'_>,
        inserts: &[InsertRows],
        scope: Scope,
    ) -> Option<Result<Effects, Problem>> {
        let frame = frame_of(body, inserts, scope)?;
        body.text().ok()?;
        let mut copies = Vec::new();
        for (at, statement) in located(body, inserts) {
            if let Some(piece) = self.copy_of(statement, at, frame).await {
                copies.push(piece);
            }
        }
        if copies.is_empty() {
            return None;
        }
        let pieces = pieces(body, copies, frame)?;
        Some(self.apply(body, frame, &pieces).await)
    }

    /// The copy in place of an INSERT, if it is certain to do the same.
    async fn copy_of(&mut self, statement: &[u8], at: &InsertRows, frame: Frame) -> Option<Piece> {
        let insert = Insert::of(statement, at)?;
        if insert.rows.len() < MIN_BYTES || !insert.tail.is_empty() {
            return None;
        }
        let target = Target::of(insert.into)?;
        let table = match self.tables.known(target.table) {
            Some(known) => known?,
            None => self.ask_for(target.table, frame).await?,
        };
        let data = copied(insert.rows, &table.kinds(&target)?)?;
        let sql = format!("COPY {} {} FROM STDIN", target.table, target.list);
        let copied = Some((data, target.table.to_owned()));
        Some(Piece { first: at.statement, sql, count: 1, copied, ends: false })
    }

    /// Asks the catalog for a table, without harm to a transaction that is open.
    async fn ask_for(&mut self, name: &str, frame: Frame) -> Option<Arc<Table>> {
        let query = tables::query(name);
        let is_inside = frame == Frame::Scripts { begins: false };
        let sql = match is_inside {
            true => format!("SAVEPOINT {SAVEPOINT}; {query}; RELEASE SAVEPOINT {SAVEPOINT}"),
            false => query,
        };
        let mut lease = self.take().ok()?;
        let asked = lease.fetch_all(sqlx::raw_sql(AssertSqlSafe(sql))).await;
        self.put(lease, asked.as_ref().err());
        if asked.is_err() && is_inside {
            // Outside of a transaction there was no savepoint, and nothing to go back to.
            drop(self.command(&back()).await);
        }
        let table = Table::of(&query::texts(&asked.ok()?).ok()?).map(Arc::new);
        self.tables.keep(name, table.clone());
        table
    }

    /// Applies the pieces, or what they stand for.
    async fn apply(
        &mut self,
        body: Body<'_>,
        frame: Frame,
        pieces: &[Piece],
    ) -> Result<Effects, Problem> {
        let stopped = match self.each_piece(pieces, frame).await? {
            Ok(rows) => {
                if matches!(frame, Frame::Scripts { .. }) {
                    self.mend();
                }
                return Ok(Effects { rows: Some(rows) });
            }
            Err(stopped) => stopped,
        };
        let mut problem = problem(stopped.error, "");
        problem.statement = Some(stopped.first);
        problem.offset = None;
        problem.outcome_unknown &= stopped.may_be_applied;
        let is_refused = matches!(problem.fault, Fault::Statement | Fault::Unsupported);
        let again = match frame {
            _ if matches!(self.link, Link::Lost) => return Err(problem),
            Frame::Single if is_refused => self.whole(body, Scope::Atomic).await,
            Frame::Single => return Err(problem),
            Frame::Own => {
                if self.command("ROLLBACK").await.is_err() || !is_refused {
                    return Err(problem);
                }
                self.whole(body, Scope::Atomic).await
            }
            Frame::Scripts { .. } if !is_refused => {
                self.look_at_transaction(&mut problem).await;
                return Err(problem);
            }
            Frame::Scripts { begins } => match self.command(&back()).await {
                Ok(_) if begins => self.behind_the_first(body).await,
                Ok(_) => self.whole(body, Scope::Scripted).await,
                // No transaction was open, so the savepoint was refused.
                Err(_) if stopped.is_first_piece && !begins => {
                    self.whole(body, Scope::Scripted).await
                }
                // It is over: the commit was refused.
                Err(_) => {
                    self.look_at_transaction(&mut problem).await;
                    return Err(problem);
                }
            },
        };
        if again.is_ok() {
            // What cannot be copied is not to be tried again.
            for (_, table) in pieces.iter().filter_map(|piece| piece.copied.as_ref()) {
                self.tables.keep(table, None);
            }
        }
        again
    }

    /// Applies the pieces one after the other; gives the rows.
    async fn each_piece(
        &mut self,
        pieces: &[Piece],
        frame: Frame,
    ) -> Result<Result<u64, Stopped>, Problem> {
        let mut lease = self.take()?;
        let mut rows = 0;
        for (index, piece) in pieces.iter().enumerate() {
            let (ran, is_complete) = match &piece.copied {
                Some((data, _)) => copy(&mut lease, &piece.sql, data).await,
                None => (run(&mut lease, &piece.sql).await, piece.ends),
            };
            rows += ran.rows;
            if let Some(error) = ran.error {
                self.put(lease, Some(&error));
                // The last completion is sent after the commit, so what comes later changes nothing.
                if piece.ends && ran.results >= piece.count {
                    return Ok(Ok(rows));
                }
                return Ok(Err(Stopped {
                    error,
                    first: piece.first,
                    may_be_applied: is_complete && (piece.ends || frame == Frame::Single),
                    is_first_piece: index == 0,
                }));
            }
        }
        self.put(lease, None);
        Ok(Ok(rows))
    }

    /// The statements behind the first, which was applied before.
    async fn behind_the_first(&mut self, body: Body<'_>) -> Result<Effects, Problem> {
        let ends: Vec<u32> = body.statements().map(|(start, _)| start).skip(1).collect();
        let Some((&start, _)) = ends.split_first() else { return Ok(Effects::default()) };
        let length = u32::try_from(body.bytes().len()).unwrap_or(u32::MAX);
        let ends = ends.iter().skip(1).chain([&length]).map(|end| end - start);
        let ends: Vec<u32> = ends.collect();
        let rest = body.bytes().get(start as usize..).unwrap_or_default();
        self.whole(Body::new(rest, &ends)?, Scope::Scripted).await.map_err(|mut problem| {
            problem.statement = problem.statement.map(|index| index + 1);
            problem.offset = problem.offset.map(|offset| offset + start);
            problem.kept += u32::from(problem.kept > 0);
            problem
        })
    }
}

/// Whether a statement leaves everything as it is that [`tables`] knows.
pub(super) fn is_harmless(statement: &[u8]) -> bool {
    match first_word(statement).as_str() {
        "BEGIN" | "START" | "SAVEPOINT" | "RELEASE" | "END" => true,
        "COMMIT" => !holds(statement, b"PREPARED"),
        "INSERT" => is_constant(statement),
        _ => false,
    }
}

/// Whether a statement is an INSERT that calls nothing.
fn is_constant(statement: &[u8]) -> bool {
    const VALUES: &[u8] = b"VALUES";
    let words = || statement.windows(VALUES.len());
    let Some(values) = words().position(|word| word.eq_ignore_ascii_case(VALUES)) else {
        return false;
    };
    let behind = statement.get(values + VALUES.len()..).unwrap_or_default();
    let blanks = behind.len() - behind.trim_ascii_start().len();
    let prefix = u32::try_from(values + VALUES.len() + blanks);
    let Ok(prefix) = prefix else { return false };
    let at = InsertRows { statement: 0, prefix, tail: 0 };
    let Some(insert) = Insert::of(statement, &at) else { return false };
    let mut rows = Rows::new(insert.rows, Syntax::PostgreSql);
    loop {
        match rows.read(|_, _| Some(())) {
            Ok(Some(_)) => {}
            Ok(None) => return Target::of(insert.into).is_some(),
            Err(_) => return false,
        }
    }
}

/// The INSERTs of a request whose rows were found.
fn located<'a>(
    body: Body<'a>,
    inserts: &'a [InsertRows],
) -> impl Iterator<Item = (&'a InsertRows, &'a [u8])> {
    let mut inserts = inserts.iter().peekable();
    (0..).zip(body.statements()).filter_map(move |(index, (_, statement))| {
        Some((inserts.next_if(|insert| insert.statement == index)?, statement))
    })
}

/// How the request is to be cut; none where a statement in it forbids that: one that may change
/// what is known of tables, one that controls transactions in the middle, or one about savepoints,
/// which the adapter's own would stand between.
fn frame_of(body: Body<'_>, inserts: &[InsertRows], scope: Scope) -> Option<Frame> {
    if inserts.is_empty() {
        return None;
    }
    let mut begins = false;
    let mut places = inserts.iter().peekable();
    for (index, (_, statement)) in (0..).zip(body.statements()) {
        if places.next_if(|place| place.statement == index).is_some() {
            continue;
        }
        if !is_harmless(statement) {
            return None;
        }
        match first_word(statement).as_str() {
            "BEGIN" | "START" if index == 0 && scope == Scope::Scripted => begins = true,
            "COMMIT" | "END" if index + 1 == body.count() && scope == Scope::Scripted => {}
            "INSERT" => {}
            _ => return None,
        }
    }
    match scope {
        Scope::Scripted => Some(Frame::Scripts { begins }),
        _ if body.count() == 1 => Some(Frame::Single),
        _ => Some(Frame::Own),
    }
}

/// The pieces of a request, what frames them included.
fn pieces(body: Body<'_>, copies: Vec<Piece>, frame: Frame) -> Option<Vec<Piece>> {
    let (opens, closes) = match frame {
        Frame::Single => return Some(copies),
        Frame::Own => (String::from("BEGIN"), Some("COMMIT")),
        Frame::Scripts { begins: false } => (format!("SAVEPOINT {SAVEPOINT}"), None),
        Frame::Scripts { begins: true } => (String::new(), None),
    };
    let release = format!("RELEASE SAVEPOINT {SAVEPOINT}");
    let mut copies = copies.into_iter().peekable();
    let mut pieces = Vec::new();
    let mut open = Piece::new(0);
    if !opens.is_empty() {
        open.add(&opens);
    }
    for (index, (_, statement)) in (0..).zip(body.statements()) {
        if let Some(copy) = copies.next_if(|copy| copy.first == index) {
            if !open.sql.is_empty() {
                pieces.push(open);
            }
            pieces.push(copy);
            open = Piece::new(index + 1);
            continue;
        }
        let word = first_word(statement);
        if matches!(word.as_str(), "COMMIT" | "END") {
            open.add(&release);
            open.ends = true;
        }
        open.add(std::str::from_utf8(statement).ok()?);
        if matches!(word.as_str(), "BEGIN" | "START") {
            open.add(&format!("SAVEPOINT {SAVEPOINT}"));
        }
    }
    match closes {
        Some(commit) => {
            open.ends = true;
            open.add(commit);
        }
        None if !open.ends => open.add(&release),
        None => {}
    }
    open.first = open.first.min(body.count() - 1);
    pieces.push(open);
    Some(pieces)
}

impl Piece {
    /// A text that has no statement yet.
    fn new(first: u32) -> Self {
        Self { first, sql: String::new(), count: 0, copied: None, ends: false }
    }

    /// Adds a statement, whatever the one before it ends with.
    fn add(&mut self, statement: &str) {
        let between = if self.sql.is_empty() { "" } else { "\n;" };
        // A `String` takes whatever is written.
        let _ = write!(self.sql, "{between}{statement}");
        self.count += 1;
    }
}

/// What goes back to the savepoint.
fn back() -> String {
    format!("ROLLBACK TO SAVEPOINT {SAVEPOINT}; RELEASE SAVEPOINT {SAVEPOINT}")
}

/// Copies data; says, too, whether all of it was on its way.
async fn copy(connection: &mut PgConnection, statement: &str, data: &[u8]) -> (Ran, bool) {
    let failed = |error| Ran { error: Some(error), ..Ran::default() };
    let mut copy = match connection.copy_in_raw(statement).await {
        Ok(copy) => copy,
        Err(error) => return (failed(error), false),
    };
    for chunk in data.chunks(CHUNK) {
        if let Err(error) = copy.send(chunk).await {
            return (failed(error), false);
        }
    }
    match copy.finish().await {
        Ok(rows) => (Ran { results: 1, rows, error: None }, true),
        Err(error) => (failed(error), true),
    }
}
