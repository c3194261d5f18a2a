//! Where the log goes, as a file says it.

use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};

use toml::de::DeValue;

use super::leaf::{Whole, words};
use super::list::OneOrMore;
use super::mistake::Mistake;
use super::read::{Found, Origin, Reader, Value, section};
use super::show::{Writer, quoted};
use super::text::{SocketPath, Text};
use crate::model::{
    DatagramAddress, Facility, FrontendName, LineFormat, LogFormat, LogLevel, LogLines, SessionLine, Severity, Syslog,
    SyslogProtocol,
};

section! {
    /// One place that lines go to.
    Target, "a log target";
    "type" => kind: TargetType,
    "format" => format: LogFormat,
    "level" => level: LogLevel,
    "socket" => socket: SocketPath,
    "address" => address: SyslogAddress,
    "protocol" => protocol: SyslogProtocol,
    "facility" => facility: Facility,
    "tag" => tag: Tag,
    "length" => length: Whole<80, 65_535>,
    "lines" => lines: LogLines,
    "proxies" => proxies: OneOrMore<FrontendName>,
    "least" => least: Severity,
    "gravest" => gravest: Severity,
}

/// A target in the list: a table, or its type alone.
#[derive(Debug, Clone)]
pub struct TargetEntry(pub Target);

impl Value for TargetEntry {
    fn wanted() -> Cow<'static, str> {
        format!("a table, or {}", TargetType::wanted()).into()
    }

    fn read(found: &Found<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        match found.value {
            DeValue::Table(table) => Some(Self(Target::read_table(table, found.span, reader))),
            DeValue::String(_) => {
                let kind = TargetType::read(found, reader)?;
                let kind = Some(reader.stated(kind, found.span));
                Some(Self(Target { at: found.span, stated: vec!["type"], kind, ..Target::default() }))
            }
            _ => reader.wrong_type::<Self>(found, None),
        }
    }

    fn literal(&self) -> Option<String> {
        None
    }

    fn write(&self, key: &str, origin: Origin, out: &mut Writer<'_>) {
        self.0.write(key, origin, out);
    }
}

/// What takes the lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TargetType {
    Stdout,
    Journald,
    Syslog,
}

impl TargetType {
    pub const ALL: [Self; 3] = [Self::Stdout, Self::Journald, Self::Syslog];

    /// The word for it in a file.
    pub fn name(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Journald => "journald",
            Self::Syslog => "syslog",
        }
    }

    /// The keys that targets of this type have beside those that all have.
    pub fn own_keys(self) -> &'static [&'static str] {
        match self {
            Self::Stdout => &[],
            Self::Journald => &["socket", "tag"],
            Self::Syslog => &["address", "protocol", "facility", "tag", "length"],
        }
    }
}

words!(TargetType {
    "stdout" => TargetType::Stdout,
    "journald" => TargetType::Journald,
    "syslog" => TargetType::Syslog,
});
words!(SyslogProtocol { "rfc3164" => SyslogProtocol::Rfc3164, "rfc5424" => SyslogProtocol::Rfc5424, });
words!(LogLines { "all" => LogLines::All, "haproxy" => LogLines::Haproxys, });
words!(Severity {
    "emerg" => Severity::Emergency,
    "alert" => Severity::Alert,
    "crit" => Severity::Critical,
    "err" => Severity::Error,
    "warning" => Severity::Warning,
    "notice" => Severity::Notice,
    "info" => Severity::Info,
    "debug" => Severity::Debug,
});
words!(Facility {
    "kern" => Facility::Kern,
    "user" => Facility::User,
    "mail" => Facility::Mail,
    "daemon" => Facility::Daemon,
    "auth" => Facility::Auth,
    "syslog" => Facility::Syslog,
    "lpr" => Facility::Lpr,
    "news" => Facility::News,
    "uucp" => Facility::Uucp,
    "cron" => Facility::Cron,
    "authpriv" => Facility::Authpriv,
    "ftp" => Facility::Ftp,
    "local0" => Facility::Local0,
    "local1" => Facility::Local1,
    "local2" => Facility::Local2,
    "local3" => Facility::Local3,
    "local4" => Facility::Local4,
    "local5" => Facility::Local5,
    "local6" => Facility::Local6,
    "local7" => Facility::Local7,
});

/// Where a syslog receiver is: an IP address with or without a port, or a unix socket's path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyslogAddress(pub DatagramAddress);

impl Text for SyslogAddress {
    const WANTED: &'static str = "an address such as \"127.0.0.1:514\" or \"/dev/log\"";

    fn parse(text: &str, key: &str) -> Result<Self, Mistake> {
        if text.starts_with('/') {
            return SocketPath::parse(text, key).map(|path| Self(DatagramAddress::Unix(path.0)));
        }
        let udp = text.parse::<SocketAddr>().ok().filter(|address| address.port() != 0);
        let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
        let udp = udp.or_else(|| Some(SocketAddr::new(bare.parse::<IpAddr>().ok()?, Syslog::PORT)));
        let reason = "it is neither an IP address, with or without a port, nor a socket's path";
        let refused = || Mistake::BadText { key: key.to_owned(), text: text.to_owned(), reason };
        udp.map(|address| Self(DatagramAddress::Udp(address))).ok_or_else(refused)
    }

    fn text(&self) -> String {
        self.0.to_string()
    }
}

/// What a program calls itself in a log: at most as long as RFC 3164 has it (section 4.1.3), and nothing that its end
/// could be mistaken for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tag(pub String);

impl Text for Tag {
    const WANTED: &'static str = "a tag such as \"evenkeel\"";

    fn parse(text: &str, key: &str) -> Result<Self, Mistake> {
        let fits = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if (1..=32).contains(&text.len()) && text.chars().all(fits) {
            return Ok(Self(text.to_owned()));
        }
        let reason = "a tag is 1 to 32 letters, digits and -_.";
        Err(Mistake::BadText { key: key.to_owned(), text: text.to_owned(), reason })
    }

    fn text(&self) -> String {
        self.0.clone()
    }
}

/// What a session's line says in HAProxy's format: `tcplog`, `connect`, or variables as `log-format` has them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineText(pub SessionLine);

impl Text for LineText {
    const WANTED: &'static str = "\"tcplog\", \"connect\", or a format such as \"%ci:%cp %b/%s %ts\"";

    fn parse(text: &str, _: &str) -> Result<Self, Mistake> {
        match text {
            "tcplog" => Ok(Self(SessionLine::Tcplog)),
            "connect" => Ok(Self(SessionLine::Connect)),
            format => LineFormat::parse(format)
                .map(|format| Self(SessionLine::Custom(format)))
                .map_err(|error| Mistake::BadLogLine { text: text.to_owned(), error }),
        }
    }

    fn text(&self) -> String {
        match &self.0 {
            SessionLine::Tcplog => "tcplog".to_owned(),
            SessionLine::Connect => "connect".to_owned(),
            SessionLine::Custom(format) => format.written().to_owned(),
        }
    }
}
