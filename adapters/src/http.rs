//! HTTP for the databases that are spoken to so: a client, what becomes of a request, and how long
//! to go on with one that the server cannot take right now.
//!
//! Whether a request may be sent again is for the adapter to say: this only tells whether the server
//! can have received it.

use std::{error::Error, io, path::Path, time::Duration};

use bytes::{Bytes, BytesMut};
use reqwest::{Client, Request, StatusCode, header::HeaderMap, redirect};
use tokio::time::Instant;

use crate::{
    AdapterError, Fault, Problem,
    connect::{io_passes, io_words},
    failure::causes,
};

/// The most bytes of an answer that are held in memory.
const MAX_ANSWER_BYTES: usize = 256 * 1024 * 1024;
/// The longest `Retry-After` that is honoured as it is.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(300);

/// How a client is to be.
#[derive(Clone, Debug)]
pub(crate) struct HttpOptions<'a> {
    /// How long making a connection may take.
    pub(crate) connect_timeout: Duration,
    /// How long one request may take, from its first byte to the last of its answer.
    pub(crate) answer_timeout: Duration,
    /// Whether connections are encrypted: only then are certificates needed.
    pub(crate) is_tls: bool,
    /// A file of certificates (PEM) that are trusted besides those of the system.
    pub(crate) ca_file: Option<&'a Path>,
    /// What the client calls itself.
    pub(crate) user_agent: &'a str,
}

/// A client: it keeps connections open, and sends nothing a second time by itself.
#[derive(Clone, Debug)]
pub(crate) struct Http {
    client: Client,
}

/// An answer, whole.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// A request without an answer.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Lost {
    /// [`Fault::Connection`], or [`Fault::Timeout`] where it took too long.
    pub(crate) fault: Fault,
    /// One line, lower case, without the URL.
    pub(crate) message: String,
    /// Whether the server may have received it; not where no connection was made.
    pub(crate) may_have_arrived: bool,
    /// Whether the same may succeed a moment later.
    pub(crate) transient: bool,
    #[source]
    source: Option<Box<dyn Error + Send + Sync>>,
}

impl Http {
    /// Makes a client. No connection is made yet.
    ///
    /// # Errors
    /// [`Fault::Options`] where the certificates cannot be had.
    pub(crate) fn new(options: &HttpOptions<'_>) -> Result<Self, AdapterError> {
        // There may be one already, then that is taken.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let builder = Client::builder()
            .connect_timeout(options.connect_timeout)
            .timeout(options.answer_timeout)
            .user_agent(options.user_agent)
            // A redirected POST arrives as a GET, and the headers prove who the user is.
            .redirect(redirect::Policy::none())
            .retry(reqwest::retry::never())
            .http1_only()
            .tcp_nodelay(true);
        let builder = match (options.is_tls, options.ca_file) {
            (false, _) => builder.tls_certs_only([]),
            (true, None) => builder,
            (true, Some(path)) => builder.tls_certs_merge(certificates(path)?),
        };
        let client = builder.build().map_err(|error| {
            let said = words(&error);
            let message = format!("there are no certificates to trust: {said}");
            AdapterError { source: Some(Box::new(error)), ..refused(message) }
        })?;
        Ok(Self { client })
    }

    /// What requests are made with.
    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// Sends a request once, and reads its answer to the end.
    ///
    /// # Errors
    /// Where there is no answer, or no whole one.
    pub(crate) async fn send(&self, request: Request) -> Result<Answer, Lost> {
        let mut response = self.client.execute(request).await.map_err(Lost::from)?;
        let mut body = BytesMut::new();
        while let Some(chunk) = response.chunk().await.map_err(Lost::from)? {
            if body.len() + chunk.len() > MAX_ANSWER_BYTES {
                return Err(Lost::too_long());
            }
            body.extend_from_slice(&chunk);
        }
        let headers = std::mem::take(response.headers_mut());
        Ok(Answer { status: response.status(), headers, body: body.freeze() })
    }

    /// Sends a request until it has an answer that is not only for the moment ([`is_for_now`]), or
    /// until `patience` is at its end: then the last answer is given. Only for requests that may
    /// arrive twice.
    ///
    /// # Errors
    /// As [`Http::send`], of the last time.
    pub(crate) async fn send_until_answered(
        &self,
        request: &Request,
        patience: Patience,
    ) -> Result<Answer, Lost> {
        self.send_until(request, patience, |answer| !is_for_now(answer.status)).await
    }

