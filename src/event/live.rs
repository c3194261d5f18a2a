//! What operators see and change while the process runs: live sessions, and what was set of servers by hand.

use std::net::SocketAddr;
use std::time::Duration;

use super::{AdminState, ServerChange, ServerState, SessionId};
use crate::model::{BackendName, FrontendName, ServerName, SessionAddress, Weight};

/// A session that is open at the moment.
#[derive(Debug, Clone, PartialEq)]
pub struct SessionSnapshot {
    pub id: SessionId,
    pub frontend: FrontendName,
    /// `None` before its backend is known.
    pub backend: Option<BackendName>,
    /// `None` before it is connected to one.
    pub server: Option<ServerName>,
    pub client: SessionAddress,
    /// Our own address towards the server.
    pub source: Option<SocketAddr>,
    /// Since accept, and since its last byte.
    pub age: Duration,
    pub idle: Duration,
    pub bytes_in: u64,
    pub bytes_out: u64,
    pub state: SessionState,
}

impl SessionId {
    /// Reads an id as it is written in lines and lists: `0-3-7`.
    pub fn read(text: &str) -> Option<Self> {
        let mut numbers = text.split('-');
        let (worker, slot, generation) = (numbers.next()?, numbers.next()?, numbers.next()?);
        let id = Self { worker: worker.parse().ok()?, slot: slot.parse().ok()?, generation: generation.parse().ok()? };
        // Written again it must be the same: neither more parts nor signs nor leading zeros.
        (id.to_string() == text).then_some(id)
    }
}

/// How far a live session is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionState {
    /// It has no server yet.
    Connecting,
    Open,
    /// It has been told to end.
    Closing,
}

impl SessionState {
    pub fn word(self) -> &'static str {
        match self {
            Self::Connecting => "connecting",
            Self::Open => "open",
            Self::Closing => "closing",
        }
    }
}

/// What there is, by name: what requests may speak of.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Names {
    pub frontends: Vec<FrontendName>,
    /// Each with its servers.
    pub backends: Vec<(BackendName, Vec<ServerName>)>,
}

/// What an operator says of a server's health, until its next probe says otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ForcedHealth {
    Up,
    /// It takes no new sessions.
    Stopping,
    Down,
}

impl ForcedHealth {
    pub const ALL: [Self; 3] = [Self::Up, Self::Stopping, Self::Down];

    /// HAProxy's word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Stopping => "stopping",
            Self::Down => "down",
        }
    }
}

/// Over what an operator has said so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ForcedOver {
    /// The runtime API.
    Runtime,
    /// HAProxy's page.
    Page,
}

/// Whether a frontend lets clients in, as far as operators have a say in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FrontendState {
    #[default]
    Open,
    /// The kernel refuses clients for the time being.
    Paused,
    /// Its listeners are closed until a reload opens them again.
    Stopped,
}

/// What an operator set of a server while the process runs; it lies over what the file says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Orders {
    pub admin: Option<AdminState>,
    pub weight: Option<Weight>,
}

impl AdminState {
    pub const ALL: [Self; 3] = [Self::Ready, Self::Drain, Self::Maint];

    /// The word for it in requests, on pages and in logs.
    pub fn word(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Drain => "drain",
            Self::Maint => "maint",
        }
    }
}

impl ServerState {
    /// Whether it is what an operator set, whatever the server's health is.
    pub fn is_ordered(self) -> bool {
        matches!(self, Self::Drain | Self::Maint)
    }
}

impl ServerChange {
    /// Whether it took the last usable server of its backend.
    pub fn leaves_nobody(&self) -> bool {
        self.active_left + self.backup_left == 0 && self.from.is_usable()
    }

    /// One sentence for people.
    pub fn text(&self) -> String {
        let Self { backend, server, sessions, .. } = self;
        let mut text = format!("{backend}/{server} is {}", self.to.word());
        if let ServerState::Down(cause) = self.to {
            text += &format!(" ({})", cause.words());
        }
        text += &format!(", was {}", self.from.word());
        if let Some(evidence) = &self.evidence {
            text += &format!(": {}", evidence.detail);
        }
        if *sessions > 0 {
            text += &format!("; it has {sessions} session{}", if *sessions == 1 { "" } else { "s" });
        }
        if self.leaves_nobody() {
            text += &format!("; {backend} has no usable server left");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_read_as_it_is_written() {
        let id = SessionId { worker: 1, slot: 20, generation: 3 };
        assert_eq!(SessionId::read(&id.to_string()), Some(id));
        for text in ["", "1-20", "1-20-3-4", "01-20-3", "1-+20-3", "1-20--3", "65536-1-1", "a-b-c"] {
            assert_eq!(SessionId::read(text), None, "{text}");
        }
    }
}
