//! What else happens beside a server's changes: actions of operators, limits, certificates that run out, the process
//! itself; and how each of them is told in one sentence.

use std::fmt;
use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use super::{Change, ProcessPhase, ReloadOutcome, ServerState, UpgradeOutcome};
use crate::model::{BackendName, FrontendName, OnLimit, ServerName};

/// An operator did something.
#[derive(Debug, Clone, PartialEq)]
pub struct ActionTaken {
    pub by: Actor,
    /// What was done, in a word: `state`, `weight`, `kill`, `debug`, `add-server`, `remove-server`, `health`, `checks`,
    /// `clear-counters`, `clear-table`, `tune`, `frontend`.
    pub action: &'static str,
    /// The same in a sentence.
    pub text: String,
    /// The servers that it was done to.
    pub servers: Vec<(BackendName, ServerName)>,
    pub at: SystemTime,
}

/// Who did it, and from where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Actor {
    /// A process of this host, over the admin socket.
    Local {
        /// `None` where the kernel doesn't say it, as of a process in another pid namespace.
        pid: Option<u32>,
        uid: u32,
        /// The user's name, if this host has one for it.
        user: Option<String>,
    },
    /// Somebody over the network, known by a credential.
    Remote { address: SocketAddr, credential: CredentialUsed },
    /// Whoever sent the process this signal.
    Signal(&'static str),
    /// The watched file has other content.
    FileChange,
    /// Somebody over the runtime API, who is known by where they come from alone.
    Runtime(RuntimeClient),
    /// Somebody over HAProxy's page, which lets them act (`stats admin`), with their name there (`stats auth`).
    StatsPage { address: SocketAddr, user: Option<String> },
}

/// Who speaks the runtime API, and from where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RuntimeClient {
    /// A process of this host, as [`Actor::Local`].
    Local {
        pid: Option<u32>,
        uid: u32,
        user: Option<String>,
    },
    Remote(SocketAddr),
}

/// How somebody over the network has shown who they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CredentialUsed {
    Token,
    /// The name of `[stats] user`.
    Password(String),
}

impl fmt::Display for CredentialUsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Token => "the token's holder",
            Self::Password(user) => user,
        })
    }
}

impl Actor {
    /// Whether somebody has asked over one of the listeners, and not by a signal.
    pub fn is_operator(&self) -> bool {
        matches!(self, Self::Local { .. } | Self::Remote { .. } | Self::Runtime(_) | Self::StatsPage { .. })
    }
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local { pid, uid, user } => process(f, *pid, *uid, user.as_deref()),
            Self::Remote { address, credential } => write!(f, "{credential} at {address}"),
            Self::Signal(name) => f.write_str(name),
            Self::FileChange => f.write_str("a change of the file"),
            Self::Runtime(RuntimeClient::Remote(address)) => write!(f, "{address} over the runtime API"),
            Self::Runtime(RuntimeClient::Local { pid, uid, user }) => {
                process(f, *pid, *uid, user.as_deref())?;
                f.write_str(" over the runtime API")
            }
            Self::StatsPage { address, user: Some(user) } => write!(f, "{user} at {address} over HAProxy's page"),
            Self::StatsPage { address, user: None } => write!(f, "{address} over HAProxy's page"),
        }
    }
}

/// A process of this host: `ann (uid 1000, pid 7)`.
fn process(f: &mut fmt::Formatter<'_>, pid: Option<u32>, uid: u32, user: Option<&str>) -> fmt::Result {
    match user {
        Some(user) => write!(f, "{user} (uid {uid}")?,
        None => write!(f, "uid {uid} (no name")?,
    }
    match pid {
        Some(pid) => write!(f, ", pid {pid})"),
        None => f.write_str(")"),
    }
}

/// Something of which there is only so much was used up.
#[derive(Debug, Clone, PartialEq)]
pub struct LimitReached {
    /// Where clients came in.
    pub frontend: FrontendName,
    pub limit: Limit,
    pub at: SystemTime,
}

/// What was used up.
#[derive(Debug, Clone, PartialEq)]
pub enum Limit {
    /// The sessions of the whole process,
    Process { max_sessions: u32, then: OnLimit },
    /// or of the frontend.
    Frontend { max_sessions: u32, then: OnLimit },
    /// Those of one of its listeners.
    Listener { listen: String, max_sessions: u32, then: OnLimit },
    /// Descriptors or memory; the system's words.
    Resource { error: String },
}

/// A server's certificate ends soon, or has ended.
#[derive(Debug, Clone, PartialEq)]
pub struct CertificateExpiry {
    pub backend: BackendName,
    pub server: ServerName,
    /// Its subject.
    pub subject: String,
    pub not_after: SystemTime,
    /// `None` once it has ended.
    pub left: Option<Duration>,
    pub at: SystemTime,
}

/// All sessions of a server that is drained over a time have ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Drained {
    pub backend: BackendName,
    pub server: ServerName,
    /// Those of them that were closed for it.
    pub closed: usize,
    pub at: SystemTime,
}

