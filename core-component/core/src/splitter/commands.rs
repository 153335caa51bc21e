//! Commands of the database's client among the statements: the few that shape these are followed, what
//! only a client could run is refused.

use super::{Item, Reason, Refusal, Splitter};
use crate::client_command::{ClientCommand, FirstWord, client_command, command_name, psql_command};
use crate::dialect::CommandRule;

impl Splitter {
    /// The first word of a statement may be a command of the client.
    pub(super) fn first_word(
        &mut self,
        text: &[u8],
        start: usize,
        end: usize,
        ended: bool,
    ) -> Option<Option<Item>> {
        if self.rules.commands != CommandRule::MySql {
            return None;
        }
        self.note_line(&text[self.at..start]);
        let first = FirstWord { text, word: start..end, fresh: self.line_is_fresh, ended };
        match client_command(&first, self.lexer.delimiter()) {
            ClientCommand::None => None,
            ClientCommand::More => {
                self.at = start;
                Some(Some(Item::More))
            }
            ClientCommand::Delimiter { delimiter, after } => {
                self.lexer.set_delimiter(&text[delimiter]);
                self.at = after;
                self.line_is_fresh = true;
                Some(None)
            }
            ClientCommand::Use { end, .. } if end - start > self.max_statement_bytes => {
                let refusal = Refusal { at: Some(start), reason: Reason::TooLong };
                Some(Some(Item::Refused(refusal)))
            }
            ClientCommand::Use { end, after } => {
                self.begin(text, start);
                self.word(text, start, start + 3);
                // Its line may end in a comment.
                Some(Some(self.statement(text, end, after, true)))
            }
            ClientCommand::Refused => Some(Some(self.refused_command(text, start, ended))),
        }
    }

    /// Whether a line begins here that SQLite's shell takes for itself.
    pub(super) fn is_dot_command(&self, text: &[u8], start: usize) -> bool {
        self.rules.commands == CommandRule::Sqlite && text[start] == b'.'
    }

    /// A command that begins here, and that only the client could run.
    pub(super) fn refused_command(&mut self, text: &[u8], start: usize, ended: bool) -> Item {
        let Some(name) = command_name(text, start, ended) else {
            self.at = start;
            return Item::More;
        };
        let command = String::from_utf8_lossy(name).into_owned();
        Item::Refused(Refusal { at: Some(start), reason: Reason::ClientCommand(command) })
    }

    /// Reads what begins with a backslash.
    pub(super) fn backslash(&mut self, text: &[u8], start: usize, ended: bool) -> Option<Item> {
        let Some(&next) = text.get(start + 1) else {
            return Some(self.refused_command(text, start, ended));
        };
        let ends_statement = match self.rules.commands {
            CommandRule::Psql => next == b';',
            _ => matches!(next, b'g' | b'G'),
        };
        if ends_statement {
            return self.terminator(text, start, start + 2);
        }
        if self.rules.commands != CommandRule::Psql {
            if next == b'N' {
                self.begin(text, start).body.symbol();
                self.at = start + 2;
                return None;
            }
            return Some(self.refused_command(text, start, ended));
        }
        match psql_command(text, start, ended) {
            None => {
                self.at = start;
                Some(Item::More)
            }
            Some(after) if self.current.is_none() && after > start => {
                self.at = after;
                self.line_is_fresh = true;
                Some(Item::PassedOver { start })
            }
            Some(_) => Some(self.refused_command(text, start, ended)),
        }
    }
}
