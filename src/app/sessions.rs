//! Who is connected to what, from all workers' registries.

use super::process::Facts;
use crate::event::{SessionSnapshot, SessionState};
use crate::pool::sessions::Live;

impl Facts {
    /// All sessions that are open.
    pub fn sessions(&self) -> Vec<SessionSnapshot> {
        self.workers.iter().flat_map(|worker| worker.sessions.live()).map(snapshot).collect()
    }
}

fn snapshot(live: Live) -> SessionSnapshot {
    let (bytes_in, bytes_out) = live.cell.bytes();
    let state = match (live.cell.command(), &live.server) {
        (Some(_), _) => SessionState::Closing,
        (None, None) => SessionState::Connecting,
        (None, Some(_)) => SessionState::Open,
    };
    SessionSnapshot {
        id: live.cell.id,
        frontend: live.way.frontend,
        backend: Some(live.way.backend),
        server: live.server.map(|server| server.name.clone()),
        client: live.cell.client,
        source: live.source,
        age: live.age,
        idle: live.idle,
        bytes_in,
        bytes_out,
        state,
    }
}
