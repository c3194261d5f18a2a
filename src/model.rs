//! The validated configuration as plain values.
//!
//! Whatever reads a configuration (TOML, a preset, a haproxy.cfg) ends in a [`Config`]; whatever runs starts from one.
//! Values here cannot be wrong by themselves: a [`Weight`] is within its range, a [`FrontendName`] has only letters that
//! may stand in a name. Lists are in file order, because ids, outputs and the choice of the first server depend on it.

use std::borrow::Borrow;
use std::collections::BTreeSet;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

pub mod condition;
mod credential;
mod descriptor;
mod http_probe;
mod line_format;
mod listen;
mod log;
mod members;
mod network;
mod password;
mod pattern;
mod process;
mod retries;
mod rule;
mod runtime;
mod script;
mod service;
mod stats;
mod version;

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
pub use self::network::Network;
pub use self::password::{PasswordHash, PasswordHashError, StatsAccess, User};
pub use self::pattern::{Pattern, Regex};
pub use self::process::{Account, Connect, Process, Security};
pub use self::retries::{Redispatch, Retries};
pub use self::rule::{OnSilence, Route, Rule, RuleStage, RuleVerdict};
pub use self::runtime::{RuntimeAddress, RuntimeLevel, RuntimeSocket};
pub use self::script::{ExpectForm, STEPS_MAX, Step};
pub use self::service::{Agent, InitState, OnErrors, ProxyVersion, Tracked, Watchfulness};
pub use self::stats::{Monitor, Serves, Stats, StatsPage};
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
        self.checks().flat_map(|check| check.probe.files()).chain(token).collect()
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

/// What to do in the situations that HAProxy and evenkeel answer differently.
///
/// A configuration starts from one of the two and sets the fields that it states.
#[derive(Debug, Clone, PartialEq)]
pub struct Policy {
    pub dial_refused: DialRefused,
    pub dial_silent: DialSilent,
    pub judged_by: JudgedBy,
    pub closing: Closing,
    /// Keepalive towards clients; `None` leaves it off.
    pub client_keepalive: Option<Keepalive>,
    /// Keepalive towards servers; `None` leaves it off.
    pub server_keepalive: Option<Keepalive>,
    /// How long a half-closed session may go without a byte; `None` leaves it to the other timeouts.
    pub half_close: Option<Duration>,
    pub on_no_server: OnNoServer,
    /// Whether a reload happens inside this process, with counters and health kept.
    pub reload_in_process: bool,
    /// Whether a listen address without a host (`:6443`) accepts IPv6 as well as IPv4.
    pub dual_stack: bool,
    /// Whether the stats page takes actions without a credential.
    pub open_stats: bool,
}

impl Policy {
    /// evenkeel's own behaviour: TOML files and presets start from it.
    pub fn evenkeel() -> Self {
        Self {
            dial_refused: DialRefused::NextServer,
            dial_silent: DialSilent::Hedge { after: Duration::from_millis(250) },
            judged_by: JudgedBy::Everything,
            closing: Closing {
                on_down: OnDown::Ask,
                on_refused: OnRefused::Drain,
                on_draining: OnDraining::Keep,
                on_primary_back: OnPrimaryBack::Keep,
                on_removed: OnRemoved::Keep,
                dead_after: Duration::from_secs(10),
                drain_idle: Duration::from_secs(15),
                drain_max: Duration::from_secs(60),
                kill_spread: Duration::from_secs(3),
            },
            client_keepalive: Some(Keepalive::new(30, 10, 3)),
            server_keepalive: Some(Keepalive::new(15, 5, 3)),
            half_close: Some(Duration::from_secs(30)),
            on_no_server: OnNoServer::TryAll,
            reload_in_process: true,
            dual_stack: true,
            open_stats: false,
        }
    }

    /// HAProxy's behaviour where its file says nothing: a haproxy.cfg starts from it.
    pub fn haproxy() -> Self {
        Self {
            dial_refused: DialRefused::SameServer { retries: 3, pause: Duration::from_secs(1) },
            dial_silent: DialSilent::Wait,
            judged_by: JudgedBy::Probes,
            closing: Closing { on_down: OnDown::Keep, kill_spread: Duration::ZERO, ..Self::evenkeel().closing },
            client_keepalive: None,
            server_keepalive: None,
            half_close: None,
            on_no_server: OnNoServer::Close,
            reload_in_process: false,
            dual_stack: false,
            open_stats: true,
        }
    }
}

