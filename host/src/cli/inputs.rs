//! The scripts: which they are, and that they can be read, before anything is connected.

use std::{
    fs::{self, File},
    io::{self, IsTerminal, Read},
    path::{Path, PathBuf},
};

use super::{Usage, database::redact};

/// What errors call standard input.
const STDIN_NAME: &str = "<stdin>";

/// One script.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Input {
    Stdin,
    File(PathBuf),
}

/// All scripts of a run, in order.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Inputs {
    pub(super) list: Vec<Input>,
    /// Bytes of all of them, where that is known.
    pub(super) total_bytes: Option<u64>,
}

impl Inputs {
    /// Checks that each file is there and can be read; none at all is standard input.
    ///
    /// # Errors
    /// The first file that is not, and why.
    pub(super) fn check(files: &[PathBuf]) -> Result<Self, Usage> {
        let stdin = Path::new("-");
        if files.iter().filter(|file| *file == stdin).count() > 1 {
            return Err(Usage("standard input (-) can be read only once".into()));
        }
        if files.is_empty() {
            return Ok(Self { list: vec![Input::Stdin], total_bytes: None });
        }
        let mut inputs = Self { list: Vec::new(), total_bytes: Some(0) };
        for file in files {
            let (input, bytes) = match file.as_path() {
                path if path == stdin => (Input::Stdin, None),
                path => (Input::File(file.clone()), check_file(path)?),
            };
            inputs.list.push(input);
            inputs.total_bytes = inputs.total_bytes.zip(bytes).map(|(sum, more)| sum + more);
        }
        Ok(inputs)
    }

    /// What to tell a person at whose keyboard the program waits.
    pub(super) fn waits_for_keyboard(&self) -> Option<&'static str> {
        let waits = self.list.contains(&Input::Stdin) && io::stdin().is_terminal();
        waits.then_some(match cfg!(windows) {
            true => "reading SQL from standard input; end it with Ctrl-Z and Enter",
            false => "reading SQL from standard input; end it with Ctrl-D",
        })
    }
}

impl Input {
    /// What errors call it.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Stdin => STDIN_NAME.into(),
            Self::File(path) => path.display().to_string(),
        }
    }

    /// Opens it for a reader that may block.
    pub(super) fn open(&self) -> io::Result<Box<dyn Read>> {
        match self {
            Self::Stdin => Ok(Box::new(io::stdin().lock())),
            Self::File(path) => Ok(Box::new(File::open(path)?)),
        }
    }
}

/// The size of a file that can be read; none for a pipe, which is not opened here: whoever writes
/// to it would see that it was closed again.
fn check_file(path: &Path) -> Result<Option<u64>, Usage> {
    let name = path.display().to_string();
    if name.contains("://") {
        let name = redact(&name);
        return Err(Usage(format!("{name} is no file; a database is named with --database")));
    }
    let cannot = |error: io::Error| Usage(format!("cannot read {name}: {}", words(&error)));
    let metadata = fs::metadata(path).map_err(cannot)?;
    if metadata.is_dir() {
        return Err(Usage(format!("cannot read {name}: it is a folder")));
    }
    if !metadata.is_file() {
        return Ok(None);
    }
    File::open(path).map_err(cannot)?;
    Ok(Some(metadata.len()))
}

/// What an error of the operating system says, in words that a person knows.
pub(super) fn words(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "there is no such file".into(),
        io::ErrorKind::PermissionDenied => "permission denied".into(),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(files: &[&str]) -> Result<Inputs, String> {
        let files: Vec<PathBuf> = files.iter().map(PathBuf::from).collect();
        Inputs::check(&files).map_err(|usage| usage.0)
    }

    #[test]
    fn no_file_is_standard_input() {
        let expected = Inputs { list: vec![Input::Stdin], total_bytes: None };
        assert_eq!(checked(&[]), Ok(expected));
    }

    #[test]
    fn the_total_is_known_where_all_are_files() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.sql");
        fs::write(&path, "SELECT 1;").unwrap();
        let path = path.to_str().unwrap();
        assert_eq!(checked(&[path, path]).unwrap().total_bytes, Some(18));
        assert_eq!(checked(&[path, "-"]).unwrap().total_bytes, None);
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        assert_eq!(
            checked(&["no/such.sql"]).unwrap_err(),
            "cannot read no/such.sql: there is no such file"
        );
        assert_eq!(checked(&["."]).unwrap_err(), "cannot read .: it is a folder");
        assert_eq!(checked(&["-", "-"]).unwrap_err(), "standard input (-) can be read only once");
        assert_eq!(
            checked(&["postgres://u:s3cret@h/d"]).unwrap_err(),
            "postgres://u:***@h/d is no file; a database is named with --database"
        );
    }
}
