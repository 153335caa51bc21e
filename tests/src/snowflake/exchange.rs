//! The exchange: which request is for what, what goes wrong, and what is answered.

use std::{
    io,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use flate2::{Compression, write::GzEncoder};
use http_body_util::{BodyExt as _, Full};
use hyper::{
    HeaderMap, Method, Request, Response,
    body::{Bytes, Incoming},
};
use serde_json::{Value, json};
use sql_batcher_adapters::Adapter as _;

use super::{
    Fault, Seen, State, Step, checks,
    results::{Answer, running},
    store::{self, Statement},
};

type Answered = Result<Response<Full<Bytes>>, io::Error>;

/// A request that was read.
struct Asked {
    method: Method,
    path: String,
    query: Vec<(String, String)>,
    headers: HeaderMap,
    body: Bytes,
}

impl Asked {
    fn parameter(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// Answers one request, or cuts its connection.
pub(super) async fn answer(request: Request<Incoming>, state: Arc<State>) -> Answered {
    let (parts, body) = request.into_parts();
    let Ok(body) = body.collect().await.map(http_body_util::Collected::to_bytes) else {
        return Err(io::ErrorKind::UnexpectedEof.into());
    };
    let query = parts.uri.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
    let query = query.map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    let asked = Asked {
        method: parts.method,
        path: parts.uri.path().to_owned(),
        query: query.map(|(key, value)| (key.to_owned(), value.to_owned())).collect(),
        headers: parts.headers,
        body,
    };
    let Some(rest) = asked.path.strip_prefix("/api/v2/statements") else {
        return Ok(refuse(&state, 404, format!("there is nothing at {}", asked.path)));
    };
    let names: Vec<String> =
        rest.split('/').filter(|name| !name.is_empty()).map(str::to_owned).collect();
    let step = match (&asked.method, &names[..]) {
        (&Method::POST, []) => Step::Submit,
        (&Method::GET, [_]) => Step::Poll,
        (&Method::POST, [_, cancel]) if cancel == "cancel" => Step::Cancel,
        _ => return Ok(refuse(&state, 405, format!("{} of {}", asked.method, asked.path))),
    };
    if let Err(why) = checks::headers(&asked.method, step == Step::Submit, &asked.headers) {
        return Ok(refuse(&state, 400, why));
    }
    with_fault(step, &asked, names, &state).await
}

async fn with_fault(step: Step, asked: &Asked, names: Vec<String>, state: &Arc<State>) -> Answered {
    let fault = next_fault(state, step);
    note(state, step, asked);
    match fault {
        Some(Fault::Status(status, after)) => return Ok(plain(status, after)),
        Some(Fault::CutBefore) => return Err(io::ErrorKind::ConnectionReset.into()),
        Some(Fault::Expired) => return Ok(unauthorized("390318", "OAuth access token expired.")),
        _ => {}
    }
    match checks::token(&state.setup, &asked.headers) {
        Ok(token) => state.lock().tokens.push(token),
        Err(why) => return Ok(unauthorized("390144", &format!("JWT token is invalid: {why}"))),
    }
    let answered = match step {
        Step::Submit => submit(asked, state).await,
        Step::Poll => poll(asked, &names[0], state).await,
        Step::Cancel => cancel(&names[0], state),
    };
    match fault {
        Some(Fault::StatusBehind(status)) => Ok(plain(status, None)),
        Some(Fault::CutBehind) => Err(io::ErrorKind::ConnectionReset.into()),
        Some(Fault::Empty) => Ok(response(200, Bytes::new())),
        Some(Fault::Half) => Ok(response(200, Bytes::from_static(b"{\"code\": \"0900"))),
        _ => Ok(answered),
    }
}

/// The fault that strikes now, if one does.
fn next_fault(state: &State, step: Step) -> Option<Fault> {
    let mut inner = state.lock();
    let index = inner.faults.iter().position(|(at, ..)| *at == step)?;
    let (_, fault, times) = &mut inner.faults[index];
    let fault = *fault;
    *times -= 1;
    if *times == 0 {
        inner.faults.remove(index);
    }
    Some(fault)
}

fn note(state: &State, step: Step, asked: &Asked) {
    let body: Value = serde_json::from_slice(&asked.body).unwrap_or_default();
    let text = body["statement"].as_str().unwrap_or_default().to_owned();
    state.lock().seen.push(Seen {
        step,
        request_id: asked.parameter("requestId").unwrap_or_default().to_owned(),
        is_retry: asked.parameter("retry") == Some("true"),
        text_bytes: text.len(),
        text,
    });
}

async fn submit(asked: &Asked, state: &Arc<State>) -> Response<Full<Bytes>> {
    const KNOWN: [&str; 4] = ["requestId", "retry", "async", "nullable"];
    if let Some((key, _)) = asked.query.iter().find(|(key, _)| !KNOWN.contains(&key.as_str())) {
        return refuse(state, 400, format!("there is no parameter {key}"));
    }
    let id = asked.parameter("requestId").unwrap_or_default();
    if !checks::is_uuid(id) {
        return refuse(state, 400, format!("the requestId {id:?} is no UUID"));
    }
    let posted = match checks::posted(&asked.body) {
        Ok(posted) => posted,
        Err(why) => return refuse(state, 400, why),
    };
    let known = state.lock().requests.get(id).cloned();
    let statement = match known {
        Some(_) if asked.parameter("retry") != Some("true") => {
            return refuse(state, 400, format!("{id} comes again, and does not say so"));
        }
        Some((_, body)) if body != asked.body => {
            return refuse(state, 400, format!("{id} comes again as something else"));
        }
        Some((handle, _)) => find(state, &handle),
        None => Some(start(state, id, posted, asked)),
    };
    let Some(statement) = statement else { return refuse(state, 404, "it is gone".to_owned()) };
    let wait = match asked.parameter("async") {
        Some("true") => Duration::ZERO,
        _ => state.setup.answers_within,
    };
    if wait.is_zero() && statement.lingers.load(Ordering::Relaxed) > 0 {
        // Who lingers does not end at once, however quick it is.
        return json_response(202, &running(&statement.handle, &statement.request_id));
    }
    answer_of(&statement, wait).await
}

/// Starts a statement.
fn start(state: &Arc<State>, id: &str, posted: checks::Posted, asked: &Asked) -> Arc<Statement> {
    let handle = new_handle(state);
    let statement = Arc::new(Statement::new(handle, id, state.setup.lingering_polls));
    let mut inner = state.lock();
    inner.requests.insert(id.to_owned(), (statement.handle.clone(), asked.body.to_vec()));
    inner.statements.insert(statement.handle.clone(), Arc::clone(&statement));
    drop(inner);
    let (state, started, id) = (Arc::clone(state), Arc::clone(&statement), id.to_owned());
    tokio::spawn(async move {
        let child = |answer: Answer, query: Option<String>| {
            let child = Statement::ended(new_handle(&state), &id, answer, query);
            let handle = child.handle.clone();
            state.lock().statements.insert(handle.clone(), Arc::new(child));
            handle
        };
        store::run(&state.store, started, posted, child).await;
    });
    statement
}

async fn poll(asked: &Asked, handle: &str, state: &State) -> Response<Full<Bytes>> {
    let Some(statement) = find(state, handle) else {
        return refuse(state, 404, format!("there is no statement {handle}"));
    };
    let Some(partition) = asked.parameter("partition") else {
        if statement.within(Duration::ZERO).await.is_none() || statement.lingers() {
            return json_response(202, &running(handle, &statement.request_id));
        }
        return answer_of(&statement, Duration::ZERO).await;
    };
    let query = statement.query.lock().expect("no request panics").clone();
    let (Some(query), Ok(partition)) = (query, partition.parse()) else {
        return refuse(state, 400, "it has no partitions".to_owned());
    };
    let mut session = state.store.acquire().await.expect("a session of the store");
    let rows = session.fetch(&store::part(&query, partition)).await.expect("it ran before");
    session.close().await;
    // Partitions come compressed, as the documentation says.
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    serde_json::to_writer(&mut gzip, &json!({"data": rows})).expect("a vector takes it");
    let mut response = response(200, gzip.finish().expect("a vector takes it").into());
    response.headers_mut().insert("content-encoding", "gzip".parse().expect("it is a value"));
    response
}

fn cancel(handle: &str, state: &State) -> Response<Full<Bytes>> {
    let Some(statement) = find(state, handle) else {
        return refuse(state, 404, format!("there is no statement {handle}"));
    };
    if statement.cancel() {
        let said = json!({"code": "000604", "message": "successfully canceled",
            "sqlState": "57014", "statementHandle": handle});
        return json_response(200, &said);
    }
    let said = json!({"code": "000709", "message": "Statement is not running.",
        "sqlState": "02000", "statementHandle": handle});
    json_response(422, &said)
}

async fn answer_of(statement: &Statement, wait: Duration) -> Response<Full<Bytes>> {
    let Statement { handle, request_id, .. } = statement;
    match statement.within(wait).await {
        Some(answer) => {
            let (status, body) = answer.body(handle, request_id);
            json_response(status, &body)
        }
        None => json_response(202, &running(handle, request_id)),
    }
}

fn find(state: &State, handle: &str) -> Option<Arc<Statement>> {
    state.lock().statements.get(handle).cloned()
}

fn new_handle(state: &State) -> String {
    let mut inner = state.lock();
    inner.handles += 1;
    format!("019d6ed0-0502-3101-0000-{:012x}", inner.handles)
}

/// Refuses what no client should send.
fn refuse(state: &State, status: u16, why: String) -> Response<Full<Bytes>> {
    let said = json!({"code": "390400", "message": why});
    state.lock().refused.push(why);
    json_response(status, &said)
}

fn unauthorized(code: &str, message: &str) -> Response<Full<Bytes>> {
    json_response(401, &json!({"code": code, "message": message}))
}

/// An answer of something in front of the service.
fn plain(status: u16, retry_after: Option<u32>) -> Response<Full<Bytes>> {
    let mut response = response(status, Bytes::from_static(b"<html>not now</html>"));
    if let Some(seconds) = retry_after {
        response.headers_mut().insert("retry-after", seconds.into());
    }
    response
}

fn json_response(status: u16, body: &Value) -> Response<Full<Bytes>> {
    let mut response = response(status, body.to_string().into());
    let json = "application/json".parse().expect("it is a value");
    response.headers_mut().insert("content-type", json);
    response
}

fn response(status: u16, body: Bytes) -> Response<Full<Bytes>> {
    let response = Response::builder().status(status).body(Full::new(body));
    response.expect("it has a status and a body")
}
