//! A statement on its way: registered with a POST, run and followed with GETs, ended with a DELETE.
//!
//! The POST only registers it (seen on 476: what is never fetched never runs), so a POST without an
//! answer is sent again. A GET of the last and of the next address gives the same again, so every
//! GET is, too. Once the first GET is sent the statement itself is never registered anew: where the
//! server cannot be reached any more, its outcome is unknown.

use std::time::Duration;

use bytes::Bytes;
use reqwest::{Method, Request, RequestBuilder, StatusCode};
use serde::de::DeserializeOwned;
use serde_json::Value;
use url::Url;

use crate::{
    Fault, Problem,
    http::{Answer, Http, Lost, Patience, is_for_now},
};

use super::{
    cancel::{Flight, Running},
    problem::{cancelled_before, problem},
    results::{NoRows, Results, Stats, Warning},
    session::State,
};

/// How long to go on with a POST that the server cannot take. Nothing runs then, so that the
/// batcher's own retries can take over.
const POST: Patience = Patience {
    first: Duration::from_millis(100),
    longest: Duration::from_secs(2),
    total: Duration::from_secs(10),
};
/// How long to go on with a GET: giving up leaves an outcome unknown. Trino's documentation advises
/// first waits of 50 to 100 ms.
const GET: Patience = Patience {
    first: Duration::from_millis(100),
    longest: Duration::from_secs(2),
    total: Duration::from_secs(60),
};
/// How long to go on with a DELETE.
const DELETE: Patience = Patience {
    first: Duration::from_millis(100),
    longest: Duration::from_millis(500),
    total: Duration::from_secs(5),
};

/// What proves who the user is.
#[derive(Clone)]
pub(super) enum Auth {
    None,
    Basic(String, String),
    Bearer(String),
}

/// What speaks to a cluster. Cheap to clone.
#[derive(Clone)]
pub(super) struct Client {
    http: Http,
    /// Where statements are registered.
    statements: Url,
    auth: Auth,
}

/// What a statement did.
#[derive(Debug, Default)]
pub(super) struct Ran {
    pub(super) rows: Option<u64>,
    pub(super) warnings: Vec<String>,
}

/// What becomes of a statement's rows.
pub(super) trait Take: Send {
    /// A part of them.
    type Data: DeserializeOwned + Send;

    fn take(&mut self, data: Self::Data);
}

/// Drops them.
pub(super) struct Dropped;

impl Take for Dropped {
    type Data = NoRows;

    fn take(&mut self, _: Self::Data) {}
}

/// Keeps them as text.
#[derive(Debug, Default)]
pub(super) struct Rows(pub(super) Vec<Vec<Option<String>>>);

impl Take for Rows {
    type Data = Vec<Vec<Value>>;

    fn take(&mut self, data: Self::Data) {
        let text = |value| match value {
            Value::Null => None,
            Value::String(text) => Some(text),
            other => Some(other.to_string()),
        };
        self.0.extend(data.into_iter().map(|row| row.into_iter().map(text).collect()));
    }
}

impl Client {
    pub(super) fn new(http: Http, statements: Url, auth: Auth) -> Self {
        Self { http, statements, auth }
    }

    /// Runs a statement to its end. Dropped before that, it is ended on the server.
    pub(super) async fn run<T: Take>(
        &self,
        state: &mut State,
        running: &Running,
        sql: &str,
        take: &mut T,
    ) -> Result<Ran, Problem> {
        let mut flight = Flight::begin(self, running);
        let posted = tokio::select! {
            biased;
            () = running.refused() => return Err(cancelled_before()),
            posted = self.post(state, sql) => posted?,
        };
        let mut answer = posted;
        let mut ran = Ran::default();
        let mut stats = Stats::default();
        loop {
            state.learn(&answer.headers);
            let results: Results<T::Data> = read(&answer)?;
            ran.add(results.warnings);
            stats.scheduled |= results.stats.scheduled;
            if let Some(data) = results.data {
                take.take(data);
            }
            if let Some(error) = results.error {
                flight.ends();
                return Err(problem(error, sql, &stats));
            }
            let Some(next) = results.next_uri else {
                flight.ends();
                ran.rows = results.update_count.filter(|_| results.update_type.is_some());
                return Ok(ran);
            };
            let next = Url::parse(&next).map_err(|_| not_trino("the address of what follows"))?;
            if !flight.goes_on(next.clone()) {
                self.delete(&next).await.map_err(|lost| lost.problem().known())?;
                return Err(cancelled_before());
            }
            answer = self.get(&next).await?;
        }
    }

