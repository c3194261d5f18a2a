//! Health checks: who is probed when, and what a probe sees.
//!
//! One [`Monitor`] watches one machine, whatever number of servers run on it, and writes what it finds into their pools
//! and nowhere else. Monitors live on the control thread, away from the workers that carry sessions.

pub mod probe;

mod monitor;
mod names;
mod once;
mod schedule;
mod watch;

pub use monitor::Monitor;
pub use once::{Report, Target, TargetError, TargetFormError, probe_once};
pub use watch::Watch;

use std::sync::Arc;

use self::probe::Tokens;
use crate::model::{BackendName, Host, ServerName};
use crate::net::tls::ClientError;
use crate::pool::Pool;

/// A check that can't be run as it is configured.
#[derive(Debug, thiserror::Error)]
#[error("the check of {backend}/{server} can't be run: {source}")]
pub struct CheckError {
    pub backend: BackendName,
    pub server: ServerName,
    source: ClientError,
}

/// A monitor for each host that has something to watch: a check, or a name to resolve.
///
/// Nothing is probed before [`Monitor::run`]. `rng` seeds the monitors' jitter.
pub fn monitors(hosts: &[Host], pools: &[Arc<Pool>], rng: &mut fastrand::Rng) -> Result<Vec<Monitor>, CheckError> {
    let (mut monitors, mut tokens) = (Vec::new(), Tokens::default());
    for host in hosts {
        let mut monitor = Monitor::new(host.address.clone(), rng.fork());
        for (backend, server) in &host.servers {
            let Some(pool) = pools.iter().find(|pool| pool.spec.name == *backend) else { continue };
            let Some(found) = pool.servers().into_iter().find(|candidate| candidate.spec.name == *server) else {
                continue;
            };
            monitor.watch(Arc::clone(pool), found, &mut tokens).map_err(|source| CheckError {
                backend: backend.clone(),
                server: server.clone(),
                source,
            })?;
        }
        if monitor.has_work() {
            monitors.push(monitor);
        }
    }
    Ok(monitors)
}
