//! Other load balancers in front of the same servers, whose opinions are held against ours.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use super::HostAddress;

/// Those that are asked.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Peers {
    /// At most [`Peers::MOST`].
    pub all: Vec<Peer>,
    /// Whom those at `https://` are believed by: a file, and the certificates in it (DER).
    pub authorities: Option<(PathBuf, Arc<[Vec<u8>]>)>,
}

impl Peers {
    /// More make no pair, and are Prometheus' affair.
    pub const MOST: usize = 8;
}

/// Where another evenkeel has its stats page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    pub tls: bool,
    pub host: HostAddress,
    pub port: u16,
}

impl Peer {
    /// Where the stats page is unless it is said otherwise.
    pub const PORT: u16 = 9000;

    /// Host and port, as a request names them.
    pub fn authority(&self) -> String {
        match &self.host {
            HostAddress::Ip(ip) if ip.is_ipv6() => format!("[{ip}]:{}", self.port),
            host => format!("{host}:{}", self.port),
        }
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", if self.tls { "https" } else { "http" }, self.authority())
    }
}
