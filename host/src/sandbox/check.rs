//! What comes out of the sandbox is checked before anything acts on it: a batch must keep the
//! limits, hang together, and go on where the one before it ended. What does not is the
//! component's fault, never the input's.

mod shown;

use std::borrow::Cow;

use sql_batcher_adapters::CopyPart;

use self::shown::{Shown, UnderWay};
use crate::{
    batch::{Batch, Join, PARTED, Stretch},
    options::Settings,
    progress::Progress,
};

/// What is right at this point of a run. A violation is a message for people.
#[derive(Debug)]
pub(super) struct Checks {
    limits: Settings,
    /// Bytes of input that have been given.
    pub(super) received: u64,
    /// Batches handed out and not yet completed.
    pub(super) in_flight: u32,
    /// Whether nothing may be started any more.
    pub(super) stopped: bool,
    /// Whether the run is to end without more input.
    pub(super) ending: bool,
    last_batch: u64,
    last_statement: u64,
    last_offset: Option<u64>,
    /// How many hooks there are.
    hooks: u32,
    /// The batch that the hooks are shown, until it is executed or skipped.
    shown: Option<Shown>,
    /// Whether a hook wants it skipped.
    pub(super) may_skip: bool,
    /// Batches whose end the hooks have not been told.
    under_way: Vec<UnderWay>,
}

type Check = Result<(), String>;

impl Checks {
    pub(super) fn new(limits: Settings, hooks: u32) -> Self {
        Self {
            limits,
            received: 0,
            in_flight: 0,
            stopped: false,
            ending: false,
            last_batch: 0,
            last_statement: 0,
            last_offset: None,
            hooks,
            shown: None,
            may_skip: false,
            under_way: Vec::new(),
        }
    }

    /// Checks a batch against the limits and against those before it.
    pub(super) fn batch(&mut self, batch: &Batch) -> Check {
        let checked = match self.hooks {
            0 => self.fits(batch, true),
            hooks => self.executes_what_was_shown(batch, hooks),
        };
        checked.map_err(|fact| format!("batch {}: {fact}", batch.id))?;
        let last = batch.statements().checked_sub(1).and_then(|last| batch.offset(last));
        self.go_on_behind(batch.id, batch.statements() as u64, last);
        Ok(())
    }

    /// Whether a batch keeps the limits and hangs together. `from_input`: its text is that of the
    /// input.
    fn fits(&self, batch: &Batch, from_input: bool) -> Check {
        self.order(batch)?;
        stretches(batch)?;
        self.limits(batch)?;
        ends(batch)?;
        self.places(batch, from_input)
    }

    fn go_on_behind(&mut self, batch: u64, statements: u64, last_offset: Option<u64>) {
        self.last_batch = batch;
        self.last_statement += statements;
        self.last_offset = last_offset.or(self.last_offset);
    }

    /// Checks what the component says about the run as a whole.
    pub(super) fn progress(&self, progress: &Progress) -> Check {
        if progress.in_flight != self.in_flight {
            let Self { in_flight, .. } = self;
            return Err(format!("{} batches under way are {in_flight}", progress.in_flight));
        }
        if let Some(account) = &progress.account {
            ensure(account.adds_up(), || format!("an account that does not add up: {account:?}"))?;
            return ensure(self.in_flight == 0, || {
                format!("an account with {} batches under way", self.in_flight)
            });
        }
        let waits_for_input = progress.ready && progress.failure.is_none() && !self.ending;
        let can_go_on = waits_for_input || progress.in_flight > 0;
        ensure(can_go_on, || "no input is wanted and nothing is under way".into())
    }

    fn order(&self, batch: &Batch) -> Check {
        ensure(!self.stopped, || "it is started after the end of the run".into())?;
        ensure(batch.id == self.last_batch + 1, || {
            format!("its number does not follow {}", self.last_batch)
        })?;
        let goes_on = carries_data_only(batch) && batch.first_statement == self.last_statement;
        ensure(goes_on || batch.first_statement == self.last_statement + 1, || {
            let Self { last_statement, .. } = self;
            format!("statement {} does not follow {last_statement}", batch.first_statement)
        })?;
        let most = self.limits.max_handed_out();
        ensure(self.in_flight < most, || format!("it exceeds the limit of {most} handed out"))
    }