/// What follows a dial that was refused or failed at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DialRefused {
    /// The next server in the balance method's order, at once.
    NextServer,
    /// The same server again, so many times, after a pause; then the client is dropped (HAProxy's `retries`).
    SameServer { retries: u32, pause: Duration },
}

/// What follows a dial that is not answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DialSilent {
    /// Nothing until the dial's own timeout.
    Wait,
    /// A second dial to another server, not before this time; the first to connect wins.
    Hedge { after: Duration },
}

/// What bears on whether a server is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JudgedBy {
    /// All that is known of it. One whose last probe failed, without being down yet, is chosen only when no other is
    /// usable; a failed dial starts a probe, three in a row take it down; one that shows another authority's
    /// certificate than the rest is not used; and one whose probes fail is kept where the fault is probably ours.
    Everything,
    /// The results of its probes, by rise and fall, as with HAProxy: each of them counts, errors of our own and a time
    /// without any network included. One that says it takes no new work gets none, and at once; one in maintenance
    /// counts as down for its sessions, and comes back from it as one that was down.
    Probes,
}

impl JudgedBy {
    /// Whether a probe's word is held against what else is known.
    pub fn weighs(self) -> bool {
        self == Self::Everything
    }
}

/// What becomes of the sessions that a server has when it takes no new ones any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Closing {
    pub on_down: OnDown,
    pub on_refused: OnRefused,
    pub on_draining: OnDraining,
    pub on_primary_back: OnPrimaryBack,
    pub on_removed: OnRemoved,
    /// How long a server must have been down whose kernel answers and whose process does not, until its sessions are
    /// closed.
    pub dead_after: Duration,
    /// How long a server must have refused connections until its idle sessions are closed,
    pub drain_idle: Duration,
    /// and until all are that move no bytes.
    pub drain_max: Duration,
    /// Over how long the sessions of one server are closed at most.
    pub kill_spread: Duration,
}

/// What becomes of the sessions of a server that goes down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnDown {
    /// Each session's peer is asked; those whose peer is silent are closed.
    Ask,
    /// All are closed (HAProxy's `on-marked-down shutdown-sessions`).
    Close,
    /// They live on until a peer or a timeout ends them.
    Keep,
}

/// What becomes of the sessions of a server that is down because it refuses connections: its process, which lives
/// while they are open, may be finishing its work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnRefused {
    /// Those that are idle are closed after a while: [`Closing::drain_idle`].
    Drain,
    /// All are closed at once.
    Close,
}

/// What becomes of the sessions of a server that says it takes no new work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnDraining {
    Keep,
    Close,
}

/// What becomes of the sessions on backup servers when a primary is usable again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnPrimaryBack {
    Keep,
    /// All are closed (HAProxy's `on-marked-up shutdown-backup-sessions`).
    Close,
}

/// What becomes of the sessions of a server that a reload has taken out of the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnRemoved {
    /// They live on until a peer or a timeout ends them.
    Keep,
    /// They are closed evenly over [`Closing::drain_max`], idle ones first.
    Drain,
    /// All are closed at once.
    Close,
}

/// What a new session meets when no server is usable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnNoServer {
    /// All servers that the operator has not taken out are dialled, for at most two seconds; then as `Reset`.
    TryAll,
    /// The client is reset.
    Reset,
    /// The client is closed in the ordinary way, as HAProxy does.
    Close,
    /// Nobody listens while it is so: the kernel refuses clients.
    CloseListener,
}

/// When the kernel asks a quiet peer whether it lives: after `idle`, then every `interval`, `count` times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keepalive {
    pub idle: Duration,
    pub interval: Duration,
    pub count: u32,
}

impl Keepalive {
    const fn new(idle: u64, interval: u64, count: u32) -> Self {
        Self { idle: Duration::from_secs(idle), interval: Duration::from_secs(interval), count }
    }
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
}

impl Balance {
    pub const ALL: [Self; 8] = [
        Self::LeastConn,
        Self::RoundRobin,
        Self::First,
        Self::Source,
        Self::Spread,
        Self::IdleFirst,
        Self::StaticRoundRobin,
        Self::Random,
    ];

