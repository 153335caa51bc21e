//! The command line, around the library: what is asked for, what is said, and the exit code. It
//! batches nothing itself.

mod args;
mod config;
mod database;
mod dry_run;
mod ending;
mod feed;
mod hooks;
mod inputs;
mod merging;
mod plan;
mod progress;
mod recovery;
mod run;
mod signals;
mod split;
mod statements;
mod units;
mod watch;

use std::{
    io::{self, Write as _},
    process::ExitCode,
};

use clap::Parser as _;

use self::{
    args::{Cli, Command},
    database::redact,
    ending::Exit,
};

/// Wrong usage: what was asked for cannot be done, and nothing was. One line.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Usage(String);

/// Does what the command line says.
pub(crate) fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return refuse(&error).into(),
    };
    let ended = match cli.command {
        Command::Run(args) => run::run(*args),
        Command::Split(args) => split::split(args),
    };
    match ended {
        Ok(exit) => exit.into(),
        Err(usage) => {
            say(&format!("error: {usage}"));
            Exit::Usage.into()
        }
    }
}

/// Help and version are wanted; anything else is wrong usage, which may be a URL in a wrong place.
fn refuse(error: &clap::Error) -> Exit {
    let text = error.render().to_string();
    let safe = redact(&text);
    if error.use_stderr() && safe != text {
        say(safe.trim_end());
        return Exit::Usage;
    }
    // A reader that has gone needs no help.
    let _ = error.print();
    if error.use_stderr() { Exit::Usage } else { Exit::Applied }
}

/// Tells the user something, if there is somebody to tell.
fn say(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}
