//! Health checks: who is probed when, and what a probe sees.
//!
//! One `Monitor` watches one machine, whatever number of servers run on it, and writes what it finds into their pools
//! and nowhere else. Monitors live on the control thread, away from the workers that carry sessions.

pub mod probe;

mod agent;
mod monitor;
mod names;
mod once;
mod schedule;
mod watch;

pub use once::{Report, Target, TargetError, TargetFormError, probe_once};
pub use watch::Watch;

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use self::monitor::Monitor;
use self::probe::{Prober, Tokens};
use crate::model::{Agent, Backend, BackendName, Check, Host, HostAddress, ServerName};
use crate::net::tls::ClientError;
use crate::pool::Pool;
use crate::pool::server::Server;

/// A check that can't be run as it is configured.
#[derive(Debug, thiserror::Error)]
#[error("the check of {backend}/{server} can't be run: {source}")]
pub struct CheckError {
    pub backend: BackendName,
    pub server: ServerName,
    source: ClientError,
}

/// What runs the checks of a configuration: made before anything is watched, because it may not be possible.
#[derive(Debug)]
pub struct Probers(HashMap<(BackendName, ServerName), Prober>);

impl Probers {
    pub fn of(backends: &[Backend]) -> Result<Self, CheckError> {
        let mut tokens = Tokens::default();
        let mut probers = HashMap::new();
        let servers = backends.iter().flat_map(|backend| backend.servers.iter().map(move |server| (backend, server)));
        for (backend, server) in servers {
            let Some(check) = &server.check else { continue };
            let (backend, server) = (backend.name.clone(), server.name.clone());
            match Prober::new(check, &mut tokens) {
                Ok(prober) => drop(probers.insert((backend, server), prober)),
                Err(source) => return Err(CheckError { backend, server, source }),
            }
        }
        Ok(Self(probers))
    }
}

/// The monitors of all hosts, while they run: one for each that has something to watch, a check or a name to resolve.
#[derive(Debug)]
pub struct Monitors {
    running: Vec<Running>,
    rng: fastrand::Rng,
}

#[derive(Debug)]
struct Running {
    host: HostAddress,
    watched: Vec<Watched>,
    /// Dropping it ends the monitor, after the probes that are under way.
    _stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

/// What a monitor does for one server.
#[derive(Debug)]
struct Watched {
    pool: Arc<Pool>,
    server: Arc<Server>,
    check: Option<Check>,
    agent: Option<Agent>,
}

impl Watched {
    fn is_same_as(&self, other: &Self) -> bool {
        self.pool.spec.name == other.pool.spec.name
            && Arc::ptr_eq(&self.server, &other.server)
            && self.check == other.check
            && self.agent == other.agent
    }
}

impl Monitors {
    /// None yet; `rng` seeds their jitter.
    pub fn new(rng: fastrand::Rng) -> Self {
        Self { running: Vec::new(), rng }
    }

    /// Watches these hosts from now on. A monitor that has the same to do as before goes on undisturbed; of another one
    /// the probes that are under way end first, so that no server is probed twice at a time.
    pub fn renew(&mut self, hosts: &[Host], pools: &[Arc<Pool>], mut probers: Probers) {
        let mut old = std::mem::take(&mut self.running);
        for host in hosts {
            let watched = watched(host, pools);
            let known = old.iter().position(|running| running.host == host.address).map(|place| old.swap_remove(place));
            match known {
                Some(running) if is_same(&running.watched, &watched) => self.running.push(running),
                known => self.start(host.address.clone(), watched, known, &mut probers),
            }
        }
    }

    fn start(&mut self, host: HostAddress, watched: Vec<Watched>, before: Option<Running>, probers: &mut Probers) {
        let mut monitor = Monitor::new(host.clone(), self.rng.fork());
        for Watched { pool, server, .. } in &watched {
            let prober = probers.0.remove(&(pool.spec.name.clone(), server.name.clone()));
            monitor.watch(Arc::clone(pool), Arc::clone(server), prober);
        }
        if !monitor.has_work() {
            return;
        }
        let (stop, stopped) = oneshot::channel();
        let before = before.map(|running| running.task);
        let task = tokio::spawn(async move {
            if let Some(before) = before {
                let _ = before.await;
            }
            monitor.run(stopped).await;
        });
        self.running.push(Running { host, watched, _stop: stop, task });
    }
}

fn is_same(old: &[Watched], new: &[Watched]) -> bool {
    old.len() == new.len() && old.iter().zip(new).all(|(old, new)| old.is_same_as(new))
}

/// The servers of a host.
fn watched(host: &Host, pools: &[Arc<Pool>]) -> Vec<Watched> {
    let find = |(backend, server): &(BackendName, ServerName)| {
        let pool = pools.iter().find(|pool| pool.spec.name == *backend)?;
        let server = pool.servers().into_iter().find(|candidate| candidate.name == *server)?;
        let spec = server.spec();
        let (check, agent) = (spec.check.clone(), spec.agent.clone());
        Some(Watched { pool: Arc::clone(pool), server, check, agent })
    };
    host.servers.iter().filter_map(find).collect()
}
