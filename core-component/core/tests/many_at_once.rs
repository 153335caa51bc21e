//! Many plain statements are taken at once. Scripts of pieces that count for a lexer, in any order
//! and for each dialect: they must come out as where each statement is looked at by itself, which
//! a limit on characters asks for.

mod recorder;

use sql_batcher_core::{Batch, Dialect, Limits, Merging, Options, Progress, Session, Transactions};

use crate::recorder::Recorder;

const DIALECTS: [Dialect; 6] = [
    Dialect::Generic,
    Dialect::Sqlite,
    Dialect::PostgreSql,
    Dialect::MySql,
    Dialect::Trino,
    Dialect::Snowflake,
];

/// Beginnings of statements, most of them plain.
const BEGINNINGS: [&str; 10] = [
    "INSERT INTO t VALUES (",
    "INSERT INTO t (a, b) VALUES (",
    "insert into \"x\" values (",
    "REPLACE INTO `q` VALUES (",
    "UPDATE t SET a = ",
    "SELECT ",
    "BEGIN",
    "COMMIT",
    "-- it's; a comment\nDELETE FROM t WHERE (",
    "CREATE TABLE t (a",
];

/// What stands in them.
const PIECES: [&str; 34] = [
    "1",
    ", ",
    "(",
    ")",
    "-5",
    "--",
    "/",
    "/* ; */",
    "/*",
    "'a'",
    "'it''s; (ok'",
    "'",
    "''",
    "\\",
    "'b\\'c'",
    "'\\\\'",
    "E'x\\'y'",
    "e'z'",
    "\"i;d\"",
    "\"",
    "`a``b`",
    "[a;b]",
    "$$ ; $$",
    "$1",
    "#",
    "ä😀",
    "\n",
    "\r\n",
    "\t",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    ";",
    "                                                              ",
    "\0",
    "'a\0'",
];

/// Their ends.
const ENDS: [&str; 6] = [");\n", ";", ";\n", "; ", " ;\r\n", ");\n\n"];

/// Numbers that look random, the same in each run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963);
        (self.0 >> 33) as usize % bound
    }

    fn one_of<'a>(&mut self, texts: &[&'a str]) -> &'a str {
        texts[self.below(texts.len())]
    }
}

fn script(numbers: &mut Numbers) -> String {
    let mut script = String::new();
    // Of most scripts only the first pieces are used, which upset nothing.
    let strange = [5, 12, PIECES.len()][numbers.below(3)];
    for _ in 0..=numbers.below(60) {
        if numbers.below(8) == 0 {
            script.push_str(&inserts(numbers));
        }
        script.push_str(numbers.one_of(&BEGINNINGS));
        for _ in 0..numbers.below(6) {
            script.push_str(numbers.one_of(&PIECES[..strange]));
        }
        script.push_str(numbers.one_of(&ENDS));
    }
    script
}

/// INSERTs of constants, one behind the other.
fn inserts(numbers: &mut Numbers) -> String {
    let head = ["INSERT INTO t VALUES ", "REPLACE INTO t (a, b) VALUES\n"][numbers.below(2)];
    let tail = ["", "", " ON CONFLICT DO NOTHING", " "][numbers.below(4)];
    let long =
        format!("'{}\\''{}'", "a; ".repeat(numbers.below(40)), "b".repeat(numbers.below(90)));
    let digits = "1234567890".repeat(1 + numbers.below(5));
    let values = [
        "1",
        "-2.5",
        "NULL",
        "'it''s; (ok'",
        "0",
        "'ä😀'",
        "now()",
        "'7'",
        &long,
        &digits,
        "'a\0'",
    ];
    // Of most scripts no value upsets anything.
    let usual = [5, 8, 10, values.len()][numbers.below(4)];
    let mut text = String::new();
    for _ in 0..numbers.below(12) {
        let mut value = || values[numbers.below(usual)];
        let (a, b) = (value(), value());
        let more = if numbers.below(5) == 0 { ", (1, 2)" } else { "" };
        let end = [";\n", ";\n", "; ", " ;\r\n"][numbers.below(4)];
        text.push_str(&format!("{head}({a}, {b}){more}{tail}{end}"));
    }
    text
}

/// Many INSERTs in lines of their own, few of which are not like the one before.
fn long_run(numbers: &mut Numbers) -> String {
    let head =
        ["INSERT INTO t VALUES ", "INSERT INTO t (a,\n b) VALUES ", "REPLACE INTO ä VALUES "]
            [numbers.below(3)];
    let tail = ["", "", " ON CONFLICT DO NOTHING", "\n"][numbers.below(4)];
    let long = format!("'{}", "a; ".repeat(numbers.below(40)));
    let usual = ["1", "-2.5", "NULL", "'ab'"];
    let strange = [
        "0",
        "'7'",
        "now()",
        "'it''s'",
        "'b\\'c'",
        "'ä'",
        "'a\nb'",
        "'a\0b'",
        &format!("{long}'"),
        &format!("{long}ä'"),
        &format!("{long}\n'"),
        &format!("{long}''\0'"),
        "1, 1), (2",
        "1, 1),\n(2",
        "1), (2",
        "1) (",
        "/* ; */ 1",
    ];
    let (kind, rare) = (numbers.below(usual.len()), 1 + numbers.below(200));
    let mut text = String::new();
    for _ in 0..numbers.below(400) {
        let mut value = || match numbers.below(rare) {
            0 => strange[numbers.below(strange.len())],
            _ => usual[kind],
        };
        let (a, b) = (value(), value());
        let end = [";\n", ";\n", ";\n", "; ", ";\r\n", "\n;\n"];
        let end = end[if numbers.below(rare) == 0 { numbers.below(end.len()) } else { 0 }];
        text.push_str(&format!("{head}({a}, {b}){tail}{end}"));
    }
    text
}

