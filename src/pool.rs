//! The live state of one backend: who its servers are, how they stand, who gets the next session.
//!
//! Everything that a choice depends on is behind one lock, held for the choice and its counting and never across an
//! await. That makes least-connections exact, whatever number of workers ask. Checks write verdicts in ([`Pool::apply`]),
//! sessions take slots out ([`Pool::lease`]), pages read ([`Pool::snapshot`]); they never meet anywhere else.

pub mod asking;
pub mod conduct;
pub mod counters;
pub mod dials;
pub mod health;
pub mod heritage;
pub mod history;
pub mod network;
mod observed;
pub mod pace;
pub mod queue;
pub mod server;
pub mod sessions;
pub mod sources;
pub mod word;

mod authority;
mod expiry;
mod following;
mod forced;
mod lease;
mod member;
mod operator;
mod renewal;
mod report;
mod row;
mod slow_start;
mod standing;
mod state;
mod tier;

pub use self::heritage::Heritage;
pub use self::lease::{Lease, Leased, Refusal};
pub use self::renewal::Renewed;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use self::counters::Counters;
use self::member::Member;
use self::network::Network;
use self::server::Server;
use self::standing::Standing;
use self::state::State;
use self::tier::Tier;
use crate::clock;
use crate::event::{
    self, BackendSnapshot, CertificateExpiry, Change, DownCause, Evidence, NeverUp, Readiness, ServerChange,
    ServerSnapshot, ServerState, Verdict,
};
use crate::model::{self, ServerName};

/// Told of every change, by whoever brings it about; must not wait.
pub type Observe = Arc<dyn Fn(&Change) + Send + Sync>;

/// One backend while the process runs.
pub struct Pool {
    /// As it was configured when this pool was made: a reload makes another one of the same state.
    pub spec: Arc<model::Backend>,
    pub counters: Arc<Counters>,
    pub network: Arc<Network>,
    observe: Observe,
    state: Arc<Mutex<State>>,
}

/// Whoever was heard within this time is likely to be heard now.
const LATELY: Duration = Duration::from_secs(3);

/// Servers that a session has tried in vain.
pub type Tried = Vec<Arc<Server>>;

impl Pool {
    /// Probes of each server whose evidence is kept.
    pub const PROBES_KEPT: usize = Standing::PROBES_KEPT;

    /// The pool of one of this configuration's backends, all of whose hosts `network` must have.
    pub fn new(spec: model::Backend, network: &Arc<Network>, observe: Observe) -> Arc<Self> {
        let spec = Arc::new(spec);
        Arc::new(Self {
            spec: Arc::clone(&spec),
            counters: Arc::default(),
            network: Arc::clone(network),
            observe,
            state: Arc::new(Mutex::new(State::new(spec, network))),
        })
    }

    /// The pools of a configuration, in its order, and the network that they share.
    pub fn all(config: &model::Config, observe: &Observe) -> (Vec<Arc<Self>>, Arc<Network>) {
        let network = Network::new(&config.hosts, &config.backends);
        let pool = |spec: &model::Backend| Self::new(spec.clone(), &network, Arc::clone(observe));
        (config.backends.iter().map(pool).collect(), network)
    }

    /// A pool with a network of its own, as tests and benchmarks want it.
    pub fn alone(spec: model::Backend, observe: Observe) -> Arc<Self> {
        let mut hosts: Vec<model::Host> = Vec::new();
        for server in &spec.servers {
            if hosts.iter().all(|host| host.address != server.address.host) {
                hosts.push(model::Host { address: server.address.host.clone(), servers: Vec::new() });
            }
        }
        let network = Network::new(&hosts, std::slice::from_ref(&spec));
        Self::new(spec, &network, observe)
    }

    /// Its servers in file order.
    pub fn servers(&self) -> Vec<Arc<Server>> {
        self.lock().members.iter().map(|member| Arc::clone(&member.server)).collect()
    }

