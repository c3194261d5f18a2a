//! One server while it runs: who it is, what is counted of it, and what any thread may ask of it.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::conduct::Conduct;
use super::counters::Counters;
use super::network::HostLink;
use super::pace::Pace;
use crate::event::DrainSnapshot;
use crate::model::{self, Endpoint, HostAddress, ServerName};

/// A member of a backend: who it is, and what is counted of it. A reload that leaves its name and its address leaves it.
///
/// What the choice of servers depends on stands in the pool, under its lock.
#[derive(Debug)]
pub struct Server {
    pub name: ServerName,
    pub endpoint: Endpoint,
    spec: Mutex<Arc<model::Server>>,
    /// Identifies it to the balance methods across lists and processes.
    pub key: u64,
    pub counters: Arc<Counters>,
    /// The machine that it runs on.
    pub host: Arc<HostLink>,
    address: Mutex<Option<SocketAddr>>,
    probing: AtomicBool,
    probe_wanted: AtomicBool,
    probe_wanted_soon: AtomicBool,
    late: AtomicBool,
    agent_asked: AtomicBool,
    /// When a dial of it was last found silent, by its host's moments; 0 if it has answered since.
    silent: AtomicU64,
    conduct: AtomicU8,
    pace: Mutex<Pace>,
    drain: Mutex<Option<DrainSnapshot>>,
}

/// For how long one silent dial speaks against a server: by then a probe of it has told more.
const SILENCE: Duration = Duration::from_secs(2);

impl Server {
    /// `kill_spread` is over how long its sessions are closed at most.
    pub fn new(spec: model::Server, host: Arc<HostLink>, kill_spread: Duration) -> Arc<Self> {
        Self::counted_by(Arc::default(), spec, host, kill_spread)
    }

    /// The same server at another address: what is counted of it goes on being counted.
    pub(super) fn moved(&self, spec: model::Server, host: Arc<HostLink>, kill_spread: Duration) -> Arc<Self> {
        Self::counted_by(Arc::clone(&self.counters), spec, host, kill_spread)
    }

    fn counted_by(
        counters: Arc<Counters>,
        spec: model::Server,
        host: Arc<HostLink>,
        kill_spread: Duration,
    ) -> Arc<Self> {
        let address = match &spec.address.host {
            HostAddress::Ip(ip) => Some(SocketAddr::new(*ip, spec.address.port)),
            HostAddress::Name(_) => spec.initial_address.map(|ip| SocketAddr::new(ip, spec.address.port)),
        };
        Arc::new(Self {
            key: crate::balance::server_key(spec.name.as_str()),
            name: spec.name.clone(),
            endpoint: spec.address.clone(),
            spec: Mutex::new(Arc::new(spec)),
            counters,
            host,
            address: Mutex::new(address),
            probing: AtomicBool::new(false),
            probe_wanted: AtomicBool::new(false),
            probe_wanted_soon: AtomicBool::new(false),
            late: AtomicBool::new(false),
            agent_asked: AtomicBool::new(false),
            silent: AtomicU64::new(0),
            conduct: AtomicU8::new(Conduct::Leave.code()),
            pace: Mutex::new(Pace::new(kill_spread)),
            drain: Mutex::default(),
        })
    }

    /// Whether this is the server that a configuration means.
    pub(super) fn is(&self, spec: &model::Server) -> bool {
        self.name == spec.name && self.endpoint == spec.address
    }

    /// As it is configured now.
    pub fn spec(&self) -> Arc<model::Server> {
        Arc::clone(&self.spec.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes what a new configuration says of it.
    pub(super) fn renew(&self, spec: model::Server, kill_spread: Duration) {
        *self.spec.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(spec);
        self.pace.lock().unwrap_or_else(PoisonError::into_inner).renew(kill_spread);
    }

    /// Where to dial; `None` while its name has no address.
    pub fn address(&self) -> Option<SocketAddr> {
        *self.address.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The last good answer for its name.
    pub fn set_address(&self, address: SocketAddr) {
        *self.address.lock().unwrap_or_else(PoisonError::into_inner) = Some(address);
    }

    /// Where to probe: its address and port, unless the check has others.
    pub fn probe_address(&self) -> Option<SocketAddr> {
        let spec = self.spec();
        let (own, check) = (self.address(), spec.check.as_ref());
        let port = check.and_then(|check| check.port).unwrap_or(self.endpoint.port);
        let ip = match check.and_then(|check| check.address) {
            Some(other) => other,
            None => own?.ip(),
        };
        Some(SocketAddr::new(ip, port))
    }

    /// Whether a probe of it is under way.
    pub(super) fn is_probed(&self) -> bool {
        self.probing.load(Relaxed)
    }

    /// Says whether a probe of it is under way.
    pub fn set_probing(&self, probing: bool) {
        self.probing.store(probing, Relaxed);
    }

    /// Says whether its agent is being asked.
    pub fn set_agent_asked(&self, asked: bool) {
        self.agent_asked.store(asked, Relaxed);
    }

    pub(super) fn is_agent_asked(&self) -> bool {
        self.agent_asked.load(Relaxed)
    }

    /// Has it probed as soon as its monitor allows.
    pub fn want_probe(&self) {
        self.probe_wanted.store(true, Relaxed);
        self.host.probe.notify_one();
    }

    /// Has it probed after its fast interval, if it isn't to be before.
    pub(super) fn want_probe_soon(&self) {
        self.probe_wanted_soon.store(true, Relaxed);
        self.host.probe.notify_one();
    }

    /// Whether a probe is wanted after the fast interval; said once.
    pub fn is_probe_wanted_soon(&self) -> bool {
        self.probe_wanted_soon.swap(false, Relaxed)
    }

    /// Whether a probe is wanted now; said once.
    pub fn is_probe_wanted(&self) -> bool {
        self.probe_wanted.swap(false, Relaxed)
    }

    /// Notes whether its answer to a probe is late at the moment.
    pub fn set_late(&self, late: bool) {
        self.late.store(late, Relaxed);
    }

    /// Whether an answer of it, to a probe or a dial, is late at the moment.
    pub fn is_late(&self) -> bool {
        self.late.load(Relaxed) || self.is_silent()
    }

    /// Notes that a dial of it is silent.
    pub(super) fn note_silent(&self) {
        self.silent.store(self.host.moment(), Relaxed);
    }

    /// Notes that it has answered a dial or a probe, whatever it said.
    pub(super) fn note_answered(&self) {
        self.silent.store(0, Relaxed);
    }

    /// Whether a dial of it has been silent lately, and nothing has been heard of it since.
    pub fn is_silent(&self) -> bool {
        self.host.at(&self.silent).is_some_and(|at| at.elapsed() < SILENCE)
    }

    /// The drain over a time that is under way.
    pub(super) fn drain(&self) -> Option<DrainSnapshot> {
        *self.drain.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says how a drain over a time has begun, or that there is none.
    pub fn set_drain(&self, drain: Option<DrainSnapshot>) {
        *self.drain.lock().unwrap_or_else(PoisonError::into_inner) = drain;
    }

    /// What is to be done with its sessions.
    pub fn conduct(&self) -> Conduct {
        Conduct::from_code(self.conduct.load(Relaxed))
    }

    pub(super) fn set_conduct(&self, conduct: Conduct) {
        self.conduct.store(conduct.code(), Relaxed);
    }

    /// Asks to close one of its sessions now, which are closed one by one so that their clients don't all come back at once.
    pub fn may_close_one(&self) -> bool {
        let sessions = self.counters.sessions();
        self.pace.lock().unwrap_or_else(PoisonError::into_inner).take(Instant::now(), sessions)
    }
}
