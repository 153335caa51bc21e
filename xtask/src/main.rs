//! `cargo xtask …`: what a person needs beyond plain cargo: the demo, and the tests and benchmarks
//! with their database servers. It depends on the standard library only, so that it starts at once.
//!
//! It is no part of sql-batcher: nothing here splits, batches or talks to a database.

mod arguments;
mod bench;
mod demo;
mod test;
mod toolchain;
mod workspace;

use std::env;
use std::process::ExitCode;

use xtask::error::Error;
use xtask::servers::{self, Servers};

use arguments::{Task, USAGE};
use workspace::Workspace;

/// The exit code for a command line that makes no sense, as in sql-batcher itself.
const WRONG_USAGE: u8 = 2;

fn main() -> ExitCode {
    let words: Vec<String> =
        env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned()).collect();
    let task = match arguments::parse(&words) {
        Ok(task) => task,
        Err(message) => {
            eprintln!("error: {message}\n\n{USAGE}");
            return ExitCode::from(WRONG_USAGE);
        }
    };
    perform(task).unwrap_or_else(|error| {
        eprintln!("error: {error}");
        ExitCode::FAILURE
    })
}

/// Does one task; the exit code is that of the cargo it ran, if it ran one.
fn perform(task: Task) -> Result<ExitCode, Error> {
    match task {
        Task::Help => {
            println!("{USAGE}");
            Ok(ExitCode::SUCCESS)
        }
        Task::Setup => toolchain::ensure_wasm_target().map(|()| ExitCode::SUCCESS),
        Task::Demo => demo::run(&Workspace::find()?).map(|()| ExitCode::SUCCESS),
        Task::Test(options) => test::run(&Workspace::find()?, &options),
        Task::Bench(options) => bench::run(&Workspace::find()?, &options),
        Task::Servers => servers::offer(Servers::start()?).map(|()| ExitCode::SUCCESS),
    }
}
