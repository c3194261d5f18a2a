//! What happened, and what is: plain values that rooms hand to one another.
//!
//! Events ([`SessionRecord`], [`Verdict`], [`ServerChange`]) say what happened and carry their evidence. A [`Snapshot`]
//! says what is at one moment; pages, JSON, metrics and CSV are made from it and from nothing else.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::model::{BackendName, FrontendLog, FrontendName, ServerName, Tracked};

mod change;
mod check_report;
#[cfg(test)]
pub mod fixture;
pub mod host;
mod live;
mod never_up;
mod reload;
mod snapshot;

pub use self::change::{
    ActionTaken, Actor, CertificateExpiry, CredentialUsed, Drained, Gravity, Limit, LimitReached, ProcessChange,
    RuntimeClient,
};
pub use self::check_report::{CheckReport, Outcome};
pub use self::live::{ForcedHealth, FrontendState, Names, Orders, SessionSnapshot, SessionState};
pub use self::never_up::NeverUp;
pub use self::reload::{ConfigReload, Refused, ReloadOutcome, Upgrade, UpgradeOutcome, counted, done};
pub use self::snapshot::{
    AgentSnapshot, BackendSnapshot, CheckSnapshot, ConfigSnapshot, Counts, Fitness, FrontendSnapshot, HttpCounts,
    LogTargetSnapshot, Predecessor, ProcessPhase, ProcessSnapshot, RefusedReload, ServerSnapshot, SharedSource,
    Snapshot, StatsSnapshot, usable_servers,
};

// ---- one session ----

/// One session from accept to last byte, as its log line tells it.
#[derive(Debug, Clone, PartialEq)]
pub struct SessionRecord {
    pub id: SessionId,
    pub frontend: FrontendName,
    pub backend: BackendName,
    /// The server that carried the session, or the last one tried; `None` if none was chosen.
    pub server: Option<ServerName>,
    /// The client, an IPv4 address as IPv4 also on a dual-stack listener.
    pub client: SocketAddr,
    /// The listener's address.
    pub listener: SocketAddr,
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
            Self::Operator => "closed by the operator",
            Self::Panic => "internal error",
            Self::Io => "i/o error",
        }
    }
}

// ---- what a probe, or real traffic, says of a server ----

/// What is known of a server from one look at it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    pub state: Readiness,
    pub evidence: Evidence,
    pub source: VerdictSource,
}

/// What a server says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Readiness {
    Ready,
    /// It answers, and says that it takes no new work.
    Draining,
    Down(DownCause),
}

/// Why a server counts as down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DownCause {
    /// The port answered with a reset.
    Refused,
    /// Nobody answered the SYN, or the network said so.
    Unreachable,
    /// The connection stood, the answer did not come in time.
    TimedOut,
    /// TLS failed.
    Tls,
    /// It answered something that the check does not accept.
    Unexpected,
    /// Its name has no address.
    Unresolved,
    /// This host has no way to its network.
    NoNetwork,
    /// The probe failed on our side: no descriptor, no port. It says nothing of the server.
    Local,
    /// An operator has said so.
    Ordered,
}

impl DownCause {
    pub const ALL: [Self; 9] = [
        Self::Refused,
        Self::Unreachable,
        Self::TimedOut,
        Self::Tls,
        Self::Unexpected,
        Self::Unresolved,
        Self::NoNetwork,
        Self::Local,
        Self::Ordered,
    ];

    /// Whether the host answered, whatever it said: that much proves the network.
    pub fn is_answer(self) -> bool {
        matches!(self, Self::Refused | Self::TimedOut | Self::Tls | Self::Unexpected)
    }

    pub fn words(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Unreachable => "unreachable",
            Self::TimedOut => "timed out",
            Self::Tls => "TLS failed",
            Self::Unexpected => "unexpected answer",
            Self::Unresolved => "name not resolved",
            Self::NoNetwork => "no network",
            Self::Local => "local error",
            Self::Ordered => "set by an operator",
        }
    }
}

/// Who says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum VerdictSource {
    Probe,
    /// Real traffic: a dial.
    Passive,
    /// The operator, over a socket.
    Operator,
}

