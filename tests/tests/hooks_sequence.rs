//! Properties of hooks: whatever they say, in whatever order, with whatever the database answers,
//! the calls come in their order, what is sent is what they made of it, and the account is right.
#![expect(clippy::unwrap_used, reason = "a test ends where something of its own fails")]

use std::sync::{Arc, Mutex};

use proptest::{collection::vec, prelude::*};
use sql_batcher::{
    Backoff, Batch, Batcher, Error, Report, RetryOptions,
    adapters::{
        Effects, Fault, Problem, Scripted,
        scripted::{Answer, Event},
    },
    hooks::{BatchInfo, Ending, Hook, HookError, HookPolicy, Outcome, Verdict},
};

/// Statements of a batch.
const TOGETHER: usize = 2;

/// What a hook says before a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Say {
    Proceed,
    /// Adds a letter to each statement.
    Replace,
    /// Gives what may not be given.
    Misplace,
    Skip,
    Abort,
    Fail,
    Panic,
}

#[derive(Clone, Debug)]
struct Plan {
    ignores: bool,
    /// One for each batch; after the last it proceeds.
    says: Vec<Say>,
    /// Whether it fails behind a batch; after the last it does not.
    fails_after: Vec<bool>,
}

impl Plan {
    fn say(&self, batch: usize) -> Say {
        self.says.get(batch).copied().unwrap_or(Say::Proceed)
    }
}

/// What the database answers to a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answers {
    Applies,
    /// Collides so often, and then applies.
    Collides(usize),
    Fails,
}

type Log = Arc<Mutex<Vec<String>>>;

struct Scripting {
    number: usize,
    plan: Plan,
    log: Log,
}

impl Hook for Scripting {
    fn pre_batch(&mut self, batch: &Batch) -> Result<Verdict, HookError> {
        let body = String::from_utf8(batch.body().to_vec()).unwrap();
        let index = batch.id as usize - 1;
        self.log.lock().unwrap().push(format!("pre {} {index} {body}", self.number));
        match self.plan.say(index) {
            Say::Proceed => Ok(Verdict::Proceed),
            Say::Replace => Ok(Verdict::Replace(marked(&body).into_bytes())),
            Say::Misplace => Ok(Verdict::Replace(b"ROLLBACK".to_vec())),
            Say::Skip => Ok(Verdict::Skip("skip".to_owned())),
            Say::Abort => Ok(Verdict::Abort("abort".to_owned())),
            Say::Fail => Err("fail".into()),
            Say::Panic => panic!("panic"),
        }
    }

    fn post_batch(&mut self, batch: &BatchInfo, outcome: &Outcome) -> Result<(), HookError> {
        let index = batch.id as usize - 1;
        let line = format!("post {} {index} {:?}", self.number, outcome.ending);
        self.log.lock().unwrap().push(line);
        match self.plan.fails_after.get(index) {
            Some(true) => Err("fail".into()),
            _ => Ok(()),
        }
    }
}

fn marked(body: &str) -> String {
    body.replace(';', "x;")
}

/// What must happen.
#[derive(Debug, Default, PartialEq, Eq)]
struct Expected {
    log: Vec<String>,
    sent: Vec<String>,
    applied: u64,
    skipped: u64,
    failed: u64,
    rolled_back: u64,
    ignored: u64,
    /// Whether the run fails.
    fails: bool,
}

impl Expected {
    fn of(statements: usize, plans: &[Plan], answers: &[Answers]) -> Self {
        let mut expected = Self::default();
        let mut executed = 0;
        for batch in 0..statements.div_ceil(TOGETHER) {
            let numbers = batch * TOGETHER..statements.min((batch + 1) * TOGETHER);
            let count = numbers.len() as u64;
            let texts: Vec<String> = numbers.map(|number| format!("INSERT {number};")).collect();
            let Some(body) = expected.before(batch, texts.join("\n"), plans, count) else {
                if expected.fails {
                    return expected;
                }
                continue;
            };
            let answer = answers.get(executed).copied().unwrap_or(Answers::Applies);
            executed += 1;
            expected.execute(&body, answer, count);
            expected.after(batch, answer, plans);
            if expected.fails {
                return expected;
            }
        }
        expected
    }

    /// The body that is sent; none where nothing is.
    fn before(
        &mut self,
        batch: usize,
        mut body: String,
        plans: &[Plan],
        count: u64,
    ) -> Option<String> {
        for (number, plan) in plans.iter().enumerate() {
            self.log.push(format!("pre {number} {batch} {body}"));
            match plan.say(batch) {
                Say::Proceed => {}
                Say::Replace => body = marked(&body),
                Say::Skip => {
                    self.skipped += count;
                    return None;
                }
                Say::Misplace | Say::Fail | Say::Panic if plan.ignores => self.ignored += 1,
                Say::Abort | Say::Misplace | Say::Fail | Say::Panic => {
                    self.fails = true;
                    return None;
                }
            }
        }
        Some(body)
    }

