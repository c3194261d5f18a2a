//! What the servers of one host say together when one of them has changed.

use std::sync::Arc;

use crate::event::ServerChange;
use crate::event::host;
use crate::model::Host;
use crate::pool::Pool;

/// The reading of the host of a server that has changed.
pub(super) fn reading(hosts: &[Host], pools: &[Arc<Pool>], change: &ServerChange) -> Option<String> {
    let host = hosts.iter().find(|host| {
        host.servers.iter().any(|(backend, server)| *backend == change.backend && *server == change.server)
    })?;
    let snapshots = host.servers.iter().filter_map(|(backend, name)| {
        let pool = pools.iter().find(|pool| pool.spec.name == *backend)?;
        let server = pool.servers().into_iter().find(|server| server.spec.name == *name)?;
        pool.server_snapshot(&server)
    });
    // No more is read than says something, however many servers a host has.
    let snapshots: Vec<_> = snapshots.take(host::MOST + 1).collect();
    host::reading(&snapshots)
}
