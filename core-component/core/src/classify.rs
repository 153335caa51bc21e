//! What a statement is, by its first words: its kind, whether it can share a transaction, and what
//! it does to the transaction of the script. Tables, one for each dialect; the first pattern that
//! fits decides.
//!
//! A pattern is a list of words that a statement begins with: `a|b` is either, `[a]` may be left
//! out, `_` is any one word, `*` any number of words.

use crate::dialect::Dialect;
use crate::types::Kind;

/// The most words of a statement that are looked at.
pub(crate) const MAX_WORDS: usize = 16;

/// What a statement does to the transaction that the script itself has open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    None,
    Begin,
    /// Begins one, and commits one that is open, as MySQL does.
    Restart,
    End,
    /// Ends one and begins the next.
    Chain,
    /// Commits whatever is open, as MySQL does before a definition.
    ImplicitCommit,
    /// Opens a transaction where none is open (SQLite).
    Savepoint,
    /// Ends it where the savepoint opened it (SQLite).
    Release,
    /// `SET autocommit = 0`
    AutocommitOff,
    /// `SET autocommit = 1`
    AutocommitOn,
}

/// What a statement is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Classified {
    pub(crate) kind: Kind,
    /// Whether it cannot share a request or a transaction with others.
    pub(crate) alone: bool,
    pub(crate) effect: Effect,
}

struct Pattern(&'static str, Kind, bool, Effect);

/// The first words that alone decide what a statement is.
const PLAIN: [(&str, Kind); 6] = [
    ("INSERT", Kind::Insert),
    ("UPDATE", Kind::Update),
    ("DELETE", Kind::Delete),
    ("REPLACE", Kind::Replace),
    ("SELECT", Kind::Select),
    ("MERGE", Kind::Merge),
];

/// What a statement is, where its first word decides that.
pub(crate) fn plain_class(word: &[u8]) -> Option<Classified> {
    PLAIN.iter().find(|(name, _)| is(word, name)).map(|(_, kind)| joins(*kind))
}

/// As [`plain_class`], for a text that begins with the word and a space; and where the word ends.
pub(crate) fn plain_start(text: &[u8]) -> Option<(Classified, usize)> {
    let start = text.first_chunk()?;
    // Takes the case off letters, and turns a space into NUL.
    let upper = u64::from_le_bytes(*start) & u64::from_le_bytes([0xdf; 8]);
    let fits = |(name, _): &&(&str, Kind)| {
        let name = name.as_bytes();
        let mut bytes = [0; 8];
        bytes[..name.len()].copy_from_slice(name);
        let others = 8 * (7 - name.len());
        upper << others == u64::from_le_bytes(bytes) << others && start[name.len()] == b' '
    };
    PLAIN.iter().find(fits).map(|(name, kind)| (joins(*kind), name.len()))
}

fn joins(kind: Kind) -> Classified {
    Classified { kind, alone: false, effect: Effect::None }
}

/// Classifies by the first words, which are at most [`MAX_WORDS`].
pub(crate) fn classify(dialect: Dialect, words: &[&[u8]]) -> Classified {
    let Some(first) = words.first() else { return joins(Kind::Other) };
    if let Some(class) = plain_class(first) {
        return class;
    }
    let (own, others_alone) = match dialect {
        Dialect::Generic => (GENERIC, false),
        Dialect::Sqlite => (SQLITE, false),
        Dialect::PostgreSql => (POSTGRESQL, false),
        Dialect::MySql => (MYSQL, true),
        Dialect::Trino => (TRINO, false),
        Dialect::Snowflake => (SNOWFLAKE, false),
    };
    if dialect == Dialect::MySql
        && let Some(effect) = autocommit(words)
    {
        return Classified { kind: Kind::Set, alone: true, effect };
    }
    if let Some(Pattern(_, kind, alone, effect)) = own.iter().find(|pattern| fits(pattern.0, words))
    {
        return Classified { kind: *kind, alone: *alone, effect: *effect };
    }
    let kind = COMMON
        .iter()
        .find(|(names, _)| names.split('|').any(|name| is(first, name)))
        .map_or(Kind::Other, |(_, kind)| *kind);
    Classified { alone: others_alone, ..joins(kind) }
}

/// `SET … autocommit = 0` or `= 1`, among whatever else is set.
fn autocommit(words: &[&[u8]]) -> Option<Effect> {
    if !is(words.first()?, "SET") {
        return None;
    }
    words.windows(2).find_map(|pair| {
        let value = pair[1].to_ascii_uppercase();
        match value.as_slice() {
            _ if !is(pair[0], "AUTOCOMMIT") => None,
            b"0" | b"OFF" | b"FALSE" => Some(Effect::AutocommitOff),
            b"1" | b"ON" | b"TRUE" => Some(Effect::AutocommitOn),
            _ => None,
        }
    })
}

fn is(word: &[u8], name: &str) -> bool {
    word.eq_ignore_ascii_case(name.as_bytes())
}

fn fits(pattern: &str, words: &[&[u8]]) -> bool {
    let (head, tail) = pattern.split_once(' ').unwrap_or((pattern, ""));
    if head.is_empty() {
        return true;
    }
    if head == "*" {
        return (0..=words.len()).any(|skipped| fits(tail, &words[skipped..]));
    }
    if let Some(names) = head.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return (either(names, words) && fits(tail, &words[1..])) || fits(tail, words);
    }
    if head == "_" {
        return !words.is_empty() && fits(tail, &words[1..]);
    }
    either(head, words) && fits(tail, &words[1..])
}

