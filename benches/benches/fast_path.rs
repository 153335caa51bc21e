//! What the fast path gains, and how near it comes to what the database can take at all: the same
//! rows of a number, a text of 30 bytes and a number with a point, in INSERTs of about 1 MiB.
//!
//! - as text: an adapter sends the INSERTs as they are;
//! - fast path: the same, told where the rows are;
//! - by hand: on PostgreSQL `COPY` of rows that are formatted already; on SQLite a program with a
//!   prepared INSERT of 100 rows and bound values.
//!
//! `SQL_BATCHER_BENCH_ROWS` says how many rows (200000). The server is that of
//! `SQL_BATCHER_TEST_POSTGRES_URL`; the table `bench_rows` in it is dropped.

use std::{
    fmt::Write as _,
    path::Path,
    time::{Duration, Instant},
};

use sql_batcher_adapters::{Adapter, InsertRows, PoolOptions, Request, Scope, connect};
use sql_batcher_benches::{
    by_hand, is_measuring, number,
    peer::{Failed, Peer, check, server},
    sample::in_turns,
    table::{Row, Table},
};
use sqlx::{Connection as _, PgConnection, SqliteConnection};
use tokio::runtime::Runtime;

const ROUNDS: usize = 7;

const CREATE: &str =
    "CREATE TABLE bench_rows (id bigint, name varchar(100), price double precision)";

const PREFIX: &str = "INSERT INTO bench_rows VALUES ";

/// Bytes of one INSERT.
const BYTES: usize = 1 << 20;

/// How rows reach the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Text,
    Fast,
    ByHand,
}

impl Way {
    const ALL: [Self; 3] = [Self::Text, Self::Fast, Self::ByHand];

    fn name(self) -> &'static str {
        match self {
            Self::Text => "as text",
            Self::Fast => "fast path",
            Self::ByHand => "by hand",
        }
    }
}

/// The rows, in all forms.
struct Input {
    rows: Vec<by_hand::Row>,
    inserts: Vec<String>,
    formatted: String,
}

impl Input {
    fn new(count: usize) -> Self {
        let row = |id: i64| (id, format!("Anna Maria Schmidt {id:011}"), id as f64 / 8.0);
        let rows: Vec<_> = (0..).map(row).take(count).collect();
        let (mut inserts, mut formatted) = (Vec::new(), String::new());
        let mut insert = String::from(PREFIX);
        for (id, name, price) in &rows {
            let comma = if insert.len() == PREFIX.len() { "" } else { "," };
            // A `String` takes whatever is written.
            let _ = write!(insert, "{comma}({id},'{name}',{price:?})");
            let _ = writeln!(formatted, "{id}\t{name}\t{price:?}");
            if insert.len() >= BYTES {
                inserts.push(std::mem::replace(&mut insert, String::from(PREFIX)) + ";");
            }
        }
        if insert.len() > PREFIX.len() {
            inserts.push(insert + ";");
        }
        Self { rows, inserts, formatted }
    }
}

/// Makes the table anew; a connection by itself, so that no way has an old one.
async fn prepare<C: Peer>(url: &str) -> Result<(), Failed> {
    let mut connection = C::connect(url).await?;
    connection.run("DROP TABLE IF EXISTS bench_rows").await?;
    connection.run(CREATE).await?;
    Ok(connection.close().await?)
}

/// Sends the INSERTs through an adapter, each a request of its own; all are one transaction, as they
/// are by hand.
async fn adapted(adapter: &dyn Adapter, inserts: &[String], is_fast: bool) -> Result<(), Failed> {
    let mut session = adapter.acquire().await?;
    session.begin().await?;
    for insert in inserts {
        let prefix = u32::try_from(PREFIX.len())?;
        let rows = [InsertRows { statement: 0, prefix, tail: 0 }];
        let inserts = if is_fast { &rows[..] } else { &[] };
        let ends = [u32::try_from(insert.len())?];
        let (body, scope) = (insert.as_bytes(), Scope::Scripted);
        session.execute(Request { body, ends: &ends, scope, copy: None, inserts }).await?;
    }
    session.commit().await?;
    session.close().await;
    Ok(())
}

async fn copied(url: &str, formatted: &str) -> Result<(), Failed> {
    let mut connection = PgConnection::connect(url).await?;
    let mut copy = connection.copy_in_raw("COPY bench_rows FROM STDIN").await?;
    for chunk in formatted.as_bytes().chunks(256 << 10) {
        copy.send(chunk).await?;
    }
    copy.finish().await?;
    Ok(connection.close().await?)
}

/// How long one way takes, and whether all rows are there.
async fn once<C: Peer>(url: &str, input: &Input, way: Way) -> Result<Duration, Failed> {
    prepare::<C>(url).await?;
    let adapter = connect(url, &PoolOptions::default()).await?;
    let start = Instant::now();
    match (way, url.strip_prefix("sqlite://")) {
        (Way::Text | Way::Fast, _) => adapted(&*adapter, &input.inserts, way == Way::Fast).await?,
        (Way::ByHand, Some(file)) => by_hand::insert(Path::new(file), &input.rows),
        (Way::ByHand, None) => copied(url, &input.formatted).await?,
    }
    let took = start.elapsed();
    adapter.close().await;
    check::<C>(url, input.rows.len()).await?;
    Ok(took)
}

fn compare<C: Peer>(table: &mut Table, database: &str, url: &str, input: &Input) {
    let runtime = Runtime::new().expect("a runtime can be started");
    let medians = in_turns(ROUNDS, &Way::ALL, |way| {
        let once = runtime.block_on(once::<C>(url, input, *way));
        once.unwrap_or_else(|error| panic!("{database}, {}: {error}", way.name()))
    });
    let row = |(way, took): (&Way, &Duration)| {
        let rate = input.rows.len() as f64 / took.as_secs_f64();
        Row::new(format!("{database}, {}", way.name()), rate, "rows/s")
    };
    let rows: Vec<Row> = Way::ALL.iter().zip(&medians).map(row).collect();
    let Ok([text, fast, by_hand]) = <[Row; 3]>::try_from(rows) else { return };
    let fast = fast.against(&text, Way::Text.name()).against(&by_hand, Way::ByHand.name());
    for row in [text, fast, by_hand] {
        table.push(row);
    }
}

fn main() {
    if !is_measuring() {
        return;
    }
    let rows = number("SQL_BATCHER_BENCH_ROWS", 200_000);
    let input = Input::new(usize::try_from(rows).expect("the number fits"));
    let mut table = Table::new("fast_path");
    let folder = tempfile::tempdir().expect("a folder can be made");
    let file = folder.path().join("bench.db");
    std::fs::write(&file, "").expect("a file can be made");
    let sqlite = format!("sqlite://{}", file.display());
    compare::<SqliteConnection>(&mut table, "SQLite", &sqlite, &input);
    if let Some(url) = server(&mut table, "PostgreSQL", "SQL_BATCHER_TEST_POSTGRES_URL") {
        compare::<PgConnection>(&mut table, "PostgreSQL", &url, &input);
    }
    table.publish(env!("CARGO_TARGET_TMPDIR"));
}
