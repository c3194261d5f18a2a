//! The process as a whole: how it begins and ends, and what it gives up.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// The process as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// Threads that carry sessions; `None` is one for each core.
    pub workers: Option<u32>,
    /// How long a stop goes on accepting after `/livez` has turned red, so that a VIP moves first.
    pub preempt: Duration,
    /// Over how long a stop closes the sessions that are left.
    pub shutdown_grace: Duration,
    /// How long a process that has been replaced by an upgrade may live for the sake of its sessions.
    pub upgrade_grace: Duration,
    /// Who the process becomes if it was started as root.
    pub user: Option<Account>,
    /// Its group then; `None` is the user's own.
    pub group: Option<Account>,
    /// The directory that becomes the root of all that the process sees.
    pub chroot: Option<PathBuf>,
    /// Whether ports below 1024 can be bound later, though none is at the start.
    pub keep_bind: bool,
}

/// A user or a group, as the operator calls it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Account {
    Name(String),
    Id(u32),
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Id(id) => write!(f, "{id}"),
        }
    }
}

/// What the process gives up before it serves, beyond rights that it has no use for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Security {
    /// Whether the kernel is asked to refuse files, programs and calls that serving has no use for.
    pub sandbox: bool,
    pub connect: Connect,
}

/// Where the sandbox lets the process connect to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Connect {
    /// Everywhere.
    Any,
    /// To the ports of servers, of their checks and of name servers.
    Servers,
}
