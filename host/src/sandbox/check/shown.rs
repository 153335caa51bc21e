//! What is executed is what the hooks were shown: a batch is held against the one that the first of
//! them saw, and against the bodies that they gave.

use sql_batcher_adapters::{CopyPart, Scope};
use twox_hash::XxHash3_128;

use super::{Check, Checks, ensure};
use crate::batch::{Batch, Place, SealReason, Stretch};

/// A batch that hooks are being asked about.
#[derive(Debug)]
pub(super) struct Shown {
    id: u64,
    first_statement: u64,
    stretches: Vec<Stretch>,
    offsets: Vec<u64>,
    scope: Scope,
    ends_transaction: bool,
    copy: Option<CopyPart>,
    sealed_by: SealReason,
    /// How many hooks have been asked.
    asked: u32,
    body: u128,
    is_replaced: bool,
    /// A body that a hook has given and that the component has not refused yet.
    given: Option<u128>,
}

/// A batch that was executed.
#[derive(Debug)]
pub(super) struct UnderWay {
    id: u64,
    /// How many hooks are still to be told of its end.
    untold: u32,
    place: Option<Place>,
}

impl Shown {
    fn of(batch: &Batch) -> Self {
        Self {
            id: batch.id,
            first_statement: batch.first_statement,
            stretches: batch.stretches.clone(),
            offsets: batch.offsets().collect(),
            scope: batch.scope,
            ends_transaction: batch.ends_transaction,
            copy: batch.copy,
            sealed_by: batch.sealed_by,
            asked: 0,
            body: digest(batch.body()),
            is_replaced: false,
            given: None,
        }
    }

    /// Takes over the body that was given last, as it was not refused. One that is the same replaces
    /// nothing.
    fn settle(&mut self) {
        if let Some(given) = self.given.take().filter(|given| *given != self.body) {
            (self.body, self.is_replaced) = (given, true);
        }
    }

    fn is_same_as(&self, batch: &Batch) -> bool {
        self.id == batch.id
            && self.first_statement == batch.first_statement
            && self.is_where(batch)
            && self.scope == batch.scope
            && self.ends_transaction == batch.ends_transaction
            && self.copy == batch.copy
            && self.sealed_by == batch.sealed_by
            && self.body == digest(batch.body())
    }
}

impl Shown {
    /// Whether a batch comes from where this one does.
    fn is_where(&self, batch: &Batch) -> bool {
        if !self.is_replaced {
            return self.stretches == batch.stretches;
        }
        // How many lines a stretch has is not known without its text.
        let is_there = |first: &Stretch| {
            batch.stretches_of(first.first as usize..batch.statements()).next().is_some_and(
                |(stretch, _)| (stretch.line, stretch.column) == (first.line, first.column),
            )
        };
        batch.offsets().eq(self.offsets.iter().copied()) && self.stretches.iter().all(is_there)
    }
}

/// Of a body; fast rather than safe against forgery, as it is compared with what the same component
/// has said a moment ago.
fn digest(body: &[u8]) -> u128 {
    XxHash3_128::oneshot(body)
}

impl Checks {
    /// A hook is shown a batch.
    pub(in super::super) fn asked(&mut self, hook: u32, batch: &Batch) -> Check {
        ensure(hook < self.hooks, || format!("hook {hook} does not exist"))?;
        let about = |fact| format!("batch {}: {fact}", batch.id);
        if hook == 0 {
            ensure(self.shown.is_none(), || about("the one before it was left lying".into()))?;
            self.fits(batch, true).map_err(about)?;
            self.shown = Some(Shown::of(batch));
        }
        let hooks_before = hook;
        let Some(shown) = &mut self.shown else {
            return Err(about("the first hook was not asked".into()));
        };
        shown.settle();
        ensure(shown.asked == hooks_before, || about(format!("hook {hook} is out of turn")))?;
        shown.asked += 1;
        let same = hook == 0 || shown.is_same_as(batch);
        let fits = same && (hook == 0 || self.fits_as_shown(batch));
        ensure(fits, || about(format!("hook {hook} is shown another")))
    }

    fn fits_as_shown(&self, batch: &Batch) -> bool {
        let from_input = self.shown.as_ref().is_some_and(|shown| !shown.is_replaced);
        self.fits(batch, from_input).is_ok()
    }

    /// A hook has given a body; the component may still refuse it.
    pub(in super::super) fn replaced(&mut self, body: &[u8]) {
        if let Some(shown) = &mut self.shown {
            shown.given = Some(digest(body));
        }
    }

    /// What the last hook wanted is passed over.
    pub(in super::super) fn ignored(&mut self) {
        self.may_skip = false;
        if let Some(shown) = &mut self.shown {
            shown.given = None;
        }
    }

    /// The batch is left out.
    pub(in super::super) fn skipped(&mut self, batch: u64) -> Check {
        let shown = self.shown.take().filter(|shown| shown.id == batch);
        let wanted = std::mem::take(&mut self.may_skip);
        let Some(shown) = shown.filter(|_| wanted) else {
            return Err(format!("batch {batch} is skipped, which no hook has said"));
        };
        let Shown { id, offsets, .. } = shown;
        self.go_on_behind(id, offsets.len() as u64, offsets.last().copied());
        Ok(())
    }

