//! Where the bad statements are among some that failed together. A database mostly says which it
//! is, so `k` bad ones cost about `2 k` further requests; where it does not (a constraint that is
//! checked at the end), halves are tried, which costs about `2 k log2 n`.

use std::ops::Range;

use sql_batcher_adapters::{CopyPart, Fault, Scope};

use crate::{batch::Batch, send::Refusal, session_memory::is_whole_transaction};

/// What is to be done with statements that failed, by index in their batch.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Narrowed {
    /// One is bad; those before and after it are to be sent, but for what stays applied.
    Bad { kept: Range<usize>, before: Range<usize>, bad: Range<usize>, after: Range<usize> },
    /// One of the halves, at least, has a bad one.
    Halves(Range<usize>, Range<usize>),
    /// They are bad, and cannot be left out.
    Kept(&'static str),
}

/// Looks for the bad statements; none where it is not the statements that are to blame.
pub(crate) fn narrow(
    batch: &Batch,
    range: Range<usize>,
    refusal: &Refusal,
    spans_run: bool,
) -> Option<Narrowed> {
    let problem = &refusal.problem;
    let blames = matches!(problem.fault, Fault::Statement | Fault::Unsupported);
    if !blames || problem.outcome_unknown || refusal.by_ledger || spans_run {
        return None;
    }
    if matches!(batch.copy, Some(CopyPart::First | CopyPart::Middle | CopyPart::Last)) {
        return Some(Narrowed::Kept("its COPY takes several requests"));
    }
    if batch.scope == Scope::Scripted {
        return Some(narrow_transaction(batch, range));
    }
    let kept = range.start..range.end.min(range.start.max(problem.kept as usize));
    let left = kept.end..range.end;
    let named = problem.statement.map(|index| index as usize).filter(|index| left.contains(index));
    let bad = match (named, left.len()) {
        (Some(index), _) => index..index + 1,
        (None, 0 | 1) => left.clone(),
        (None, count) => {
            let middle = left.start + count / 2;
            return Some(Narrowed::Halves(left.start..middle, middle..left.end));
        }
    };
    Some(Narrowed::Bad { kept, before: left.start..bad.start, after: bad.end..left.end, bad })
}

/// A transaction of the script's own is applied as a whole or left out as a whole.
fn narrow_transaction(batch: &Batch, range: Range<usize>) -> Narrowed {
    if range != (0..batch.statements()) || !is_whole_transaction(batch) {
        return Narrowed::Kept("its transaction takes several requests");
    }
    let (start, end) = (range.start, range.end);
    Narrowed::Bad { kept: start..start, before: start..start, bad: range, after: end..end }
}

#[cfg(test)]
mod tests {
    use sql_batcher_adapters::Problem;

    use super::*;
    use crate::batch::{
        StatementKind,
        tests::{batch, set_kinds},
    };

    fn refusal(statement: Option<u32>, kept: u32) -> Refusal {
        Problem { statement, kept, ..Problem::new(Fault::Statement, "no") }.into()
    }

    fn narrowed(range: Range<usize>, refusal: &Refusal) -> Option<Narrowed> {
        narrow(&batch(&["a", "b", "c", "d", "e"]), range, refusal, false)
    }

    #[test]
    fn a_statement_that_is_named_is_the_bad_one() {
        let bad = Narrowed::Bad { kept: 1..1, before: 1..3, bad: 3..4, after: 4..5 };
        assert_eq!(narrowed(1..5, &refusal(Some(3), 0)), Some(bad));
        let first = Narrowed::Bad { kept: 0..0, before: 0..0, bad: 0..1, after: 1..5 };
        assert_eq!(narrowed(0..5, &refusal(Some(0), 0)), Some(first));
    }

    #[test]
    fn what_stays_applied_is_not_sent_again() {
        let bad = Narrowed::Bad { kept: 0..2, before: 2..2, bad: 2..3, after: 3..5 };
        assert_eq!(narrowed(0..5, &refusal(Some(2), 2)), Some(bad));
    }

    #[test]
    fn halves_are_tried_where_none_is_named_until_one_is_left() {
        let halves = Narrowed::Halves(0..2, 2..5);
        assert_eq!(narrowed(0..5, &refusal(None, 0)), Some(halves));
        let one = Narrowed::Bad { kept: 3..3, before: 3..3, bad: 3..4, after: 4..4 };
        assert_eq!(narrowed(3..4, &refusal(None, 0)), Some(one));
    }

    #[test]
    fn only_what_is_bad_in_itself_is_left_out() {
        let refused = |change: fn(&mut Refusal)| {
            let mut refusal = refusal(Some(1), 0);
            change(&mut refusal);
            refusal
        };
        for other in [
            refused(|refusal| refusal.problem.fault = Fault::Conflict),
            refused(|refusal| refusal.problem.fault = Fault::Resources),
            refused(|refusal| refusal.problem.outcome_unknown = true),
            refused(|refusal| refusal.by_ledger = true),
        ] {
            assert_eq!(narrowed(0..5, &other), None, "{other:?}");
        }
    }

    #[test]
    fn a_transaction_of_the_scripts_own_is_left_out_as_a_whole_or_not_at_all() {
        use StatementKind::{Begin, Commit, Insert};
        let mut whole = batch(&["BEGIN", "INSERT 1", "COMMIT"]);
        whole.scope = Scope::Scripted;
        set_kinds(&mut whole, &[Begin, Insert, Commit]);
        let bad = Narrowed::Bad { kept: 0..0, before: 0..0, bad: 0..3, after: 3..3 };
        assert_eq!(narrow(&whole, 0..3, &refusal(Some(1), 0), false), Some(bad));
        set_kinds(&mut whole, &[Begin, Insert, Insert]);
        let kept = narrow(&whole, 0..3, &refusal(Some(1), 0), false);
        assert!(matches!(kept, Some(Narrowed::Kept(_))));
    }
}
