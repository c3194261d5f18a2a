//! The validated configuration as plain values.
//!
//! Whatever reads a configuration (TOML, a preset, a haproxy.cfg) ends in a [`Config`]; whatever runs starts from one.
//! Values here cannot be wrong by themselves: a [`Weight`] is within its range, a [`FrontendName`] has only letters that
//! may stand in a name. Lists are in file order, because ids, outputs and the choice of the first server depend on it.

use std::collections::BTreeSet;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

mod address;
mod check;
pub mod condition;
mod credential;
mod descriptor;
mod full;
mod http_probe;
mod line_format;
mod listen;
mod log;
mod members;
mod name;
mod network;
mod password;
mod pattern;
mod peers;
mod policy;
mod process;
mod retries;
mod rule;
mod runtime;
mod script;
mod service;
mod stats;
mod table;
mod unix_path;
mod version;

pub use self::address::{Endpoint, HostAddress, ListenAddress, SessionAddress, SessionHost};
pub use self::check::{ApiserverProbe, Check, HttpsProbe, Probe, ProbeTime, TlsProbe, Verify};
pub use self::condition::Condition;
pub use self::credential::{Credential, Identity, Secret, Token, TokenError, TokenFile};
pub use self::descriptor::{Descriptor, DescriptorName};
pub use self::http_probe::{Expectation, Expected, HttpProbe, HttpVersion};
pub use self::line_format::{LineFormat, LineFormatError, Part, Variable};
pub use self::listen::{AcceptProxy, Listen};
pub use self::log::{
    DatagramAddress, Facility, FrontendLog, LogLines, LogPlace, LogTarget, SessionLine, Severities, Severity, Syslog,
    SyslogProtocol,
};
pub use self::members::hosts;
pub use self::name::{BackendName, FrontendName, NAME_MAX, NameError, ServerName, TableName};
pub use self::network::Network;
pub use self::password::{PasswordHash, PasswordHashError, StatsAccess, User};
pub use self::pattern::{Pattern, Regex};
pub use self::peers::{Peer, Peers};
pub use self::policy::{
    Closing, DialRefused, DialSilent, JudgedBy, Keepalive, OnDown, OnDraining, OnFull, OnNoServer, OnPrimaryBack,
    OnRefused, OnRemoved, Policy,
};
pub use self::process::{Account, Connect, Process, Security};
pub use self::retries::{Redispatch, Retries};
pub use self::rule::{OnSilence, Route, Rule, RuleStage, RuleVerdict};
pub use self::runtime::{RuntimeAddress, RuntimeLevel, RuntimeSocket};
pub use self::script::{ExpectForm, STEPS_MAX, Step};
pub use self::service::{Agent, InitState, OnErrors, ProxyVersion, Tracked, Watchfulness};
pub use self::stats::{Monitor, RequestLine, RequestLog, Serves, Stats, StatsPage};
pub use self::table::{Count, Counted, Counter, OnTableFull, Stored, Table, TableKey, Track};
pub use self::unix_path::{SocketFile, UnixPath};
pub use self::version::{HAPROXY_RELEASED, HAPROXY_VERSION};

/// Everything that a configuration says, resolved: no value is missing, every reference leads somewhere.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    pub dialect: Dialect,
    pub policy: Policy,
    pub limits: Limits,
    pub frontends: Vec<Frontend>,
    pub backends: Vec<Backend>,
    /// The machines behind the servers of all backends, in order of first appearance.
    pub hosts: Vec<Host>,
    /// Where the process is watched over HTTP: of a TOML file, one place or none.
    pub stats: Vec<Stats>,
    pub admin: Option<Admin>,
    pub log: Log,
    pub process: Process,
    pub security: Security,
    /// Where HAProxy's runtime API is spoken, at most [`RuntimeSocket::MOST`].
    pub runtime: Vec<RuntimeSocket>,
    /// Other load balancers in front of the same servers.
    pub peers: Peers,
    /// What is counted of sources, for rules and routes to ask.
    pub tables: Vec<Table>,
}

impl Config {
    /// The backend of this name.
    pub fn backend(&self, name: &BackendName) -> Option<&Backend> {
        self.backends.iter().find(|backend| backend.name == *name)
    }

    /// Who may act over the stats listeners, whichever of them it is stated for.
    pub fn stats_access(&self) -> &StatsAccess {
        const NOBODY: &StatsAccess = &StatsAccess { token: None, user: None };
        self.stats.iter().map(|stats| &stats.access).find(|access| *access != NOBODY).unwrap_or(NOBODY)
    }

