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

/// What statements begin with that are of one class. Most patterns are told from a statement by its
/// first letter.
struct Pattern {
    words: &'static str,
    class: Classified,
    /// The letters that one of the first words begins with, as bits.
    letters: u32,
}

/// A line of a table, whose first word may not be left out.
const fn pattern(words: &'static str, kind: Kind, alone: bool, effect: Effect) -> Pattern {
    Pattern { words, class: Classified { kind, alone, effect }, letters: first_letters(words) }
}

/// The letters that the words of the first place of a pattern begin with, as bits.
const fn first_letters(pattern: &str) -> u32 {
    let bytes = pattern.as_bytes();
    let (mut letters, mut at, mut begins) = (0, 0, true);
    while at < bytes.len() && bytes[at] != b' ' {
        if begins {
            letters |= letter(bytes[at]);
        }
        begins = bytes[at] == b'|';
        at += 1;
    }
    letters
}

/// A letter of either case, as a bit; others share one.
const fn letter(byte: u8) -> u32 {
    1 << (byte & 0x1f)
}

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

const fn joins(kind: Kind) -> Classified {
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
    let begins = first.first().map_or(0, |byte| letter(*byte));
    let found = |patterns: &[Pattern]| {
        let fits = |pattern: &&Pattern| {
            pattern.letters & begins != 0 && fits(pattern.words.as_bytes(), words)
        };
        patterns.iter().find(fits).map(|pattern| pattern.class)
    };
    if let Some(class) = found(own) {
        return class;
    }
    let common = found(COMMON).unwrap_or(joins(Kind::Other));
    Classified { alone: others_alone, ..common }
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

fn fits(pattern: &[u8], words: &[&[u8]]) -> bool {
    let end = pattern.iter().position(|byte| *byte == b' ').unwrap_or(pattern.len());
    let (head, tail) = (&pattern[..end], pattern.get(end + 1..).unwrap_or_default());
    match head {
        b"" => true,
        b"*" => (0..=words.len()).any(|skipped| fits(tail, &words[skipped..])),
        b"_" => !words.is_empty() && fits(tail, &words[1..]),
        [b'[', names @ .., b']'] => {
            (begins_with(words, names) && fits(tail, &words[1..])) || fits(tail, words)
        }
        names => begins_with(words, names) && fits(tail, &words[1..]),
    }
}

fn begins_with(words: &[&[u8]], names: &[u8]) -> bool {
    words.first().is_some_and(|word| is_one_of(word, names))
}

/// Whether a word is one of some names, which stand with a bar between them.
pub(crate) fn is_one_of(word: &[u8], names: &[u8]) -> bool {
    names.split(|byte| *byte == b'|').any(|name| word.eq_ignore_ascii_case(name))
}

const ALONE: bool = true;
const JOINS: bool = false;

/// First words whose kind is the same everywhere.
const COMMON: &[Pattern] = &[
    pattern("VALUES|TABLE|SHOW|EXPLAIN|DESCRIBE|DESC|FETCH", Kind::Select, JOINS, Effect::None),
    pattern("COPY", Kind::Copy, JOINS, Effect::None),
    pattern("CREATE", Kind::Create, JOINS, Effect::None),
    pattern("ALTER|RENAME|COMMENT|SECURITY|REASSIGN|IMPORT", Kind::Alter, JOINS, Effect::None),
    pattern("DROP", Kind::Drop, JOINS, Effect::None),
    pattern("TRUNCATE", Kind::Truncate, JOINS, Effect::None),
    pattern("GRANT|REVOKE", Kind::Grant, JOINS, Effect::None),
    pattern("SET|RESET|USE|PRAGMA|DISCARD|ATTACH|DETACH", Kind::Set, JOINS, Effect::None),
    pattern("BEGIN|START", Kind::Begin, JOINS, Effect::None),
    pattern("COMMIT|END", Kind::Commit, JOINS, Effect::None),
    pattern("ROLLBACK|ABORT", Kind::Rollback, JOINS, Effect::None),
    pattern("SAVEPOINT|RELEASE", Kind::Savepoint, JOINS, Effect::None),
    pattern("LOCK|UNLOCK", Kind::Lock, JOINS, Effect::None),
    pattern("CALL|DO|EXECUTE|EXEC", Kind::Call, JOINS, Effect::None),
    pattern(
        "VACUUM|ANALYZE|ANALYSE|REINDEX|CLUSTER|CHECKPOINT|REFRESH",
        Kind::Maintain,
        JOINS,
        Effect::None,
    ),
    pattern("OPTIMIZE|REPAIR|CHECK|FLUSH|CACHE", Kind::Maintain, JOINS, Effect::None),
];

const GENERIC: &[Pattern] = &[
    pattern("CREATE|DROP DATABASE", Kind::Create, ALONE, Effect::None),
    pattern("VACUUM", Kind::Maintain, ALONE, Effect::None),
    pattern("BEGIN", Kind::Begin, JOINS, Effect::Begin),
    pattern("START TRANSACTION", Kind::Begin, JOINS, Effect::Begin),
    pattern("COMMIT AND CHAIN", Kind::Commit, JOINS, Effect::Chain),
    pattern("COMMIT|END", Kind::Commit, JOINS, Effect::End),
    pattern("ROLLBACK [WORK|TRANSACTION] TO", Kind::Savepoint, JOINS, Effect::None),
    pattern("ROLLBACK|ABORT", Kind::Rollback, JOINS, Effect::End),
];

// https://www.sqlite.org/lang_transaction.html, https://www.sqlite.org/lang_savepoint.html:
// VACUUM and ATTACH refuse to run inside a transaction, some PRAGMAs do nothing there.
const SQLITE: &[Pattern] = &[
    pattern("BEGIN", Kind::Begin, JOINS, Effect::Begin),
    pattern("COMMIT|END", Kind::Commit, JOINS, Effect::End),
    pattern("ROLLBACK [TRANSACTION] TO", Kind::Savepoint, JOINS, Effect::None),
    pattern("ROLLBACK", Kind::Rollback, JOINS, Effect::End),
    pattern("SAVEPOINT", Kind::Savepoint, JOINS, Effect::Savepoint),
    pattern("RELEASE", Kind::Savepoint, JOINS, Effect::Release),
    pattern("VACUUM", Kind::Maintain, ALONE, Effect::None),
    pattern("PRAGMA|ATTACH|DETACH", Kind::Set, ALONE, Effect::None),
];

// https://www.postgresql.org/docs/current/sql-commands.html: those whose page says that they cannot
// run inside a transaction block; CALL and DO, which may commit; and those that mean something else
// inside a transaction than by themselves (SET LOCAL, LOCK, DECLARE).
const POSTGRESQL: &[Pattern] = &[
    pattern("COMMIT|ROLLBACK PREPARED", Kind::Commit, ALONE, Effect::None),
    pattern("PREPARE TRANSACTION", Kind::Commit, JOINS, Effect::End),
    pattern("BEGIN", Kind::Begin, JOINS, Effect::Begin),
    pattern("START TRANSACTION", Kind::Begin, JOINS, Effect::Begin),
    pattern("COMMIT|END [WORK|TRANSACTION] AND CHAIN", Kind::Commit, JOINS, Effect::Chain),
    pattern("COMMIT|END", Kind::Commit, JOINS, Effect::End),
    pattern("ROLLBACK|ABORT [WORK|TRANSACTION] AND CHAIN", Kind::Rollback, JOINS, Effect::Chain),
    pattern("ROLLBACK [WORK|TRANSACTION] TO", Kind::Savepoint, JOINS, Effect::None),
    pattern("ROLLBACK|ABORT", Kind::Rollback, JOINS, Effect::End),
    pattern("SAVEPOINT|RELEASE", Kind::Savepoint, ALONE, Effect::None),
    pattern("VACUUM", Kind::Maintain, ALONE, Effect::None),
    pattern("CREATE DATABASE|TABLESPACE|SUBSCRIPTION", Kind::Create, ALONE, Effect::None),
    pattern("DROP DATABASE|TABLESPACE|SUBSCRIPTION", Kind::Drop, ALONE, Effect::None),
    pattern("ALTER DATABASE|SYSTEM|SUBSCRIPTION", Kind::Alter, ALONE, Effect::None),
    pattern("ALTER TYPE * ADD VALUE", Kind::Alter, ALONE, Effect::None),
    pattern("ALTER TABLE * DETACH PARTITION * CONCURRENTLY", Kind::Alter, ALONE, Effect::None),
    pattern("CREATE [UNIQUE] INDEX CONCURRENTLY", Kind::Create, ALONE, Effect::None),
    pattern("DROP INDEX CONCURRENTLY", Kind::Drop, ALONE, Effect::None),
    pattern("REINDEX|CLUSTER", Kind::Maintain, ALONE, Effect::None),
    pattern("CALL|DO", Kind::Call, ALONE, Effect::None),
    pattern("DISCARD", Kind::Set, ALONE, Effect::None),
    pattern("SET LOCAL|TRANSACTION|CONSTRAINTS", Kind::Set, ALONE, Effect::None),
    pattern("LOCK", Kind::Lock, ALONE, Effect::None),
    pattern("DECLARE", Kind::Other, ALONE, Effect::None),
    pattern("EXPLAIN ANALYZE|ANALYSE", Kind::Other, JOINS, Effect::None),
];

// https://dev.mysql.com/doc/refman/8.4/en/implicit-commit.html. All that is not a plain change goes
// alone: definitions commit, SET is not undone by ROLLBACK and is refused inside a transaction for
// some variables.
const MYSQL: &[Pattern] = &[
    pattern("BEGIN", Kind::Begin, JOINS, Effect::Restart),
    pattern("START TRANSACTION", Kind::Begin, JOINS, Effect::Restart),
    pattern("XA START|BEGIN", Kind::Begin, JOINS, Effect::Begin),
    pattern("XA PREPARE", Kind::Commit, JOINS, Effect::End),
    pattern("XA COMMIT", Kind::Commit, JOINS, Effect::End),
    pattern("XA ROLLBACK", Kind::Rollback, JOINS, Effect::End),
    pattern("COMMIT [WORK] AND CHAIN", Kind::Commit, JOINS, Effect::Chain),
    pattern("COMMIT", Kind::Commit, JOINS, Effect::End),
    pattern("ROLLBACK [WORK] AND CHAIN", Kind::Rollback, JOINS, Effect::Chain),
    pattern("ROLLBACK [WORK] TO", Kind::Savepoint, ALONE, Effect::None),
    pattern("ROLLBACK", Kind::Rollback, JOINS, Effect::End),
    pattern("WITH|VALUES", Kind::Other, JOINS, Effect::None),
    pattern("DO", Kind::Call, JOINS, Effect::None),
    pattern("CREATE [OR] [REPLACE] TEMPORARY TABLE", Kind::Create, ALONE, Effect::None),
    pattern("DROP TEMPORARY TABLE", Kind::Drop, ALONE, Effect::None),
    pattern("CREATE", Kind::Create, ALONE, Effect::ImplicitCommit),
    pattern("ALTER|RENAME", Kind::Alter, ALONE, Effect::ImplicitCommit),
    pattern("DROP", Kind::Drop, ALONE, Effect::ImplicitCommit),
    pattern("TRUNCATE", Kind::Truncate, ALONE, Effect::ImplicitCommit),
    pattern("GRANT|REVOKE", Kind::Grant, ALONE, Effect::ImplicitCommit),
    pattern("LOCK|UNLOCK", Kind::Lock, ALONE, Effect::ImplicitCommit),
    pattern("ANALYZE|OPTIMIZE|REPAIR|CHECK|FLUSH", Kind::Maintain, ALONE, Effect::ImplicitCommit),
    pattern("SET PASSWORD", Kind::Set, ALONE, Effect::ImplicitCommit),
];

// https://trino.io/docs/current/sql.html. BEGIN and END are no statements there, and there are no
// savepoints.
const TRINO: &[Pattern] = &[
    pattern("START TRANSACTION", Kind::Begin, JOINS, Effect::Begin),
    pattern("COMMIT", Kind::Commit, JOINS, Effect::End),
    pattern("ROLLBACK", Kind::Rollback, JOINS, Effect::End),
    pattern("BEGIN|END|ABORT|SAVEPOINT|RELEASE|START", Kind::Other, JOINS, Effect::None),
    pattern("DENY", Kind::Grant, JOINS, Effect::None),
    pattern("EXPLAIN ANALYZE", Kind::Other, JOINS, Effect::None),
];

// https://docs.snowflake.com/en/sql-reference/transactions: definitions commit, TRUNCATE is a change
// like others, there are no savepoints, a BEGIN inside a transaction is passed over.
// https://docs.snowflake.com/en/developer-guide/snowflake-scripting/blocks: a BEGIN that something
// else follows is a block, which may commit, as may what is called.
const SNOWFLAKE: &[Pattern] = &[
    pattern("BEGIN|START TRANSACTION|WORK|NAME", Kind::Begin, JOINS, Effect::Begin),
    pattern("BEGIN _", Kind::Call, ALONE, Effect::None),
    pattern("BEGIN", Kind::Begin, JOINS, Effect::Begin),
    pattern("COMMIT", Kind::Commit, JOINS, Effect::End),
    pattern("ROLLBACK", Kind::Rollback, JOINS, Effect::End),
    pattern("DECLARE", Kind::Call, ALONE, Effect::None),
    pattern("CALL|EXECUTE", Kind::Call, ALONE, Effect::None),
    pattern("WITH _ AS PROCEDURE", Kind::Call, ALONE, Effect::None),
    pattern("SET|UNSET|USE", Kind::Set, ALONE, Effect::None),
    pattern("ALTER SESSION", Kind::Set, ALONE, Effect::None),
    pattern("CREATE", Kind::Create, ALONE, Effect::ImplicitCommit),
    pattern("ALTER|COMMENT", Kind::Alter, ALONE, Effect::ImplicitCommit),
    pattern("DROP|UNDROP", Kind::Drop, ALONE, Effect::ImplicitCommit),
    pattern("GRANT|REVOKE", Kind::Grant, ALONE, Effect::ImplicitCommit),
    pattern("PUT|GET|REMOVE|RM", Kind::Other, ALONE, Effect::None),
    pattern("LIST|LS", Kind::Select, JOINS, Effect::None),
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
