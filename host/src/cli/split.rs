//! `split`: what would be sent, without a database.

use std::io::{self, BufWriter};

use sql_batcher::{ErrorKind, Splitter};

use super::{
    Usage,
    args::{Format, SplitArgs},
    config,
    ending::Exit,
    feed::{Halt, feed},
    inputs::{Inputs, words},
    plan::{check, options},
    say,
    statements::{Printer, Style},
};

/// Prints the statements of the scripts with their batches.
///
/// # Errors
/// What cannot be done, before anything is.
pub(super) fn split(args: SplitArgs) -> Result<Exit, Usage> {
    let config = config::load(args.sources.config.as_deref())?;
    let inputs = Inputs::check(&args.sources.files)?;
    let options = options(args.batching, &config);
    check(&options)?;
    let style = match args.format.or(config.format).unwrap_or_default() {
        Format::Json => Style::Json,
        Format::Text if args.brief.or(config.brief).unwrap_or_default() => Style::Brief,
        Format::Text => Style::Whole,
    };
    if let Some(text) = inputs.waits_for_keyboard() {
        say(text);
    }
    let mut splitter = match Splitter::new(options) {
        Ok(splitter) => splitter,
        Err(error) => return Ok(explain(Halt::Split(error))),
    };
    let mut printer = Printer::new(BufWriter::new(io::stdout().lock()), style);
    let fed = feed(&mut splitter, &inputs, &mut printer);
    let printed = printer.finish(&splitter);
    match (fed, printed) {
        (Err(halt), _) => Ok(explain(halt)),
        (Ok(_), Err(error)) => Ok(explain(Halt::Take(error))),
        (Ok(_), Ok(())) => Ok(Exit::Applied),
    }
}

fn explain(halt: Halt) -> Exit {
    match halt {
        // Whoever reads has seen enough: `split | head`.
        Halt::Take(error) if error.kind() == io::ErrorKind::BrokenPipe => return Exit::Applied,
        Halt::Take(error) => say(&format!("error: cannot write: {error}")),
        Halt::Read(name, error) => say(&format!("error: cannot read {name}: {}", words(&error))),
        Halt::Split(error) => {
            say(&format!("error: {error}"));
            if error.kind() == ErrorKind::InvalidOptions {
                return Exit::Usage;
            }
        }
    }
    Exit::Failed
}
