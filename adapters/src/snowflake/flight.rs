//! The request that is under way in a session: what cancels it from outside has to know of it.

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use bytes::Bytes;

/// A request as it is sent, as often as need be.
#[derive(Clone, Debug)]
pub(super) struct Submission {
    pub(super) id: String,
    pub(super) body: Bytes,
}

/// The request that is under way in a session, for whoever cancels it from outside.
#[derive(Clone, Debug, Default)]
pub(super) struct Current {
    flight: Arc<Mutex<Option<Flight>>>,
    is_ended: Arc<AtomicBool>,
}

#[derive(Clone, Debug)]
pub(super) struct Flight {
    pub(super) submission: Submission,
    pub(super) handle: Option<String>,
}

impl Current {
    fn lock(&self) -> MutexGuard<'_, Option<Flight>> {
        self.flight.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn begin(&self, submission: Submission) {
        *self.lock() = Some(Flight { submission, handle: None });
    }

    pub(super) fn end(&self) {
        *self.lock() = None;
    }

    pub(super) fn flight(&self) -> Option<Flight> {
        self.lock().clone()
    }

    /// Notes the handle of a request, unless another one is under way by now.
    pub(super) fn note(&self, submission: &Submission, handle: &str) {
        if let Some(flight) = &mut *self.lock()
            && flight.submission.id == submission.id
        {
            flight.handle = Some(handle.to_owned());
        }
    }

    /// The session takes no further request.
    pub(super) fn end_session(&self) {
        self.is_ended.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_ended(&self) -> bool {
        self.is_ended.load(Ordering::Relaxed)
    }
}
