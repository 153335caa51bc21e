//! How a run of the program is watched: its log, its metrics, its traces. What a collector and
//! Prometheus make of them is in `tests/tests/watch`.

#![expect(clippy::unwrap_used, reason = "what fails here fails a test")]

use std::{
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    process::Stdio,
    time::{Duration, Instant},
};

use crate::{
    TABLE,
    program::{Fed, Folder, json, lines},
    script,
};

/// Sends a request, and gives what comes back.
fn ask(address: &str, request: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "{request} HTTP/1.1\r\nHost: {address}\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// Where the program says that it serves its metrics.
fn address(fed: &mut Fed) -> String {
    let line = fed.error_line();
    let (_, rest) = line.split_once(" metrics are served at http://").unwrap();
    rest.strip_suffix("/metrics").unwrap().to_owned()
}

#[test]
fn metrics_can_be_fetched_while_the_run_lasts() {
    let folder = Folder::new();
    let arguments = ["run", "--max-age", "1ms", "--metrics-addr", "127.0.0.1:0"];
    let mut fed = folder.feed(&arguments, script(3).as_bytes());
    let address = address(&mut fed);
    folder.wait_for_rows("sql-batcher.db", 3);
    let applied = "\nsql_batcher_statements_total{db_system_name=\"sqlite\",state=\"applied\"} 4\n";
    let started = Instant::now();
    // The rows are there a moment before they are counted.
    while !ask(&address, "GET /metrics").contains(applied) {
        assert!(started.elapsed() < Duration::from_secs(60), "{}", ask(&address, "GET /metrics"));
    }
    let answer = ask(&address, "GET /metrics");
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.contains("content-type: text/plain; version=0.0.4\r\n"), "{answer}");
    assert!(answer.contains("target_info{"), "{answer}");
    assert!(ask(&address, "GET /").starts_with("HTTP/1.1 404 "));
    assert!(ask(&address, "POST /metrics").starts_with("HTTP/1.1 405 "));
    assert!(ask(&address, "HEAD /metrics").ends_with("\r\n\r\n"));
    fed.close();
    assert_eq!(fed.wait().code, 0);
    assert!(TcpStream::connect(&address).is_err(), "the run has ended");
}

#[cfg(unix)]
#[test]
fn the_last_totals_can_be_fetched_until_the_wait_is_interrupted() {
    let folder = Folder::new();
    let arguments = ["run", "--metrics-addr", "127.0.0.1:0", "--metrics-linger", "1h"];
    let mut fed = folder.feed(&arguments, script(9).as_bytes());
    let address = address(&mut fed);
    fed.close();
    let said = fed.error_line();
    assert!(said.ends_with("metrics are served for another 3600s; Ctrl-C ends that"), "{said}");
    let totals = ask(&address, "GET /metrics");
    assert!(totals.contains("state=\"applied\"} 10\n"), "{totals}");
    assert!(totals.contains("\nsql_batcher_in_flight{db_system_name=\"sqlite\"} 0\n"), "{totals}");
    fed.signal("INT");
    let ran = fed.wait();
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    assert!(ran.out.contains("\n  applied     10\n"), "{}", ran.out);
}

#[cfg(unix)]
#[test]
fn an_interrupted_run_does_not_wait_for_those_who_fetch_metrics() {
    let folder = Folder::new();
    let address = ["--metrics-addr", "127.0.0.1:0", "--metrics-linger", "1h"];
    let arguments = [&["run", "--max-age", "1ms"], &address[..]].concat();
    let mut fed = folder.feed(&arguments, script(3).as_bytes());
    folder.wait_for_rows("sql-batcher.db", 3);
    fed.signal("INT");
    assert_eq!(fed.wait().code, 130);
}

#[test]
fn what_cannot_be_watched_is_refused_before_anything_is_done() {
    let folder = Folder::new();
    folder.write("a.sql", &script(1));
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    for (arguments, expected) in [
        (&["--metrics-addr", &*taken][..], "error: cannot listen on the metrics-addr 127.0.0.1:"),
        (&["--metrics-addr", "9464"], "error: metrics-addr of \"9464\" is not an address"),
        (&["--metrics-linger", "1s"], "error: metrics-linger needs metrics-addr"),
        (&["--otlp-endpoint", "localhost:4318"], "error: otlp-endpoint is not a url such as"),
        (&["--otlp-endpoint", "http://u:s3cret@h"], "error: otlp-endpoint has a user"),
        (&["--log-format", "xml"], "[possible values: text, json]"),
    ] {
        let ran = folder.run(&[&["run", "a.sql"], arguments].concat());
        assert_eq!((ran.code, ran.out.as_str()), (2, ""), "{arguments:?}");
        assert!(ran.err.contains(expected), "{arguments:?}: {}", ran.err);
        assert!(!ran.err.contains("s3cret"), "{}", ran.err);
    }
    assert!(!folder.path("sql-batcher.db").exists());
}

#[test]
fn a_collector_that_cannot_be_reached_is_one_warning() {
    let folder = Folder::new();
    folder.write("a.sql", &script(30));
    let endpoint = "http://127.0.0.1:1";
    let arguments = ["run", "--max-statements", "5", "--otlp-endpoint", endpoint, "a.sql"];
    let ran = folder.run(&arguments);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(ran.out.contains("\n  applied     31\n"), "{}", ran.out);
    let said = lines(&ran.err);
    assert_eq!(said.len(), 1, "{said:?}");
    let expected = " WARN traces and metrics do not reach the collector at http://127.0.0.1:1: ";
    assert!(said[0].contains(expected) && said[0].contains("refused"), "{said:?}");
}

