//! Scripts within a script: blocks `BEGIN … END`, with or without `DECLARE` before them, by
//! themselves or as the body of a stored program. `BEGIN` alone, or with `TRANSACTION`, `WORK` or
//! `NAME`, opens a transaction and no block.
//!
//! What follows a `BEGIN` or an `END` says what it was, so both are counted one lexeme later.

/// How many words of a statement may stand before the one that names what it creates:
/// `CREATE OR REPLACE SECURE … PROCEDURE`.
const HEAD: usize = 12;
/// What ends with `END` and its own name, and is not counted.
const UNCOUNTED: [&str; 5] = ["if", "loop", "while", "repeat", "for"];
/// What may have a block as its body.
const PROGRAMS: [&str; 4] = ["procedure", "function", "task", "alert"];

/// Follows the words of one statement.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scripting {
    count: usize,
    head: Head,
    /// Blocks and `CASE`s that are open.
    depth: u32,
    /// Whether the block that follows declarations has not begun.
    declares: bool,
    /// Whether the next block belongs to a procedure among the declarations.
    nested: bool,
    pending: Pending,
}

/// What the statement is, by its first words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Head {
    /// It has no words.
    #[default]
    None,
    /// It may create a stored program.
    Create,
    /// It may define one for itself: `WITH name AS PROCEDURE`.
    With,
    /// It may hold blocks.
    Script,
    /// It holds none.
    Plain,
}

/// A word whose meaning depends on what follows it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Pending {
    #[default]
    Nothing,
    Begin,
    /// `BEGIN NAME`: of a transaction, if a word follows; else the first word of a block.
    BeginName,
    End,
}

impl Scripting {
    pub(crate) fn word(&mut self, word: &[u8]) {
        let closed = self.pending == Pending::End;
        if self.settle_at_word(word) {
            return;
        }
        self.count = self.count.saturating_add(1);
        if self.head != Head::Script {
            self.head_word(word);
            return;
        }
        let is = |name: &str| word.eq_ignore_ascii_case(name.as_bytes());
        if is("begin") {
            self.pending = Pending::Begin;
        } else if is("end") {
            self.pending = Pending::End;
        } else if is("case") && self.depth > 0 && !closed {
            self.depth = self.depth.saturating_add(1);
        } else if is("declare") && self.depth == 0 {
            self.declares = true;
        } else if is("procedure") && self.depth == 0 && self.declares {
            self.nested = true;
        }
    }

    /// Anything that is not a word and not the terminator.
    pub(crate) fn symbol(&mut self) {
        match std::mem::take(&mut self.pending) {
            Pending::Nothing => {}
            Pending::Begin | Pending::BeginName => self.open(),
            Pending::End => self.close(),
        }
    }

    /// A terminator: whether it ends the statement.
    pub(crate) fn semicolon(&mut self) -> bool {
        if std::mem::take(&mut self.pending) == Pending::End {
            self.close();
        }
        if self.depth == 0 {
            self.nested = false;
        }
        self.depth == 0 && !self.declares
    }

    /// Whether words still matter.
    pub(crate) fn reads_words(&self) -> bool {
        self.head != Head::Plain
    }

    /// The first words, up to the one that says whether there may be blocks.
    fn head_word(&mut self, word: &[u8]) {
        let is = |name: &str| word.eq_ignore_ascii_case(name.as_bytes());
        self.head = match self.head {
            Head::None if is("create") => Head::Create,
            Head::None if is("with") => Head::With,
            Head::None if is("begin") => {
                self.pending = Pending::Begin;
                Head::Script
            }
            Head::None if is("declare") => {
                self.declares = true;
                Head::Script
            }
            Head::Create if PROGRAMS.iter().any(|name| is(name)) => Head::Script,
            Head::Create if self.count < HEAD => Head::Create,
            // WITH name AS PROCEDURE
            Head::With if self.count < 4 => Head::With,
            Head::With if is("procedure") => Head::Script,
            _ => Head::Plain,
        };
    }

