//! What does harm once it runs.

use sql_batcher::{
    Batcher, ErrorKind,
    adapters::Scripted,
    hooks::{HookLimits, HookPolicy, SandboxedHook},
};
use sql_batcher_tests::hooks::Parts;

use super::{Beside, PATIENCE, patient_limits, run};

/// When a hook does its harm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    /// When it is started: the run does not begin.
    Start,
    /// Before a batch, which is not sent.
    Pre,
    /// After a batch, which was applied.
    Post,
}

struct Case {
    name: &'static str,
    parts: Parts,
    at: At,
    expected: &'static str,
    limits: HookLimits,
}

const ENDLESS: &str = "(loop $for_ever (br $for_ever)) (unreachable)";
const RECURSION: &str = "(func $deeper (param i32) (result i32)
    (i32.add (call $deeper (i32.add (local.get 0) (i32.const 1))) (i32.const 1)))";

fn case(name: &'static str, at: At, expected: &'static str, parts: Parts) -> Case {
    Case { name, parts, at, expected, limits: patient_limits() }
}

fn fine() -> Parts {
    Parts::default()
}

/// What takes too long.
fn slow() -> Vec<Case> {
    let limit = "its call exceeded the limit of 100ms";
    let cases = vec![
        case(
            "endless start",
            At::Start,
            limit,
            Parts {
                more: "(func $begin (loop $for_ever (br $for_ever))) (start $begin)",
                ..fine()
            },
        ),
        case("endless configure", At::Start, limit, Parts { configure: ENDLESS, ..fine() }),
        case("endless cabi_realloc", At::Start, limit, Parts { realloc: ENDLESS, ..fine() }),
        case("endless pre-batch", At::Pre, limit, Parts { pre: ENDLESS, ..fine() }),
        case("endless post-batch", At::Post, limit, Parts { post: ENDLESS, ..fine() }),
        case(
            "endless clean-up behind pre-batch",
            At::Pre,
            limit,
            Parts {
                more: "(func (export \"cabi_post_sql-batcher:core/handler@0.1.0#pre-batch\")
                (param i32) (loop $for_ever (br $for_ever)))",
                ..fine()
            },
        ),
    ];
    cases.into_iter().map(|case| Case { limits: HookLimits::default(), ..case }).collect()
}

/// What takes too much.
fn greedy() -> Vec<Case> {
    vec![
        case(
            "a gigabyte at once",
            At::Start,
            "its memory of 1073741824 bytes exceeds",
            Parts { memory: "(memory (export \"memory\") 16384)", ..fine() },
        ),
        case(
            "memory page by page",
            At::Pre,
            "exceeds the limit of 16777216",
            Parts {
                pre: "(loop $more (drop (memory.grow (i32.const 1))) (br $more)) (unreachable)",
                ..fine()
            },
        ),
        case(
            "a hundred memories",
            At::Start,
            "its memory of",
            Parts {
                memory: "(memory (export \"memory\") 4) (memory 100) (memory 100) (memory 100)",
                ..fine()
            },
        ),
        case(
            "a table of ten million",
            At::Start,
            "its tables of 10000000 elements",
            Parts { more: "(table 10000000 funcref)", ..fine() },
        ),
        case(
            "a table that grows",
            At::Pre,
            "its tables of",
            Parts {
                more: "(table $t 1 funcref)",
                pre: "(loop $more
                    (drop (table.grow $t (ref.null func) (i32.const 1000))) (br $more))
                (unreachable)",
                ..fine()
            },
        ),
        case(
            "recursion",
            At::Pre,
            "its stack exceeded the limit of 524288 bytes",
            Parts { more: RECURSION, pre: "(call $deeper (i32.const 0))", ..fine() },
        ),
        case(
            "recursion when started",
            At::Start,
            "its stack exceeded the limit",
            Parts { more: RECURSION, configure: "(call $deeper (i32.const 0))", ..fine() },
        ),
        case(
            "a giant body",
            At::Pre,
            "its answer exceeds the limit of 1114112 bytes",
            Parts { memory: "(memory (export \"memory\") 200)", pre: REPLACE_WITH_12_MB, ..fine() },
        ),
        case(
            "a giant reason",
            At::Post,
            "its answer exceeds the limit of 1114112 bytes",
            Parts {
                memory: "(memory (export \"memory\") 200)",
                post: "(i32.store (i32.const 2048) (i32.const 1))
                (i32.store (i32.const 2052) (i32.const 4096))
                (i32.store (i32.const 2056) (i32.const 12000000)) (i32.const 2048)",
                ..fine()
            },
        ),
    ]
}

/// `replace(bytes)` of 12 MB.
const REPLACE_WITH_12_MB: &str = "
    (i32.store (i32.const 2048) (i32.const 0)) (i32.store (i32.const 2052) (i32.const 1))
    (i32.store (i32.const 2056) (i32.const 1)) (i32.store (i32.const 2060) (i32.const 4096))
    (i32.store (i32.const 2064) (i32.const 12000000)) (i32.const 2048)";

