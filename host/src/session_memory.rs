//! What a new session would lack: the settings that the script has made in the old one, which can
//! be made again, and what cannot. One memory serves all sessions of a run: what changes a session
//! never runs beside anything else.
//!
//! It knows of what stands in the statements. What a function or a procedure does to the session
//! behind their backs cannot be seen.

use std::{borrow::Cow, ops::Range};

use memchr::memchr2_iter;
use sql_batcher_adapters::{Dialect, Request, Scope};

use crate::batch::{Batch, StatementKind};

/// The most bytes of settings that are kept.
const MAX_BYTES: usize = 1 << 20;

/// Words at the beginning of a statement among which `TEMPORARY` stands.
const HEAD_WORDS: usize = 6;

/// What the script has done to its session so far.
#[derive(Debug)]
pub(crate) struct SessionMemory {
    dialect: Dialect,
    /// Statements that change the session, each with its separator, and where they end.
    body: Vec<u8>,
    ends: Vec<u32>,
    /// Those of the transaction that is open, which may be taken back with it.
    tentative: Vec<Vec<u8>>,
    /// What a new session would lack and cannot be given.
    lacks: Option<&'static str>,
    /// Whether tables are locked.
    locked: bool,
    /// The lock that an earlier process had taken, for the session that goes on.
    relock: Option<Vec<u8>>,
    /// Whether a transaction of the script's own is open.
    open: bool,
    last_id: LastId,
}

/// The id that the last statement with one has left in its session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LastId {
    /// No statement may have left one.
    None,
    /// The session has it.
    Kept,
    /// It went with its session.
    Gone,
}

impl SessionMemory {
    pub(crate) fn new(dialect: Dialect) -> Self {
        Self {
            dialect,
            body: Vec::new(),
            ends: Vec::new(),
            tentative: Vec::new(),
            lacks: None,
            locked: false,
            relock: None,
            open: false,
            last_id: LastId::None,
        }
    }

    pub(crate) fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// Whether a transaction of the script's own is open.
    pub(crate) fn in_transaction(&self) -> bool {
        self.open
    }

    /// Whether the session that the script has worked in is needed for what follows.
    pub(crate) fn pins(&self) -> bool {
        self.open || self.locked || self.lacks.is_some()
    }

    /// Takes note of statements of a batch, by index, that were applied.
    pub(crate) fn learn(&mut self, batch: &Batch, statements: Range<usize>) {
        for (stretch, statements) in batch.stretches_of(statements.clone()) {
            let kind = stretch.kind;
            if may_leave_id(kind) {
                self.last_id = LastId::Kept;
            }
            use StatementKind::{Delete, Insert, Replace, Update};
            if matches!(kind, Insert | Replace | Update | Delete) {
                continue;
            }
            for index in statements {
                let text = batch.statement(index).unwrap_or_default();
                let whole = batch.whole(index).unwrap_or_default();
                self.learn_statement(kind, batch.scope, &text, &whole);
            }
        }
        let ends = statements.end == batch.statements() && ends_transaction(batch);
        self.open = batch.scope == Scope::Scripted && !ends;
        if !self.open {
            self.settle(batch);
        }
    }

    /// Takes note of statements that an earlier process had applied, in a session that is gone.
    pub(crate) fn recall(&mut self, batch: &Batch, statements: Range<usize>) {
        self.learn(batch, statements.clone());
        self.lose_session();
        let is_lock = |index: &usize| batch.kind(*index) == Some(StatementKind::Lock);
        for text in statements.filter(is_lock).filter_map(|index| batch.whole(index)) {
            self.relock = self.locked.then(|| text.to_vec());
        }
    }

    /// A session is gone.
    pub(crate) fn lose_session(&mut self) {
        if self.last_id == LastId::Kept {
            self.last_id = LastId::Gone;
        }
    }

    /// The script's transaction has ended, and with it what was set inside.
    fn settle(&mut self, batch: &Batch) {
        let taken_back = batch.last_kind() == Some(StatementKind::Rollback);
        for statement in std::mem::take(&mut self.tentative) {
            // MySQL takes no setting back with a transaction.
            if !taken_back || self.dialect == Dialect::MySql {
                self.keep(&statement);
            }
        }
    }

