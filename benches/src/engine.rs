//! The core as the host uses it, in the sandbox, and the same core linked as a library; and one
//! driver for both, so that two runs differ in nothing else. The driver does of the host's work what
//! a run needs that goes well: it splits while the database works, with one batch in flight.

use sql_batcher::{
    Dialect, Options, Splitter,
    adapters::{Adapter, InsertRows, Request, Scope},
};
use sql_batcher_core as core;
use tokio::sync::mpsc;

use crate::{native::CHUNK_BYTES, peer::Failed, ways::Mode};

/// What makes batches of a script.
pub trait Engine {
    /// Takes a piece of the script and gives the batches that are complete.
    ///
    /// # Errors
    /// Where the script is refused.
    fn push(&mut self, piece: &[u8]) -> Result<Vec<Sealed>, Failed>;

    /// Gives the last ones.
    ///
    /// # Errors
    /// Where the script is refused.
    fn finish(&mut self) -> Result<Vec<Sealed>, Failed>;
}

/// A batch, as far as an adapter needs to know it, with INSERTs that are to be one made one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealed {
    body: Vec<u8>,
    ends: Vec<u32>,
    scope: Scope,
    inserts: Vec<InsertRows>,
}

/// The core, linked.
#[derive(Debug)]
pub struct Native {
    session: core::Session,
    sealed: Collects,
    mode: Mode,
}

/// The core in the sandbox.
#[derive(Debug)]
pub struct Sandboxed(Splitter, Mode);

/// Takes all batches and says that they are applied.
#[derive(Debug, Default)]
struct Collects(Vec<Sealed>);

impl Native {
    /// With the default options but for this mode.
    ///
    /// # Errors
    /// Where the core does not take those.
    pub fn new(dialect: Dialect, mode: Mode) -> Result<Self, Failed> {
        let dialect = match dialect {
            Dialect::Sqlite => core::Dialect::Sqlite,
            Dialect::PostgreSql => core::Dialect::PostgreSql,
            Dialect::MySql => core::Dialect::MySql,
            _ => core::Dialect::Generic,
        };
        let mut options = core::Options::new(dialect);
        let locates_rows = mode == Mode::Fast;
        options.merging =
            (mode != Mode::Plain).then(|| core::Merging { locates_rows, ..Default::default() });
        let session = core::Session::open(options).map_err(|failure| failure.message)?;
        Ok(Self { session, sealed: Collects::default(), mode })
    }

    fn take(&mut self, progress: core::Progress) -> Result<Vec<Sealed>, Failed> {
        match progress.failure {
            Some(failure) => Err(failure.message.into()),
            None => Ok(as_sent(std::mem::take(&mut self.sealed.0), self.mode)),
        }
    }
}

impl Sandboxed {
    /// With the default options but for this mode.
    ///
    /// # Errors
    /// Where no sandbox is to be had.
    pub fn new(dialect: Dialect, mode: Mode) -> Result<Self, Failed> {
        let options = Options::default().dialect(dialect).merge_inserts(mode != Mode::Plain);
        Ok(Self(Splitter::new(options.fast_path(mode == Mode::Fast))?, mode))
    }
}

impl Engine for Native {
    fn push(&mut self, piece: &[u8]) -> Result<Vec<Sealed>, Failed> {
        let progress = self.session.push(&mut self.sealed, piece.to_vec(), 0);
        self.take(progress)
    }

    fn finish(&mut self) -> Result<Vec<Sealed>, Failed> {
        let progress = self.session.finish(&mut self.sealed, 0);
        self.take(progress)
    }
}

impl Engine for Sandboxed {
    fn push(&mut self, piece: &[u8]) -> Result<Vec<Sealed>, Failed> {
        Ok(as_sent(self.0.push(piece)?.into_iter().map(Sealed::from).collect(), self.1))
    }

    fn finish(&mut self) -> Result<Vec<Sealed>, Failed> {
        self.0.end()?;
        Ok(as_sent(self.0.take_batches().into_iter().map(Sealed::from).collect(), self.1))
    }
}

/// Batches as an adapter is given them: where rows are is said for the fast path only.
fn as_sent(mut batches: Vec<Sealed>, mode: Mode) -> Vec<Sealed> {
    if mode != Mode::Fast {
        batches.iter_mut().for_each(|batch| batch.inserts.clear());
    }
    batches
}

/// Where the rows of INSERTs are in a batch of either kind, which have the same fields.
macro_rules! inserts {
    ($batch:ident) => {{
        let mut joined = 0;
        let inserts = $batch.joins.iter().map(|join| {
            let statement = join.first - joined;
            joined += join.statements - 1;
            InsertRows { statement, prefix: join.prefix, tail: join.tail }
        });
        inserts.collect()
    }};
}