    /// Registers a statement. It does not run yet, so nothing that goes wrong has an unknown
    /// outcome.
    async fn post(&self, state: &State, sql: &str) -> Result<Answer, Problem> {
        let headers = state.headers().map_err(|name| {
            let message = format!("the session has what the header {name} cannot hold");
            Problem::new(Fault::Unsupported, message)
        })?;
        let request = self.http.client().request(Method::POST, self.statements.clone());
        let request = request.headers(headers).body(Bytes::copy_from_slice(sql.as_bytes()));
        let request = build(self.authorized(request))?;
        let answer = self.http.send_until(&request, POST, is_whole).await;
        let answer = answer.map_err(|lost| lost.problem().known())?;
        match answer.status {
            StatusCode::OK if is_whole(&answer) => Ok(answer),
            _ => Err(refused(&answer)),
        }
    }

    /// What follows. Whatever is no answer leaves the outcome unknown.
    async fn get(&self, next: &Url) -> Result<Answer, Problem> {
        let request = self.of_query(Method::GET, next)?;
        let answer = self.http.send_until(&request, GET, is_whole).await.map_err(Lost::problem);
        let answer = answer.map_err(|problem| Problem { outcome_unknown: true, ..problem })?;
        match answer.status {
            StatusCode::OK if is_whole(&answer) => Ok(answer),
            _ => Err(Problem { outcome_unknown: true, transient: true, ..refused(&answer) }),
        }
    }

    /// Ends a statement on the server; harmless where it has ended.
    pub(super) async fn delete(&self, next: &Url) -> Result<(), Lost> {
        let Ok(request) = self.of_query(Method::DELETE, next) else { return Ok(()) };
        self.http.send_until_answered(&request, DELETE).await.map(drop)
    }

    /// Whether a statement has ended: it has no next address, or the server knows it no more.
    pub(super) async fn has_ended(&self, next: &Url) -> Result<Option<Url>, Lost> {
        let Ok(request) = self.of_query(Method::GET, next) else { return Ok(None) };
        let answer = self.http.send_until_answered(&request, DELETE).await?;
        let results: Option<Results<NoRows>> = serde_json::from_slice(&answer.body).ok();
        let next = results.filter(|results| results.error.is_none()).and_then(|r| r.next_uri);
        Ok(next.and_then(|next| Url::parse(&next).ok()))
    }

    /// A request about a statement. What proves who the user is goes to the cluster only.
    fn of_query(&self, method: Method, url: &Url) -> Result<Request, Problem> {
        let request = self.http.client().request(method, url.clone());
        let is_own = url.origin() == self.statements.origin();
        build(if is_own { self.authorized(request) } else { request })
    }

    fn authorized(&self, request: RequestBuilder) -> RequestBuilder {
        match &self.auth {
            Auth::None => request,
            Auth::Basic(user, password) => request.basic_auth(user, Some(password)),
            Auth::Bearer(token) => request.bearer_auth(token),
        }
    }
}

impl Ran {
    /// Each answer has all warnings so far.
    fn add(&mut self, warnings: Vec<Warning>) {
        for Warning { message, warning_code } in warnings {
            let warning = format!("{message} ({})", warning_code.name);
            if !self.warnings.contains(&warning) {
                self.warnings.push(warning);
            }
        }
    }
}

fn build(request: RequestBuilder) -> Result<Request, Problem> {
    request.build().map_err(|error| {
        let message = "the request has what HTTP cannot hold";
        Problem {
            source: Some(Box::new(error.without_url())),
            ..Problem::new(Fault::Options, message)
        }
    })
}

/// Whether an answer is one of Trino itself, and whole: a gateway may answer with nothing.
fn is_whole(answer: &Answer) -> bool {
    let object = answer.body.first() == Some(&b'{') && answer.body.last() == Some(&b'}');
    !is_for_now(answer.status) && (answer.status != StatusCode::OK || object)
}

fn read<D: DeserializeOwned>(answer: &Answer) -> Result<Results<D>, Problem> {
    serde_json::from_slice(&answer.body)
        .map_err(|error| Problem { source: Some(Box::new(error)), ..not_trino("an answer") })
}

fn not_trino(what: &str) -> Problem {
    let message = format!("{what} is not as trino's protocol has it");
    Problem { outcome_unknown: true, ..Problem::new(Fault::Unsupported, message) }
}

/// A status other than 200.
fn refused(answer: &Answer) -> Problem {
    let fault = match answer.status.as_u16() {
        401 | 403 => Fault::Authentication,
        400..=499 => Fault::Options,
        _ => Fault::Connection,
    };
    // A page of a gateway says nothing to the point.
    let is_page = answer.header("content-type").is_some_and(|kind| kind.contains("html"));
    let said = match answer.words() {
        words if words.is_empty() || is_page => String::new(),
        words => format!(": {words}"),
    };
    Problem {
        transient: fault == Fault::Connection || is_for_now(answer.status),
        code: Some(answer.status.as_u16().to_string()),
        ..Problem::new(fault, format!("the server answers {}{said}", answer.status))
    }
}
