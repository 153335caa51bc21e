//! The audit log: a hook that writes one line of JSON for each batch that was sent.

use std::{
    collections::BTreeMap,
    fmt,
    fs::OpenOptions,
    io::{self, Write},
    path::Path,
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::{BatchInfo, Ending, Hook, HookError, Outcome, Verdict};
use crate::batch::{Batch, StatementKind};

/// A hook that writes one line of JSON for each batch that was sent, once it has ended:
///
/// ```json
/// {"time":"2026-01-31T12:00:00.000Z","batch":1,"input":"a.sql","line":1,"column":1,"offset":0,
///  "first_statement":1,"statements":2,"kinds":{"insert":2},"bytes":57,"sha256":"…",
///  "outcome":"applied","settled":2,"rejected":[],"rows":2,"elapsed_ms":1.25}
/// ```
///
/// `time` is when it was handed over, in UTC; `sha256` that of the text as it was sent; `input` to
/// `offset` say where its first statement starts; `outcome` is `applied`, `failed`, `unknown`,
/// `cancelled`, or `untold` where the run was aborted while the batch was under way; `settled` are
/// the statements that stay applied, `rejected` those among them that were left out, by index. A
/// batch that a hook skips is not sent, and has no line.
///
/// Register it last: then it sees what the other hooks have made of the text. SQL text is written
/// only with [`with_sql`](Self::with_sql).
pub struct AuditLog {
    out: Box<dyn Write + Send>,
    with_sql: bool,
    open: BTreeMap<u64, Open>,
}

/// A batch that has not ended.
struct Open {
    time: SystemTime,
    started: Instant,
    entry: Entry,
}

#[derive(Serialize)]
struct Entry {
    time: String,
    batch: u64,
    input: Option<Arc<str>>,
    line: Option<u32>,
    column: Option<u32>,
    offset: Option<u64>,
    first_statement: u64,
    statements: usize,
    kinds: BTreeMap<String, u64>,
    bytes: usize,
    sha256: String,
    outcome: &'static str,
    settled: u32,
    rejected: Vec<u32>,
    rows: Option<u64>,
    elapsed_ms: f64,
    /// Bytes that are not UTF-8 are replaced.
    #[serde(skip_serializing_if = "Option::is_none")]
    sql: Option<String>,
}

impl AuditLog {
    /// Writes to the end of a file, which is made if it is missing.
    ///
    /// # Errors
    /// Where the file cannot be opened.
    pub fn open(path: impl AsRef<Path>) -> io::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        Ok(Self::new(file))
    }

    /// Writes to anything, a whole line at a time.
    pub fn new(out: impl Write + Send + 'static) -> Self {
        Self { out: Box::new(out), with_sql: false, open: BTreeMap::new() }
    }

    /// Whether the text of each batch is written, too, as `sql`: default no, as it has the data.
    pub fn with_sql(mut self, with_sql: bool) -> Self {
        self.with_sql = with_sql;
        self
    }

    fn write(&mut self, mut open: Open) -> io::Result<()> {
        open.entry.time = timestamp(open.time);
        open.entry.elapsed_ms = (open.started.elapsed().as_secs_f64() * 1e6).round() / 1e3;
        let mut line = serde_json::to_vec(&open.entry).map_err(io::Error::from)?;
        line.push(b'\n');
        self.out.write_all(&line)?;
        self.out.flush()
    }
}

impl Hook for AuditLog {
    fn pre_batch(&mut self, batch: &Batch) -> Result<Verdict, HookError> {
        let mut kinds = BTreeMap::new();
        for (stretch, statements) in batch.stretches_of(0..batch.statements()) {
            *kinds.entry(name_of(stretch.kind)).or_default() += statements.len() as u64;
        }
        let sent = batch.sent();
        let sql = self.with_sql.then(|| String::from_utf8_lossy(sent).into_owned());
        let first = batch.stretches.first();
        let entry = Entry {
            time: String::new(),
            batch: batch.id,
            input: None,
            line: first.map(|first| first.line),
            column: first.map(|first| first.column),
            offset: first.map(|first| first.offset),
            first_statement: batch.first_statement,
            statements: batch.statements(),
            kinds,
            bytes: sent.len(),
            sha256: hex(&Sha256::digest(sent)),
            outcome: "untold",
            settled: 0,
            rejected: Vec::new(),
            rows: None,
            elapsed_ms: 0.0,
            sql,
        };
        let open = Open { time: SystemTime::now(), started: Instant::now(), entry };
        self.open.insert(batch.id, open);
        Ok(Verdict::Proceed)
    }