/// The process begins, or ends.
#[derive(Debug, Clone, PartialEq)]
pub struct ProcessChange {
    pub version: &'static str,
    pub pid: u32,
    pub phase: ProcessPhase,
    pub at: SystemTime,
}

/// How grave something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Gravity {
    Info,
    Warn,
    Error,
}

impl Gravity {
    /// The gravest last.
    pub const ALL: [Self; 3] = [Self::Info, Self::Warn, Self::Error];

    pub fn word(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
        }
    }
}

impl Change {
    /// All words that [`kind`](Self::kind) has.
    pub const KINDS: &[&str] = &[
        "server",
        "isolation",
        "action",
        "limit",
        "certificate",
        "drained",
        "process",
        "reload",
        "upgrade",
        "check",
        "never-up",
    ];

    /// The word for its kind, for those who filter.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Server(_) => "server",
            Self::Isolation(_) => "isolation",
            Self::Action(_) => "action",
            Self::Limit(_) => "limit",
            Self::Certificate(_) => "certificate",
            Self::Drained(_) => "drained",
            Self::Process(_) => "process",
            Self::Reload(_) => "reload",
            Self::Upgrade(_) => "upgrade",
            Self::Check(_) => "check",
            Self::NeverUp(_) => "never-up",
        }
    }

    pub fn at(&self) -> SystemTime {
        match self {
            Self::Server(change) => change.at,
            Self::Isolation(change) => change.at,
            Self::Action(change) => change.at,
            Self::Limit(change) => change.at,
            Self::Certificate(change) => change.at,
            Self::Drained(change) => change.at,
            Self::Process(change) => change.at,
            Self::Reload(reload) => reload.at,
            Self::Upgrade(upgrade) => upgrade.at,
            Self::Check(report) => report.at,
            Self::NeverUp(told) => told.at,
        }
    }

    /// The servers that it is about; none if it is not about any.
    pub fn servers(&self) -> Vec<(&BackendName, &ServerName)> {
        match self {
            Self::Server(change) => vec![(&change.backend, &change.server)],
            Self::Certificate(change) => vec![(&change.backend, &change.server)],
            Self::Drained(change) => vec![(&change.backend, &change.server)],
            Self::Check(report) => vec![(&report.backend, &report.server)],
            Self::NeverUp(told) => vec![(&told.backend, &told.server)],
            Self::Action(action) => action.servers.iter().map(|(backend, server)| (backend, server)).collect(),
            Self::Isolation(_) | Self::Limit(_) | Self::Process(_) | Self::Reload(_) | Self::Upgrade(_) => Vec::new(),
        }
    }

    pub fn gravity(&self) -> Gravity {
        match self {
            Self::Server(change) if change.leaves_nobody() => Gravity::Error,
            Self::Server(change) => match change.to {
                ServerState::Stranger => Gravity::Error,
                ServerState::Down(_) | ServerState::Kept(_) => Gravity::Warn,
                _ => Gravity::Info,
            },
            Self::Isolation(change) if change.isolated.is_some() => Gravity::Error,
            Self::Isolation(_) => Gravity::Warn,
            Self::Limit(LimitReached { limit: Limit::Resource { .. }, .. }) => Gravity::Error,
            Self::Limit(_) => Gravity::Warn,
            Self::Certificate(expiry) if expiry.left.is_none() => Gravity::Error,
            Self::Certificate(_) | Self::NeverUp(_) => Gravity::Warn,
            Self::Reload(reload) if matches!(reload.outcome, ReloadOutcome::Refused(_)) => Gravity::Error,
            Self::Upgrade(upgrade) if matches!(upgrade.outcome, UpgradeOutcome::Failed { .. }) => Gravity::Error,
            Self::Check(_) => Gravity::Info,
            Self::Action(_) | Self::Drained(_) | Self::Process(_) | Self::Reload(_) | Self::Upgrade(_) => Gravity::Info,
        }
    }

    /// One sentence for people, with all names in it.
    pub fn text(&self) -> String {
        match self {
            Self::Server(change) => change.text(),
            Self::Isolation(change) => match &change.isolated {
                Some(why) => {
                    format!("isolated: {why}; no session is closed, and servers that were usable are still tried")
                }
                None => "no longer isolated".to_owned(),
            },
            Self::Action(action) => action.text.clone(),
            Self::Limit(reached) => match &reached.limit {
                Limit::Resource { .. } => format!("frontend {}: {}", reached.frontend, reached.words()),
                Limit::Process { .. } | Limit::Frontend { .. } | Limit::Listener { .. } => {
                    format!("frontend {} (at most {}): {}", reached.frontend, reached.max_sessions(), reached.words())
                }
            },
            Self::Certificate(expiry) => expiry.text(),
            Self::Drained(drained) => format!(
                "{}/{} is drained: none of its sessions is left, {} of them closed for it",
                drained.backend, drained.server, drained.closed
            ),
            Self::Process(change) => match change.phase {
                ProcessPhase::Serving => format!("evenkeel {} serves, pid {}", change.version, change.pid),
                ProcessPhase::Preempt => "told to stop: not live any more, still accepting".to_owned(),
                ProcessPhase::Stopping => "stopping: no longer accepting, sessions are closed".to_owned(),
                ProcessPhase::Replaced => "replaced by a newer process: no longer accepting".to_owned(),
            },
            Self::Reload(reload) => reload.text(),
            Self::Upgrade(upgrade) => upgrade.text(),
            Self::Check(report) => report.text(),
            Self::NeverUp(told) => told.text(),
        }
    }
}