/// INSERTs into a few tables by turns, not all of which are understood, and now and then something else.
fn turns(numbers: &mut Numbers) -> String {
    let long_name = "a_table_whose_name_is_so_long_that_it_cannot_be_told_by_what_is_read_at_once";
    let long_head = format!("INSERT INTO {long_name} (a, b) VALUES (");
    let other_long_head = format!("INSERT INTO {long_name}_too (a, b) VALUES (");
    let heads = [
        "INSERT INTO t VALUES (",
        "INSERT INTO t (a, b) VALUES (",
        "INSERT INTO t (b, a) VALUES (",
        "INSERT INTO u VALUES (",
        "INSERT INTO \"u(v\" VALUES (",
        "INSERT INTO t SELECT (",
        "REPLACE INTO t VALUES (",
        "/* ( */ INSERT INTO t VALUES (",
        "(SELECT 1);\nINSERT INTO u VALUES (",
        &long_head,
        &other_long_head,
    ];
    let others =
        ["INSERT INTO t DEFAULT VALUES", "INSERT INTO t TABLE u", "UPDATE t SET a = (1)", "COMMIT"];
    let long = format!("'{}', 1", "a".repeat(700 + numbers.below(600)));
    let values = ["1, 'a'", "2, NULL", "NULL, 3", "'4', 5", "1, now()", "now(), 1", &long];
    let (heads, usual) =
        (&heads[..1 + numbers.below(heads.len())], 1 + numbers.below(values.len()));
    let (longest_turn, rare) = (1 + numbers.below(5), 2 + numbers.below(200));
    let mut text = String::new();
    for _ in 0..numbers.below(150) {
        let (head, value) = (numbers.one_of(heads), numbers.one_of(&values[..usual]));
        for _ in 0..=numbers.below(longest_turn) {
            let value = if numbers.below(rare) == 0 { numbers.one_of(&values) } else { value };
            let end = [";\n", ";\r\n", ";", ";\n-- (\n"];
            let end = end[if numbers.below(rare) == 0 { numbers.below(end.len()) } else { 0 }];
            text.push_str(&format!("{head}{value}){end}"));
        }
        if numbers.below(rare) == 0 {
            text.push_str(&format!("{};\n", numbers.one_of(&others)));
        }
    }
    text
}

/// INSERTs into tables in short series, which come again and again, each with what it has around its rows;
/// of some it is known only for a while what it means.
fn series(numbers: &mut Numbers) -> String {
    let verbs = ["INSERT INTO", "INSERT INTO", "INSERT IGNORE INTO", "REPLACE INTO", "insert into"];
    let columns = ["", " (a, b)", " (a,\n b)", " (\"ä\", b)"];
    let tails = ["", "", " ON CONFLICT DO NOTHING", " ON DUPLICATE KEY UPDATE a = 1", " "];
    let values = [
        "1, 'a'",
        "2, NULL",
        "NULL, 'b'",
        "NULL, 3",
        "'4', 5.5",
        "6.25, 'c'",
        "0, 'ä'",
        "7",
        "8, 9, 'd'",
    ];
    // More columns than are told apart by the bits of a number.
    let many = "'a', ".repeat(70) + "'b'";
    let wide =
        [&many[..], &format!("1, {many}"), &format!("NULL, {many}"), &format!("'c', {many}")];
    let values: Vec<&str> = match numbers.below(5) {
        0 => wide.to_vec(),
        _ => values.to_vec(),
    };
    let others = [
        "CREATE TABLE u (a INT CHECK (a > 1))",
        "SET a = 1",
        "SET standard_conforming_strings = off",
        "INSERT INTO t SELECT 1",
        "INSERT INTO t VALUES (now(), 1)",
    ];
    let tables: Vec<_> = (0..1 + numbers.below(20))
        .map(|table| {
            let [verb, columns, tail] = [&verbs[..], &columns, &tails].map(|of| numbers.one_of(of));
            let head = format!("{verb} table_{table}{columns} VALUES ");
            (head, numbers.one_of(&values), tail)
        })
        .collect();
    let (longest, rare) = (1 + numbers.below(8), 2 + numbers.below(100));
    let mut text = String::new();
    for turn in 0..numbers.below(200) {
        let is_in_order = numbers.below(rare) > 0;
        let table = if is_in_order { turn } else { numbers.below(tables.len()) };
        let (head, usual, tail) = &tables[table % tables.len()];
        for _ in 0..=numbers.below(longest) {
            let value = if numbers.below(rare) == 0 { numbers.one_of(&values) } else { usual };
            let more =
                if numbers.below(rare) == 0 { format!(", ({usual})") } else { String::new() };
            text.push_str(&format!("{head}({value}){more}{tail};\n"));
        }
        if numbers.below(rare) == 0 {
            text.push_str(&format!("{};\n", numbers.one_of(&others)));
        }
    }
    text
}