    /// Whether no frontend is listened for: the process watches beside the one that serves.
    pub fn takes_nobody(&self) -> bool {
        self.frontends.iter().all(|frontend| frontend.listen.is_empty())
    }

    /// The checks of all servers.
    pub fn checks(&self) -> impl Iterator<Item = &Check> {
        self.backends.iter().flat_map(|backend| &backend.servers).filter_map(|server| server.check.as_ref())
    }

    /// Every file that is read beside the configuration itself, whether once or again and again.
    pub fn files(&self) -> BTreeSet<&Path> {
        let token = self.stats.iter().filter_map(|stats| stats.access.token.as_ref());
        let token = token.map(|token| token.file.as_path());
        let tls = self.stats.iter().filter_map(|stats| stats.tls.as_ref()).flat_map(|identity| &identity.files);
        let peers = self.peers.authorities.as_ref().map(|(file, _)| file.as_path());
        let own = token.chain(tls.map(PathBuf::as_path)).chain(peers);
        self.checks().flat_map(|check| check.probe.files()).chain(own).collect()
    }
}

/// The language that a configuration is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Dialect {
    /// evenkeel's own.
    #[default]
    Toml,
    /// A haproxy.cfg.
    Haproxy,
}

/// Limits of the whole process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Sessions of all frontends together.
    pub max_sessions: u32,
    pub on_limit: OnLimit,
}

impl Limits {
    /// Sessions that a process takes unless told otherwise.
    pub const MAX_SESSIONS: u32 = 16_384;
}

/// What a client meets at a session limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnLimit {
    /// It waits in the kernel's accept queue until a session ends, as with HAProxy.
    Queue,
    /// It is accepted and reset at once.
    Reset,
}

/// An entry point: where clients connect, and which backend they get.
#[derive(Debug, Clone, PartialEq)]
pub struct Frontend {
    pub id: ProxyId,
    pub name: FrontendName,
    pub listen: Vec<Listen>,
    /// For sessions that no route leads elsewhere.
    pub backend: BackendName,
    /// Sessions of this frontend; `None` leaves the process's limit alone in force.
    pub max_sessions: Option<u32>,
    pub keepalive: Option<Keepalive>,
    /// Binds an address that the host does not hold (IP_FREEBIND), for the backup of a VIP pair.
    pub freebind: bool,
    /// Length of the kernel's accept queue, which `net.core.somaxconn` caps.
    pub backlog: u32,
    /// Longest time without a byte from or to the client.
    pub client_timeout: Option<Duration>,
    pub by_source: SourceLimits,
    pub rules: Vec<Rule>,
    pub routes: Vec<Route>,
    /// How long rules and routes that ask for a client's first bytes wait for them; `None` asks for those alone that are
    /// there.
    pub inspect_delay: Option<Duration>,
    /// What becomes of a client that has not said by then what it wants.
    pub on_silence: OnSilence,
    /// Sessions that no route leads anywhere are closed, and [`Frontend::backend`] is but the first route's.
    pub closes_unrouted: bool,
    /// How long a client may take for what must come before anything else: a PROXY protocol header.
    pub handshake_timeout: Duration,
    /// Shared with the records of its sessions.
    pub log: Arc<FrontendLog>,
    /// Whether a client is reset when its server resets the session; otherwise it sees an ordinary end, as HAProxy's do.
    pub reset_clients: bool,
}

impl Frontend {
    /// Where it listens.
    pub fn addresses(&self) -> impl Iterator<Item = ListenAddress> {
        self.listen.iter().map(|listen| listen.address)
    }

    /// The backends that routes lead to, or that conditions ask about.
    pub fn other_backends(&self) -> impl Iterator<Item = &BackendName> {
        let conditions = self.rules.iter().map(|rule| &rule.when).chain(self.routes.iter().map(|route| &route.when));
        let asked = conditions.flat_map(Condition::tests).filter_map(|test| match test {
            condition::Test::UsableServers { backend, .. } => Some(backend),
            _ => None,
        });
        self.routes.iter().map(|route| &route.backend).chain(asked)
    }
}

/// What a frontend lets one source do. The default is anything.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SourceLimits {
    /// Sessions of one address at a time.
    pub max_sessions: Option<u32>,
    /// New sessions of one address in a second, and at once after a second without any.
    pub rate: Option<u32>,
    /// Networks that clients must come from.
    pub allow: Option<Vec<Network>>,
    /// Networks that no client may come from, whatever is allowed.
    pub deny: Vec<Network>,
}

