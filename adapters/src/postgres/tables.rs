//! What a session knows of the tables that it copies into.
//!
//! It is asked for once a table and forgotten with the next statement that may change it. Left out
//! is every table for which `COPY` does more, less or something else than `INSERT`:
//!
//! - rules, row security, identity and generated columns: `COPY` passes by the first, refuses the
//!   second, and takes any value for the others;
//! - triggers of the user's: they can read the statement's own text (`current_query()`), and with
//!   them `COPY` is not much faster;
//! - views, foreign and partitioned tables, other ways to store than the server's own: what happens
//!   there is decided by others;
//! - checks and indexes with functions of the user's: `COPY` looks at many rows before it stores
//!   them, and such a function may look into the table;
//! - sessions where text is not UTF-8, or a backslash in it is not itself;
//! - databases with casts of their own between the server's types.

use std::{collections::HashMap, sync::Arc};

use super::{rows::Kind, settings::literal, target::Target};

/// The most tables that are remembered; then all are forgotten.
const MAX_TABLES: usize = 1000;

/// The tables that were asked for, by their names in the script; none for those left out.
#[derive(Debug, Default)]
pub(super) struct Tables(HashMap<String, Option<Arc<Table>>>);

/// A table that can be copied into.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Table(Vec<Column>);

#[derive(Debug, PartialEq, Eq)]
struct Column {
    name: String,
    /// None where the two ways may differ in what they store.
    kind: Option<Kind>,
    /// Whether it has the same value both ways where it is not mentioned.
    is_optional: bool,
}

impl Tables {
    /// What is known of a table: nothing, that it is left out, or its columns.
    pub(super) fn known(&self, name: &str) -> Option<Option<Arc<Table>>> {
        self.0.get(name).cloned()
    }

    pub(super) fn keep(&mut self, name: &str, table: Option<Arc<Table>>) {
        if self.0.len() >= MAX_TABLES {
            self.forget();
        }
        self.0.insert(name.to_owned(), table);
    }

