//! The programs that the tests need beside Rust, where they are, and the packages they come in.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::process;

use super::{Given, MYSQL_URL, POSTGRES_URL, Variables, apt};

/// The variable with the folder of PostgreSQL's programs.
const POSTGRES_FOLDER: &str = "SQL_BATCHER_TEST_POSTGRES_BIN";
/// The variable with the folder of MariaDB's client programs.
const MYSQL_FOLDER: &str = "SQL_BATCHER_TEST_MYSQL_BIN";
/// The variable with the folder of Node's programs.
const NODE_FOLDER: &str = "SQL_BATCHER_TEST_NODE_BIN";
/// The variable with the shell of SQLite.
const SQLITE_SHELL: &str = "SQL_BATCHER_TEST_SQLITE_SHELL";

/// Where Debian has a folder of PostgreSQL's programs for each version.
const POSTGRES_VERSIONS: &str = "/usr/lib/postgresql";
/// Folders that are not in everybody's `PATH`.
const MORE_FOLDERS: [&str; 6] = [
    "/usr/bin",
    "/usr/sbin",
    "/usr/local/bin",
    "/usr/local/sbin",
    "/opt/homebrew/bin",
    "/usr/libexec",
];

/// Where the programs are: folders, but for the one program of SQLite.
#[derive(Debug)]
pub(super) struct Programs {
    /// `psql`, `pg_dump`, and `initdb`, `postgres` if a server is to be started.
    pub(super) postgres: PathBuf,
    /// `mariadb`, `mariadb-dump`.
    mysql: PathBuf,
    /// As the client's folder if no server is to be started.
    pub(super) mariadb: MariaDbPrograms,
    sqlite_shell: PathBuf,
    /// `node`, `npm`: a hook in JavaScript is built with them.
    node: PathBuf,
}

/// Where the programs of a MariaDB server are.
#[derive(Debug)]
pub(super) struct MariaDbPrograms {
    /// The folder of `mariadbd`.
    pub(super) server: PathBuf,
    /// The folder of `mariadb-install-db`.
    pub(super) install: PathBuf,
}

/// Programs that come together, in one folder.
struct Need {
    programs: &'static [&'static str],
    packages: &'static [&'static str],
    variable: &'static str,
}

const POSTGRES: Need = Need {
    programs: &["initdb", "postgres", "psql", "pg_dump"],
    packages: &["postgresql", "postgresql-client"],
    variable: POSTGRES_FOLDER,
};
/// Without the clients, which not every test needs.
const POSTGRES_SERVER: Need = Need { programs: &["initdb", "postgres"], ..POSTGRES };
const POSTGRES_CLIENT: Need = Need {
    programs: &["psql", "pg_dump"],
    packages: &["postgresql-client"],
    variable: POSTGRES_FOLDER,
};
const MARIADBD: Need =
    Need { programs: &["mariadbd"], packages: &["mariadb-server-core"], variable: MYSQL_FOLDER };
const MARIADB_INSTALL: Need = Need {
    programs: &["mariadb-install-db"],
    packages: &["mariadb-server-core"],
    variable: MYSQL_FOLDER,
};
const MARIADB_CLIENT: Need = Need {
    programs: &["mariadb", "mariadb-dump"],
    packages: &["mariadb-client"],
    variable: MYSQL_FOLDER,
};
const SQLITE: Need =
    Need { programs: &["sqlite3"], packages: &["sqlite3"], variable: SQLITE_SHELL };

const NODE: Need =
    Need { programs: &["node", "npm"], packages: &["nodejs", "npm"], variable: NODE_FOLDER };

impl Programs {
    /// Finds the programs; those that are missing are installed, where that is possible.
    ///
    /// # Errors
    ///
    /// If a program is missing and cannot be installed: which, why, and what to do.
    pub(super) fn find_or_install(given: Given) -> Result<Self> {
        let missing = match Self::find(given) {
            Ok(programs) => return Ok(programs),
            Err(missing) => missing,
        };
        let mut packages: Vec<_> = missing.iter().flat_map(|need| need.packages).copied().collect();
        packages.dedup();
        let reason = match apt::install(&packages) {
            Ok(()) => match Self::find(given) {
                Ok(programs) => return Ok(programs),
                Err(_) => "they are still not there after `apt-get install`".to_string(),
            },
            Err(error) => error.to_string(),
        };
        Err(Error::new(advice(&missing, &packages, &reason)))
    }

