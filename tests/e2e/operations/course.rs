//! What is done to a load balancer, and what became of everybody meanwhile.

use std::collections::BTreeMap;
use std::io::Read;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use crate::balancer::{self, Balancer, FRONT, File, Kind, Mistake, TAKEN};
use crate::clients::{Clients, Seen};
use crate::harness::namespace::Host;
use crate::harness::program::run as must;
use crate::harness::raise_descriptor_limit;
use crate::harness::wait::until;
use crate::servers;
use crate::watch::{Series, Watch};

/// Sessions that move data all the time.
const HELD: usize = 1000;

/// Those of them that come after each fifth reload and each upgrade, and stay.
const LATE: usize = 10;

/// Every other one of a bad file.
const RELOADS: usize = 50;
const UPGRADES: usize = 10;

/// Short sessions between one change and the next: a fifth of a second's.
const BETWEEN: u64 = 100;

/// The server that is taken out in the end.
const DRAINED: char = 'a';

/// How long a client may take to meet a server, in the end.
const ARRIVAL: Duration = Duration::from_millis(250);

/// Longest until a process has ended whose last session has.
const LEAVING: Duration = Duration::from_secs(20);

#[derive(Debug)]
pub struct Outcome {
    pub version: String,
    pub served: u64,
    /// Short sessions that failed, by what went wrong.
    pub failed: BTreeMap<String, usize>,
    pub held: usize,
    /// Long sessions that were cut, by what went wrong, but for those of the drained server after its drain began.
    pub cut: BTreeMap<String, usize>,
    /// Long sessions that came to their end with every byte in its place.
    pub whole: usize,
    /// Bytes that long sessions have had back.
    pub bytes: u64,
    /// Reloads of good files, of bad ones that were refused, and of bad ones that were taken for good.
    pub reloads: [usize; 3],
    /// What the reloads and the drain took.
    pub reload_took: Duration,
    pub drain_took: Duration,
    /// Whether the drain came to its end.
    pub drained: bool,
    /// Long sessions of the drained server when it said that nobody is left, and how many there were before.
    pub left_there: usize,
    pub were_there: usize,
    /// Short sessions came to that server after its drain.
    pub came_there: bool,
    /// Sockets that listen on the front's port, before, after the reloads, and after the upgrades.
    pub listeners: [Vec<String>; 3],
    /// Sessions that had another name after the reloads; `None` if they have no names.
    pub renamed: Option<usize>,
    pub counters: Series,
    /// After the reloads, after the upgrades, and after the last session's end.
    pub processes: [usize; 3],
    /// Of all processes, after the upgrades, in bytes.
    pub memory: u64,
    /// After an empty file, and after none at all.
    pub last: [Aftermath; 2],
}

/// What became of a reload in the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Aftermath {
    pub refused: bool,
    pub serves: bool,
}

/// Does all of it to one load balancer.
pub fn run(kind: Kind) -> Outcome {
    raise_descriptor_limit();
    let host = Host::new("operations");
    // A host has more ports than a test's clients use up, and Linux's own default makes room in them for new ones.
    must(host.command("sysctl").args(["-q", "-w", "net.ipv4.ip_local_port_range=10000 65000"]));
    must(host.command("sysctl").args(["-q", "-w", "net.core.somaxconn=4096"]));
    host.does_not_pace();
    host.on(|| on_host(kind))
}

fn on_host(kind: Kind) -> Outcome {
    let directory = tempfile::tempdir().unwrap();
    servers::start();
    let _taken = TcpListener::bind(("127.0.0.1", TAKEN)).unwrap();
    let mut proxy = balancer::start(kind, directory.path());
    let clients = Clients::start(FRONT.into());
    clients.hold(HELD);
    clients.begin();
    clients.served_more(10 * BETWEEN);
    let counters = Watch::begin(proxy.reader());

    let (before, named) = (balancer::listeners(), proxy.sessions());
    let long: Vec<SocketAddr> = clients.seen.held.lock().unwrap().keys().copied().collect();
    let began = Instant::now();
    let reloads = reload(proxy.as_mut(), &clients);
    let reload_took = began.elapsed();
    let renamed = named.map(|named| renamed(&long, &named, &proxy.sessions().expect("as before")));
    let (after_reloads, processes) = (balancer::listeners(), proxy.processes().len());
    for number in 0..UPGRADES {
        proxy.upgrade(number);
        clients.served_more(BETWEEN);
        clients.hold(LATE);
    }
    let (after_upgrades, running) = (balancer::listeners(), proxy.processes());
    let memory = balancer::memory(&running);

    let there = |seen: &Seen| seen.held.lock().unwrap().values().filter(|server| **server == DRAINED).count();
    let were_there = there(&clients.seen);
    let drain = Instant::now();
    let drained = proxy.drain(DRAINED);
    let drain_ended = Instant::now();
    let left_there = there(&clients.seen);
    clients.served_more(5 * BETWEEN);

    let counters = counters.end();
    let seen = clients.finish();
    let left = until_ended(proxy.as_ref());
    let version = proxy.version();
    let last = Mistake::LAST.map(|mistake| {
        assert!(proxy.reload(File::Good(0)), "it does before");
        Aftermath { refused: !proxy.reload(File::Bad(mistake)), serves: serves() }
    });
    let cut = seen.cut.lock().unwrap().clone();
    let wrongly = cut.iter().filter(|cut| cut.server != DRAINED || cut.at < drain);
    Outcome {
        version,
        served: seen.served.load(Relaxed),
        failed: tally(seen.failed.lock().unwrap().iter().cloned()),
        held: HELD + LATE * (RELOADS / 5 + UPGRADES),
        cut: tally(wrongly.map(|cut| cut.error.clone())),
        whole: seen.whole.load(Relaxed),
        bytes: seen.bytes.load(Relaxed),
        reloads,
        reload_took,
        drain_took: drain_ended - drain,
        drained,
        left_there,
        were_there,
        came_there: seen.last_met(DRAINED).is_some_and(|last| last > drain_ended),
        listeners: [before, after_reloads, after_upgrades],
        renamed,
        counters,
        processes: [processes, running.len(), left],
        memory,
        last,
    }
}

