//! The client that carries traces and metrics to the collector, and says it, once, where they do
//! not arrive.

use std::{
    error::Error,
    fmt::Display,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use reqwest::{blocking::Client, redirect};
use tracing::warn;

/// Says, once, that the collector does not get what it should. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Trouble {
    collector: Arc<str>,
    was_said: Arc<AtomicBool>,
}

impl Trouble {
    pub(super) fn with(collector: &str) -> Self {
        Self { collector: collector.into(), was_said: Arc::default() }
    }

    /// Why it does not get it.
    pub(super) fn say(&self, why: impl Display) {
        if !self.was_said.swap(true, Ordering::Relaxed) {
            let collector = &self.collector;
            warn!("traces and metrics do not reach the collector at {collector}: {why}");
        }
    }
}

/// Sends requests from the threads of OpenTelemetry, which may be blocked.
#[derive(Debug)]
pub(super) struct Sender {
    client: Client,
    trouble: Trouble,
}

impl Sender {
    /// A sender whose requests may take so long. To be made outside any runtime.
    ///
    /// # Errors
    /// Where there are no certificates to trust, or the like.
    pub(super) fn new(timeout: Duration, trouble: Trouble) -> reqwest::Result<Self> {
        // There may be one already, then that is taken.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder().timeout(timeout);
        // A redirected POST arrives as a GET, and its headers may be secret.
        let client = client.redirect(redirect::Policy::none()).build()?;
        Ok(Self { client, trouble })
    }
}

#[async_trait]
impl HttpClient for Sender {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let answered = self.client.send_bytes(request).await;
        match &answered {
            Ok(response) if response.status().is_success() => {}
            Ok(response) => self.trouble.say(format_args!("it answers {}", response.status())),
            Err(error) => self.trouble.say(innermost(&**error)),
        }
        answered
    }
}

/// The cause of all; what stands around it repeats the URL.
fn innermost<'a>(error: &'a (dyn Error + 'static)) -> &'a (dyn Error + 'static) {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause
}
