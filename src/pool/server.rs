//! One server while it runs: its standing, and the one function that says what becomes of new sessions there.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use super::counters::Counters;
use super::health::{Health, Turn};
use crate::clock;
use crate::event::{
    AdminState, Certificate, CheckSnapshot, DownCause, Evidence, Readiness, ServerSnapshot, ServerState, Verdict,
    VerdictSource,
};
use crate::model::{self, HostAddress, Weight};

/// A member of a backend: what does not change while it lives, and what is counted of it.
///
/// What the choice of servers depends on stands in the pool, under its lock.
#[derive(Debug)]
pub struct Server {
    pub spec: model::Server,
    /// Identifies it to the balance methods across lists and processes.
    pub key: u64,
    pub counters: Arc<Counters>,
    address: Mutex<Option<SocketAddr>>,
    probing: AtomicBool,
}

impl Server {
    pub fn new(spec: model::Server) -> Arc<Self> {
        let address = match &spec.address.host {
            HostAddress::Ip(ip) => Some(SocketAddr::new(*ip, spec.address.port)),
            HostAddress::Name(_) => None,
        };
        Arc::new(Self {
            key: crate::balance::server_key(spec.name.as_str()),
            spec,
            counters: Arc::default(),
            address: Mutex::new(address),
            probing: AtomicBool::new(false),
        })
    }

    /// Where to dial; `None` while its name has no address.
    pub fn address(&self) -> Option<SocketAddr> {
        *self.address.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The last good answer for its name.
    pub fn set_address(&self, address: SocketAddr) {
        *self.address.lock().unwrap_or_else(PoisonError::into_inner) = Some(address);
    }

    /// Where to probe: its address, on the check's port if it has one.
    pub fn probe_address(&self) -> Option<SocketAddr> {
        let port = self.check().and_then(|check| check.port);
        self.address().map(|address| SocketAddr::new(address.ip(), port.unwrap_or(address.port())))
    }

    pub fn check(&self) -> Option<&model::Check> {
        self.spec.check.as_ref()
    }

    /// Says whether a probe of it is under way.
    pub fn set_probing(&self, probing: bool) {
        self.probing.store(probing, Relaxed);
    }
}

/// Where a server stands: what operator and verdicts made of it. Part of the pool's locked state.
#[derive(Debug)]
pub struct Standing {
    pub admin: AdminState,
    pub weight: Weight,
    /// `None` if it is not checked.
    health: Option<Health>,
    /// Whether it takes new work, by its own word: counted as health is, so that one odd answer is not enough.
    willing: Option<Health>,
    cause: DownCause,
    state: ServerState,
    since: (SystemTime, Instant),
    /// Finished times of being down.
    downtime: Duration,
    last: Option<Evidence>,
    certificate: Option<Certificate>,
}

/// All that bears on a server's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Inputs {
    pub admin: AdminState,
    /// By rise and fall; `None` if it is not checked.
    pub up: Option<bool>,
    /// Whether it says, by rise and fall, that it takes new work.
    pub willing: bool,
    /// Why it is down, if it is.
    pub cause: DownCause,
}

/// What becomes of new sessions: the operator's word lies on top of the server's own, and that on top of health.
pub fn effective(inputs: Inputs) -> ServerState {
    match inputs.admin {
        AdminState::Maint => ServerState::Maint,
        _ if inputs.up == Some(false) => ServerState::Down(inputs.cause),
        AdminState::Drain => ServerState::Drain,
        AdminState::Ready if !inputs.willing => ServerState::Draining,
        AdminState::Ready => ServerState::Ready,
    }
}

impl Standing {
    /// A checked server starts up, but one failure from down.
    pub fn starting(spec: &model::Server) -> Self {
        let admin = if spec.disabled { AdminState::Maint } else { AdminState::Ready };
        let health = spec.check.as_ref().map(|check| Health::starting(check.rise, check.fall));
        let mut standing = Self {
            admin,
            weight: spec.weight,
            willing: health.clone(),
            health,
            cause: DownCause::Unreachable,
            state: ServerState::Ready,
            since: (clock::wall(), Instant::now()),
            downtime: Duration::ZERO,
            last: None,
            certificate: None,
        };
        standing.state = effective(standing.inputs());
        standing
    }

