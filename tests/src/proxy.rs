//! A network that fails on demand: a TCP proxy between a client and a server, which delays, stalls,
//! swallows, cuts and refuses when a test says so. It knows bytes and directions, no protocol.

use std::{
    collections::VecDeque,
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpListener, TcpSocket, TcpStream,
        tcp::{ReadHalf, WriteHalf},
    },
    sync::watch,
    task::JoinHandle,
    time::{Instant, sleep_until},
};

/// How many bytes are read at once at most.
const PIECE_BYTES: usize = 16 * 1024;
/// How many pieces may be on their way in one direction of a connection.
const MOST_ON_WIRE: usize = 1024;
/// Connections that may wait to be accepted.
const BACKLOG: u32 = 128;

/// Which way bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the client to the server.
    ToServer,
    /// From the server to the client.
    ToClient,
}

/// What a network does to those who use it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing is forwarded any more, in either direction; sockets stay open. It holds for
    /// connections that are made later, too, until [`Proxy::heal`]; then all goes on.
    Stall,
    /// As [`Fault::Stall`], but everything is read and dropped, so that nobody notices that it
    /// does not arrive. What was dropped stays lost.
    Swallow,
    /// All open connections end on both sides as if the other side had closed them (FIN). What was
    /// forwarded arrives. Later connections are forwarded.
    Close,
    /// All open connections are reset on both sides (RST), which may take with it what was
    /// forwarded and not read yet. Later connections are forwarded.
    Reset,
}

/// What has been forwarded, over all connections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Connections that were accepted.
    pub connections: u64,
    /// Bytes from clients to the server.
    pub to_server: u64,
    /// Bytes from the server to clients.
    pub to_client: u64,
}

impl Traffic {
    /// What has been forwarded in a direction.
    #[must_use]
    pub fn bytes(&self, direction: Direction) -> u64 {
        match direction {
            Direction::ToServer => self.to_server,
            Direction::ToClient => self.to_client,
        }
    }
}

/// A proxy on a port of its own of this machine. Dropping it cuts all connections.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    /// Keeps the port while nobody listens on it.
    _reserved: TcpSocket,
    accepting: Option<JoinHandle<()>>,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    upstream: SocketAddr,
    network: watch::Sender<Network>,
    books: Mutex<Books>,
}

/// How the network is.
#[derive(Clone, Copy, Debug)]
struct Network {
    mode: Mode,
    /// How often all connections were cut: one that was made before the last cut has to end.
    cuts: u64,
    /// Whether the last cut is a reset.
    reset: bool,
    /// Whether what was armed last has struck.
    struck: bool,
    delay_to_server: Duration,
    delay_to_client: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Forward,
    Stall,
    Swallow,
}

#[derive(Debug, Default)]
struct Books {
    traffic: Traffic,
    armed: Option<Armed>,
}

/// A fault that is to strike once so many more bytes were forwarded.
#[derive(Clone, Copy, Debug)]
struct Armed {
    fault: Fault,
    direction: Direction,
    left: u64,
}