    /// As [`Http::send_until_answered`], where more makes an answer one.
    ///
    /// # Errors
    /// As [`Http::send`], of the last time.
    pub(crate) async fn send_until(
        &self,
        request: &Request,
        patience: Patience,
        is_answer: impl Fn(&Answer) -> bool,
    ) -> Result<Answer, Lost> {
        let mut waits = patience.begin();
        loop {
            // Only a body that is a stream cannot be sent again, and none here is.
            let copy = request.try_clone().ok_or_else(Lost::stream)?;
            let sent = self.send(copy).await;
            let retry_after = match &sent {
                Ok(answer) if !is_answer(answer) => answer.retry_after(),
                Err(lost) if lost.transient => None,
                _ => return sent,
            };
            let Some(wait) = waits.next(retry_after) else { return sent };
            tokio::time::sleep(wait).await;
        }
    }
}

/// Whether a status says that the same request may be answered a moment later: 429 and what stands
/// in for a server that is busy, started anew or out of reach.
pub(crate) fn is_for_now(status: StatusCode) -> bool {
    matches!(status.as_u16(), 408 | 429 | 502 | 503 | 504)
}

impl Answer {
    /// How long the server wants to be left alone.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        let said = self.headers.get("retry-after")?.to_str().ok()?.trim();
        let wait = match said.parse() {
            Ok(seconds) => Duration::from_secs(seconds),
            Err(_) => {
                let until = httpdate::parse_http_date(said).ok()?;
                until.duration_since(std::time::SystemTime::now()).unwrap_or_default()
            }
        };
        Some(wait.min(MAX_RETRY_AFTER))
    }

    /// The value of a header, where it is text.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The body as text for people: one line of at most 200 characters, without control characters.
    pub(crate) fn words(&self) -> String {
        let text = String::from_utf8_lossy(self.body.get(..800).unwrap_or(&self.body));
        let words: Vec<&str> = text.split(|c: char| c.is_whitespace() || c.is_control()).collect();
        let words = words.into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
        words.chars().take(200).collect()
    }
}

/// How long, and how often, a request is sent that the server cannot take right now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Patience {
    /// The first wait; each further one is twice as long.
    pub(crate) first: Duration,
    /// The longest wait, unless the server asks for more (`Retry-After`).
    pub(crate) longest: Duration,
    /// After how long no further wait begins or would end.
    pub(crate) total: Duration,
}

impl Patience {
    /// Begins to wait.
    pub(crate) fn begin(self) -> Waits {
        Waits { patience: self, next: self.first, ends: Instant::now() + self.total }
    }
}

/// The waits for one request.
#[derive(Debug)]
pub(crate) struct Waits {
    patience: Patience,
    next: Duration,
    ends: Instant,
}

impl Waits {
    /// How long to wait before the request is sent again; none where it has been long enough.
    pub(crate) fn next(&mut self, retry_after: Option<Duration>) -> Option<Duration> {
        let wait = retry_after.unwrap_or(self.next);
        self.next = (self.next * 2).min(self.patience.longest);
        (Instant::now() + wait <= self.ends).then_some(wait)
    }
}

impl Lost {
    fn too_long() -> Self {
        Self::of(Fault::Unsupported, format!("an answer has more than {MAX_ANSWER_BYTES} bytes"))
    }

    fn stream() -> Self {
        Self::of(Fault::Unsupported, "the request cannot be sent again".to_owned())
    }

    fn of(fault: Fault, message: String) -> Self {
        Self { fault, message, may_have_arrived: true, transient: false, source: None }
    }

    /// As the problem of a request; what the server may have received has an unknown outcome.
    pub(crate) fn problem(self) -> Problem {
        Problem {
            outcome_unknown: self.may_have_arrived,
            transient: self.transient,
            source: self.source,
            ..Problem::new(self.fault, self.message)
        }
    }
}

impl From<reqwest::Error> for Lost {
    fn from(error: reqwest::Error) -> Self {
        // The URL may name what is nobody's business.
        let error = error.without_url();
        let fault = if error.is_timeout() { Fault::Timeout } else { Fault::Connection };
        let io = io_of(&error);
        Self {
            fault,
            message: words(&error),
            may_have_arrived: !error.is_connect() && !error.is_builder(),
            transient: !error.is_builder() && io.is_none_or(io_passes),
            source: Some(Box::new(error)),
        }
    }
}

