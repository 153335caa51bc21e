//! Statements that change how the session reads what follows: the clients follow them too.

use memchr::memmem;

use crate::dialect::Dialect;

/// Whether a backslash escapes in ordinary strings from this `SET` statement on; none where it says
/// nothing of that.
///
/// psql is told by the server of `standard_conforming_strings`, the MySQL client of
/// `NO_BACKSLASH_ESCAPES` in `sql_mode`. Here it is read off the statement's own text.
pub(crate) fn backslash_setting(dialect: Dialect, text: &[u8]) -> Option<bool> {
    let text = text.to_ascii_lowercase();
    let holds = |name: &str| memmem::find(&text, name.as_bytes());
    match dialect {
        Dialect::PostgreSql => {
            let at = holds("standard_conforming_strings")?;
            let value = &text[at + "standard_conforming_strings".len()..];
            Some(
                ["off", "false", "no"]
                    .iter()
                    .any(|off| memmem::find(value, off.as_bytes()).is_some()),
            )
        }
        Dialect::MySql => {
            holds("sql_mode")?;
            Some(holds("no_backslash_escapes").is_none())
        }
        Dialect::Generic | Dialect::Sqlite | Dialect::Trino | Dialect::Snowflake => None,
    }
}
