//! Loads of under two seconds each, and what they cost.

use anyhow::{Result, ensure};

use super::CONCURRENT;
use crate::bench::Bench;
use crate::figures::Sample;
use crate::load::{Connection, Group, Seen, Until};
use crate::proxies::Proxy;
use crate::wire;

/// A short burst is long enough: time on a core is known to the nanosecond.
const BURST: Until = Until::Seconds(0.4);

/// Bulk and mixed loads take longer to become even.
const LONG: Until = Until::Seconds(0.7);
const MIXED: Until = Until::Seconds(1.5);

/// One burst of a curve.
const POINT: Until = Until::Seconds(0.25);

/// Request and reply of the small exchanges, in bytes.
const SMALL: (u64, u64) = (200, 500);

/// One body of a stream, in bytes.
const BODY: u64 = 32 << 20;

/// Clients of this kind in front of a proxy, all in small exchanges.
fn small(proxy: &Proxy, clients: usize, connection: Connection) -> Group {
    let (up, down) = SMALL;
    Group { target: proxy.kind.frontend(0), clients, up, down: (down, down), connection, rate: None, verify: false }
}

/// Time on a core for each exchange of the only group, in microseconds.
fn each(ran: f64, seen: &[Seen]) -> Result<f64> {
    ensure!(seen[0].exchanges > 0, "nothing was exchanged");
    Ok(ran * 1e6 / seen[0].exchanges as f64)
}

pub fn connections(bench: &mut Bench, proxy: &Proxy, server_closes: bool) -> Result<Sample> {
    let connection = if server_closes { Connection::ServerCloses } else { Connection::ClientCloses };
    let burst = bench.burst(proxy, vec![small(proxy, 16, connection)], BURST)?;
    Ok(burst.sample(vec![each(burst.ran, &burst.seen)?]))
}

pub fn requests(bench: &mut Bench, proxy: &Proxy, clients: usize) -> Result<Sample> {
    let burst = bench.burst(proxy, vec![small(proxy, clients, Connection::Stays)], BURST)?;
    Ok(burst.sample(vec![each(burst.ran, &burst.seen)?]))
}

/// Direction of bulk, as the client sees it.
#[derive(Clone, Copy)]
pub enum Way {
    Down,
    Up,
}

fn stream(proxy: &Proxy, clients: usize, way: Way) -> Group {
    let (up, down) = match way {
        Way::Down => (SMALL.0, BODY),
        Way::Up => (BODY, 8),
    };
    Group { up, down: (down, down), ..small(proxy, clients, Connection::Stays) }
}

pub fn bulk(bench: &mut Bench, proxy: &Proxy, way: Way) -> Result<Sample> {
    let burst = bench.burst(proxy, vec![stream(proxy, 4, way)], LONG)?;
    let gibibytes = burst.seen[0].bytes as f64 / f64::from(1 << 30);
    Ok(burst.sample(vec![burst.ran * 1e3 / gibibytes]))
}

pub fn mix(bench: &mut Bench, proxy: &Proxy) -> Result<Sample> {
    let quiet = Group { down: (200, 2000), rate: Some(1500.0), ..small(proxy, 300, Connection::Stays) };
    let lists = Group { down: (1 << 20, 5 << 20), rate: Some(25.0), ..small(proxy, 8, Connection::Stays) };
    let new = Group { rate: Some(100.0), ..small(proxy, 16, Connection::ClientCloses) };
    let burst = bench.burst(proxy, vec![quiet, lists, new], MIXED)?;
    let missed: u64 = burst.seen.iter().map(|seen| seen.missed).sum();
    if missed > 0 {
        bench.note(format!("mix, {}", proxy.kind.name()), format!("{missed} exchanges of one burst were not begun"));
    }
    let [quiet, lists, _] = &burst.seen[..] else { unreachable!("three groups were opened") };
    Ok(burst.sample(vec![burst.ran * 1e3 / quiet.seconds, quiet.p99 * 1e6, lists.p50 * 1e3]))
}

pub fn beside_bulk(bench: &mut Bench, proxy: &Proxy) -> Result<Sample> {
    let players = small(proxy, 50, Connection::Stays);
    let burst = bench.burst(proxy, vec![players, stream(proxy, 1, Way::Down)], LONG)?;
    Ok(burst.sample(vec![burst.seen[0].p50 * 1e6, burst.seen[0].p99 * 1e6]))
}

/// What a proxy adds to a round trip.
pub fn latency(bench: &mut Bench, proxy: &Proxy) -> Result<Sample> {
    let through = small(proxy, 1, Connection::Stays);
    let target = std::net::SocketAddrV4::new(wire::server(proxy.kind.place(), 0), wire::PORTS[0]);
    let direct = bench.burst(proxy, vec![Group { target, ..through.clone() }], BURST)?;
    let burst = bench.burst(proxy, vec![through], BURST)?;
    let added = |of: fn(&Seen) -> f64| (of(&burst.seen[0]) - of(&direct.seen[0])) * 1e6;
    Ok(burst.sample(vec![added(|seen| seen.p50), added(|seen| seen.p99)]))
}

/// The cost of a short connection at each number of them at a time; last the most as against 16.
pub fn concurrency(bench: &mut Bench, proxy: &Proxy) -> Result<Sample> {
    let mut values = Vec::new();
    let (mut busy, mut waited): (f64, f64) = (0.0, 0.0);
    for clients in CONCURRENT {
        let burst = bench.burst(proxy, vec![small(proxy, clients, Connection::ClientCloses)], POINT)?;
        values.push(each(burst.ran, &burst.seen)?);
        (busy, waited) = (busy.max(burst.busy), waited.max(burst.waited));
    }
    let at = |number| CONCURRENT.iter().position(|count| *count == number).map_or(f64::NAN, |place| values[place]);
    values.push(at(1024) / at(16));
    Ok(Sample { values, busy, waited })
}

pub fn two_threads(bench: &mut Bench, proxy: &Proxy) -> Result<Sample> {
    let connections = connections(bench, proxy, false)?;
    let requests = requests(bench, proxy, 64)?;
    Ok(Sample { values: [connections.values, requests.values].concat(), ..connections })
}

/// Small exchanges on sessions that stay, so many a second.
pub fn paced(proxy: &Proxy, clients: usize, rate: f64) -> Group {
    Group { rate: Some(rate), ..small(proxy, clients, Connection::Stays) }
}

/// For counting: so many exchanges of short connections, or of requests on 64.
pub fn counted(proxy: &Proxy, connection: Connection) -> Group {
    small(proxy, if connection == Connection::Stays { 64 } else { 16 }, connection)
}

/// Sessions that have had one exchange and no other.
pub fn idle(proxy: &Proxy, clients: usize) -> Group {
    Group { rate: Some(0.0), ..small(proxy, clients, Connection::Stays) }
}