    fn inputs(&self) -> Inputs {
        Inputs {
            admin: self.admin,
            up: self.health.as_ref().map(Health::is_up),
            willing: self.willing.as_ref().is_none_or(Health::is_up),
            cause: self.cause,
        }
    }

    pub fn state(&self) -> ServerState {
        self.state
    }

    /// Until the next probe is due, from the start of the last.
    pub fn probe_interval(&self, check: &model::Check) -> Duration {
        self.health.as_ref().map_or(check.interval, |health| health.interval(check))
    }

    /// Counts a verdict; says whether health changed sides.
    pub fn apply(&mut self, verdict: Verdict, counters: &Counters) -> Option<Turn> {
        let Verdict { state, evidence, source } = verdict;
        if evidence.certificate.is_some() {
            self.certificate.clone_from(&evidence.certificate);
        }
        if source == VerdictSource::Probe {
            self.last = Some(evidence);
        }
        let health = self.health.as_mut()?;
        let was_up = health.is_up();
        let turn = match state {
            // An error of our own says nothing of the server.
            Readiness::Down(DownCause::Local) => return None,
            Readiness::Down(cause) => {
                if was_up {
                    super::counters::count(&counters.check_failures);
                }
                self.cause = cause;
                health.apply(false)
            }
            Readiness::Ready | Readiness::Draining => health.apply(true),
        };
        if let Some(willing) = self.willing.as_mut() {
            match state {
                Readiness::Draining => drop(willing.apply(false)),
                Readiness::Ready => drop(willing.apply(true)),
                Readiness::Down(_) => {}
            }
        }
        if turn == Some(Turn::Down) {
            super::counters::count(&counters.downs);
        }
        turn
    }

    /// Works out the state anew; the old one if it is another kind of state now.
    pub fn settle(&mut self) -> Option<ServerState> {
        let (old, new) = (self.state, effective(self.inputs()));
        self.state = new;
        if std::mem::discriminant(&old) == std::mem::discriminant(&new) {
            return None;
        }
        let (_, since) = self.since;
        if matches!(old, ServerState::Down(_)) {
            self.downtime += since.elapsed();
        }
        self.since = (clock::wall(), Instant::now());
        Some(old)
    }

    pub fn snapshot(&self, server: &Server) -> ServerSnapshot {
        let running = matches!(self.state, ServerState::Down(_)).then(|| self.since.1.elapsed());
        ServerSnapshot {
            id: server.spec.id,
            name: server.spec.name.clone(),
            address: server.spec.address.clone(),
            host: server.spec.address.host.clone(),
            weight: self.weight,
            backup: server.spec.backup,
            max_sessions: server.spec.max_sessions,
            state: self.state,
            admin: self.admin,
            since: self.since.0,
            check: server.check().zip(self.health.as_ref()).map(|(check, health)| CheckSnapshot {
                kind: check.probe.kind(),
                rise: check.rise,
                fall: check.fall,
                health: health.counter(),
                running: server.probing.load(Relaxed),
                last: self.last.clone(),
                certificate: self.certificate.clone(),
            }),
            downtime: self.downtime + running.unwrap_or_default(),
            counts: server.counters.counts(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WELL: Inputs = Inputs { admin: AdminState::Ready, up: Some(true), willing: true, cause: DownCause::Refused };

    #[test]
    fn maintenance_lies_on_top_of_everything() {
        let inputs = Inputs { admin: AdminState::Maint, up: Some(false), willing: false, ..WELL };
        assert_eq!(effective(inputs), ServerState::Maint);
    }

    #[test]
    fn a_server_in_drain_that_is_down_is_down() {
        let drain = Inputs { admin: AdminState::Drain, ..WELL };
        assert_eq!(effective(drain), ServerState::Drain);
        assert_eq!(effective(Inputs { up: Some(false), ..drain }), ServerState::Down(DownCause::Refused));
    }

    #[test]
    fn who_takes_no_new_work_drains_while_it_lives() {
        let unwilling = Inputs { willing: false, ..WELL };
        assert_eq!(effective(unwilling), ServerState::Draining);
        assert_eq!(effective(Inputs { up: None, ..unwilling }), ServerState::Draining);
        assert_eq!(effective(Inputs { up: Some(false), ..unwilling }), ServerState::Down(DownCause::Refused));
    }

    #[test]
    fn without_a_check_a_server_is_ready() {
        assert_eq!(effective(Inputs { up: None, ..WELL }), ServerState::Ready);
    }
}