/// What answers nonsense.
fn liars() -> Vec<Case> {
    let text = |length: &'static str| length;
    vec![
        case(
            "text that is no UTF-8",
            At::Pre,
            "its answer is none: ",
            Parts {
                pre: "(i32.store (i32.const 2048) (i32.const 0))
                (i32.store (i32.const 2052) (i32.const 2))
                (i32.store (i32.const 2056) (i32.const 3000))
                (i32.store (i32.const 2060) (i32.const 2))
                (i32.store16 (i32.const 3000) (i32.const 0xfeff)) (i32.const 2048)",
                ..fine()
            },
        ),
        case(
            "a reason that is no UTF-8",
            At::Post,
            "its answer is none: ",
            Parts {
                post: "(i32.store (i32.const 2048) (i32.const 1))
                (i32.store (i32.const 2052) (i32.const 3000))
                (i32.store (i32.const 2056) (i32.const 1))
                (i32.store8 (i32.const 3000) (i32.const 0xc0)) (i32.const 2048)",
                ..fine()
            },
        ),
        case(
            "a verdict that there is not",
            At::Pre,
            "its answer is none: ",
            Parts {
                pre: "(i32.store (i32.const 2048) (i32.const 0))
                (i32.store (i32.const 2052) (i32.const 9)) (i32.const 2048)",
                ..fine()
            },
        ),
        case(
            "a result that there is not",
            At::Post,
            "its answer is none: ",
            Parts { post: "(i32.store (i32.const 2048) (i32.const 7)) (i32.const 2048)", ..fine() },
        ),
        case(
            "a result outside its memory",
            At::Pre,
            "its answer is none: ",
            Parts { pre: text("(i32.const -16)"), ..fine() },
        ),
        case(
            "a result at an odd address",
            At::Pre,
            "its answer is none: ",
            Parts { pre: text("(i32.const 1025)"), ..fine() },
        ),
        case(
            "a body outside its memory",
            At::Pre,
            "its answer is none: ",
            Parts {
                pre: "(i32.store (i32.const 2052) (i32.const 1))
                (i32.store (i32.const 2060) (i32.const 262100))
                (i32.store (i32.const 2064) (i32.const 1000)) (i32.const 2048)",
                ..fine()
            },
        ),
        case(
            "room outside its memory",
            At::Start,
            "its answer is none: ",
            Parts { realloc: "(i32.const -64)", ..fine() },
        ),
        case(
            "room at an odd address",
            At::Pre,
            "its answer is none: ",
            Parts {
                realloc: "(i32.add (i32.const 8192) (i32.ne (local.get $size) (i32.const 0)))",
                ..fine()
            },
        ),
        case(
            "a body without statements",
            At::Pre,
            "the replaced body is no script",
            Parts { pre: "(i32.store (i32.const 2052) (i32.const 1)) (i32.const 2048)", ..fine() },
        ),
        case(
            "a COMMIT in place of an INSERT",
            At::Pre,
            "controls transactions otherwise",
            Parts {
                more: "(data (i32.const 3000) \"COMMIT\")",
                pre: "(i32.store (i32.const 2052) (i32.const 1))
                (i32.store (i32.const 2060) (i32.const 3000))
                (i32.store (i32.const 2064) (i32.const 6)) (i32.const 2048)",
                ..fine()
            },
        ),
    ]
}

/// What traps.
fn trapping() -> Vec<Case> {
    vec![
        case(
            "unreachable when started",
            At::Start,
            "it trapped: ",
            Parts { configure: "(unreachable)", ..fine() },
        ),
        case("unreachable", At::Pre, "it trapped: ", Parts { pre: "(unreachable)", ..fine() }),
        case(
            "unreachable behind a batch",
            At::Post,
            "it trapped: ",
            Parts { post: "(unreachable)", ..fine() },
        ),
        case(
            "division by zero",
            At::Pre,
            "it trapped: ",
            Parts { pre: "(i32.div_u (i32.const 1) (i32.const 0))", ..fine() },
        ),
        case(
            "a read outside its memory",
            At::Pre,
            "it trapped: ",
            Parts { pre: "(i32.load (i32.const -4))", ..fine() },
        ),
        case(
            "a call of the wrong type",
            At::Pre,
            "it trapped: ",
            Parts {
                more: "(table 1 1 funcref) (elem (i32.const 0) $none) (func $none)
                (type $other (func (result i32)))",
                pre: "(call_indirect (type $other) (i32.const 0))",
                ..fine()
            },
        ),
        case(
            "a hook that waits to be asked twice",
            At::Pre,
            "it trapped: ",
            Parts {
                // After the trap it is another instance, which is asked for the first time again.
                more: "(global $asked (mut i32) (i32.const 0))",
                pre: "(global.set $heap (i32.const 8192))
                (if (i32.eqz (global.get $asked))
                    (then (global.set $asked (i32.const 1)) (unreachable)))
                (i32.const 1024)",
                ..fine()
            },
        ),
        case(
            "a hook that refuses its configuration",
            At::Start,
            "it refuses its config",
            Parts {
                configure: "(i32.store (i32.const 2048) (i32.const 1)) (i32.const 2048)",
                ..fine()
            },
        ),
    ]
}

