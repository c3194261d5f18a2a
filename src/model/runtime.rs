//! The sockets on which HAProxy's runtime API is spoken.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use super::{Account, ListenAddress};

/// One of them: HAProxy's `stats socket`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuntimeSocket {
    pub listen: RuntimeAddress,
    pub level: RuntimeLevel,
    /// Permission bits of a unix socket's file.
    pub mode: u32,
    /// Whose that file is; `None` leaves it to whoever the process runs as.
    pub user: Option<Account>,
    pub group: Option<Account>,
    /// How long a client may be silent: HAProxy's `stats timeout`.
    pub timeout: Duration,
}

impl RuntimeSocket {
    /// What a client may take unless told otherwise, as with HAProxy.
    pub const TIMEOUT: Duration = Duration::from_secs(10);

    /// How many there may be.
    pub const MOST: usize = 16;
}

/// Where it is.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RuntimeAddress {
    /// A file, which is made: `unix:/run/evenkeel/haproxy.sock`.
    Unix(PathBuf),
    /// TCP, or a socket of either kind that was opened for us: `127.0.0.1:9999`, `fd@3`.
    Listen(ListenAddress),
}

impl fmt::Display for RuntimeAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Listen(address) => write!(f, "{address}"),
        }
    }
}

/// What a client may do: each level has what is below it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RuntimeLevel {
    /// Look, at what is not sensitive.
    User,
    /// Look at everything, and clear maxima.
    Operator,
    /// Act.
    Admin,
}

impl RuntimeLevel {
    /// HAProxy's word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Operator => "operator",
            Self::Admin => "admin",
        }
    }
}
