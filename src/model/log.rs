//! Where the log goes.

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::{LogFormat, LogLevel};

/// One place that lines go to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogTarget {
    pub place: LogPlace,
    pub format: LogFormat,
    /// The least grave lines that it gets.
    pub level: LogLevel,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogPlace {
    /// Standard output.
    Stdout,
    /// systemd's journal, by its own protocol.
    Journald {
        socket: PathBuf,
        /// `SYSLOG_IDENTIFIER`.
        tag: String,
    },
    Syslog(Syslog),
}

impl LogPlace {
    /// Where journald listens (systemd.journal-fields(7), "Native Journal Protocol").
    pub const JOURNAL: &str = "/run/systemd/journal/socket";

    /// Where datagrams to it go; `None` for standard output, which takes a stream.
    pub fn address(&self) -> Option<DatagramAddress> {
        match self {
            Self::Stdout => None,
            Self::Journald { socket, .. } => Some(DatagramAddress::Unix(socket.clone())),
            Self::Syslog(syslog) => Some(syslog.address.clone()),
        }
    }
}

/// The place's name in metrics and messages: no two targets share one.
impl fmt::Display for LogPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stdout => f.write_str("stdout"),
            Self::Journald { socket, .. } if socket == Path::new(Self::JOURNAL) => f.write_str("journald"),
            Self::Journald { socket, .. } => write!(f, "journald {}", socket.display()),
            Self::Syslog(syslog) => write!(f, "syslog {}", syslog.address),
        }
    }
}

/// A syslog receiver, and how lines are wrapped for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Syslog {
    pub address: DatagramAddress,
    pub protocol: SyslogProtocol,
    pub facility: Facility,
    /// TAG of RFC 3164, APP-NAME of RFC 5424.
    pub tag: String,
}

impl Syslog {
    /// The host's own receiver (syslog(3)).
    pub const SOCKET: &str = "/dev/log";
    /// The receivers' port (RFC 5426, section 3.3).
    pub const PORT: u16 = 514;
}

/// Who takes datagrams.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DatagramAddress {
    Udp(SocketAddr),
    Unix(PathBuf),
}

impl fmt::Display for DatagramAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Udp(address) => address.fmt(f),
            Self::Unix(path) => path.display().fmt(f),
        }
    }
}

/// How a syslog message begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SyslogProtocol {
    Rfc3164,
    Rfc5424,
}

/// What part of a system speaks (RFC 5424, table 1; names as in syslog(3)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Facility {
    Kern = 0,
    User = 1,
    Mail = 2,
    Daemon = 3,
    Auth = 4,
    Syslog = 5,
    Lpr = 6,
    News = 7,
    Uucp = 8,
    Cron = 9,
    Authpriv = 10,
    Ftp = 11,
    Local0 = 16,
    Local1 = 17,
    Local2 = 18,
    Local3 = 19,
    Local4 = 20,
    Local5 = 21,
    Local6 = 22,
    Local7 = 23,
}

/// How grave a line is to syslog, the journal and sd-daemon(3) (RFC 5424, table 2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    Emergency = 0,
    Alert = 1,
    Error = 3,
    Warning = 4,
    Notice = 5,
    Info = 6,
    Debug = 7,
}

impl Severity {
    /// What stands for a level, where nothing says otherwise.
    pub fn of(level: LogLevel) -> Self {
        match level {
            LogLevel::Error => Self::Error,
            LogLevel::Warn => Self::Warning,
            LogLevel::Info => Self::Info,
            LogLevel::Debug | LogLevel::Trace => Self::Debug,
        }
    }

    /// Its number.
    pub fn code(self) -> u8 {
        self as u8
    }
}
