//! What each byte may mean outside quotes and comments, as a table that a dialect fills.

use crate::dialect::{CommandRule, Rules};

/// The order counts: the lexer skips all that is below what it looks for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[repr(u8)]
pub(crate) enum Class {
    Space,
    Word,
    Symbol,
    /// The first byte of a delimiter, where it means nothing else.
    Delimiter,
    Quote,
    Dash,
    Slash,
    Star,
    Hash,
    Dollar,
    Backslash,
    Open,
    Close,
}

/// The table of a dialect. `parentheses`: whether they count although the dialect itself does not
/// need them.
pub(crate) fn classes(rules: &Rules, parentheses: bool) -> [Class; 256] {
    let mut table = [Class::Symbol; 256];
    for byte in 0..=u8::MAX {
        let class = &mut table[usize::from(byte)];
        if byte.is_ascii_whitespace() || byte == 0x0b {
            *class = Class::Space;
        } else if byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80 {
            *class = Class::Word;
        }
    }
    let mut set = |byte: u8, class: Class, on: bool| {
        if on {
            table[usize::from(byte)] = class;
        }
    };
    for quote in rules.quotes {
        set(quote.open, Class::Quote, true);
    }
    let commands = matches!(rules.commands, CommandRule::Psql | CommandRule::MySql);
    set(b'-', Class::Dash, true);
    set(b'/', Class::Slash, true);
    set(b'*', Class::Star, rules.executable_comments);
    set(b'#', Class::Hash, rules.hash_comments);
    set(b'$', Class::Dollar, rules.dollar_quotes);
    set(b'\\', Class::Backslash, commands);
    set(b'(', Class::Open, rules.parentheses || parentheses);
    set(b')', Class::Close, rules.parentheses || parentheses);
    table
}