    fn limits(&self, batch: &Batch) -> Check {
        let count = batch.statements();
        joins(batch)?;
        let bytes = batch.sent_bytes() as u64;
        let max_bytes = match (count, self.limits.send_alone_bytes) {
            (1, Some(alone)) => alone.max(self.limits.max_bytes),
            _ => self.limits.max_bytes,
        };
        ensure(bytes <= max_bytes, || format!("{bytes} bytes exceed the limit of {max_bytes}"))?;
        let (bytes, most) = (batch.body_bytes() as u64, self.limits.max_body_bytes());
        ensure(bytes <= most, || format!("a body of {bytes} bytes exceeds the limit of {most}"))?;
        let commands = batch.commands();
        let most = self.limits.max_commands.map_or(usize::MAX, |count| count as usize);
        ensure(commands <= most, || format!("{commands} statements exceed the limit of {most}"))?;
        let max_count = self.limits.max_statements as usize;
        ensure(count <= max_count, || {
            format!("{count} statements exceed the limit of {max_count}")
        })?;
        let max_rows = self.limits.max_rows.unwrap_or(u32::MAX);
        ensure(batch.rows <= max_rows || count == 1, || {
            format!("{} rows exceed the limit of {max_rows}", batch.rows)
        })
    }

    /// Checks that statements follow one another in the input. `from_input`: as they are there; a
    /// text that a hook gave has another length.
    fn places(&self, batch: &Batch, from_input: bool) -> Check {
        let mut before = self.last_offset;
        for (stretch, statements) in batch.stretches_of(0..batch.statements()) {
            let count = statements.len();
            ensure(from_input || count == 1, || "statements of no input side by side".into())?;
            let (range, text) = (statements.start, statements.end - 1);
            let range = batch.range(range).zip(batch.range(text));
            let (first, last) = range.unwrap_or_default();
            let last_offset = stretch.offset.saturating_add((last.start - first.start) as u64);
            ensure(before.is_none_or(|before| before < stretch.offset), || {
                "statements that are out of order".into()
            })?;
            let length = batch.text(text).map_or(0, |text| text.len() as u64);
            let end = last_offset.saturating_add(if from_input { length } else { 0 });
            ensure(end <= self.received, || {
                let Self { received, .. } = self;
                format!("a statement that ends at byte {end} exceeds the input of {received}")
            })?;
            ensure(stretch.line > 0 && stretch.column > 0, || "a line or column of 0".into())?;
            before = Some(last_offset);
        }
        Ok(())
    }
}

/// Later parts of a `COPY` block have no statement of their own.
fn carries_data_only(batch: &Batch) -> bool {
    matches!(batch.copy, Some(CopyPart::Middle | CopyPart::Last))
}

/// Whether each statement is of one stretch, and has room for what stands behind its text.
fn stretches(batch: &Batch) -> Check {
    let count = batch.statements();
    let mut firsts = batch.stretches.iter().map(|stretch| stretch.first as usize);
    let ascend = firsts.clone().zip(firsts.clone().skip(1)).all(|(one, next)| one < next);
    let begin = firsts.next().is_none_or(|first| first == 0);
    let reach = firsts.next_back().unwrap_or(0) < count.max(1);
    ensure(ascend && begin && reach && batch.stretches.is_empty() == (count == 0), || {
        format!("stretches that are not of its {count} statements")
    })?;
    let right = match batch.copy {
        None => count > 0,
        Some(CopyPart::Whole | CopyPart::First) => count == 1,
        Some(CopyPart::Middle | CopyPart::Last) => count == 0,
    };
    ensure(right, || format!("{count} statements in copy part {:?}", batch.copy))
}

/// Whether what is joined lies within the batch, and is joined as it should be.
fn joins(batch: &Batch) -> Check {
    let mut free = 0;
    // From the one on that the first of the joined statements is of: both are in order.
    let mut stretches = &batch.stretches[..];
    for join in &batch.joins {
        let (first, count) = (join.first as usize, join.statements as usize);
        let ascends = count > 0 && first >= free && first + count <= batch.statements();
        ensure(ascends && batch.copy.is_none(), || {
            format!("statements that cannot be joined: {join:?}")
        })?;
        free = first + count;
        while let [_, others @ ..] = stretches
            && others.first().is_some_and(|next| next.first as usize <= first)
        {
            stretches = others;
        }
        let alike = match batch.forms.is_joined() && count > 1 {
            true => are_joined(batch, join, stretches),
            false => are_alike(batch, join),
        };
        ensure(alike, || format!("joined statements that differ: {join:?}"))?;
    }
    Ok(())
}

