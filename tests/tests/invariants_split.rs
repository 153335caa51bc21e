//! Invariants 1, 2 and 8 of the splitting, as properties: scripts made of everything that any
//! dialect could stumble over, cut anywhere, under any limits.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use sql_batcher_core::{Options, Oversized, Session};
use sql_batcher_tests::recorder::Recorder;
use sql_batcher_tests::scripts::{cut, dialect};
use sql_batcher_tests::split::{every_byte, gaps, split, split_with};

/// What every dialect has, or must not take for something else.
const COMMON: [&str; 58] = [
    "'",
    "''",
    "\"",
    "`",
    "[",
    "]",
    "$$",
    "$",
    "$a$",
    "$1",
    "é",
    "😀",
    "\u{feff}",
    "\0",
    ";",
    ";",
    ";;",
    "\n",
    "\n",
    "\r\n",
    "\r",
    " ",
    "\t",
    "\u{b}",
    "--",
    "-- c\n",
    "-",
    "#",
    "/*",
    "*/",
    "/",
    "*",
    "(",
    ")",
    "\\",
    "E",
    "e'",
    "a",
    "_",
    "1",
    "ab",
    ".",
    "BEGIN",
    " END",
    " CASE ",
    "IF",
    "CREATE ",
    "CREATE FUNCTION f() ",
    "CREATE OR REPLACE PROCEDURE ",
    "CREATE TRIGGER ",
    "CREATE TEMP TRIGGER ",
    "EXPLAIN ",
    "INSERT INTO t VALUES (1",
    "SELECT 1;",
    "SELECT ",
    " ATOMIC ",
    "; END;",
    "LOOP",
];

/// Commands of clients, and what changes how the text behind it is read.
const COMMANDS: [&str; 27] = [
    "\\g",
    "\\G",
    "\\N",
    "\\x",
    "\\;",
    "\\.\n",
    "\\restrict x\n",
    "\\unrestrict",
    "\\q",
    "COPY t FROM stdin;\n",
    "COPY t FROM stdin",
    "\n\\.\r\n",
    "SET standard_conforming_strings = off;",
    "SET sql_mode = NO_BACKSLASH_ESCAPES;",
    "SET sql_mode = '';",
    "DELIMITER //\n",
    "\nDELIMITER $$\n",
    "delimiter ;\n",
    "DELIMITER go\n",
    "//",
    "go",
    "use db\n",
    "\nquit\n",
    "/*!50001 ",
    "/*M!",
    "/*M!999999\\- x */",
    ".read x\n",
];

fn token() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        16 => select(&COMMON[..]).prop_map(Vec::from),
        8 => select(&COMMANDS[..]).prop_map(Vec::from),
        1 => vec(any::<u8>(), 0..8),
        // Around the lengths at which a word or a tag is too long to be one.
        1 => (select(&b"a $-\n9"[..]), select(&[254_usize, 255, 256, 257, 1023, 1024, 1025][..]))
            .prop_map(|(byte, count)| vec![byte; count]),
    ]
}

fn script() -> impl Strategy<Value = Vec<u8>> {
    (any::<bool>(), vec(token(), 0..30)).prop_map(|(mark, tokens)| {
        let mark: &[u8] = if mark { b"\xef\xbb\xbf" } else { b"" };
        [mark, &tokens.concat()].concat()
    })
}

/// A script without commands, and without what has the text behind it read in another way.
fn plain_script() -> impl Strategy<Value = Vec<u8>> {
    vec(select(&COMMON[..]), 0..30)
        .prop_map(|tokens| tokens.concat().replace('\\', "").into_bytes())
}

/// Options with limits that the statements of such scripts reach.
fn options() -> impl Strategy<Value = Options> {
    let bytes = prop_oneof![1_u64..40, 1_u64..2000, Just(1 << 20)];
    let rows = prop::option::of(1_u32..4);
    (dialect(), bytes, 0_u64..100, rows, any::<bool>()).prop_map(
        |(dialect, max_batch_bytes, more, max_rows, alone)| {
            let mut options = Options::new(dialect);
            options.limits.max_batch_bytes = max_batch_bytes;
            options.limits.max_statement_bytes = max_batch_bytes + more;
            options.limits.max_rows = max_rows;
            if alone {
                options.oversized = Oversized::SendAlone(1 << 20);
            }
            options
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    #[test]
    fn invariant_1_cutting_the_input_changes_no_statement(
        options in options(),
        input in script(),
        places in vec(any::<usize>(), 0..12),
    ) {
        let whole = split_with(&options, &input, []);
        prop_assert_eq!(&split_with(&options, &input, every_byte(&input)), &whole);
        let mut cuts: Vec<usize> = places.iter().map(|place| place % (input.len() + 1)).collect();
        cuts.sort_unstable();
        prop_assert_eq!(&split_with(&options, &input, cuts), &whole);
    }

    #[test]
    fn invariant_2_statements_and_the_text_between_them_are_the_input(
        dialect in dialect(),
        input in script(),
    ) {
        let found = split(dialect, &input, []);
        let between = gaps(&input, &found.statements);
        prop_assert!(between.is_ok(), "{:?}", between);
    }

    #[test]
    fn invariant_2_the_text_between_statements_holds_none(
        dialect in dialect(),
        input in plain_script(),
    ) {
        let found = split(dialect, &input, []);
        let mut between = gaps(&input, &found.statements).expect("the other test says why not");
        if found.failure.is_some() {
            between.pop();
        }
        for gap in between {
            prop_assert_eq!(split(dialect, gap, []).statements, []);
        }
    }

    #[test]
    fn invariant_8_no_input_makes_the_splitter_panic(
        options in options(),
        input in script(),
        places in vec(any::<usize>(), 0..12),
    ) {
        let mut host = Recorder::default();
        let mut session = Session::open(options).expect("the options are valid");
        for (index, chunk) in cut(&input, &places).into_iter().enumerate() {
            session.push(&mut host, chunk.to_vec(), 0);
            match index % 4 {
                0 => session.flush(&mut host, 0),
                1 => session.end_input(&mut host, 0),
                _ => session.tick(&mut host, 0),
            };
        }
        prop_assert!(session.finish(&mut host, 0).report.is_some());
    }
}
