//! A `COPY … FROM stdin` block that spans requests.
//!
//! sqlx lends the connection to the copy, so a task owns both; parts go to it through a channel
//! that holds one, which is the back-pressure.

use sqlx::PgConnection;
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
};

use super::execute::Lease;

/// A copy under way. Dropped, the copy is aborted and its connection closed.
pub(super) struct Copying {
    parts: mpsc::Sender<Part>,
    task: JoinHandle<Ended>,
    /// Whether the server wanted data.
    started: bool,
}

enum Part {
    Data(Vec<u8>),
    Done,
}

/// How a copy ended.
pub(super) struct Ended {
    /// The connection, if it can still be used.
    pub(super) lease: Option<Lease>,
    /// Rows that were copied.
    pub(super) done: Result<u64, Failed>,
}

/// A copy that failed.
pub(super) struct Failed {
    pub(super) error: sqlx::Error,
    /// Whether it had been said that the data is complete.
    pub(super) finishing: bool,
}

impl Copying {
    /// Sends the statement and waits until the server wants data. If it does not, that is known
    /// when the copy is finished.
    pub(super) async fn start(lease: Lease, statement: String) -> Self {
        let (parts, receiver) = mpsc::channel(1);
        let (ready, started) = oneshot::channel();
        let task = tokio::spawn(pump(lease, statement, receiver, ready));
        let started = started.await.is_ok();
        Self { parts, task, started }
    }

    /// Hands on data; false where the copy has ended before.
    pub(super) async fn send(&mut self, data: &[u8]) -> bool {
        if data.is_empty() {
            return self.started;
        }
        self.parts.send(Part::Data(data.to_vec())).await.is_ok()
    }

    /// Says that the data is complete, and waits for what the server says to it.
    pub(super) async fn finish(self) -> Ended {
        // If the task has ended already, its error is what counts.
        drop(self.parts.send(Part::Done).await);
        self.end().await
    }

    /// Takes the copy back, and gives the connection if it can still be used.
    pub(super) async fn abort(self) -> Option<Lease> {
        let Self { parts, task, .. } = self;
        drop(parts);
        task.await.ok().and_then(|ended| ended.lease)
    }

    async fn end(self) -> Ended {
        self.task.await.unwrap_or_else(|error| Ended {
            lease: None,
            done: Err(Failed {
                error: sqlx::Error::Io(std::io::Error::other(error)),
                finishing: true,
            }),
        })
    }
}

/// Owns the connection while the block runs.
async fn pump(
    mut lease: Lease,
    statement: String,
    parts: mpsc::Receiver<Part>,
    ready: oneshot::Sender<()>,
) -> Ended {
    let (done, usable) = block(&mut lease, &statement, parts, ready).await;
    Ended { lease: usable.then_some(lease), done }
}

/// Runs the block; says what came of it, and whether the connection can still be used.
async fn block(
    connection: &mut PgConnection,
    statement: &str,
    mut parts: mpsc::Receiver<Part>,
    ready: oneshot::Sender<()>,
) -> (Result<u64, Failed>, bool) {
    let mut copy = match connection.copy_in_raw(statement).await {
        Ok(copy) => copy,
        Err(error) => {
            return (Err(Failed { error, finishing: false }), true);
        }
    };
    // Nobody may be waiting any more; the channel of the parts says so too.
    let _told = ready.send(());
    loop {
        match parts.recv().await {
            Some(Part::Data(data)) => {
                if let Err(error) = copy.send(data).await {
                    return (Err(Failed { error, finishing: false }), false);
                }
            }
            Some(Part::Done) => {
                let done = copy.finish().await;
                return (done.map_err(|error| Failed { error, finishing: true }), true);
            }
            None => {
                // Anything but the expected refusal leaves unread answers behind.
                let clean = copy.abort("the copy was taken back").await.is_ok();
                return (Ok(0), clean);
            }
        }
    }
}