/// Whether a client meets a server.
fn serves() -> bool {
    let met = || {
        let mut stream = TcpStream::connect_timeout(&FRONT.into(), ARRIVAL)?;
        stream.set_read_timeout(Some(ARRIVAL))?;
        stream.read_exact(&mut [0])
    };
    met().is_ok()
}

/// Reloads again and again; counts what [`Outcome::reloads`] has.
fn reload(proxy: &mut dyn Balancer, clients: &Clients) -> [usize; 3] {
    let mut outcomes = [0; 3];
    for number in 0..RELOADS {
        let file = match number % 2 {
            0 => File::Good(1 + number / 2),
            _ => File::Bad(Mistake::MANY[number / 2 % Mistake::MANY.len()]),
        };
        match (proxy.reload(file), file) {
            (true, File::Good(_)) => outcomes[0] += 1,
            (false, File::Bad(_)) => outcomes[1] += 1,
            (true, File::Bad(_)) => outcomes[2] += 1,
            (false, File::Good(_)) => panic!("reload {number} of a good file is refused"),
        }
        clients.served_more(BETWEEN);
        if number % 5 == 4 {
            clients.hold(LATE);
        }
    }
    outcomes
}

/// How many of these clients' sessions have not the name that they had.
fn renamed(long: &[SocketAddr], before: &BTreeMap<SocketAddr, String>, after: &BTreeMap<SocketAddr, String>) -> usize {
    long.iter().filter(|client| before.get(client).is_none() || before.get(client) != after.get(client)).count()
}

/// The processes that are left some time after the last session's end.
fn until_ended(proxy: &dyn Balancer) -> usize {
    let deadline = Instant::now() + LEAVING;
    until("the processes are counted", || {
        let left = proxy.processes().len();
        (left <= 1 || Instant::now() > deadline).then_some(left)
    })
}

fn tally(errors: impl Iterator<Item = String>) -> BTreeMap<String, usize> {
    errors.fold(BTreeMap::new(), |mut tally, error| {
        *tally.entry(error).or_default() += 1;
        tally
    })
}

impl Outcome {
    /// What was asked for and didn't hold, a sentence each.
    pub fn broken(&self) -> Vec<String> {
        let [before, after_reloads, after_upgrades] = &self.listeners;
        let asked = [
            (self.failed.is_empty(), format!("new sessions failed: {:?}", self.failed)),
            (self.cut.is_empty(), format!("sessions were cut: {:?}", self.cut)),
            (
                self.whole + self.were_there - self.left_there == self.held,
                format!("of {} sessions, {} ended well and {} were drained", self.held, self.whole, self.were_there),
            ),
            (self.reloads == [RELOADS / 2, RELOADS / 2, 0], format!("reloads: {:?}", self.reloads)),
            (self.bytes > 0 && self.were_there > 0, "nothing was tried".to_owned()),
            (self.drained && self.left_there == 0, format!("{} sessions are left after a drain", self.left_there)),
            (!self.came_there, "new sessions came to a server that was drained".to_owned()),
            (!before.is_empty() && before == after_reloads, "reloads changed the listening sockets".to_owned()),
            (before == after_upgrades, "upgrades changed the listening sockets".to_owned()),
            (self.renamed == Some(0), format!("sessions were renamed by reloads: {:?}", self.renamed)),
            (self.counters.read > 0 && self.counters.missed == 0, format!("counters: {:?}", self.counters)),
            (self.counters.fell == 0, format!("counters went back: {:?}", self.counters)),
            (self.processes[0] == 1, format!("{} processes after reloads", self.processes[0])),
            (self.last == [Aftermath { refused: true, serves: true }; 2], format!("in the end: {:?}", self.last)),
            (self.processes[2] == 1, format!("{} processes after the last session", self.processes[2])),
        ];
        asked.into_iter().filter(|(held, _)| !held).map(|(_, words)| words).collect()
    }
}
