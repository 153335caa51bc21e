//! The dialects, as data: what a lexer must know about a database's client to split as it does.
//! No code that decides by the name of a dialect.

use crate::family::FamilyRule;

/// Whose client's rules split the script.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// Standard SQL, with the bodies of stored programs.
    Generic,
    /// As `sqlite3_complete` splits.
    Sqlite,
    /// As `psql` splits.
    PostgreSql,
    /// As the `mysql` and `mariadb` clients split.
    MySql,
    /// As Trino's command line splits.
    Trino,
    /// As Snowflake's command lines split.
    Snowflake,
}

impl Dialect {
    pub(crate) fn rules(self) -> &'static Rules {
        match self {
            Dialect::Generic => &GENERIC,
            Dialect::Sqlite => &SQLITE,
            Dialect::PostgreSql => &POSTGRESQL,
            Dialect::MySql => &MYSQL,
            Dialect::Trino => &TRINO,
            Dialect::Snowflake => &SNOWFLAKE,
        }
    }
}

/// A pair of bytes that enclose text in which nothing else counts. A doubled closing byte needs
/// no rule: it closes and opens again.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Quote {
    pub(crate) open: u8,
    pub(crate) close: u8,
    /// Whether a backslash takes the next byte with it.
    pub(crate) backslash: bool,
}

/// What `/*` means inside a comment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CommentRule {
    /// Nothing.
    Flat,
    /// A comment, with an end of its own.
    Nested,
    /// As `/*!` it has an end of its own in the same line, so that a dump can be commented out;
    /// else its two bytes go together.
    Executable,
}

/// How a statement that holds semicolons of its own is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BodyRule {
    /// Not at all: the script changes the delimiter.
    None,
    /// `CREATE FUNCTION … BEGIN ATOMIC … END`, as psql counts it.
    Psql,
    /// `CREATE TRIGGER … ; END ;`, as `sqlite3_complete` has it.
    SqliteTrigger,
    /// `BEGIN … END` in anything that creates a stored program.
    Compound,
    /// `BEGIN … END` and `DECLARE … BEGIN … END` by themselves, too, where `BEGIN` alone, or with
    /// `TRANSACTION`, `WORK` or `NAME`, opens a transaction.
    Scripting,
    /// `CREATE FUNCTION` and `WITH FUNCTION` of Trino.
    Routine,
}

impl BodyRule {
    /// Whether a statement may hold one that begins as most do, with `INSERT` or the like.
    pub(crate) fn is_inside_any(self) -> bool {
        self == Self::Routine
    }
}

/// Which commands of the client itself may stand in a script.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CommandRule {
    /// None; a backslash is a byte like others.
    None,
    /// `\command` up to the end of the line.
    Psql,
    /// `DELIMITER`, `\G`, and commands by name at the start of a statement.
    MySql,
    /// `.command` at the start of a statement.
    Sqlite,
}

/// Everything that sets one dialect apart.
#[derive(Debug)]
pub(crate) struct Rules {
    pub(crate) quotes: &'static [Quote],
    /// `E'…'` has backslash escapes; `U&'…'`, `B'…'` and `X'…'` have none, whatever the session
    /// says of others.
    pub(crate) escape_strings: bool,
    /// `$tag$…$tag$`.
    pub(crate) dollar_quotes: bool,
    /// The tag may be other than empty.
    pub(crate) dollar_tags: bool,
    /// A `$` within a word is part of it, and opens nothing.
    pub(crate) dollars_in_words: bool,
    pub(crate) comments: CommentRule,
    /// `--` within a statement opens a comment only before white space.
    pub(crate) dashes_need_space: bool,
    /// `//` opens a comment, as `--` does.
    pub(crate) slash_comments: bool,
    /// `#` opens a comment.
    pub(crate) hash_comments: bool,
    /// `/*! … */` is read by the server.
    pub(crate) executable_comments: bool,
    /// A carriage return alone ends a `--` comment, too.
    pub(crate) carriage_returns: bool,
    /// A terminator inside parentheses is none.
    pub(crate) parentheses: bool,
    /// `COPY … FROM stdin` is followed by its data.
    pub(crate) copy: bool,
    /// The protocol can carry a NUL byte.
    pub(crate) nul: bool,
    pub(crate) body: BodyRule,
    pub(crate) commands: CommandRule,
    /// Which INSERTs are understood, and may be joined.
    pub(crate) inserts: InsertRules,
}

