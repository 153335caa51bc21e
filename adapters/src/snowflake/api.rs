//! The exchange with the service: a request is sent, asked about until it has ended, and sent again
//! with the same number where its answer is lost.
//!
//! Every request has a number of its own. Sent again with `retry=true` it is not run a second time
//! (<https://docs.snowflake.com/en/developer-guide/sql-api/submitting-requests>), so what became of
//! it is unknown only where the service stays silent for longer than is waited for.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use reqwest::{Method, Request, header};
use ring::rand::{SecureRandom as _, SystemRandom};
use serde::Serialize;

use crate::{
    AdapterError, Fault, Problem,
    connect::Target,
    http::{Answer, Http, Lost, Patience},
};

use super::{
    answer::{Body, Partition, Values},
    credentials::Credentials,
    flight::{Current, Flight, Submission},
    problem::of_status,
};

/// Where statements are sent.
const STATEMENTS: &str = "/api/v2/statements";
/// How often what runs is asked about: waits double from the first to the longest.
const POLL_FIRST: Duration = Duration::from_millis(100);
const POLL_LONGEST: Duration = Duration::from_secs(2);
/// How long to wait before a request is sent again, at first and at most, where the service does
/// not say it.
const AGAIN_FIRST: Duration = Duration::from_millis(200);
const AGAIN_LONGEST: Duration = Duration::from_secs(5);

/// What each request is run in; where something is missing, it is as the user has it.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Context {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) database: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) schema: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) warehouse: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) role: Option<String>,
}

/// An account, and how it is reached.
pub(super) struct Api {
    pub(super) http: Http,
    /// Its URL, without a slash at its end.
    pub(super) base: String,
    pub(super) credentials: Credentials,
    pub(super) context: Context,
    pub(super) target: Target,
    /// How long a request is sent again and asked about.
    pub(super) patience: Duration,
}

#[derive(Serialize)]
struct Posted<'a> {
    statement: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    timeout: Option<u32>,
    #[serde(flatten)]
    context: &'a Context,
    parameters: Parameters,
}

#[derive(Serialize)]
struct Parameters {
    /// To be set with each request, whatever it is for the user
    /// (<https://docs.snowflake.com/en/developer-guide/sql-api/intro>).
    #[serde(rename = "AUTOCOMMIT")]
    autocommit: &'static str,
    #[serde(rename = "MULTI_STATEMENT_COUNT")]
    multi_statement_count: String,
}

/// How a request has ended.
#[derive(Debug)]
pub(super) enum Ended {
    /// 200
    Done(Body),
    /// 408 or 422: nothing of the statement at fault is applied.
    Refused(Body),
}

/// What an answer means.
enum Read {
    Ended(Ended),
    /// 202, with its handle.
    Running(Option<String>),
    /// The answer of a service that is busy or being started anew, or half of one.
    Again {
        problem: Box<Problem>,
        wait: Option<Duration>,
        may_have_run: bool,
    },
    /// The token is of no use.
    Unauthorized(Box<Problem>),
    Other(Box<Problem>),
}

impl Api {
    /// A request with a number of its own.
    pub(super) fn submission(
        &self,
        statement: &str,
        count: u32,
        timeout: Option<u32>,
    ) -> Result<Submission, Problem> {
        let parameters =
            Parameters { autocommit: "true", multi_statement_count: count.to_string() };
        let posted = Posted { statement, timeout, context: &self.context, parameters };
        let body = serde_json::to_vec(&posted)
            .map_err(|error| Problem::new(Fault::Unsupported, error.to_string()))?;
        Ok(Submission { id: new_id()?, body: body.into() })
    }

    /// Sends a request until it is known how it has ended.
    ///
    /// # Errors
    /// Where that is not known within the patience ([`Problem::outcome_unknown`]), or where the
    /// service has not taken it.
    pub(super) async fn run(
        &self,
        submission: &Submission,
        current: &Current,
    ) -> Result<Ended, Problem> {
        let mut waits = self.patience().begin();
        let (mut is_again, mut may_have_run, mut was_renewed) = (false, false, false);
        loop {
            let read = self.post(submission, is_again, false).await?;
            is_again = true;
            let (problem, wait) = match read {
                Read::Ended(ended) => return Ok(ended),
                Read::Running(Some(handle)) => {
                    current.note(submission, &handle);
                    return self.poll(&handle).await;
                }
                Read::Running(None) => (no_handle(), None),
                Read::Again { problem, wait, may_have_run: may } => {
                    may_have_run |= may;
                    // Nothing has arrived: whether to go on is the caller's to say.
                    if !may && !may_have_run && problem.fault == Fault::Connection {
                        return Err(*problem);
                    }
                    (*problem, wait)
                }
                Read::Unauthorized(_) if !was_renewed && self.credentials.renew() => {
                    was_renewed = true;
                    continue;
                }
                Read::Unauthorized(problem) | Read::Other(problem) => {
                    return Err(Problem { outcome_unknown: may_have_run, ..*problem });
                }
            };
            let Some(wait) = waits.next(wait) else {
                return Err(Problem { outcome_unknown: may_have_run, transient: true, ..problem });
            };
            tokio::time::sleep(wait).await;
        }
    }

