//! Statements that hold semicolons of their own: bodies of functions, triggers, stored programs.
//! One small state machine for each way in which a client tells them.

use crate::dialect::BodyRule;
use crate::routine::Routine;
use crate::scripting::Scripting;

/// Follows the words of one statement and says whether a semicolon ends it.
#[derive(Clone, Debug)]
pub(crate) enum Body {
    Plain,
    Psql(Psql),
    Trigger(Trigger),
    Compound(Compound),
    Scripting(Scripting),
    Routine(Routine),
}

impl Body {
    pub(crate) fn new(rule: BodyRule) -> Self {
        match rule {
            BodyRule::None => Self::Plain,
            BodyRule::Psql => Self::Psql(Psql::default()),
            BodyRule::SqliteTrigger => Self::Trigger(Trigger::Start),
            BodyRule::Compound => Self::Compound(Compound::default()),
            BodyRule::Scripting => Self::Scripting(Scripting::default()),
            BodyRule::Routine => Self::Routine(Routine::default()),
        }
    }

    /// A word, and the depth of parentheses that it stands at.
    pub(crate) fn word(&mut self, word: &[u8], depth: u32) {
        match self {
            Self::Plain => {}
            Self::Psql(psql) => psql.word(word, depth),
            Self::Trigger(trigger) => trigger.word(word),
            Self::Compound(compound) => compound.word(word),
            Self::Scripting(scripting) => scripting.word(word),
            Self::Routine(routine) => routine.word(word, depth),
        }
    }

    /// Anything that is not a word and not the terminator.
    pub(crate) fn symbol(&mut self) {
        match self {
            Self::Plain | Self::Psql(_) => {}
            Self::Trigger(trigger) => trigger.other(),
            Self::Compound(compound) => compound.settle(b""),
            Self::Scripting(scripting) => scripting.symbol(),
            Self::Routine(routine) => routine.symbol(),
        }
    }

    /// A terminator: whether it ends the statement.
    pub(crate) fn terminator(&mut self) -> bool {
        match self {
            Self::Plain => true,
            Self::Psql(psql) => psql.depth == 0,
            Self::Trigger(trigger) => trigger.semicolon(),
            Self::Compound(compound) => compound.semicolon(),
            Self::Scripting(scripting) => scripting.semicolon(),
            Self::Routine(routine) => routine.semicolon(),
        }
    }

    /// Whether words still matter.
    pub(crate) fn reads_words(&self) -> bool {
        match self {
            Self::Plain => false,
            Self::Psql(psql) => psql.may_create(),
            Self::Trigger(trigger) => *trigger != Trigger::Normal,
            Self::Compound(compound) => compound.count < Compound::HEAD || compound.creates,
            Self::Scripting(scripting) => scripting.reads_words(),
            Self::Routine(routine) => routine.reads_words(),
        }
    }
}

/// psql counts BEGIN, CASE and END outside parentheses in a statement that begins as
/// `CREATE [OR REPLACE] FUNCTION` or `PROCEDURE`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Psql {
    first: [u8; 4],
    count: usize,
    depth: u32,
}

impl Psql {
    fn word(&mut self, word: &[u8], depth: u32) {
        const NOTED: [&str; 5] = ["create", "function", "procedure", "or", "replace"];
        if word.first().is_some_and(u8::is_ascii_digit) {
            return;
        }
        if let Some(slot) = self.first.get_mut(self.count)
            && NOTED.iter().any(|noted| word.eq_ignore_ascii_case(noted.as_bytes()))
        {
            *slot = word[0].to_ascii_lowercase();
        }
        self.count = self.count.saturating_add(1);
        if depth > 0 || !self.creates() {
            return;
        }
        if word.eq_ignore_ascii_case(b"begin")
            || (self.depth > 0 && word.eq_ignore_ascii_case(b"case"))
        {
            self.depth = self.depth.saturating_add(1);
        } else if word.eq_ignore_ascii_case(b"end") {
            self.depth = self.depth.saturating_sub(1);
        }
    }

    fn may_create(&self) -> bool {
        self.creates() || self.count == 0 || (self.first[0] == b'c' && self.count < 4)
    }

    fn creates(&self) -> bool {
        matches!(self.first, [b'c', b'f' | b'p', ..] | [b'c', b'o', b'r', b'f' | b'p'])
    }
}

/// `sqlite3_complete`: in a statement that begins as `CREATE [TEMP] TRIGGER` only `; END ;` ends it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trigger {
    Start,
    Explain,
    Create,
    Normal,
    Body,
    Semicolon,
    End,
}

impl Trigger {
    fn word(&mut self, word: &[u8]) {
        let is = |name: &str| word.eq_ignore_ascii_case(name.as_bytes());
        *self = match *self {
            Self::Start if is("explain") => Self::Explain,
            Self::Start | Self::Explain if is("create") => Self::Create,
            Self::Explain
                if !["explain", "temp", "temporary", "trigger", "end"].iter().any(|n| is(n)) =>
            {
                Self::Explain
            }
            Self::Create if is("temp") || is("temporary") => Self::Create,
            Self::Create if is("trigger") => Self::Body,
            Self::Semicolon if is("end") => Self::End,
            Self::Body | Self::Semicolon | Self::End => Self::Body,
            Self::Start | Self::Explain | Self::Create | Self::Normal => Self::Normal,
        };
    }

    fn other(&mut self) {
        *self = match *self {
            Self::Body | Self::Semicolon | Self::End => Self::Body,
            Self::Explain => Self::Explain,
            _ => Self::Normal,
        };
    }

    fn semicolon(&mut self) -> bool {
        match *self {
            Self::Body | Self::Semicolon => {
                *self = Self::Semicolon;
                false
            }
            _ => true,
        }
    }
}

/// `BEGIN … END` with `CASE … END` inside, in what creates a stored program. `END IF`, `END LOOP`
/// and their like close nothing that was counted.
#[derive(Clone, Debug, Default)]
pub(crate) struct Compound {
    count: usize,
    creates: bool,
    depth: u32,
    end_pending: bool,
}

impl Compound {
    /// `CREATE OR REPLACE DEFINER = x … PROCEDURE`: how far the word that names the thing may be.
    const HEAD: usize = 12;

    fn word(&mut self, word: &[u8]) {
        let is = |name: &str| word.eq_ignore_ascii_case(name.as_bytes());
        let closed = self.end_pending;
        self.settle(word);
        self.count = self.count.saturating_add(1);
        if self.count == 1 {
            self.creates = false;
            if !is("create") {
                self.count = Self::HEAD;
            }
        } else if self.count <= Self::HEAD && !self.creates {
            self.creates = ["procedure", "function", "trigger", "event", "package"]
                .iter()
                .any(|name| is(name));
        } else if self.creates {
            if is("begin") || (is("case") && !closed) {
                self.depth = self.depth.saturating_add(1);
            } else if is("end") {
                self.end_pending = true;
            }
        }
    }

    /// After END: what follows says what it ended.
    fn settle(&mut self, word: &[u8]) {
        const UNCOUNTED: [&str; 5] = ["if", "loop", "while", "repeat", "for"];
        if std::mem::take(&mut self.end_pending)
            && !UNCOUNTED.iter().any(|name| word.eq_ignore_ascii_case(name.as_bytes()))
        {
            self.depth = self.depth.saturating_sub(1);
        }
    }

    fn semicolon(&mut self) -> bool {
        self.settle(b"");
        self.depth == 0
    }
}
