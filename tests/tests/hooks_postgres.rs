//! The hooks that are shipped, all at once, in a large run: what the audit log says was sent is what
//! the database's own log says it was sent.
#![expect(clippy::unwrap_used, reason = "a test ends where something of its own fails")]

use std::{
    fs,
    io::{self, Write},
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use sha2::{Digest as _, Sha256};
use sql_batcher::{
    Batcher, RetryOptions,
    adapters::PoolOptions,
    connect,
    hooks::{AuditLog, HookLimits, HookPolicy, SandboxedHook},
};
use sql_batcher_tests::{direct::Direct, hooks::built, own_server::own_postgres};
use xtask::servers::Setup;

const STATEMENTS: usize = 100_000;
/// What the server's log has before a statement, and before each further line of it
/// (<https://www.postgresql.org/docs/current/runtime-config-logging.html>).
const LOGGED: &str = "LOG:  statement: ";
const CONTINUED: char = '\t';

/// A log that can be read.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The requests in the log of the server that begin with this, without their last newline.
fn requests(log: &Path, start: &str) -> Vec<String> {
    let text = fs::read_to_string(log).unwrap();
    let mut requests: Vec<String> = Vec::new();
    let mut inside = false;
    for line in text.lines() {
        if let Some(request) = line.strip_prefix(LOGGED) {
            inside = request.starts_with(start);
            if inside {
                requests.push(request.to_owned());
            }
        } else if let (Some(more), true, Some(last)) =
            (line.strip_prefix(CONTINUED), inside, requests.last_mut())
        {
            last.push('\n');
            last.push_str(more);
        } else {
            inside = false;
        }
    }
    requests
}

fn shipped(folder: &str, config: &str) -> SandboxedHook {
    // The machine that runs tests is busy.
    let limits = HookLimits { call_timeout: Duration::from_secs(10), ..HookLimits::default() };
    SandboxedHook::open(built(folder, "component"), limits).unwrap().config(config)
}

#[tokio::test]
async fn the_audit_log_agrees_with_that_of_postgresql() {
    let settings = &["log_statement=all", "log_line_prefix=", "log_min_error_statement=panic"];
    let Some(server) = own_postgres(Setup { settings, ..Setup::default() }) else { return };
    let mut direct = Direct::to(&server.url()).await;
    direct.run(&["CREATE TABLE audited (id INTEGER PRIMARY KEY, note TEXT)"]).await;
    let (url, retries) = (server.url(), RetryOptions::none());
    let database = connect(&url, &PoolOptions::default(), &retries).await.unwrap();
    let log = Log::default();
    let mut batcher = Batcher::builder_boxed(database)
        .max_bytes(64 * 1024)
        .sandboxed_hook("guard", HookPolicy::Abort, shipped("guard", ""))
        .sandboxed_hook("tagger", HookPolicy::Abort, shipped("tagger", "application=loader"))
        .hook("audit", HookPolicy::Abort, AuditLog::new(log.clone()))
        .build()
        .await
        .unwrap();
    let statements = (0..STATEMENTS)
        .map(|id| format!("INSERT INTO audited VALUES ({id}, 'line\tone\nand é, {id}')"));
    batcher.add_all(statements).await.unwrap();
    let report = batcher.finish().await.unwrap();
    assert_eq!(report.applied, STATEMENTS as u64, "{report}");

    let said = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    let entries: Vec<serde_json::Value> =
        said.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(entries.len() as u64, report.batches);
    let sum = |name: &str| entries.iter().map(|entry| entry[name].as_u64().unwrap()).sum::<u64>();
    assert_eq!((sum("statements"), sum("rows")), (report.applied, report.rows));
    assert_eq!(sum("bytes"), report.bytes);
    assert!(entries.iter().all(|entry| entry["outcome"] == "applied"));
    assert!(!said.contains("INSERT"), "the audit log has SQL");

    let requests = requests(&server.log(), "INSERT INTO audited");
    assert!(requests[0].contains("/*application='loader'*/"), "{}", requests[0]);
    let logged: Vec<String> = requests
        .iter()
        .map(|request| {
            let digest = Sha256::digest(request.as_bytes());
            digest.iter().map(|byte| format!("{byte:02x}")).collect()
        })
        .collect();
    let audited: Vec<&str> =
        entries.iter().map(|entry| entry["sha256"].as_str().unwrap()).collect();
    assert_eq!(logged, audited);
    assert_eq!(direct.number("SELECT count(*) FROM audited").await, STATEMENTS as i64);
}