/// The system's error in the chain of causes.
fn io_of<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a io::Error> {
    causes(error).filter_map(|cause| cause.downcast_ref::<io::Error>()).last()
}

/// What an error says, without the client's words around it.
fn words(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "no answer in time".to_owned();
    }
    if let Some(io) = io_of(error) {
        return io_words(io);
    }
    causes(error).last().map_or_else(String::new, ToString::to_string)
}

/// Reads certificates from a file.
fn certificates(path: &Path) -> Result<Vec<reqwest::Certificate>, AdapterError> {
    let unreadable = |said: String| {
        refused(format!("the certificates of {} cannot be read: {said}", path.display()))
    };
    let text = std::fs::read(path).map_err(|error| unreadable(io_words(&error)))?;
    let found = reqwest::Certificate::from_pem_bundle(&text);
    let found = found.map_err(|error| unreadable(words(&error)))?;
    if found.is_empty() {
        return Err(unreadable("it has none".to_owned()));
    }
    Ok(found)
}

fn refused(message: String) -> AdapterError {
    AdapterError::new(Fault::Options, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, headers: &[(&'static str, &str)], body: &'static str) -> Answer {
        let headers = headers
            .iter()
            .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
            .collect();
        let status = StatusCode::from_u16(status).unwrap();
        Answer { status, headers, body: Bytes::from_static(body.as_bytes()) }
    }

    #[test]
    fn retry_after_is_seconds_or_a_date_and_has_a_bound() {
        for (value, seconds) in [
            ("0", Some(0)),
            (" 7 ", Some(7)),
            ("100000", Some(300)),
            ("Wed, 21 Oct 2015 07:28:00 GMT", Some(0)),
            ("soon", None),
        ] {
            let said = answer(429, &[("retry-after", value)], "").retry_after();
            assert_eq!(said, seconds.map(Duration::from_secs), "{value}");
        }
        assert_eq!(answer(429, &[], "").retry_after(), None);
    }

    #[test]
    fn only_what_is_for_the_moment_is_sent_again() {
        for (status, again) in [
            (200, false),
            (400, false),
            (401, false),
            (404, false),
            (408, true),
            (410, false),
            (422, false),
            (429, true),
            (500, false),
            (502, true),
            (503, true),
            (504, true),
        ] {
            assert_eq!(is_for_now(StatusCode::from_u16(status).unwrap()), again, "{status}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn waits_double_up_to_the_longest_and_end_in_time() {
        let ms = Duration::from_millis;
        let patience = Patience { first: ms(50), longest: ms(150), total: ms(500) };
        let mut waits = patience.begin();
        for expected in [Some(50), Some(100), Some(150), Some(150), None] {
            let wait = waits.next(None);
            assert_eq!(wait, expected.map(ms));
            tokio::time::sleep(wait.unwrap_or_default()).await;
        }
        assert_eq!(patience.begin().next(Some(ms(500))), Some(ms(500)));
        assert_eq!(patience.begin().next(Some(ms(501))), None, "asked for more than there is");
    }

    #[test]
    fn the_words_of_an_answer_are_one_short_line() {
        let said = answer(500, &[], "<html>\r\n  \u{1b}[31m no </html>\n").words();
        assert_eq!(said, "<html> [31m no </html>");
        assert!(answer(500, &[], "").words().is_empty());
    }

    #[tokio::test]
    async fn a_server_that_is_not_there_has_not_received_anything() {
        let options = HttpOptions {
            connect_timeout: Duration::from_secs(5),
            answer_timeout: Duration::from_secs(5),
            is_tls: false,
            ca_file: None,
            user_agent: "test",
        };
        let http = Http::new(&options).unwrap();
        let request = http.client().post("http://127.0.0.1:1/secret").body("x").build().unwrap();
        let problem = http.send(request).await.unwrap_err().problem();
        assert_eq!((problem.fault, problem.outcome_unknown), (Fault::Connection, false));
        assert!(problem.transient && problem.message.starts_with("connection refused"));
        let said = format!("{problem} {:?}", problem.source);
        assert!(!said.contains("secret"), "{said}");
    }
}