/// Limits of a batch, up to these.
fn limits(numbers: &mut Numbers, bytes: usize, statements: usize) -> Limits {
    let max_batch_bytes = 100 + numbers.below(bytes) as u64;
    Limits {
        max_batch_bytes,
        max_statement_bytes: max_batch_bytes + numbers.below(500) as u64,
        max_statements: 1 + numbers.below(statements) as u32,
        ..Limits::default()
    }
}

fn options(numbers: &mut Numbers) -> Options {
    let mut options = Options::new(DIALECTS[numbers.below(DIALECTS.len())]);
    options.transactions =
        [Transactions::Batch, Transactions::Run, Transactions::None][numbers.below(3)];
    if numbers.below(2) == 0 {
        options.limits = limits(numbers, 3000, 30);
        options.hook_room = numbers.below(50) as u64;
    }
    if numbers.below(2) == 0 {
        let max_rows = [u32::MAX, 1 + numbers.below(20) as u32][numbers.below(2)];
        let locates_rows = numbers.below(2) == 0;
        options.merging = Some(Merging { max_rows, locates_rows, ..Merging::default() });
    }
    options
}

fn run(options: Options, script: &str, piece_bytes: usize) -> (Vec<Batch>, Progress) {
    let mut session = Session::open(options).expect("the options are in their ranges");
    let mut host = Recorder::default();
    for piece in script.as_bytes().chunks(piece_bytes) {
        session.push(&mut host, piece.to_vec(), 0);
    }
    let progress = session.finish(&mut host, 0);
    (host.batches, progress)
}

/// Whether a script comes out as where each statement is looked at by itself.
fn comes_out_as_one_by_one(options: Options, script: &str, piece_bytes: usize) {
    let mut one_by_one = options.clone();
    one_by_one.limits.max_batch_characters = Some(u64::MAX);
    let expected = run(one_by_one, script, script.len().max(1));
    let (batches, progress) = run(options.clone(), script, piece_bytes);
    let how = || format!("in pieces of {piece_bytes}, {options:?}: {script:?}");
    // The first that differs says most.
    for (found, expected) in batches.iter().zip(&expected.0) {
        let texts = [found, expected].map(|batch| String::from_utf8_lossy(&batch.body));
        assert_eq!(texts[0], texts[1], "{}", how());
        assert_eq!(found, expected, "{}", how());
    }
    assert_eq!((batches.len(), progress), (expected.0.len(), expected.1), "{}", how());
}

#[test]
fn many_statements_at_once_come_out_as_one_by_one() {
    let mut numbers = Numbers(1);
    for _ in 0..10_000 {
        let script = script(&mut numbers);
        let options = options(&mut numbers);
        let piece_bytes = [script.len(), 1 + numbers.below(300)][numbers.below(2)];
        comes_out_as_one_by_one(options, &script, piece_bytes);
    }
}

/// Runs scripts of three parts each, of INSERTs that are merged. The last: the most rows of a
/// joined one, and bytes and statements of a batch.
fn merged_come_out_as_one_by_one(
    mut numbers: Numbers,
    part: fn(&mut Numbers) -> String,
    (rows, bytes, statements): (usize, usize, usize),
) {
    for _ in 0..4000 {
        let script: String = (0..3).map(|_| part(&mut numbers)).collect();
        let mut options = Options::new(DIALECTS[numbers.below(DIALECTS.len())]);
        let max_rows = [u32::MAX, 1 + numbers.below(rows) as u32][numbers.below(2)];
        let locates_rows = numbers.below(2) == 0;
        options.merging = Some(Merging { max_rows, locates_rows, ..Merging::default() });
        if numbers.below(2) == 0 {
            options.limits = limits(&mut numbers, bytes, statements);
        }
        let piece_bytes = 1 + [script.len(), numbers.below(9000)][numbers.below(2)];
        comes_out_as_one_by_one(options, &script, piece_bytes);
    }
}

#[test]
fn long_runs_of_inserts_come_out_as_one_by_one() {
    merged_come_out_as_one_by_one(Numbers(2), long_run, (500, 20_000, 1000));
}

#[test]
fn inserts_into_tables_by_turns_come_out_as_one_by_one() {
    merged_come_out_as_one_by_one(Numbers(3), turns, (20, 20_000, 200));
}

#[test]
fn inserts_in_short_series_come_out_as_one_by_one() {
    merged_come_out_as_one_by_one(Numbers(4), series, (40, 20_000, 300));
}
