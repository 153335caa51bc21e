//! The start of a run and of its batches: the ledger, the slot, and what an earlier process has done
//! already.

use std::sync::{Arc, PoisonError};

use sql_batcher_adapters::CopyPart;

use tokio::task::yield_now;
use tracing::{Instrument as _, field, info_span};

use super::{Driver, Run, Stop};
use crate::{
    Error, ErrorKind, Result,
    batch::Batch,
    ledger::{Part, Spans},
    options::Settings,
    progress::{Cause, Interruption, Outcome},
    run_batch::{Flight, run},
    send::{Ready, Rows},
    session_memory::asks_for_last_id,
    slot::Slot,
};

impl Run {
    /// Opens the ledger, if one is wanted, and reads what an earlier process has left in it.
    pub(super) async fn open_ledger(&mut self) -> Result<()> {
        let settings = &self.driver.settings;
        let Some(options) = &settings.ledger else { return Ok(()) };
        let Some(slot) = self.driver.idle.first_mut() else { return Ok(()) };
        let (ledger, history) = slot.open_ledger(options, settings).await?;
        for slot in &mut self.driver.idle {
            slot.ledger = Some(ledger.clone());
        }
        let resumed = ledger.resumed;
        let mut tally = self.tally();
        if settings.ledger.as_ref().is_some_and(|options| options.resume) && !resumed {
            tally.notes.push("there was no run to resume: this is a new one".to_owned());
        }
        if let Some(other) = &history.other {
            let run = &ledger.run;
            tally.notes.push(format!(
                "run {run:?} is the newest and has applied nothing; the last that has is {other:?}: \
                 to go on with that, name it"
            ));
        }
        tally.notes.extend(ledger.note().map(str::to_owned));
        tally.run = Some(ledger.run);
        drop(tally);
        self.spans = Some(Spans::new(self.spans_run()));
        self.history = history;
        Ok(())
    }

    /// Starts what the component has handed out, as far as there are slots.
    pub(super) async fn launch(&mut self) -> Result<()> {
        while let Some(batch) = self.queue.pop_front() {
            if self.starts_nothing() {
                self.give_back(&batch)?;
                continue;
            }
            let Some(slot) = self.free_slot() else {
                self.make_ready(&batch);
                self.queue.push_front(batch);
                return Ok(());
            };
            match self.known_parts(&batch) {
                Ok(parts) => {
                    self.start(slot, batch, parts);
                    // A task that was spawned waits for this one to wait, unless it lets it go
                    // first: what is under way and what is read next would not overlap.
                    yield_now().await;
                }
                Err(error) => {
                    self.queue.push_front(batch);
                    self.driver.idle.push(slot);
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// Makes the text of the next batch while the database works on the one before. What has a row
    /// of a ledger in it is made when it is known which.
    fn make_ready(&mut self, batch: &Batch) {
        let is_ready = self.ready.as_ref().is_some_and(|(id, _)| *id == batch.id);
        if is_ready || self.spans.is_some() {
            return;
        }
        let Driver { settings, adapter, .. } = &self.driver;
        let locates_rows = settings.merging.is_some_and(|merging| merging.locates_rows);
        self.ready =
            Ready::of(batch, locates_rows, adapter.as_ref()).map(|ready| (batch.id, ready));
    }

    /// Whether what is not under way is not to be sent any more.
    fn starts_nothing(&self) -> bool {
        self.broken || self.expired || self.stopped > Stop::No
    }

    /// Tells the component that a batch was not sent.
    fn give_back(&mut self, batch: &Batch) -> Result<()> {
        let (cause, statement) = (Cause::Cancelled, None);
        let statements = u32::try_from(batch.statements()).unwrap_or(u32::MAX);
        let interruption = Some(Interruption { cause, statements, statement });
        let outcome = Outcome { interruption, ..Outcome::default() };
        let (batches, bytes) = self.given_back;
        self.given_back = (batches + 1, bytes + batch.sent_bytes() as u64);
        self.call(|session, now_ms| session.complete(batch.id, outcome, now_ms))
    }

    /// The free slot with the lowest number: so what changes the session, beside which nothing is
    /// under way, runs in the first; and so does what needs a session that was changed.
    fn free_slot(&mut self) -> Option<Slot> {
        let pins = self.driver.memory.lock().unwrap_or_else(PoisonError::into_inner).pins();
        let idle = &mut self.driver.idle;
        let (index, slot) = idle.iter().enumerate().min_by_key(|(_, slot)| slot.number)?;
        if pins && slot.number > 0 {
            return None;
        }
        Some(idle.swap_remove(index))
    }

    /// What an earlier process has done of a batch.
    fn known_parts(&mut self, batch: &Batch) -> Result<Vec<Part>> {
        self.refuse_last_id(batch)?;
        match self.spans {
            Some(_) => {
                self.history.meet(batch).map_err(|unlike| Error::of_past(unlike, &self.sources))
            }
            None => Ok(vec![Part { range: 0..batch.statements(), known: None }]),
        }
    }

    /// With several batches in flight it is chance which session has the last id, or a later one.
    fn refuse_last_id(&self, batch: &Batch) -> Result<()> {
        let Settings { max_in_flight, dialect, .. } = self.driver.settings;
        if max_in_flight == 1 {
            return Ok(());
        }
        let Some(index) = asks_for_last_id(dialect, batch, 0..batch.statements()) else {
            return Ok(());
        };
        let message = "the last inserted id is not certain with more than one batch in flight";
        let position = self.sources.of_statement(batch, index);
        Err(Error::new(ErrorKind::InvalidOptions, message).at(position))
    }

    fn start(&mut self, slot: Slot, batch: Batch, parts: Vec<Part>) {
        let spans_run = self.spans_run();
        let rows = match &mut self.spans {
            Some(spans) => Rows::Each { span: spans.next(&batch), spans_run },
            None => Rows::None,
        };
        self.note_known(&batch, &parts);
        self.tally().under_way += batch.statements() as u64;
        if batch.copy == Some(CopyPart::First) {
            self.copying = self.sources.of_statement(&batch, 0);
        }
        let sources = Arc::clone(&self.sources);
        let is_sent = parts.iter().any(|part| part.known.is_none());
        let _under_way = is_sent.then(|| self.driver.instruments.start(&batch));
        let span = info_span!(
            "batch",
            sql_batcher.batch = batch.id,
            sql_batcher.statements = batch.statements(),
            sql_batcher.bytes = batch.sent_bytes(),
            sql_batcher.sealed_by = batch.sealed_by.name(),
            error.r#type = field::Empty,
            otel.status_code = field::Empty,
        );
        let ready = self.ready.take().filter(|(id, _)| *id == batch.id).map(|(_, ready)| ready);
        let flight = Flight { batch, parts, rows, ready, sources, _under_way };
        self.flights.spawn(run(slot, flight).instrument(span));
    }

    /// Counts what is not sent, as it was dealt with before.
    fn note_known(&self, batch: &Batch, parts: &[Part]) {
        if parts.iter().all(|part| part.known.is_none()) {
            return;
        }
        let mut tally = self.tally();
        let known = parts.iter().filter(|part| part.known.is_some());
        tally.before.statements += known.map(|part| part.range.len() as u64).sum::<u64>();
        if parts.iter().all(|part| part.known.is_some()) {
            tally.before.batches += 1;
            tally.before.bytes += batch.sent_bytes() as u64;
        }
    }
}