    /// What a word says of the one before it; whether that is all that it does.
    fn settle_at_word(&mut self, word: &[u8]) -> bool {
        let is = |name: &str| word.eq_ignore_ascii_case(name.as_bytes());
        match std::mem::take(&mut self.pending) {
            Pending::Nothing => false,
            Pending::Begin if is("transaction") || is("work") => true,
            Pending::Begin if is("name") => {
                self.pending = Pending::BeginName;
                true
            }
            Pending::BeginName => true,
            Pending::Begin => {
                self.open();
                false
            }
            Pending::End if UNCOUNTED.iter().any(|name| is(name)) => true,
            Pending::End => {
                self.close();
                false
            }
        }
    }

    fn open(&mut self) {
        if self.depth == 0 && !self.nested {
            self.declares = false;
        }
        self.depth = self.depth.saturating_add(1);
    }

    fn close(&mut self) {
        self.depth = self.depth.saturating_sub(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Which of the semicolons of a text end it, counted from 0. Words are parted by blanks.
    fn ends(text: &str) -> Option<usize> {
        let mut scripting = Scripting::default();
        let mut semicolons = 0;
        for token in text.replace(';', " ; ").split_whitespace() {
            match token {
                ";" if scripting.semicolon() => return Some(semicolons),
                ";" => semicolons += 1,
                word if word.bytes().all(|byte| byte.is_ascii_alphanumeric()) => {
                    scripting.word(word.as_bytes());
                }
                _ => scripting.symbol(),
            }
        }
        None
    }

    #[test]
    fn a_begin_that_opens_a_transaction_holds_nothing() {
        for text in [
            "BEGIN;",
            "begin transaction;",
            "BEGIN WORK;",
            "BEGIN NAME t;",
            "BEGIN TRANSACTION NAME t;",
        ] {
            assert_eq!(ends(text), Some(0), "{text}");
        }
    }

    #[test]
    fn a_block_ends_with_its_own_end() {
        for (text, end) in [
            ("BEGIN SELECT 1; END;", 1),
            ("BEGIN IF ( x ) THEN SELECT 1; END IF; END;", 2),
            ("BEGIN FOR i IN 1 TO 2 DO SELECT 1; END FOR; END;", 2),
            ("BEGIN CASE ( x ) WHEN 1 THEN SELECT 1; END CASE; SELECT 2; END;", 3),
            ("BEGIN x := CASE WHEN 1 THEN 2 END; END;", 1),
            ("BEGIN BEGIN SELECT 1; END; BEGIN TRANSACTION; COMMIT; BEGIN; COMMIT; END;", 6),
            ("BEGIN name := 1; END;", 1),
            ("DECLARE x INT; y INT; BEGIN x := 1; END;", 3),
            ("DECLARE p PROCEDURE ( ) AS BEGIN RETURN 1; END; BEGIN CALL p ( ); END;", 3),
            ("DECLARE p PROCEDURE ( ) AS $$ ; BEGIN CALL p ( ); END;", 2),
        ] {
            assert_eq!(ends(text), Some(end), "{text}");
        }
    }

    #[test]
    fn only_what_may_have_a_body_has_one() {
        for (text, end) in [
            ("CREATE OR REPLACE PROCEDURE p ( ) AS BEGIN RETURN 1; END;", 1),
            ("CREATE TASK t AS DECLARE x INT; BEGIN RETURN 1; END;", 2),
            ("CREATE TASK t AS INSERT INTO u VALUES ( 1 );", 0),
            ("WITH p AS PROCEDURE ( ) AS BEGIN RETURN 1; END CALL p ( );", 1),
            ("WITH begin AS ( SELECT 1 ) SELECT 1;", 0),
            ("CREATE TABLE begin ( x INT );", 0),
            ("SELECT CASE WHEN 1 THEN 2 END;", 0),
            ("SELECT begin ;", 0),
        ] {
            assert_eq!(ends(text), Some(end), "{text}");
        }
    }
}