impl From<sql_batcher::Batch> for Sealed {
    fn from(batch: sql_batcher::Batch) -> Self {
        let (ends, inserts) = (batch.sent_ends(), inserts!(batch));
        Self { scope: batch.scope, ends, inserts, body: batch.into_sent() }
    }
}

impl From<core::Batch> for Sealed {
    fn from(batch: core::Batch) -> Self {
        let scope = match batch.scope {
            core::Scope::Atomic => Scope::Atomic,
            core::Scope::Bare => Scope::Bare,
            core::Scope::Scripted => Scope::Scripted,
        };
        let mut ends = batch.ends.clone();
        for join in batch.joins.iter().rev() {
            // Those that are joined are one, which ends with the last of them.
            let first = join.first as usize;
            ends.drain(first..first + join.statements as usize - 1);
        }
        let inserts = inserts!(batch);
        Self { body: batch.body, ends, scope, inserts }
    }
}

impl core::Host for Collects {
    fn execute(&mut self, batch: core::Batch) -> core::Execution {
        self.0.push(batch.into());
        core::Execution::Finished(core::Outcome::applied(None))
    }

    fn pre_batch(&mut self, _: u32, _: &core::Batch) -> Result<core::Verdict, String> {
        Ok(core::Verdict::Proceed)
    }

    fn post_batch(&mut self, _: u32, _: core::BatchInfo, _: &core::Outcome) -> Result<(), String> {
        Ok(())
    }

    fn emit(&mut self, _: core::Event) {}
}

/// Splits a script, and gives how many batches it has.
///
/// # Errors
/// Where the script is refused.
pub fn split(engine: &mut dyn Engine, script: &str) -> Result<usize, Failed> {
    let mut count = 0;
    for piece in script.as_bytes().chunks(CHUNK_BYTES) {
        count += engine.push(piece)?.len();
    }
    Ok(count + engine.finish()?.len())
}

/// Brings a script into a database.
///
/// # Errors
/// Where the script or the database refuses something.
pub async fn drive(
    engine: &mut dyn Engine,
    adapter: &dyn Adapter,
    script: &str,
) -> Result<(), Failed> {
    let mut connection = adapter.acquire().await?;
    let takes_rows = adapter.capabilities().fast_path;
    let (give, mut batches) = mpsc::channel::<Sealed>(1);
    let work = tokio::spawn(async move {
        while let Some(Sealed { body, ends, scope, inserts }) = batches.recv().await {
            let inserts = if takes_rows { &inserts[..] } else { &[] };
            let request = Request { body: &body, ends: &ends, scope, copy: None, inserts };
            if let Err(problem) = connection.execute(request).await {
                return Err(problem.to_string());
            }
        }
        connection.close().await;
        Ok(())
    });
    for piece in script.as_bytes().chunks(CHUNK_BYTES) {
        for batch in engine.push(piece)? {
            // Where nobody takes it any more, the work has failed and says why.
            let _taken = give.send(batch).await;
        }
    }
    for batch in engine.finish()? {
        let _taken = give.send(batch).await;
    }
    drop(give);
    work.await??;
    Ok(())
}

#[cfg(test)]
mod tests {
    use sql_batcher::adapters::{PoolOptions, connect};

    use crate::{
        database::{Database, Kind},
        rows::{CREATE_TABLE, Rows},
    };

    use super::*;

    fn engines(mode: Mode) -> [Box<dyn Engine>; 2] {
        let dialect = Dialect::Sqlite;
        let sandboxed = Sandboxed::new(dialect, mode).unwrap();
        [Box::new(Native::new(dialect, mode).unwrap()), Box::new(sandboxed)]
    }

    #[test]
    fn both_give_the_same_batches() {
        let script = Rows::new(30_000).script;
        for mode in Mode::ALL {
            let [native, sandboxed] = engines(mode).map(|mut engine| {
                let mut batches = engine.push(script.as_bytes()).unwrap();
                batches.extend(engine.finish().unwrap());
                batches
            });
            assert!(native.len() > 1, "{mode:?}");
            assert!(native == sandboxed, "{mode:?}");
        }
    }

    #[tokio::test]
    async fn both_bring_all_rows_into_a_database() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}?mode=rwc", folder.path().join("t.db").display());
        let database = Database { kind: Kind::Sqlite, url };
        for mut engine in Mode::ALL.into_iter().flat_map(engines) {
            database.prepare(CREATE_TABLE).await.unwrap();
            let adapter = connect(&database.url, &PoolOptions::default()).await.unwrap();
            drive(engine.as_mut(), &*adapter, &Rows::new(50).script).await.unwrap();
            adapter.close().await;
            database.check(50).await.unwrap();
        }
    }
}
