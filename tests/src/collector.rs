//! An OpenTelemetry collector for tests: it takes traces and metrics over HTTP, as protobuf, and
//! keeps them.

use std::{
    convert::Infallible,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex},
};

use http_body_util::BodyExt as _;
use hyper::{Request, Response, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use opentelemetry_proto::tonic::{
    collector::{metrics::v1::ExportMetricsServiceRequest, trace::v1::ExportTraceServiceRequest},
    common::v1::{KeyValue, any_value::Value},
    metrics::v1::{Metric, metric::Data, number_data_point},
    trace::v1::Span,
};
use tokio::{net::TcpListener, runtime::Runtime};

/// What was sent to it.
#[derive(Clone, Debug)]
pub struct Sent {
    /// The path of the request.
    pub path: String,
    /// Its headers, as `name: value`.
    pub headers: Vec<String>,
    /// Its body as it came.
    pub body: Vec<u8>,
}

/// A collector on a port of its own. Dropping it stops it.
pub struct Collector {
    address: SocketAddr,
    sent: Arc<Mutex<Vec<Sent>>>,
    _runtime: Runtime,
}

impl Collector {
    /// Starts it; not inside a runtime.
    ///
    /// # Panics
    /// Where there is no port.
    #[must_use]
    pub fn start() -> Self {
        let runtime = Runtime::new().expect("a runtime");
        let listener = runtime.block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)));
        let listener = listener.expect("a port is free");
        let address = listener.local_addr().expect("it is bound");
        let sent = Arc::default();
        runtime.spawn(listen(listener, Arc::clone(&sent)));
        Self { address, sent, _runtime: runtime }
    }

    /// Its URL, without a path.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What was sent so far.
    ///
    /// # Panics
    /// Where a request has panicked.
    #[must_use]
    pub fn sent(&self) -> Vec<Sent> {
        self.sent.lock().expect("no request panics").clone()
    }

    /// The bodies of what was sent to a path, as messages.
    fn messages<M: prost::Message + Default>(&self, path: &str) -> Vec<M> {
        let sent = self.sent().into_iter().filter(|sent| sent.path == path);
        sent.map(|sent| M::decode(&*sent.body).expect("it is what the path is for")).collect()
    }

    /// The spans, and what was said of the process that made each.
    ///
    /// # Panics
    /// Where something else was sent as traces.
    #[must_use]
    pub fn spans(&self) -> Vec<(Span, Vec<KeyValue>)> {
        let messages: Vec<ExportTraceServiceRequest> = self.messages("/v1/traces");
        let mut spans = Vec::new();
        for resource in messages.into_iter().flat_map(|message| message.resource_spans) {
            let of = resource.resource.map(|resource| resource.attributes).unwrap_or_default();
            let found = resource.scope_spans.into_iter().flat_map(|scope| scope.spans);
            spans.extend(found.map(|span| (span, of.clone())));
        }
        spans
    }

    /// The metrics as they were sent last.
    ///
    /// # Panics
    /// Where none were sent, or something else.
    #[must_use]
    pub fn last_metrics(&self) -> Vec<Metric> {
        let mut messages: Vec<ExportMetricsServiceRequest> = self.messages("/v1/metrics");
        let last = messages.pop().expect("metrics were sent").resource_metrics.into_iter();
        let scopes = last.flat_map(|resource| resource.scope_metrics);
        scopes.flat_map(|scope| scope.metrics).collect()
    }
}

async fn listen(listener: TcpListener, sent: Arc<Mutex<Vec<Sent>>>) {
    while let Ok((stream, _)) = listener.accept().await {
        let sent = Arc::clone(&sent);
        tokio::spawn(async move {
            let keep = service_fn(|request| keep(request, &sent));
            // A client that leaves is done.
            http1::Builder::new().serve_connection(TokioIo::new(stream), keep).await.ok();
        });
    }
}

/// Keeps a request; the empty answer is that of a collector that has taken everything.
async fn keep(
    request: Request<Incoming>,
    sent: &Mutex<Vec<Sent>>,
) -> Result<Response<String>, Infallible> {
    let header = |(name, value): (&hyper::header::HeaderName, &hyper::header::HeaderValue)| {
        format!("{name}: {}", String::from_utf8_lossy(value.as_bytes()))
    };
    let headers = request.headers().iter().map(header).collect();
    let path = request.uri().path().to_owned();
    let body = request.into_body().collect().await.expect("the client sends all of it");
    let body = body.to_bytes().to_vec();
    sent.lock().expect("no request panics").push(Sent { path, headers, body });
    Ok(Response::new(String::new()))
}

/// The value of an attribute, as text.
#[must_use]
pub fn attribute(attributes: &[KeyValue], name: &str) -> Option<String> {
    let found = attributes.iter().find(|attribute| attribute.key == name)?;
    match found.value.as_ref()?.value.as_ref()? {
        Value::StringValue(text) => Some(text.clone()),
        Value::IntValue(number) => Some(number.to_string()),
        other => Some(format!("{other:?}")),
    }
}

/// The sum of a counter over the points that have this attribute.
#[must_use]
pub fn sum(metrics: &[Metric], name: &str, with: Option<(&str, &str)>) -> i64 {
    let data = metrics.iter().filter(|metric| metric.name == name);
    let sums = data.filter_map(|metric| match &metric.data {
        Some(Data::Sum(sum)) => Some(&sum.data_points),
        _ => None,
    });
    let points = sums.flatten().filter(|point| {
        with.is_none_or(|(key, value)| attribute(&point.attributes, key).as_deref() == Some(value))
    });
    points
        .map(|point| match point.value {
            Some(number_data_point::Value::AsInt(value)) => value,
            _ => 0,
        })
        .sum()
}