/// Whether there is room for what stands around the rows, and a comma between them. `stretches`: from
/// that of the first statement on.
fn are_joined(batch: &Batch, join: &Join, stretches: &[Stretch]) -> bool {
    let given = batch.forms.given();
    let (first, last) = (join.first as usize, (join.first + join.statements) as usize - 1);
    let length = |index| given.range(index).map_or(0, |range| range.len());
    let ends = given.ends.get(first..last).unwrap_or_default();
    let is_comma = |end: &u32| given.body.get((*end as usize).wrapping_sub(1)) == Some(&b',');
    let terminators = |until: usize| {
        let of_them = stretches.iter().take_while(move |stretch| (stretch.first as usize) < until);
        of_them.map(|stretch| stretch.terminator)
    };
    let behind = batch.behind_terminated(last, terminators(last + 1).last().unwrap_or(0));
    length(first) > join.prefix as usize
        && length(last) >= join.tail as usize + behind
        && terminators(last).all(|terminator| terminator == 1)
        && ends.iter().fold(true, |all, end| all & is_comma(end))
}

/// Whether statements that are apart share what stands around their rows, and are parted so that they
/// can be joined.
fn are_alike(batch: &Batch, join: &Join) -> bool {
    let (first, last) = (join.first as usize, (join.first + join.statements) as usize - 1);
    let given = batch.forms.given();
    let text = |index| {
        let (range, behind) = (given.range(index)?, batch.parts(index)?.behind);
        let text = given.body.get(range.start..range.end.checked_sub(behind.len())?)?;
        Some((around_rows(text, join)?, behind))
    };
    let shared = text(first).map(|(around, _)| around);
    shared.is_some()
        && (first..=last).all(|index| {
            text(index).is_some_and(|(around, behind)| {
                Some(around) == shared && (index == last || behind == PARTED)
            })
        })
}

/// What stands before and behind the rows of a joined statement.
fn around_rows<'a>(text: &'a [u8], join: &Join) -> Option<(&'a [u8], &'a [u8])> {
    let tail = text.len().checked_sub(join.tail as usize)?;
    let prefix = join.prefix as usize;
    (prefix <= tail).then(|| (&text[..prefix], &text[tail..]))
}

fn ends(batch: &Batch) -> Check {
    let given = batch.forms.given();
    let length = given.body.len();
    let right = given.ends.first() != Some(&0)
        && batch.stretches_of(0..batch.statements()).all(|(stretch, statements)| {
            // All are looked at, many at once.
            let least = stretch.terminator;
            let ends = given.ends.get(statements.start.saturating_sub(1)..statements.end);
            let ends = ends.unwrap_or_default();
            let later = ends.get(1..).unwrap_or_default();
            let long = |one: u32, next: u32| (next > one) & (next.wrapping_sub(one) >= least);
            let first = ends.first().is_none_or(|end| statements.start > 0 || *end >= least);
            ends.iter().zip(later).fold(first, |all, (one, next)| all & long(*one, *next))
        });
    ensure(right, || "ends that do not ascend by a statement each".into())?;
    let last = given.ends.last().map_or(0, |&end| end as usize);
    let right = if batch.copy.is_some() { last <= length } else { last == length };
    ensure(right, || format!("a last statement that ends at {last} of {length} bytes"))?;
    if batch.is_ascii || !batch.is_text {
        return Ok(());
    }
    let starts_character = |&end: &u32| {
        given.body.get(end as usize).is_none_or(|byte| byte & 0b1100_0000 != 0b1000_0000)
    };
    // Those of joined statements are behind a comma.
    let own = match batch.forms.is_joined() {
        true => Cow::Owned(batch.sent_ends()),
        false => Cow::Borrowed(&given.ends),
    };
    // All are looked at, many at once.
    let right = own.iter().fold(true, |all, end| all & starts_character(end));
    ensure(right, || "an end inside a character".into())
}

