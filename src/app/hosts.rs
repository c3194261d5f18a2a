//! What all servers of a host say together, to go with the change of one of them.

use std::sync::{Arc, PoisonError, RwLock, Weak};

use crate::event::{Change, ServerSnapshot, host};
use crate::model::Host;
use crate::pool::Pool;

/// The hosts, and the pools of their servers once these are known.
#[derive(Clone, Default)]
pub struct Hosts(Arc<RwLock<Known>>);

#[derive(Default)]
struct Known {
    hosts: Arc<[Host]>,
    pools: Vec<Weak<Pool>>,
}

impl Hosts {
    /// Says which hosts there are, and where their servers are. Pools tell their changes to whoever asks here for a
    /// reading, hence never while they are being made.
    pub fn know(&self, hosts: &[Host], pools: &[Arc<Pool>]) {
        let pools = pools.iter().map(Arc::downgrade).collect();
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Known { hosts: hosts.into(), pools };
    }

    /// The reading of the host on which this change came about; `None` if there is nothing to say.
    pub fn of(&self, change: &Change) -> Option<String> {
        let Change::Server(change) = change else { return None };
        let (hosts, pools) = self.known();
        let here = (change.backend.clone(), change.server.clone());
        let at = hosts.iter().find(|host| host.servers.contains(&here))?;
        let servers: Vec<ServerSnapshot> = (at.servers.iter())
            .filter_map(|(backend, server)| {
                let pool = pools.iter().find(|pool| pool.spec.name == *backend)?;
                let server = pool.servers().into_iter().find(|found| found.name == *server)?;
                pool.server_snapshot(&server)
            })
            // No more is read than says something, however many servers a host has.
            .take(host::MOST + 1)
            .collect();
        host::reading(&servers)
    }

    fn known(&self) -> (Arc<[Host]>, Vec<Arc<Pool>>) {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        (Arc::clone(&known.hosts), known.pools.iter().filter_map(Weak::upgrade).collect())
    }
}
