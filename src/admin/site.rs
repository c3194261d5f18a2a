//! One place where the process is watched over HTTP: what is there, and what is counted of those who look.

use std::sync::Arc;

use super::tally::Tally;
use crate::event::StatsSnapshot;
use crate::model::{self, Serves};

/// A section that serves pages and the like, as one configuration has it.
#[derive(Debug)]
pub struct Site {
    pub(super) serves: Serves,
    /// How many may look at a time.
    pub(super) max_sessions: usize,
    pub(super) tally: Arc<Tally>,
    /// As the configuration has it; `None` for the admin socket, which is no proxy in HAProxy's sense.
    spec: Option<model::Stats>,
}

impl Site {
    /// Those of a configuration, in its order. What is counted goes on being counted where one of the same name was.
    pub fn all(specs: &[model::Stats], known: &[Arc<Self>]) -> Vec<Arc<Self>> {
        let site = |spec: &model::Stats| {
            let before = known.iter().find(|site| site.spec.as_ref().is_some_and(|known| known.name == spec.name));
            Arc::new(Self {
                serves: spec.serves.clone(),
                max_sessions: spec.max_sessions as usize,
                tally: before.map(|site| Arc::clone(&site.tally)).unwrap_or_default(),
                spec: Some(spec.clone()),
            })
        };
        specs.iter().map(site).collect()
    }

    /// What is at the admin socket: all that evenkeel has.
    pub(super) fn socket() -> Arc<Self> {
        let max_sessions = model::Stats::MAX_SESSIONS as usize;
        Arc::new(Self { serves: Serves::ours(), max_sessions, tally: Arc::default(), spec: None })
    }

    /// Whether this is what a configuration means.
    pub fn is(&self, spec: &model::Stats) -> bool {
        self.spec.as_ref() == Some(spec)
    }

    /// What is counted of it; `None` for the admin socket.
    pub fn snapshot(&self) -> Option<StatsSnapshot> {
        let spec = self.spec.as_ref()?;
        Some(StatsSnapshot {
            id: spec.id,
            name: spec.name.clone(),
            max_sessions: spec.max_sessions,
            is_listen: spec.is_listen,
            counts: self.tally.counters.counts(),
            http: self.tally.http(),
        })
    }
}