/// What was seen, in the form that HAProxy's columns and our pages share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evidence {
    pub status: CheckStatus,
    /// In words, lower case, without the server's name: "connection refused", "handshake timed out after 1.5s".
    pub detail: String,
    /// From the start of the probe to the verdict.
    pub duration: Duration,
    /// HTTP status, if one came.
    pub code: Option<u16>,
    pub certificate: Option<Certificate>,
    /// What to know of a server though it passed the check.
    pub remark: Option<Remark>,
    pub at: SystemTime,
    /// HAProxy's own words for it, where it has more than the status says; empty otherwise.
    pub info: String,
}

impl Evidence {
    /// Of a look that took no time and saw nothing but this.
    pub fn of(status: CheckStatus, at: SystemTime) -> Self {
        Self {
            status,
            detail: String::new(),
            duration: Duration::ZERO,
            code: None,
            certificate: None,
            remark: None,
            at,
            info: String::new(),
        }
    }
}

/// Why a server that is alive does not say whether it is ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Remark {
    /// It answers nobody whom it doesn't know, and the check has no credential.
    Anonymous,
    /// It doesn't know the check's credential.
    CredentialRefused,
    /// It knows the credential, which may not read that.
    CredentialTooWeak,
}

impl Remark {
    pub const ALL: [Self; 3] = [Self::Anonymous, Self::CredentialRefused, Self::CredentialTooWeak];

    pub fn words(self) -> &'static str {
        match self {
            Self::Anonymous => "readiness unknown: anonymous access is off",
            Self::CredentialRefused => "readiness unknown: the check's credential is refused",
            Self::CredentialTooWeak => "readiness unknown: the check's credential may not read /readyz",
        }
    }

    /// What to do about it.
    pub fn advice(self) -> &'static str {
        match self {
            Self::Anonymous => {
                "Give the check a token file or a client certificate, or allow anonymous access to /readyz in the \
                 apiserver's AuthenticationConfiguration."
            }
            Self::CredentialRefused => {
                "See whether the token was revoked or has expired, or the client certificate is of another authority."
            }
            Self::CredentialTooWeak => "Bind its user to the cluster role system:public-info-viewer.",
        }
    }
}

/// HAProxy's result codes of checks (management guide, section 9.1, `check_status`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CheckStatus {
    /// Not checked yet.
    Ini,
    SockErr,
    L4Ok,
    L4Tout,
    L4Con,
    L6Ok,
    L6Tout,
    L6Rsp,
    L7Ok,
    /// Accepted, though not a plain success.
    L7Okc,
    L7Tout,
    L7Rsp,
    L7Sts,
    /// No probe: what real traffic has met.
    Hana,
}

impl CheckStatus {
    pub const ALL: [Self; 14] = [
        Self::Ini,
        Self::SockErr,
        Self::L4Ok,
        Self::L4Tout,
        Self::L4Con,
        Self::L6Ok,
        Self::L6Tout,
        Self::L6Rsp,
        Self::L7Ok,
        Self::L7Okc,
        Self::L7Tout,
        Self::L7Rsp,
        Self::L7Sts,
        Self::Hana,
    ];

    /// Whether the check was passed.
    pub fn is_passed(self) -> bool {
        matches!(self, Self::L4Ok | Self::L6Ok | Self::L7Ok | Self::L7Okc)
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Ini => "INI",
            Self::SockErr => "SOCKERR",
            Self::L4Ok => "L4OK",
            Self::L4Tout => "L4TOUT",
            Self::L4Con => "L4CON",
            Self::L6Ok => "L6OK",
            Self::L6Tout => "L6TOUT",
            Self::L6Rsp => "L6RSP",
            Self::L7Ok => "L7OK",
            Self::L7Okc => "L7OKC",
            Self::L7Tout => "L7TOUT",
            Self::L7Rsp => "L7RSP",
            Self::L7Sts => "L7STS",
            Self::Hana => "HANA",
        }
    }

    /// HAProxy's words for it.
    pub fn words(self) -> &'static str {
        match self {
            Self::Ini => "Initializing",
            Self::SockErr => "Socket error",
            Self::L4Ok => "Layer4 check passed",
            Self::L4Tout => "Layer4 timeout",
            Self::L4Con => "Layer4 connection problem",
            Self::L6Ok => "Layer6 check passed",
            Self::L6Tout => "Layer6 timeout",
            Self::L6Rsp => "Layer6 invalid response",
            Self::L7Ok => "Layer7 check passed",
            Self::L7Okc => "Layer7 check conditionally passed",
            Self::L7Tout => "Layer7 timeout",
            Self::L7Rsp => "Layer7 invalid response",
            Self::L7Sts => "Layer7 wrong status",
            Self::Hana => "Health analyze",
        }
    }
}