/// A group of servers with one balance method.
#[derive(Debug, Clone, PartialEq)]
pub struct Backend {
    pub id: ProxyId,
    pub name: BackendName,
    /// Whether it is a frontend, too, as the `listen` sections of a haproxy.cfg are.
    pub is_listen: bool,
    pub balance: Balance,
    pub servers: Vec<Server>,
    pub judged_by: JudgedBy,
    pub timeouts: BackendTimeouts,
    pub on_no_server: OnNoServer,
    pub closing: Closing,
    /// After how long a dial that is not answered is joined by one to another server, at the earliest; `None` for
    /// never.
    pub dial_hedge: Option<Duration>,
    /// Dials of one server that may be unfinished at a time; more go to the next server, or wait.
    pub max_dials: u32,
    /// Over how long a server that has recovered comes back to its full share of new sessions.
    pub slow_start: Option<Duration>,
    /// The authority that must have issued the servers' certificates, by its name or its key identifier; `None` lets
    /// the majority of the servers say.
    pub issuer: Option<String>,
    /// Whether `/readyz` asks for a usable server here.
    pub required: bool,
    pub keepalive: Option<Keepalive>,
    /// How a server is probed that has no check of its own.
    pub check: Option<Check>,
    pub retries: Retries,
    /// Whether each change in the results of a server's check has a line.
    pub log_health_checks: bool,
    /// Whether sessions are spread over all backups when they serve, instead of going to the first.
    pub all_backups: bool,
    /// How many servers [`Balance::Random`] draws, of which the least loaded has the session.
    pub draws: u32,
    pub on_full: OnFull,
    /// With how many sessions it is at its full load ([`Server::min_sessions`]); `None` leaves that to
    /// [`Config::full_sessions`].
    pub full_sessions: Option<u32>,
}

/// Waits on behalf of one session of a backend; `None` is no limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackendTimeouts {
    /// From the first dial to a connection, over all tries.
    pub connect: Duration,
    /// One dial.
    pub dial: Duration,
    /// Waiting for a slot of a server that is full.
    pub queue: Duration,
    /// Longest time without a byte from or to the server.
    pub server: Option<Duration>,
    /// Replaces the client's and the server's once both are connected.
    pub tunnel: Option<Duration>,
    /// Without a byte, after one side has sent FIN.
    pub half_close: Option<Duration>,
}

/// How the server of a new session is chosen among those that are usable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Balance {
    LeastConn,
    RoundRobin,
    First,
    Source,
    /// Each source at every server, for konnectivity's agents. HAProxy has no such method.
    Spread,
    /// As [`Balance::LeastConn`], but a server without any session is chosen before all others, whatever the weights, as
    /// HAProxy does.
    IdleFirst,
    /// As [`Balance::RoundRobin`], in an order that is worked out anew when servers come and go.
    StaticRoundRobin,
    /// The least loaded of some that are drawn by lot.
    Random,
    /// Each source by its place in a table of all servers, as HAProxy's `balance source` has it: it is another table when
    /// one comes or goes.
    SourceMap,
    /// The same by a number that every bit of the source bears on (`hash-type map-based … avalanche`).
    SourceMixedMap,
    /// Each source by its place on HAProxy's ring (`hash-type consistent`).
    SourceRing,
}

impl Balance {
    pub const ALL: [Self; 11] = [
        Self::LeastConn,
        Self::RoundRobin,
        Self::First,
        Self::Source,
        Self::Spread,
        Self::IdleFirst,
        Self::StaticRoundRobin,
        Self::Random,
        Self::SourceMap,
        Self::SourceMixedMap,
        Self::SourceRing,
    ];

    /// The word for it in configurations and outputs: HAProxy's, where it has the method.
    pub fn name(self) -> &'static str {
        match self {
            Self::LeastConn | Self::IdleFirst => "leastconn",
            Self::RoundRobin => "roundrobin",
            Self::First => "first",
            Self::Source | Self::SourceMap | Self::SourceMixedMap | Self::SourceRing => "source",
            Self::Spread => "spread",
            Self::StaticRoundRobin => "static-rr",
            Self::Random => "random",
        }
    }

    /// Whether it ties sessions to servers: then none of them goes elsewhere for a failed dial.
    pub fn is_sticky(self) -> bool {
        matches!(self, Self::Source | Self::SourceMap | Self::SourceMixedMap | Self::SourceRing)
    }
}

