//! Where is listened, and where servers are.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use super::Descriptor;

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
    }
}