/// A server's certificate as a probe saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// Distinguished names as text (RFC 4514 style).
    pub subject: String,
    pub issuer: String,
    pub not_after: SystemTime,
    /// Which key of its authority signed it, hexadecimal (RFC 5280, section 4.2.1.1): authorities of one name differ in it.
    pub authority_key_identifier: Option<String>,
}

/// Something that those who watch are told of.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    Server(ServerChange),
    Isolation(IsolationChange),
    Action(ActionTaken),
    Limit(LimitReached),
    Certificate(CertificateExpiry),
    Drained(Drained),
    Process(ProcessChange),
    Reload(ConfigReload),
    Upgrade(Upgrade),
    Check(CheckReport),
    NeverUp(NeverUp),
}

/// The process was cut off from the hosts behind it, or is no longer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IsolationChange {
    /// Why it counts as cut off; `None` when that is over.
    pub isolated: Option<String>,
    pub at: SystemTime,
}

/// A server's effective state changed.
#[derive(Debug, Clone, PartialEq)]
pub struct ServerChange {
    pub backend: BackendName,
    pub server: ServerName,
    pub from: ServerState,
    pub to: ServerState,
    /// What decided it; `None` when an operator did.
    pub evidence: Option<Evidence>,
    /// What its last probes saw, the oldest first: at most [`ServerChange::RECENT`].
    pub recent: Vec<Evidence>,
    /// Open sessions of the server.
    pub sessions: u32,
    /// Usable primaries and backups that the backend is left with.
    pub active_left: u32,
    pub backup_left: u32,
    pub at: SystemTime,
    /// What it is to its backend.
    pub backup: bool,
    /// Whether a line of its own has told of the evidence ([`CheckReport`]).
    pub reported: bool,
    /// The server that it tracks, if that is why.
    pub via: Option<Tracked>,
    /// Whether its backend is a frontend, too.
    pub is_listen: bool,
}

impl ServerChange {
    /// How many probes are told with a change.
    pub const RECENT: usize = 3;
}

/// What becomes of new sessions at a server: the outcome of health, admin state and all else that bears on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ServerState {
    Ready,
    /// Its probes fail, and it is in use all the same.
    Kept(Kept),
    /// It asked for no new sessions; it gets them only if no ready one is left. HAProxy's NOLB.
    Draining,
    Down(DownCause),
    /// Its certificate is from another authority than the others': it may belong to another cluster.
    Stranger,
    /// The operator: no new sessions.
    Drain,
    /// The operator: no new sessions, no probes.
    Maint,
}

impl ServerState {
    /// The word for it on pages and in logs.
    pub fn word(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Kept(kept) => kept.words(),
            Self::Draining => "draining",
            Self::Down(_) => "down",
            Self::Stranger => "wrong cluster",
            Self::Drain => "drain",
            Self::Maint => "maint",
        }
    }

    /// Whether sessions are given to it in the ordinary way.
    pub fn is_usable(self) -> bool {
        matches!(self, Self::Ready | Self::Kept(_) | Self::Draining)
    }
}

/// Why a server is in use though its probes fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kept {
    /// It connects and answers too late, and no other is usable.
    Slow,
    /// All its probes have failed in TLS while its sessions flow: the fault is probably the check's.
    OurCheck,
    /// It went down while nobody at all answered: the fault is probably our own network's.
    Isolated,
}

impl Kept {
    pub const ALL: [Self; 3] = [Self::Slow, Self::OurCheck, Self::Isolated];

    /// The state in words, as on pages and in metrics.
    pub fn words(self) -> &'static str {
        match self {
            Self::Slow => "ready (slow)",
            Self::OurCheck => "ready (check fails)",
            Self::Isolated => "ready (isolated)",
        }
    }
}

/// What an operator set for a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AdminState {
    Ready,
    Drain,
    Maint,
}