fn either(names: &str, words: &[&[u8]]) -> bool {
    words.first().is_some_and(|word| names.split('|').any(|name| is(word, name)))
}

/// First words whose kind is the same everywhere.
const COMMON: &[(&str, Kind)] = &[
    ("VALUES|TABLE|SHOW|EXPLAIN|DESCRIBE|DESC|FETCH", Kind::Select),
    ("COPY", Kind::Copy),
    ("CREATE", Kind::Create),
    ("ALTER|RENAME|COMMENT|SECURITY|REASSIGN|IMPORT", Kind::Alter),
    ("DROP", Kind::Drop),
    ("TRUNCATE", Kind::Truncate),
    ("GRANT|REVOKE", Kind::Grant),
    ("SET|RESET|USE|PRAGMA|DISCARD|ATTACH|DETACH", Kind::Set),
    ("BEGIN|START", Kind::Begin),
    ("COMMIT|END", Kind::Commit),
    ("ROLLBACK|ABORT", Kind::Rollback),
    ("SAVEPOINT|RELEASE", Kind::Savepoint),
    ("LOCK|UNLOCK", Kind::Lock),
    ("CALL|DO|EXECUTE|EXEC", Kind::Call),
    ("VACUUM|ANALYZE|ANALYSE|REINDEX|CLUSTER|CHECKPOINT|REFRESH", Kind::Maintain),
    ("OPTIMIZE|REPAIR|CHECK|FLUSH|CACHE", Kind::Maintain),
];

const ALONE: bool = true;
const JOINS: bool = false;

const GENERIC: &[Pattern] = &[
    Pattern("CREATE|DROP DATABASE", Kind::Create, ALONE, Effect::None),
    Pattern("VACUUM", Kind::Maintain, ALONE, Effect::None),
    Pattern("BEGIN", Kind::Begin, JOINS, Effect::Begin),
    Pattern("START TRANSACTION", Kind::Begin, JOINS, Effect::Begin),
    Pattern("COMMIT AND CHAIN", Kind::Commit, JOINS, Effect::Chain),
    Pattern("COMMIT|END", Kind::Commit, JOINS, Effect::End),
    Pattern("ROLLBACK [WORK|TRANSACTION] TO", Kind::Savepoint, JOINS, Effect::None),
    Pattern("ROLLBACK|ABORT", Kind::Rollback, JOINS, Effect::End),
];