    /// The word for it in configurations and outputs: HAProxy's, where it has the method.
    pub fn name(self) -> &'static str {
        match self {
            Self::LeastConn | Self::IdleFirst => "leastconn",
            Self::RoundRobin => "roundrobin",
            Self::First => "first",
            Self::Source => "source",
            Self::Spread => "spread",
            Self::StaticRoundRobin => "static-rr",
            Self::Random => "random",
        }
    }

    /// Whether it ties sessions to servers: then none of them goes elsewhere for a failed dial.
    pub fn is_sticky(self) -> bool {
        self == Self::Source
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
        }
    }
}

/// How a server is probed, and what a series of results means.
#[derive(Debug, Clone, PartialEq)]
pub struct Check {
    pub probe: Probe,
    /// Port to probe instead of the server's own.
    pub port: Option<u16>,
    /// From the start of one probe to the start of the next, in a steady state.
    pub interval: Duration,
    /// The same between up and down.
    pub fast_interval: Duration,
    /// The same while down.
    pub down_interval: Duration,
    /// For the whole probe, from dial to verdict, or for a part of it: see [`ProbeTime`].
    pub timeout: Duration,
    /// Failures in a row that take a server down, at least 1.
    pub fall: u16,
    /// Successes in a row that bring it up, at least 1.
    pub rise: u16,
    /// Another address to probe than the server's own.
    pub address: Option<IpAddr>,
    /// What the probe begins with; it says that it stands for nobody (LOCAL, UNKNOWN).
    pub send_proxy: Option<ProxyVersion>,
    pub time: ProbeTime,
}

impl Check {
    /// One with this probe and interval, and evenkeel's own values for the rest.
    pub fn new(probe: Probe, interval: Duration) -> Self {
        Self {
            probe,
            port: None,
            interval,
            fast_interval: interval,
            down_interval: interval,
            timeout: interval,
            fall: 3,
            rise: 2,
            address: None,
            send_proxy: None,
            time: ProbeTime::Whole,
        }
    }
}

impl Check {
    /// The ports that it connects to beside the server's own.
    pub fn ports(&self) -> impl Iterator<Item = u16> {
        let steps = match &self.probe {
            Probe::Script { steps, .. } => steps.as_slice(),
            _ => &[],
        };
        let of_steps = steps.iter().filter_map(|step| match step {
            Step::Connect { port, .. } => *port,
            Step::Send(_) | Step::Expect { .. } => None,
        });
        self.port.into_iter().chain(of_steps)
    }
}

/// What bounds a probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProbeTime {
    /// [`Check::timeout`] from dial to verdict.
    Whole,
    /// The interval in force, from dial to verdict: HAProxy without `timeout check`.
    Interval,
    /// This and the interval in force for the dial, then [`Check::timeout`] for the rest: HAProxy with `timeout check`,
    /// whose dials have `timeout connect`.
    Dial(Duration),
}

/// What one probe does.
#[derive(Debug, Clone, PartialEq)]
pub enum Probe {
    /// Connects.
    Tcp,
    /// Connects and completes a TLS handshake.
    Tls(TlsProbe),
    /// Sends `GET path` over TLS and reads the status.
    Https(HttpsProbe),
    /// Asks a kube-apiserver for its `/readyz`.
    KubeApiserver(ApiserverProbe),
    /// Begins HTTP/2 with a konnectivity server, and ends it.
    Konnectivity(TlsProbe),
    /// Sends `GET /` to k0s's join API, which answers 404 while it lives.
    K0sJoin(TlsProbe),
    /// Sends a request of the configuration's own, and holds the answer against what it expects.
    Http(HttpProbe),
    /// Has a conversation. TLS is for the steps that connect with it.
    Script { steps: Vec<Step>, tls: Option<TlsProbe> },
}