    pub(super) fn forget(&mut self) {
        self.0.clear();
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Table {
    /// From what [`query`] gives: none for no rows.
    pub(super) fn of(rows: &[Vec<Option<String>>]) -> Option<Self> {
        let column = |row: &Vec<Option<String>>| {
            let [Some(name), Some(id), Some(modifier), Some(kind), Some(optional)] = &row[..]
            else {
                return None;
            };
            let kind = Kind::of(id.parse().ok()?, modifier.parse().ok()?, kind == "e");
            Some(Column { name: name.clone(), kind, is_optional: optional == "t" })
        };
        let columns: Option<Vec<Column>> = rows.iter().map(column).collect();
        columns.filter(|columns| !columns.is_empty()).map(Self)
    }

    /// The kinds of the columns of a row, in its order; none where the two ways may differ.
    pub(super) fn kinds(&self, target: &Target<'_>) -> Option<Vec<Kind>> {
        let Some(names) = &target.columns else {
            return self.0.iter().map(|column| column.kind).collect();
        };
        let is_named = |column: &&Column| names.contains(&column.name);
        let named = self.0.iter().filter(is_named).count();
        let optional =
            self.0.iter().filter(|column| column.is_optional || is_named(column)).count();
        if named != names.len() || optional != self.0.len() {
            return None;
        }
        let kind = |name: &String| self.0.iter().find(|column| column.name == *name)?.kind;
        names.iter().map(kind).collect()
    }
}

/// What asks for the columns of a table: no rows where it is left out.
///
/// A column that is not mentioned gets its default: of a domain, `COPY` would not check it; with
/// functions of the user's, or the statement's own text in it, it may differ.
pub(super) fn query(name: &str) -> String {
    let name = literal(name);
    format!(
        "SELECT a.attname, a.atttypid, a.atttypmod, t.typtype,
           t.typtype <> 'd' AND (d.oid IS NULL OR (
             pg_catalog.pg_get_expr(d.adbin, d.adrelid) NOT LIKE '%current_query%'
             AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend AS p WHERE p.objid = d.oid
               AND p.classid = 'pg_catalog.pg_attrdef'::pg_catalog.regclass
               AND p.refclassid = 'pg_catalog.pg_proc'::pg_catalog.regclass)))
         FROM pg_catalog.pg_class AS c
         JOIN pg_catalog.pg_am AS m ON m.oid = c.relam AND m.amname = 'heap'
         JOIN pg_catalog.pg_attribute AS a
           ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
         JOIN pg_catalog.pg_type AS t ON t.oid = a.atttypid
         LEFT JOIN pg_catalog.pg_attrdef AS d ON d.adrelid = c.oid AND d.adnum = a.attnum
         WHERE c.oid = pg_catalog.to_regclass({name}) AND c.relkind = 'r'
           AND NOT c.relhasrules AND NOT c.relrowsecurity
           AND pg_catalog.current_setting('client_encoding') = 'UTF8'
           AND pg_catalog.current_setting('standard_conforming_strings') = 'on'
           AND NOT EXISTS (SELECT FROM pg_catalog.pg_trigger AS g
             WHERE g.tgrelid = c.oid AND NOT g.tgisinternal)
           AND NOT EXISTS (SELECT FROM pg_catalog.pg_attribute AS o
             WHERE o.attrelid = c.oid AND NOT o.attisdropped
               AND (o.attidentity <> '' OR o.attgenerated <> ''))
           AND NOT EXISTS (SELECT FROM pg_catalog.pg_constraint AS k
             WHERE k.conrelid = c.oid AND k.contype = 'c'
               AND (pg_catalog.pg_get_constraintdef(k.oid) LIKE '%current_query%'
                 OR EXISTS (SELECT FROM pg_catalog.pg_depend AS p WHERE p.objid = k.oid
                   AND p.classid = 'pg_catalog.pg_constraint'::pg_catalog.regclass
                   AND p.refclassid = 'pg_catalog.pg_proc'::pg_catalog.regclass)))
           AND NOT EXISTS (SELECT FROM pg_catalog.pg_index AS i
             JOIN pg_catalog.pg_depend AS p ON p.objid = i.indexrelid
               AND p.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
               AND p.refclassid = 'pg_catalog.pg_proc'::pg_catalog.regclass
             WHERE i.indrelid = c.oid)
           AND NOT EXISTS (SELECT FROM pg_catalog.pg_cast AS k
             WHERE k.oid >= 16384 AND k.castsource < 16384 AND k.casttarget < 16384)
         ORDER BY a.attnum"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let row = |name: &str, id: &str, optional: &str| {
            [name, id, "-1", "b", optional].map(|value| Some(value.to_owned())).to_vec()
        };
        Table::of(&[row("a", "23", "t"), row("b", "25", "f"), row("c", "790", "t")]).unwrap()
    }

    #[test]
    fn the_columns_of_a_row_have_kinds_in_its_order() {
        let kinds = |into: &[u8]| table().kinds(&Target::of(into).unwrap());
        assert_eq!(kinds(b"INSERT INTO t (b, a)"), Some(vec![Kind::Text, Kind::Integer]));
        assert_eq!(kinds(b"INSERT INTO t (b)"), Some(vec![Kind::Text]));
        for into in [
            // One that must be mentioned, one of an unknown type, one that is not there, one twice.
            &b"INSERT INTO t (a)"[..],
            b"INSERT INTO t (b, c)",
            b"INSERT INTO t",
            b"INSERT INTO t (b, d)",
            b"INSERT INTO t (b, b)",
        ] {
            assert_eq!(kinds(into), None);
        }
    }

    #[test]
    fn what_was_forgotten_is_not_known() {
        let mut tables = Tables::default();
        tables.keep("t", None);
        assert_eq!(tables.known("t"), Some(None));
        assert_eq!(tables.known("u"), None);
        tables.forget();
        assert!(tables.known("t").is_none() && tables.is_empty());
        for number in 0..=MAX_TABLES {
            tables.keep(&format!("t{number}"), None);
        }
        assert_eq!(tables.known("t0"), None);
        assert!(Table::of(&[]).is_none());
    }
}
