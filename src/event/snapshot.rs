//! What is at one moment: everything that pages, JSON, metrics and CSV show.

use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use super::{AdminState, Certificate, Evidence, FrontendState, Orders, PeerSnapshot, ServerState, TableSnapshot};
use crate::model::{
    BackendName, Balance, Endpoint, FrontendName, HostAddress, ListenAddress, ProxyId, ServerId, ServerName, Tracked,
    Weight,
};

/// The whole process at one moment. Figures were read within the same instant, not under one lock.
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot {
    pub at: SystemTime,
    pub process: ProcessSnapshot,
    /// In file order.
    pub frontends: Vec<FrontendSnapshot>,
    /// In file order.
    pub backends: Vec<BackendSnapshot>,
    /// Where it is watched over HTTP, in file order.
    pub stats: Vec<StatsSnapshot>,
    /// Other load balancers, in the order of the configuration.
    pub peers: Vec<PeerSnapshot>,
    /// In file order.
    pub tables: Vec<TableSnapshot>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct ProcessSnapshot {
    pub pid: u32,
    pub version: &'static str,
    /// The host's name.
    pub node: String,
    pub started: SystemTime,
    pub uptime: Duration,
    pub workers: u32,
    pub sessions: u32,
    pub max_sessions: u32,
    /// Soft limit of open files.
    pub max_descriptors: u64,
    pub open_descriptors: u64,
    /// Bytes of memory in use.
    pub resident_memory: u64,
    /// Processor time used, user and kernel, in all threads.
    pub cpu: Duration,
    pub phase: ProcessPhase,
    /// Processes that this one has replaced and that still have sessions, the last one first.
    pub predecessors: Vec<Predecessor>,
    /// Cut off from the hosts behind it, as far as can be told: nothing is closed for their silence.
    pub isolated: bool,
    /// Log lines that were dropped because their target was too slow.
    pub dropped_logs: u64,
    /// In the order of the configuration.
    pub log_targets: Vec<LogTargetSnapshot>,
    /// Times that the process-wide limit was reached.
    pub limit_reached: u64,
    /// Times that accepting paused for want of descriptors or memory.
    pub accept_pauses: u64,
    /// Events so far: the number of the last one.
    pub events: u64,
    /// Actions of operators that were carried out, and that were refused for want of a credential.
    pub actions: u64,
    pub actions_refused: u64,
    pub config: ConfigSnapshot,
    pub counts: Counts,
}

impl ProcessSnapshot {
    /// Part of the workers' time that was idle since the start, in percent, whatever the clocks say.
    pub fn idle_percent(&self) -> u8 {
        let available = self.uptime.as_secs_f64() * f64::from(self.workers.max(1));
        let used = if available > 0.0 { self.cpu.as_secs_f64() / available } else { 0.0 };
        (100.0 * (1.0 - used.clamp(0.0, 1.0))).round() as u8
    }
}

/// The configuration as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigSnapshot {
    /// When the one that is in force was taken on: at the start, or by a reload.
    pub loaded: SystemTime,
    /// The last reload, if it was refused.
    pub refused: Option<RefusedReload>,
}

/// A reload that has changed nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedReload {
    pub at: SystemTime,
    /// Who wanted it.
    pub by: String,
    /// The first mistake with its place, or what else it was.
    pub reason: String,
}

/// A process that has been replaced by an upgrade, while it still has sessions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Predecessor {
    pub pid: u32,
    pub version: String,
    /// When it was replaced.
    pub replaced: SystemTime,
    pub sessions: u32,
}

/// How a target of the log fares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogTargetSnapshot {
    /// Its place: `stdout`, `syslog 127.0.0.1:514`.
    pub name: String,
    /// Lines that it lost.
    pub dropped: u64,
    /// Whether it took what was last written to it, as far as can be told.
    pub reached: bool,
}

/// Where the process is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ProcessPhase {
    Serving,
    /// Told to stop, still accepting.
    Preempt,
    /// No longer accepting, sessions are closed.
    Stopping,
    /// A newer process has taken over the listeners; the sessions that are left may end by themselves.
    Replaced,
}