    fn learn_statement(&mut self, kind: StatementKind, scope: Scope, text: &[u8], whole: &[u8]) {
        let says = |word: &str| contains(text, word);
        match kind {
            // What it was set to depends on the moment.
            StatementKind::Set if self.dialect == Dialect::MySql && says("(") => {
                self.lack("variables that were set from a function or a query");
            }
            StatementKind::Set if scope == Scope::Scripted => self.learn_inside(text, whole),
            StatementKind::Savepoint if !self.tentative.is_empty() => {
                self.lack("settings that were changed between savepoints");
            }
            StatementKind::Set => self.keep(whole),
            StatementKind::Create if is_temporary(text) => self.lack("temporary tables"),
            StatementKind::Lock => self.locked = !starts(text, &["UNLOCK"]),
            StatementKind::Select | StatementKind::Call | StatementKind::Other => {
                self.learn_other(kind, text, whole);
            }
            _ => {}
        }
    }

    /// A setting inside a transaction, which a rollback may take back or not.
    fn learn_inside(&mut self, text: &[u8], whole: &[u8]) {
        if !starts(text, &["SET LOCAL", "SET TRANSACTION", "SET CONSTRAINTS"]) {
            self.tentative.push(whole.to_vec());
        }
    }

    fn learn_other(&mut self, kind: StatementKind, text: &[u8], whole: &[u8]) {
        let says = |word: &str| contains(text, word);
        if starts(text, &["PREPARE", "DECLARE", "LISTEN", "HANDLER"]) {
            self.lack("prepared statements, cursors or channels");
        } else if says("into temp") {
            self.lack("temporary tables");
        } else if says("advisory_lock") || says("get_lock") {
            self.lack("locks that were taken by a function");
        } else if self.dialect == Dialect::MySql && (says("into @") || says(":=")) {
            self.lack("variables that were set from a query");
        } else if kind == StatementKind::Select && says("set_config") {
            self.keep(whole);
        }
    }

    fn keep(&mut self, statement: &[u8]) {
        if self.body.len() + statement.len() > MAX_BYTES {
            self.lack("more than 1048576 bytes of settings");
            return;
        }
        self.body.extend_from_slice(statement);
        self.ends.push(u32::try_from(self.body.len()).unwrap_or(u32::MAX));
    }

    fn lack(&mut self, what: &'static str) {
        self.lacks.get_or_insert(what);
    }

    /// What a new session would lack and cannot be given, if there is anything.
    pub(crate) fn lacks(&self) -> Option<&'static str> {
        if self.open {
            return Some("the open transaction");
        }
        if self.locked && self.relock.is_none() {
            return Some("table locks");
        }
        self.lacks
    }

    /// Whether statements of a batch, by index, ask for an id that went with its session.
    pub(crate) fn lacks_last_id(&self, batch: &Batch, statements: Range<usize>) -> bool {
        self.last_id == LastId::Gone && asks_for_last_id(self.dialect, batch, statements).is_some()
    }

    /// How many statements made the session what it is.
    pub(crate) fn settings(&self) -> usize {
        self.ends.len()
    }

    /// What a session still needs that was given the first `known` of the settings.
    pub(crate) fn replay(&self, known: usize) -> Option<Replay> {
        let start = known.checked_sub(1).and_then(|last| self.ends.get(last)).copied().unwrap_or(0);
        let ends: Vec<u32> = self.ends.iter().skip(known).map(|end| end - start).collect();
        let body = self.body.get(start as usize..).unwrap_or_default();
        (!ends.is_empty()).then(|| Replay { body: body.to_vec(), ends })
    }

    /// The lock that an earlier process had taken, for the session that goes on with its run; the
    /// one that gets it has it.
    pub(crate) fn take_lock(&mut self) -> Option<Vec<u8>> {
        self.relock.take()
    }
}

/// Statements that make a session what another was.
#[derive(Debug)]
pub(crate) struct Replay {
    body: Vec<u8>,
    ends: Vec<u32>,
}

