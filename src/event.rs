//! What happened, and what is: plain values that rooms hand to one another.
//!
//! Events ([`SessionRecord`], [`Verdict`], [`ServerChange`]) say what happened and carry their evidence. A [`Snapshot`]
//! says what is at one moment; pages, JSON, metrics and CSV are made from it and from nothing else.

use std::time::SystemTime;

use crate::model::{BackendName, ServerName, Tracked};

mod change;
mod check_report;
#[cfg(test)]
pub mod fixture;
pub mod host;
mod live;
mod never_up;
mod peer;
mod reload;
mod request;
mod session;
mod snapshot;
mod sources;
mod table;
mod verdict;

pub use self::change::{
    ActionTaken, Actor, CertificateExpiry, CredentialUsed, Drained, Gravity, Limit, LimitReached, ProcessChange,
    RuntimeClient,
};
pub use self::check_report::{CheckReport, Outcome};
pub use self::live::{ForcedHealth, ForcedOver, FrontendState, Names, Orders, SessionSnapshot, SessionState};
pub use self::never_up::NeverUp;
pub use self::peer::{PeerAnswer, PeerServer, PeerSnapshot, Silence};
pub use self::reload::{ConfigReload, Refused, ReloadOutcome, Upgrade, UpgradeOutcome, counted, done};
pub use self::request::{Asked, RequestFate, RequestRecord, Service};
pub use self::session::{Cause, Concurrent, Doorstep, Ending, Phase, SessionId, SessionRecord, SessionStage, Who};
pub use self::snapshot::{
    AgentSnapshot, BackendSnapshot, CheckSnapshot, ConfigSnapshot, Counts, DrainSnapshot, Fitness, FrontendSnapshot,
    HttpCounts, LogTargetSnapshot, Predecessor, ProbeTotals, ProcessPhase, ProcessSnapshot, RefusedReload,
    ServerSnapshot, SharedSource, Snapshot, StatsSnapshot, usable_servers,
};
pub use self::sources::{SourceHeld, SourcesSnapshot};
pub use self::table::{TableSnapshot, TrackedSource};
pub use self::verdict::{Certificate, CheckStatus, DownCause, Evidence, Readiness, Remark, Verdict, VerdictSource};

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
    /// How many of those who waited for it wait elsewhere now, or not at all; with the last usable server, of those as well
    /// who waited for any.
    pub requeued: usize,
    /// How many wait for it alone.
    pub queued: usize,
    /// Over what an operator has said how it is, if that is what it is.
    pub forced: Option<ForcedOver>,
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
