//! Trino's SQL routines: `CREATE FUNCTION` and `WITH FUNCTION` with statements inside that end with
//! semicolons. Trino's own command line parses each statement to find the end of a routine; this
//! follows the words of its grammar, <https://trino.io/docs/current/udf/sql.html>.

use crate::classify::is_one_of;

/// Follows the words of one statement.
#[derive(Clone, Debug, Default)]
pub(crate) struct Routine {
    stage: Stage,
    previous: Previous,
    /// Whether the routine is one before a query, so that others may follow.
    inline: bool,
    /// Words so far, as far as that matters.
    count: u8,
    /// What is open: `BEGIN`, `IF`, `CASE` and the like.
    depth: u32,
    /// Which of the innermost 64 are `CASE`s of an expression.
    expressions: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    /// There may be a routine yet.
    #[default]
    Looking,
    /// Behind `CREATE [OR REPLACE]`, and behind `WITH`.
    Create,
    With,
    /// Behind `FUNCTION`, and behind `RETURNS`.
    Named,
    Returns,
    /// Behind its type: what it does is to come.
    Header,
    /// Inside its statements.
    Open,
    /// Behind it.
    Behind,
    /// There is none.
    Plain,
}

/// What the word or the symbol before was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Previous {
    #[default]
    Other,
    /// A statement may begin.
    Start,
    /// Perhaps the label of a loop, to be followed by a colon.
    Label,
    End,
    Symbol,
}

impl Routine {
    /// A word, and the depth of parentheses that it stands at.
    pub(crate) fn word(&mut self, word: &[u8], parentheses: u32) {
        let is = |names: &str| is_one_of(word, names.as_bytes());
        self.count = self.count.saturating_add(1);
        self.stage = match self.stage {
            Stage::Looking if self.count == 1 && is("CREATE") => Stage::Create,
            Stage::Create if is("OR|REPLACE") => Stage::Create,
            Stage::Create | Stage::With if is("FUNCTION") => {
                self.inline = self.stage == Stage::With;
                Stage::Named
            }
            Stage::Looking | Stage::Create | Stage::With if is("WITH") => Stage::With,
            Stage::Looking | Stage::Create | Stage::With => {
                if is("VALUES|SELECT") {
                    Stage::Plain
                } else {
                    Stage::Looking
                }
            }
            Stage::Named if parentheses == 0 && is("RETURNS") => Stage::Returns,
            Stage::Returns => Stage::Header,
            Stage::Header if parentheses == 0 && is("RETURN|SET|ITERATE|LEAVE|AS") => Stage::Behind,
            Stage::Header if parentheses == 0 && is("BEGIN|IF|CASE|LOOP|WHILE|REPEAT") => {
                self.previous = Previous::Start;
                self.open(is);
                return;
            }
            Stage::Open => {
                self.open(is);
                return;
            }
            Stage::Behind if self.inline && self.previous == Previous::Symbol && is("FUNCTION") => {
                Stage::Named
            }
            stage => stage,
        };
        self.previous = Previous::Other;
    }

    /// A word of the statements inside.
    fn open(&mut self, is: impl Fn(&str) -> bool) {
        self.stage = Stage::Open;
        let starts = self.previous == Previous::Start;
        self.previous = if self.previous == Previous::End && is("IF|CASE|LOOP|WHILE|REPEAT") {
            Previous::Other
        } else if is("CASE") {
            self.push(!starts);
            Previous::Other
        } else if is("END") {
            self.pop();
            Previous::End
        } else if starts && is("BEGIN|LOOP|REPEAT") {
            self.push(false);
            Previous::Start
        } else if starts && is("IF|WHILE") {
            self.push(false);
            Previous::Other
        } else if is("DO") || (is("THEN|ELSE") && self.expressions & 1 == 0) {
            Previous::Start
        } else if starts && !is("RETURN|SET|ITERATE|LEAVE|DECLARE") {
            Previous::Label
        } else {
            Previous::Other
        };
    }

    fn push(&mut self, is_expression: bool) {
        self.depth = self.depth.saturating_add(1);
        self.expressions = self.expressions << 1 | u64::from(is_expression);
    }

    fn pop(&mut self) {
        self.depth = self.depth.saturating_sub(1);
        self.expressions >>= 1;
        if self.depth == 0 {
            self.stage = Stage::Behind;
        }
    }

    /// Anything that is not a word and not the terminator.
    pub(crate) fn symbol(&mut self) {
        if matches!(self.stage, Stage::Create | Stage::With) {
            self.stage = Stage::Looking;
        }
        self.previous = match self.previous {
            Previous::Label => Previous::Start,
            _ => Previous::Symbol,
        };
    }

    /// A semicolon: whether it ends the statement.
    pub(crate) fn semicolon(&mut self) -> bool {
        self.previous = Previous::Start;
        self.depth == 0
    }

    /// Whether words still matter.
    pub(crate) fn reads_words(&self) -> bool {
        self.stage != Stage::Plain
    }
}
