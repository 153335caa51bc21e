//! Invariants 1 and 3 to 6 of the batching, as properties, on the native core and on the component.

use proptest::collection::vec;
use proptest::prelude::*;
use sql_batcher::Splitter;
use sql_batcher_core::{
    Batch, Cause, CopyPart, Dialect, Interruption, Join, Options, Outcome, Oversized, Scope,
    Transactions,
};
use sql_batcher_tests::recorder::{Answer, Recorder, Run, run};
use sql_batcher_tests::scripts::{cut, dialect, options, script};
use sql_batcher_tests::split::of_host;

fn case() -> impl Strategy<Value = (Options, String, Vec<usize>)> {
    dialect()
        .prop_flat_map(|dialect| (options(dialect), script(dialect, 30), vec(any::<usize>(), 0..8)))
}

fn whole(options: &Options, text: &str) -> Run {
    run(options, [text.as_bytes()], Recorder::default())
}

/// What is sent of a batch: its statements one by one, with a comma in place of what stands between
/// joined rows.
fn requested(batch: &Batch) -> Vec<u8> {
    let batch = batch.apart();
    let mut text = Vec::new();
    let mut start = 0;
    let joins = |index: usize| {
        let index = index as u32;
        let within = |join: &&Join| (join.first + 1..join.first + join.statements).contains(&index);
        batch.joins.iter().find(within)
    };
    for (index, &end) in batch.ends.iter().enumerate() {
        let mut from = start;
        if let Some(join) = joins(index) {
            text.push(b',');
            from += join.prefix as usize;
        }
        let to = match joins(index + 1) {
            Some(join) => start + batch.length(index) - join.tail as usize,
            None => end as usize,
        };
        text.extend_from_slice(&batch.body[from..to]);
        start = end as usize;
    }
    text.extend_from_slice(&batch.body[start..]);
    text
}

