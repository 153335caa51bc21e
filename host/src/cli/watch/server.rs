//! The address at which Prometheus fetches metrics: `GET /metrics`, and nothing else. It has a
//! thread and a runtime of its own, so that it answers whatever the run does, and after it.

use std::{convert::Infallible, io, net::TcpListener, sync::Arc, thread, time::Duration};

use hyper::{
    Method, Request, Response, StatusCode,
    body::Body,
    header::{ALLOW, CONTENT_TYPE},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::TcpStream,
    runtime,
    sync::{Semaphore, oneshot},
    time::{sleep, timeout},
};
use tracing::info;

use super::totals::{self, Totals};
use crate::cli::Usage;

/// Connections at once; more wait.
const MAX_CONNECTIONS: usize = 16;
/// How long one may take: a request and its answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long to wait where no connection can be taken, as there are no files left.
const PAUSE: Duration = Duration::from_millis(100);
const PLAIN: &str = "text/plain; charset=utf-8";

/// Serves the totals until it is stopped or dropped.
pub(super) struct Server {
    totals: Arc<Totals>,
    stop: oneshot::Sender<()>,
    thread: thread::JoinHandle<()>,
}

/// Takes the address, so that nobody else has it.
///
/// # Errors
/// Where that is impossible, and why.
pub(super) fn listen(address: &str) -> Result<TcpListener, Usage> {
    let taken = TcpListener::bind(address).and_then(|listener| {
        listener.set_nonblocking(true)?;
        Ok(listener)
    });
    taken.map_err(|error| match error.kind() {
        io::ErrorKind::InvalidInput => Usage(format!(
            "metrics-addr of {address:?} is not an address with a port such as 127.0.0.1:9464"
        )),
        _ => Usage(format!("cannot listen on the metrics-addr {address}: {error}")),
    })
}

impl Server {
    /// Starts to serve, and says where.
    ///
    /// # Errors
    /// Where there is no thread left, or the like.
    pub(super) fn start(listener: TcpListener, totals: Arc<Totals>) -> Result<Self, Usage> {
        let cannot = |error: io::Error| Usage(format!("cannot serve metrics: {error}"));
        let address = listener.local_addr().map_err(cannot)?;
        let runtime = runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(cannot)?;
        let (stop, stopped) = oneshot::channel();
        let served = Arc::clone(&totals);
        let thread = thread::Builder::new().name("metrics".into()).spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    Err(error) = serve(listener, served) => {
                        info!("metrics are not served any more: {error}");
                    }
                    // Or the other end is gone, which is as good.
                    _ = stopped => {}
                }
            });
        });
        let thread = thread.map_err(cannot)?;
        info!("metrics are served at http://{address}/metrics");
        Ok(Self { totals, stop, thread })
    }

    /// From now on the totals stay as they are.
    pub(super) fn keep_last(&self) {
        self.totals.keep_last();
    }

    /// Stops at once.
    pub(super) fn stop(self) {
        // If it has ended already, so much the better.
        let _ = self.stop.send(());
        let _ = self.thread.join();
    }
}

async fn serve(listener: TcpListener, totals: Arc<Totals>) -> io::Result<Infallible> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let place = Arc::clone(&places).acquire_owned().await.map_err(io::Error::other)?;
        let Ok((stream, _)) = listener.accept().await else {
            sleep(PAUSE).await;
            continue;
        };
        let totals = Arc::clone(&totals);
        tokio::spawn(async move {
            // Who is too slow, or speaks no HTTP, gets no answer.
            let _ = timeout(PATIENCE, talk(stream, &totals)).await;
            drop(place);
        });
    }
}

async fn talk(stream: TcpStream, totals: &Totals) -> hyper::Result<()> {
    let answer = service_fn(async |request: Request<hyper::body::Incoming>| {
        Ok::<_, Infallible>(answer(&request, totals))
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(PATIENCE).keep_alive(false);
    http.serve_connection(TokioIo::new(stream), answer).await
}

fn answer<B: Body>(request: &Request<B>, totals: &Totals) -> Response<String> {
    if request.uri().path() != "/metrics" {
        return plain(StatusCode::NOT_FOUND, "metrics are at /metrics\n".into());
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let mut refused =
            plain(StatusCode::METHOD_NOT_ALLOWED, "metrics can be read only\n".into());
        refused
            .headers_mut()
            .insert(ALLOW, const { hyper::header::HeaderValue::from_static("GET, HEAD") });
        return refused;
    }
    match totals.text() {
        Ok(text) => respond(StatusCode::OK, totals::CONTENT_TYPE, text),
        Err(error) => plain(StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")),
    }
}

fn plain(status: StatusCode, text: String) -> Response<String> {
    respond(status, PLAIN, text)
}

fn respond(status: StatusCode, content_type: &'static str, text: String) -> Response<String> {
    let mut response = Response::new(text);
    *response.status_mut() = status;
    let content_type = hyper::header::HeaderValue::from_static(content_type);
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
}
