//! What all servers of a host say together, to go with the change of one of them.

use std::sync::{Arc, OnceLock, Weak};

use crate::event::{Change, ServerSnapshot, host};
use crate::model::Host;
use crate::pool::Pool;

/// The hosts, and the pools of their servers once these are known.
#[derive(Clone)]
pub struct Hosts {
    hosts: Arc<[Host]>,
    pools: Arc<OnceLock<Vec<Weak<Pool>>>>,
}

impl Hosts {
    pub fn new(hosts: Vec<Host>) -> Self {
        Self { hosts: hosts.into(), pools: Arc::default() }
    }

    /// Says where the servers are. Pools tell their changes to whoever asks here for a reading, hence not at once.
    pub fn know(&self, pools: &[Arc<Pool>]) {
        let _ = self.pools.set(pools.iter().map(Arc::downgrade).collect());
    }

    /// The reading of the host on which this change came about; `None` if there is nothing to say.
    pub fn of(&self, change: &Change) -> Option<String> {
        let Change::Server(change) = change else { return None };
        let here = (change.backend.clone(), change.server.clone());
        let at = self.hosts.iter().find(|host| host.servers.contains(&here))?;
        let pools: Vec<_> = self.pools.get()?.iter().filter_map(Weak::upgrade).collect();
        let servers: Vec<ServerSnapshot> = (at.servers.iter())
            .filter_map(|(backend, server)| {
                let pool = pools.iter().find(|pool| pool.spec.name == *backend)?;
                let server = pool.servers().into_iter().find(|found| found.spec.name == *server)?;
                pool.server_snapshot(&server)
            })
            // No more is read than says something, however many servers a host has.
            .take(host::MOST + 1)
            .collect();
        host::reading(&servers)
    }
}
