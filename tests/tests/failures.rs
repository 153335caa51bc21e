//! Whatever fails, and in whatever order: each statement is in the report exactly once, its state
//! is the truth of what the database holds, and nothing is there twice. On a scripted database, with
//! a clock that is driven.
#![expect(clippy::unwrap_used, reason = "a test ends where something of its own fails")]

use std::{collections::BTreeSet, time::Duration};

use proptest::prelude::*;
use sql_batcher::{
    Batcher, Error, LedgerOptions, Reject, Report, RetryOptions,
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
    deeds: Vec<(u8, Deed)>,
    /// Which connections are refused.
    refusals: u32,
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
    (numbers, switches, prop::collection::vec((0_u8..4, deed()), 0..25)).prop_map(
        |(numbers, (skips, ledger, barrier), deeds)| {
            let (statements, per_batch, in_flight, max_retries, refusals) = numbers;
            Setting {
                statements,
                per_batch,
                in_flight,
                max_retries,
                skips,
                ledger,
                barrier,
                deeds,
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

fn number(text: &str) -> u32 {
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    digits.parse().unwrap()
}

struct Ended {
    result: Result<Report, Error>,
    rejected: Vec<u32>,
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
    let retries = RetryOptions { max_retries: setting.max_retries, ..RetryOptions::default() };
    let mut builder = Batcher::builder(database.clone())
        .max_statements(setting.per_batch)
        .in_flight(setting.in_flight)
        .attempt_timeout(Duration::from_secs(5))
        .retries(retries);
    let (rejects, rejected) = std::sync::mpsc::channel();
    if setting.skips {
        builder = builder.skip_bad(
            move |reject: &Reject<'_>| {
                rejects.send(number(&String::from_utf8_lossy(reject.sql))).unwrap();
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
    let script: String =
        (0..setting.statements).map(|n| format!("{};\n", statement(n, setting))).collect();
    let result = match batcher.push_str(&script).await {
        Ok(()) => batcher.finish().await,
        Err(error) => Err(error),
    };
    Ended { result, rejected: rejected.try_iter().collect(), database }
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
        let Ended { result, rejected, database } = on_a_paused_clock(&setting);
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
        let count = held.len() as u64;
        prop_assert!(report.applied <= count && count <= report.applied + report.unknown,
            "{} are held; {:?}", count, report);
        if setting.in_flight == 1 {
            prop_assert!(held.is_sorted(), "out of order: {:?}", held);
        }
        prop_assert_eq!(rejected.len() as u64, report.rejected);
        prop_assert!(rejected.iter().all(|number| !distinct.contains(number)));
        if result.is_ok() {
            prop_assert_eq!(report.applied + report.rejected, u64::from(setting.statements));
        }
        if let Some(barrier) = setting.barrier.filter(|barrier| distinct.contains(barrier)) {
            let at = held.iter().position(|number| *number == barrier).unwrap();
            prop_assert!(held[..at].iter().all(|number| *number < barrier), "{:?}", held);
            prop_assert!(held[at..].iter().all(|number| *number >= barrier), "{:?}", held);
        }
        if setting.ledger && setting.refusals == 0 {
            prop_assert_eq!(report.unknown, 0, "the ledger knows: {:?}", report);
        }
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
            deeds,
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
