//! The hooks in `examples/hooks/`, built as their users build them: the guard, the tagger, and the
//! templates in Rust and in JavaScript.
#![expect(clippy::unwrap_used, reason = "a test ends where something of its own fails")]

use std::{path::Path, sync::LazyLock, time::Duration};

use sql_batcher::{
    Batcher, Builder, Dialect, Error, ErrorKind, Report,
    adapters::Scripted,
    hooks::{HookLimits, HookPolicy, SandboxedHook},
};
use sql_batcher_tests::hooks::{built, built_with_npm};

static GUARD: LazyLock<SandboxedHook> = LazyLock::new(|| hook(&built("guard", "component")));
static TAGGER: LazyLock<SandboxedHook> = LazyLock::new(|| hook(&built("tagger", "component")));

/// The default, and more time: the machine that runs tests is busy.
fn limits() -> HookLimits {
    HookLimits { call_timeout: Duration::from_secs(10), ..HookLimits::default() }
}

fn hook(path: &Path) -> SandboxedHook {
    SandboxedHook::open(path, limits()).unwrap()
}

fn with(database: &Scripted, hook: &SandboxedHook, config: &str) -> Builder {
    let hook = hook.clone().config(config);
    Batcher::builder(database.clone()).sandboxed_hook("h", HookPolicy::Abort, hook)
}

async fn run(builder: Builder, script: &str) -> Result<Report, Error> {
    let mut batcher = builder.build().await?;
    match batcher.push_str(script).await {
        Ok(()) => batcher.finish().await,
        Err(error) => Err(error),
    }
}

#[tokio::test]
async fn the_guard_is_not_fooled_by_comments_case_or_a_second_statement() {
    let refused = "a change of a whole table, without WHERE, is refused";
    for (dialect, script, expected) in [
        (Dialect::PostgreSql, "INSERT 1; drop/* not */TABLE t;", "drop is refused"),
        (Dialect::PostgreSql, "INSERT 1;;; dRoP table t -- INSERT", "drop is refused"),
        (Dialect::PostgreSql, "/* DROP */ TRUNCATE t;", "truncate is refused"),
        (Dialect::PostgreSql, "INSERT ';'; DELETE FROM t -- WHERE\n;", refused),
        (Dialect::PostgreSql, "WITH d AS (DELETE FROM t RETURNING *) SELECT 1;", refused),
        (Dialect::PostgreSql, "UPDATE t SET a = $$ WHERE $$;", refused),
        (Dialect::MySql, "/*!50000 DROP TABLE t */;", "drop is refused"),
        (Dialect::MySql, "INSERT '\\'; INSERT '; DELETE FROM t # WHERE\n;", "refused"),
        (Dialect::Sqlite, "DELETE FROM [where];", refused),
    ] {
        let database = Scripted::new();
        let error = run(with(&database, &GUARD, "").dialect(dialect), script).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Hook, "{script}: {error}");
        assert!(error.to_string().starts_with("hook \"h\" ended the run: statement "), "{error}");
        assert!(error.to_string().contains(expected), "{script}: {error}");
        assert_eq!(database.applied(), [""; 0], "{script}");
    }
}

#[tokio::test]
async fn the_guard_lets_pass_what_is_not_refused() {
    let script = "INSERT 'DROP TABLE t; DELETE FROM t'; -- DROP TABLE t;
        DELETE FROM t WHERE a IN (SELECT a FROM u); UPDATE t SET a = 1 WHERE b = 2;
        SELECT 1 FOR UPDATE; INSERT 1 ON CONFLICT DO UPDATE SET a = 1;";
    let database = Scripted::new();
    let builder = with(&database, &GUARD, "").dialect(Dialect::PostgreSql);
    assert_eq!(run(builder, script).await.unwrap().applied, 5);
}

#[tokio::test]
async fn the_guard_refuses_or_skips_what_it_is_told() {
    let database = Scripted::new();
    let builder = with(&database, &GUARD, "deny=insert action=skip").max_statements(1);
    let report = run(builder, "INSERT 1; DROP TABLE t; INSERT 2;").await.unwrap();
    assert_eq!((report.applied, report.skipped), (1, 2));
    let note = "hook \"h\" left out 2 batches, first: statement 1 (line 1): insert is refused";
    assert_eq!(report.notes, [note]);

    let error = run(with(&database, &GUARD, "deny=everything"), "").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidOptions);
    let expected = "hook \"h\" cannot be used: it refuses its configuration: \"everything\" is";
    assert!(error.to_string().starts_with(expected), "{error}");
}

#[tokio::test]
async fn the_tagger_says_where_each_batch_comes_from() {
    let script = "INSERT 1; INSERT 2; INSERT 3;";
    for (config, expected) in [
        ("app=a b", ["INSERT 1 /*app='a%20b'*/;", "INSERT 2;", "INSERT 3 /*app='a%20b'*/;"]),
        ("app=x,each", ["INSERT 1 /*app='x'*/;", "INSERT 2 /*app='x'*/;", "INSERT 3 /*app='x'*/;"]),
    ] {
        let database = Scripted::new();
        run(with(&database, &TAGGER, config).max_statements(2), script).await.unwrap();
        let applied = database.applied();
        assert_eq!(applied.iter().map(|sql| sql.trim_end()).collect::<Vec<_>>(), expected);
    }
}

#[tokio::test]
async fn batches_that_are_full_have_room_for_a_tag() {
    let database = Scripted::new();
    let script: String = (0..20_000).map(|id| format!("INSERT INTO t VALUES ({id});\n")).collect();
    let builder = with(&database, &TAGGER, "application=loader").max_bytes(20_000);
    let report = run(builder, &script).await.unwrap();
    assert_eq!(report.applied, 20_000);
    assert!(report.batches > 10, "{report}");
}

#[tokio::test]
async fn the_guard_and_the_tagger_go_together() {
    let database = Scripted::new();
    let tagger = TAGGER.clone().config("app=x");
    let builder = with(&database, &GUARD, "").sandboxed_hook("tag", HookPolicy::Abort, tagger);
    run(builder, "INSERT 1;").await.unwrap();
    assert_eq!(database.applied(), ["INSERT 1 /*app='x'*/;"]);
}

/// What both templates do.
async fn ends_large_batches(hook: &SandboxedHook) {
    let database = Scripted::new();
    let small = with(&database, hook, "2").max_statements(2);
    assert_eq!(run(small, "INSERT 1; INSERT 2; INSERT 3;").await.unwrap().applied, 3);
    let error = run(with(&database, hook, "2"), "INSERT 1; INSERT 2; INSERT 3;").await.unwrap_err();
    let expected = "hook \"h\" ended the run: 3 statements are more than 2";
    assert_eq!(error.to_string(), expected);
    let error = run(with(&database, hook, "many"), "").await.unwrap_err();
    let expected = "it refuses its configuration: \"many\" is no number of statements";
    assert!(error.to_string().ends_with(expected), "{error}");
}

#[tokio::test]
async fn the_template_in_rust_is_a_hook() {
    ends_large_batches(&hook(&built("template-rust", "release"))).await;
}

#[tokio::test]
async fn the_template_in_javascript_is_a_hook() {
    let Some(component) = built_with_npm() else { return };
    ends_large_batches(&hook(&component)).await;
}
