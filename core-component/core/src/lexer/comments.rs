//! Comments: what opens one, where it ends, and those whose text a server reads.

use memchr::{memchr, memchr2, memchr3};

use super::{Context, Continuation, Lexeme, Lexer, Mode, Step, found};
use crate::dialect::CommentRule;

/// The longest start of an executable comment: `/*M!999999`.
const EXECUTABLE_BYTES: usize = 10;
/// Executable comments of this version and above are for no server: MariaDB's dumps hide the
/// switch to sandbox mode in one.
const NO_SERVER_VERSION: u32 = 999_999;

impl Lexer {
    pub(super) fn dash(&mut self, text: &[u8], at: usize, context: Context) -> Step {
        let rest = &text[at..];
        let symbol = Lexeme::Symbol { start: at, end: at + 1 };
        match rest {
            [_, b'-', next, ..] if self.dashes_open(Some(*next), context.begun) => {}
            [_, b'-'] if context.ended || !self.rules.dashes_need_space || !context.begun => {}
            [_, b'-'] | [_] if !context.ended => return Step::More(at),
            _ => {
                self.continuation = Continuation::No;
                return found(symbol, context);
            }
        }
        self.mode = Mode::LineComment;
        Step::On(at + 2)
    }

    fn dashes_open(&self, next: Option<u8>, begun: bool) -> bool {
        !self.rules.dashes_need_space
            || !begun
            || next.is_none_or(|byte| byte.is_ascii_whitespace() || byte == 0x0b || byte == 0)
    }

    pub(super) fn slash(&mut self, text: &[u8], at: usize, context: Context) -> Step {
        let rest = &text[at..];
        if rest.len() < 2 && !context.ended {
            return Step::More(at);
        }
        if self.rules.slash_comments && rest.get(1) == Some(&b'/') {
            self.mode = Mode::LineComment;
            return Step::On(at + 2);
        }
        if rest.get(1) != Some(&b'*') {
            return found(Lexeme::Symbol { start: at, end: at + 1 }, context);
        }
        if self.rules.executable_comments {
            if rest.len() < EXECUTABLE_BYTES && !context.ended {
                return Step::More(at);
            }
            if let Some(length) = executable_comment(rest) {
                self.in_executable = true;
                return Step::Found(Lexeme::Symbol { start: at, end: at + length });
            }
        }
        let hint = rest.get(2) == Some(&b'+') && !context.begun;
        if rest.len() < 3 && !context.ended {
            return Step::More(at);
        }
        self.mode = Mode::BlockComment { depth: 1 };
        self.opened_at = Some(at);
        if hint {
            // A hint belongs to the statement that follows it.
            return found(Lexeme::Symbol { start: at, end: at + 2 }, context);
        }
        Step::On(at + 2)
    }

    pub(super) fn star(&mut self, text: &[u8], at: usize, context: Context) -> Step {
        match text.get(at + 1) {
            Some(b'/') if self.in_executable => {
                self.in_executable = false;
                Step::On(at + 2)
            }
            None if !context.ended => Step::More(at),
            _ => found(Lexeme::Symbol { start: at, end: at + 1 }, context),
        }
    }

    /// Up to the newline, which is left: it counts as white space.
    pub(super) fn line_comment(&mut self, text: &[u8], at: usize) -> Step {
        let rest = text.get(at..).unwrap_or_default();
        let newline = if self.rules.carriage_returns {
            memchr2(b'\n', b'\r', rest)
        } else {
            memchr(b'\n', rest)
        };
        let Some(length) = newline else { return Step::More(text.len()) };
        self.mode = Mode::Plain;
        self.comment_end = at + length;
        Step::On(at + length)
    }

    pub(super) fn block_comment(&mut self, text: &[u8], from: usize, mut depth: u32) -> Step {
        let mut at = from;
        loop {
            let rest = text.get(at..).unwrap_or_default();
            let next = match self.rules.comments {
                CommentRule::Flat => memchr(b'*', rest),
                CommentRule::Executable if depth > 1 => memchr3(b'*', b'/', b'\n', rest),
                CommentRule::Nested | CommentRule::Executable => memchr2(b'*', b'/', rest),
            };
            let stop = next.map_or(text.len(), |skipped| at + skipped);
            let step = match (text.get(stop..).unwrap_or_default(), self.rules.comments) {
                ([b'*', b'/', ..], _) if depth <= 1 => {
                    self.mode = Mode::Plain;
                    return Step::On(stop + 2);
                }
                ([b'*', b'/', ..], _) => {
                    depth -= 1;
                    2
                }
                ([b'/', b'*', ..], CommentRule::Nested) => {
                    depth = depth.saturating_add(1);
                    2
                }
                ([b'/', b'*', b'!', ..], CommentRule::Executable) => {
                    depth = 2;
                    3
                }
                ([b'\n', ..], _) => {
                    depth = 1;
                    1
                }
                ([b'/', b'*', _, ..], CommentRule::Executable) => 2,
                ([] | [_] | [b'/', b'*'], _) => {
                    self.mode = Mode::BlockComment { depth };
                    return Step::More(stop);
                }
                _ => 1,
            };
            at = stop + step;
        }
    }
}

/// How long the opening of an executable comment is, its version included; none where it is an
/// ordinary comment.
fn executable_comment(text: &[u8]) -> Option<usize> {
    let prefix = match text {
        [b'/', b'*', b'!', ..] => 3,
        [b'/', b'*', b'M', b'!', ..] => 4,
        _ => return None,
    };
    let digits = text[prefix..].iter().take(6).take_while(|byte| byte.is_ascii_digit());
    let (mut count, mut version) = (0, 0);
    for digit in digits {
        count += 1;
        version = version * 10 + u32::from(digit - b'0');
    }
    (version < NO_SERVER_VERSION).then_some(prefix + count)
}
