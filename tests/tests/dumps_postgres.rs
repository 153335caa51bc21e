//! PostgreSQL: what `pg_dump` has written, loaded into an empty database, is dumped as the same
//! bytes again.

use std::{
    process::{self, Command},
    sync::atomic::{AtomicU32, Ordering},
};

use sql_batcher_tests::{
    dumps::{Load, assert_same, bulk_bytes, case, database_program, output},
    servers::postgres_url,
};

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;

/// Bytes of a row of the large table, about.
const ROW_BYTES: u64 = 120;

/// A table of many rows, and one of fields of a megabyte and more. Without autovacuum: that would let
/// late rows fill gaps between early ones, and the order of a dump is that of the pages.
const LARGE: &str = r#"
CREATE TABLE shop.bulk WITH (autovacuum_enabled = off) AS
    SELECT n AS id, md5(n::text) AS key, n * 1.5 AS amount,
           repeat('''; \ -- 😀' || chr(1 + (n % 31)::integer), (n % 7)::integer) AS note
    FROM generate_series(1, {rows}) AS n;
CREATE INDEX ON shop.bulk (key);
CREATE TABLE shop.large (id integer PRIMARY KEY, what text, bytes bytea, doc jsonb)
    WITH (autovacuum_enabled = off);
INSERT INTO shop.large VALUES
    (1, repeat(E'it''s; \'a\' \\ $$ -- /* \n\\.\n😀', 35000), NULL, NULL),
    (2, ';', decode(repeat('00ff275c3b0a', 200000), 'hex'), NULL),
    (3, NULL, '', to_jsonb(repeat('it''s; \ "quoted"', 60000))),
    (4, repeat('''', 1000000), '\x', '{}');
"#;

/// A database of its own, dropped in the end.
struct Database {
    server: String,
    name: String,
}

impl Database {
    fn empty(server: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("dumps_{}_{count}", process::id());
        let create = format!("CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8'");
        output(psql(server).args(["-c", &create]));
        Self { server: server.to_owned(), name }
    }

    /// A bit of everything, in small statements.
    fn small(server: &str) -> Self {
        let database = Self::empty(server);
        output(psql(&database.url()).arg("-f").arg(case("postgres.sql")));
        database
    }

    /// The same, and large tables.
    fn large(server: &str) -> Self {
        let database = Self::small(server);
        let rows = (bulk_bytes() / ROW_BYTES).to_string();
        output(psql(&database.url()).args(["-c", &LARGE.replace("{rows}", &rows)]));
        database
    }

    fn url(&self) -> String {
        let (server, query) = self.server.split_once('?').unwrap_or((&self.server, ""));
        let (host, _) = server.rsplit_once('/').expect("the url names a database");
        let mark = if query.is_empty() { "" } else { "?" };
        format!("{host}/{}{mark}{query}", self.name)
    }

    fn dump(&self, form: &[&str]) -> Vec<u8> {
        output(program("pg_dump").args(form).arg("-d").arg(self.url()))
    }

    /// Dumps it, loads that into an empty database in each of the ways, and dumps that.
    fn comes_back(&self, form: &[&str], loads: &[Load]) {
        let before = self.dump(form);
        for load in loads {
            let copy = Self::empty(&self.server);
            load.run(&copy.url(), &before);
            let after = copy.dump(form);
            assert_same(&format!("{form:?} {load:?}"), &without_key(&before), &without_key(&after));
        }
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let drop = format!("DROP DATABASE {} WITH (FORCE)", self.name);
        // That of a failed test may be left behind.
        psql(&self.server).args(["-c", &drop]).output().ok();
    }
}

fn program(name: &str) -> Command {
    database_program("SQL_BATCHER_TEST_POSTGRES_BIN", name)
}

fn psql(url: &str) -> Command {
    let mut psql = program("psql");
    psql.args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", url]);
    psql
}

/// The dump without the key that its first and last client command share, a new one each time.
fn without_key(dump: &[u8]) -> Vec<u8> {
    let mut lines: Vec<&[u8]> = dump.split(|byte| *byte == b'\n').collect();
    let commands: [&[u8]; 2] = [b"\\restrict ", b"\\unrestrict "];
    let first = lines.iter().position(|line| line.starts_with(commands[0]));
    let last = lines.iter().rposition(|line| line.starts_with(commands[1]));
    for (index, command) in [first, last].into_iter().zip(commands) {
        if let Some(index) = index {
            lines[index] = command;
        }
    }
    lines.join(&b'\n')
}

/// Loads for dumps with large fields.
fn any_size() -> [Load; 4] {
    [
        Load::by_program(64 * KIB).larger_alone(),
        Load::by_library(MIB).larger_alone(),
        Load::by_program(16 * MIB),
        Load::by_library(16 * MIB),
    ]
}

#[test]
fn a_dump_of_copy_blocks_comes_back_the_same() {
    let Some(server) = postgres_url() else { return };
    Database::large(&server).comes_back(&[], &any_size());
}

#[test]
fn a_dump_of_single_row_inserts_comes_back_the_same() {
    let Some(server) = postgres_url() else { return };
    Database::large(&server).comes_back(&["--inserts"], &any_size());
}

#[test]
fn a_dump_of_inserts_with_columns_comes_back_the_same() {
    let Some(server) = postgres_url() else { return };
    Database::large(&server).comes_back(&["--column-inserts"], &any_size());
}

#[test]
fn a_dump_of_inserts_of_100_rows_comes_back_the_same() {
    let Some(server) = postgres_url() else { return };
    Database::large(&server).comes_back(&["--rows-per-insert=100"], &any_size());
}

#[test]
fn dumps_of_small_statements_come_back_the_same_in_requests_of_1_kib() {
    let Some(server) = postgres_url() else { return };
    let database = Database::small(&server);
    for form in ["--clean", "--inserts", "--column-inserts", "--rows-per-insert=2"] {
        let form = &[form, "--if-exists"][..if form == "--clean" { 2 } else { 1 }];
        database.comes_back(form, &[Load::by_program(KIB), Load::by_library(KIB)]);
    }
    let send_alone = Load::by_library(KIB).larger_alone();
    database.comes_back(&["--rows-per-insert=100"], &[send_alone]);
}

#[test]
fn a_dump_without_transactions_of_its_own_comes_back_the_same_in_one_transaction() {
    let Some(server) = postgres_url() else { return };
    let loads = [64 * KIB, 16 * MIB]
        .map(|max_bytes| Load::by_program(max_bytes).larger_alone().in_one_transaction());
    Database::large(&server).comes_back(&["--no-blobs"], &loads);
}