    fn execute(&mut self, body: &str, answer: Answers, count: u64) {
        let attempts = match answer {
            Answers::Collides(times) => times + 1,
            _ => 1,
        };
        self.sent.extend(std::iter::repeat_n(body.to_owned(), attempts));
        match answer {
            Answers::Fails => {
                self.failed += 1;
                self.rolled_back += count - 1;
                self.fails = true;
            }
            _ => self.applied += count,
        }
    }

    fn after(&mut self, batch: usize, answer: Answers, plans: &[Plan]) {
        let ending = match answer {
            Answers::Fails => Ending::Failed,
            _ => Ending::Applied,
        };
        for (number, plan) in plans.iter().enumerate().rev() {
            self.log.push(format!("post {number} {batch} {ending:?}"));
            if plan.fails_after.get(batch) == Some(&true) {
                match plan.ignores {
                    true => self.ignored += 1,
                    false => self.fails = true,
                }
            }
        }
    }
}

fn say() -> impl Strategy<Value = Say> {
    prop_oneof![
        6 => Just(Say::Proceed),
        4 => Just(Say::Replace),
        2 => Just(Say::Misplace),
        2 => Just(Say::Skip),
        1 => Just(Say::Abort),
        2 => Just(Say::Fail),
        1 => Just(Say::Panic),
    ]
}

fn plan() -> impl Strategy<Value = Plan> {
    let fails_after = vec(prop::bool::weighted(0.1), 0..4);
    (prop::bool::weighted(0.8), vec(say(), 0..5), fails_after)
        .prop_map(|(ignores, says, fails_after)| Plan { ignores, says, fails_after })
}

fn answers() -> impl Strategy<Value = Answers> {
    prop_oneof![
        6 => Just(Answers::Applies),
        2 => (1_usize..4).prop_map(Answers::Collides),
        1 => Just(Answers::Fails),
    ]
}

fn answer(database: &Scripted, answers: &[Answers]) {
    let collision = || Problem { transient: true, ..Problem::new(Fault::Conflict, "deadlock") };
    for answer in answers {
        if let Answers::Collides(times) = answer {
            for _ in 0..*times {
                database.answer(Answer::Fails(collision()));
            }
        }
        database.answer(match answer {
            Answers::Fails => Answer::Fails(Problem::new(Fault::Statement, "syntax error")),
            _ => Answer::Applies(Effects::default()),
        });
    }
}

async fn run(
    statements: usize,
    plans: &[Plan],
    database: &Scripted,
    log: &Log,
) -> Result<Report, Error> {
    let retries = RetryOptions { strategy: Backoff::Constant, ..RetryOptions::default() };
    let mut builder =
        Batcher::builder(database.clone()).max_statements(TOGETHER as u32).retries(retries);
    for (number, plan) in plans.iter().enumerate() {
        let policy = match plan.ignores {
            true => HookPolicy::Ignore,
            false => HookPolicy::Abort,
        };
        let hook = Scripting { number, plan: plan.clone(), log: Arc::clone(log) };
        builder = builder.hook(format!("h{number}"), policy, hook);
    }
    let script: String = (0..statements).map(|number| format!("INSERT {number};\n")).collect();
    let mut batcher = builder.build().await?;
    match batcher.push_str(&script).await {
        Ok(()) => batcher.finish().await,
        Err(error) => Err(error),
    }
}

fn sent(database: &Scripted) -> Vec<String> {
    let body = |event| match event {
        Event::Executed { body, .. } => Some(String::from_utf8(body).unwrap()),
        _ => None,
    };
    database.log().into_iter().filter_map(body).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn hooks_are_called_in_order_and_everything_is_accounted_for(
        statements in 0_usize..9,
        plans in vec(plan(), 0..4),
        answers in vec(answers(), 0..5),
    ) {
        let expected = Expected::of(statements, &plans, &answers);
        let (database, log) = (Scripted::new(), Log::default());
        answer(&database, &answers);
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_all().start_paused(true).build().unwrap();
        let ended = runtime.block_on(run(statements, &plans, &database, &log));

        let report = match &ended {
            Ok(report) => report,
            Err(error) => error.report().unwrap(),
        };
        let found = Expected {
            log: log.lock().unwrap().clone(),
            sent: sent(&database),
            applied: report.applied,
            skipped: report.skipped,
            failed: report.failed,
            rolled_back: report.rolled_back,
            ignored: report.hook_failures,
            fails: ended.is_err(),
        };
        prop_assert_eq!(&found, &expected);
        let known = report.applied + report.skipped + report.failed + report.rolled_back;
        prop_assert_eq!(known + report.not_reached, report.statements, "{:?}", report);
        prop_assert!(ended.is_err() || report.not_reached == 0, "{:?}", report);
    }
}
