//! One session, from accept to last byte: its record, and why it ended.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::model::{BackendName, FrontendLog, FrontendName, ServerName, SessionAddress};

/// One session from accept to last byte, as its log line tells it.
#[derive(Debug, Clone, PartialEq)]
pub struct SessionRecord {
    pub id: SessionId,
    pub frontend: FrontendName,
    pub backend: BackendName,
    /// The server that carried the session, or the last one tried; `None` if none was chosen.
    pub server: Option<ServerName>,
    /// The client, an IPv4 address as IPv4 also on a dual-stack listener.
    pub client: SessionAddress,
    /// The listener's address.
    pub listener: SessionAddress,
    /// Our own address towards the server, which its audit log shows; `None` if no dial succeeded.
    pub source: Option<SocketAddr>,
    pub accepted: SystemTime,
    /// The line's own time, however late a slow log writes it.
    pub ended: SystemTime,
    /// Waited for a server's slot; `None` if the session ended before.
    pub waited: Option<Duration>,
    /// From the first dial to the connection, over all tries; `None` without a connection.
    pub dialled: Option<Duration>,
    pub total: Duration,
    /// Bytes of the client to the server.
    pub bytes_in: u64,
    /// Bytes of the server to the client.
    pub bytes_out: u64,
    /// Dials after the first.
    pub retries: u32,
    /// Dials that went to another server than the one before.
    pub moves: u32,
    pub ending: Ending,
    pub concurrent: Concurrent,
    /// What its frontend wants to be logged, and how.
    pub log: Arc<FrontendLog>,
    /// Where it ended, if its client never said for whom it stands.
    pub doorstep: Option<Doorstep>,
}

/// The listener of a session that ended while a PROXY protocol header was waited for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Doorstep {
    /// Its name, or its number in its frontend, from 1.
    pub door: String,
    /// Whether the client had sent anything.
    pub heard: bool,
}

impl SessionRecord {
    /// Whether something went wrong, as HAProxy sees it: also what a second dial has put right.
    pub fn is_error(&self) -> bool {
        self.ending.who != Who::Nobody || self.retries > 0
    }
}

/// When in its life a line tells of a session. Before its end, a record has the ending of a session to which nothing has
/// happened, and its times and bytes as they are so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionStage {
    /// It is connected.
    Open,
    /// It lives on.
    Progress,
    End,
}

/// Sessions that were open when one ended, itself included, as HAProxy's tcplog prints them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Concurrent {
    pub process: u32,
    pub frontend: u32,
    pub backend: u32,
    pub server: u32,
    /// The places of this one in the server's queue and in the backend's when it began to wait, from 1; 0 if it never did.
    pub server_queue: u32,
    pub backend_queue: u32,
}

/// Identifies a session while the process runs: worker, place in its registry, generation of the place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionId {
    pub worker: u16,
    pub slot: u32,
    pub generation: u32,
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}-{}", self.worker, self.slot, self.generation)
    }
}

/// Why a session ended: who ended it, in which phase, and the cause.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Ending {
    pub who: Who,
    pub phase: Phase,
    pub cause: Cause,
}

impl Ending {
    /// Both sides sent FIN after their last byte.
    pub const NORMAL: Self = Self { who: Who::Nobody, phase: Phase::Data, cause: Cause::Finished };

    pub const fn new(who: Who, phase: Phase, cause: Cause) -> Self {
        Self { who, phase, cause }
    }

    /// HAProxy's two letters (configuration manual, section 8.5); `--` for a normal end.
    pub fn letters(self) -> [char; 2] {
        let who = match self.who {
            Who::Nobody => return ['-', '-'],
            Who::Client => 'C',
            Who::Server => 'S',
            Who::Limit => 'P',
            Who::Resource => 'R',
            Who::Internal => 'I',
            Who::Down => 'D',
            Who::Up => 'U',
            Who::Killed => 'K',
            Who::ClientTimeout => 'c',
            Who::ServerTimeout => 's',
        };
        // As HAProxy 3.2 has them: a client that is gone is found out where data is read, and what is shut down from
        // outside has the letter of a connection.
        let phase = match self.phase {
            Phase::Data if matches!(self.who, Who::Down | Who::Up | Who::Killed) => 'C',
            Phase::Queue | Phase::Connect if self.who == Who::Client => 'D',
            Phase::Request => 'R',
            Phase::Queue => 'Q',
            Phase::Connect => 'C',
            Phase::Data => 'D',
        };
        [who, phase]
    }
}

