//! The program `sql-batcher`: the library on the command line.
//!
//! `run` applies SQL scripts to a database, `split` shows what would be sent. The exit codes:
//!
//! | code | meaning |
//! |---|---|
//! | 0 | everything was applied |
//! | 1 | the run failed |
//! | 2 | wrong usage or options; nothing was done |
//! | 3 | finished, but some statements were left out |
//! | 4 | it is not known whether some statements were applied, also if the run was interrupted |
//! | 130 | interrupted by Ctrl-C or SIGTERM |

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main()
}
