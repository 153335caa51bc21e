//! Whole runs where the server is some milliseconds away: the same rows through a proxy that holds
//! back what goes to the server, so that each round trip takes so much longer. It delays, and does
//! not narrow: what is sent without a wait for an answer arrives one behind the other.
//!
//! `SQL_BATCHER_BENCH_ROWS` is five times the number of rows (100000); one statement a round trip
//! has 200 rows at most, because it is their rate that counts.

use std::{
    net::{SocketAddr, ToSocketAddrs as _},
    time::{Duration, Instant},
};

use sql_batcher_benches::{
    database::Database,
    is_measuring, number,
    peer::Failed,
    rows::CREATE_TABLE,
    sample::{Plan, Sample, in_turns},
    table::{Row, Table},
    ways::{Input, Mode, Python, Way, bring},
};
use sql_batcher_tests::proxy::{Direction, Proxy};
use tokio::runtime::Runtime;
use url::Url;

const DELAYS_MS: [u64; 3] = [0, 1, 10];
const PLAN: Plan = Plan { rounds: 3, budget: Duration::from_secs(4) };
const MOST_SINGLE: usize = 200;

const WAYS: [Way; 6] = [
    Way::OneByOne,
    Way::HandMade,
    Way::Library(Mode::Plain),
    Way::Library(Mode::Merged),
    Way::Library(Mode::Fast),
    Way::Peer(Python::Psycopg),
];

/// A database with a proxy in front of it.
struct Distant {
    direct: Database,
    through: Database,
    proxy: Proxy,
}

impl Distant {
    fn new(direct: Database) -> Result<Self, Failed> {
        let mut url = Url::parse(&direct.url)?;
        let host = url.host_str().ok_or("the url names no host")?;
        let port = url.port().ok_or("the url names no port")?;
        let upstream: Option<SocketAddr> = (host, port).to_socket_addrs()?.next();
        let proxy = Proxy::start(upstream.ok_or("the host has no address")?)?;
        let address = proxy.address();
        url.set_host(Some(&address.ip().to_string()))?;
        url.set_port(Some(address.port())).map_err(|()| "the url takes no port")?;
        let through = Database { kind: direct.kind, url: url.into() };
        Ok(Self { direct, through, proxy })
    }

    async fn once(&self, way: Way, inputs: &Inputs) -> Result<Duration, Failed> {
        let input = inputs.of(way);
        self.direct.prepare(CREATE_TABLE).await?;
        let start = Instant::now();
        let own_time = bring(way, &self.through, input).await?;
        let took = own_time.unwrap_or_else(|| start.elapsed());
        self.direct.check(input.count()).await?;
        Ok(took)
    }
}

/// The rows, and some of them.
struct Inputs {
    all: Input,
    few: Input,
}

impl Inputs {
    fn of(&self, way: Way) -> &Input {
        if way == Way::OneByOne { &self.few } else { &self.all }
    }
}

fn compare(table: &mut Table, runtime: &Runtime, distant: &Distant, inputs: &Inputs) {
    let kind = distant.direct.kind;
    let ways: Vec<Way> = WAYS.into_iter().filter(|way| Way::all(kind).contains(way)).collect();
    for delay_ms in DELAYS_MS {
        distant.proxy.delay(Direction::ToServer, Duration::from_millis(delay_ms));
        let samples = in_turns(PLAN, &ways, |way| {
            let once = runtime.block_on(distant.once(*way, inputs));
            once.map_err(|error| error.to_string())
        });
        let name = |way: Way| format!("{} at {delay_ms} ms, {}", kind.name(), way.name(kind));
        let row = |(way, sample): (&Way, Result<Sample, String>)| match sample {
            Err(why) => Row::missing(name(*way), "rows/s").with_note(why),
            Ok(sample) => {
                let count = inputs.of(*way).count() as f64;
                Row::new(name(*way), count / sample.median().as_secs_f64(), "rows/s")
            }
        };
        let rows: Vec<Row> = ways.iter().zip(samples).map(row).collect();
        for (way, row) in ways.iter().zip(&rows) {
            let row = row.clone();
            table.push(match way.is_ours() {
                true => row.against(&rows[0], "one by one").against(&rows[1], "by hand"),
                false => row,
            });
        }
    }
}

fn main() {
    if !is_measuring() {
        return;
    }
    let rows = number("SQL_BATCHER_BENCH_ROWS", 100_000) / 5;
    let rows = usize::try_from(rows).expect("the number fits");
    let input = |count| Input::new(count).unwrap_or_else(|error| panic!("{count} rows: {error}"));
    let inputs = Inputs { all: input(rows), few: input(rows.min(MOST_SINGLE)) };
    let runtime = Runtime::new().expect("a runtime can be started");
    let _inside = runtime.enter();
    let mut table = Table::new("network");
    for database in Database::servers(&mut table) {
        match Distant::new(database) {
            Ok(distant) => compare(&mut table, &runtime, &distant, &inputs),
            Err(error) => table.leave_out(error.to_string()),
        }
    }
    table.publish(env!("CARGO_TARGET_TMPDIR"));
}