impl LimitReached {
    /// What it is and what follows, without the frontend's name.
    pub fn words(&self) -> String {
        let (whose, then) = match &self.limit {
            Limit::Process { then, .. } => ("the process".to_owned(), then),
            Limit::Frontend { then, .. } => ("the frontend".to_owned(), then),
            Limit::Listener { listen, then, .. } => (format!("the listener {listen}"), then),
            Limit::Resource { .. } => return "can't accept: pausing until there is room again".to_owned(),
        };
        let then = match then {
            OnLimit::Queue => "new clients wait until a session ends",
            OnLimit::Reset => "new clients are reset",
        };
        format!("session limit of {whose} reached: {then}")
    }

    /// Of a limit of sessions; 0 for one of resources.
    pub fn max_sessions(&self) -> u32 {
        match self.limit {
            Limit::Process { max_sessions, .. }
            | Limit::Frontend { max_sessions, .. }
            | Limit::Listener { max_sessions, .. } => max_sessions,
            Limit::Resource { .. } => 0,
        }
    }
}

impl CertificateExpiry {
    fn text(&self) -> String {
        let Self { backend, server, subject, .. } = self;
        match self.left.map(|left| left.as_secs() / DAY) {
            None => format!("the certificate of {backend}/{server} ({subject}) has expired"),
            Some(0) => format!("the certificate of {backend}/{server} ({subject}) expires within a day"),
            Some(1) => format!("the certificate of {backend}/{server} ({subject}) expires in a day"),
            Some(days) => format!("the certificate of {backend}/{server} ({subject}) expires in {days} days"),
        }
    }
}

/// Seconds of a day.
const DAY: u64 = 24 * 60 * 60;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_actor_is_told_with_all_that_is_known_of_them() {
        let local = |pid, user: Option<&str>| Actor::Local { pid, uid: 1000, user: user.map(str::to_owned) };
        assert_eq!(local(Some(7), Some("ann")).to_string(), "ann (uid 1000, pid 7)");
        assert_eq!(local(None, Some("ann")).to_string(), "ann (uid 1000)");
        assert_eq!(local(Some(7), None).to_string(), "uid 1000 (no name, pid 7)");
        let remote = |credential| Actor::Remote { address: "192.0.2.1:5".parse().unwrap(), credential };
        assert_eq!(remote(CredentialUsed::Token).to_string(), "the token's holder at 192.0.2.1:5");
        assert_eq!(remote(CredentialUsed::Password("ops".into())).to_string(), "ops at 192.0.2.1:5");
        let runtime = |client| Actor::Runtime(client).to_string();
        let ann = RuntimeClient::Local { pid: Some(7), uid: 1000, user: Some("ann".into()) };
        assert_eq!(runtime(ann), "ann (uid 1000, pid 7) over the runtime API");
        let remote = RuntimeClient::Remote("192.0.2.1:5".parse().unwrap());
        assert_eq!(runtime(remote), "192.0.2.1:5 over the runtime API");
        let page = |user: Option<&str>| {
            Actor::StatsPage { address: "192.0.2.1:5".parse().unwrap(), user: user.map(str::to_owned) }.to_string()
        };
        assert_eq!(page(Some("ops")), "ops at 192.0.2.1:5 over HAProxy's page");
        assert_eq!(page(None), "192.0.2.1:5 over HAProxy's page");
    }

    #[test]
    fn an_expiry_is_told_in_days() {
        let text = |left: Option<u64>| {
            CertificateExpiry {
                backend: BackendName::new("b").unwrap(),
                server: ServerName::new("a").unwrap(),
                subject: "CN=x".into(),
                not_after: SystemTime::UNIX_EPOCH,
                left: left.map(Duration::from_secs),
                at: SystemTime::UNIX_EPOCH,
            }
            .text()
        };
        assert_eq!(text(Some(14 * DAY - 1)), "the certificate of b/a (CN=x) expires in 13 days");
        assert_eq!(text(Some(DAY)), "the certificate of b/a (CN=x) expires in a day");
        assert_eq!(text(Some(DAY - 1)), "the certificate of b/a (CN=x) expires within a day");
        assert_eq!(text(None), "the certificate of b/a (CN=x) has expired");
    }
}
