//! Whatever fails, and in whatever order: each statement is in the report exactly once, its state
//! is the truth of what the database holds, and nothing is there twice. On a scripted database, with
//! a clock that is driven.
#![expect(clippy::unwrap_used, reason = "a test ends where something of its own fails")]

use std::{collections::BTreeSet, ops::Range, time::Duration};

use proptest::prelude::*;
use sql_batcher::{
    Batcher, Error, LedgerOptions, Reject, Report, RetryOptions, Transactions,
    adapters::{
        AdapterError, Effects, Fault, Problem, Scripted,
        scripted::{Answer, Event},
    },
};

/// What the database does with a request.
#[derive(Clone, Debug)]
enum Deed {
    Applies,
    /// A statement is bad: this one, or one that it does not name.
    Refuses(Option<u32>),
    Collides,
    /// The connection is lost before the end, or with the answer.
    Loses {
        applied: bool,
    },
    Hangs,
}

#[derive(Clone, Debug)]
struct Setting {
    statements: u32,
    per_batch: u32,
    in_flight: u32,
    max_retries: u32,
    skips: bool,
    ledger: bool,
    /// A statement among these that nothing may run beside.
    barrier: Option<u32>,
    /// What is one transaction.
    together: Together,
    deeds: Vec<(u8, Deed)>,
    /// What the database does with the commit of a run that is one transaction.
    commit: Deed,
    /// Which connections are refused.
    refusals: u32,
}

/// What is applied as a whole or not at all, besides a batch.
#[derive(Clone, Debug)]
enum Together {
    Nothing,
    /// These, in a transaction of the script's own.
    These(Range<u32>),
    /// The run.
    All,
}

impl Setting {
    /// The statements in the script's own transaction.
    fn own(&self) -> Range<u32> {
        match &self.together {
            Together::These(own) => own.start..own.end.min(self.statements),
            Together::Nothing | Together::All => 0..0,
        }
    }
}

fn together() -> impl Strategy<Value = Together> {
    prop_oneof![
        2 => Just(Together::Nothing),
        2 => (0_u32..30, 1_u32..9).prop_map(|(first, count)| Together::These(first..first + count)),
        1 => Just(Together::All),
    ]
}

fn deed() -> impl Strategy<Value = Deed> {
    prop_oneof![
        6 => Just(Deed::Applies),
        2 => prop::option::of(0_u32..4).prop_map(Deed::Refuses),
        2 => Just(Deed::Collides),
        2 => any::<bool>().prop_map(|applied| Deed::Loses { applied }),
        1 => Just(Deed::Hangs),
    ]
}

fn setting() -> impl Strategy<Value = Setting> {
    let numbers = (1_u32..30, 1_u32..6, 1_u32..5, 0_u32..4, 0_u32..3);
    let switches = (any::<bool>(), any::<bool>(), prop::option::of(0_u32..30));
    let deeds = (prop::collection::vec((0_u8..4, deed()), 0..25), deed());
    (numbers, switches, together(), deeds).prop_map(
        |(numbers, (skips, ledger, barrier), together, (deeds, commit))| {
            let (statements, per_batch, in_flight, max_retries, refusals) = numbers;
            Setting {
                statements,
                per_batch,
                in_flight,
                max_retries,
                skips: skips && !matches!(together, Together::All),
                ledger,
                barrier,
                together,
                deeds,
                commit,
                refusals,
            }
        },
    )
}

fn answer(deed: &Deed) -> Answer {
    let lost = |outcome_unknown| Problem {
        outcome_unknown,
        transient: true,
        ..Problem::new(Fault::Connection, "the connection was lost")
    };
    match deed {
        Deed::Applies => Answer::Applies(Effects::default()),
        Deed::Refuses(statement) => {
            let bad = Problem::new(Fault::Statement, "not so");
            Answer::Fails(Problem { statement: *statement, ..bad })
        }
        Deed::Collides => {
            let deadlock = Problem::new(Fault::Conflict, "deadlock");
            Answer::Fails(Problem { transient: true, ..deadlock })
        }
        Deed::Loses { applied: true } => Answer::AppliesButFails(lost(true)),
        Deed::Loses { applied: false } => Answer::Fails(lost(true)),
        Deed::Hangs => Answer::Hangs,
    }
}

