//! Which clients hold sessions at how many servers of a backend that is to bring each of them to every one.

use std::net::IpAddr;

use crate::model::ServerName;

/// The sources of one backend at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SourcesSnapshot {
    /// The backend's servers, in file order.
    pub servers: Vec<ServerName>,
    /// How many sources hold sessions at 0, 1, 2 and so on of these servers.
    pub held: Vec<u32>,
    /// Those at the fewest servers first: at most [`SourcesSnapshot::SHOWN`].
    pub least: Vec<SourceHeld>,
}

/// What one source holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceHeld {
    pub address: IpAddr,
    /// Its sessions at each server, in their order.
    pub sessions: Vec<u32>,
}

impl SourcesSnapshot {
    /// Sources that are named; the others are counted.
    pub const SHOWN: usize = 200;

    pub fn total(&self) -> u32 {
        self.held.iter().sum()
    }

    /// Those with a session at every server.
    pub fn complete(&self) -> u32 {
        self.held.get(self.servers.len()).copied().unwrap_or(0)
    }
}

impl SourceHeld {
    /// At how many servers it has a session.
    pub fn servers(&self) -> usize {
        self.sessions.iter().filter(|sessions| **sessions > 0).count()
    }
}