impl Proxy {
    /// A proxy in front of a server. It forwards everything until it is told otherwise.
    ///
    /// # Errors
    /// If no port can be had.
    pub fn start(upstream: SocketAddr) -> io::Result<Self> {
        let reserved = socket(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
        let network = Network {
            mode: Mode::Forward,
            cuts: 0,
            reset: false,
            struck: false,
            delay_to_server: Duration::ZERO,
            delay_to_client: Duration::ZERO,
        };
        let (network, _) = watch::channel(network);
        let shared = Arc::new(Shared { upstream, network, books: Mutex::default() });
        let address = reserved.local_addr()?;
        let mut proxy = Self { address, _reserved: reserved, accepting: None, shared };
        proxy.listen()?;
        Ok(proxy)
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What has been forwarded so far.
    #[must_use]
    pub fn traffic(&self) -> Traffic {
        self.shared.books().traffic
    }

    /// Each piece that is read in this direction waits so long before it is forwarded; zero: none.
    /// Meanwhile others are read, so that it is the delay of a long wire and narrows nothing.
    pub fn delay(&self, direction: Direction, delay: Duration) {
        self.shared.network.send_modify(|network| match direction {
            Direction::ToServer => network.delay_to_server = delay,
            Direction::ToClient => network.delay_to_client = delay,
        });
    }

    /// The fault strikes at once.
    pub fn strike(&self, fault: Fault) {
        self.shared.strike(fault);
    }

    /// The fault strikes as soon as so many bytes more were forwarded in this direction, over all
    /// connections; 0: at once. It takes the place of one that is armed and has not struck.
    pub fn arm(&self, fault: Fault, direction: Direction, after_bytes: u64) {
        self.shared.network.send_modify(|network| network.struck = false);
        let armed = Armed { fault, direction, left: after_bytes };
        self.shared.books().armed = (after_bytes > 0).then_some(armed);
        if after_bytes == 0 {
            self.strike(fault);
        }
    }

    /// Waits until a fault has struck since the last [`Proxy::arm`].
    pub async fn struck(&self) {
        self.shared.network.subscribe().wait_for(|network| network.struck).await.ok();
    }

    /// New connections are refused, since nobody listens any more; open ones go on.
    pub async fn refuse(&mut self) {
        if let Some(accepting) = self.accepting.take() {
            accepting.abort();
            accepting.await.ok();
        }
    }

    /// Forwards everything again, without delay; nothing is armed, nobody refused.
    ///
    /// # Errors
    /// If the port cannot be listened on again.
    pub fn heal(&mut self) -> io::Result<()> {
        self.shared.books().armed = None;
        self.shared.network.send_modify(|network| {
            network.mode = Mode::Forward;
            network.delay_to_server = Duration::ZERO;
            network.delay_to_client = Duration::ZERO;
        });
        if self.accepting.is_none() { self.listen() } else { Ok(()) }
    }

    fn listen(&mut self) -> io::Result<()> {
        let listener = socket(self.address)?.listen(BACKLOG)?;
        self.accepting = Some(tokio::spawn(accept(listener, Arc::clone(&self.shared))));
        Ok(())
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        if let Some(accepting) = &self.accepting {
            accepting.abort();
        }
        self.shared.strike(Fault::Reset);
    }
}

impl Shared {
    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn strike(&self, fault: Fault) {
        self.network.send_modify(|network| {
            network.struck = true;
            match fault {
                Fault::Stall => network.mode = Mode::Stall,
                Fault::Swallow => network.mode = Mode::Swallow,
                Fault::Close | Fault::Reset => {
                    network.cuts += 1;
                    network.reset = fault == Fault::Reset;
                }
            }
        });
    }

    /// How many of these bytes may go on, and which fault strikes after them.
    fn admit(&self, direction: Direction, bytes: usize) -> (usize, Option<Fault>) {
        let mut books = self.books();
        let mut admitted = bytes;
        let mut fault = None;
        if let Some(armed) = &mut books.armed
            && armed.direction == direction
        {
            admitted = usize::try_from(armed.left).map_or(bytes, |left| left.min(bytes));
            armed.left -= admitted as u64;
            fault = (armed.left == 0).then_some(armed.fault);
        }
        if fault.is_some() {
            books.armed = None;
        }
        match direction {
            Direction::ToServer => books.traffic.to_server += admitted as u64,
            Direction::ToClient => books.traffic.to_client += admitted as u64,
        }
        (admitted, fault)
    }
}

/// A socket at an address that it shares with others of ours.
fn socket(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.set_reuseport(true)?;
    socket.bind(address)?;
    Ok(socket)
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    while let Ok((client, _)) = listener.accept().await {
        let network = shared.network.subscribe();
        shared.books().traffic.connections += 1;
        tokio::spawn(forward(client, network, Arc::clone(&shared)));
    }
}

/// Forwards one connection to its end.
async fn forward(
    mut client: TcpStream,
    mut network: watch::Receiver<Network>,
    shared: Arc<Shared>,
) {
    let born = network.borrow().cuts;
    let Ok(mut server) = TcpStream::connect(shared.upstream).await else {
        client.set_zero_linger().ok();
        return;
    };
    // A piece goes on as it came, however small.
    client.set_nodelay(true).ok();
    server.set_nodelay(true).ok();
    let reset = {
        let (from_client, to_client) = client.split();
        let (from_server, to_server) = server.split();
        let pump = |direction| Pump { direction, born, network: network.clone(), shared: &shared };
        let there = pump(Direction::ToServer).run(from_client, to_server);
        let back = pump(Direction::ToClient).run(from_server, to_client);
        tokio::select! {
            biased;
            cut = network.wait_for(|network| network.cuts != born) => {
                cut.is_ok_and(|network| network.reset)
            }
            _ = async { tokio::join!(there, back) } => return,
        }
    };
    if reset {
        client.set_zero_linger().ok();
        server.set_zero_linger().ok();
        return;
    }
    tokio::join!(close(client), close(server));
}

/// Ends a connection so that what was sent arrives: closed with bytes unread it would be reset.
async fn close(mut stream: TcpStream) {
    if stream.shutdown().await.is_ok() {
        let mut piece = vec![0; PIECE_BYTES];
        while matches!(stream.read(&mut piece).await, Ok(1..)) {}
    }
}

/// Waits until something arrives; for ever where nothing is on its way.
async fn arrival(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => std::future::pending().await,
    }
}

/// One direction of one connection.
struct Pump<'a> {
    direction: Direction,
    /// How many cuts there were before this connection.
    born: u64,
    network: watch::Receiver<Network>,
    shared: &'a Shared,
}

