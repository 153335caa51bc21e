//! The transaction that the script itself has open, as far as its text says.

use crate::classify::Effect;
use crate::types::Position;

/// The most savepoints that are kept apart by name.
const MAX_SAVEPOINTS: usize = 1000;

/// Follows what the script does to its own transaction.
#[derive(Debug, Default)]
pub(crate) struct ScriptTransaction {
    open: bool,
    /// `autocommit` is off: the next statement opens what the last one closed.
    manual: bool,
    /// The savepoints that opened it, outermost first, where no BEGIN did.
    savepoints: Vec<Vec<u8>>,
    began_at: Option<Position>,
}

/// What one statement does to the script's transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Step {
    /// Whether it belongs to a transaction of the script's.
    pub(crate) inside: bool,
    /// Whether it is the first of one.
    pub(crate) begins: bool,
    /// Whether it is the last of one.
    pub(crate) ends: bool,
}

impl ScriptTransaction {
    /// Whether one is open.
    pub(crate) fn is_open(&self) -> bool {
        self.open
    }

    /// Where the transaction began that is open, if one is.
    pub(crate) fn began_at(&self) -> Option<Position> {
        self.began_at.filter(|_| self.open)
    }

    /// Takes the next statement.
    pub(crate) fn step(&mut self, effect: Effect, text: &[u8], at: Position) -> Step {
        let was_open = self.open;
        let ends = match effect {
            Effect::None => return Step { inside: was_open, begins: false, ends: false },
            Effect::Restart if was_open => true,
            Effect::Begin | Effect::Restart => {
                self.open = true;
                self.savepoints.clear();
                false
            }
            Effect::AutocommitOff => {
                self.open = true;
                self.manual = true;
                false
            }
            Effect::AutocommitOn => {
                self.manual = false;
                true
            }
            Effect::End | Effect::ImplicitCommit | Effect::Chain => true,
            Effect::Savepoint => {
                self.savepoint(text);
                false
            }
            Effect::Release => self.release(text),
        };
        if self.open && !was_open {
            self.began_at = Some(at);
        }
        let begins = self.open && !was_open;
        let ends = ends && was_open;
        if ends {
            self.open = self.manual || matches!(effect, Effect::Chain | Effect::Restart);
            self.began_at = self.began_at.map(|_| at);
            self.savepoints.clear();
        }
        Step { inside: was_open || begins, begins, ends }
    }

    fn savepoint(&mut self, text: &[u8]) {
        let by_savepoint = !self.open || !self.savepoints.is_empty();
        if by_savepoint && self.savepoints.len() < MAX_SAVEPOINTS {
            self.savepoints.push(savepoint_name(text));
            self.open = true;
        }
    }

    fn release(&mut self, text: &[u8]) -> bool {
        let name = savepoint_name(text);
        let Some(index) = self.savepoints.iter().rposition(|known| *known == name) else {
            return false;
        };
        self.savepoints.truncate(index);
        self.savepoints.is_empty()
    }
}

/// The name behind `SAVEPOINT`, `RELEASE` or `RELEASE SAVEPOINT`, in lower case.
fn savepoint_name(text: &[u8]) -> Vec<u8> {
    let mut rest = text.trim_ascii();
    for keyword in [b"release".as_slice(), b"savepoint"] {
        if let Some(start) = rest.get(..keyword.len())
            && start.eq_ignore_ascii_case(keyword)
        {
            rest = rest[keyword.len()..].trim_ascii_start();
        }
    }
    rest.to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: Position = Position { statement: 1, offset: 0, line: 1, column: 1 };

    #[test]
    fn a_savepoint_opens_a_transaction_that_its_release_ends() {
        let mut script = ScriptTransaction::default();
        assert!(script.step(Effect::Savepoint, b"SAVEPOINT a", AT).begins);
        assert!(!script.step(Effect::Savepoint, b"savepoint B", AT).begins);
        assert!(!script.step(Effect::Release, b"RELEASE b", AT).ends);
        assert!(script.step(Effect::Release, b"RELEASE SAVEPOINT A", AT).ends);
        assert!(!script.step(Effect::None, b"", AT).inside);
    }

    #[test]
    fn a_chained_commit_ends_a_transaction_and_begins_the_next() {
        let mut script = ScriptTransaction::default();
        script.step(Effect::Begin, b"BEGIN", AT);
        let chained = script.step(Effect::Chain, b"COMMIT AND CHAIN", AT);
        assert!(chained.ends && chained.inside);
        assert!(script.step(Effect::None, b"", AT).inside);
        assert!(script.step(Effect::End, b"COMMIT", AT).ends);
        assert!(!script.step(Effect::None, b"", AT).inside);
    }

    #[test]
    fn begin_commits_what_is_open_where_the_database_does_that() {
        let mut script = ScriptTransaction::default();
        let first = script.step(Effect::Restart, b"BEGIN", AT);
        assert!(first.begins && !first.ends);
        let second = script.step(Effect::Restart, b"BEGIN", AT);
        assert!(second.ends && !second.begins);
        assert!(script.step(Effect::None, b"", AT).inside);
    }

    #[test]
    fn with_autocommit_off_a_commit_opens_the_next_transaction() {
        let mut script = ScriptTransaction::default();
        assert!(script.step(Effect::AutocommitOff, b"", AT).begins);
        assert!(script.step(Effect::End, b"", AT).ends);
        assert!(script.step(Effect::None, b"", AT).inside);
        assert!(script.step(Effect::AutocommitOn, b"", AT).ends);
        assert!(!script.step(Effect::None, b"", AT).inside);
    }
}
