//! Watches one machine: probes its servers when they are due, and tells their pools.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::{Instant, sleep, sleep_until};

use super::agent;
use super::names::Names;
use super::probe::{Outcome, Prober};
use super::schedule::Schedule;
use crate::clock;
use crate::event::{CheckStatus, DownCause, Evidence, Readiness, Verdict, VerdictSource};
use crate::model::{Agent, HostAddress};
use crate::net::Way;
use crate::pool::Pool;
use crate::pool::network::HostLink;
use crate::pool::server::Server;

/// The watch over one host.
pub struct Monitor {
    watched: Vec<Arc<Watched>>,
    /// Servers whose agents are asked, too.
    agents: Vec<(Arc<Pool>, Arc<Server>, Agent)>,
    /// Keeps the servers' addresses, if the host is known by a name.
    names: Option<Names>,
    rng: fastrand::Rng,
}

/// A server with a check.
#[derive(Debug)]
struct Watched {
    pool: Arc<Pool>,
    server: Arc<Server>,
    prober: Prober,
}

impl Monitor {
    pub(super) fn new(host: HostAddress, rng: fastrand::Rng) -> Self {
        let names = match host {
            HostAddress::Ip(_) => None,
            HostAddress::Name(name) => Some(Names::new(name)),
        };
        Self { watched: Vec::new(), agents: Vec::new(), names, rng }
    }

    /// Adds a server of this host, and what probes it, if it has a check.
    pub(super) fn watch(&mut self, pool: Arc<Pool>, server: Arc<Server>, prober: Option<Prober>) {
        if let Some(names) = &mut self.names {
            names.add(Arc::clone(&server));
        }
        if let Some(agent) = server.spec().agent.clone() {
            self.agents.push((Arc::clone(&pool), Arc::clone(&server), agent));
        }
        if let Some(prober) = prober {
            self.watched.push(Arc::new(Watched { pool, server, prober }));
        }
    }

    pub(super) fn has_work(&self) -> bool {
        self.names.is_some() || !self.watched.is_empty() || !self.agents.is_empty()
    }

    /// Watches until it is told to stop, or the teller is gone; probes that are under way then still end as they should,
    /// so that no server sees one broken off.
    ///
    /// A host known by a name is first looked up, so that its servers aren't taken down for want of an address.
    pub async fn run(self, stop: oneshot::Receiver<()>) {
        let Self { watched, agents, names, rng } = self;
        // They end where this does.
        let mut asking = JoinSet::new();
        for (pool, server, agent) in agents {
            asking.spawn(agent::ask_for_ever(pool, server, agent));
        }
        let rounds = async move |rng| Rounds::new(watched, rng).run(stop).await;
        match names {
            None => rounds(rng).await,
            Some(mut names) => {
                names.refresh().await;
                tokio::select! {
                    () = names.keep_fresh() => {}
                    () = rounds(rng) => {}
                }
            }
        }
    }
}

/// The probes of one host under way.
struct Rounds {
    watched: Vec<Arc<Watched>>,
    schedule: Schedule,
    running: JoinSet<()>,
    /// Whose probe a task is.
    tasks: Vec<(Id, usize)>,
    /// Whose next probe is made because another host is late: it asks nobody in turn, or all that are slow would go on
    /// asking one another.
    asked: Vec<bool>,
}

impl Rounds {
    fn new(watched: Vec<Arc<Watched>>, rng: fastrand::Rng) -> Self {
        let schedule = Schedule::new(watched.len(), Instant::now(), rng);
        let asked = vec![false; watched.len()];
        Self { watched, schedule, running: JoinSet::new(), tasks: Vec::new(), asked }
    }

    async fn run(mut self, mut stop: oneshot::Receiver<()>) {
        let host = self.watched.first().map(|watched| Arc::clone(&watched.server.host));
        loop {
            let next = self.schedule.next();
            tokio::select! {
                () = until(next) => self.begin(),
                Some(ended) = self.running.join_next_with_id() => self.end(ended),
                Some(all) = wanted(host.as_deref()) => self.hasten(all),
                _ = &mut stop => break,
            }
        }
        while self.running.join_next().await.is_some() {}
    }

