//! What another load balancer in front of the same servers says of them.

use std::time::{Duration, SystemTime};

/// A peer, as it was last heard.
#[derive(Debug, Clone, PartialEq)]
pub struct PeerSnapshot {
    /// Where it is asked, as the configuration has it.
    pub url: String,
    /// Its last answer, and when it came.
    pub heard: Option<(PeerAnswer, SystemTime)>,
    /// Why it has not answered since; `None` if it has.
    pub silence: Option<Silence>,
}

/// Since when a peer has not answered, and why, in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Silence {
    pub since: SystemTime,
    pub reason: String,
}

/// What it said. All texts are a stranger's, cut to a length and without control characters.
#[derive(Debug, Clone, PartialEq)]
pub struct PeerAnswer {
    pub node: String,
    pub version: String,
    /// With the node, what tells one process from another.
    pub pid: u32,
    pub started: String,
    pub servers: Vec<PeerServer>,
}

/// A server in a backend of a peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerServer {
    pub backend: String,
    pub name: String,
    /// Address and port.
    pub address: String,
    /// The word for its state, as the peer's page has it.
    pub state: String,
    /// How long it had been in that state when the peer answered.
    pub held: Duration,
}
