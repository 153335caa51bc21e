//! The program, `sql-batcher run --database snowflake://…`.

use std::{
    fs,
    process::{Command, Output},
};

use sql_batcher_tests::{
    dumps::program,
    snowflake::{ACCOUNT, DATABASE, Double, SCHEMA, Setup, TOKEN, USER},
};

use crate::{TABLE, has_each_once, rows};

/// Runs the program; the token is in the environment.
async fn run(double: &Double, script: &str, arguments: &[&str]) -> (i32, String, String) {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a.sql"), script).unwrap();
    let address = double.address();
    let url = format!(
        "snowflake://{USER}@{ACCOUNT}/{DATABASE}/{SCHEMA}?warehouse=WH&base_url=http://{address}"
    );
    let mut command = Command::new(program());
    command.current_dir(folder.path()).args(["run", "--database", &url]).args(arguments);
    command.arg("a.sql").env("SQL_BATCHER_PASSWORD", TOKEN);
    // The double runs on the threads of this test.
    let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap();
    let Output { status, stdout, stderr } = output.unwrap();
    drop(folder);
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code().unwrap(), text(stdout), text(stderr))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_script_is_applied_and_reported() {
    let double = Double::start(Setup::default()).await;
    let script = format!("-- a comment\n// another; one\n{TABLE}{}", rows(300));
    let arguments = ["--report", "json", "--max-statements", "50", "-vv"];
    let (code, out, err) = run(&double, &script, &arguments).await;
    assert_eq!(code, 0, "{out}{err}");
    assert!(out.contains("\"applied\": 301"), "{out}");
    assert!(out.contains("Snowflake 9.30.1") || err.contains("Snowflake 9.30.1"), "{out}{err}");
    assert!(!format!("{out}{err}").contains(TOKEN), "{out}{err}");
    has_each_once(&double, 300).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_in_line_417_points_to_line_417() {
    let double = Double::start(Setup::default()).await;
    let script = format!("{TABLE}{}  INSERT INTO t VALUES (1, 2, 3);\n", rows(415));
    let (code, out, err) = run(&double, &script, &[]).await;
    assert_eq!(code, 1, "{out}{err}");
    assert!(err.contains("a.sql:417:3: statement 417: "), "{err}");
    let shown = format!("{out}{err}");
    assert!(!shown.contains(TOKEN) && !shown.contains("it''s row"), "{shown}");
    assert_eq!(double.number("SELECT count(*) FROM t").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_token_is_named_by_its_user_only() {
    let double = Double::start(Setup { wants_key: true, ..Setup::default() }).await;
    let (code, out, err) = run(&double, TABLE, &[]).await;
    assert_eq!(code, 1, "{out}{err}");
    assert!(err.contains("refused user \"loader\""), "{err}");
    assert!(!format!("{out}{err}").contains(TOKEN), "{out}{err}");
}
