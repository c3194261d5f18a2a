//! Where is listened, and where servers are.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;

use super::{Descriptor, UnixPath};

/// Where a listener is bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ListenAddress {
    /// All addresses of both families on one socket (`:6443`).
    DualStack { port: u16 },
    /// One address; an IPv6 one accepts IPv6 only.
    Tcp(SocketAddr),
    /// A socket that was opened for us (`fd@api`, `fd@3`), whatever its address is.
    Descriptor(Descriptor),
    /// A socket in the file system (`unix:/run/api.sock`).
    Unix(UnixPath),
}

impl ListenAddress {
    /// `None` if only the socket itself knows.
    pub fn port(self) -> Option<u16> {
        match self {
            Self::DualStack { port } => Some(port),
            Self::Tcp(address) => Some(address.port()),
            Self::Descriptor(_) | Self::Unix(_) => None,
        }
    }

    /// The path of its file, if it has one.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::Unix(path) => Some(path.as_path()),
            Self::DualStack { .. } | Self::Tcp(_) | Self::Descriptor(_) => None,
        }
    }

    /// Whether a socket on `self` and one on `other` would collide.
    pub fn overlaps(self, other: Self) -> bool {
        let port = self.port();
        if port != other.port() || port == Some(0) {
            return false;
        }
        match (self, other) {
            (Self::Descriptor(_) | Self::Unix(_), _) | (_, Self::Descriptor(_) | Self::Unix(_)) => self == other,
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
            Self::Unix(path) => write!(f, "unix:{}", path.as_path().display()),
        }
    }
}

/// An end of a session's connection with its client: where the client is, or what it has connected to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SessionAddress {
    Ip(SocketAddr),
    /// On this host, by a unix socket: who comes in there has no address. What it has instead is the number of the
    /// listener in its frontend, from 1, as HAProxy has it.
    Unix {
        listener: u32,
    },
}

impl SessionAddress {
    /// `None` for a client that has no address.
    pub fn ip(self) -> Option<IpAddr> {
        self.socket().map(|address| address.ip())
    }

    /// Its address and port, if it has any.
    pub fn socket(self) -> Option<SocketAddr> {
        match self {
            Self::Ip(address) => Some(address),
            Self::Unix { .. } => None,
        }
    }

    /// Its two parts as HAProxy writes them: an address and a port, or `unix` and a listener's number.
    pub fn parts(self) -> (SessionHost, u32) {
        match self {
            Self::Ip(address) => (SessionHost(Some(address.ip())), address.port().into()),
            Self::Unix { listener } => (SessionHost(None), listener),
        }
    }
}

impl From<SocketAddr> for SessionAddress {
    fn from(address: SocketAddr) -> Self {
        Self::Ip(address)
    }
}

impl fmt::Display for SessionAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(address) => address.fmt(f),
            Self::Unix { listener } => write!(f, "{UNIX}:{listener}"),
        }
    }
}

/// An address as tests write it.
#[cfg(test)]
impl std::str::FromStr for SessionAddress {
    type Err = std::net::AddrParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self::Ip)
    }
}

/// What stands for the address of a client that has none.
const UNIX: &str = "unix";

/// The first part of a [`SessionAddress`].
#[derive(Debug, Clone, Copy)]
pub struct SessionHost(Option<IpAddr>);

impl fmt::Display for SessionHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(ip) => ip.fmt(f),
            None => f.write_str(UNIX),
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

#[cfg(test)]
mod tests {
    use super::*;

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
        let [one, other] = ["/run/a.sock", "/run/b.sock"].map(|path| ListenAddress::Unix(path_of(path)));
        assert!(one.overlaps(one) && !one.overlaps(other) && !one.overlaps(three) && !dual.overlaps(one));
    }

    fn path_of(text: &str) -> UnixPath {
        UnixPath::new(Path::new(text)).expect("a path")
    }

    #[test]
    fn a_client_without_an_address_is_told_by_its_listener() {
        let local = SessionAddress::Unix { listener: 3 };
        let (host, number) = local.parts();
        assert_eq!(
            (local.to_string(), format!("{host}:{number}"), local.ip()),
            ("unix:3".into(), "unix:3".into(), None)
        );
        let remote = SessionAddress::from(SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, 1], 7)));
        let (host, number) = remote.parts();
        assert_eq!((remote.to_string(), format!("{host}:{number}")), ("[::1]:7".into(), "::1:7".into()));
    }
}