    /// Counts a verdict on a server, and tells what it changed.
    pub fn apply(self: &Arc<Self>, server: &Arc<Server>, mut verdict: Verdict) {
        let answered = match verdict.state {
            Readiness::Down(cause) => cause.is_answer(),
            Readiness::Ready | Readiness::Draining => true,
        };
        match verdict.state {
            _ if answered => {
                server.host.note_heard();
                server.note_answered();
            }
            Readiness::Down(DownCause::NoNetwork | DownCause::Local) => server.host.note_unroutable(),
            _ => {}
        }
        // Without a way to anybody, having none to this server says nothing of it.
        let weighs = self.spec.judged_by.weighs();
        if weighs && verdict.state == Readiness::Down(DownCause::NoNetwork) && !self.hears_others_than(server) {
            verdict.state = Readiness::Down(DownCause::Local);
        }
        let mut state = self.lock();
        let Some(member) = state.member(server) else { return };
        let passed = !matches!(verdict.state, Readiness::Down(_));
        let before = member.standing.reported();
        member.standing.apply(verdict, &server.counters);
        let report = self.report(member, before);
        if passed {
            member.failed_dials = 0;
        }
        let expiry = self.expiry_due(member);
        state.ever_up |= passed;
        state.find_strangers();
        self.tell_report(report);
        self.settle(state);
        if let Some(expiry) = expiry {
            (self.observe)(&Change::Certificate(expiry));
        }
    }

    /// What is to be told of the end of a server's certificate, if it is time.
    fn expiry_due(&self, member: &mut Member) -> Option<CertificateExpiry> {
        let (at, server) = (clock::wall(), &member.server.name);
        let (left, certificate) = member.standing.expiry_due(at)?;
        let (subject, not_after) = (certificate.subject.clone(), certificate.not_after);
        Some(CertificateExpiry {
            backend: self.spec.name.clone(),
            server: server.clone(),
            subject,
            not_after,
            left,
            at,
        })
    }

    /// Whether another host than this server's has been heard lately.
    fn hears_others_than(&self, server: &Server) -> bool {
        let lately = Instant::now().checked_sub(LATELY);
        lately.is_none_or(|lately| self.network.is_heard_since(lately, &server.host.address))
    }

    /// One of its servers as a page shows it; `None` if it is no longer here.
    pub fn server_snapshot(&self, server: &Arc<Server>) -> Option<ServerSnapshot> {
        self.lock().member(server).map(|member| member.snapshot())
    }

    /// What the last probes of a server saw, the oldest first: at most [`Pool::PROBES_KEPT`]; none if it isn't here.
    pub fn probes(&self, server: &ServerName) -> Vec<Evidence> {
        let state = self.lock();
        let member = state.members.iter().find(|member| member.server.name == *server);
        member.map(|member| member.standing.last_probes(Self::PROBES_KEPT)).unwrap_or_default()
    }

    /// Whether a server counts as up, by rise and fall alone; one that is not checked does.
    pub fn is_up(&self, server: &Arc<Server>) -> bool {
        self.lock().member(server).is_some_and(|member| member.standing.down().is_none())
    }

    /// From the start of a server's last probe until the next; `None` if it isn't checked or no longer here.
    pub fn probe_interval(&self, server: &Arc<Server>) -> Option<Duration> {
        let spec = server.spec();
        let check = spec.check.as_ref()?;
        self.lock().member(server).map(|member| member.standing.probe_interval(check))
    }

    /// How long from now until a probe that real traffic wants, by HAProxy's rule: the fast interval, but for a server that
    /// is down.
    pub fn probe_interval_soon(&self, server: &Arc<Server>) -> Option<Duration> {
        let spec = server.spec();
        let check = spec.check.as_ref()?;
        let mut state = self.lock();
        let down = state.member(server)?.standing.down().is_some();
        Some(if down { check.down_interval } else { check.fast_interval })
    }

    /// Works out what time alone changes: states that depend on the network, and what is due for the sessions.
    pub fn look(self: &Arc<Self>) {
        let mut state = self.lock();
        let wrong: Vec<NeverUp> = state.members.iter_mut().filter_map(|member| self.never_up(member)).collect();
        self.settle(state);
        wrong.into_iter().for_each(|told| (self.observe)(&Change::NeverUp(told)));
    }

