//! Which INSERTs are joined, looked at one by one.

use std::iter;

use super::unread::{LONGEST_PAUSED, MOST_PAUSED};
use super::*;
use crate::filling::Runs;
use crate::following::Known;
use crate::lanes::LANES;

fn joins(dialect: Dialect, max_rows: u32, texts: &[&str]) -> Vec<Option<bool>> {
    let mut merger =
        Merger::new(dialect, Merging { max_rows, locates_rows: false, joins_conflicts: true });
    texts
        .iter()
        .map(|text| {
            let kind = match text.as_bytes().first() {
                Some(b'I') => Kind::Insert,
                Some(b'R') => Kind::Replace,
                Some(b'S' | b'U') => Kind::Set,
                _ => Kind::Create,
            };
            if !matches!(kind, Kind::Insert | Kind::Replace) {
                merger.note(dialect, kind, text.as_bytes());
                return None;
            }
            let found = merger.look(Text::new(text.as_bytes(), 0, text.len()), None);
            merger.take(text.as_bytes(), found);
            found.map(|found| found.joins)
        })
        .collect()
}

#[test]
fn what_differs_in_rows_only_is_joined() {
    let texts = ["INSERT INTO t VALUES (1)", "INSERT INTO t VALUES (2), (3)"];
    assert_eq!(joins(Dialect::PostgreSql, 9, &texts), [Some(false), Some(true)]);
    let other = ["INSERT INTO t VALUES (1)", "INSERT INTO u VALUES (2)"];
    assert_eq!(joins(Dialect::PostgreSql, 9, &other), [Some(false), Some(false)]);
    let between = [texts[0], "SET x = 1", texts[1]];
    assert_eq!(joins(Dialect::PostgreSql, 9, &between), [Some(false), None, Some(false)]);
    let tail = ["INSERT INTO t VALUES (1)", "INSERT INTO t VALUES (1) ON CONFLICT DO NOTHING"];
    assert_eq!(joins(Dialect::PostgreSql, 9, &tail), [Some(false), Some(false)]);
}

#[test]
fn rows_of_many_columns_are_joined_however_they_are_looked_at() {
    for (columns, counted) in [(64, 1), (65, 0)] {
        let row = vec!["1"; columns].join(", ");
        let text = format!("INSERT INTO t VALUES ({row})");
        let all = Merging { max_rows: 9, locates_rows: false, joins_conflicts: true };
        let mut merger = Merger::new(Dialect::MySql, all);
        let window = format!("{text};{}", " ".repeat(4 * LANES));
        let whole = Text::new(window.as_bytes(), 0, text.len());
        let found = merger.look(whole, None);
        merger.take(whole.get(), found);
        let ends = [text.len() as u32];
        let mut runs = Runs::default();
        let known = Known::new((&[0], &ends), (0, LONGEST), &mut runs);
        let like = merger.read_like(window.as_bytes(), known, None);
        assert_eq!(like.count, counted);
        assert!(merger.look(whole, None).is_some_and(|found| found.joins), "{columns}");
    }
}

#[test]
fn rows_are_joined_up_to_their_limit() {
    let one = "INSERT INTO t VALUES (1)";
    let two = "INSERT INTO t VALUES (1), (2)";
    for (texts, expected) in [
        ([one, one, one], [Some(false), Some(true), Some(true)]),
        ([two, one, one], [Some(false), Some(true), Some(false)]),
        ([two, two, one], [Some(false), Some(false), Some(true)]),
    ] {
        assert_eq!(joins(Dialect::Sqlite, 3, &texts), expected, "{texts:?}");
    }
}

#[test]
fn a_statement_that_might_be_joined_and_begins_a_batch_is_what_the_next_is_joined_to() {
    for (dialect, others, last) in [
        (Dialect::Sqlite, ["(1)", "(2)"], true),
        (Dialect::MySql, ["(1)", "(2)"], true),
        (Dialect::MySql, ["(1)", "(NULL)"], false),
    ] {
        let all = Merging { max_rows: 9, locates_rows: false, joins_conflicts: true };
        let mut merger = Merger::new(dialect, all);
        let mut joins = Vec::new();
        let rows = ["(NULL, 'a'), (NULL, 'b')", "(5)", "(6)", others[0], others[1]];
        for (index, rows) in rows.iter().enumerate() {
            // What follows keeps many bytes at hand.
            let text = format!("INSERT INTO t VALUES {rows}{}", " ".repeat(2 * LANES));
            let end = text.trim_end().len();
            let text = Text::new(text.as_bytes(), 0, end);
            if index == 3 {
                // It begins a batch.
                merger.close();
            }
            let found = merger.look(text, None).expect("it is one of constants");
            joins.push(found.joins);
            merger.take(text.get(), Some(found));
        }
        assert_eq!(joins, [false, false, true, false, last], "{dialect:?}");
    }
}

#[test]
fn a_conflict_of_families_begins_anew() {
    let texts = ["INSERT INTO t VALUES (NULL)", "INSERT INTO t VALUES (5)"];
    let more = [texts[0], texts[1], texts[1], texts[0]];
    let expected = [Some(false), Some(false), Some(true), Some(false)];
    assert_eq!(joins(Dialect::MySql, 9, &more), expected);
}

