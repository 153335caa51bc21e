//! Each fault, against a server that says everything back.

use tokio::{sync::mpsc, time::timeout};

use super::*;

/// How long nothing must come for it to count as nothing.
const QUIET: Duration = Duration::from_millis(100);

/// A server that says everything back, and tells what it has got.
struct Echo {
    address: SocketAddr,
    got: mpsc::UnboundedReceiver<Got>,
}

/// What the server has got: bytes, or the end and of which kind.
#[derive(Debug, PartialEq, Eq)]
enum Got {
    Bytes(usize),
    End,
    Reset,
}

impl Echo {
    async fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (tell, got) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(echo(stream, tell.clone()));
            }
        });
        Self { address, got }
    }

    async fn gets(&mut self) -> Got {
        self.got.recv().await.unwrap()
    }
}

async fn echo(mut stream: TcpStream, tell: mpsc::UnboundedSender<Got>) {
    let mut piece = [0; 1024];
    loop {
        let got = match stream.read(&mut piece).await {
            Ok(0) => Got::End,
            Ok(read) => Got::Bytes(read),
            Err(_) => Got::Reset,
        };
        let Got::Bytes(read) = got else {
            tell.send(got).ok();
            return;
        };
        tell.send(got).ok();
        stream.write_all(&piece[..read]).await.ok();
    }
}

/// A proxy before an echo, and a client of it that has been heard once.
async fn connected() -> (Proxy, Echo, TcpStream) {
    let mut echo = Echo::start().await;
    let proxy = Proxy::start(echo.address).unwrap();
    let mut client = TcpStream::connect(proxy.address()).await.unwrap();
    assert_eq!(ask(&mut client, b"hello").await, b"hello");
    assert_eq!(echo.gets().await, Got::Bytes(5));
    (proxy, echo, client)
}

async fn ask(client: &mut TcpStream, text: &[u8]) -> Vec<u8> {
    client.write_all(text).await.unwrap();
    let mut answer = vec![0; text.len()];
    client.read_exact(&mut answer).await.unwrap();
    answer
}

/// What comes until the connection ends, and how it ends.
async fn rest(client: &mut TcpStream) -> (Vec<u8>, Got) {
    let mut rest = Vec::new();
    let end = client.read_to_end(&mut rest).await;
    (rest, if end.is_ok() { Got::End } else { Got::Reset })
}

async fn nothing_comes(client: &mut TcpStream) {
    let mut piece = [0; 1];
    assert!(timeout(QUIET, client.read(&mut piece)).await.is_err(), "nothing should come");
}

#[tokio::test]
async fn what_is_forwarded_is_counted() {
    let (proxy, _echo, mut client) = connected().await;
    let mut second = TcpStream::connect(proxy.address()).await.unwrap();
    ask(&mut client, b"12345").await;
    ask(&mut second, b"1").await;
    assert_eq!(proxy.traffic(), Traffic { connections: 2, to_server: 11, to_client: 11 });
    assert_eq!(proxy.traffic().bytes(Direction::ToClient), 11);
}

#[tokio::test]
async fn the_end_of_one_side_reaches_the_other() {
    let (_proxy, mut echo, mut client) = connected().await;
    client.shutdown().await.unwrap();
    assert_eq!(echo.gets().await, Got::End);
    assert_eq!(rest(&mut client).await, (vec![], Got::End));
}

#[tokio::test]
async fn each_piece_is_delayed_in_its_direction() {
    let (proxy, _echo, mut client) = connected().await;
    for direction in [Direction::ToServer, Direction::ToClient] {
        proxy.delay(direction, QUIET);
    }
    let began = Instant::now();
    ask(&mut client, b"slow").await;
    assert!(began.elapsed() >= 2 * QUIET, "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_delay_does_not_add_up_over_pieces() {
    let (proxy, mut echo, mut client) = connected().await;
    proxy.delay(Direction::ToServer, QUIET);
    let pieces = 20;
    let text = vec![b'x'; pieces * PIECE_BYTES];
    let began = Instant::now();
    let (mut answers, mut questions) = client.split();
    let mut answer = vec![0; text.len()];
    let both = async { tokio::join!(questions.write_all(&text), answers.read_exact(&mut answer)) };
    let (asked, answered) = both.await;
    assert!(asked.is_ok() && answered.is_ok() && answer == text);
    assert!(matches!(echo.gets().await, Got::Bytes(_)));
    let took = began.elapsed();
    assert!(took >= QUIET && took < QUIET * 10, "{took:?}");
}

#[tokio::test]
async fn a_stall_holds_everything_back_until_it_is_healed() {
    let (mut proxy, mut echo, mut client) = connected().await;
    proxy.strike(Fault::Stall);
    client.write_all(b"later").await.unwrap();
    let mut second = TcpStream::connect(proxy.address()).await.unwrap();
    second.write_all(b"2").await.unwrap();
    nothing_comes(&mut client).await;
    assert!(echo.got.try_recv().is_err());
    proxy.heal().unwrap();
    let mut answer = [0; 5];
    client.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"later");
    second.read_exact(&mut answer[..1]).await.unwrap();
    assert_eq!(answer[0], b'2');
}