impl ProcessPhase {
    /// The word for it on pages and in metrics.
    pub fn word(self) -> &'static str {
        match self {
            Self::Serving => "serving",
            Self::Preempt => "preempt",
            Self::Stopping => "stopping",
            Self::Replaced => "replaced",
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct FrontendSnapshot {
    pub id: ProxyId,
    pub name: FrontendName,
    pub listen: Vec<ListenAddress>,
    pub backend: BackendName,
    /// The other backends that its routes lead to.
    pub routes: Vec<BackendName>,
    pub max_sessions: Option<u32>,
    /// At its limit right now: clients wait.
    pub full: bool,
    /// Times that its own limit was reached.
    pub limit_reached: u64,
    pub counts: Counts,
    pub state: FrontendState,
}

impl FrontendSnapshot {
    /// Whether any of its sessions may go to this backend.
    pub fn leads_to(&self, backend: &BackendName) -> bool {
        self.backend == *backend || self.routes.contains(backend)
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct BackendSnapshot {
    pub id: ProxyId,
    pub name: BackendName,
    pub balance: Balance,
    pub required: bool,
    /// Whether any server is usable.
    pub up: bool,
    /// When `up` last changed.
    pub since: SystemTime,
    /// Whether a server has ever been seen ready.
    pub ever_up: bool,
    /// Usable primaries and backups.
    pub active: u32,
    pub backup: u32,
    /// Sum of the weights of the usable servers that are in use.
    pub weight: u32,
    /// The same of what they are worth now: less than that while some of them come back slowly.
    pub effective_weight: u32,
    /// Time without a usable server, the present one included.
    pub downtime: Duration,
    /// Sessions that wait here, for whichever server is free first or for a certain one.
    pub queued: u32,
    /// Most of them at a time.
    pub queued_max: u32,
    /// With how many sessions it is at its full load; see [`crate::model::Config::full_sessions`].
    pub full_sessions: u32,
    /// Where the balance method is to bring each source to every server: one that several clients share.
    pub shared_source: Option<SharedSource>,
    pub counts: Counts,
    /// In file order.
    pub servers: Vec<ServerSnapshot>,
}

impl BackendSnapshot {
    /// Its counts, with all who wait here among them: those of HAProxy's outputs have only those who wait for any server.
    pub fn all_counts(&self) -> Counts {
        Counts { queued: self.queued, queued_max: self.queued_max, ..self.counts }
    }
}

/// How many servers take new sessions, as HAProxy counts them (`nbsrv`): primaries, or one backup while there are none.
pub fn usable_servers(primaries: u32, backups: u32) -> u32 {
    if primaries > 0 { primaries } else { backups.min(1) }
}

/// An address that several clients share, seen by its having several sessions at every server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SharedSource {
    /// The one with the most sessions.
    pub address: IpAddr,
    pub sessions: u32,
    /// How many more addresses are shared.
    pub others: u32,
}

#[derive(Debug, Clone, PartialEq)]
pub struct ServerSnapshot {
    pub id: ServerId,
    pub name: ServerName,
    pub address: Endpoint,
    pub host: HostAddress,
    pub weight: Weight,
    pub backup: bool,
    pub max_sessions: Option<u32>,
    pub state: ServerState,
    /// Its last probe has failed, and it isn't down yet: it is chosen only if no other is usable.
    pub suspect: bool,
    pub admin: AdminState,
    /// What of it an operator has set since the start.
    pub orders: Orders,
    pub since: SystemTime,
    /// `None` if it is not checked.
    pub check: Option<CheckSnapshot>,
    /// Time spent down, the present one included.
    pub downtime: Duration,
    /// Sessions that processes still have there which this one has replaced.
    pub replaced_sessions: u32,
    pub counts: Counts,
    /// `None` if it has no agent.
    pub agent: Option<AgentSnapshot>,
    /// The server whose state it has.
    pub tracked: Option<Tracked>,
    /// The hundredths of its share of new sessions that it has, on its way back to all of it.
    pub throttle: Option<u16>,
    /// What its weight is worth now: less than it on that way.
    pub effective_weight: u32,
    /// How often dials in a row have failed as the configuration has it watched for; `None` if it isn't.
    pub failed_rows: Option<u64>,
    /// How many sessions may wait for it alone.
    pub max_queue: Option<u32>,
    /// The drain over a time that is under way.
    pub drain: Option<DrainSnapshot>,
}

/// A drain over a time, on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DrainSnapshot {
    pub begun: SystemTime,
    pub over: Duration,
    /// The sessions that there were when it began.
    pub sessions: u32,
}

/// A server's check and its last result.
#[derive(Debug, Clone, PartialEq)]
pub struct CheckSnapshot {
    /// The check's type, as the configuration says it.
    pub kind: &'static str,
    pub rise: u16,
    pub fall: u16,
    /// The health counter, 0 to `rise + fall - 1`; up from `rise` on.
    pub health: u16,
    /// A probe is under way.
    pub running: bool,
    /// `None` before the first one has ended.
    pub last: Option<Evidence>,
    /// The last certificate seen, also when the last probe did not come so far.
    pub certificate: Option<Certificate>,
    pub probes: ProbeTotals,
}

/// What is counted of a server's probes since it is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ProbeTotals {
    pub ended: u64,
    /// Those of them that failed, whatever the server's state was.
    pub failed: u64,
    /// How long they took together.
    pub time: Duration,
}

/// A server's agent and its last word.
#[derive(Debug, Clone, PartialEq)]
pub struct AgentSnapshot {
    pub rise: u16,
    pub fall: u16,
    /// As [`CheckSnapshot::health`].
    pub health: u16,
    /// It is being asked.
    pub running: bool,
    pub last: Option<Evidence>,
}

/// What is counted of a frontend, a server, a backend or the whole process: every column of HAProxy's CSV that means
/// something in TCP. Totals never go backwards. A field that does not apply is 0.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Counts {
    /// Sessions open now, and the most at a time.
    pub sessions: u32,
    pub sessions_max: u32,
    pub sessions_total: u64,
    /// Client to server, in every row.
    pub bytes_in: u64,
    /// Server to client, in every row.
    pub bytes_out: u64,
    /// New sessions in the last second, and the most in one second.
    pub rate: u32,
    pub rate_max: u32,
    /// Sessions that wait for a slot, and the most at a time.
    pub queued: u32,
    pub queued_max: u32,
    /// Clients refused by a rule.
    pub denied: u64,
    /// Of these, the ones that were refused when it was known who they are, by a rule,
    pub denied_sessions: u64,
    /// and the ones that were for what they sent, or did not send.
    pub denied_contents: u64,
    /// Clients that HAProxy would not call sessions: they were closed before that.
    pub embryonic: u64,
    /// Clients that sent no PROXY protocol header where one is wanted; they are among the request errors.
    pub handshake_errors: u64,
    /// Clients that left, or sent something unreadable, before a backend was known.
    pub request_errors: u64,
    /// Dials that failed (server), sessions that found no server (backend).
    pub connect_errors: u64,
    /// Sessions that a server ended by an error before its first byte.
    pub response_errors: u64,
    /// Dials after the first.
    pub retries: u64,
    /// Sessions that moved to another server.
    pub moves: u64,
    /// Silent dials that were joined by one to another server.
    pub hedges: u64,
    /// Dials begun.
    pub connects: u64,
    /// Times chosen: connections that came about.
    pub chosen: u64,
    /// Sessions that a client or a server ended by an error, or was silent in for longer than its timeout.
    pub client_aborts: u64,
    pub server_aborts: u64,
    /// Probes that failed while the server was up.
    pub check_failures: u64,
    /// Changes from up to down.
    pub downs: u64,
    /// Since the last session was given to it; `None` if there was none.
    pub last_session: Option<Duration>,
    /// Of the last 1,024 sessions: average, and the longest ever.
    pub queue_time: Duration,
    pub queue_time_max: Duration,
    pub connect_time: Duration,
    pub connect_time_max: Duration,
    pub total_time: Duration,
    pub total_time_max: Duration,
    /// Dials whose connection came about in this process, and how long they took together.
    pub dialled: u64,
    pub dial_time: Duration,
}