#[test]
fn after_some_that_are_not_understood_a_few_are_passed_over_and_no_long_ones() {
    let (unknown, known) = ("INSERT INTO t VALUES (now())", "INSERT INTO t VALUES (1)");
    let long = format!("INSERT INTO t VALUES ('{}')", "a".repeat(LONGEST_PAUSED));
    let seen = |before: usize, texts: &[&str]| {
        let texts: Vec<&str> =
            iter::repeat_n(unknown, before).chain(texts.iter().copied()).collect();
        joins(Dialect::Sqlite, 9, &texts).split_off(before)
    };
    assert_eq!(seen(1, &[known, known]), [Some(false), Some(true)]);
    assert_eq!(seen(2, &[known, known, known]), [None, Some(false), Some(true)]);
    assert_eq!(seen(2, &[&long, known]), [Some(false), Some(true)]);
    // However many these were, it is soon tried again.
    let many = [known; MOST_PAUSED as usize + 1];
    assert_eq!(seen(1000, &many).last(), Some(&Some(true)));
}

#[test]
fn what_is_not_understood_counts_unless_an_insert_follows_that_begins_otherwise() {
    let (unknown, known) = ("INSERT INTO t VALUES (now())", "INSERT INTO t VALUES (1)");
    let (other, elsewhere) = ("CREATE TABLE u (a INT)", "INSERT INTO u VALUES (now())");
    let last = |between: [&str; 2]| {
        joins(Dialect::Sqlite, 9, &[unknown, between[0], unknown, between[1], known])[4]
    };
    assert_eq!(last([unknown, unknown]), None);
    assert_eq!(last([other, other]), None);
    assert_eq!(last([elsewhere, elsewhere]), Some(false));
}

#[test]
fn an_insert_of_very_many_rows_is_left_as_it_is_unless_its_rows_are_wanted() {
    let rows = vec!["(1)"; LONGEST / 4].join(",");
    let text = format!("INSERT INTO t VALUES {rows}");
    for locates_rows in [false, true] {
        let all = Merging { max_rows: u32::MAX, locates_rows, joins_conflicts: true };
        let mut merger = Merger::new(Dialect::Sqlite, all);
        let found = |text: &str, merger: &mut Merger| {
            merger.look(Text::new(text.as_bytes(), 0, text.len()), None).is_some()
        };
        assert_eq!(found(&text, &mut merger), locates_rows);
        let just_short_enough = &text[..LONGEST - 3];
        let end = just_short_enough.rfind(')').expect("it has rows") + 1;
        assert!(found(&text[..end], &mut merger));
    }
}

#[test]
fn a_text_of_zeros_is_a_text_where_columns_have_one_type() {
    for dialect in [Dialect::Trino, Dialect::Snowflake] {
        for rows in [["(5)", "('000')"], ["('000')", "(5)"], ["('000')", "(0)"]] {
            let texts = rows.map(|row| format!("INSERT INTO t VALUES {row}"));
            let joined = joins(dialect, 9, &[&texts[0], &texts[1]]);
            assert_eq!(joined, [Some(false), Some(false)], "{dialect:?} {rows:?}");
        }
        let texts = ["INSERT INTO t VALUES ('a')", "INSERT INTO t VALUES ('000')"];
        assert_eq!(joins(dialect, 9, &texts), [Some(false), Some(true)], "{dialect:?}");
    }
}

#[test]
fn what_conflicts_is_not_joined_once_a_table_tells_rows_apart() {
    let (ignores, updates) = (
        "INSERT IGNORE INTO t VALUES (1)",
        "INSERT INTO t VALUES (1) ON DUPLICATE KEY UPDATE a = 2",
    );
    for (insert, table) in [
        (ignores, "CREATE TABLE u (a INT CHECK (a > 1))"),
        (updates, "CREATE TABLE u (id INT AUTO_INCREMENT PRIMARY KEY)"),
    ] {
        let expected = [Some(false), Some(true), None, None];
        assert_eq!(joins(Dialect::MySql, 9, &[insert, insert, table, insert]), expected);
    }
    let plain = "INSERT INTO t VALUES (1)";
    let texts = [plain, "CREATE TABLE u (id SERIAL)", plain, plain];
    assert_eq!(joins(Dialect::MySql, 9, &texts)[3], Some(true));
}

#[test]
fn without_a_strict_mode_mysql_is_left_alone() {
    let insert = "INSERT INTO t VALUES (1)";
    let after = |text: &str| joins(Dialect::MySql, 9, &[insert, text, insert, insert])[3];
    for off in [
        "SET SQL_MODE='NO_AUTO_VALUE_ON_ZERO'",
        "SET sql_mode = @old",
        "SET default_storage_engine = MyISAM",
        "USE another",
        "CREATE TABLE t (a INT) ENGINE=MyISAM",
    ] {
        assert_eq!(after(off), None, "{off}");
    }
    for on in [
        "SET NAMES utf8",
        "SET @user = 1",
        "SET sql_mode = 'STRICT_TRANS_TABLES'",
        "CREATE TABLE t (a INT) ENGINE=InnoDB",
    ] {
        assert_eq!(after(on), Some(true), "{on}");
    }
}