#[tokio::test]
async fn a_stall_after_some_bytes_lets_exactly_those_pass() {
    for (direction, heard) in [(Direction::ToServer, 3), (Direction::ToClient, 8)] {
        let (proxy, mut echo, mut client) = connected().await;
        proxy.arm(Fault::Stall, direction, 3);
        client.write_all(b"12345678").await.unwrap();
        proxy.struck().await;
        assert_eq!(echo.gets().await, Got::Bytes(heard));
        if direction == Direction::ToClient {
            let mut answer = [0; 3];
            client.read_exact(&mut answer).await.unwrap();
        }
        nothing_comes(&mut client).await;
    }
}

#[tokio::test]
async fn what_is_swallowed_stays_lost() {
    let (mut proxy, mut echo, mut client) = connected().await;
    proxy.arm(Fault::Swallow, Direction::ToServer, 2);
    client.write_all(b"12345").await.unwrap();
    assert_eq!(echo.gets().await, Got::Bytes(2));
    nothing_comes(&mut client).await;
    proxy.heal().unwrap();
    assert_eq!(ask(&mut client, b"abc").await, b"abc");
}

#[tokio::test]
async fn a_close_after_some_bytes_ends_both_sides_with_exactly_those() {
    for (direction, heard, said) in [(Direction::ToServer, 3, 0), (Direction::ToClient, 8, 3)] {
        let (proxy, mut echo, mut client) = connected().await;
        proxy.arm(Fault::Close, direction, 3);
        client.write_all(b"12345678").await.unwrap();
        assert_eq!(rest(&mut client).await, (b"12345678"[..said].to_vec(), Got::End));
        assert_eq!(echo.gets().await, Got::Bytes(heard));
        assert_eq!(echo.gets().await, Got::End);
    }
}

#[tokio::test]
async fn a_reset_is_seen_as_one_on_both_sides() {
    let (proxy, mut echo, mut client) = connected().await;
    proxy.strike(Fault::Reset);
    assert_eq!(rest(&mut client).await, (vec![], Got::Reset));
    assert_eq!(echo.gets().await, Got::Reset);
}

#[tokio::test]
async fn what_is_armed_with_no_bytes_strikes_at_once() {
    let (proxy, _echo, mut client) = connected().await;
    proxy.arm(Fault::Close, Direction::ToServer, 0);
    proxy.struck().await;
    assert_eq!(rest(&mut client).await, (vec![], Got::End));
}

#[tokio::test]
async fn a_connection_after_a_cut_is_forwarded() {
    let (proxy, _echo, mut client) = connected().await;
    proxy.strike(Fault::Close);
    assert_eq!(rest(&mut client).await, (vec![], Got::End));
    let mut second = TcpStream::connect(proxy.address()).await.unwrap();
    assert_eq!(ask(&mut second, b"again").await, b"again");
}

#[tokio::test]
async fn only_new_connections_are_refused_and_only_until_it_is_healed() {
    let (mut proxy, _echo, mut client) = connected().await;
    proxy.refuse().await;
    let refused = TcpStream::connect(proxy.address()).await.unwrap_err();
    assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
    assert_eq!(ask(&mut client, b"still").await, b"still");
    proxy.heal().unwrap();
    let mut second = TcpStream::connect(proxy.address()).await.unwrap();
    assert_eq!(ask(&mut second, b"again").await, b"again");
}

#[tokio::test]
async fn dropping_the_proxy_ends_its_connections() {
    let (proxy, mut echo, mut client) = connected().await;
    drop(proxy);
    assert_eq!(rest(&mut client).await, (vec![], Got::Reset));
    assert_eq!(echo.gets().await, Got::Reset);
}