    /// What is to be told of a server that has never been up, if it is time.
    fn never_up(&self, member: &mut Member) -> Option<NeverUp> {
        let (backend, server) = (self.spec.name.clone(), member.server.name.clone());
        let address = member.server.spec().address.to_string();
        member.standing.never_up_is_due().then(|| NeverUp { backend, server, address, at: clock::wall() })
    }

    /// Works out every server's state after something bore on one, and what follows for the pool and its queue: whether
    /// a server is in use may depend on the others.
    fn settle(self: &Arc<Self>, mut state: MutexGuard<'_, State>) {
        state.keep_some(&self.network);
        let mut changes = Vec::new();
        for place in 0..state.members.len() {
            let member = &mut state.members[place];
            let Some(from) = member.standing.settle() else { continue };
            member.slow_start.note(member.standing.state(), Instant::now());
            let (to, sessions, server) = (member.standing.state(), member.in_flight, Arc::clone(&member.server));
            // By HAProxy's way it counts as having gone down.
            let was_taken = to == ServerState::Maint && !matches!(from, ServerState::Down(_));
            if was_taken && !self.spec.judged_by.weighs() {
                counters::count(&server.counters.downs);
            }
            let (evidence, recent) = member.standing.grounds(from);
            let forced = member.standing.forced();
            let (active_left, backup_left) = state.usable();
            changes.push(ServerChange {
                backend: self.spec.name.clone(),
                server: server.name.clone(),
                from,
                to,
                evidence,
                recent,
                sessions,
                active_left,
                backup_left,
                at: clock::wall(),
                backup: state.members[place].backup,
                reported: self.spec.log_health_checks,
                is_listen: self.spec.is_listen,
                via: server.spec().track.clone(),
                forced,
            });
        }
        state.note_usable(&self.counters);
        state.heed();
        state.conduct(&self.network);
        drop(state);
        self.serve_queue();
        for change in changes {
            (self.observe)(&Change::Server(change));
        }
    }

    /// Whether a server is usable, whether one ever was, and since when it is so.
    pub fn usable(&self) -> Usable {
        let state = self.lock();
        Usable { now: state.up, ever: state.ever_up, since: state.since.1 }
    }

    /// How many servers take new sessions; see [`event::usable_servers`].
    pub fn usable_servers(&self) -> u32 {
        let (primaries, backups) = self.lock().usable();
        event::usable_servers(primaries, backups)
    }

    pub fn snapshot(&self) -> BackendSnapshot {
        let state = self.lock();
        let (active, backup) = state.usable();
        let tier = Tier::ORDER.into_iter().find(|tier| state.members.iter().any(|member| member.tier() == Some(*tier)));
        let in_use = state.members.iter().filter(|member| member.tier().is_some() && member.tier() == tier);
        let in_use: Vec<&Member> = if state.up { in_use.collect() } else { Vec::new() };
        let parts = in_use.iter().map(|member| member.parts()).sum();
        BackendSnapshot {
            id: self.spec.id,
            name: self.spec.name.clone(),
            balance: self.spec.balance,
            required: self.spec.required,
            up: state.up,
            since: state.since.0,
            ever_up: state.ever_up,
            active,
            backup,
            weight: in_use.iter().map(|member| u32::from(member.standing.weight.value())).sum(),
            effective_weight: in_use.first().map_or(0, |member| member.slow_start.whole(parts)),
            downtime: state.downtime + if state.up { Duration::ZERO } else { state.since.1.elapsed() },
            queued: u32::try_from(state.queue.len()).unwrap_or(u32::MAX),
            shared_source: state.shared_source(),
            counts: self.counters.counts(),
            servers: state.members.iter().map(Member::snapshot).collect(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // What a panic could leave half done here is one session's count; refusing all others would be worse.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What `/readyz` asks of a pool.
#[derive(Debug, Clone, Copy)]
pub struct Usable {
    pub now: bool,
    pub ever: bool,
    pub since: Instant,
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("name", &self.spec.name).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
