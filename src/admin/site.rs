//! One place where the process is watched over HTTP: what is there, and what is counted of those who look.

use std::sync::{Arc, PoisonError, RwLock};

use super::tally::Tally;
use crate::event::StatsSnapshot;
use crate::model::{self, FrontendName, RequestLog, Serves};
use crate::net::tls::{Server, ServerError};

/// A section that serves pages and the like, as one configuration has it.
#[derive(Debug)]
pub struct Site {
    pub(super) serves: Serves,
    /// How many may look at a time.
    pub(super) max_sessions: usize,
    pub(super) tally: Arc<Tally>,
    /// How it speaks TLS; `None` if it doesn't. A reload exchanges the certificate under those who are connected.
    tls: Option<RwLock<Server>>,
    /// As the configuration has it; `None` for the admin socket, which is no proxy in HAProxy's sense.
    spec: Option<model::Stats>,
}

impl Site {
    /// Those of a configuration, in its order. What is counted goes on being counted where one of the same name was.
    ///
    /// # Errors
    ///
    /// If a certificate can't be used.
    pub fn all(specs: &[model::Stats], known: &[Arc<Self>]) -> Result<Vec<Arc<Self>>, ServerError> {
        let site = |spec: &model::Stats| -> Result<Arc<Self>, ServerError> {
            let before = known.iter().find(|site| site.spec.as_ref().is_some_and(|known| known.name == spec.name));
            let tls = spec.tls.as_ref().map(Server::new).transpose()?;
            Ok(Arc::new(Self {
                serves: spec.serves.clone(),
                max_sessions: spec.max_sessions as usize,
                tally: before.map(|site| Arc::clone(&site.tally)).unwrap_or_default(),
                tls: tls.map(RwLock::new),
                spec: Some(spec.clone()),
            }))
        };
        specs.iter().map(site).collect()
    }

    /// What is at the admin socket: all that evenkeel has.
    pub(super) fn socket() -> Arc<Self> {
        let max_sessions = model::Stats::MAX_SESSIONS as usize;
        Arc::new(Self { serves: Serves::ours(), max_sessions, tally: Arc::default(), tls: None, spec: None })
    }

    /// Whether this is what a configuration means, whatever certificate it shows, and whatever its number is: that moves
    /// with what stands before it, and is no reason to leave anybody who looks.
    pub fn is(&self, spec: &model::Stats) -> bool {
        let own = self.spec.as_ref();
        own.is_some_and(|own| {
            let alike = model::Stats { tls: spec.tls.clone(), id: spec.id, ..own.clone() };
            own.tls.is_some() == spec.tls.is_some() && alike == *spec
        })
    }

    /// Shows the certificate of another one from now on.
    pub fn show_certificate_of(&self, other: &Self) {
        if let (Some(own), Some(other)) = (&self.tls, other.tls()) {
            *own.write().unwrap_or_else(PoisonError::into_inner) = other;
        }
    }

    /// How it speaks TLS, if it does.
    pub(super) fn tls(&self) -> Option<Server> {
        let tls = self.tls.as_ref()?;
        Some(tls.read().unwrap_or_else(PoisonError::into_inner).clone())
    }

    /// How its requests are logged: its name in HAProxy's outputs, whether it is a `listen` there, and what the lines say;
    /// `None` if they have none.
    pub(super) fn logged(&self) -> Option<(FrontendName, bool, RequestLog)> {
        let spec = self.spec.as_ref()?;
        Some((spec.name.clone(), spec.is_listen, spec.log.clone()?))
    }

    /// Whether all that is there is evenkeel's own.
    pub(super) fn is_ours(&self) -> bool {
        self.serves == Serves::ours()
    }

    /// Connections that are open.
    pub fn connections(&self) -> u32 {
        self.tally.counters.sessions()
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;
    use crate::model::ProxyId;

    // Seen to fail with the number compared.
    #[test]
    fn a_site_stays_when_its_number_moves_and_not_when_it_serves_something_else() {
        let config = config::parse(include_str!("../../config/evenkeel.toml"), "evenkeel.toml").unwrap();
        let spec = &config.stats[0];
        let site = &Site::all(&config.stats, &[]).unwrap()[0];
        assert!(site.is(spec) && site.is(&model::Stats { id: ProxyId(spec.id.0 + 1_000), ..spec.clone() }));
        assert!(!site.is(&model::Stats { max_sessions: 1, ..spec.clone() }));
    }
}
