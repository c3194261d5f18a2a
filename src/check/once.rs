//! One probe for a person at a terminal: a target as text in, everything seen out.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use std::time::Duration;

use super::probe::{Prober, TlsFacts, Tokens};
use crate::event::Verdict;
use crate::model::{ApiserverProbe, Check, Credential, HttpsProbe, Probe, TlsProbe, Verify};
use crate::net::Way;
use crate::net::resolve::{ResolveError, resolve};
use crate::net::tls::ClientError;

/// Statuses that show a living kube-apiserver: 401 and 403 come where anonymous access is off.
const ALIVE: [u16; 3] = [200, 401, 403];

/// What is asked for if a URL names no path.
const PATH: &str = "/readyz";

/// What a single probe found.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// The address that was probed, a name resolved.
    pub address: SocketAddr,
    /// The check's type, as a configuration says it.
    pub kind: &'static str,
    pub verdict: Verdict,
    /// `None` if there was no handshake.
    pub tls: Option<TlsFacts>,
}

/// What is to be probed: `host:port` (or `tls://host:port`), `https://host[:port][/path]`, `tcp://host:port`, and one of
/// `kube-apiserver`, `konnectivity` and `k0s-join` with `://host[:port]`.
///
/// Without a path `/readyz` is asked for. Without a port it is 443, or that of the service.
#[derive(Debug, Clone, PartialEq)]
pub struct Target {
    /// As the person wrote it.
    written: String,
    scheme: Scheme,
    host: String,
    port: u16,
    path: String,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Scheme {
    Tcp,
    Tls,
    Https,
    KubeApiserver,
    Konnectivity,
    K0sJoin,
}

impl Scheme {
    fn of(name: &str) -> Option<Self> {
        match name {
            "tcp" => Some(Self::Tcp),
            "tls" => Some(Self::Tls),
            "https" => Some(Self::Https),
            "kube-apiserver" => Some(Self::KubeApiserver),
            "konnectivity" => Some(Self::Konnectivity),
            "k0s-join" => Some(Self::K0sJoin),
            _ => None,
        }
    }

    fn default_port(self) -> Option<u16> {
        match self {
            Self::Tcp | Self::Tls => None,
            Self::Https => Some(443),
            Self::KubeApiserver => Some(6443),
            Self::Konnectivity => Some(8132),
            Self::K0sJoin => Some(9443),
        }
    }
}

/// A text that is no target.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error(
    "expected host:port, https://host[:port]/path, tcp://host:port, kube-apiserver://host[:port], \
     konnectivity://host[:port] or k0s-join://host[:port], with a port from 1 to 65535"
)]
pub struct TargetFormError;

/// Why a target was not probed.
#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    #[error(transparent)]
    Resolve(#[from] ResolveError),
    #[error(transparent)]
    Client(#[from] ClientError),
}

/// Probes a target once, and ends the connection cleanly.
///
/// `host:port` is probed with a TLS handshake, `https://…` with a `GET` that 200, 401 and 403 satisfy, `tcp://…` with a
/// connection alone, the others as checks of their name do. A kube-apiserver is shown the credential. Certificates are
/// not verified. `limit` bounds the look-up of a name and the probe, each.
pub async fn probe_once(
    target: &Target,
    credential: Option<Credential>,
    limit: Duration,
) -> Result<Report, TargetError> {
    let address = SocketAddr::new(resolve(&target.host, None, limit).await?, target.port);
    let check = target.check(credential, limit);
    let outcome = Prober::new(&check, &mut Tokens::default())?.probe(address, limit, Way::default()).await;
    if let Some(farewell) = outcome.farewell {
        farewell.finish().await;
    }
    Ok(Report { address, kind: check.probe.kind(), verdict: outcome.verdict, tls: outcome.tls })
}

impl FromStr for Target {
    type Err = TargetFormError;

    fn from_str(text: &str) -> Result<Self, TargetFormError> {
        Self::parse(text).ok_or(TargetFormError)
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written)
    }
}