fn statement(number: u32, setting: &Setting) -> String {
    match setting.barrier == Some(number) {
        true => format!("UPSERT {number}"),
        false => format!("INSERT {number}"),
    }
}

/// The script, with the transaction that it has, if it has one.
fn script(setting: &Setting) -> String {
    let own = setting.own();
    let text = |number| {
        let is_own = own.contains(&number);
        let begin = if is_own && number == own.start { "BEGIN;\n" } else { "" };
        let commit = if is_own && number + 1 == own.end { "COMMIT;\n" } else { "" };
        format!("{begin}{};\n{commit}", statement(number, setting))
    };
    (0..setting.statements).map(text).collect()
}

/// The numbers of a script's statements that have one.
fn numbers(text: &str) -> Vec<u32> {
    let lines = text.lines().filter(|line| line.contains(|character: char| character.is_numeric()));
    lines.map(number).collect()
}

fn number(text: &str) -> u32 {
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    digits.parse().unwrap()
}

struct Ended {
    result: Result<Report, Error>,
    rejected: Vec<u32>,
    /// How many statements were handed over as bad.
    handed_over: u64,
    database: Scripted,
}

async fn run(setting: &Setting) -> Ended {
    let database = Scripted::new();
    for (delay, deed) in &setting.deeds {
        database.answer_after(Duration::from_millis(u64::from(*delay)), answer(deed));
    }
    for _ in 0..setting.refusals {
        let refused = AdapterError::new(Fault::Connection, "connection refused");
        database.refuse(AdapterError { transient: true, ..refused });
    }
    database.answer_commit(answer(&setting.commit));
    let retries = RetryOptions { max_retries: setting.max_retries, ..RetryOptions::default() };
    let mut builder = Batcher::builder(database.clone())
        .max_statements(setting.per_batch)
        .in_flight(setting.in_flight)
        .attempt_timeout(Duration::from_secs(5))
        .retries(retries);
    if matches!(setting.together, Together::All) {
        builder = builder.transactions(Transactions::Run);
    }
    let (rejects, rejected) = std::sync::mpsc::channel();
    if setting.skips {
        builder = builder.skip_bad(
            move |reject: &Reject<'_>| {
                let numbers = numbers(&String::from_utf8_lossy(reject.sql));
                rejects.send((numbers, reject.statements)).unwrap();
                Ok(())
            },
            None,
        );
    } else {
        drop(rejects);
    }
    if setting.ledger {
        builder = builder.ledger(LedgerOptions { run: Some("r".into()), ..Default::default() });
    }
    let mut batcher = builder.build().await.unwrap();
    let result = match batcher.push_str(&script(setting)).await {
        Ok(()) => batcher.finish().await,
        Err(error) => Err(error),
    };
    let (rejected, counts): (Vec<_>, Vec<u64>) = rejected.try_iter().unzip();
    let handed_over = counts.into_iter().sum();
    Ended { result, rejected: rejected.concat(), handed_over, database }
}

