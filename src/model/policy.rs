//! What is done in the situations that HAProxy and evenkeel answer differently, and what becomes of sessions.

use std::time::Duration;

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
    pub on_full: OnFull,
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
            on_full: OnFull::Next,
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
            on_full: OnFull::Wait,
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
    /// counts as down for its sessions, and comes back from it as one that was down; and sessions that are closed before
    /// their end are so at once, and by a reset towards the server.
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

/// What a session meets whose server has as many sessions as it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnFull {
    /// It goes to the next one in the balance method's order, and waits only when all are full, for whichever is free
    /// first.
    Next,
    /// As with HAProxy: where the method ties it to that server, it waits in that server's own queue, and is refused if
    /// that is full, too ([`Server::max_queue`](super::Server::max_queue)).
    Wait,
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
