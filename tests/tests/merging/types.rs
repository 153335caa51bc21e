//! Columns of every type, with literals of all kinds in any order.

use proptest::{collection::vec, prelude::*, sample::select, strategy::ValueTree};
use sql_batcher_tests::{
    servers::{mysql_url, postgres_url},
    types::{mariadb, postgres, sqlite},
};

use super::*;

/// Random scripts for each type.
const CASES: u32 = 2;

/// Literals whose meaning changes from one run to the next.
const OF_NOW: &[&str] = &["'now'", "now()"];

impl Target {
    /// A column of this type holds what it is told, in whatever way the statements are sent.
    async fn keeps(&self, literals: &'static [&'static str]) {
        let literals = literals.iter().copied().filter(|text| !OF_NOW.contains(text));
        let literals: Vec<&str> = literals.collect();
        let insert = |literal| format!("INSERT INTO {{t}} (v) VALUES ({literal});\n");
        let all = self.named(&literals.iter().map(insert).collect::<String>());
        let how = How { options: Options::default(), skips: true };
        let Left { error, rejected, .. } = self.run(&all, &how, Way::Apart).await;
        assert_eq!(error, None, "{}: {all}", self.kind);
        let fits = |index: &usize| !rejected.contains(&(*index as u64 + 1));
        let fitting: Vec<&str> =
            (0..literals.len()).filter(fits).map(|index| literals[index]).collect();
        assert!(fitting.len() > 2, "{}: {fitting:?}", self.kind);
        let commands = self.commands(&fitting.iter().map(insert).collect::<String>());
        assert!(commands < fitting.len(), "{}: some are merged", self.kind);
        let literal = || prop_oneof![12 => select(fitting.clone()), 1 => select(literals.clone())];
        let row = literal().prop_map(|literal| format!("({literal})"));
        let rows = prop_oneof![3 => vec(row.clone(), 1), 1 => vec(row, 2..4)];
        let statements = (select(self.heads), vec(rows, 2..40));
        let script = statements.prop_map(|((before, behind), statements)| {
            let statement = |rows: Vec<String>| format!("{before}{}{behind};\n", rows.join(","));
            statements.into_iter().map(statement).collect::<String>()
        });
        let script = vec(script, 1..3).prop_map(|parts| parts.concat());
        let mut random = TestRunner::new(Config::default());
        for _ in 0..CASES {
            for skips in [false, true] {
                let script = script.new_tree(&mut random).unwrap().current();
                self.agrees(&script, &How { options: Options::default(), skips }).await;
            }
        }
    }
}

#[tokio::test]
async fn postgresql_stores_literals_of_all_types_the_same() {
    let Some(url) = postgres_url() else { return };
    let schema = format!("merged_types_{}", process::id());
    let mut direct = Direct::to(&url).await;
    for statement in [
        &format!("CREATE SCHEMA {schema}"),
        &format!("SET search_path = {schema}"),
        "CREATE TYPE colour AS ENUM ('red', 'green')",
        "CREATE DOMAIN positive AS integer CHECK (VALUE > 0)",
        "CREATE DOMAIN short AS varchar(3) NOT NULL",
    ] {
        direct.run(&[statement]).await;
    }
    let is_own =
        |kind: &str| ["colour", "positive", "short"].iter().any(|own| kind.starts_with(own));
    for kind in postgres::COPIED.iter().chain(postgres::OTHERS) {
        let target = Target {
            url: url.clone(),
            table: format!("{schema}.t"),
            kind: if is_own(kind) { format!("{schema}.{kind}") } else { (*kind).to_owned() },
            create: &[
                "DROP TABLE IF EXISTS {t}",
                "CREATE TABLE {t} (id serial PRIMARY KEY, v {kind})",
            ],
            heads: &[
                ("INSERT INTO {t} (v) VALUES ", ""),
                ("INSERT INTO {t} (v) VALUES ", " ON CONFLICT DO NOTHING"),
            ],
            dump: "SELECT id || '#' || COALESCE(CAST(v AS text), 'NULL') FROM {t} ORDER BY id",
            ..Target::default()
        };
        target.keeps(postgres::LITERALS).await;
    }
    direct.run(&[&format!("DROP SCHEMA {schema} CASCADE")]).await;
    direct.close().await;
}

#[tokio::test]
async fn mariadb_stores_literals_of_all_types_the_same() {
    let Some(url) = mysql_url() else { return };
    for kind in mariadb::TYPES {
        let target = Target {
            url: url.clone(),
            table: format!("merged_types_{}", process::id()),
            kind: (*kind).to_owned(),
            create: &[
                "DROP TABLE IF EXISTS {t}",
                "CREATE TABLE {t} (id INT AUTO_INCREMENT PRIMARY KEY, v {kind}) ENGINE=InnoDB \
                 DEFAULT CHARSET=utf8mb4",
            ],
            heads: &[
                ("INSERT INTO {t} (v) VALUES ", ""),
                ("INSERT IGNORE INTO {t} (v) VALUES ", ""),
                ("REPLACE INTO {t} (v) VALUES ", ""),
            ],
            dump: "SELECT CONCAT(id, '#', COALESCE(HEX(CONCAT(v)), 'NULL')) FROM {t} ORDER BY id",
            ..Target::default()
        };
        target.keeps(mariadb::LITERALS).await;
    }
}

#[tokio::test]
async fn sqlite_stores_literals_of_all_types_the_same() {
    let folder = tempfile::tempdir().unwrap();
    for kind in sqlite::TYPES {
        let target = Target {
            url: format!("sqlite://{}", folder.path().join("types.db").display()),
            table: "merged".into(),
            kind: (*kind).to_owned(),
            create: &[
                "DROP TABLE IF EXISTS {t}",
                "CREATE TABLE {t} (id INTEGER PRIMARY KEY, v {kind}",
            ],
            heads: &[
                ("INSERT INTO {t} (v) VALUES ", ""),
                ("INSERT OR IGNORE INTO {t} (v) VALUES ", ""),
                ("REPLACE INTO {t} (v) VALUES ", ""),
            ],
            dump: "SELECT id || '#' || typeof(v) || quote(v) FROM {t} ORDER BY id",
            ..Target::default()
        };
        target.keeps(sqlite::LITERALS).await;
    }
}