#[test]
fn a_collector_that_never_answers_is_given_up_after_a_few_seconds() {
    let folder = Folder::new();
    folder.write("a.sql", &script(1));
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", silent.local_addr().unwrap());
    let started = Instant::now();
    let ran = folder.run(&["run", "--otlp-endpoint", &endpoint, "a.sql"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    // Less than the limit of one request, which is 10 s.
    assert!(started.elapsed() < Duration::from_secs(9), "{:?}", started.elapsed());
    assert_eq!(lines(&ran.err).len(), 1, "{}", ran.err);
    assert!(ran.err.contains(": it does not answer within 5s"), "{}", ran.err);
}

#[test]
fn a_collector_that_refuses_is_named_with_its_answer() {
    let folder = Folder::new();
    folder.write("a.sql", &script(1));
    let collector = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", collector.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in collector.incoming() {
            let mut stream = stream.unwrap();
            let refusal =
                "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
            // As soon as something is asked; the rest of it does not matter.
            let read = stream.read(&mut [0; 65_536]).and_then(|_| stream.write(refusal.as_bytes()));
            read.unwrap();
        }
    });
    let ran = folder.run(&["run", "--log-format", "json", "--otlp-endpoint", &endpoint, "a.sql"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    let said = json(ran.err.trim_end());
    assert_eq!(said["level"], "WARN");
    assert!(said["message"].as_str().unwrap().ends_with(": it answers 403 Forbidden"), "{said}");
}

#[test]
fn there_is_a_log_only_where_one_is_wanted() {
    let folder = Folder::new();
    folder.write("a.sql", &script(20));
    let arguments = ["run", "--dry-run=false", "--max-statements", "7", "a.sql"];
    assert_eq!(folder.run(&arguments).err, "");
    let failed = folder.run(&["run", "a.sql"]);
    assert!(failed.err.starts_with("error: "), "{}", failed.err);
    let failed = folder.run(&["run", "--log-format", "text", "a.sql"]);
    assert!(lines(&failed.err)[0].contains(" WARN run ended early "), "{}", failed.err);
}

#[test]
fn with_v_the_log_has_the_batches_and_with_vv_what_failed_in_them() {
    let folder = Folder::new();
    folder.write("a.sql", &(script(20) + "INSERT INTO t VALUES (1, 'twice');"));
    let ran = folder.run(&["run", "-v", "--max-statements", "7", "a.sql"]);
    let said = lines(&ran.err);
    let batches = said.iter().filter(|line| line.contains(" INFO ") && line.contains(":batch{"));
    assert!(batches.count() >= 3, "{said:?}");
    assert!(!ran.err.contains("DEBUG") && !ran.err.contains('\x1b'), "{}", ran.err);
    let variables = [("SQL_BATCHER_VERBOSE", "2"), ("SQL_BATCHER_DATABASE", "sqlite://b.db")];
    let ran = folder.run_in(&["run", "--max-statements", "7", "a.sql"], &variables);
    assert!(ran.err.contains("DEBUG run{"), "{}", ran.err);
}

#[test]
fn the_log_is_an_object_a_line_and_leaves_the_report_alone() {
    let folder = Folder::new();
    folder.write("a.sql", &(TABLE.to_owned() + "INSERT INTO t VALUES (1, 'a');"));
    folder.write("sql-batcher.toml", "verbose = 1\nlog_format = \"json\"\n");
    let ran = folder.run(&["run", "--report", "json", "a.sql"]);
    assert_eq!(json(&ran.out)["applied"], 2);
    let said: Vec<_> = lines(&ran.err).into_iter().map(json).collect();
    let ended = said.iter().find(|line| line["message"] == "run ended").unwrap();
    assert_eq!((&ended["level"], &ended["applied"]), (&"INFO".into(), &2.into()));
    assert_eq!(ended["spans"][0]["name"], "run");
}

#[test]
fn a_quiet_run_has_no_log_unless_it_is_asked_for() {
    let folder = Folder::new();
    folder.write("a.sql", TABLE);
    let arguments = ["run", "--quiet", "--metrics-addr", "127.0.0.1:0"];
    let collector = ["--otlp-endpoint", "http://127.0.0.1:1", "a.sql"];
    let ran = folder.run(&[&arguments[..], &collector].concat());
    assert_eq!((ran.code, ran.out.as_str(), ran.err.as_str()), (0, "", ""));
    let ran = folder.run(&["run", "--quiet", "-v", "--database", "sqlite://b.db", "a.sql"]);
    assert!(ran.err.contains(" INFO run{"), "{}", ran.err);
}

#[test]
fn a_reader_that_leaves_the_log_does_not_end_the_run() {
    let folder = Folder::new();
    folder.write("a.sql", &script(50));
    let mut command = folder.command(&["run", "-vv", "--max-statements", "2", "a.sql"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stderr.take());
    let ended = child.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(0));
    assert_eq!(folder.query("sql-batcher.db", "SELECT count(*) FROM t"), 50);
}
