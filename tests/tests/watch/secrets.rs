//! Whoever watches a run learns nothing of its data: what is marked as a secret, in a value, in the
//! value of a statement that fails and in the password of the URL, is in no output, and neither is
//! any SQL: not in the log, the report, the metrics, the traces, the audit log or the ledger.

use sql_batcher_tests::{
    collector::Collector,
    direct::Direct,
    http,
    servers::{mysql_url, postgres_url},
};

use crate::Running;

const SECRET: &str = "s3cret";
/// A user of MySQL and MariaDB who has a password.
const USER: &str = "CREATE USER IF NOT EXISTS 'watched'@'%' IDENTIFIED BY 's3cret-password';
    GRANT ALL ON *.* TO 'watched'@'%';";

/// A row whose key is there already, which the key alone does not tell.
const SAME_ID: &str = "INSERT INTO {table} VALUES (1, 's3cret-twice')";
/// A row whose name is there already: some databases quote it.
const SAME_NAME: &str = "INSERT INTO {table} VALUES (4, 's3cret-value')";

/// A script with a statement that is refused.
fn script(table: &str, bad: &str) -> String {
    let bad = bad.replace("{table}", table);
    format!(
        "DROP TABLE IF EXISTS {table};
         CREATE TABLE {table} (id INTEGER PRIMARY KEY, name VARCHAR(99) UNIQUE);
         INSERT INTO {table} VALUES (1, 's3cret-value');
         INSERT INTO {table} VALUES (2, 's3cret-other');
         {bad};
         INSERT INTO {table} VALUES (3, 's3cret-behind');"
    )
}

/// The URL with a password, and perhaps another user.
fn with_password(url: &str, user: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap();
    let (_, place) = rest.split_once('@').unwrap();
    format!("{scheme}://{user}:s3cret-password@{place}")
}

/// Runs the script with everything that there is to watch it, and looks everywhere. The log and the
/// report are both for people or both for machines.
fn look(url: &str, format: &str, bad: &str) {
    let collector = Collector::start();
    let otlp = collector.url();
    let table = format!("watched_{format}");
    let ledger = format!("{table}_ledger");
    let outputs = ["-vv", "--log-format", format, "--report", format, "--otlp-endpoint", &otlp];
    let metrics = ["--metrics-addr", "127.0.0.1:0", "--metrics-linger", "1h"];
    let kept = ["--ledger-table", &ledger, "--audit-log", "audit.jsonl"];
    let database = ["--database", url, "--max-statements", "2"];
    let arguments = [&outputs[..], &metrics, &kept, &database].concat();
    let script = script(&table, bad);
    let mut running = Running::start(&script, &arguments, &[]);
    let address = running.metrics_address();
    running.line_with("metrics are served for another");
    let (_, metrics) = http::get(address, "/metrics").unwrap();
    let audit = running.file("audit.jsonl");
    let ledger = rows(url, &running, &ledger);
    running.interrupt();
    let ended = running.end();
    assert_eq!(ended.code, Some(1), "{}", ended.err);
    // Each has what it should, so that it means something that it has nothing else.
    assert!(ended.err.contains("run ended early"), "{}", ended.err);
    let failed = if format == "json" { "\"failed\": 1," } else { "\n  failed      1\n" };
    assert!(ended.out.contains(failed), "{}", ended.out);
    assert!(audit.contains("\"outcome\":\"failed\""), "{audit}");
    assert!(ledger.contains("applied"), "{ledger}");
    assert!(metrics.contains("state=\"failed\"} 1\n"), "{metrics}");
    assert!(collector.spans().iter().any(|(span, _)| span.name == "attempt"));
    assert!(!collector.last_metrics().is_empty());
    let texts = [
        ("log", ended.err),
        ("report", ended.out),
        ("metrics", metrics),
        ("audit log", audit),
        ("ledger", ledger),
    ];
    let sent = collector.sent().into_iter();
    let sent = sent.map(|sent| ("otlp", String::from_utf8_lossy(&sent.body).into_owned()));
    for (name, text) in texts.into_iter().chain(sent) {
        for hidden in [SECRET, "INSERT INTO", "VALUES"] {
            assert!(!text.contains(hidden), "{hidden} is in the {name} of {format}:\n{text}");
        }
    }
}

/// What a ledger has, every column.
fn rows(url: &str, running: &Running, ledger: &str) -> String {
    let url = match url.strip_prefix("sqlite://") {
        Some(file) => format!("sqlite://{}", running.folder.path().join(file).display()),
        None => url.to_owned(),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut direct = Direct::to(&url).await;
        let values = direct.values(&format!("SELECT * FROM {ledger}")).await;
        direct.run(&[&format!("DROP TABLE {ledger}")]).await;
        values.into_iter().flatten().collect::<Vec<_>>().join("\n")
    })
}

/// Once for each statement that is refused and each format of the log.
fn look_everywhere(url: &str, bad: &[&str]) {
    for bad in bad {
        look(url, "text", bad);
        look(url, "json", bad);
    }
}

#[test]
fn no_output_of_a_run_on_sqlite_has_a_secret() {
    let near = "INSERT INTO {table} VALUES (4, 'a') s3cret_word";
    look_everywhere("sqlite://app.db", &[SAME_ID, SAME_NAME, near]);
}

#[test]
fn no_output_of_a_run_on_postgres_has_a_secret() {
    let Some(url) = postgres_url() else { return };
    let no_number = "INSERT INTO {table} VALUES ('s3cret-number', 'a')";
    look_everywhere(&with_password(&url, "postgres"), &[SAME_ID, SAME_NAME, no_number]);
}

#[test]
fn no_output_of_a_run_on_mysql_has_a_secret() {
    let Some(url) = mysql_url() else { return };
    let made = Running::start(USER, &["--quiet", "--database", &url], &[]).end();
    assert_eq!(made.code, Some(0), "{}", made.err);
    let no_number = "INSERT INTO {table} VALUES ('s3cret-number', 'a')";
    look_everywhere(&with_password(&url, "watched"), &[SAME_ID, SAME_NAME, no_number]);
}
