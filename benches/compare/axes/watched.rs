//! What those who watch cost the sessions: evenkeel with its frontend at its limit, and 100 pages open or none.
//!
//! The worker has a core to itself. All other threads of evenkeel share the other core with the readers, and with load and
//! servers, which would be on other machines: these two go before the others there, or the figure would be how long they
//! wait for each other.

use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::{beside, bursts, cost};
use crate::bench::Bench;
use crate::companion::Readers;
use crate::figures::{Against, Figure, Sample, Unit};
use crate::load::Until;
use crate::machine::{self, CoreTime};
use crate::proxies::{Proxy, Setting};
use crate::readers::Watched;

/// Pages that are open.
const PAGES: usize = 100;

/// Sessions with exchanges; all others of the frontend's do nothing.
const PLAYERS: usize = 64;

/// Exchanges of all players together, a second: far from what a worker can do, so that what is seen is how long an
/// exchange waits and not how long its queue is.
const RATE: f64 = 2000.0;

/// Clients that wait for a place at the frontend.
const WAITING: usize = 16;

/// Updates come once a second: there are some in each burst.
const SECONDS: f64 = 3.0;

const fn own(title: &'static str, unit: Unit) -> Figure {
    Figure { against: Against::Nothing, ..beside(title, unit) }
}

pub static FIGURES: [Figure; 8] = [
    Figure {
        against: Against::Nothing,
        stretch: None,
        ..cost("small exchanges, p99 watched by 100 as against by nobody", Unit::Ratio, 1.15, 0.0)
    },
    own("the same, p50", Unit::Ratio),
    own("p99 watched by nobody", Unit::Micros),
    own("p99 watched by 100", Unit::Micros),
    own("control thread a second, watched by nobody", Unit::Millis),
    own("control thread a second, watched by 100", Unit::Millis),
    own("resident memory at the limit, watched by nobody", Unit::MiB),
    own("resident memory at the limit, watched by 100", Unit::MiB),
];

/// A burst without readers, one with them, and another one without.
pub fn compare(bench: &mut Bench, proxy: &Proxy) -> Result<Sample> {
    proxy.leave_the_core_to_workers()?;
    let (_, frontend) = Setting::ONE.sessions;
    bench.load.open(bursts::idle(proxy, frontend as usize - PLAYERS))?;
    bench.load.open(bursts::paced(proxy, PLAYERS, RATE))?;
    let waiting: Vec<_> = (0..WAITING)
        .map(|_| TcpStream::connect(proxy.kind.frontend(0)).context("a client that is to wait"))
        .collect::<Result<_>>()?;
    let mut first = vec![bench.load.pid(), bench.servers.pid()];
    if bench.realtime {
        first.extend(proxy.workers()?);
    }
    machine::prefer(&first, true)?;
    let outcome = compared(bench, proxy);
    machine::prefer(&first, false)?;
    // Those who wait leave first: none of them may have a session of its own in the end.
    drop(waiting);
    bench.load.close()?;
    machine::forget_connections()?;
    outcome
}

fn compared(bench: &mut Bench, proxy: &Proxy) -> Result<Sample> {
    let before = burst(bench, proxy)?;
    let mut readers = Readers::start()?;
    readers.open(proxy.kind.stats(), PAGES)?;
    let watched = burst(bench, proxy)?;
    let seen = readers.close()?;
    drop(readers);
    check(&seen)?;
    // Their connections end.
    machine::pause(Duration::from_millis(200));
    let after = burst(bench, proxy)?;
    bench.note(
        format!("readers, {}", proxy.kind.name()),
        format!(
            "{:.0} updates and {:.0} kB a second for {PAGES} pages, the slowest with {} in {:.1} s; {} scrapes",
            seen.updates as f64 / seen.seconds,
            seen.bytes as f64 / seen.seconds / 1e3,
            seen.fewest,
            seen.seconds,
            seen.scrapes
        ),
    );
    let alone = |of: fn(&Burst) -> f64| f64::midpoint(of(&before), of(&after));
    let (p50, p99) = (alone(|burst| burst.p50), alone(|burst| burst.p99));
    let values = vec![
        watched.p99 / p99,
        watched.p50 / p50,
        p99 * 1e6,
        watched.p99 * 1e6,
        alone(|burst| burst.control) * 1e3,
        watched.control * 1e3,
        alone(|burst| burst.resident),
        watched.resident,
    ];
    Ok(Sample { values, busy: watched.worker.ran.as_secs_f64() / SECONDS, waited: watched.worker.share_waited() })
}

/// A figure counts only if its readers were served: each page with something at least every other second.
fn check(seen: &Watched) -> Result<()> {
    let due = seen.seconds.floor() as u64;
    ensure!(seen.fewest * 2 >= due, "a page had {} updates in {due} seconds", seen.fewest);
    ensure!(seen.scrapes + 1 >= due, "{} scrapes in {due} seconds", seen.scrapes);
    Ok(())
}

/// What one burst has shown.
struct Burst {
    p50: f64,
    p99: f64,
    worker: CoreTime,
    /// Seconds of the control thread on a core, for each second.
    control: f64,
    /// MiB.
    resident: f64,
}

fn burst(bench: &mut Bench, proxy: &Proxy) -> Result<Burst> {
    let (worker, control) = (proxy.worker_time()?, proxy.main_thread_time()?);
    let seen = bench.load.run(Until::Seconds(SECONDS))?;
    let (worker, control) = (proxy.worker_time()?.since(worker), proxy.main_thread_time()?.since(control));
    let players = seen.last().context("the players were opened last")?;
    if players.missed > 0 {
        bench.note(
            format!("watched, {}", proxy.kind.name()),
            format!("{} exchanges of one burst were not begun: somebody else had the core", players.missed),
        );
    }
    Ok(Burst {
        p50: players.p50,
        p99: players.p99,
        worker,
        control: control.ran.as_secs_f64() / players.seconds,
        resident: proxy.holding()?.resident / f64::from(1 << 20),
    })
}