    /// Asks about a request that runs until it has ended.
    async fn poll(&self, handle: &str) -> Result<Ended, Problem> {
        let forever = Patience { first: POLL_FIRST, longest: POLL_LONGEST, total: FOREVER };
        let mut polls = forever.begin();
        let mut waits = self.patience().begin();
        let mut was_renewed = false;
        loop {
            let wait = match self.get(&format!("/{handle}")).await? {
                Read::Ended(ended) => return Ok(ended),
                Read::Running(_) => {
                    waits = self.patience().begin();
                    polls.next(None)
                }
                Read::Again { problem, wait, .. } => match waits.next(wait) {
                    Some(wait) => Some(wait),
                    None => {
                        return Err(Problem { outcome_unknown: true, transient: true, ..*problem });
                    }
                },
                Read::Unauthorized(_) if !was_renewed && self.credentials.renew() => {
                    was_renewed = true;
                    continue;
                }
                Read::Unauthorized(problem) | Read::Other(problem) => {
                    return Err(Problem { outcome_unknown: true, ..*problem });
                }
            };
            tokio::time::sleep(wait.unwrap_or(POLL_LONGEST)).await;
        }
    }

    /// Cancels a request, as far as it still runs. Gives its handle, where it has one.
    ///
    /// # Errors
    /// Where the service cannot be asked.
    pub(super) async fn cancel(&self, flight: &Flight) -> Result<Option<String>, Problem> {
        let handle = match &flight.handle {
            Some(handle) => handle.clone(),
            // The same number gives the handle, without waiting for the end.
            None => match self.post(&flight.submission, true, true).await? {
                Read::Ended(_) => return Ok(None),
                Read::Running(Some(handle)) => handle,
                Read::Running(None) => return Err(no_handle()),
                Read::Again { problem, .. }
                | Read::Unauthorized(problem)
                | Read::Other(problem) => {
                    return Err(*problem);
                }
            },
        };
        let request = self.request(Method::POST, &format!("/{handle}/cancel"), None)?;
        match self.http.send(request).await {
            // 422: it has ended already.
            Ok(answer) if matches!(answer.status.as_u16(), 200 | 422) => Ok(Some(handle)),
            Ok(answer) => Err(of_status(&answer)),
            Err(lost) => Err(lost.problem()),
        }
    }

    /// Cancels a request and waits until it has ended.
    ///
    /// # Errors
    /// Where that is not certain.
    pub(super) async fn end(&self, flight: &Flight) -> Result<(), Problem> {
        match self.cancel(flight).await? {
            Some(handle) => self.poll(&handle).await.map(drop),
            None => Ok(()),
        }
    }

    /// The rows of a result: those of the answer, and of its further parts.
    pub(super) async fn rows(&self, body: Body) -> Result<Vec<Values>, Problem> {
        let parts = body.partitions();
        let handle = body.statement_handle.unwrap_or_default();
        let mut rows = body.data.unwrap_or_default();
        for part in 1..parts {
            let request =
                self.request(Method::GET, &format!("/{handle}?partition={part}"), None)?;
            let answer = self.http.send_until_answered(&request, self.patience()).await;
            let answer = answer.map_err(Lost::problem)?;
            if answer.status.as_u16() != 200 {
                return Err(of_status(&answer));
            }
            let partition: Partition =
                serde_json::from_slice(&answer.body).map_err(|error| unreadable(&error))?;
            rows.extend(partition.data);
        }
        Ok(rows)
    }

    /// The result of one of several statements.
    pub(super) async fn result(&self, handle: &str) -> Result<Ended, Problem> {
        self.poll(handle).await
    }