/// The statements of batches, as they are sent, and the data of `COPY` blocks.
fn sent(batches: &[Batch]) -> Vec<Vec<u8>> {
    let mut statements: Vec<Vec<u8>> = Vec::new();
    for batch in batches.iter().map(Batch::apart) {
        let body = batch.body.as_slice();
        let mut start = 0;
        for &end in &batch.ends {
            statements.push(body[start..end as usize].trim_ascii_end().to_vec());
            start = end as usize;
        }
        match batch.copy {
            None => assert_eq!(start, body.len(), "text behind the last statement"),
            Some(_) => statements
                .last_mut()
                .expect("data follows its statement")
                .extend_from_slice(&body[start..]),
        }
    }
    statements
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2000) })]

    #[test]
    fn invariant_1_cutting_the_input_changes_no_batch((options, text, places) in case()) {
        let one = whole(&options, &text);
        let other = run(&options, cut(text.as_bytes(), &places), Recorder::default());
        prop_assert_eq!(&one.batches, &other.batches);
        prop_assert_eq!(one.failure, other.failure);
        prop_assert_eq!(one.report, other.report);
    }

    #[test]
    fn invariant_3_no_batch_exceeds_any_limit((options, text, _) in case()) {
        let limits = options.limits;
        for batch in whole(&options, &text).batches {
            prop_assert_eq!(&requested(&batch), &batch.body);
            let bytes = batch.body.len() as u64;
            prop_assert_eq!(bytes, batch.info().bytes);
            prop_assert_eq!(batch.is_ascii, batch.body.is_ascii());
            let alone = batch.ends.len() == 1 && options.oversized != Oversized::Refuse;
            prop_assert!(bytes <= limits.max_batch_bytes || alone, "{} bytes", bytes);
            let apart_bytes = batch.apart().body.len() as u64;
            prop_assert!(apart_bytes <= 16 * limits.max_batch_bytes || alone);
            let text = String::from_utf8_lossy(&batch.body);
            let characters = text.encode_utf16().count() as u64;
            let most = limits.max_batch_characters.unwrap_or(u64::MAX);
            prop_assert!(characters <= most || batch.copy.is_some(), "{} characters", characters);
            prop_assert!(batch.ends.len() <= limits.max_statements as usize);
            let joined: u32 = batch.joins.iter().map(|join| join.statements - 1).sum();
            let commands = batch.ends.len() as u32 - joined;
            prop_assert!(limits.max_commands.is_none_or(|most| commands <= most));
            let rows = limits.max_rows.is_none_or(|most| batch.rows <= most);
            prop_assert!(rows || batch.ends.len() == 1, "{} rows", batch.rows);
        }
    }

    #[test]
    fn invariant_4_nothing_is_lost_repeated_or_reordered((options, text, _) in case()) {
        let run = whole(&options, &text);
        let found = run.batches.iter().map(|batch| batch.ends.len() as u64).sum::<u64>();
        prop_assert_eq!(found + run.report.not_reached, run.report.statements);
        // The same statements, each in a batch of its own.
        let mut single = Options::new(options.dialect);
        single.limits.max_statements = 1;
        single.transactions = Transactions::None;
        let all = sent(&whole(&single, &text).batches);
        let these = sent(&run.batches);
        prop_assert_eq!(&these[..], &all[..these.len()]);
        if run.failure.is_none() {
            prop_assert_eq!(these.len(), all.len());
        }
        let mut next = 1;
        for (index, batch) in run.batches.iter().enumerate() {
            prop_assert_eq!(batch.id, index as u64 + 1);
            if !batch.ends.is_empty() {
                prop_assert_eq!(batch.first_statement, next);
                next += batch.ends.len() as u64;
            }
        }
    }

    #[test]
    fn invariant_5_every_statement_is_in_the_report_once(
        (options, text, places) in case(),
        answers in vec(answer(), 0..20),
    ) {
        let host = Recorder::answering(answers);
        let run = run(&options, cut(text.as_bytes(), &places), host);
        let report = run.report;
        let decided = report.applied + report.failed + report.rolled_back + report.rejected
            + report.skipped
            + report.unknown + report.not_reached;
        prop_assert_eq!(decided + report.open, report.statements);
        let spans_run = options.transactions == Transactions::Run && run.failure.is_none();
        prop_assert!(report.open == 0 || spans_run);
        prop_assert_eq!(truth(&options, &run), (report.applied + report.open, report.unknown));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) })]

    #[test]
    fn invariant_6_the_core_and_the_component_give_the_same_batches(
        (options, text, places) in case(),
    ) {
        // The component is asked through the splitter, which has one batch in flight.
        let mut options = options;
        options.limits.max_in_flight = 1;
        // Those come from the database.
        options.limits.max_batch_characters = None;
        options.limits.max_commands = None;
        let native = whole(&options, &text);
        let mut splitter = Splitter::new(host_options(&options)).expect("the options are valid");
        let mut batches = Vec::new();
        let mut failure = None;
        for chunk in cut(text.as_bytes(), &places) {
            failure = splitter.push(chunk).map(|more| batches.extend(more)).err();
        }
        failure = splitter.end().err().or(failure);
        batches.extend(splitter.take_batches());
        prop_assert_eq!(batches.len(), native.batches.len());
        for (ours, theirs) in native.batches.iter().zip(&batches) {
            prop_assert_eq!(&ours.body[..], theirs.sent());
            prop_assert_eq!(&ours.apart().body[..], theirs.body());
            prop_assert_eq!(&ours.apart().ends[..], theirs.ends());
            prop_assert_eq!(format!("{:?}", ours.stretches), format!("{:?}", theirs.stretches));
            prop_assert_eq!(ours.rows, theirs.rows);
            prop_assert_eq!(format!("{:?}", ours.joins), format!("{:?}", theirs.joins));
            prop_assert_eq!(format!("{:?}", ours.scope), format!("{:?}", theirs.scope));
            prop_assert_eq!(format!("{:?}", ours.copy), format!("{:?}", theirs.copy));
            prop_assert_eq!(format!("{:?}", ours.sealed_by), format!("{:?}", theirs.sealed_by));
        }
        match (&native.failure, &failure) {
            (Some(ours), Some(theirs)) => prop_assert_eq!(&ours.message, theirs.message()),
            (ours, theirs) => prop_assert!(ours.is_none() && theirs.is_none(), "{:?} {:?}", ours, theirs),
        }
    }
}

fn answer() -> impl Strategy<Value = Answer> {
    let cause = prop_oneof![Just(Cause::Failed), Just(Cause::Unknown), Just(Cause::Cancelled)];
    let outcome = prop_oneof![
        20 => Just(Outcome::applied(None)),
        1 => prop::collection::btree_set(0_u32..3, 0..3).prop_map(|rejected| Outcome {
            rejected: rejected.into_iter().collect(),
            ..Outcome::default()
        }),
        3 => (cause, 0_u32..3, 1_u32..3).prop_map(|(cause, settled, statements)| Outcome {
            settled,
            interruption: Some(Interruption { cause, statements, statement: None }),
            ..Outcome::default()
        }),
    ];
    (outcome, any::<bool>()).prop_map(|(outcome, later)| Answer { outcome, later })
}

