//! The splitter against the databases' own clients: what `psql`, `mariadb` and `sqlite3_complete`
//! take for the statements of a script is what the splitter finds. The scripts are the cases of
//! `cases/split` and, where they can be had, the databases' own regression scripts.

mod mariadb;
mod psql;
mod sqlite;
mod texts;
mod trino;

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use sql_batcher_core::Dialect;
use sql_batcher_tests::split::{Split, split};

/// A client: the statements that it sent to its server for a script, or found in it.
type Client<'a> = &'a dyn Fn(&[u8]) -> Vec<Vec<u8>>;

/// A script whose statements the client sees in another way, and why that is right.
type Explained = (&'static str, &'static str);

/// Compares script by script. Explained scripts must differ, so that no explanation outlives its
/// reason.
struct Comparison<'a> {
    dialect: Dialect,
    /// Brings a statement to a form in which both sides are the same.
    normal: fn(&[u8]) -> Vec<u8>,
    explained: &'a [Explained],
    scripts: usize,
    statements: usize,
    /// Scripts that the splitter refuses to read to their end.
    refused: Vec<String>,
    wrong: Vec<String>,
}

impl<'a> Comparison<'a> {
    fn new(dialect: Dialect, normal: fn(&[u8]) -> Vec<u8>, explained: &'a [Explained]) -> Self {
        Self {
            dialect,
            normal,
            explained,
            scripts: 0,
            statements: 0,
            refused: Vec::new(),
            wrong: Vec::new(),
        }
    }

    fn compare(&mut self, name: &str, script: &[u8], client: Client<'_>) {
        let found = split(self.dialect, script, []);
        let ours = self.normalized(found.statements.iter().map(|statement| &statement.text));
        let theirs = self.normalized(client(script).iter());
        let explained = self.explained.iter().find(|(file, _)| *file == name);
        match (difference(&ours, &theirs, &found), explained) {
            (Some(message), None) => self.wrong.push(format!("{name}: {message}")),
            (None, Some((_, reason))) => {
                self.wrong.push(format!("{name}: no difference is left to explain: {reason}"));
            }
            (Some(_), Some((_, reason))) => println!("{name}: differs, because {reason}"),
            (None, None) => {}
        }
        if let Some(failure) = &found.failure {
            self.refused.push(format!("{name}: {}", failure.message));
        }
        self.scripts += 1;
        self.statements += ours.len();
    }

    fn normalized<'t>(&self, texts: impl Iterator<Item = &'t Vec<u8>>) -> Vec<Vec<u8>> {
        texts.map(|text| (self.normal)(text)).filter(|text| !text.is_empty()).collect()
    }

    fn finish(self) {
        println!("{} scripts, {} statements compared", self.scripts, self.statements);
        println!("{} of them up to where they are refused:", self.refused.len());
        self.refused.iter().for_each(|refused| println!("  {refused}"));
        assert!(self.scripts > 0, "there is nothing to compare");
        assert!(self.wrong.is_empty(), "{}", self.wrong.join("\n\n"));
    }
}

/// The first difference. Where the splitter refuses to go on, the client may have sent more.
fn difference(ours: &[Vec<u8>], theirs: &[Vec<u8>], found: &Split) -> Option<String> {
    let show = |texts: &[Vec<u8>], index: usize| {
        texts.get(index).map_or("nothing".into(), |text| text.escape_ascii().to_string())
    };
    let same = ours.iter().zip(theirs).take_while(|(ours, theirs)| ours == theirs).count();
    let open = found.failure.as_ref().filter(|failure| !failure.message.contains("transaction"));
    if same == ours.len() && (same == theirs.len() || open.is_some()) {
        return None;
    }
    let (ours, theirs) = (show(ours, same), show(theirs, same));
    let failure = open.map_or(String::new(), |failure| format!("\n  failure: {failure:?}"));
    Some(format!("statement {}\n  we:     {ours}\n  client: {theirs}{failure}", same + 1))
}

/// The scripts of a folder by name, without ending.
fn scripts(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{folder:?}: {error}"));
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.expect("the folder can be read").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "sql"))
        .collect();
    files.sort();
    let read = |path: PathBuf| {
        let name = path.file_stem().expect("a file has a name").to_string_lossy().into_owned();
        (name, fs::read(&path).expect("the file was just listed"))
    };
    files.into_iter().map(read).collect()
}

fn cases(dialect: &str) -> Vec<(String, Vec<u8>)> {
    scripts(&Path::new(env!("CARGO_MANIFEST_DIR")).join("cases/split").join(dialect))
}

/// The folder that a variable names; none, loudly, where it is not set: these scripts are a
/// download that nobody must have.
fn folder(variable: &str, what: &str) -> Option<PathBuf> {
    let folder = env::var_os(variable).map(PathBuf::from);
    if folder.is_none() {
        println!("not run: {variable} names no folder with {what}");
    }
    folder
}

/// The path of a client: in the folder that a variable names, else wherever the system finds it.
fn program(variable: &str, name: &str) -> PathBuf {
    env::var_os(variable).map_or_else(|| name.into(), |folder| Path::new(&folder).join(name))
}

/// A script in a file of its own, for as long as it is needed.
struct File(PathBuf);

impl File {
    fn new(name: &str, content: &[u8]) -> Self {
        let path = env::temp_dir().join(format!("sql-batcher-{}-{name}", std::process::id()));
        fs::write(&path, content).expect("the folder for temporary files can be written");
        Self(path)
    }
}

impl Drop for File {
    fn drop(&mut self) {
        // Nothing depends on it.
        fs::remove_file(&self.0).ok();
    }
}