/// What of INSERTs of constants is the same whether rows come one by one or together.
#[derive(Clone, Copy, Debug)]
pub(crate) struct InsertRules {
    /// What they begin with.
    pub(crate) verbs: &'static [&'static str],
    /// What one begins with that may treat a single row otherwise than one of several.
    pub(crate) ignoring_verb: Option<&'static str>,
    /// Whether the table may be one of another schema or database.
    pub(crate) qualified: bool,
    /// What encloses names.
    pub(crate) names: &'static [(u8, u8)],
    /// What the constants of a column must have in common.
    pub(crate) families: FamilyRule,
    /// Letters that may stand before a string: `X'00'`.
    pub(crate) string_letters: &'static [u8],
    /// `"…"` is a string.
    pub(crate) double_quoted_strings: bool,
    /// `_utf8'…'`
    pub(crate) character_sets: bool,
    /// `0x1F`
    pub(crate) hexadecimal: bool,
    /// `'…'::type`
    pub(crate) casts: bool,
    /// `DATE '…'`
    pub(crate) typed: bool,
    /// `ARRAY[…]`, `ROW(…)`
    pub(crate) constructors: bool,
    /// `DEFAULT` as a value.
    pub(crate) defaults: bool,
    /// How a clause begins that leaves out rows in conflict.
    pub(crate) ignoring: Option<&'static str>,
    /// How a clause begins that updates the row in conflict, row by row: a key may repeat.
    pub(crate) updating: Option<&'static str>,
}

/// What no dialect is sure of is left out.
const PLAIN_INSERTS: InsertRules = InsertRules {
    verbs: &["INSERT INTO"],
    ignoring_verb: None,
    qualified: true,
    names: &[(b'"', b'"')],
    families: FamilyRule::Kind,
    string_letters: b"X",
    double_quoted_strings: false,
    character_sets: false,
    hexadecimal: false,
    casts: false,
    typed: true,
    constructors: false,
    defaults: false,
    ignoring: None,
    updating: None,
};

const fn quote(open: u8, close: u8, backslash: bool) -> Quote {
    Quote { open, close, backslash }
}

static GENERIC: Rules = Rules {
    quotes: &[quote(b'\'', b'\'', false), quote(b'"', b'"', false), quote(b'`', b'`', false)],
    escape_strings: false,
    dollar_quotes: true,
    dollar_tags: true,
    dollars_in_words: true,
    comments: CommentRule::Flat,
    dashes_need_space: false,
    slash_comments: false,
    hash_comments: false,
    executable_comments: false,
    carriage_returns: false,
    parentheses: false,
    copy: false,
    nul: true,
    body: BodyRule::Compound,
    commands: CommandRule::None,
    inserts: PLAIN_INSERTS,
};

// https://www.sqlite.org/c3ref/complete.html, https://www.sqlite.org/cli.html
static SQLITE: Rules = Rules {
    quotes: &[
        quote(b'\'', b'\'', false),
        quote(b'"', b'"', false),
        quote(b'`', b'`', false),
        quote(b'[', b']', false),
    ],
    escape_strings: false,
    dollar_quotes: false,
    dollar_tags: false,
    dollars_in_words: true,
    comments: CommentRule::Flat,
    dashes_need_space: false,
    slash_comments: false,
    hash_comments: false,
    executable_comments: false,
    carriage_returns: false,
    parentheses: false,
    copy: false,
    nul: false,
    body: BodyRule::SqliteTrigger,
    commands: CommandRule::Sqlite,
    // https://www.sqlite.org/lang_insert.html, https://www.sqlite.org/lang_upsert.html
    inserts: InsertRules {
        verbs: &["INSERT INTO", "INSERT OR IGNORE INTO", "INSERT OR REPLACE INTO", "REPLACE INTO"],
        names: &[(b'"', b'"'), (b'`', b'`'), (b'[', b']')],
        families: FamilyRule::Free,
        hexadecimal: true,
        typed: false,
        ignoring: Some("ON CONFLICT"),
        updating: Some("ON CONFLICT"),
        ..PLAIN_INSERTS
    },
};