fn builder(database: &Scripted, policy: HookPolicy, parts: &Parts) -> sql_batcher::Builder {
    limited(database, policy, parts, patient_limits())
}

fn limited(
    database: &Scripted,
    policy: HookPolicy,
    parts: &Parts,
    limits: HookLimits,
) -> sql_batcher::Builder {
    let hook = SandboxedHook::compile(&parts.component(), limits).unwrap();
    let hook = hook.config("any text");
    Batcher::builder(database.clone()).max_statements(1).sandboxed_hook("hostile", policy, hook)
}

/// The run ends, and says which hook and what it did; what was applied is what the account says.
async fn ends_the_run(case: &Case) {
    let database = Scripted::new();
    let builder = limited(&database, HookPolicy::Abort, &case.parts, case.limits);
    let error = run(builder).await.unwrap_err();
    let name = case.name;
    assert!(error.to_string().contains(case.expected), "{name}: {error}");
    if case.at == At::Start {
        assert_eq!(error.kind(), ErrorKind::InvalidOptions, "{name}: {error}");
        assert!(error.to_string().starts_with("hook \"hostile\" cannot be used: "), "{error}");
        assert!(error.report().is_none() && database.applied().is_empty());
        return;
    }
    assert_eq!(error.kind(), ErrorKind::Hook, "{name}: {error}");
    assert!(error.to_string().starts_with("hook \"hostile\" failed: "), "{name}: {error}");
    let report = error.report().unwrap();
    let applied = u64::from(case.at == At::Post);
    assert_eq!(report.applied, applied, "{name}: {report:?}");
    assert_eq!(report.applied + report.not_reached, report.statements, "{name}: {report:?}");
    assert_eq!(database.applied().len() as u64, applied, "{name}");
}

/// The run goes on without the hook, and the report counts it.
async fn is_passed_over(case: &Case) {
    let database = Scripted::new();
    let report = run(limited(&database, HookPolicy::Ignore, &case.parts, case.limits)).await;
    let name = case.name;
    if case.at == At::Start {
        assert_eq!(report.unwrap_err().kind(), ErrorKind::InvalidOptions, "{name}");
        return;
    }
    let report = report.unwrap();
    assert_eq!((report.applied, report.hook_failures), (3, 3), "{name}: {:?}", report.notes);
    assert!(report.notes[0].contains(case.expected), "{name}: {:?}", report.notes);
    assert_eq!(database.applied(), ["INSERT 1;", "INSERT 2;", "INSERT 3;"], "{name}");
}

async fn all(cases: Vec<Case>) {
    let beside = Beside::begin().await;
    for case in &cases {
        let harm = async {
            ends_the_run(case).await;
            is_passed_over(case).await;
        };
        let started = std::time::Instant::now();
        harm.await;
        assert!(started.elapsed() < PATIENCE, "{} took {:?}", case.name, started.elapsed());
    }
    beside.end().await;
}

#[tokio::test]
async fn what_takes_too_long_is_ended() {
    all(slow()).await;
}

#[tokio::test]
async fn what_takes_too_much_is_ended() {
    all(greedy()).await;
}

#[tokio::test]
async fn what_answers_nonsense_is_refused() {
    all(liars()).await;
}

#[tokio::test]
async fn what_traps_is_the_hooks_own_failure() {
    all(trapping()).await;
}

#[tokio::test]
async fn what_a_hook_says_cannot_drive_a_terminal() {
    let parts = Parts {
        more: "(data (i32.const 3000) \"\\1b[2Jgone\\0a\\07\")",
        pre: "(i32.store (i32.const 2052) (i32.const 3))
            (i32.store (i32.const 2056) (i32.const 3000))
            (i32.store (i32.const 2060) (i32.const 10)) (i32.const 2048)",
        ..fine()
    };
    let database = Scripted::new();
    let error = run(builder(&database, HookPolicy::Abort, &parts)).await.unwrap_err();
    assert_eq!(error.to_string(), "hook \"hostile\" ended the run: [2Jgone");
}

#[tokio::test]
async fn a_hook_is_configured_once_and_before_it_is_asked() {
    let parts = Parts {
        more: "(global $configured (mut i32) (i32.const 0))",
        configure: "(if (global.get $configured) (then (unreachable)))
            (global.set $configured (i32.const 1)) (i32.const 1024)",
        pre: "(if (i32.eqz (global.get $configured)) (then (unreachable)))
            (global.set $heap (i32.const 8192)) (i32.const 1024)",
        post: "(if (i32.eqz (global.get $configured)) (then (unreachable)))
            (global.set $heap (i32.const 8192)) (i32.const 1024)",
        ..fine()
    };
    let database = Scripted::new();
    let report = run(builder(&database, HookPolicy::Abort, &parts)).await.unwrap();
    assert_eq!(report.applied, 3);
}