// https://www.sqlite.org/lang_transaction.html, https://www.sqlite.org/lang_savepoint.html:
// VACUUM and ATTACH refuse to run inside a transaction, some PRAGMAs do nothing there.
const SQLITE: &[Pattern] = &[
    Pattern("BEGIN", Kind::Begin, JOINS, Effect::Begin),
    Pattern("COMMIT|END", Kind::Commit, JOINS, Effect::End),
    Pattern("ROLLBACK [TRANSACTION] TO", Kind::Savepoint, JOINS, Effect::None),
    Pattern("ROLLBACK", Kind::Rollback, JOINS, Effect::End),
    Pattern("SAVEPOINT", Kind::Savepoint, JOINS, Effect::Savepoint),
    Pattern("RELEASE", Kind::Savepoint, JOINS, Effect::Release),
    Pattern("VACUUM", Kind::Maintain, ALONE, Effect::None),
    Pattern("PRAGMA|ATTACH|DETACH", Kind::Set, ALONE, Effect::None),
];

// https://www.postgresql.org/docs/current/sql-commands.html: those whose page says that they cannot
// run inside a transaction block; CALL and DO, which may commit; and those that mean something else
// inside a transaction than by themselves (SET LOCAL, LOCK, DECLARE).
const POSTGRESQL: &[Pattern] = &[
    Pattern("COMMIT|ROLLBACK PREPARED", Kind::Commit, ALONE, Effect::None),
    Pattern("PREPARE TRANSACTION", Kind::Commit, JOINS, Effect::End),
    Pattern("BEGIN", Kind::Begin, JOINS, Effect::Begin),
    Pattern("START TRANSACTION", Kind::Begin, JOINS, Effect::Begin),
    Pattern("COMMIT|END [WORK|TRANSACTION] AND CHAIN", Kind::Commit, JOINS, Effect::Chain),
    Pattern("COMMIT|END", Kind::Commit, JOINS, Effect::End),
    Pattern("ROLLBACK|ABORT [WORK|TRANSACTION] AND CHAIN", Kind::Rollback, JOINS, Effect::Chain),
    Pattern("ROLLBACK [WORK|TRANSACTION] TO", Kind::Savepoint, JOINS, Effect::None),
    Pattern("ROLLBACK|ABORT", Kind::Rollback, JOINS, Effect::End),
    Pattern("SAVEPOINT|RELEASE", Kind::Savepoint, ALONE, Effect::None),
    Pattern("VACUUM", Kind::Maintain, ALONE, Effect::None),
    Pattern("CREATE DATABASE|TABLESPACE|SUBSCRIPTION", Kind::Create, ALONE, Effect::None),
    Pattern("DROP DATABASE|TABLESPACE|SUBSCRIPTION", Kind::Drop, ALONE, Effect::None),
    Pattern("ALTER DATABASE|SYSTEM|SUBSCRIPTION", Kind::Alter, ALONE, Effect::None),
    Pattern("ALTER TYPE * ADD VALUE", Kind::Alter, ALONE, Effect::None),
    Pattern("ALTER TABLE * DETACH PARTITION * CONCURRENTLY", Kind::Alter, ALONE, Effect::None),
    Pattern("CREATE [UNIQUE] INDEX CONCURRENTLY", Kind::Create, ALONE, Effect::None),
    Pattern("DROP INDEX CONCURRENTLY", Kind::Drop, ALONE, Effect::None),
    Pattern("REINDEX|CLUSTER", Kind::Maintain, ALONE, Effect::None),
    Pattern("CALL|DO", Kind::Call, ALONE, Effect::None),
    Pattern("DISCARD", Kind::Set, ALONE, Effect::None),
    Pattern("SET LOCAL|TRANSACTION|CONSTRAINTS", Kind::Set, ALONE, Effect::None),
    Pattern("LOCK", Kind::Lock, ALONE, Effect::None),
    Pattern("DECLARE", Kind::Other, ALONE, Effect::None),
    Pattern("EXPLAIN ANALYZE|ANALYSE", Kind::Other, JOINS, Effect::None),
];

