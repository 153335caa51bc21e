//! An HTTP proxy that fails on demand and keeps what it was sent: one request a connection, so that
//! each step of an exchange can be hit by itself.

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
    time::timeout,
};

/// How long a server may take to answer.
const PATIENCE: Duration = Duration::from_secs(120);
/// The longest head of a request.
const MAX_HEAD_BYTES: usize = 4 << 20;

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deed {
    /// It is forwarded, and so is its answer.
    Forward,
    /// It is answered with a status and an empty body, and not forwarded; with `Retry-After` in
    /// seconds, where there is one.
    Answer(u16, Option<u32>),
    /// The connection is cut, and it is not forwarded.
    CutBefore,
    /// It is forwarded, and the connection is cut before the answer.
    CutAfter,
    /// It is forwarded, and the connection is cut in the middle of the answer.
    CutWithin,
}

/// A request as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// `POST`
    pub method: String,
    /// `/v1/statement`
    pub path: String,
    /// Names in their case, and values, in their order.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Recorded {
    /// The values of a header, by its name in whatever case.
    #[must_use]
    pub fn header(&self, name: &str) -> Vec<&str> {
        let of_name = |pair: &&(String, String)| pair.0.eq_ignore_ascii_case(name);
        self.headers.iter().filter(of_name).map(|(_, value)| value.as_str()).collect()
    }
}

/// Decides about a request by its number, from 0.
type Decide = Box<dyn FnMut(usize, &Recorded) -> Deed + Send>;

/// The proxy. Dropped, it takes no further connections.
pub struct HttpProxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: JoinHandle<()>,
}

struct Shared {
    upstream: SocketAddr,
    books: Mutex<Books>,
}

struct Books {
    recorded: Vec<Recorded>,
    decide: Decide,
}

impl HttpProxy {
    /// A proxy in front of a server, that forwards everything until it is told otherwise.
    ///
    /// # Errors
    /// If no port can be had.
    pub async fn start(upstream: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let books = Books { recorded: Vec::new(), decide: Box::new(|_, _| Deed::Forward) };
        let shared = Arc::new(Shared { upstream, books: Mutex::new(books) });
        let serving = Arc::clone(&shared);
        let accepting = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let shared = Arc::clone(&serving);
                tokio::spawn(async move {
                    // A connection that ends early is what a proxy is for.
                    drop(shared.serve(client).await);
                });
            }
        });
        Ok(Self { address, shared, accepting })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Forgets what was recorded, and decides anew, with numbers from 0.
    pub fn decide(&self, decide: impl FnMut(usize, &Recorded) -> Deed + Send + 'static) {
        let mut books = self.shared.books();
        books.recorded.clear();
        books.decide = Box::new(decide);
    }

    /// What came since.
    #[must_use]
    pub fn recorded(&self) -> Vec<Recorded> {
        self.shared.books().recorded.clone()
    }
}

impl Drop for HttpProxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Shared {
    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn serve(&self, mut client: TcpStream) -> io::Result<()> {
        let Some((request, raw)) = read(&mut client).await? else { return Ok(()) };
        let deed = {
            let mut books = self.books();
            let number = books.recorded.len();
            let deed = (books.decide)(number, &request);
            books.recorded.push(request);
            deed
        };
        match deed {
            Deed::CutBefore => cut(&client),
            Deed::Answer(status, retry_after) => {
                let retry = retry_after.map_or(String::new(), |s| format!("Retry-After: {s}\r\n"));
                let head = format!(
                    "HTTP/1.1 {status} No\r\nContent-Length: 0\r\n{retry}Connection: close\r\n\r\n"
                );
                client.write_all(head.as_bytes()).await?;
                client.shutdown().await
            }
            Deed::Forward | Deed::CutAfter | Deed::CutWithin => {
                let answer = timeout(PATIENCE, self.ask(&raw)).await??;
                let sent = match deed {
                    Deed::Forward => answer.len(),
                    Deed::CutWithin => answer.len().saturating_sub(20),
                    _ => return cut(&client),
                };
                client.write_all(&answer[..sent]).await?;
                client.shutdown().await
            }
        }
    }

    /// Sends a request on, and reads the answer to the end of its connection.
    async fn ask(&self, raw: &[u8]) -> io::Result<Vec<u8>> {
        let mut server = TcpStream::connect(self.upstream).await?;
        server.write_all(raw).await?;
        let mut answer = Vec::new();
        server.read_to_end(&mut answer).await?;
        Ok(answer)
    }
}

/// Ends a connection with a reset.
fn cut(client: &TcpStream) -> io::Result<()> {
    client.set_zero_linger()
}

/// Reads a request; and its bytes, but that they ask for the end of the connection.
async fn read(client: &mut TcpStream) -> io::Result<Option<(Recorded, Vec<u8>)>> {
    let mut bytes = Vec::new();
    let head = loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break end;
        }
        if bytes.len() > MAX_HEAD_BYTES || client.read_buf(&mut bytes).await? == 0 {
            return Ok(None);
        }
    };
    let mut body = bytes.split_off(head + 4);
    let text = String::from_utf8_lossy(&bytes[..head]).into_owned();
    let mut lines = text.split("\r\n");
    let mut first = lines.next().unwrap_or_default().split(' ').map(str::to_owned);
    let (method, path) = (first.next().unwrap_or_default(), first.next().unwrap_or_default());
    let pair = |line: &str| {
        let (name, value) = line.split_once(':')?;
        Some((name.to_owned(), value.trim().to_owned()))
    };
    let headers: Vec<_> = lines.filter_map(pair).collect();
    let mut recorded = Recorded { method, path, headers, body: Vec::new() };
    let length = recorded.header("content-length").first().and_then(|text| text.parse().ok());
    let length: usize = length.unwrap_or(0);
    while body.len() < length {
        if client.read_buf(&mut body).await? == 0 {
            return Ok(None);
        }
    }
    let mut raw = format!("{} {} HTTP/1.1\r\n", recorded.method, recorded.path);
    for (name, value) in &recorded.headers {
        if !name.eq_ignore_ascii_case("connection") {
            raw += &format!("{name}: {value}\r\n");
        }
    }
    raw += "Connection: close\r\n\r\n";
    let raw = [raw.as_bytes(), &body].concat();
    recorded.body = body;
    Ok(Some((recorded, raw)))
}
