//! A server as its pool has it: where it stands, and what the choice knows of it.

use std::sync::Arc;

use tokio::time::Instant;

use super::Tried;
use super::conduct::Conduct;
use super::network::Network;
use super::queue::Queue;
use super::room::{self, Load, Occupancy};
use super::row::Row;
use super::server::Server;
use super::slow_start::{Pace, SlowStart};
use super::standing::Standing;
use super::tier::Tier;
use crate::balance::{Candidate, Given};
use crate::event::{AdminState, ServerSnapshot};
use crate::model::{self, Balance};

/// A server and what the choice knows of it.
#[derive(Debug)]
pub(super) struct Member {
    pub server: Arc<Server>,
    pub standing: Standing,
    pub backup: bool,
    max_sessions: Option<u32>,
    min_sessions: Option<u32>,
    max_queue: Option<u32>,
    /// Who waits for it alone.
    pub queue: Queue,
    pub in_flight: u32,
    /// Sessions that a process which this one has replaced still has there.
    pub elsewhere: u32,
    /// Those of them whose connections do not stand yet, and how many there may be.
    pub dialling: u32,
    max_dials: u32,
    pub last_chosen: u64,
    pub refusals: Row,
    /// A dial of it is silent.
    pub silent: bool,
    pub slow_start: SlowStart,
    /// Dials of it in a row that have failed, where it is watched for that.
    pub failed_dials: u32,
    /// How often that was more than the server may have.
    pub failed_rows: u64,
    /// Whether it gets sessions, if need be, though it says it takes no new work.
    draining_serves: bool,
}

impl Member {
    pub fn new(spec: model::Server, backend: &model::Backend, network: &Network) -> Self {
        let standing = Standing::starting(&spec, backend.judged_by);
        let slow_start = SlowStart::new(spec.slow_start.or(backend.slow_start), pace(backend));
        let host = network.host(&spec.address.host).expect("a network has the hosts of all servers");
        let (backup, max_sessions, min_sessions) = (spec.backup, spec.max_sessions, spec.min_sessions);
        let max_queue = spec.max_queue;
        Self {
            server: Server::new(spec, host, backend.closing.kill_spread),
            standing,
            backup,
            max_sessions,
            min_sessions,
            max_queue,
            queue: Queue::default(),
            in_flight: 0,
            elsewhere: 0,
            dialling: 0,
            max_dials: backend.max_dials,
            last_chosen: 0,
            refusals: Row::default(),
            silent: false,
            slow_start,
            failed_dials: 0,
            failed_rows: 0,
            draining_serves: backend.judged_by.weighs(),
        }
    }

    /// Takes over what a new configuration says of the server, which stays who it was: what an operator has set stays,
    /// unless the file says something else than before, and another check begins anew.
    pub fn renew(&mut self, spec: model::Server, backend: &model::Backend) {
        let old = self.server.spec();
        if spec.weight != old.weight {
            (self.standing.weight, self.standing.orders.weight) = (spec.weight, None);
        }
        if spec.disabled != old.disabled {
            self.standing.admin = if spec.disabled { AdminState::Maint } else { AdminState::Ready };
            self.standing.orders.admin = None;
        }
        self.standing.renew(&spec, spec.check != old.check, backend.judged_by);
        (self.backup, self.max_sessions, self.max_dials) = (spec.backup, spec.max_sessions, backend.max_dials);
        (self.min_sessions, self.max_queue) = (spec.min_sessions, spec.max_queue);
        self.draining_serves = backend.judged_by.weighs();
        self.slow_start.renew(spec.slow_start.or(backend.slow_start));
        self.server.renew(spec, backend.closing.kill_spread);
    }

    /// Has it be at another address: what is known and counted of it stays, and sessions at the old one weigh no more.
    pub fn move_to(&mut self, spec: model::Server, backend: &model::Backend, network: &Network) {
        let host = network.host(&spec.address.host).expect("a network has the hosts of all servers");
        self.server.set_conduct(Conduct::Leave);
        self.server = self.server.moved(spec, host, backend.closing.kill_spread);
        (self.in_flight, self.elsewhere, self.dialling, self.silent) = (0, 0, 0, false);
    }

    pub fn tier(&self) -> Option<Tier> {
        Tier::of(&self.standing, self.backup, self.silent).filter(|tier| self.draining_serves || !tier.is_draining())
    }

    pub fn is_usable(&self) -> bool {
        self.standing.state().is_usable() && self.tier().is_some()
    }

    /// Whether it will be usable by what is known of it alone, whatever the others are.
    pub fn stands_by_itself(&self) -> bool {
        self.standing.weight.value() > 0 && self.standing.due().is_usable()
    }

    pub fn snapshot(&self) -> ServerSnapshot {
        let (throttle, effective_weight) =
            (self.slow_start.throttle(Instant::now()), self.slow_start.whole(self.parts()));
        let failed_rows = self.server.spec().observe.map(|_| self.failed_rows);
        ServerSnapshot {
            throttle,
            effective_weight,
            failed_rows,
            ..self.standing.snapshot(&self.server, self.elsewhere)
        }
    }

    /// What its weight is worth now, in the parts that its share grows by.
    pub fn parts(&self) -> u32 {
        self.slow_start.weigh(self.standing.weight.value(), Instant::now).into()
    }

    pub fn has_room(&self, load: Load) -> bool {
        self.occupancy(load).has_slot()
    }

    pub fn occupancy(&self, load: Load) -> Occupancy {
        Occupancy {
            sessions: self.in_flight + self.elsewhere,
            limit: self.limit(load),
            dialled: self.dialling >= self.max_dials,
            waiting: u32::try_from(self.queue.len()).unwrap_or(u32::MAX),
            max_waiting: self.max_queue,
        }
    }

    /// How many sessions it may have at this load; `None` if any number.
    fn limit(&self, load: Load) -> Option<u32> {
        let most = self.max_sessions?;
        let limit = self.min_sessions.map_or(most, |least| room::limit(least, most, load));
        Some(self.slow_start.limit(limit, Instant::now))
    }

    /// Whether what it may have grows with time alone.
    pub fn is_growing(&self) -> bool {
        self.max_sessions.is_some() && self.slow_start.throttle(Instant::now()).is_some()
    }

    pub fn is_among(&self, tried: &Tried) -> bool {
        tried.iter().any(|server| Arc::ptr_eq(server, &self.server))
    }

    /// As a method sees it; one that is none of those which may be chosen has no weight.
    pub fn candidate(&self, method: Balance, may_be_chosen: bool, is_free: bool) -> Candidate {
        let full = self.standing.weight.value();
        let weight = match method {
            _ if !may_be_chosen => 0,
            // Their tables have whole servers only.
            Balance::StaticRoundRobin | Balance::SourceMap | Balance::SourceMixedMap => full,
            _ => self.slow_start.weigh(full, Instant::now),
        };
        Candidate {
            key: self.server.key,
            number: self.server.spec().id.0,
            weight,
            is_free,
            // Those who wait for it will be there before anybody else.
            in_flight: self.in_flight + self.elsewhere + u32::try_from(self.queue.len()).unwrap_or(u32::MAX),
            last_chosen: self.last_chosen,
            given: Given::default(),
            drawn: false,
        }
    }
}

fn pace(backend: &model::Backend) -> Pace {
    if backend.judged_by.weighs() { Pace::Even } else { Pace::Haproxys }
}