// https://dev.mysql.com/doc/refman/8.4/en/implicit-commit.html. All that is not a plain change goes
// alone: definitions commit, SET is not undone by ROLLBACK and is refused inside a transaction for
// some variables.
const MYSQL: &[Pattern] = &[
    Pattern("BEGIN", Kind::Begin, JOINS, Effect::Restart),
    Pattern("START TRANSACTION", Kind::Begin, JOINS, Effect::Restart),
    Pattern("XA START|BEGIN", Kind::Begin, JOINS, Effect::Begin),
    Pattern("XA PREPARE", Kind::Commit, JOINS, Effect::End),
    Pattern("XA COMMIT", Kind::Commit, JOINS, Effect::End),
    Pattern("XA ROLLBACK", Kind::Rollback, JOINS, Effect::End),
    Pattern("COMMIT [WORK] AND CHAIN", Kind::Commit, JOINS, Effect::Chain),
    Pattern("COMMIT", Kind::Commit, JOINS, Effect::End),
    Pattern("ROLLBACK [WORK] AND CHAIN", Kind::Rollback, JOINS, Effect::Chain),
    Pattern("ROLLBACK [WORK] TO", Kind::Savepoint, ALONE, Effect::None),
    Pattern("ROLLBACK", Kind::Rollback, JOINS, Effect::End),
    Pattern("WITH|VALUES", Kind::Other, JOINS, Effect::None),
    Pattern("DO", Kind::Call, JOINS, Effect::None),
    Pattern("CREATE [OR] [REPLACE] TEMPORARY TABLE", Kind::Create, ALONE, Effect::None),
    Pattern("DROP TEMPORARY TABLE", Kind::Drop, ALONE, Effect::None),
    Pattern("CREATE", Kind::Create, ALONE, Effect::ImplicitCommit),
    Pattern("ALTER|RENAME", Kind::Alter, ALONE, Effect::ImplicitCommit),
    Pattern("DROP", Kind::Drop, ALONE, Effect::ImplicitCommit),
    Pattern("TRUNCATE", Kind::Truncate, ALONE, Effect::ImplicitCommit),
    Pattern("GRANT|REVOKE", Kind::Grant, ALONE, Effect::ImplicitCommit),
    Pattern("LOCK|UNLOCK", Kind::Lock, ALONE, Effect::ImplicitCommit),
    Pattern("ANALYZE|OPTIMIZE|REPAIR|CHECK|FLUSH", Kind::Maintain, ALONE, Effect::ImplicitCommit),
    Pattern("SET PASSWORD", Kind::Set, ALONE, Effect::ImplicitCommit),
];

// https://trino.io/docs/current/sql.html. BEGIN and END are no statements there, and there are no
// savepoints.
const TRINO: &[Pattern] = &[
    Pattern("START TRANSACTION", Kind::Begin, JOINS, Effect::Begin),
    Pattern("COMMIT", Kind::Commit, JOINS, Effect::End),
    Pattern("ROLLBACK", Kind::Rollback, JOINS, Effect::End),
    Pattern("BEGIN|END|ABORT|SAVEPOINT|RELEASE|START", Kind::Other, JOINS, Effect::None),
    Pattern("DENY", Kind::Grant, JOINS, Effect::None),
    Pattern("EXPLAIN ANALYZE", Kind::Other, JOINS, Effect::None),
];

