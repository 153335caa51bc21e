//! MariaDB: what `mariadb-dump` has written, loaded into a server without that database, is dumped
//! as the same bytes again.

use std::{
    fs::File,
    process::{self, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
};

use sql_batcher_tests::{
    dumps::{Load, assert_same, bulk_bytes, case, database_program, output},
    servers::mysql_url,
};

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;

/// Bytes of a row of the large table, about.
const ROW_BYTES: u64 = 120;

/// A table of many rows, and one of fields of a megabyte and more.
const LARGE: &str = r"
SET NAMES utf8mb4;
CREATE TABLE bulk (id int PRIMARY KEY, `key` char(32), amount decimal(12, 1), note text, raw blob);
INSERT INTO bulk
    SELECT seq, md5(seq), seq * 1.5, repeat(concat('\'; \\ -- ü', char(seq % 32)), seq % 5),
           unhex(substr(md5(seq), 1, 2 * (seq % 9)))
    FROM seq_1_to_{rows};
CREATE TABLE large (id int PRIMARY KEY, what longtext, raw longblob);
INSERT INTO large VALUES
    (1, repeat('it\'s; \'a\' \\ ` -- /* \n;;\n😀 # ', 35000), NULL),
    (2, ';', repeat(x'00ff275c3b0a', 200000)),
    (3, repeat('\'', 1000000), ''),
    (4, '', repeat('\\', 1000000));
";

/// What the dumps have in common.
const ALL: [&str; 4] = ["--routines", "--triggers", "--events", "--skip-dump-date"];

/// A database of its own, dropped in the end.
struct Database {
    server: Server,
    name: String,
}

/// The parts of a URL.
#[derive(Clone)]
struct Server {
    url: String,
    arguments: Vec<String>,
    password: Option<String>,
}

impl Server {
    /// Reads `mysql://user:password@host:port/database`, in which nothing is percent-encoded.
    fn of(url: String) -> Self {
        assert!(!url.contains(['%', '?']), "the URL of the test server is a plain one");
        let (_, rest) = url.split_once("://").expect("a url has a scheme");
        let (place, _) = rest.split_once('/').expect("the url names a database");
        let (login, address) = place.rsplit_once('@').unwrap_or(("root", place));
        let (user, password) = match login.split_once(':') {
            Some((user, password)) => (user, Some(password.to_owned())),
            None => (login, None),
        };
        let (host, port) = address.split_once(':').unwrap_or((address, "3306"));
        let arguments = ["--protocol=tcp", "--user", user, "--host", host, "--port", port];
        Self { arguments: arguments.map(str::to_owned).to_vec(), password, url }
    }

    fn program(&self, name: &str) -> Command {
        let mut program = database_program("SQL_BATCHER_TEST_MYSQL_BIN", name);
        program.arg("--no-defaults").args(&self.arguments);
        if let Some(password) = &self.password {
            program.env("MYSQL_PWD", password);
        }
        program
    }

    fn run(&self, statements: &str) {
        output(self.program("mariadb").args(["-e", statements]));
    }
}

impl Database {
    /// A bit of everything, in small statements.
    fn small(url: String) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("dumps_{}_{count}", process::id());
        let database = Self { server: Server::of(url), name };
        database.create();
        let script = File::open(case("mariadb.sql")).expect("the script is there");
        output(database.client().stdin(Stdio::from(script)));
        database
    }

    /// The same, and large tables.
    fn large(url: String) -> Self {
        let database = Self::small(url);
        let rows = (bulk_bytes() / ROW_BYTES).to_string();
        output(database.client().args(["-e", &LARGE.replace("{rows}", &rows)]));
        database
    }

    fn create(&self) {
        self.server.run(&format!("CREATE DATABASE {} CHARACTER SET utf8mb4", self.name));
    }

    fn drop(&self) {
        self.server.run(&format!("DROP DATABASE {}", self.name));
    }

    fn client(&self) -> Command {
        let mut client = self.server.program("mariadb");
        client.args(["--default-character-set=utf8mb4", &self.name]);
        client
    }

    fn url(&self) -> String {
        let (server, _) = self.server.url.rsplit_once('/').expect("the url names a database");
        format!("{server}/{}", self.name)
    }

    fn dump(&self, form: &[&str]) -> Vec<u8> {
        output(self.server.program("mariadb-dump").args(ALL).args(form).arg(&self.name))
    }

    /// Dumps it, loads that into an empty one of the same name in each of the ways, and dumps that.
    fn comes_back(&self, form: &[&str], loads: &[Load]) {
        let before = self.dump(form);
        for load in loads {
            self.drop();
            if form.contains(&"--databases") {
                load.run(&self.server.url, &before);
            } else {
                self.create();
                load.run(&self.url(), &before);
            }
            assert_same(&format!("{form:?} {load:?}"), &before, &self.dump(form));
        }
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let drop = format!("DROP DATABASE {}", self.name);
        // That of a failed test may be left behind.
        self.server.program("mariadb").args(["-e", &drop]).output().ok();
    }
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
fn a_dump_with_blobs_in_hexadecimal_comes_back_the_same() {
    let Some(url) = mysql_url() else { return };
    Database::large(url).comes_back(&["--hex-blob"], &any_size());
}

#[test]
fn a_dump_with_blobs_as_raw_bytes_comes_back_the_same() {
    let Some(url) = mysql_url() else { return };
    Database::large(url).comes_back(&[], &any_size());
}

#[test]
fn a_dump_of_single_row_inserts_comes_back_the_same() {
    let Some(url) = mysql_url() else { return };
    Database::large(url).comes_back(&["--skip-extended-insert"], &any_size());
}

#[test]
fn a_dump_with_transactions_of_its_own_comes_back_the_same() {
    let Some(url) = mysql_url() else { return };
    Database::large(url).comes_back(&["--no-autocommit", "--single-transaction"], &any_size());
}

#[test]
fn a_dump_that_creates_its_database_comes_back_the_same() {
    let Some(url) = mysql_url() else { return };
    let form = ["--add-drop-database", "--hex-blob", "--databases"];
    Database::large(url).comes_back(&form, &any_size());
}

#[test]
fn a_dump_in_latin1_comes_back_the_same() {
    let Some(url) = mysql_url() else { return };
    let database = Database::large(url);
    let latin1 = "--default-character-set=latin1";
    let loads = [Load::by_program(64 * KIB).larger_alone(), Load::by_library(16 * MIB)];
    // It holds question marks for what latin1 does not have, and the copy has them, too.
    database.comes_back(&[latin1], &loads);
    database.comes_back(&[latin1, "--hex-blob"], &loads);
}

#[test]
fn dumps_of_small_statements_come_back_the_same_in_requests_of_1_kib() {
    let Some(url) = mysql_url() else { return };
    let database = Database::small(url);
    let loads = [Load::by_program(KIB), Load::by_library(KIB)];
    let forms: [&[&str]; 4] = [
        &["--skip-extended-insert", "--hex-blob"],
        &["--skip-extended-insert"],
        &["--skip-extended-insert", "--complete-insert", "--skip-add-locks", "--skip-disable-keys"],
        &["--skip-extended-insert", "--replace", "--skip-comments", "--skip-quick"],
    ];
    for form in forms {
        database.comes_back(form, &loads);
    }
    database.comes_back(&["--net-buffer-length=4096"], &[Load::by_library(KIB).larger_alone()]);
}