impl Probe {
    /// The check's type as the configuration says it.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Tls(_) => "tls",
            Self::Https(_) => "https",
            Self::KubeApiserver(_) => "kube-apiserver",
            Self::Konnectivity(_) => "konnectivity",
            Self::K0sJoin(_) => "k0s-join",
            Self::Http(HttpProbe { tls: None, .. }) => "http",
            Self::Http(_) => "http-over-tls",
            Self::Script { .. } => "script",
        }
    }

    /// The files that it was made from, and those that it reads.
    pub fn files(&self) -> Vec<&Path> {
        let (tls, credential) = match self {
            Self::Tcp | Self::Http(HttpProbe { tls: None, .. }) | Self::Script { tls: None, .. } => return Vec::new(),
            Self::Http(HttpProbe { tls: Some(tls), .. }) | Self::Script { tls: Some(tls), .. } => (tls, None),
            Self::Tls(tls) | Self::Konnectivity(tls) | Self::K0sJoin(tls) => (tls, None),
            Self::Https(probe) => (&probe.tls, None),
            Self::KubeApiserver(probe) => (&probe.tls, probe.credential.as_ref()),
        };
        let authority = match &tls.verify {
            Verify::None => None,
            Verify::Ca { file, .. } => Some(file),
        };
        let shown = match credential {
            None => &[],
            Some(Credential::Token(token)) => std::slice::from_ref(&token.file),
            Some(Credential::Certificate(identity)) => identity.files.as_slice(),
        };
        let own = tls.identity.iter().flat_map(|identity| &identity.files);
        authority.into_iter().chain(shown).chain(own).map(PathBuf::as_path).collect()
    }
}

/// The TLS part of a probe.
#[derive(Debug, Clone, PartialEq)]
pub struct TlsProbe {
    pub verify: Verify,
    /// Server name sent (SNI), and verified unless [`Verify::None`]; without one, the server's address stands for it
    /// in verification and no SNI is sent.
    pub server_name: Option<String>,
    /// Protocols offered, most wanted first; empty sends no ALPN.
    pub alpn: Vec<String>,
    /// Shown to servers that ask who is there.
    pub identity: Option<Identity>,
}

/// Whom a TLS probe believes.
#[derive(Clone, PartialEq)]
pub enum Verify {
    /// Anyone: the check proves that the server speaks, not who it is.
    None,
    /// A server whose certificate one of these authorities has signed.
    Ca {
        file: PathBuf,
        /// The file's certificates, DER, at least one.
        roots: Arc<[Vec<u8>]>,
    },
}

impl fmt::Debug for Verify {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("None"),
            Self::Ca { file, roots } => write!(f, "Ca({}, {} certificates)", file.display(), roots.len()),
        }
    }
}

/// The HTTP part of an `https` probe.
#[derive(Debug, Clone, PartialEq)]
pub struct HttpsProbe {
    pub tls: TlsProbe,
    /// Begins with a slash.
    pub path: String,
    /// Statuses that count as alive.
    pub accept: Vec<u16>,
    /// Statuses of a server that takes no new work; none of them is in `accept`.
    pub draining: Vec<u16>,
}

/// What a `kube-apiserver` probe needs to know.
#[derive(Debug, Clone, PartialEq)]
pub struct ApiserverProbe {
    pub tls: TlsProbe,
    /// Without one the apiserver may not say whether it is ready.
    pub credential: Option<Credential>,
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

/// Where a listener is bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ListenAddress {
    /// All addresses of both families on one socket (`:6443`).
    DualStack { port: u16 },
    /// One address; an IPv6 one accepts IPv6 only.
    Tcp(SocketAddr),
    /// A socket that was opened for us (`fd@api`, `fd@3`), whatever its address is.
    Descriptor(Descriptor),
}

impl ListenAddress {
    /// `None` if only the socket itself knows.
    pub fn port(self) -> Option<u16> {
        match self {
            Self::DualStack { port } => Some(port),
            Self::Tcp(address) => Some(address.port()),
            Self::Descriptor(_) => None,
        }
    }

    /// Whether a socket on `self` and one on `other` would collide.
    pub fn overlaps(self, other: Self) -> bool {
        let port = self.port();
        if port != other.port() || port == Some(0) {
            return false;
        }
        match (self, other) {
            (Self::Descriptor(_), _) | (_, Self::Descriptor(_)) => self == other,
            (Self::DualStack { .. }, _) | (_, Self::DualStack { .. }) => true,
            (Self::Tcp(a), Self::Tcp(b)) => {
                a.is_ipv4() == b.is_ipv4() && (a.ip() == b.ip() || a.ip().is_unspecified() || b.ip().is_unspecified())
            }
        }
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DualStack { port } => write!(f, ":{port}"),
            Self::Tcp(address) => write!(f, "{address}"),
            Self::Descriptor(descriptor) => write!(f, "fd@{descriptor}"),
        }
    }
}