/// What a database holds in which batches ended so, and what is not known of it: counted in the most
/// simple-minded way. (Statements of an open transaction count as held if nothing failed.)
fn truth(options: &Options, run: &Run) -> (u64, u64) {
    let spans_run = options.transactions == Transactions::Run;
    let (mut applied, mut unknown, mut open) = (0, 0, 0);
    for (index, batch) in run.batches.iter().enumerate() {
        let outcome = &run.outcomes[index];
        let in_parts =
            matches!(batch.copy, Some(CopyPart::First | CopyPart::Middle | CopyPart::Last));
        let statements = if in_parts { 1 } else { batch.ends.len() as u64 };
        let decides = !matches!(batch.copy, Some(CopyPart::First | CopyPart::Middle));
        let rejected = outcome.rejected.len() as u64;
        let Some(Interruption { cause, statements: sent, .. }) = outcome.interruption else {
            match batch.scope {
                _ if !decides => {}
                Scope::Scripted => open += statements - rejected.min(statements),
                Scope::Atomic | Scope::Bare => applied += statements - rejected.min(statements),
            }
            if !spans_run && ends_transaction(options, run, index) {
                applied += std::mem::take(&mut open);
            }
            continue;
        };
        let settled = u64::from(outcome.settled).min(statements);
        applied += settled;
        if settled > 0 && batch.scope == Scope::Scripted {
            // What stays was committed, and with it what was before it.
            applied += std::mem::take(&mut open);
        }
        match cause {
            Cause::Unknown => {
                unknown += u64::from(sent).min(statements - settled) + std::mem::take(&mut open);
            }
            Cause::Failed | Cause::Cancelled => open = 0,
        }
    }
    let kept = if run.failure.is_none() { open } else { 0 };
    (applied + kept, unknown)
}

/// Whether the transaction of the script's own ends with a batch: no other of it follows.
fn ends_transaction(options: &Options, run: &Run, index: usize) -> bool {
    use sql_batcher_core::Kind::{
        Alter, Begin, Commit, Create, Drop, Grant, Lock, Maintain, Rollback, Savepoint, Set,
        Truncate,
    };
    let batch = &run.batches[index];
    let body = String::from_utf8_lossy(&batch.body).to_uppercase();
    let body = body.rsplit('\n').next().unwrap_or_default();
    match batch.stretches.last().map(|last| last.kind) {
        Some(Commit | Rollback) => true,
        // On MySQL it commits what is open; whether anything is, is tested where that is followed.
        Some(Begin) => batch.ends_transaction,
        Some(Savepoint) => body.ends_with("RELEASE S;") && sqlite_depth(run, index) == 0,
        Some(Set) => body.contains("AUTOCOMMIT = 1"),
        Some(Create | Alter | Drop | Grant) if options.dialect == Dialect::Snowflake => true,
        Some(Create | Alter | Drop | Truncate | Grant | Lock | Maintain) => {
            options.dialect == Dialect::MySql && !body.contains("VACUUM")
        }
        _ => false,
    }
}

/// Savepoints that are open after a batch, since the transaction began.
fn sqlite_depth(run: &Run, index: usize) -> usize {
    let mut depth: usize = 0;
    for batch in &run.batches[..=index] {
        for text in String::from_utf8_lossy(&batch.body).split('\n') {
            match text.trim_end() {
                "SAVEPOINT s;" => depth += 1,
                "RELEASE s;" => depth = depth.saturating_sub(1),
                "COMMIT;" | "ROLLBACK;" | "COMMIT ;" | "ROLLBACK ;" => depth = 0,
                "BEGIN;" | "BEGIN ;" => depth = 1000,
                _ => {}
            }
        }
    }
    depth
}

fn host_options(options: &Options) -> sql_batcher::Options {
    let limits = options.limits;
    let mut host = sql_batcher::Options::default()
        .max_bytes(limits.max_batch_bytes)
        .max_statement_bytes(limits.max_statement_bytes)
        .max_statements(limits.max_statements)
        .transactions(match options.transactions {
            Transactions::Batch => sql_batcher::Transactions::Batch,
            Transactions::Run => sql_batcher::Transactions::Run,
            Transactions::None => sql_batcher::Transactions::None,
        })
        .oversized(match options.oversized {
            Oversized::Refuse => sql_batcher::Oversized::Refuse,
            Oversized::SendAlone(_) => sql_batcher::Oversized::SendAlone,
        })
        .dialect(of_host(options.dialect));
    if let Some(merging) = options.merging {
        host = host.merge_inserts(true).max_insert_rows(merging.max_rows);
        host = host.fast_path(merging.locates_rows);
    }
    if let Some(rows) = limits.max_rows {
        host = host.max_rows(rows);
    }
    host
}
