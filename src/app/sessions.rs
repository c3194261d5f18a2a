//! Who is connected to what, from all workers' registries.

use std::collections::HashMap;
use std::sync::Arc;

use super::process::Facts;
use crate::event::{SessionSnapshot, SessionState};
use crate::model::ProxyId;
use crate::pool::sessions::Live;
use crate::proxy::frontend::Frontend;

impl Facts {
    /// All sessions that are open.
    pub fn sessions(&self) -> Vec<SessionSnapshot> {
        let frontends: HashMap<ProxyId, &Arc<Frontend>> =
            self.frontends.iter().map(|frontend| (frontend.spec.id, frontend)).collect();
        let live = self.workers.iter().flat_map(|worker| worker.sessions.live());
        // A session of a frontend that is no more has none to be shown under.
        live.filter_map(|live| Some(snapshot(&live, frontends.get(&live.cell.frontend)?))).collect()
    }
}

fn snapshot(live: &Live, frontend: &Frontend) -> SessionSnapshot {
    let (bytes_in, bytes_out) = live.cell.bytes();
    let state = match (live.cell.command(), &live.server) {
        (Some(_), _) => SessionState::Closing,
        (None, None) => SessionState::Connecting,
        (None, Some(_)) => SessionState::Open,
    };
    SessionSnapshot {
        id: live.cell.id,
        frontend: frontend.spec.name.clone(),
        backend: Some(frontend.pool.spec.name.clone()),
        server: live.server.as_ref().map(|server| server.spec.name.clone()),
        client: live.cell.client,
        source: live.source,
        age: live.age,
        idle: live.idle,
        bytes_in,
        bytes_out,
        state,
    }
}