    /// A batch is executed while there are hooks.
    pub(super) fn executes_what_was_shown(&mut self, batch: &Batch, hooks: u32) -> Check {
        let Some(mut shown) = self.shown.take() else {
            return Err("no hook was asked".into());
        };
        ensure(shown.asked == hooks, || format!("{} of {hooks} hooks were asked", shown.asked))?;
        ensure(!self.may_skip, || "a hook wants it skipped".into())?;
        shown.settle();
        ensure(shown.is_same_as(batch), || "it is not the one that the hooks were shown".into())?;
        self.fits(batch, !shown.is_replaced)?;
        self.under_way.push(UnderWay { id: batch.id, untold: hooks, place: batch.place(0) });
        Ok(())
    }

    /// A hook is told how a batch ended; where that starts.
    pub(in super::super) fn told(
        &mut self,
        hook: u32,
        batch: u64,
    ) -> Result<Option<Place>, String> {
        let index = self.under_way.iter().position(|under_way| under_way.id == batch);
        let Some(under_way) = index.and_then(|index| self.under_way.get_mut(index)) else {
            return Err(format!("batch {batch} is not under way"));
        };
        ensure(under_way.untold == hook + 1, || {
            format!("batch {batch}: hook {hook} is told out of turn")
        })?;
        under_way.untold = hook;
        let place = under_way.place;
        if hook == 0 {
            self.under_way.retain(|under_way| under_way.id != batch);
        }
        Ok(place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Options,
        batch::tests::{batch, rewrite},
    };

    fn checks() -> Checks {
        let settings = Options::default().max_bytes(100).settle().unwrap();
        Checks { received: 1000, ..Checks::new(settings, 2) }
    }

    fn replaced(statement: &str) -> Batch {
        let mut other = batch(&["a"]);
        rewrite(&mut other, |body, ends| {
            *body = statement.as_bytes().to_vec();
            *ends = vec![body.len() as u32];
        });
        other.stretches[0].terminator = 0;
        other
    }

    #[test]
    fn a_batch_that_not_every_hook_was_shown_is_not_executed() {
        let one = batch(&["a"]);
        assert_eq!(checks().batch(&one).unwrap_err(), "batch 1: no hook was asked");
        let mut asked = checks();
        asked.asked(0, &one).unwrap();
        assert_eq!(asked.batch(&one).unwrap_err(), "batch 1: 1 of 2 hooks were asked");
        let mut again = checks();
        again.asked(0, &one).unwrap();
        assert!(again.asked(0, &one).unwrap_err().contains("left lying"));
        assert!(checks().asked(1, &one).unwrap_err().contains("the first hook was not asked"));
        assert!(checks().asked(2, &one).unwrap_err().contains("hook 2 does not exist"));
    }

    #[test]
    fn what_is_executed_is_what_was_shown_or_given() {
        let one = batch(&["a"]);
        let shown = || {
            let mut checks = checks();
            checks.asked(0, &one).unwrap();
            checks
        };
        let mut unchanged = shown();
        unchanged.asked(1, &one).unwrap();
        unchanged.batch(&one).unwrap();

        let mut given = shown();
        given.replaced(b"other;");
        given.asked(1, &replaced("other;")).unwrap();
        given.batch(&replaced("other;")).unwrap();

        let mut swapped = shown();
        swapped.asked(1, &one).unwrap();
        assert!(swapped.batch(&replaced("other;")).unwrap_err().contains("not the one"));

        let mut neglected = shown();
        neglected.replaced(b"other;");
        assert!(neglected.asked(1, &one).unwrap_err().contains("is shown another"));

        let mut refused = shown();
        refused.replaced(b"other;");
        refused.ignored();
        refused.asked(1, &one).unwrap();
        refused.batch(&one).unwrap();
    }

    #[test]
    fn a_batch_whose_parts_do_not_fit_is_a_violation_however_early_it_is_compared() {
        let one = batch(&["a", "b", "c"]);
        let mut checks = checks();
        checks.asked(0, &one).unwrap();
        checks.replaced(one.body());
        let mut torn = one.clone();
        rewrite(&mut torn, |_, ends| *ends = vec![6, 3, 9]);
        torn.stretches.truncate(2);
        assert!(checks.asked(1, &torn).unwrap_err().contains("is shown another"));
    }

    #[test]
    fn a_body_that_was_given_keeps_the_limits() {
        let mut checks = checks();
        checks.asked(0, &batch(&["a"])).unwrap();
        let long = "x".repeat(101);
        checks.replaced(long.as_bytes());
        assert!(checks.asked(1, &replaced(&long)).is_err());
    }

    #[test]
    fn a_batch_is_skipped_only_if_a_hook_says_so_and_the_next_one_follows_it() {
        let mut checks = checks();
        checks.asked(0, &batch(&["a"])).unwrap();
        checks.may_skip = true;
        checks.skipped(1).unwrap();
        let mut second = batch(&["c"]);
        (second.id, second.first_statement) = (2, 2);
        second.stretches[0].offset = 6;
        checks.asked(0, &second).unwrap();
        assert!(checks.skipped(2).unwrap_err().contains("which no hook has said"));
    }

    #[test]
    fn hooks_are_told_of_an_end_in_reverse_order_once() {
        let one = batch(&["a"]);
        let mut checks = checks();
        checks.asked(0, &one).unwrap();
        checks.asked(1, &one).unwrap();
        assert!(checks.told(1, 1).unwrap_err().contains("not under way"));
        checks.batch(&one).unwrap();
        assert!(checks.told(0, 1).unwrap_err().contains("out of turn"));
        assert_eq!(checks.told(1, 1).unwrap().unwrap().line, 1);
        checks.told(0, 1).unwrap();
        assert!(checks.told(0, 1).unwrap_err().contains("not under way"));
    }
}
