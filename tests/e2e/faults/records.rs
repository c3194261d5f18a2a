//! What the client writes down: every connection, every session, every write that nobody knows the outcome of.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::moment::Moment;

/// All that a client saw.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Records {
    pub dials: Vec<Dial>,
    pub sessions: Vec<Session>,
    pub lost: Vec<LostWrite>,
    /// Writes that were answered.
    pub written: u64,
}

/// Which way a new connection goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Way {
    /// Through the load balancer.
    Balanced,
    /// To a controller itself: what the others are held against.
    Direct,
    /// Through the load balancer, together with thousands of others.
    Burst,
}

/// A new connection: dialled, shaken hands, one request, one answer.
#[derive(Debug, Serialize, Deserialize)]
pub struct Dial {
    pub way: Way,
    pub began: Moment,
    pub ended: Moment,
    /// The controller that answered.
    pub server: Option<usize>,
    /// At which step it failed, and how.
    pub failed: Option<String>,
}

/// What a session does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// Nothing, after its first request.
    Idle,
    /// A request every tenth of a second; every other one is a numbered write.
    Busy,
    /// Writes to the etcd member of a controller.
    Etcd,
    /// An endless answer that it does not read until it is told to.
    Stalled,
}

/// A session from its first answer on.
#[derive(Debug, Serialize, Deserialize)]
pub struct Session {
    pub kind: Kind,
    pub server: usize,
    pub began: Moment,
    pub ended: Option<(Moment, End)>,
    /// The latest request that has had no answer yet.
    pub asked: Option<Moment>,
    /// The longest wait for an answer, in microseconds, and when that request was sent.
    pub slowest: Option<(u64, Moment)>,
    /// A stalled session that was told to read, and had all that it asked for.
    pub read_on: bool,
}

/// How a session ended, as its client sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum End {
    /// The server said that it closes.
    Goodbye,
    Fin,
    Reset,
    /// The client's own patience.
    TimedOut,
    /// Something that no peer should do.
    Other,
}

impl fmt::Display for End {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Goodbye => "close_notify",
            Self::Fin => "FIN",
            Self::Reset => "RST",
            Self::TimedOut => "timeout",
            Self::Other => "other",
        })
    }
}

/// A write that was sent and never answered: it may have been done or not.
#[derive(Debug, Serialize, Deserialize)]
pub struct LostWrite {
    pub kind: Kind,
    pub server: usize,
    pub number: u64,
    pub sent: Moment,
    pub ended: Moment,
    pub end: End,
}
