//! Where a database's words quote the statement or the data: what is not to be shown unless
//! somebody asks for it. Names of tables, columns and constraints may be shown, values may not.

/// What a message quotes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Quotes {
    /// Nothing but names.
    Names,
    /// What is between the first quotation mark, `'` or `"`, and the last of its kind.
    Marked,
    /// The same, before the last of these words: what follows them is a name again.
    MarkedBefore(&'static str),
    /// All of it: it is the words of the user's own code.
    Whole,
}

/// What stands in for the words of the user's own code.
const OWN_WORDS: &str = "the words of the error are not shown";

/// The part of a message that quotes, with its marks.
pub(crate) fn quoted(message: &str, quotes: Quotes) -> Option<String> {
    match quotes {
        Quotes::Names => None,
        Quotes::Marked => marked(message),
        Quotes::MarkedBefore(names) => marked(message.rsplit_once(names).map_or(message, |m| m.0)),
        Quotes::Whole => Some(message.to_owned()),
    }
}

fn marked(message: &str) -> Option<String> {
    let first = message.find(['\'', '"'])?;
    let quote = message.get(first..)?;
    let mark = quote.chars().next()?;
    // One mark alone: the message was cut off.
    let end = quote.rfind(mark).filter(|last| *last > 0).map_or(quote.len(), |last| last + 1);
    quote.get(..end).map(str::to_owned)
}

/// The message without what it quotes.
pub(crate) fn without(message: &str, quoted: &str) -> String {
    match quoted.chars().next() {
        None => message.to_owned(),
        Some(mark @ ('\'' | '"')) => message.replace(quoted, &format!("{mark}…{mark}")),
        Some(_) => message.replace(quoted, OWN_WORDS),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(message: &str, quotes: Quotes) -> String {
        quoted(message, quotes).map_or(message.to_owned(), |quoted| without(message, &quoted))
    }

    #[test]
    fn what_is_between_the_outermost_marks_is_quoted() {
        let marked = Quotes::Marked;
        assert_eq!(shown("near \"SEL\"\"ECT\": syntax", marked), "near \"…\": syntax");
        assert_eq!(shown("token: \"'it\"", marked), "token: \"…\"");
        assert_eq!(shown("near 'cut off", marked), "near '…'");
        assert_eq!(shown("no marks", marked), "no marks");
        assert_eq!(shown("unique failed: t.a", Quotes::Names), "unique failed: t.a");
        assert_eq!(shown("secret", Quotes::Whole), OWN_WORDS);
    }

    #[test]
    fn a_name_behind_a_value_is_shown() {
        let message = "Duplicate entry 'it's for key' for key 'PRIMARY'";
        let expected = "Duplicate entry '…' for key 'PRIMARY'";
        assert_eq!(shown(message, Quotes::MarkedBefore(" for key ")), expected);
        let message = "Incorrect integer value: 'abc' for column 'a' at row 1";
        let expected = "Incorrect integer value: '…' for column 'a' at row 1";
        assert_eq!(shown(message, Quotes::MarkedBefore(" for column ")), expected);
    }

    #[test]
    fn words_around_a_message_stay() {
        let quoted = quoted("near 'x'", Quotes::Marked).unwrap_or_default();
        assert_eq!(
            without("the row was refused: near 'x'", &quoted),
            "the row was refused: near '…'"
        );
    }
}