fn ensure(holds: bool, fact: impl FnOnce() -> String) -> Check {
    if holds { Ok(()) } else { Err(fact()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Options,
        account::Account,
        batch::{
            Forms, Stretch,
            tests::{batch, join, rewrite},
        },
    };

    fn checks() -> Checks {
        let settings = Options::default().max_bytes(100).max_statements(3).settle().unwrap();
        Checks { received: 1000, ..Checks::new(settings, 0) }
    }

    fn violation(batch: &Batch) -> String {
        checks().batch(batch).unwrap_err()
    }

    #[test]
    fn batches_that_follow_one_another_pass() {
        let mut checks = checks();
        checks.batch(&batch(&["a", "b"])).unwrap();
        let mut second = batch(&["c"]);
        second.id = 2;
        second.first_statement = 3;
        second.stretches[0].offset = 6;
        checks.batch(&second).unwrap();
    }

    #[test]
    fn a_batch_or_a_statement_that_does_not_follow_is_a_violation() {
        let again = batch(&["a"]);
        let mut checks = checks();
        checks.batch(&again).unwrap();
        assert_eq!(checks.batch(&again).unwrap_err(), "batch 1: its number does not follow 1");
        let ahead = Batch { first_statement: 2, ..batch(&["a"]) };
        assert_eq!(violation(&ahead), "batch 1: statement 2 does not follow 0");
    }

    #[test]
    fn a_limit_is_kept_one_below_at_and_one_above() {
        let of_bytes = |bytes: usize| batch(&[&"x".repeat(bytes - 2)]);
        assert!(checks().batch(&of_bytes(99)).is_ok());
        assert!(checks().batch(&of_bytes(100)).is_ok());
        assert_eq!(violation(&of_bytes(101)), "batch 1: 101 bytes exceed the limit of 100");
        assert!(checks().batch(&batch(&["a", "b"])).is_ok());
        assert!(checks().batch(&batch(&["a", "b", "c"])).is_ok());
        let four = batch(&["a", "b", "c", "d"]);
        assert_eq!(violation(&four), "batch 1: 4 statements exceed the limit of 3");
    }

    #[test]
    fn stretches_that_are_not_of_all_statements_are_a_violation() {
        let with = |change: fn(&mut Vec<Stretch>)| {
            let mut batch = batch(&["a", "b"]);
            change(&mut batch.stretches);
            batch
        };
        for wrong in [
            with(|stretches| stretches.clear()),
            with(|stretches| stretches[0].first = 1),
            with(|stretches| stretches[1].first = 0),
            with(|stretches| stretches[1].first = 2),
        ] {
            assert!(violation(&wrong).contains("not of its 2 statements"), "{wrong:?}");
        }
        checks().batch(&with(|stretches| stretches.truncate(1))).unwrap();
        let long = with(|stretches| stretches[1].terminator = 4);
        assert!(violation(&long).contains("do not ascend"));
        assert!(violation(&batch(&[])).contains("0 statements in copy part None"));
    }

    #[test]
    fn what_is_joined_must_have_room_a_comma_and_one_byte_of_terminator() {
        let three = || {
            let mut three = batch(&["I (1) x", "I (2) x", "I (3) x"]);
            join(&mut three, Join { first: 0, statements: 3, prefix: 2, tail: 2 });
            three
        };
        let fact = |change: fn(&mut Batch)| {
            let mut three = three();
            change(&mut three);
            checks().batch(&three)
        };
        assert_eq!(fact(|_| ()), Ok(()));
        for change in [
            (|three| rewrite(three, |body, _| body[5] = b';')) as fn(&mut Batch),
            |three| three.joins[0].prefix = 6,
            |three| three.joins[0].tail = 7,
            |three| three.stretches[0].terminator = 2,
        ] {
            let violation = fact(change).unwrap_err();
            assert!(violation.contains("joined statements that differ"), "{violation}");
        }
        for change in [
            (|three| three.joins[0].statements = 4) as fn(&mut Batch),
            |three| three.joins[0].statements = 0,
            |three| three.joins.push(three.joins[0]),
        ] {
            assert!(fact(change).unwrap_err().contains("cannot be joined"));
        }
        let mut copied = batch(&["I (1) x"]);
        join(&mut copied, Join { first: 0, statements: 1, prefix: 2, tail: 2 });
        copied.copy = Some(CopyPart::Whole);
        assert!(violation(&copied).contains("cannot be joined"));
    }

    #[test]
    fn what_hooks_are_shown_as_joined_must_be_alike_and_parted_by_newlines() {
        let shown = |statements: &[&str], change: fn(&mut Vec<u8>)| {
            let mut shown = batch(statements);
            rewrite(&mut shown, |body, _| change(body));
            shown.joins = vec![Join { first: 0, statements: 2, prefix: 2, tail: 2 }];
            let given = shown.forms.given();
            shown.forms = Forms::apart(given.body.to_vec(), given.ends.clone(), &shown.joins);
            joins(&shown)
        };
        assert_eq!(shown(&["I (1) x", "I (2) x"], |_| ()), Ok(()));
        for (statements, change) in [
            (["I (1) x", "J (2) x"], (|_| ()) as fn(&mut Vec<u8>)),
            (["I (1) x", "I (2) y"], |_| ()),
            (["I (1) x", "I x"], |_| ()),
            (["I (1) x", "I (2) x"], |body| body[8] = b' '),
        ] {
            let violation = shown(&statements, change).unwrap_err();
            assert!(violation.contains("joined statements that differ"), "{violation}");
        }
    }

    #[test]
    fn ends_must_ascend_to_the_end_of_the_body_and_keep_characters_whole() {
        let mut back = batch(&["a", "b"]);
        rewrite(&mut back, |_, ends| *ends = vec![6, 6]);
        assert!(violation(&back).contains("do not ascend"));
        let mut short = batch(&["a", "b"]);
        rewrite(&mut short, |_, ends| *ends = vec![3, 5]);
        assert_eq!(violation(&short), "batch 1: a last statement that ends at 5 of 6 bytes");
        let mut torn = batch(&["é", "b"]);
        rewrite(&mut torn, |_, ends| ends[0] = 1);
        assert!(violation(&torn).contains("inside a character"));
    }

    #[test]
    fn a_statement_must_lie_in_the_input_that_was_given() {
        let mut beyond = batch(&["abc"]);
        beyond.stretches[0].offset = 998;
        assert!(violation(&beyond).contains("exceeds the input of 1000"));
        beyond.stretches[0].offset = u64::MAX;
        assert!(violation(&beyond).contains("exceeds the input of 1000"));
        let mut backwards = batch(&["a", "b"]);
        (backwards.stretches[0].offset, backwards.stretches[1].offset) = (5, 5);
        assert!(violation(&backwards).contains("out of order"));
    }

    #[test]
    fn copy_data_has_no_statements_and_may_go_beyond_the_last_end() {
        let mut first = batch(&["COPY t FROM stdin"]);
        first.copy = Some(CopyPart::First);
        rewrite(&mut first, |body, _| body.extend_from_slice(b"1\n"));
        let mut last = Batch { id: 2, copy: Some(CopyPart::Last), ..batch(&[]) };
        rewrite(&mut last, |body, _| *body = b"2\n\\.\n".to_vec());
        let mut checks = checks();
        checks.batch(&first).unwrap();
        checks.batch(&last).unwrap();
    }

    #[test]
    fn nothing_is_started_after_the_end() {
        let mut checks = Checks { stopped: true, ..checks() };
        assert!(checks.batch(&batch(&["a"])).unwrap_err().contains("after the end of the run"));
    }

    #[test]
    fn a_session_that_cannot_go_on_is_a_violation() {
        let stalled = Progress::default();
        assert!(checks().progress(&stalled).unwrap_err().contains("nothing is under way"));
        let wants_more = Progress { ready: true, ..Progress::default() };
        assert!(checks().progress(&wants_more).is_ok());
        let ended = Checks { ending: true, ..checks() };
        assert!(ended.progress(&wants_more).unwrap_err().contains("nothing is under way"));
        let miscounted = Progress { in_flight: 1, ready: true, ..Progress::default() };
        assert_eq!(checks().progress(&miscounted).unwrap_err(), "1 batches under way are 0");
        let account = Account { statements: 1, ..Account::default() };
        let wrong = Progress { account: Some(account), ..Progress::default() };
        assert!(checks().progress(&wrong).unwrap_err().contains("does not add up"));
    }
}