// https://docs.snowflake.com/en/sql-reference/transactions: definitions commit, TRUNCATE is a change
// like others, there are no savepoints, a BEGIN inside a transaction is passed over.
// https://docs.snowflake.com/en/developer-guide/snowflake-scripting/blocks: a BEGIN that something
// else follows is a block, which may commit, as may what is called.
const SNOWFLAKE: &[Pattern] = &[
    Pattern("BEGIN|START TRANSACTION|WORK|NAME", Kind::Begin, JOINS, Effect::Begin),
    Pattern("BEGIN _", Kind::Call, ALONE, Effect::None),
    Pattern("BEGIN", Kind::Begin, JOINS, Effect::Begin),
    Pattern("COMMIT", Kind::Commit, JOINS, Effect::End),
    Pattern("ROLLBACK", Kind::Rollback, JOINS, Effect::End),
    Pattern("DECLARE", Kind::Call, ALONE, Effect::None),
    Pattern("CALL|EXECUTE", Kind::Call, ALONE, Effect::None),
    Pattern("WITH _ AS PROCEDURE", Kind::Call, ALONE, Effect::None),
    Pattern("SET|UNSET|USE", Kind::Set, ALONE, Effect::None),
    Pattern("ALTER SESSION", Kind::Set, ALONE, Effect::None),
    Pattern("CREATE", Kind::Create, ALONE, Effect::ImplicitCommit),
    Pattern("ALTER|COMMENT", Kind::Alter, ALONE, Effect::ImplicitCommit),
    Pattern("DROP|UNDROP", Kind::Drop, ALONE, Effect::ImplicitCommit),
    Pattern("GRANT|REVOKE", Kind::Grant, ALONE, Effect::ImplicitCommit),
    Pattern("PUT|GET|REMOVE|RM", Kind::Other, ALONE, Effect::None),
    Pattern("LIST|LS", Kind::Select, JOINS, Effect::None),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn class(dialect: Dialect, text: &str) -> Classified {
        let words: Vec<&[u8]> = text.split(' ').map(str::as_bytes).collect();
        classify(dialect, &words)
    }

    #[test]
    fn statements_that_refuse_a_transaction_go_alone() {
        for text in [
            "vacuum",
            "create unique index concurrently i on t",
            "alter type mood add value x",
            "reindex database d",
        ] {
            assert!(class(Dialect::PostgreSql, text).alone, "{text}");
        }
        assert!(!class(Dialect::PostgreSql, "create index i on t").alone);
        assert!(!class(Dialect::PostgreSql, "alter table t add value int").alone);
        assert!(class(Dialect::MySql, "create table t").alone);
        assert!(!class(Dialect::MySql, "insert into t").alone);
        assert!(class(Dialect::Sqlite, "pragma foreign_keys").alone);
    }

    #[test]
    fn a_begin_of_snowflakes_is_a_transaction_or_a_block() {
        let what = |text: &str| {
            let class = class(Dialect::Snowflake, text);
            (class.kind, class.alone, class.effect)
        };
        for text in ["begin", "BEGIN WORK", "begin transaction name t", "START TRANSACTION"] {
            assert_eq!(what(text), (Kind::Begin, false, Effect::Begin), "{text}");
        }
        for text in ["BEGIN INSERT INTO t", "BEGIN LET x", "declare x", "with p as procedure"] {
            assert_eq!(what(text), (Kind::Call, true, Effect::None), "{text}");
        }
        assert_eq!(what("truncate table t"), (Kind::Truncate, false, Effect::None));
        assert_eq!(what("alter session set a"), (Kind::Set, true, Effect::None));
        assert_eq!(what("alter table t"), (Kind::Alter, true, Effect::ImplicitCommit));
    }

    #[test]
    fn rollback_to_a_savepoint_ends_no_transaction() {
        assert_eq!(class(Dialect::PostgreSql, "rollback to s").effect, Effect::None);
        assert_eq!(class(Dialect::PostgreSql, "rollback work to savepoint s").effect, Effect::None);
        assert_eq!(class(Dialect::PostgreSql, "rollback").effect, Effect::End);
        assert_eq!(class(Dialect::PostgreSql, "commit and chain").effect, Effect::Chain);
    }

    #[test]
    fn autocommit_is_found_among_other_settings() {
        let found = class(Dialect::MySql, "SET OLD_AUTOCOMMIT AUTOCOMMIT AUTOCOMMIT 0").effect;
        assert_eq!(found, Effect::AutocommitOff);
        assert_eq!(class(Dialect::MySql, "set autocommit on").effect, Effect::AutocommitOn);
    }
}
