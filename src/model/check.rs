//! How a server is probed.

use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::{Credential, HttpProbe, Identity, ProxyVersion, Step};

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
            Step::Send(_) | Step::Expect { .. } | Step::Comment(_) => None,
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
    /// in verification, unless any name will do, and no SNI is sent.
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
        /// Whoever the certificate is for, unless the check names somebody.
        any_name: bool,
    },
}

impl fmt::Debug for Verify {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("None"),
            Self::Ca { file, roots, any_name } => {
                let whose = if *any_name { ", of any name" } else { "" };
                write!(f, "Ca({}, {} certificates{whose})", file.display(), roots.len())
            }
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
