//! A frontend while it runs, and what all frontends share.

use std::fmt;
use std::net::SocketAddr;
use std::ptr;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use super::limit::{Limit, Permit};
use super::sources::Sources;
use super::table::Tables;
use super::trace::Traced;
use crate::event::{self, FrontendSnapshot, FrontendState};
use crate::model::{self, BackendName, Listen, ListenAddress, OnLimit, Policy, SessionAddress};
use crate::pool::counters::Counters;
use crate::pool::sessions::Way;
use crate::pool::{Observe, Pool};

/// What the sessions of all frontends share.
pub struct Process {
    pub policy: Policy,
    pub limit: Arc<Limit>,
    pub on_limit: OnLimit,
    pub counters: Arc<Counters>,
    /// Whose sessions are logged step by step.
    pub traced: Arc<Traced>,
    /// What is counted of sources, whichever frontend they come in by.
    pub tables: Tables,
    /// Told of limits that are reached.
    pub observe: Observe,
    accept_pauses: Arc<AtomicU64>,
}

impl Process {
    /// `max_sessions` is what the descriptors can hold of the configured limit.
    pub fn new(config: &model::Config, max_sessions: u32, observe: Observe) -> Arc<Self> {
        Arc::new(Self {
            policy: config.policy.clone(),
            limit: Limit::new(max_sessions),
            on_limit: config.limits.on_limit,
            counters: Arc::default(),
            traced: Arc::default(),
            tables: Tables::new(&config.tables),
            observe,
            accept_pauses: Arc::default(),
        })
    }

    /// The same process under a new configuration.
    pub fn renewed(&self, config: &model::Config, max_sessions: u32) -> Arc<Self> {
        self.limit.set_max(max_sessions);
        Arc::new(Self {
            policy: config.policy.clone(),
            limit: Arc::clone(&self.limit),
            on_limit: config.limits.on_limit,
            counters: Arc::clone(&self.counters),
            traced: Arc::clone(&self.traced),
            tables: self.tables.renewed(&config.tables),
            observe: Arc::clone(&self.observe),
            accept_pauses: Arc::clone(&self.accept_pauses),
        })
    }

    /// Notes that accepting pauses for want of a resource.
    pub fn note_accept_pause(&self) {
        self.accept_pauses.fetch_add(1, Relaxed);
    }

    pub fn accept_pauses(&self) -> u64 {
        self.accept_pauses.load(Relaxed)
    }
}

impl fmt::Debug for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Process").field("limit", &self.limit).finish_non_exhaustive()
    }
}

/// One entry point, as one configuration has it: a session goes on by the one that it came in by.
#[derive(Debug)]
pub struct Frontend {
    pub spec: model::Frontend,
    /// For sessions that no route leads elsewhere.
    pub pool: Arc<Pool>,
    /// The others that its routes and rules name.
    others: Vec<Arc<Pool>>,
    pub counters: Arc<Counters>,
    pub process: Arc<Process>,
    limit: Arc<Limit>,
    /// In the order of its listeners.
    doors: Vec<Arc<Door>>,
    /// `None` if it treats all sources alike.
    pub sources: Option<Arc<Sources>>,
    /// Whether an operator has closed it.
    state: Arc<Mutex<FrontendState>>,
}

/// The backends that a frontend leads to or asks about.
#[derive(Debug)]
pub struct Backends {
    pub own: Arc<Pool>,
    pub others: Vec<Arc<Pool>>,
}

impl From<Arc<Pool>> for Backends {
    fn from(own: Arc<Pool>) -> Self {
        Self { own, others: Vec::new() }
    }
}

impl Backends {
    /// Those of all that this frontend names.
    pub fn of(spec: &model::Frontend, all: &[Arc<Pool>]) -> Self {
        let own = all.iter().find(|pool| pool.spec.name == spec.backend);
        let others = all.iter().filter(|pool| spec.other_backends().any(|name| *name == pool.spec.name));
        Self {
            own: Arc::clone(own.expect("a resolved configuration names existing backends only")),
            others: others.cloned().collect(),
        }
    }
}

/// A listener of a frontend, as those see it who come in there.
#[derive(Debug)]
pub struct Door {
    /// Among those of its frontend, from 1.
    pub number: u32,
    pub spec: Listen,
    /// Of sessions that have come in there.
    limit: Arc<Limit>,
}

/// A session's part of the process's limit, of its frontend's and of its listener's.
#[derive(Debug)]
pub struct Permits {
    _process: Permit,
    _frontend: Permit,
    /// `None` if the listener limits nothing.
    _door: Option<Permit>,
}