impl Replay {
    pub(crate) fn request(&self) -> Request<'_> {
        Request { body: &self.body, ends: &self.ends, scope: Scope::Bare, copy: None, inserts: &[] }
    }

    /// The statements as a script.
    pub(crate) fn script(&self) -> Cow<'_, [u8]> {
        match self.body.ends_with(b"\n") {
            true => Cow::Borrowed(&self.body),
            false => Cow::Owned([&self.body[..], b"\n"].concat()),
        }
    }
}

/// Whether the batch is a transaction of the script's own from its beginning to its end, with
/// nothing before or after it.
pub(crate) fn is_whole_transaction(batch: &Batch) -> bool {
    let controls = [StatementKind::Begin, StatementKind::Commit, StatementKind::Rollback];
    let begins = batch.first_kind() == Some(StatementKind::Begin);
    let starts_plainly = batch.statement(0).is_some_and(|text| starts(&text, &["BEGIN", "START"]));
    let count: usize = batch
        .stretches_of(0..batch.statements())
        .filter(|(stretch, _)| controls.contains(&stretch.kind))
        .map(|(_, statements)| statements.len())
        .sum();
    begins && starts_plainly && count == 2 && ends_transaction(batch)
}

/// Whether the last statement ends the script's transaction, and no other is chained to it.
fn ends_transaction(batch: &Batch) -> bool {
    let Some(last) = batch.statements().checked_sub(1) else { return false };
    let ends = matches!(batch.last_kind(), Some(StatementKind::Commit | StatementKind::Rollback));
    let text = batch.statement(last).unwrap_or_default();
    ends && starts(&text, &["COMMIT", "END", "ROLLBACK", "ABORT"]) && !contains(&text, "chain")
}

/// The first statement of a batch, by index, that asks for the id that the last one has left in its
/// session, as far as its words say.
pub(crate) fn asks_for_last_id(
    dialect: Dialect,
    batch: &Batch,
    mut statements: Range<usize>,
) -> Option<usize> {
    let words: &[&str] = match dialect {
        Dialect::MySql => &["last_insert_id"],
        Dialect::Sqlite => &["last_insert_rowid"],
        Dialect::PostgreSql => &["lastval", "currval"],
        _ => &[],
    };
    let asks = |text: &[u8]| words.iter().any(|word| contains(text, word));
    if !asks(batch.sent()) {
        return None;
    }
    statements.find(|&index| batch.statement(index).is_some_and(|text| asks(&text)))
}

/// Whether a statement may leave an id in its session: of a row, or of a sequence.
fn may_leave_id(kind: StatementKind) -> bool {
    use StatementKind::{Call, Copy, Insert, Merge, Other, Replace, Select, Update};
    matches!(kind, Call | Copy | Insert | Merge | Other | Replace | Select | Update)
}

/// Whether a statement creates something that goes with the session.
fn is_temporary(text: &[u8]) -> bool {
    let words = text.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    words
        .take(HEAD_WORDS)
        .any(|word| word.eq_ignore_ascii_case(b"TEMP") || word.eq_ignore_ascii_case(b"TEMPORARY"))
}

/// Whether a text begins with one of these words.
fn starts(text: &[u8], words: &[&str]) -> bool {
    let text = text.trim_ascii_start();
    words.iter().any(|word| {
        let head = text.get(..word.len());
        head.is_some_and(|head| head.eq_ignore_ascii_case(word.as_bytes()))
    })
}

