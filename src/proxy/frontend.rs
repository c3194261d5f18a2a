//! A frontend while it runs, and what all frontends share.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use super::limit::{Limit, Permit};
use super::sources::Sources;
use super::trace::Traced;
use crate::event::{FrontendSnapshot, FrontendState};
use crate::model::{self, OnLimit, Policy};
use crate::pool::counters::Counters;
use crate::pool::sessions::Way;
use crate::pool::{Observe, Pool};

/// What the sessions of all frontends share.
pub struct Process {
    pub policy: Policy,
    pub limit: Arc<Limit>,
    pub on_limit: OnLimit,
    pub counters: Arc<Counters>,
    /// Whether a session that moved no byte has a log line.
    pub log_null_sessions: bool,
    /// Whose sessions are logged step by step.
    pub traced: Arc<Traced>,
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
            log_null_sessions: config.log.null_sessions,
            traced: Arc::default(),
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
            log_null_sessions: config.log.null_sessions,
            traced: Arc::clone(&self.traced),
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
    pub pool: Arc<Pool>,
    pub counters: Arc<Counters>,
    pub process: Arc<Process>,
    limit: Arc<Limit>,
    /// `None` if it treats all sources alike.
    pub sources: Option<Arc<Sources>>,
    /// Whether an operator has closed it.
    state: Arc<Mutex<FrontendState>>,
}

/// A session's part of the process's limit and of its frontend's.
#[derive(Debug)]
pub struct Permits {
    _process: Permit,
    _frontend: Permit,
}

impl Frontend {
    /// `pool` is the backend that the configuration names.
    pub fn new(spec: model::Frontend, pool: Arc<Pool>, process: Arc<Process>) -> Arc<Self> {
        let limit = Limit::new(spec.max_sessions.unwrap_or(u32::MAX));
        let sources = Sources::new(spec.by_source.clone());
        Arc::new(Self { spec, pool, counters: Arc::default(), process, limit, sources, state: Arc::default() })
    }

    /// The same frontend under a new configuration: what is counted goes on being counted.
    pub fn renewed(&self, spec: model::Frontend, pool: Arc<Pool>, process: Arc<Process>) -> Arc<Self> {
        self.limit.set_max(spec.max_sessions.unwrap_or(u32::MAX));
        let sources = Sources::renewed(self.sources.as_ref(), spec.by_source.clone());
        let (counters, limit) = (Arc::clone(&self.counters), Arc::clone(&self.limit));
        let state = Arc::clone(&self.state);
        Arc::new(Self { spec, pool, counters, process, limit, sources, state })
    }

    /// Whether clients are let in, by an operator's word.
    pub fn state(&self) -> FrontendState {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says so; it holds over reloads, unless they open what was closed for good.
    pub fn set_state(&self, state: FrontendState) {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = state;
    }

    /// Takes what one session needs, the process's part first; the limit that is in the way otherwise.
    pub fn permits(&self) -> Result<Permits, &Arc<Limit>> {
        let process = self.process.limit.take().ok_or(&self.process.limit)?;
        let frontend = self.limit.take().ok_or(&self.limit)?;
        Ok(Permits { _process: process, _frontend: frontend })
    }

    /// As the registry of sessions has it.
    pub fn way(&self) -> Way {
        Way { frontend: self.spec.name.clone(), backend: self.pool.spec.name.clone() }
    }

    pub fn snapshot(&self) -> FrontendSnapshot {
        FrontendSnapshot {
            id: self.spec.id,
            name: self.spec.name.clone(),
            listen: self.spec.listen.clone(),
            backend: self.spec.backend.clone(),
            max_sessions: self.spec.max_sessions,
            full: self.limit.is_full(),
            limit_reached: self.limit.reached(),
            counts: self.counters.counts(),
            state: self.state(),
        }
    }
}
