//! A frontend while it runs, and what all frontends share.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use tokio::sync::watch;

use super::limit::{Limit, Permit};
use super::sources::Sources;
use super::trace::Traced;
use crate::event::FrontendSnapshot;
use crate::model::{self, OnLimit, Policy};
use crate::pool::counters::Counters;
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
    pub traced: Traced,
    /// Told of limits that are reached.
    pub observe: Observe,
    accept_pauses: AtomicU64,
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
            traced: Traced::default(),
            observe,
            accept_pauses: AtomicU64::new(0),
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

/// One entry point.
#[derive(Debug)]
pub struct Frontend {
    pub spec: model::Frontend,
    pub pool: Arc<Pool>,
    pub counters: Arc<Counters>,
    pub process: Arc<Process>,
    limit: Option<Arc<Limit>>,
    /// Nobody listens at the moment.
    shut: watch::Sender<bool>,
    /// `None` if it treats all sources alike.
    pub sources: Option<Arc<Sources>>,
}

/// A session's part of the process's limit and of its frontend's.
#[derive(Debug)]
pub struct Permits {
    _process: Permit,
    _frontend: Option<Permit>,
}

impl Frontend {
    /// `pool` is the backend that the configuration names.
    pub fn new(spec: model::Frontend, pool: Arc<Pool>, process: Arc<Process>) -> Arc<Self> {
        let limit = spec.max_sessions.map(Limit::new);
        let sources = Sources::new(spec.by_source.clone());
        Arc::new(Self {
            spec,
            pool,
            counters: Arc::default(),
            process,
            limit,
            sources,
            shut: watch::Sender::new(false),
        })
    }

    /// Says whether its listeners are closed for the time being.
    pub fn set_shut(&self, shut: bool) {
        self.shut.send_replace(shut);
    }

    pub fn is_shut(&self) -> bool {
        *self.shut.borrow()
    }

    /// Waits until its listeners are open.
    pub async fn opened(&self) {
        // The sender is this frontend's own.
        let _ = self.shut.subscribe().wait_for(|shut| !shut).await;
    }

    /// Takes what one session needs, the process's part first; the limit that is in the way otherwise.
    pub fn permits(&self) -> Result<Permits, &Arc<Limit>> {
        let process = self.process.limit.take().ok_or(&self.process.limit)?;
        let frontend = match &self.limit {
            Some(limit) => Some(limit.take().ok_or(limit)?),
            None => None,
        };
        Ok(Permits { _process: process, _frontend: frontend })
    }

    pub fn snapshot(&self) -> FrontendSnapshot {
        FrontendSnapshot {
            id: self.spec.id,
            name: self.spec.name.clone(),
            listen: self.spec.listen.clone(),
            backend: self.spec.backend.clone(),
            max_sessions: self.spec.max_sessions,
            full: self.limit.as_ref().is_some_and(|limit| limit.is_full()),
            limit_reached: self.limit.as_ref().map_or(0, |limit| limit.reached()),
            counts: self.counters.counts(),
        }
    }
}
