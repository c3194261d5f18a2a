//! What a server may be told beside its address: how connections to it begin, what its dials and its own word mean, and
//! on which side it starts.

use std::time::Duration;

use super::{BackendName, HostAddress, ServerName};

/// Which PROXY protocol a connection begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ProxyVersion {
    /// One line of text.
    V1,
    /// Binary.
    V2,
}

/// On which side a server begins whose check has said nothing yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum InitState {
    /// Up; it takes `fall` failures.
    FullyUp,
    /// Up; the first failure takes it down.
    #[default]
    Up,
    /// Down; the first success brings it up.
    Down,
    /// Down; it takes `rise` successes.
    FullyDown,
}

/// What a row of failed dials does to a server's health (HAProxy's `observe layer4`, its manual, section 5.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Watchfulness {
    /// How many without a success between them.
    pub errors: u32,
    pub then: OnErrors,
}

impl Watchfulness {
    /// How many it takes unless told otherwise (HAProxy's `error-limit`).
    pub const ERRORS: u32 = 10;
}

/// What follows so many failed dials. Whatever it is, the next probe comes after the fast interval.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnErrors {
    /// Nothing else.
    ProbeSoon,
    /// They count as a failed probe.
    FailProbe,
    /// They leave it one failure from down.
    AlmostDown,
    /// It is down.
    Down,
}

/// Another server whose state is this one's, too (HAProxy's `track`).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Tracked {
    pub backend: BackendName,
    pub server: ServerName,
}

/// A program beside the server that says how it fares (HAProxy's `agent-check`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agent {
    /// `None` for the server's own host.
    pub host: Option<HostAddress>,
    pub port: u16,
    /// From one question to the next.
    pub interval: Duration,
    /// What is sent first.
    pub send: Vec<u8>,
}

impl Agent {
    /// Between two questions, unless told otherwise.
    pub const INTERVAL: Duration = Duration::from_secs(2);
}