fn on_a_paused_clock(setting: &Setting) -> Ended {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(run(setting))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_statement_is_in_the_report_once_and_its_state_is_the_truth(setting in setting()) {
        let Ended { result, rejected, handed_over, database } = on_a_paused_clock(&setting);
        let report = match &result {
            Ok(report) => report.clone(),
            Err(error) => error.report().unwrap().clone(),
        };
        let known = report.applied + report.failed + report.rolled_back + report.rejected;
        let all = known + report.skipped + report.unknown + report.not_reached + report.open;
        prop_assert_eq!(all, report.statements);
        prop_assert_eq!(report.open, 0);

        let held: Vec<u32> =
            database.applied_statements().iter().map(|text| number(text)).collect();
        let distinct: BTreeSet<u32> = held.iter().copied().collect();
        prop_assert_eq!(distinct.len(), held.len(), "doubled: {:?}", held);
        let own = setting.own();
        let of_own = own.clone().filter(|number| distinct.contains(number)).count();
        prop_assert!(of_own == 0 || of_own == own.len(), "half a transaction: {:?}", held);
        // With its first and last statement, which have no number.
        let count = held.len() as u64 + if of_own > 0 { 2 } else { 0 };
        let all = u64::from(setting.statements) + if own.is_empty() { 0 } else { 2 };
        if matches!(setting.together, Together::All) {
            prop_assert!(count == 0 || count == all, "half the run: {:?}", held);
        }
        prop_assert!(report.applied <= count && count <= report.applied + report.unknown,
            "{} are held; {:?}", count, report);
        if setting.in_flight == 1 {
            prop_assert!(held.is_sorted(), "out of order: {:?}", held);
        }
        prop_assert_eq!(handed_over, report.rejected);
        prop_assert!(rejected.iter().all(|number| !distinct.contains(number)));
        if result.is_ok() {
            prop_assert_eq!(report.applied + report.rejected, all);
        }
        if let Some(barrier) = setting.barrier.filter(|barrier| distinct.contains(barrier)) {
            let at = held.iter().position(|number| *number == barrier).unwrap();
            prop_assert!(held[..at].iter().all(|number| *number < barrier), "{:?}", held);
            prop_assert!(held[at..].iter().all(|number| *number >= barrier), "{:?}", held);
        }
        if setting.ledger && setting.refusals == 0 {
            // Nobody knows of a statement of another kind whether it commits what was before it.
            let may_commit = setting.barrier.is_some_and(|barrier| own.contains(&barrier));
            let most = if may_commit { own.len() as u64 + 2 } else { 0 };
            prop_assert!(report.unknown <= most, "the ledger knows: {:?}", report);
        }
    }
}

#[test]
fn what_is_lost_before_its_commit_is_known_not_to_be_applied_unless_it_may_have_committed() {
    for (barrier, unknown) in [(None, 0), (Some(3), 4)] {
        let setting = Setting {
            statements: 6,
            per_batch: 4,
            in_flight: 1,
            max_retries: 0,
            skips: false,
            ledger: true,
            barrier,
            together: Together::These(1..4),
            deeds: vec![
                (0, Deed::Applies),
                (0, Deed::Applies),
                (0, Deed::Loses { applied: false }),
            ],
            commit: Deed::Applies,
            refusals: 0,
        };
        let Ended { result, .. } = on_a_paused_clock(&setting);
        let error = result.unwrap_err();
        assert_eq!(error.report().unwrap().unknown, unknown, "{error:?}");
    }
}

#[test]
fn batches_run_beside_one_another_as_many_as_may_be() {
    for in_flight in [1, 2, 4, 8] {
        let deeds = (0..40).map(|_| (3, Deed::Applies)).collect();
        let setting = Setting {
            statements: 40,
            per_batch: 1,
            in_flight,
            max_retries: 0,
            skips: false,
            ledger: false,
            barrier: None,
            together: Together::Nothing,
            deeds,
            commit: Deed::Applies,
            refusals: 0,
        };
        let Ended { result, database, .. } = on_a_paused_clock(&setting);
        assert_eq!(result.unwrap().applied, 40);
        let sessions: BTreeSet<u32> = database
            .log()
            .iter()
            .filter_map(|event| match event {
                Event::Executed { session, .. } => Some(*session),
                _ => None,
            })
            .collect();
        assert_eq!(sessions.len(), in_flight as usize);
    }
}