impl Counts {
    /// These, counted on from where another process had come to: totals are added, and of maxima the larger one counts.
    /// What is open or was recent is this process's alone.
    #[must_use]
    pub fn after(mut self, earlier: &Self) -> Self {
        self.sessions_total += earlier.sessions_total;
        self.bytes_in += earlier.bytes_in;
        self.bytes_out += earlier.bytes_out;
        self.denied += earlier.denied;
        self.denied_contents += earlier.denied_contents;
        self.denied_sessions += earlier.denied_sessions;
        self.handshake_errors += earlier.handshake_errors;
        self.embryonic += earlier.embryonic;
        self.request_errors += earlier.request_errors;
        self.connect_errors += earlier.connect_errors;
        self.response_errors += earlier.response_errors;
        self.retries += earlier.retries;
        self.moves += earlier.moves;
        self.hedges += earlier.hedges;
        self.connects += earlier.connects;
        self.chosen += earlier.chosen;
        self.client_aborts += earlier.client_aborts;
        self.server_aborts += earlier.server_aborts;
        self.check_failures += earlier.check_failures;
        self.downs += earlier.downs;
        self.sessions_max = self.sessions_max.max(earlier.sessions_max);
        self.rate_max = self.rate_max.max(earlier.rate_max);
        self.queued_max = self.queued_max.max(earlier.queued_max);
        self.queue_time_max = self.queue_time_max.max(earlier.queue_time_max);
        self.connect_time_max = self.connect_time_max.max(earlier.connect_time_max);
        self.total_time_max = self.total_time_max.max(earlier.total_time_max);
        self
    }
}

/// A place where the process is watched over HTTP. HAProxy's outputs list it among the proxies.
#[derive(Debug, Clone, PartialEq)]
pub struct StatsSnapshot {
    pub id: ProxyId,
    pub name: FrontendName,
    pub max_sessions: u32,
    /// Whether it is a backend, too, in HAProxy's outputs.
    pub is_listen: bool,
    /// Its connections and bytes.
    pub counts: Counts,
    pub http: HttpCounts,
}

/// Requests and answers so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct HttpCounts {
    pub requests: u64,
    /// Requests in the last second, and the most in one second.
    pub rate: u32,
    pub rate_max: u32,
    /// Answers by the first digit of their status, 1 to 5; at 0 those with another one.
    pub answers: [u64; HttpCounts::CLASSES],
}

impl HttpCounts {
    pub const CLASSES: usize = 6;
}

/// The answer to `/livez`, `/readyz`: empty reasons are a yes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Fitness {
    /// Why not, each a short sentence.
    pub reasons: Vec<String>,
}

impl Fitness {
    pub fn is_ok(&self) -> bool {
        self.reasons.is_empty()
    }
}
