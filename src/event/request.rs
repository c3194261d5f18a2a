//! One request to a place where the process is watched: what its log line tells.

use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use crate::model::{FrontendName, RequestLog};

/// One request from its first byte to the last of its answer.
#[derive(Debug, Clone, PartialEq)]
pub struct RequestRecord {
    /// The section that serves it, as HAProxy's outputs call it.
    pub site: FrontendName,
    /// Whether that section is a backend, too (HAProxy's `listen`).
    pub is_listen: bool,
    pub client: SocketAddr,
    /// Which of our addresses the client has connected to.
    pub listener: SocketAddr,
    /// When its first byte came; of one that never came, when the client did.
    pub begun: SystemTime,
    pub ended: SystemTime,
    pub total: Duration,
    /// What was asked: method, target and version. `None` if that was no request.
    pub asked: Option<Asked>,
    pub fate: RequestFate,
    /// Bytes of the answer, its head included.
    pub bytes: u64,
    /// Connections that were open then, this one included: the process's and the section's.
    pub open: (u32, u32),
    /// What its section wants to be logged, and how.
    pub log: RequestLog,
}

/// What was asked, and how long that took to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// `GET /;csv HTTP/1.1`
    pub line: String,
    pub took: Duration,
}

/// What became of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestFate {
    /// Something of ours has answered it.
    Answered { by: Service, status: u16 },
    /// Nothing is there: it was told that no server is.
    Nowhere,
    /// The client left before it had said, or been told, everything.
    Left,
    /// It was none.
    Malformed,
    /// It did not come in time.
    Late,
}

/// What answers requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    /// Statistics, and all that is evenkeel's own.
    Statistics,
    /// HAProxy's metrics.
    Exporter,
}

impl Service {
    /// What HAProxy's lines have in the place of a server.
    pub fn name(self) -> &'static str {
        match self {
            Self::Statistics => "<STATS>",
            Self::Exporter => "<PROMEX>",
        }
    }
}

impl RequestFate {
    /// The status that the client was told, or is counted as.
    pub fn status(self) -> u16 {
        match self {
            Self::Answered { status, .. } => status,
            Self::Nowhere => 503,
            Self::Left | Self::Malformed => 400,
            Self::Late => 408,
        }
    }

    /// Who ended it and when, in HAProxy's two letters (configuration manual, section 8.5).
    pub fn letters(self) -> [char; 2] {
        match self {
            Self::Answered { .. } => ['L', 'R'],
            Self::Nowhere => ['S', 'C'],
            Self::Left => ['C', 'R'],
            Self::Malformed => ['P', 'R'],
            Self::Late => ['c', 'R'],
        }
    }

    /// Whether the client was not given what it asked for.
    pub fn is_error(self) -> bool {
        !matches!(self, Self::Answered { .. })
    }
}