impl Pump<'_> {
    async fn run(mut self, mut from: ReadHalf<'_>, mut to: WriteHalf<'_>) {
        let mut piece = vec![0; PIECE_BYTES];
        let mut wire = VecDeque::new();
        let mut ended = false;
        while !ended || !wire.is_empty() {
            let due = wire.front().map(|(due, _): &(Instant, Vec<u8>)| *due);
            let passed = tokio::select! {
                read = from.read(&mut piece), if !ended && wire.len() < MOST_ON_WIRE => {
                    let read = read.unwrap_or(0);
                    ended = read == 0;
                    let delay = self.delay();
                    if wire.is_empty() && delay == Duration::ZERO {
                        self.pass(&piece[..read], &mut to).await
                    } else {
                        wire.push_back((Instant::now() + delay, piece[..read].to_vec()));
                        Ok(())
                    }
                }
                () = arrival(due) => match wire.pop_front() {
                    Some((_, piece)) => self.pass(&piece, &mut to).await,
                    None => Ok(()),
                },
            };
            if passed.is_err() {
                return;
            }
        }
        // The end is as little to be heard of as anything else.
        self.until(|mode| mode == Mode::Forward).await;
        to.shutdown().await.ok();
    }

    async fn pass(&mut self, mut piece: &[u8], to: &mut WriteHalf<'_>) -> io::Result<()> {
        while !piece.is_empty() {
            if self.until(|mode| mode != Mode::Stall).await == Mode::Swallow {
                return Ok(());
            }
            let (admitted, fault) = self.shared.admit(self.direction, piece.len());
            to.write_all(&piece[..admitted]).await?;
            piece = &piece[admitted..];
            if let Some(fault) = fault {
                self.shared.strike(fault);
            }
        }
        Ok(())
    }

    fn delay(&self) -> Duration {
        let network = self.network.borrow();
        match self.direction {
            Direction::ToServer => network.delay_to_server,
            Direction::ToClient => network.delay_to_client,
        }
    }

    /// Waits for such a network; for ever where this connection is cut.
    async fn until(&mut self, wanted: impl Fn(Mode) -> bool) -> Mode {
        let born = self.born;
        let fits = |network: &Network| network.cuts == born && wanted(network.mode);
        let found = self.network.wait_for(fits).await.map(|network| network.mode);
        match found {
            Ok(mode) => mode,
            Err(_) => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests;