    /// What tells the tests where the programs are.
    pub(super) fn variables(&self) -> Variables {
        vec![
            (POSTGRES_FOLDER, self.postgres.clone().into()),
            (MYSQL_FOLDER, self.mysql.clone().into()),
            (SQLITE_SHELL, self.sqlite_shell.clone().into()),
            (NODE_FOLDER, self.node.clone().into()),
        ]
    }

    /// Finds the programs, or says which are missing.
    fn find(given: Given) -> std::result::Result<Self, Vec<&'static Need>> {
        let mut missing = Vec::new();
        let mut folder = |need: &'static Need| {
            need.folder().unwrap_or_else(|| {
                missing.push(need);
                PathBuf::new()
            })
        };
        let postgres = folder(if given.postgres { &POSTGRES_CLIENT } else { &POSTGRES });
        let mariadb = MariaDbPrograms {
            server: folder(if given.mysql { &MARIADB_CLIENT } else { &MARIADBD }),
            install: folder(if given.mysql { &MARIADB_CLIENT } else { &MARIADB_INSTALL }),
        };
        let mysql = folder(&MARIADB_CLIENT);
        let sqlite_shell = folder(&SQLITE).join("sqlite3");
        let node = folder(&NODE);
        if missing.is_empty() {
            Ok(Self { postgres, mysql, mariadb, sqlite_shell, node })
        } else {
            Err(missing)
        }
    }
}

impl Need {
    /// The best folder that has the programs.
    fn folder(&self) -> Option<PathBuf> {
        folder_with(self.programs, &self.folders())
    }

    /// Where to look, best first.
    fn folders(&self) -> Vec<PathBuf> {
        let mut folders: Vec<PathBuf> =
            env::var_os(self.variable).map(PathBuf::from).into_iter().collect();
        if self.variable == POSTGRES_FOLDER {
            folders.extend(postgres_versions());
        }
        folders.extend(process::search_path());
        folders.extend(MORE_FOLDERS.map(PathBuf::from));
        folders
    }
}

/// The folder of the programs of a PostgreSQL server.
pub(super) fn postgres_server() -> Option<PathBuf> {
    POSTGRES_SERVER.folder()
}

/// The folders of the programs of a MariaDB server.
pub(super) fn mariadb_server() -> Option<MariaDbPrograms> {
    Some(MariaDbPrograms { server: MARIADBD.folder()?, install: MARIADB_INSTALL.folder()? })
}

/// The first of the folders that has all these programs.
pub(super) fn folder_with(programs: &[&str], folders: &[PathBuf]) -> Option<PathBuf> {
    let has_all = |folder: &&PathBuf| programs.iter().all(|name| folder.join(name).is_file());
    folders.iter().find(has_all).cloned()
}

/// Debian's folders of PostgreSQL, the newest version first.
fn postgres_versions() -> Vec<PathBuf> {
    let entries = fs::read_dir(POSTGRES_VERSIONS).into_iter().flatten().flatten();
    let version = |path: &Path| path.file_name()?.to_str()?.parse::<u32>().ok();
    let mut versions: Vec<(u32, PathBuf)> = entries
        .filter_map(|entry| Some((version(&entry.path())?, entry.path().join("bin"))))
        .collect();
    versions.sort_by(|left, right| right.cmp(left));
    versions.into_iter().map(|(_, folder)| folder).collect()
}

/// What to tell a person who lacks programs.
fn advice(missing: &[&Need], packages: &[&str], reason: &str) -> String {
    let programs: Vec<_> = missing.iter().flat_map(|need| need.programs).copied().collect();
    format!(
        "the tests need programs that are missing: {}\n  \
         why not now:        {reason}\n  \
         install them:       apt-get install {}  (or what your system calls it)\n  \
         use other servers:  {POSTGRES_URL}=postgres://… {MYSQL_URL}=mysql://…  (the clients are \
         needed all the same)\n  \
         or leave them out:  cargo xtask test --skip-servers",
        programs.join(", "),
        packages.join(" "),
    )
}
