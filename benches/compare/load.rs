//! The clients in front of the proxies: one process, told by lines of JSON what to open and how long to go on.

mod clients;
mod dialler;

use std::io::{BufRead, Write};
use std::net::SocketAddrV4;

use anyhow::Result;
use serde::{Deserialize, Serialize};

use clients::Clients;

/// What the bench says to the load, a line each. Every one is answered by an [`Answer`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Order {
    /// More clients; those that stay connected connect now and have one exchange each.
    Open(Group),
    /// All groups go on for so long, then finish what they have begun.
    Run(Until),
    /// Everybody leaves.
    Close,
}

/// Clients of one kind.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Group {
    pub target: SocketAddrV4,
    pub clients: usize,
    /// Bytes from the client.
    pub up: u64,
    /// Bytes from the server: from the first to the second.
    pub down: (u64, u64),
    pub connection: Connection,
    /// Exchanges of the whole group a second; without it, each client starts the next as soon as one is over. At 0
    /// there is none but the first.
    pub rate: Option<f64>,
    /// Whether contents are looked at.
    pub verify: bool,
}

/// How long a connection lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Connection {
    /// For all exchanges of a client.
    Stays,
    /// For one; then the client closes.
    ClientCloses,
    /// For one; then the server closes, and the client after it.
    ServerCloses,
}

/// When no further exchange is started.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub enum Until {
    Seconds(f64),
    Exchanges(u64),
}

/// How an order went.
#[derive(Debug, Serialize, Deserialize)]
pub enum Answer {
    /// It is done; for [`Order::Run`], what each group saw.
    Done(Vec<Seen>),
    /// It can't be done, or took too long.
    Failed(String),
}

/// What one group saw between the order to run and the end of its last exchange.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Seen {
    pub seconds: f64,
    pub exchanges: u64,
    /// Of both directions.
    pub bytes: u64,
    /// Exchanges that were due while all clients of the group were busy.
    pub missed: u64,
    /// Seconds from the start of an exchange to its last byte: median, 99th percentile, longest.
    pub p50: f64,
    pub p99: f64,
    pub longest: f64,
}

/// Does as told until standard input ends.
pub fn run() -> Result<()> {
    let mut clients = Clients::new()?;
    println!("ready");
    for line in std::io::stdin().lock().lines() {
        let answer = match obey(&mut clients, serde_json::from_str(&line?)?) {
            Ok(seen) => Answer::Done(seen),
            Err(error) => Answer::Failed(format!("{error:#}")),
        };
        let mut out = std::io::stdout().lock();
        serde_json::to_writer(&mut out, &answer)?;
        out.write_all(b"\n")?;
        out.flush()?;
    }
    Ok(())
}

fn obey(clients: &mut Clients, order: Order) -> Result<Vec<Seen>> {
    match order {
        Order::Open(group) => clients.open(group).map(|()| Vec::new()),
        Order::Run(until) => clients.run(until),
        Order::Close => {
            clients.close();
            Ok(Vec::new())
        }
    }
}