/// One member of a backend.
#[derive(Debug, Clone, PartialEq)]
pub struct Server {
    /// Its number in its backend, from 1, as HAProxy's `sid`.
    pub id: ServerId,
    pub name: ServerName,
    pub address: Endpoint,
    pub weight: Weight,
    pub backup: bool,
    /// Sessions that it is given at a time; more wait for a slot.
    pub max_sessions: Option<u32>,
    /// Starts in maintenance, as HAProxy's `disabled`.
    pub disabled: bool,
    pub check: Option<Check>,
    /// Its own of its backend's.
    pub slow_start: Option<Duration>,
    /// Its own of its backend's [`Closing`]; of `on_primary_back` where it is the primary that comes back.
    pub on_down: Option<OnDown>,
    pub on_primary_back: Option<OnPrimaryBack>,
    /// What failed dials do to its health; `None` leaves that to the policy.
    pub observe: Option<Watchfulness>,
    /// Whose state it has; such a server is never probed itself.
    pub track: Option<Tracked>,
    /// Our own address towards it; port 0 leaves the port to the kernel.
    pub source: Option<SocketAddr>,
    /// The network interface by which it is reached (SO_BINDTODEVICE).
    pub interface: Option<String>,
    /// How long what was sent to it may stay unacknowledged until the connection counts as dead (TCP_USER_TIMEOUT).
    pub user_timeout: Option<Duration>,
    /// What sessions begin with.
    pub send_proxy: Option<ProxyVersion>,
    pub init_state: InitState,
    pub agent: Option<Agent>,
    /// Where its name leads until it is looked up.
    pub initial_address: Option<IpAddr>,
    /// How many sessions may wait for it alone (HAProxy's `maxqueue`), where any do: [`OnFull::Wait`].
    pub max_queue: Option<u32>,
    /// Sessions that it is given at a time while its backend has few: the more there are, the nearer it comes to
    /// `max_sessions` (HAProxy's `minconn`). `None` gives it all of them at any time.
    pub min_sessions: Option<u32>,
}

impl Server {
    /// One of which nothing but its place is said, and that is not checked.
    pub fn new(id: ServerId, name: ServerName, address: Endpoint) -> Self {
        Self {
            id,
            name,
            address,
            weight: Weight::ONE,
            backup: false,
            max_sessions: None,
            disabled: false,
            check: None,
            slow_start: None,
            on_down: None,
            on_primary_back: None,
            observe: None,
            track: None,
            source: None,
            interface: None,
            user_timeout: None,
            send_proxy: None,
            init_state: InitState::default(),
            agent: None,
            initial_address: None,
            max_queue: None,
            min_sessions: None,
        }
    }
}

/// A machine, whatever number of servers run on it: one monitor watches all of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    pub address: HostAddress,
    /// Its servers in file order.
    pub servers: Vec<(BackendName, ServerName)>,
}

/// The unix socket on which the operator's commands come in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admin {
    pub socket: PathBuf,
    /// Permission bits of the socket.
    pub mode: u32,
    /// `None` leaves it to the group that the process runs as.
    pub group: Option<Account>,
}

/// What is logged, and where to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// At least one, and none of them twice.
    pub targets: Vec<LogTarget>,
    /// Whether a session has a line when it is connected, too.
    pub open: bool,
    /// How often a session that lives on has a line; `None` for never.
    pub progress: Option<Duration>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
    /// HAProxy's own: see [`FrontendLog::line`].
    Tcplog,
}

/// How grave a line is, the gravest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

/// A frontend's or backend's number, as HAProxy counts them: in file order, the first is 2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ProxyId(pub u32);

impl ProxyId {
    /// The id of the first proxy of a file (HAProxy never gives out 1).
    pub const FIRST: Self = Self(2);
}

impl fmt::Display for ProxyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// A server's number in its backend, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ServerId(pub u32);

impl fmt::Display for ServerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// A server's share of new sessions: 0 to 256, and 0 takes none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Weight(u16);

impl Weight {
    pub const ZERO: Self = Self(0);
    pub const ONE: Self = Self(1);
    pub const MAX: u16 = 256;

    /// `None` above [`Weight::MAX`].
    pub const fn new(value: u16) -> Option<Self> {
        if value <= Self::MAX { Some(Self(value)) } else { None }
    }

    pub const fn value(self) -> u16 {
        self.0
    }
}

impl fmt::Display for Weight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_end_at_256() {
        assert_eq!(Weight::new(256).map(Weight::value), Some(256));
        assert_eq!(Weight::new(257), None);
    }
}