/// Whether a text has a word somewhere, in any case; the word is in lower case.
fn contains(text: &[u8], word: &str) -> bool {
    let Some(&first) = word.as_bytes().first() else { return true };
    memchr2_iter(first, first.to_ascii_uppercase(), text).any(|at| {
        let found = text.get(at..at + word.len());
        found.is_some_and(|found| found.eq_ignore_ascii_case(word.as_bytes()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::tests::{batch, set_kinds};

    fn of(kind: StatementKind, text: &str, scope: Scope) -> Batch {
        let mut batch = batch(&[text]);
        set_kinds(&mut batch, &[kind]);
        batch.scope = scope;
        batch
    }

    fn after(dialect: Dialect, kind: StatementKind, text: &str, scope: Scope) -> SessionMemory {
        let mut memory = SessionMemory::new(dialect);
        memory.learn(&of(kind, text, scope), 0..1);
        memory
    }

    #[test]
    fn settings_are_kept_in_their_order() {
        let mut memory = SessionMemory::new(Dialect::PostgreSql);
        for (kind, text) in [
            (StatementKind::Set, "SET search_path = a"),
            (StatementKind::Insert, "INSERT INTO t VALUES ('SET b')"),
            (StatementKind::Select, "SELECT pg_catalog.set_config('c', '', false)"),
        ] {
            memory.learn(&of(kind, text, Scope::Atomic), 0..1);
        }
        let replay = memory.replay(0).unwrap();
        let request = replay.request();
        let expected = "SET search_path = a;\nSELECT pg_catalog.set_config('c', '', false);\n";
        assert_eq!(request.body, expected.as_bytes());
        assert_eq!((request.ends, request.scope), (&[21, 67][..], Scope::Bare));
        assert_eq!(memory.lacks(), None);
        let rest = memory.replay(1).unwrap();
        assert_eq!((rest.body.len(), &rest.ends[..]), (46, &[46][..]));
        assert!(memory.replay(2).is_none());
    }

    #[test]
    fn what_was_set_inside_a_transaction_goes_with_it() {
        for (last, text, dialect, kept) in [
            (StatementKind::Commit, "COMMIT", Dialect::PostgreSql, true),
            (StatementKind::Rollback, "ROLLBACK", Dialect::PostgreSql, false),
            (StatementKind::Rollback, "ROLLBACK", Dialect::MySql, true),
        ] {
            let mut batch = batch(&["BEGIN", "SET a = 1", text]);
            set_kinds(&mut batch, &[StatementKind::Begin, StatementKind::Set, last]);
            batch.scope = Scope::Scripted;
            let mut memory = SessionMemory::new(dialect);
            memory.learn(&batch, 0..3);
            assert_eq!(memory.replay(0).is_some(), kept, "{text} {dialect:?}");
            assert_eq!(memory.lacks(), None);
        }
    }

    #[test]
    fn a_lock_of_an_earlier_process_is_taken_again_by_one_session() {
        let mut memory = SessionMemory::new(Dialect::MySql);
        memory.recall(&of(StatementKind::Lock, "LOCK TABLES t WRITE", Scope::Bare), 0..1);
        assert_eq!(memory.lacks(), None);
        assert_eq!(memory.take_lock().unwrap(), b"LOCK TABLES t WRITE;\n");
        assert_eq!(memory.lacks(), Some("table locks"));
        memory.recall(&of(StatementKind::Lock, "UNLOCK TABLES", Scope::Bare), 0..1);
        assert_eq!((memory.lacks(), memory.take_lock()), (None, None));
    }

    #[test]
    fn what_goes_with_a_session_is_lacked_by_a_new_one() {
        use StatementKind::{Create, Lock, Other, Select, Set};
        for (dialect, kind, text, scope, lacked) in [
            (Dialect::PostgreSql, Create, "CREATE TEMP TABLE t ()", Scope::Atomic, "temporary"),
            (Dialect::MySql, Create, "create or replace temporary table t", Scope::Bare, "tempor"),
            (Dialect::PostgreSql, Select, "SELECT 1 INTO TEMP t", Scope::Atomic, "temporary"),
            (Dialect::MySql, Lock, "LOCK TABLES t WRITE", Scope::Bare, "table locks"),
            (Dialect::PostgreSql, Select, "SELECT pg_advisory_lock(1)", Scope::Atomic, "locks"),
            (Dialect::MySql, Set, "SET @id = LAST_INSERT_ID()", Scope::Bare, "variables"),
            (Dialect::MySql, Select, "SELECT 1 INTO @a", Scope::Atomic, "variables"),
            (Dialect::PostgreSql, Other, "PREPARE p AS SELECT 1", Scope::Atomic, "prepared"),
            (Dialect::PostgreSql, Set, "SET a = 1", Scope::Scripted, "the open"),
        ] {
            let memory = after(dialect, kind, text, scope);
            let said = memory.lacks().unwrap_or_default();
            assert!(said.starts_with(lacked), "{text}: {said:?}");
        }
        let mut locks = after(Dialect::MySql, StatementKind::Lock, "LOCK TABLES t", Scope::Bare);
        locks.learn(&of(StatementKind::Lock, "UNLOCK TABLES", Scope::Bare), 0..1);
        assert_eq!(locks.lacks(), None);
    }

    #[test]
    fn the_last_id_is_lacked_once_its_session_is_gone() {
        let asks = batch(&["INSERT 1", "INSERT INTO u VALUES (last_insert_ID())"]);
        let mut memory = SessionMemory::new(Dialect::MySql);
        let lacks = |memory: &SessionMemory| {
            (memory.lacks_last_id(&asks, 0..2), memory.lacks_last_id(&asks, 0..1))
        };
        memory.lose_session();
        assert_eq!(lacks(&memory), (false, false), "there was none");
        memory.learn(&of(StatementKind::Insert, "INSERT 1", Scope::Atomic), 0..1);
        assert_eq!(lacks(&memory), (false, false), "it is kept");
        memory.lose_session();
        assert_eq!(lacks(&memory), (true, false));
        memory.learn(&of(StatementKind::Insert, "INSERT 1", Scope::Atomic), 0..1);
        assert_eq!(lacks(&memory), (false, false), "there is another");
        memory.recall(&of(StatementKind::Insert, "INSERT 1", Scope::Atomic), 0..1);
        assert_eq!(lacks(&memory), (true, false), "it was of an earlier process");
    }

    #[test]
    fn each_database_has_its_own_words_for_the_last_id() {
        for (dialect, text, asks) in [
            (Dialect::MySql, "SELECT LAST_INSERT_ID()", true),
            (Dialect::Sqlite, "SELECT last_insert_rowid()", true),
            (Dialect::PostgreSql, "SELECT currval('s')", true),
            (Dialect::PostgreSql, "SELECT last_insert_id()", false),
            (Dialect::Generic, "SELECT last_insert_id()", false),
        ] {
            let found = asks_for_last_id(dialect, &batch(&["SELECT 1", text]), 0..2);
            assert_eq!(found, asks.then_some(1), "{text}");
        }
    }

    #[test]
    fn settings_above_their_bound_are_not_kept() {
        for (length, kept) in [(MAX_BYTES - 2, true), (MAX_BYTES - 1, false)] {
            let text = format!("SET {}", "x".repeat(length - 4));
            let memory = after(Dialect::PostgreSql, StatementKind::Set, &text, Scope::Atomic);
            assert_eq!((memory.replay(0).is_some(), memory.lacks().is_none()), (kept, kept));
        }
    }

    #[test]
    fn only_a_plain_transaction_from_begin_to_commit_is_whole() {
        use StatementKind::{Begin, Commit, Insert, Rollback};
        for (statements, kinds, whole) in [
            (&["BEGIN", "INSERT 1", "COMMIT"][..], &[Begin, Insert, Commit][..], true),
            (&["start transaction", "END"], &[Begin, Commit], true),
            (&["BEGIN", "INSERT 1"], &[Begin, Insert], false),
            (&["INSERT 1", "COMMIT"], &[Insert, Commit], false),
            (&["BEGIN", "COMMIT AND CHAIN"], &[Begin, Commit], false),
            (&["BEGIN", "ROLLBACK", "BEGIN", "COMMIT"], &[Begin, Rollback, Begin, Commit], false),
            (&["XA START 'a'", "COMMIT"], &[Begin, Commit], false),
            (&["BEGIN", "PREPARE TRANSACTION 'a'"], &[Begin, Commit], false),
        ] {
            let mut batch = batch(statements);
            set_kinds(&mut batch, kinds);
            assert_eq!(is_whole_transaction(&batch), whole, "{statements:?}");
        }
    }
}
