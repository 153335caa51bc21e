//! What a script says that makes INSERTs of several rows differ from single ones, where nothing else
//! tells so.

use std::sync::LazyLock;

use memchr::memmem::Finder;

use crate::dialect::Dialect;
use crate::types::Kind;

/// What a statement says of those that follow it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Said {
    /// It lets MySQL change values rather than refuse them where there are several rows: without a
    /// strict mode, with tables that know no transactions, or in another database, of which nobody has
    /// asked whether it has such.
    pub(super) unsettles: bool,
    /// It may give MySQL a constraint of values, as a column of JSON has one in MariaDB, or a column
    /// that numbers its rows.
    pub(super) tells_rows_apart: bool,
}

/// Words in small letters that are looked for.
struct Words {
    engine: Finder<'static>,
    innodb: Finder<'static>,
    telling: [Finder<'static>; 5],
}

/// To make these takes as long as to look for them.
static WORDS: LazyLock<Words> = LazyLock::new(|| Words {
    engine: Finder::new("engine"),
    innodb: Finder::new("innodb"),
    telling: ["check", "json", "auto_increment", "serial", "like"].map(Finder::new),
});

impl Said {
    pub(super) fn by(dialect: Dialect, kind: Kind, text: &[u8]) -> Self {
        if dialect != Dialect::MySql || !matches!(kind, Kind::Set | Kind::Create | Kind::Alter) {
            return Self::default();
        }
        let text = text.to_ascii_lowercase();
        if kind == Kind::Set {
            return Self { unsettles: sets(&text), tells_rows_apart: false };
        }
        let says = |word: &Finder<'_>| word.find(&text).is_some();
        Self {
            unsettles: says(&WORDS.engine) && !says(&WORDS.innodb),
            tells_rows_apart: WORDS.telling.iter().any(says),
        }
    }
}

/// Whether a SET, USE or the like, in small letters, unsettles.
fn sets(text: &[u8]) -> bool {
    let says = |word: &str| Finder::new(word).find(text).is_some();
    let strict = says("strict_trans_tables") || says("strict_all_tables") || says("traditional");
    let mut words = text.split(|byte| !byte.is_ascii_alphanumeric());
    words.any(|word| word == b"use") || says("storage_engine") || (says("sql_mode") && !strict)
}
