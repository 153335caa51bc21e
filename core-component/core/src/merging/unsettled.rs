//! What a script says that makes INSERTs of several rows differ from single ones, where nothing else
//! tells so.

use memchr::memmem;

use crate::dialect::Dialect;
use crate::types::Kind;

/// Whether a statement lets MySQL change values rather than refuse them where there are several
/// rows: without a strict mode, with tables that know no transactions, or in another database, of
/// which nobody has asked whether it has such.
pub(super) fn unsettles(dialect: Dialect, kind: Kind, text: &[u8]) -> bool {
    if dialect != Dialect::MySql || !matches!(kind, Kind::Set | Kind::Create | Kind::Alter) {
        return false;
    }
    let text = text.to_ascii_lowercase();
    let says = |word: &str| memmem::find(&text, word.as_bytes()).is_some();
    if kind == Kind::Set {
        let strict =
            says("strict_trans_tables") || says("strict_all_tables") || says("traditional");
        let mut words = text.split(|byte| !byte.is_ascii_alphanumeric());
        return words.any(|word| word == b"use")
            || says("storage_engine")
            || (says("sql_mode") && !strict);
    }
    says("engine") && !says("innodb")
}

/// Whether a statement may give MySQL a constraint of values, as a column of JSON has one in MariaDB,
/// or a column that numbers its rows.
pub(super) fn tells_rows_apart(dialect: Dialect, kind: Kind, text: &[u8]) -> bool {
    const WORDS: [&str; 5] = ["check", "json", "auto_increment", "serial", "like"];
    if dialect != Dialect::MySql || !matches!(kind, Kind::Create | Kind::Alter) {
        return false;
    }
    let text = text.to_ascii_lowercase();
    WORDS.iter().any(|word| memmem::find(&text, word.as_bytes()).is_some())
}