/// A host and a port to connect to; the port is never 0.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Endpoint {
    pub host: HostAddress,
    pub port: u16,
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            HostAddress::Ip(IpAddr::V6(ip)) => write!(f, "[{ip}]:{}", self.port),
            host => write!(f, "{host}:{}", self.port),
        }
    }
}

/// A machine's address, or a name that is looked up while running.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum HostAddress {
    Ip(IpAddr),
    Name(String),
}

impl fmt::Display for HostAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(ip) => write!(f, "{ip}"),
            Self::Name(name) => f.write_str(name),
        }
    }
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

/// Why a text is not a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NameError {
    Empty,
    /// Longer than [`NAME_MAX`].
    TooLong,
    /// A character other than letters, digits and `-_.:`.
    Character(char),
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("a name must not be empty"),
            Self::TooLong => write!(f, "a name has at most {NAME_MAX} characters"),
            Self::Character(c) => write!(f, "{c:?} can't stand in a name; letters, digits and `-_.:` can"),
        }
    }
}

impl std::error::Error for NameError {}

/// Longest name in bytes.
pub const NAME_MAX: usize = 128;

/// HAProxy's rule for the names of proxies and servers (configuration manual, section 4.1).
fn check_name(text: &str) -> Result<(), NameError> {
    if text.is_empty() {
        return Err(NameError::Empty);
    }
    if text.len() > NAME_MAX {
        return Err(NameError::TooLong);
    }
    match text.chars().find(|c| !(c.is_ascii_alphanumeric() || "-_.:".contains(*c))) {
        Some(c) => Err(NameError::Character(c)),
        None => Ok(()),
    }
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Accepts 1 to [`NAME_MAX`] letters, digits and `-_.:`.
            pub fn new(text: &str) -> Result<Self, NameError> {
                check_name(text)?;
                Ok(Self(text.into()))
            }

            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    };
}

name!(
    /// A frontend's name.
    FrontendName
);
name!(
    /// A backend's name.
    BackendName
);
name!(
    /// A server's name, unique in its backend.
    ServerName
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_haproxys_rule() {
        assert!(BackendName::new("kubeAPI_backend-1.a:b").is_ok());
        assert_eq!(ServerName::new(""), Err(NameError::Empty));
        assert_eq!(ServerName::new("a b"), Err(NameError::Character(' ')));
        assert_eq!(ServerName::new("<script>"), Err(NameError::Character('<')));
        assert_eq!(FrontendName::new(&"x".repeat(NAME_MAX + 1)), Err(NameError::TooLong));
    }

    #[test]
    fn weights_end_at_256() {
        assert_eq!(Weight::new(256).map(Weight::value), Some(256));
        assert_eq!(Weight::new(257), None);
    }

    #[test]
    fn listen_addresses_collide_as_sockets_do() {
        let dual = ListenAddress::DualStack { port: 6443 };
        let v4 = ListenAddress::Tcp("127.0.0.1:6443".parse().unwrap());
        let other_v4 = ListenAddress::Tcp("127.0.0.2:6443".parse().unwrap());
        let any_v4 = ListenAddress::Tcp("0.0.0.0:6443".parse().unwrap());
        let v6 = ListenAddress::Tcp("[::1]:6443".parse().unwrap());
        let other_port = ListenAddress::Tcp("127.0.0.1:6444".parse().unwrap());
        assert!(dual.overlaps(v4) && v6.overlaps(dual) && any_v4.overlaps(v4) && v4.overlaps(v4));
        assert!(!v4.overlaps(other_v4) && !v4.overlaps(v6) && !any_v4.overlaps(v6) && !dual.overlaps(other_port));
        let [three, four] = [3, 4].map(|number| ListenAddress::Descriptor(Descriptor::Number(number)));
        assert!(three.overlaps(three) && !three.overlaps(four) && !three.overlaps(dual) && !v4.overlaps(three));
    }
}
