//! Scripts into a splitter, for whatever touches no database.

use std::io::{self, Read};

use sql_batcher::{Batch, Error, Report, Splitter};

use super::inputs::{Input, Inputs};

/// Bytes read at once.
const CHUNK_BYTES: usize = 256 * 1024;

/// Why not everything was split.
#[derive(Debug)]
pub(super) enum Halt {
    /// The scripts or the sandbox.
    Split(Error),
    /// A script could not be read: which, and why.
    Read(String, io::Error),
    /// What the batches are for did not work.
    Take(io::Error),
}

impl From<Error> for Halt {
    fn from(error: Error) -> Self {
        Self::Split(error)
    }
}

/// Whoever wants the batches, and the bytes that were read for them.
pub(super) trait Taker {
    /// Takes what is complete.
    fn take(&mut self, splitter: &Splitter, batches: Vec<Batch>) -> io::Result<()>;
    /// Learns that so many bytes were read.
    fn read(&mut self, _bytes: usize) {}
}

/// Splits all inputs; what is complete before an error is given out before the error.
pub(super) fn feed(
    splitter: &mut Splitter,
    inputs: &Inputs,
    taker: &mut impl Taker,
) -> Result<Report, Halt> {
    let fed = inputs.list.iter().try_for_each(|input| feed_one(splitter, input, taker));
    let ended = fed.and_then(|()| splitter.end().map_err(Halt::Split));
    if !matches!(ended, Err(Halt::Take(_))) {
        let rest = splitter.take_batches();
        taker.take(splitter, rest).map_err(Halt::Take)?;
    }
    ended
}

fn feed_one(splitter: &mut Splitter, input: &Input, taker: &mut impl Taker) -> Result<(), Halt> {
    let name = input.name();
    let unreadable = |error| Halt::Read(name.clone(), error);
    splitter.begin_input(name.as_str())?;
    let mut reader = input.open().map_err(unreadable)?;
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        let count = match reader.read(&mut chunk) {
            Ok(0) => return Ok(splitter.end_input()?),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(unreadable(error)),
        };
        taker.read(count);
        let batches = splitter.push(chunk.get(..count).unwrap_or_default())?;
        taker.take(splitter, batches).map_err(Halt::Take)?;
    }
}
