//! A door of a frontend: where clients come in, and what holds for those who do so there.

use std::fmt;
use std::time::Duration;

use super::{ListenAddress, Network, SessionAddress, SocketFile};

/// One address that a frontend listens on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listen {
    pub address: ListenAddress,
    /// What HAProxy's outputs call it (`name` of a `bind`).
    pub name: Option<String>,
    /// From whom a PROXY protocol header is wanted before anything else.
    pub accept_proxy: AcceptProxy,
    /// Sessions that have come in here at a time; `None` leaves the frontend's limit alone in force.
    pub max_sessions: Option<u32>,
    /// Length of the accept queue instead of the frontend's.
    pub backlog: Option<u32>,
    /// The network interface that clients must come by (SO_BINDTODEVICE).
    pub interface: Option<String>,
    /// How long sent bytes may stay unacknowledged until the kernel gives a client up (TCP_USER_TIMEOUT).
    pub user_timeout: Option<Duration>,
    /// Binds an address that the host does not hold, and takes what is routed here for any (IP_TRANSPARENT).
    pub transparent: bool,
    /// Whose a unix socket's file is; `None` for all that is none.
    pub file: Option<SocketFile>,
}

/// Who must say in a PROXY protocol header whom he stands for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum AcceptProxy {
    /// Nobody: a header would be bytes like any others.
    #[default]
    Nobody,
    /// Everybody: who sends none is closed (HAProxy's `accept-proxy`).
    Everybody,
    /// Who comes from these networks; others are clients themselves.
    From(Vec<Network>),
}

impl From<ListenAddress> for Listen {
    /// A door with nothing said about it but where it is.
    fn from(address: ListenAddress) -> Self {
        Self {
            address,
            name: None,
            accept_proxy: AcceptProxy::Nobody,
            max_sessions: None,
            backlog: None,
            interface: None,
            user_timeout: None,
            transparent: false,
            file: None,
        }
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.address.fmt(f)
    }
}

impl AcceptProxy {
    /// Whether a header is wanted from a peer of this address.
    pub fn wants(&self, peer: SessionAddress) -> bool {
        match self {
            Self::Nobody => false,
            Self::Everybody => true,
            // Who has no address is in no network.
            Self::From(networks) => peer.ip().is_some_and(|ip| networks.iter().any(|network| network.contains(ip))),
        }
    }
}