impl Frontend {
    /// `pools` are the backends that the configuration names.
    pub fn new(spec: model::Frontend, pools: impl Into<Backends>, process: Arc<Process>) -> Arc<Self> {
        let Backends { own: pool, others } = pools.into();
        let limit = Limit::new(spec.max_sessions.unwrap_or(u32::MAX));
        let sources = Sources::new(spec.by_source.clone());
        let doors = (1..).zip(&spec.listen).map(|(number, listen)| Door::new(number, listen.clone())).collect();
        let (counters, state) = (Arc::default(), Arc::default());
        Arc::new(Self { spec, pool, others, counters, process, limit, doors, sources, state })
    }

    /// The same frontend under a new configuration: what is counted goes on being counted.
    pub fn renewed(&self, spec: model::Frontend, pools: impl Into<Backends>, process: Arc<Process>) -> Arc<Self> {
        let Backends { own: pool, others } = pools.into();
        self.limit.set_max(spec.max_sessions.unwrap_or(u32::MAX));
        let sources = Sources::renewed(self.sources.as_ref(), spec.by_source.clone());
        let (counters, limit) = (Arc::clone(&self.counters), Arc::clone(&self.limit));
        let doors = (1..).zip(&spec.listen);
        let doors = doors.map(|(number, listen)| self.door(listen.address).renewed(number, listen.clone())).collect();
        let state = Arc::clone(&self.state);
        Arc::new(Self { spec, pool, others, counters, process, limit, doors, sources, state })
    }

    /// Whether clients are let in, by an operator's word.
    pub fn state(&self) -> FrontendState {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says so; it holds over reloads, unless they open what was closed for good.
    pub fn set_state(&self, state: FrontendState) {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = state;
    }

    /// One of the backends that it names.
    pub fn pool_of(&self, backend: &BackendName) -> Option<&Arc<Pool>> {
        [&self.pool].into_iter().chain(&self.others).find(|pool| pool.spec.name == *backend)
    }

    /// Its first door, for a client that has come in by none.
    #[cfg(test)]
    pub fn any_door(&self) -> Arc<Door> {
        Arc::clone(&self.doors[0])
    }

    /// The door at this address; one about which nothing is said if it has none there.
    pub fn door(&self, address: ListenAddress) -> Arc<Door> {
        let door = self.doors.iter().find(|door| door.spec.address == address);
        door.map_or_else(|| Door::new(0, address.into()), Arc::clone)
    }

    /// Takes what one session that comes in at this door needs, the process's part first; the limit that is in the way
    /// otherwise.
    pub fn permits<'a>(&'a self, door: &'a Door) -> Result<Permits, &'a Arc<Limit>> {
        let process = self.process.limit.take().ok_or(&self.process.limit)?;
        let frontend = self.limit.take().ok_or(&self.limit)?;
        let door = match door.spec.max_sessions {
            Some(_) => Some(door.limit.take().ok_or(&door.limit)?),
            None => None,
        };
        Ok(Permits { _process: process, _frontend: frontend, _door: door })
    }

    /// What one of its limits is, as people are told of it.
    pub fn whose(&self, limit: &Limit, door: &Door) -> event::Limit {
        let (max_sessions, then) = (limit.max(), self.process.on_limit);
        if ptr::eq(limit, self.process.limit.as_ref()) {
            event::Limit::Process { max_sessions, then }
        } else if ptr::eq(limit, door.limit.as_ref()) {
            event::Limit::Listener { listen: door.spec.to_string(), max_sessions, then }
        } else {
            event::Limit::Frontend { max_sessions, then }
        }
    }

    /// As the registry of sessions has it.
    pub fn way(&self) -> Way {
        Way { frontend: self.spec.name.clone(), backend: self.pool.spec.name.clone() }
    }

    pub fn snapshot(&self) -> FrontendSnapshot {
        FrontendSnapshot {
            id: self.spec.id,
            name: self.spec.name.clone(),
            listen: self.spec.addresses().collect(),
            backend: self.spec.backend.clone(),
            routes: self.spec.routes.iter().map(|route| route.backend.clone()).collect(),
            max_sessions: self.spec.max_sessions,
            full: self.limit.is_full(),
            limit_reached: self.limit.reached(),
            counts: self.counters.counts(),
            state: self.state(),
        }
    }
}

impl Door {
    fn new(number: u32, spec: Listen) -> Arc<Self> {
        let limit = Limit::new(spec.max_sessions.unwrap_or(u32::MAX));
        Arc::new(Self { number, spec, limit })
    }

    /// An end of a connection that has come in here; the kernel says no address of a unix socket's.
    pub fn end(&self, address: Option<SocketAddr>) -> SessionAddress {
        address.map_or(SessionAddress::Unix { listener: self.number }, SessionAddress::Ip)
    }

    /// The same door under a new configuration: who has come in goes on counting.
    fn renewed(&self, number: u32, spec: Listen) -> Arc<Self> {
        self.limit.set_max(spec.max_sessions.unwrap_or(u32::MAX));
        Arc::new(Self { number, spec, limit: Arc::clone(&self.limit) })
    }
}