    fn post_batch(&mut self, batch: &BatchInfo, outcome: &Outcome) -> Result<(), HookError> {
        let Some(mut open) = self.open.remove(&batch.id) else {
            return Err(format!("batch {} was not seen before", batch.id).into());
        };
        let entry = &mut open.entry;
        if let Some(from) = &batch.from {
            entry.input.clone_from(&from.input);
            entry.offset = Some(from.offset);
        }
        entry.outcome = match outcome.ending {
            Ending::Applied => "applied",
            Ending::Failed => "failed",
            Ending::Unknown => "unknown",
            Ending::Cancelled => "cancelled",
        };
        entry.settled = outcome.settled;
        entry.rejected.clone_from(&outcome.rejected);
        entry.rows = outcome.rows;
        self.write(open).map_err(|error| format!("the audit log cannot be written: {error}").into())
    }
}

/// What was under way when the run was aborted is not left out.
impl Drop for AuditLog {
    fn drop(&mut self) {
        for open in std::mem::take(&mut self.open).into_values() {
            // There is nobody to tell of an error any more.
            let _ = self.write(open);
        }
    }
}

impl fmt::Debug for AuditLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuditLog").field("with_sql", &self.with_sql).finish_non_exhaustive()
    }
}

fn name_of(kind: StatementKind) -> String {
    format!("{kind:?}").to_lowercase()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// RFC 3339, in UTC, to the millisecond.
fn timestamp(time: SystemTime) -> String {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    let (days, seconds) = (since.as_secs() / 86_400, since.as_secs() % 86_400);
    let (year, month, day) = date(days);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let millis = since.subsec_millis();
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z")
}

/// The Gregorian date so many days after 1970-01-01.
fn date(mut days: u64) -> (u64, u64, u64) {
    let is_leap = |year: u64| {
        year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
    };
    let mut year = 1970;
    loop {
        let length = if is_leap(year) { 366 } else { 365 };
        if days < length {
            break;
        }
        days -= length;
        year += 1;
    }
    let february = if is_leap(year) { 29 } else { 28 };
    let lengths = [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let mut month = 1;
    for length in lengths {
        if days < length {
            break;
        }
        days -= length;
        month += 1;
    }
    (year, month, days + 1)
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::batch::{SealReason, tests::batch};

    #[derive(Clone, Default)]
    struct Shared(Arc<Mutex<Vec<u8>>>);

    impl Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn lines(out: &Shared) -> Vec<serde_json::Value> {
        let text = String::from_utf8(out.0.lock().unwrap().clone()).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    fn ended(log: &mut AuditLog, id: u64) {
        let info = BatchInfo {
            id,
            first_statement: 1,
            statements: 1,
            bytes: 9,
            sealed_by: SealReason::Finish,
            from: None,
        };
        let outcome = Outcome {
            ending: Ending::Applied,
            settled: 1,
            rejected: Vec::new(),
            interrupted: 0,
            fault: None,
            rows: Some(1),
        };
        log.post_batch(&info, &outcome).unwrap();
    }

    #[test]
    fn each_batch_is_a_line_without_its_text_unless_that_is_asked_for() {
        for with_sql in [false, true] {
            let out = Shared::default();
            let mut log = AuditLog::new(out.clone()).with_sql(with_sql);
            log.pre_batch(&batch(&["SELECT 1"])).unwrap();
            assert!(lines(&out).is_empty());
            ended(&mut log, 1);
            let line = &lines(&out)[0];
            assert_eq!(line["outcome"], "applied");
            assert_eq!((&line["statements"], &line["bytes"]), (&1.into(), &10.into()));
            assert_eq!(line["kinds"]["other"], 1);
            // sha256sum of "SELECT 1;\n"
            assert_eq!(line["sha256"], SELECT_1);
            assert_eq!(line.get("sql").is_some(), with_sql);
        }
    }

    const SELECT_1: &str = "b4e0497804e46e0a0b0b8c31975b062152d551bac49c3c2e80932567b4085dcd";

    #[test]
    fn a_batch_whose_end_is_never_told_has_a_line_in_the_end() {
        let out = Shared::default();
        let mut log = AuditLog::new(out.clone());
        log.pre_batch(&batch(&["SELECT 1"])).unwrap();
        drop(log);
        assert_eq!(lines(&out)[0]["outcome"], "untold");
    }

    #[test]
    fn times_are_those_of_the_calendar() {
        let at = |seconds| timestamp(UNIX_EPOCH + Duration::from_secs(seconds));
        assert_eq!(at(0), "1970-01-01T00:00:00.000Z");
        // The examples of RFC 3339, section 5.8, and the last day of a leap year.
        assert_eq!(at(482_196_050), "1985-04-12T23:20:50.000Z");
        assert_eq!(at(851_042_397), "1996-12-20T00:39:57.000Z");
        assert_eq!(at(1_735_603_200), "2024-12-31T00:00:00.000Z");
        assert_eq!(at(1_709_210_096), "2024-02-29T12:34:56.000Z");
    }
}