    /// Has those probed soon of which it is wanted, or all.
    fn hasten(&mut self, all: bool) {
        let now = Instant::now();
        for (number, watched) in self.watched.iter().enumerate() {
            if watched.server.is_probe_wanted() || all {
                self.schedule.hasten(number, now);
                self.asked[number] |= all;
            }
            if watched.server.is_probe_wanted_soon() {
                let soon = watched.pool.probe_interval_soon(&watched.server).unwrap_or(Duration::MAX / 4);
                self.schedule.bring_forward(number, now, soon);
            }
        }
    }

    fn begin(&mut self) {
        let now = Instant::now();
        for number in self.schedule.begin(now) {
            let watched = &self.watched[number];
            let asks = !std::mem::take(&mut self.asked[number]);
            if watched.pool.is_unprobed(&watched.server) {
                self.schedule.end(number, now, watched.interval());
                continue;
            }
            let task = self.running.spawn(probe(Arc::clone(watched), asks));
            self.tasks.push((task.id(), number));
        }
    }

    fn end(&mut self, ended: Result<(Id, ()), JoinError>) {
        // A probe that panicked is over too: its server goes on being watched.
        let id = ended.map_or_else(|error| error.id(), |(id, ())| id);
        let Some(place) = self.tasks.iter().position(|(task, _)| *task == id) else { return };
        let (_, number) = self.tasks.swap_remove(place);
        self.schedule.end(number, Instant::now(), self.watched[number].interval());
    }
}

impl Watched {
    /// Until the next probe, by what the last one made of the server's health.
    fn interval(&self) -> Duration {
        // A server that has left its pool is asked for no more; its monitor ends soon after.
        self.pool.probe_interval(&self.server).unwrap_or(Duration::MAX / 4)
    }
}

async fn until(next: Option<Instant>) {
    match next {
        Some(next) => sleep_until(next).await,
        None => std::future::pending().await,
    }
}

/// Waits until somebody wants this host probed; whether that is all of it.
async fn wanted(host: Option<&HostLink>) -> Option<bool> {
    let host = host?;
    host.probe.notified().await;
    Some(host.is_asked())
}

/// A probe that takes longer is late: there is reason to ask the server's sessions, and other hosts.
const LATE: Duration = Duration::from_millis(300);

/// One probe and what follows from it; `asks` is whether other hosts are asked if it is late.
async fn probe(watched: Arc<Watched>, asks: bool) {
    let Watched { pool, server, prober } = &*watched;
    let probing = Shown::of(server, Server::set_probing);
    let spec = server.spec();
    let Outcome { verdict, farewell, .. } = match server.probe_address() {
        Some(address) => {
            let probe = prober.probe(address, watched.interval(), Way::to(&spec));
            noting_lateness(&watched, asks, probe).await
        }
        None => Outcome { verdict: unresolved(), tls: None, farewell: None },
    };
    drop(probing);
    pool.apply(server, verdict);
    if let Some(farewell) = farewell {
        // On its own, so that a server that is slow to say goodbye is not probed less often for it.
        tokio::spawn(farewell.finish());
    }
}

/// Shows that a probe is late from when it is until it ends.
async fn noting_lateness(
    Watched { pool, server, .. }: &Watched,
    asks: bool,
    probe: impl Future<Output = Outcome>,
) -> Outcome {
    let mut probe = pin!(probe);
    tokio::select! {
        outcome = &mut probe => return outcome,
        () = sleep(LATE) => {}
    }
    let _late = Shown::of(server, Server::set_late);
    // Whose fault the silence is matters to its sessions, and who is down already has been told apart from us.
    if asks && server.counters.sessions() > 0 && pool.is_up(server) {
        pool.network.ask_others(&server.host.address);
    }
    probe.await
}

/// What is said of a server whose name has no address.
fn unresolved() -> Verdict {
    let detail = "its name has no address".to_owned();
    let evidence = Evidence { detail, ..Evidence::of(CheckStatus::L4Con, clock::wall()) };
    Verdict { state: Readiness::Down(DownCause::Unresolved), evidence, source: VerdictSource::Probe }
}

/// Shows something of a server for as long as this lives.
struct Shown<'a> {
    server: &'a Server,
    show: fn(&Server, bool),
}

impl<'a> Shown<'a> {
    fn of(server: &'a Server, show: fn(&Server, bool)) -> Self {
        show(server, true);
        Self { server, show }
    }
}

impl Drop for Shown<'_> {
    fn drop(&mut self) {
        (self.show)(self.server, false);
    }
}

#[cfg(test)]
mod tests;
