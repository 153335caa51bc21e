//! Where a session's statement is, as others see it; and the ways to end it from outside, or when
//! nobody waits for it any more.

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use async_trait::async_trait;
use tokio::{runtime::Handle, sync::Notify};
use url::Url;

use crate::{AdapterError, Cancel, Fault, http::Lost, query::POLL_EVERY};

use super::{
    protocol::{Client, Dropped},
    session::State,
};

/// What a session runs at the moment.
#[derive(Debug, Default)]
pub(super) struct Running {
    at: Mutex<At>,
    /// Tells who registers a statement that it is not wanted any more.
    refused: Notify,
    ended: AtomicBool,
    /// The script's own transaction.
    pub(super) transaction: Mutex<Option<State>>,
}

#[derive(Clone, Debug, Default)]
enum At {
    #[default]
    Idle,
    /// It is being registered.
    Posting,
    /// It was cancelled before it was registered.
    Refused,
    /// It may run; this is where it is followed, or was to be.
    Query(Url),
}

impl Running {
    fn at(&self) -> MutexGuard<'_, At> {
        self.at.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until the statement that is being registered is cancelled.
    pub(super) async fn refused(&self) {
        loop {
            self.refused.notified().await;
            // It may have been told of one before this.
            if matches!(*self.at(), At::Refused) {
                return;
            }
        }
    }

    /// Whether the session was ended from outside.
    pub(super) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::SeqCst)
    }

    /// Takes note of the transaction that the script has open, if it has.
    pub(super) fn note_transaction(&self, state: &State) {
        let open = state.transaction.is_some().then(|| state.clone());
        *self.transaction.lock().unwrap_or_else(PoisonError::into_inner) = open;
    }

    /// Cancels; gives the address of a statement that may run.
    fn cancel(&self) -> Option<Url> {
        let mut at = self.at();
        match &*at {
            At::Idle | At::Refused => None,
            At::Posting => {
                *at = At::Refused;
                self.refused.notify_one();
                None
            }
            At::Query(next) => Some(next.clone()),
        }
    }
}

/// A statement under way. Dropped before its end, it is ended on the server.
pub(super) struct Flight<'a> {
    client: &'a Client,
    running: &'a Running,
    has_ended: bool,
}

impl<'a> Flight<'a> {
    pub(super) fn begin(client: &'a Client, running: &'a Running) -> Self {
        *running.at() = At::Posting;
        Self { client, running, has_ended: false }
    }

    /// It may run from now on and is followed there; false if it was cancelled before.
    pub(super) fn goes_on(&mut self, next: Url) -> bool {
        let mut at = self.running.at();
        let is_wanted = !matches!(*at, At::Refused);
        if is_wanted {
            *at = At::Query(next);
        }
        is_wanted
    }

    /// The server has said how it ended.
    pub(super) fn ends(&mut self) {
        self.has_ended = true;
        *self.running.at() = At::Idle;
    }
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        let at = self.running.at().clone();
        match at {
            // The address stays known, for who wants to be certain.
            At::Query(next) if !self.has_ended => {
                let client = self.client.clone();
                in_the_background(async move { drop(client.delete(&next).await) });
            }
            At::Query(_) => {}
            At::Idle | At::Posting | At::Refused => *self.running.at() = At::Idle,
        }
    }
}

/// Does what nobody waits for; nothing where there is no runtime any more.
pub(super) fn in_the_background(work: impl Future<Output = ()> + Send + 'static) {
    if let Ok(runtime) = Handle::try_current() {
        runtime.spawn(work);
    }
}

/// Cancels what a session runs, or ends the session.
#[derive(Clone)]
pub(super) struct Stop {
    pub(super) client: Arc<Client>,
    pub(super) running: Arc<Running>,
}

#[async_trait]
impl Cancel for Stop {
    async fn cancel(&self) -> Result<(), AdapterError> {
        let Some(next) = self.running.cancel() else { return Ok(()) };
        self.client.delete(&next).await.map_err(unreachable)
    }

    async fn terminate(&self) -> Result<(), AdapterError> {
        self.running.ended.store(true, Ordering::SeqCst);
        let mut at = self.running.cancel();
        if let Some(next) = &at {
            self.client.delete(next).await.map_err(unreachable)?;
        }
        while let Some(next) = at {
            at = self.client.has_ended(&next).await.map_err(unreachable)?;
            tokio::time::sleep(POLL_EVERY).await;
        }
        let open = self.running.transaction.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(state) = open {
            take_back(&self.client, state).await;
        }
        Ok(())
    }
}

/// Takes back a transaction of the script's own; where that fails the server does so after a while.
pub(super) async fn take_back(client: &Client, mut state: State) {
    let rolled_back = client.run(&mut state, &Running::default(), "ROLLBACK", &mut Dropped).await;
    drop(rolled_back);
}

fn unreachable(lost: Lost) -> AdapterError {
    let message = format!("the server cannot be asked to stop: {lost}");
    let fault = if lost.fault == Fault::Timeout { Fault::Timeout } else { Fault::Connection };
    AdapterError {
        transient: true,
        source: Some(Box::new(lost)),
        ..AdapterError::new(fault, message)
    }
}