// https://www.postgresql.org/docs/current/sql-syntax-lexical.html,
// https://www.postgresql.org/docs/current/app-psql.html
static POSTGRESQL: Rules = Rules {
    quotes: &[quote(b'\'', b'\'', false), quote(b'"', b'"', false)],
    escape_strings: true,
    dollar_quotes: true,
    dollar_tags: true,
    dollars_in_words: true,
    comments: CommentRule::Nested,
    dashes_need_space: false,
    slash_comments: false,
    hash_comments: false,
    executable_comments: false,
    carriage_returns: true,
    parentheses: true,
    copy: true,
    nul: false,
    body: BodyRule::Psql,
    commands: CommandRule::Psql,
    // https://www.postgresql.org/docs/current/sql-insert.html: values of several rows are each
    // assigned to their column; an update of a row twice is refused (21000).
    inserts: InsertRules {
        families: FamilyRule::Free,
        string_letters: b"XBNE",
        casts: true,
        constructors: true,
        defaults: true,
        ignoring: Some("ON CONFLICT"),
        ..PLAIN_INSERTS
    },
};

// https://dev.mysql.com/doc/refman/8.4/en/comments.html,
// https://mariadb.com/kb/en/comment-syntax/, https://mariadb.com/kb/en/delimiters/
static MYSQL: Rules = Rules {
    quotes: &[quote(b'\'', b'\'', true), quote(b'"', b'"', true), quote(b'`', b'`', false)],
    escape_strings: false,
    dollar_quotes: false,
    dollar_tags: false,
    dollars_in_words: true,
    comments: CommentRule::Executable,
    dashes_need_space: true,
    slash_comments: false,
    hash_comments: true,
    executable_comments: true,
    carriage_returns: false,
    parentheses: false,
    copy: false,
    nul: true,
    body: BodyRule::None,
    commands: CommandRule::MySql,
    // https://dev.mysql.com/doc/refman/8.4/en/insert.html,
    // https://dev.mysql.com/doc/refman/8.4/en/innodb-auto-increment-handling.html (mixed mode)
    inserts: InsertRules {
        verbs: &["INSERT INTO", "REPLACE INTO"],
        ignoring_verb: Some("INSERT IGNORE INTO"),
        // What tables are like was asked of one database.
        qualified: false,
        names: &[(b'`', b'`')],
        families: FamilyRule::Numbering,
        string_letters: b"XBN",
        double_quoted_strings: true,
        character_sets: true,
        hexadecimal: true,
        defaults: true,
        updating: Some("ON DUPLICATE KEY UPDATE"),
        ..PLAIN_INSERTS
    },
};

// The grammar of Trino 476, which its command line splits with: strings, `U&''` and `X''` among
// them, and identifiers have no escapes; comments do not nest, and a `--` comment ends with a
// carriage return, too; `$$` has no tags (https://trino.io/docs/current/udf/python.html).
static TRINO: Rules = Rules {
    quotes: &[quote(b'\'', b'\'', false), quote(b'"', b'"', false), quote(b'`', b'`', false)],
    escape_strings: false,
    dollar_quotes: true,
    dollar_tags: false,
    dollars_in_words: false,
    comments: CommentRule::Flat,
    dashes_need_space: false,
    slash_comments: false,
    hash_comments: false,
    executable_comments: false,
    carriage_returns: true,
    parentheses: false,
    copy: false,
    nul: true,
    body: BodyRule::Routine,
    commands: CommandRule::None,
    // https://trino.io/docs/current/sql/values.html, …/language/types.html
    inserts: InsertRules { constructors: true, ..PLAIN_INSERTS },
};

// https://docs.snowflake.com/en/sql-reference/data-types-text (strings, `$$` without tags),
// https://docs.snowflake.com/en/sql-reference/identifiers-syntax,
// https://docs.snowflake.com/en/developer-guide/snowflake-scripting/blocks; comments are `--`, `//`
// and `/* */`, which does not nest.
static SNOWFLAKE: Rules = Rules {
    quotes: &[quote(b'\'', b'\'', true), quote(b'"', b'"', false)],
    escape_strings: false,
    dollar_quotes: true,
    dollar_tags: false,
    dollars_in_words: true,
    comments: CommentRule::Flat,
    dashes_need_space: false,
    slash_comments: true,
    hash_comments: false,
    executable_comments: false,
    carriage_returns: false,
    parentheses: false,
    copy: false,
    nul: true,
    body: BodyRule::Scripting,
    commands: CommandRule::None,
    // https://docs.snowflake.com/en/sql-reference/sql/insert: the rows are a table of their own
    // before they are inserted.
    inserts: InsertRules { families: FamilyRule::Scale, casts: true, ..PLAIN_INSERTS },
};