/// Who ended a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Who {
    /// Both sides finished.
    Nobody,
    Client,
    Server,
    /// A limit of ours.
    Limit,
    /// We ran out of something: descriptors, ports, memory.
    Resource,
    /// An error of our own.
    Internal,
    /// Its server went down.
    Down,
    /// It was on a backup server, and a primary came back.
    Up,
    /// The operator: a kill, a drain, a stop of the process.
    Killed,
    ClientTimeout,
    ServerTimeout,
}

impl Who {
    /// The word for it in logs and metrics.
    pub fn word(self) -> &'static str {
        match self {
            Self::Nobody => "nobody",
            Self::Client => "client",
            Self::Server => "server",
            Self::Limit => "limit",
            Self::Resource => "resource",
            Self::Internal => "internal",
            Self::Down => "down",
            Self::Up => "up",
            Self::Killed => "killed",
            Self::ClientTimeout => "client_timeout",
            Self::ServerTimeout => "server_timeout",
        }
    }
}

/// How far a session had come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Phase {
    /// Before its backend was known.
    Request,
    /// Waiting for a server's slot.
    Queue,
    Connect,
    Data,
}

impl Phase {
    /// The word for it in logs and metrics.
    pub fn word(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Queue => "queue",
            Self::Connect => "connect",
            Self::Data => "data",
        }
    }
}

/// What ended a session, in words that logs and metrics may use as a label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Cause {
    Finished,
    Reset,
    Refused,
    Unreachable,
    TimedOut,
    Idle,
    HalfClosed,
    NoServer,
    LimitReached,
    /// The configuration lets nobody in from there.
    SourceDenied,
    /// Its source has as many sessions as one may have.
    SourceSessions,
    /// Its source begins more sessions a second than one may.
    SourceRate,
    /// A rule lets nobody in of whom that holds.
    RuleDenied,
    /// No PROXY protocol header came where one must,
    NoProxyHeader,
    /// or what came was none.
    BadProxyHeader,
    /// What it wanted was not known in time.
    NotSaid,
    /// It is for none of its frontend's routes, and there is nothing else.
    NoRoute,
    OutOfDescriptors,
    OutOfPorts,
    /// Its peer acknowledges nothing any more.
    Silent,
    ServerDown,
    ServerDraining,
    PrimaryBack,
    /// A reload took its server away.
    ServerRemoved,
    Shutdown,
    /// A soft stop has lasted for as long as it may.
    HardStop,
    Operator,
    Panic,
    Io,
}

impl Cause {
    pub fn words(self) -> &'static str {
        match self {
            Self::Finished => "finished",
            Self::Reset => "reset",
            Self::Refused => "refused",
            Self::Unreachable => "unreachable",
            Self::TimedOut => "timed out",
            Self::Idle => "idle",
            Self::HalfClosed => "half-closed for too long",
            Self::NoServer => "no usable server",
            Self::LimitReached => "limit reached",
            Self::SourceDenied => "denied by source",
            Self::SourceSessions => "too many sessions of this source",
            Self::SourceRate => "too many new sessions of this source",
            Self::RuleDenied => "denied by a rule",
            Self::NoProxyHeader => "no PROXY protocol header",
            Self::BadProxyHeader => "bad PROXY protocol header",
            Self::NotSaid => "no TLS hello in time",
            Self::NoRoute => "no route",
            Self::OutOfDescriptors => "out of file descriptors",
            Self::OutOfPorts => "out of local ports",
            Self::Silent => "peer is silent",
            Self::ServerDown => "server is down",
            Self::ServerDraining => "server takes no new work",
            Self::PrimaryBack => "primary is back",
            Self::ServerRemoved => "server was removed",
            Self::Shutdown => "process stopping",
            Self::HardStop => "soft stop is over",
            Self::Operator => "closed by the operator",
            Self::Panic => "internal error",
            Self::Io => "i/o error",
        }
    }
}
