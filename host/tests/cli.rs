//! The program `sql-batcher`, as a person or a script meets it: what it does, what it says, and
//! its exit code. Databases are SQLite files in a folder of the test's own.

mod program;
mod watching;

use std::{fs, io::Read as _, process::Stdio};

use program::{Folder, json, lines};

const TABLE: &str = "CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT NOT NULL);\n";

/// A table and rows, one a line: statement 1 is in line 1, and so on.
fn script(rows: usize) -> String {
    let row = |id| format!("INSERT INTO t VALUES ({id}, 'row {id}; still');\n");
    TABLE.to_owned() + &(1..=rows).map(row).collect::<String>()
}

#[test]
fn a_script_is_applied_to_the_database_of_the_url() {
    let folder = Folder::new();
    folder.write("a.sql", &script(500));
    let ran = folder.run(&["run", "--database", "sqlite://app.db", "a.sql"]);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    assert!(ran.out.starts_with("done on SQLite 3."), "{}", ran.out);
    assert!(ran.out.contains("\n  applied     501\n"), "{}", ran.out);
    assert_eq!(folder.query("app.db", "SELECT count(*) FROM t"), 500);
}

#[test]
fn without_a_database_the_default_is_used_and_named() {
    let folder = Folder::new();
    folder.write("a.sql", &script(1));
    let ran = folder.run(&["run", "a.sql"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(ran.out.contains("the SQLite file sql-batcher.db in this folder"), "{}", ran.out);
    assert_eq!(folder.query("sql-batcher.db", "SELECT count(*) FROM t"), 1);
}

#[test]
fn standard_input_is_read_without_a_file_and_with_a_dash() {
    for arguments in [&["run"][..], &["run", "-"]] {
        let folder = Folder::new();
        let ran = folder.run_with(arguments, script(3).as_bytes());
        assert_eq!(ran.code, 0, "{}", ran.err);
        assert_eq!(folder.query("sql-batcher.db", "SELECT count(*) FROM t"), 3);
    }
}

#[test]
fn several_files_are_inputs_of_their_own_in_order() {
    let folder = Folder::new();
    folder.write("1.sql", TABLE);
    folder.write("2.sql", "INSERT INTO t VALUES (1, 'no terminator')");
    folder.write("3.sql", "INSERT INTO t VALUES (2, 'b');\nINSERT INTO nowhere VALUES (1);\n");
    let ran = folder.run(&["run", "--max-statements", "1", "1.sql", "2.sql", "3.sql"]);
    assert_eq!(ran.code, 1);
    assert!(ran.err.starts_with("error: 3.sql:2:"), "{}", ran.err);
    assert_eq!(folder.query("sql-batcher.db", "SELECT count(*) FROM t"), 2);
}

#[test]
fn the_report_for_machines_is_one_document() {
    let folder = Folder::new();
    folder.write("a.sql", &script(9));
    let ran = folder.run(&["run", "--report", "json", "a.sql"]);
    let report = json(&ran.out);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    assert_eq!((&report["statements"], &report["applied"]), (&10.into(), &10.into()));
    assert!(report["failure"].is_null());
}

#[test]
fn a_refused_statement_is_named_with_its_place_and_what_was_applied() {
    let folder = Folder::new();
    let good = script(415);
    let bad = "INSERT INTO t (id, nmae) VALUES (416, 'x');\n";
    folder.write("dump.sql", &(good + bad + "SELECT 1;\n"));
    let arguments = ["run", "--max-statements", "100", "--report", "json", "dump.sql"];
    let ran = folder.run(&arguments);
    assert_eq!(ran.code, 1);
    let said = lines(&ran.err);
    assert!(said[0].starts_with("error: dump.sql:417:"), "{said:?}");
    assert!(said[0].contains("statement 417: ") && said[0].contains("nmae"), "{said:?}");
    assert!(said[1].starts_with("400 statements were applied; 1 failed, 17 were"), "{said:?}");
    assert_eq!(said[2], "to go on, run again from statement 401");
    let report = json(&ran.out);
    assert_eq!(report["applied"], 400);
    assert_eq!(report["failure"]["kind"], "database");
    assert_eq!(report["failure"]["position"]["line"], 417);
    assert_eq!(folder.query("sql-batcher.db", "SELECT count(*) FROM t"), 399);
}

#[test]
fn the_error_is_said_once() {
    let folder = Folder::new();
    folder.write("a.sql", &(script(2) + "SELECT nothing;"));
    let ran = folder.run(&["run", "--transactions", "none", "a.sql"]);
    assert_eq!(ran.code, 1);
    assert!(ran.err.starts_with("error: a.sql:4:"), "{}", ran.err);
    assert!(ran.err.ends_with("to go on, run again from statement 4\n"), "{}", ran.err);
    assert!(ran.out.starts_with("failed on ") && !ran.out.contains("error"), "{}", ran.out);
}

#[test]
fn a_run_in_one_transaction_leaves_nothing_behind() {
    let folder = Folder::new();
    folder.write("a.sql", &(script(50) + "SELECT nothing;"));
    let ran = folder.run(&["run", "--transactions", "run", "--max-statements", "10", "a.sql"]);
    assert_eq!(ran.code, 1);
    assert!(lines(&ran.err)[1].starts_with("nothing was applied; 1 failed, "), "{}", ran.err);
    assert_eq!(folder.query("sql-batcher.db", "SELECT count(*) FROM sqlite_schema"), 0);
}

#[test]
fn an_unclosed_quote_is_named_where_it_opens() {
    let folder = Folder::new();
    folder.write("a.sql", &(TABLE.to_owned() + "INSERT INTO t VALUES (1, 'open);\n"));
    let ran = folder.run(&["run", "a.sql"]);
    assert_eq!(ran.code, 1);
    let said = "error: a.sql:2:26: statement 2: quote is never closed\n";
    assert!(ran.err.starts_with(said), "{}", ran.err);
}

#[test]
fn an_oversized_statement_is_named_and_not_run() {
    let folder = Folder::new();
    let long = format!("INSERT INTO t VALUES (1, '{}');\n", "x".repeat(200));
    folder.write("a.sql", &(TABLE.to_owned() + "  " + &long));
    let ran = folder.run(&["run", "--max-bytes", "150", "a.sql"]);
    assert_eq!(ran.code, 1);
    assert!(ran.err.starts_with("error: a.sql:2:3: statement 2: "), "{}", ran.err);
    assert!(ran.err.contains("exceeds the limit of 150"), "{}", ran.err);
    assert_eq!(folder.query("sql-batcher.db", "SELECT count(*) FROM t"), 0);
    let ran = folder.run(&["run", "--max-bytes", "150", "--oversized", "send-alone", "a.sql"]);
    assert_eq!(ran.code, 1, "the table is there already");
}

#[test]
fn an_oversized_statement_is_sent_alone_if_that_is_wanted() {
    let folder = Folder::new();
    let long = format!("INSERT INTO t VALUES (1, '{}');\n", "x".repeat(200));
    folder.write("a.sql", &(TABLE.to_owned() + &long));
    let ran = folder.run(&["run", "--max-bytes", "150", "--oversized", "send-alone", "a.sql"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert_eq!(folder.query("sql-batcher.db", "SELECT count(*) FROM t"), 1);
}

#[test]
fn a_dry_run_counts_and_touches_nothing() {
    let folder = Folder::new();
    folder.write("a.sql", &script(20));
    let ran = folder.run(&["run", "--dry-run", "--max-statements", "7", "a.sql"]);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    let start = "would be sent to sqlite://sql-batcher.db\n  statements  21\n  batches     3\n";
    assert!(ran.out.starts_with(start), "{}", ran.out);
    let ran = folder.run(&["run", "--dry-run", "--report", "json", "a.sql"]);
    let report = json(&ran.out);
    assert_eq!((&report["statements"], &report["applied"]), (&21.into(), &0.into()));
    assert!(!folder.path("sql-batcher.db").exists());
}

#[test]
fn a_dry_run_splits_as_the_database_does() {
    let folder = Folder::new();
    folder.write("a.sql", "SELECT $$a;b$$; SELECT 2;");
    let statements = |url| {
        let url = ["run", "--dry-run", "--report", "json", "--database", url, "a.sql"];
        json(&folder.run(&url).out)["statements"].clone()
    };
    assert_eq!(statements("postgres://u@127.0.0.1:1/d"), 2);
    assert_eq!(statements("sqlite://a.db"), 3);
    assert_eq!(statements("mysql://u@127.0.0.1:1/d"), 3);
}

#[test]
fn what_cannot_be_read_is_named_before_anything_is_done() {
    let folder = Folder::new();
    folder.write("a.sql", &script(1));
    fs::create_dir(folder.path("folder")).unwrap();
    for (file, said) in [
        ("no.sql", "error: cannot read no.sql: there is no such file\n"),
        ("folder", "error: cannot read folder: it is a folder\n"),
    ] {
        for command in ["run", "split"] {
            let ran = folder.run(&[command, "a.sql", file]);
            assert_eq!((ran.code, ran.out.as_str(), ran.err.as_str()), (2, "", said));
        }
    }
    assert!(!folder.path("sql-batcher.db").exists());
}

#[test]
fn wrong_options_are_refused_with_what_would_be_right() {
    let folder = Folder::new();
    for (arguments, expected) in [
        (&["run", "--max-bytes", "64k"][..], "write 64KiB for powers of 1024"),
        (&["run", "--max-bytes", "0"], "error: max-bytes of 0 is not in the range 1 to"),
        (&["run", "--max-statements", "many"], "'--max-statements <COUNT>'"),
        (&["run", "--max-age", "5"], "needs a unit, such as 5s or 5ms"),
        (&["run", "--connect-timeout", "0s"], "connect-timeout of 0ns is not in the range"),
        (&["run", "--transactions", "all"], "[possible values: batch, run, none]"),
        (&["run", "--max-byte", "1"], "'--max-bytes'"),
        (&["run", "-", "-"], "standard input (-) can be read only once"),
        (&["run", "--database", "oracle://h/d"], "supported are sqlite, postgres"),
        (&["run", "--dry-run", "--database", "oracle://h/d"], "does not start with sqlite:"),
        (&["split", "--format", "xml"], "[possible values: text, json]"),
        (&["slpit"], "'split'"),
    ] {
        let ran = folder.run(arguments);
        assert_eq!(ran.code, 2, "{arguments:?}: {}", ran.err);
        assert!(ran.err.contains(expected), "{arguments:?}: {}", ran.err);
    }
}

#[test]
fn an_unreachable_server_is_named_at_once() {
    let folder = Folder::new();
    folder.write("a.sql", "SELECT 1;");
    for (scheme, name) in [("postgres", "postgresql"), ("mysql", "mysql")] {
        let url = format!("{scheme}://user@127.0.0.1:1/shop");
        let ran = folder.run(&["run", "--report", "json", "--database", &url, "a.sql"]);
        assert_eq!(ran.code, 1);
        let said = lines(&ran.err);
        let expected = format!("error: cannot reach {name} at 127.0.0.1:1: connection refused");
        assert!(said[0].starts_with(&expected), "{said:?}");
        assert_eq!(said[1..], ["nothing was applied"]);
        assert_eq!(json(&ran.out)["failure"]["kind"], "connection");
    }
}

#[test]
fn no_secret_is_printed() {
    let folder = Folder::new();
    folder.write("a.sql", "SELECT 's3cret-value';\nINSERT INTO nowhere VALUES ('s3cret-value');");
    folder.write("secret.toml", "database = postgres://u:s3cret-url@h/d");
    let url = "postgres://u:s3cret-url@127.0.0.1:1/d";
    for arguments in [
        &["run", "--database", url, "a.sql"][..],
        &["run", "--dry-run", "--database", url, "a.sql"],
        &["run", "--report", "json", "--database", url, "a.sql"],
        &["run", "--report", "json", "a.sql"],
        &["run", "a.sql"],
        &["run", url],
        &["run", &format!("--databse={url}")],
        &["run", "--config", "secret.toml", "a.sql"],
        &[url],
        &["run", "--database", "postgres://u:s3cret-url/@h/d", "a.sql"],
        &["run", "--help"],
    ] {
        let variables = [("SQL_BATCHER_PASSWORD", "s3cret-variable"), ("SQL_BATCHER_DATABASE", "")];
        let ran = folder.run_in(arguments, &variables[..1]);
        let everything = ran.out + &ran.err;
        assert!(!everything.contains("s3cret"), "{arguments:?}: {everything}");
        let ran = folder.run_in(&["run", "--help"], &[("SQL_BATCHER_DATABASE", url)]);
        assert!(!ran.out.contains("s3cret"), "{}", ran.out);
    }
}

#[test]
fn the_command_line_goes_before_the_environment_and_that_before_the_file() {
    let folder = Folder::new();
    folder.write("a.sql", &script(11));
    folder.write("sql-batcher.toml", "max-statements = 6\nreport = \"json\"\ndry_run = true\n");
    let batches = |arguments: &[&str], variables: &[(&str, &str)]| {
        json(&folder.run_in(arguments, variables).out)["batches"].clone()
    };
    let variable = [("SQL_BATCHER_MAX_STATEMENTS", "4")];
    assert_eq!(batches(&["run", "a.sql"], &[]), 2);
    assert_eq!(batches(&["run", "a.sql"], &variable), 3);
    assert_eq!(batches(&["run", "--max-statements", "3", "a.sql"], &variable), 4);
    let ran = folder.run(&["run", "--dry-run=false", "a.sql"]);
    assert_eq!((ran.code, json(&ran.out)["applied"].clone()), (0, 12.into()));
}

#[test]
fn an_unknown_key_of_the_configuration_is_an_error() {
    let folder = Folder::new();
    folder.write("a.sql", "SELECT 1;");
    folder.write("my.toml", "\nmax-byte = 5\n");
    let ran = folder.run(&["run", "--config", "my.toml", "a.sql"]);
    assert_eq!(ran.code, 2);
    assert!(ran.err.starts_with("error: my.toml:2:1: unknown key `max-byte`"), "{}", ran.err);
    let ran = folder.run(&["split", "--config", "no.toml", "a.sql"]);
    assert_eq!(ran.code, 2);
    assert!(ran.err.contains("no.toml"), "{}", ran.err);
}

#[test]
fn quiet_means_nothing_but_errors() {
    let folder = Folder::new();
    folder.write("a.sql", &script(3));
    let ran = folder.run(&["run", "--quiet", "a.sql"]);
    assert_eq!((ran.code, ran.out.as_str(), ran.err.as_str()), (0, "", ""));
    let ran = folder.run(&["run", "-q", "a.sql"]);
    assert_eq!((ran.code, ran.out.as_str()), (1, ""));
    assert!(ran.err.contains("already exists"), "{}", ran.err);
}

#[test]
fn split_gives_one_line_of_json_a_statement() {
    let folder = Folder::new();
    folder.write("a.sql", "SELECT 1;\n\n  insert into t values ('é;');\n");
    folder.write("b.sql", "-- a comment\nDELETE FROM t");
    let ran = folder.run(&["split", "--format", "json", "--max-statements", "2", "a.sql", "b.sql"]);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    let said = lines(&ran.out);
    assert_eq!(
        said[1],
        "{\"batch\":1,\"statement\":2,\"file\":\"a.sql\",\"line\":3,\"column\":3,\"offset\":13,\
         \"bytes\":28,\"kind\":\"insert\",\"sql\":\"insert into t values ('é;')\"}"
    );
    let third = json(said[2]);
    assert_eq!((&third["batch"], &third["statement"]), (&2.into(), &3.into()));
    assert_eq!((&third["file"], &third["line"]), (&"b.sql".into(), &2.into()));
    assert_eq!((&third["kind"], &third["sql"]), (&"delete".into(), &"DELETE FROM t".into()));
    assert_eq!(said.len(), 3);
}

#[test]
fn split_gives_base64_for_what_is_not_utf8_and_counts_the_data_of_copy() {
    let folder = Folder::new();
    let ran = folder.run_with(&["split", "--format", "json"], b"SELECT '\xff';");
    let line = json(&ran.out);
    assert_eq!(line["sql_base64"], "U0VMRUNUICf/Jw==");
    assert!(line.get("sql").is_none());
    let copy = b"COPY t FROM stdin;\n1\ta\n2\tb\n\\.\nSELECT 1;";
    for limit in ["30", "1MiB"] {
        let arguments =
            ["split", "--dialect", "postgresql", "--format", "json", "--max-bytes", limit];
        let ran = folder.run_with(&arguments, copy);
        let said = lines(&ran.out);
        assert_eq!(json(said[0])["data_bytes"], 8, "{said:?} {}", ran.err);
        assert!(json(said[1]).get("data_bytes").is_none());
        assert_eq!(said.len(), 2);
    }
}

#[test]
fn split_shows_people_the_batches_and_the_statements() {
    let folder = Folder::new();
    folder.write("a.sql", "SELECT 1;\nSELECT\n  2;\n");
    let ran = folder.run(&["split", "a.sql"]);
    let said = lines(&ran.out);
    assert!(said[0].starts_with("batch 1: 2 statements, "), "{said:?}");
    assert!(said[0].ends_with(" bytes, atomic, sealed by finish"), "{said:?}");
    let expected =
        ["  a.sql:1:1 select:", "    SELECT 1", "  a.sql:2:1 select:", "    SELECT", "      2"];
    assert_eq!(said[1..], expected);
    let ran = folder.run(&["split", "--brief", "a.sql"]);
    assert_eq!(
        lines(&ran.out)[1..],
        ["  a.sql:1:1 select: SELECT 1", "  a.sql:2:1 select: SELECT …"]
    );
}

#[test]
fn split_shows_what_comes_before_an_error() {
    let folder = Folder::new();
    let ran = folder.run_with(&["split", "--brief"], b"SELECT 1;\nSELECT 'open");
    assert_eq!(ran.code, 1);
    assert!(ran.out.ends_with("  <stdin>:1:1 select: SELECT 1\n"), "{}", ran.out);
    assert!(ran.err.starts_with("error: <stdin>:2:"), "{}", ran.err);
}

#[test]
fn a_reader_that_leaves_early_is_no_error() {
    let folder = Folder::new();
    folder.write("a.sql", &script(100_000));
    let mut child = folder.command(&["split", "a.sql"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut first = [0; 16];
    child.stdout.take().unwrap().read_exact(&mut first).unwrap();
    let ended = child.wait_with_output().unwrap();
    assert_eq!((ended.status.code(), ended.stderr.as_slice()), (Some(0), &b""[..]));
}

#[cfg(unix)]
mod signals {
    use super::*;

    /// The program waits for standard input, of which it has what was applied so far.
    #[test]
    fn an_interrupted_run_says_what_was_applied() {
        for signal in ["INT", "TERM"] {
            let folder = Folder::new();
            let arguments = ["run", "--max-age", "1ms"];
            let mut child = folder.feed(&arguments, script(3).as_bytes());
            folder.wait_for_rows("sql-batcher.db", 3);
            child.signal(signal);
            let ran = child.wait();
            assert_eq!(ran.code, 130, "{}", ran.err);
            assert!(ran.out.contains("\n  applied     4\n"), "{}", ran.out);
            let said = lines(&ran.err);
            assert!(said[0].starts_with("stopping after the batch"), "{said:?}");
            assert_eq!(said[1], "interrupted: nothing more was sent");
            assert_eq!(said[2], "4 statements were applied");
        }
    }

    /// A statement that never ends is under way.
    #[test]
    fn a_second_signal_aborts_what_is_under_way() {
        let folder = Folder::new();
        let endless =
            "INSERT INTO t WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c)
            SELECT max(x), 'never' FROM c;";
        let mut child = folder.feed(&["run", "--max-age", "1ms"], TABLE.as_bytes());
        folder.wait_for_rows("sql-batcher.db", 0);
        child.write(endless.as_bytes());
        child.signal("INT");
        assert!(child.error_line().starts_with("stopping after the batch"));
        child.signal("INT");
        let ran = child.wait();
        assert!(matches!(ran.code, 4 | 130), "{}: {}", ran.code, ran.err);
        assert!(ran.err.starts_with("interrupted: nothing more was sent\n"), "{}", ran.err);
        assert_eq!(folder.query("sql-batcher.db", "SELECT count(*) FROM t"), 0);
    }
}
