//! Where the log goes.

use std::collections::BTreeSet;
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::{LineFormat, LogFormat, LogLevel};

/// One place that lines go to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogTarget {
    pub place: LogPlace,
    pub format: LogFormat,
    /// The least grave lines that it gets.
    pub level: LogLevel,
    /// Which of those it gets.
    pub lines: LogLines,
    /// The frontends and backends whose lines it gets; `None` for all lines.
    pub proxies: Option<BTreeSet<String>>,
    pub severities: Severities,
}

impl LogTarget {
    /// One that gets all that is news.
    pub fn everything(place: LogPlace, format: LogFormat) -> Self {
        let (level, lines, severities) = (LogLevel::Info, LogLines::All, Severities::ALL);
        Self { place, format, level, lines, proxies: None, severities }
    }

    /// Whether another one would get the same lines at the same place.
    pub fn is_same_as(&self, other: &Self) -> bool {
        let others = (&other.place, other.lines, &other.proxies, other.severities);
        (&self.place, self.lines, &self.proxies, self.severities) == others
    }

    /// Names for all of them in metrics and messages: those of their places, told apart by a number where several have
    /// one place.
    pub fn names(targets: &[Self]) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        for target in targets {
            let place = target.place.to_string();
            let numbered = |number: usize| if number == 1 { place.clone() } else { format!("{place} ({number})") };
            let free = (1..).map(numbered).find(|name| !names.contains(name));
            names.extend(free);
        }
        names
    }
}

/// Which lines a target is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogLines {
    All,
    /// Those that HAProxy would write, too: whoever reads them expects no others.
    Haproxys,
}

/// How grave a target's lines are to syslog (HAProxy's two levels of a `log` line).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Severities {
    /// The least grave lines that pass.
    pub least: Severity,
    /// What graver ones are told as.
    pub gravest: Severity,
}

impl Severities {
    /// Everything, as it is.
    pub const ALL: Self = Self { least: Severity::Debug, gravest: Severity::Emergency };

    /// What a line is told as; `None` if it does not pass.
    pub fn of(self, severity: Severity) -> Option<Severity> {
        (severity <= self.least).then(|| severity.max(self.gravest))
    }
}

/// What is logged of a frontend's sessions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FrontendLog {
    /// Whether they are logged at all.
    pub enabled: bool,
    /// Whether a session that moved no byte, and that nobody but its client ended, gets a line. It is counted in any
    /// case.
    pub null_sessions: bool,
    /// Whether one gets a line whose client has sent no byte, however it ended (HAProxy's `option dontlognull`).
    pub silent_clients: bool,
    /// Whether one gets a line that ended without an error (HAProxy's `option dontlog-normal`).
    pub normal_sessions: bool,
    /// Whether the line is written when the session is connected instead of at its end (HAProxy's `option logasap`).
    pub asap: bool,
    /// Whether sessions that end by an error are told as errors (HAProxy's `option log-separate-errors`).
    pub separate_errors: bool,
    /// What a line says where the target's format is [`LogFormat::Tcplog`].
    pub line: SessionLine,
}

impl FrontendLog {
    /// Whether a session has its line as soon as it is connected.
    pub fn is_early(&self) -> bool {
        self.enabled && (self.asap || !self.line.tells_the_end())
    }
}

impl Default for FrontendLog {
    fn default() -> Self {
        Self {
            enabled: true,
            null_sessions: false,
            silent_clients: true,
            normal_sessions: true,
            asap: false,
            separate_errors: false,
            line: SessionLine::Tcplog,
        }
    }
}

/// How HAProxy words a session's line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SessionLine {
    /// `option tcplog`.
    Tcplog,
    /// What it writes without one: who has connected, and where.
    Connect,
    /// `log-format`.
    Custom(LineFormat),
}

impl SessionLine {
    /// Whether it says anything that only the end of the session shows.
    fn tells_the_end(&self) -> bool {
        match self {
            Self::Tcplog => true,
            Self::Connect => false,
            Self::Custom(format) => format.tells_the_end(),
        }
    }

    /// Whether it says which of our addresses the client has connected to.
    pub fn tells_the_destination(&self) -> bool {
        match self {
            Self::Tcplog => false,
            Self::Connect => true,
            Self::Custom(format) => format.tells_the_destination(),
        }
    }
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

/// The place's name in metrics and messages.
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
    /// Bytes of a message at most.
    pub length: usize,
}

impl Syslog {
    /// The host's own receiver (syslog(3)).
    pub const SOCKET: &str = "/dev/log";
    /// The receivers' port (RFC 5426, section 3.3).
    pub const PORT: u16 = 514;

    /// Bytes that a receiver takes for certain: of RFC 3164 (section 4.1), and of RFC 5424 (section 6.1, where more is
    /// a matter of luck).
    pub fn usual_length(protocol: SyslogProtocol) -> usize {
        match protocol {
            SyslogProtocol::Rfc3164 => 1024,
            SyslogProtocol::Rfc5424 => 2048,
        }
    }
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

/// How grave a line is to syslog, the journal and sd-daemon(3) (RFC 5424, table 2), the gravest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    Emergency = 0,
    Alert = 1,
    Critical = 2,
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

    /// The one of this number; the least grave for those that are none.
    pub fn from_code(code: u64) -> Self {
        let all = [
            Self::Emergency,
            Self::Alert,
            Self::Critical,
            Self::Error,
            Self::Warning,
            Self::Notice,
            Self::Info,
            Self::Debug,
        ];
        all.into_iter().find(|severity| u64::from(severity.code()) == code).unwrap_or(Self::Debug)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// HAProxy's manual, section 4.2, `log`: the first level is a bound, the second one changes what is graver.
    #[test]
    fn severities_bound_and_soften() {
        let severities = Severities { least: Severity::Notice, gravest: Severity::Error };
        assert_eq!(severities.of(Severity::Info), None);
        assert_eq!(severities.of(Severity::Notice), Some(Severity::Notice));
        assert_eq!(severities.of(Severity::Emergency), Some(Severity::Error));
        assert_eq!(Severities::ALL.of(Severity::Debug), Some(Severity::Debug));
    }

    #[test]
    fn a_line_is_early_if_it_says_nothing_of_the_end() {
        let log = |line: SessionLine| FrontendLog { line, ..FrontendLog::default() };
        let custom = |text| SessionLine::Custom(LineFormat::parse(text).unwrap());
        assert!(!log(SessionLine::Tcplog).is_early() && log(SessionLine::Connect).is_early());
        assert!(log(custom("%ci %b/%s")).is_early() && !log(custom("%ci %B")).is_early());
        assert!(FrontendLog { asap: true, ..FrontendLog::default() }.is_early());
        assert!(!FrontendLog { enabled: false, ..log(SessionLine::Connect) }.is_early());
    }
}
