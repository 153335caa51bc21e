//! A thread that calls a function every few milliseconds while anybody needs it, and sleeps
//! without a wake-up while nobody does.

use std::{
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

/// A running ticker. Its thread lives as long as the process.
#[derive(Clone, Debug)]
pub(super) struct Ticker(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    users: Mutex<usize>,
    wanted: Condvar,
}

/// Keeps the ticker ticking until it is dropped.
#[derive(Debug)]
pub(super) struct Awake(Arc<Shared>);

impl Ticker {
    /// Starts a thread that calls `tick` once every `period`, while there are users.
    pub(super) fn start(
        period: Duration,
        tick: impl Fn() + Send + 'static,
    ) -> std::io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let ticker = Self(Arc::clone(&shared));
        let run = move || loop {
            shared.wait_until_wanted();
            tick();
            thread::sleep(period);
        };
        thread::Builder::new().name("sql-batcher-ticker".into()).spawn(run)?;
        Ok(ticker)
    }

    /// One more user.
    pub(super) fn awake(&self) -> Awake {
        *self.0.users() += 1;
        self.0.wanted.notify_one();
        Awake(Arc::clone(&self.0))
    }
}

impl Shared {
    fn users(&self) -> MutexGuard<'_, usize> {
        self.users.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait_until_wanted(&self) {
        let users = self.users();
        drop(self.wanted.wait_while(users, |users| *users == 0));
    }
}

impl Drop for Awake {
    fn drop(&mut self) {
        *self.0.users() -= 1;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn it_ticks_only_while_somebody_needs_it() {
        let (sender, ticks) = mpsc::channel();
        let ticker = Ticker::start(Duration::from_millis(1), move || {
            let _ = sender.send(());
        })
        .unwrap();
        assert!(ticks.try_recv().is_err());

        let awake = ticker.awake();
        assert!(ticks.recv().is_ok());
        assert!(ticks.recv().is_ok());

        drop(awake);
        let quiet = Duration::from_millis(200);
        let mut late = 0;
        while ticks.recv_timeout(quiet).is_ok() {
            late += 1;
        }
        assert!(late < 100, "{late} ticks after the last user had gone");
    }
}
