//! How input is cut before it crosses into the sandbox: a call is paid per piece, and a piece is
//! small enough for its copy to stay in the processor's cache.

use std::mem;

use crate::driver::Command;

/// The most bytes of a piece that is read or pushed.
pub(crate) const PIECE_BYTES: usize = 256 * 1024;
/// Statements that were added are handed on together once they have this many bytes.
const ADDED_BYTES: usize = 64 * 1024;

/// Statements that are already apart, gathered to cross together.
#[derive(Debug, Default)]
pub(crate) struct Statements {
    text: String,
    ends: Vec<u32>,
}

impl Statements {
    pub(crate) fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    pub(crate) fn count(&self) -> u64 {
        self.ends.len() as u64
    }

    /// A statement that is larger by itself has room where nothing else is.
    pub(crate) fn has_room_for(&self, statement: &str) -> bool {
        self.is_empty() || self.text.len() + statement.len() <= ADDED_BYTES
    }

    pub(crate) fn push(&mut self, statement: &str) {
        self.text.push_str(statement);
        // At most a piece and what was gathered before, far below 4 GiB.
        self.ends.push(self.text.len() as u32);
    }

    pub(crate) fn take(&mut self) -> Command {
        let room = self.text.len();
        let text = mem::replace(&mut self.text, String::with_capacity(room));
        Command::Statements { text, ends: mem::take(&mut self.ends) }
    }
}

/// Cuts a text between characters.
pub(crate) fn pieces(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let (piece, after) = rest.split_at(rest.floor_char_boundary(PIECE_BYTES));
        rest = after;
        (!piece.is_empty()).then_some(piece)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_keep_characters_whole_and_lose_nothing() {
        let text = format!("{}{}", "x".repeat(PIECE_BYTES - 1), "é".repeat(PIECE_BYTES));
        let cut: Vec<&str> = pieces(&text).collect();
        assert_eq!(cut.concat(), text);
        assert!(cut.iter().all(|piece| piece.len() <= PIECE_BYTES));
        assert_eq!(cut[0].len(), PIECE_BYTES - 1);
        assert_eq!(pieces("").count(), 0);
    }

    #[test]
    fn statements_are_gathered_up_to_their_limit() {
        let mut statements = Statements::default();
        assert!(statements.has_room_for(&"x".repeat(ADDED_BYTES + 1)));
        statements.push(&"x".repeat(ADDED_BYTES - 2));
        assert!(statements.has_room_for("ab"));
        assert!(!statements.has_room_for("abc"));
        statements.push("ab");
        let Command::Statements { text, ends } = statements.take() else { panic!() };
        assert_eq!((text.len(), ends), (ADDED_BYTES, vec![65_534, 65_536]));
        assert!(statements.is_empty());
    }
}