impl Target {
    fn parse(text: &str) -> Option<Self> {
        let (scheme, rest) = match text.split_once("://") {
            Some((scheme, rest)) => (Scheme::of(scheme)?, rest),
            None => (Scheme::Tls, text),
        };
        let (authority, path) = match rest.find('/') {
            Some(start) if scheme == Scheme::Https => (&rest[..start], &rest[start..]),
            _ => (rest, PATH),
        };
        // A path goes into a request as it is.
        if path.chars().any(|c| c.is_whitespace() || c.is_control()) {
            return None;
        }
        let (host, port) = host_and_port(authority)?;
        let port = match port {
            Some(port) => port.parse().ok().filter(|&port| port != 0)?,
            None => scheme.default_port()?,
        };
        Some(Self { written: text.to_owned(), scheme, host, port, path: path.to_owned() })
    }

    /// Whether who is probed may be told who asks.
    pub fn takes_credential(&self) -> bool {
        self.scheme == Scheme::KubeApiserver
    }

    fn check(&self, credential: Option<Credential>, timeout: Duration) -> Check {
        let probe = match self.scheme {
            Scheme::Tcp => Probe::Tcp,
            Scheme::Tls => Probe::Tls(self.tls(&[])),
            Scheme::Https => {
                let (tls, path) = (self.tls(&[]), self.path.clone());
                Probe::Https(HttpsProbe { tls, path, accept: ALIVE.to_vec(), draining: Vec::new() })
            }
            Scheme::KubeApiserver => Probe::KubeApiserver(ApiserverProbe { tls: self.tls(&["http/1.1"]), credential }),
            Scheme::Konnectivity => Probe::Konnectivity(self.tls(&["h2"])),
            Scheme::K0sJoin => Probe::K0sJoin(self.tls(&["http/1.1"])),
        };
        Check { rise: 1, fall: 1, ..Check::new(probe, timeout) }
    }

    fn tls(&self, alpn: &[&str]) -> TlsProbe {
        let server_name = self.host.parse::<IpAddr>().is_err().then(|| self.host.clone());
        let alpn = alpn.iter().map(|&protocol| protocol.to_owned()).collect();
        TlsProbe { verify: Verify::None, server_name, alpn, identity: None }
    }
}

/// Splits `host`, `host:port`, `[v6]` and `[v6]:port`.
fn host_and_port(authority: &str) -> Option<(String, Option<&str>)> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (host, after) = rest.split_once(']')?;
            host.parse::<std::net::Ipv6Addr>().ok()?;
            (host, if after.is_empty() { None } else { Some(after.strip_prefix(':')?) })
        }
        None => match authority.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        },
    };
    let plain = !host.is_empty() && !host.contains(|c: char| c.is_whitespace() || c.is_control() || "/@?#".contains(c));
    plain.then(|| (host.to_owned(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_read_as_people_write_them() {
        let target = |scheme, host: &str, port, path: &str| Some((scheme, host.to_owned(), port, path.to_owned()));
        for (text, expected) in [
            ("10.10.0.2:6443", target(Scheme::Tls, "10.10.0.2", 6443, PATH)),
            ("[fd00::2]:6443", target(Scheme::Tls, "fd00::2", 6443, PATH)),
            ("tcp://cp.lan:22", target(Scheme::Tcp, "cp.lan", 22, PATH)),
            ("https://cp.lan", target(Scheme::Https, "cp.lan", 443, PATH)),
            ("https://cp.lan:6443/livez?verbose", target(Scheme::Https, "cp.lan", 6443, "/livez?verbose")),
            ("https://[::1]/", target(Scheme::Https, "::1", 443, "/")),
            ("kube-apiserver://cp.lan", target(Scheme::KubeApiserver, "cp.lan", 6443, PATH)),
            ("konnectivity://[fd00::2]", target(Scheme::Konnectivity, "fd00::2", 8132, PATH)),
            ("k0s-join://10.10.0.2:9444", target(Scheme::K0sJoin, "10.10.0.2", 9444, PATH)),
            ("kube-apiserver://cp.lan/livez", None),
            ("k0s://cp.lan", None),
            ("cp.lan", None),
            ("cp.lan:0", None),
            ("cp.lan:65536", None),
            ("cp.lan:6443/x", None),
            ("tcp://cp.lan:6443/x", None),
            ("::1:6443", None),
            ("http://cp.lan/", None),
            ("https://cp.lan/a b", None),
            ("https://user@cp.lan/", None),
            (":6443", None),
        ] {
            let parsed = text.parse::<Target>().ok();
            assert!(parsed.as_ref().is_none_or(|target| target.to_string() == text), "{text}");
            assert_eq!(parsed.map(|it| (it.scheme, it.host, it.port, it.path)), expected, "{text}");
        }
    }
}