    fn patience(&self) -> Patience {
        Patience { first: AGAIN_FIRST, longest: AGAIN_LONGEST, total: self.patience }
    }

    async fn post(
        &self,
        submission: &Submission,
        is_again: bool,
        is_async: bool,
    ) -> Result<Read, Problem> {
        let mut query = format!("?requestId={}", submission.id);
        if is_again {
            query.push_str("&retry=true");
        }
        if is_async {
            query.push_str("&async=true");
        }
        let request = self.request(Method::POST, &query, Some(submission.body.clone()))?;
        Ok(read(self.http.send(request).await))
    }

    async fn get(&self, rest: &str) -> Result<Read, Problem> {
        let request = self.request(Method::GET, rest, None)?;
        Ok(read(self.http.send(request).await))
    }

    fn request(&self, method: Method, rest: &str, body: Option<Bytes>) -> Result<Request, Problem> {
        let token = self.credentials.token(SystemTime::now()).map_err(of_credentials)?;
        let url = format!("{}{STATEMENTS}{rest}", self.base);
        let builder = self
            .http
            .client()
            .request(method, url)
            .bearer_auth(&token.text)
            .header("X-Snowflake-Authorization-Token-Type", token.kind)
            .header(header::ACCEPT, "application/json");
        let builder = match body {
            Some(body) => builder.header(header::CONTENT_TYPE, "application/json").body(body),
            None => builder,
        };
        builder.build().map_err(|error| Lost::from(error).problem())
    }
}

/// Longer than anything runs.
const FOREVER: Duration = Duration::from_secs(365 * 24 * 3600);

/// What an answer means.
fn read(sent: Result<Answer, Lost>) -> Read {
    let answer = match sent {
        Ok(answer) => answer,
        Err(lost) if lost.transient || lost.may_have_arrived => {
            let may_have_run = lost.may_have_arrived;
            let problem = Box::new(lost.problem().known());
            return Read::Again { problem, wait: None, may_have_run };
        }
        Err(lost) => return Read::Other(Box::new(lost.problem())),
    };
    let wait = answer.retry_after();
    let status = answer.status.as_u16();
    let body = serde_json::from_slice::<Body>(&answer.body);
    match (status, body) {
        (200, Ok(body)) => Read::Ended(Ended::Done(body)),
        (202, Ok(body)) => Read::Running(body.statement_handle),
        (408 | 422, Ok(body)) => Read::Ended(Ended::Refused(body)),
        (200 | 202 | 408 | 422, Err(error)) => {
            Read::Again { problem: Box::new(unreadable(&error)), wait, may_have_run: true }
        }
        (401, _) => Read::Unauthorized(Box::new(of_status(&answer))),
        (429, _) => {
            Read::Again { problem: Box::new(of_status(&answer)), wait, may_have_run: false }
        }
        (500..=599, _) => {
            Read::Again { problem: Box::new(of_status(&answer)), wait, may_have_run: true }
        }
        _ => Read::Other(Box::new(of_status(&answer))),
    }
}

/// A number that no other request has: a UUID of version 4 (RFC 9562).
fn new_id() -> Result<String, Problem> {
    let mut bytes = [0; 16];
    SystemRandom::new()
        .fill(&mut bytes)
        .map_err(|_| Problem::new(Fault::Resources, "the system has no random numbers"))?;
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let number = u128::from_be_bytes(bytes);
    let hex = format!("{number:032x}");
    let (a, b, c) = (&hex[..8], &hex[8..12], &hex[12..16]);
    Ok(format!("{a}-{b}-{c}-{}-{}", &hex[16..20], &hex[20..]))
}

fn no_handle() -> Problem {
    Problem::new(Fault::Connection, "the service has given a statement no handle")
}

fn unreadable(error: &serde_json::Error) -> Problem {
    let problem = Problem::new(Fault::Connection, format!("the answer cannot be read: {error}"));
    Problem { transient: true, ..problem }
}

fn of_credentials(error: AdapterError) -> Problem {
    Problem { source: error.source, ..Problem::new(error.fault, error.message) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_request_has_a_number_of_its_own() {
        let (one, other) = (new_id().unwrap(), new_id().unwrap());
        assert_ne!(one, other);
        let lengths: Vec<_> = one.split('-').map(str::len).collect();
        assert_eq!(lengths, [8, 4, 4, 4, 12]);
        assert!(one[14..].starts_with('4') && b"89ab".contains(&one.as_bytes()[19]), "{one}");
    }
}
