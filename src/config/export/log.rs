//! Where log lines go, and what a frontend's say.

use super::super::read::Value as _;
use super::writer::{Writer, word};
use crate::model::{
    Config, DatagramAddress, Dialect, Frontend, LogFormat, LogLevel, LogLines, LogPlace, LogTarget, RequestLine,
    SessionLine, Severities, Stats, Syslog, SyslogProtocol,
};

/// Bytes of a message unless a line says otherwise.
const LENGTH: usize = 1024;

/// The targets that HAProxy has, too: of a haproxy.cfg, those that it states.
fn targets(config: &Config) -> impl Iterator<Item = &LogTarget> {
    let all = config.dialect == Dialect::Toml;
    config.log.targets.iter().filter(move |target| all || target.lines == LogLines::Haproxys)
}

/// Those lines of `global` that all proxies write to, and the tag.
pub fn global(config: &Config, out: &mut Writer) {
    targets(config).filter(|target| target.proxies.is_none()).for_each(|target| out.line(line(target)));
    let tags: Vec<&str> = targets(config).filter_map(|target| tag(&target.place)).collect();
    if let Some(tag) = tags.first().filter(|tag| **tag != "haproxy") {
        out.line(format!("log-tag {}", word(tag)));
    }
    if tags.iter().any(|tag| Some(tag) != tags.first()) {
        out.cannot("a tag of its own for each log target");
    }
    if targets(config).any(|target| matches!(target.place, LogPlace::Journald { .. })) {
        out.cannot("fields in the journal; lines reach it by its syslog socket");
    }
    if targets(config).any(|target| target.format != LogFormat::Tcplog) {
        out.cannot("log lines as text or JSON");
    }
    if config.log.open || config.log.progress.is_some() {
        out.cannot(
            "sessions have a line when they are connected or while they live on; `option logasap` is the nearest",
        );
    }
}

/// Which lines a proxy writes to.
pub fn proxy(name: &str, config: &Config, out: &mut Writer) {
    if targets(config).any(|target| target.proxies.is_none()) {
        out.line("log global");
    }
    let is_own = |target: &&LogTarget| target.proxies.as_ref().is_some_and(|proxies| proxies.contains(name));
    targets(config).filter(is_own).for_each(|target| out.line(line(target)));
}

/// What is logged of a frontend's sessions.
pub fn sessions(frontend: &Frontend, config: &Config, out: &mut Writer) {
    let log = &frontend.log;
    if log.enabled {
        proxy(frontend.name.as_str(), config, out);
    }
    match &log.line {
        SessionLine::Tcplog => out.line("option tcplog"),
        SessionLine::Connect => {}
        SessionLine::Custom(format) => out.line(format!("log-format {}", word(format.written()))),
    }
    for (is, option) in [
        (!log.silent_clients || !log.null_sessions, "dontlognull"),
        (!log.normal_sessions, "dontlog-normal"),
        (log.asap, "logasap"),
        (log.separate_errors, "log-separate-errors"),
    ] {
        if is {
            out.line(format!("option {option}"));
        }
    }
}

/// What is logged of a stats section's requests.
pub fn requests(stats: &Stats, config: &Config, out: &mut Writer) {
    let Some(log) = &stats.log else { return };
    proxy(stats.name.as_str(), config, out);
    match log.line {
        RequestLine::Httplog => out.line("option httplog"),
        RequestLine::Tcplog => out.line("option tcplog"),
        RequestLine::Connect => {}
    }
    for (is, option) in [
        (!log.silent_clients, "dontlognull"),
        (!log.normal_requests, "dontlog-normal"),
        (log.asap, "logasap"),
        (log.separate_errors, "log-separate-errors"),
    ] {
        if is {
            out.line(format!("option {option}"));
        }
    }
}

fn line(target: &LogTarget) -> String {
    let levels = levels(target);
    match &target.place {
        LogPlace::Stdout => format!("log stdout format raw local0{levels}"),
        LogPlace::Journald { .. } => format!("log {} daemon{levels}", Syslog::SOCKET),
        LogPlace::Syslog(syslog) => {
            let address = match &syslog.address {
                DatagramAddress::Udp(address) => address.to_string(),
                DatagramAddress::Unix(path) => word(&path.display().to_string()),
            };
            let format = match syslog.protocol {
                SyslogProtocol::Rfc3164 => "",
                SyslogProtocol::Rfc5424 => " format rfc5424",
            };
            let length = match syslog.length {
                LENGTH => String::new(),
                length => format!(" len {length}"),
            };
            format!("log {address}{length}{format} {}{levels}", said(syslog.facility.literal()))
        }
    }
}

fn tag(place: &LogPlace) -> Option<&str> {
    match place {
        LogPlace::Stdout => None,
        LogPlace::Journald { tag, .. } => Some(tag),
        LogPlace::Syslog(syslog) => Some(&syslog.tag),
    }
}

/// The least grave lines that pass, and what graver ones are told as.
fn levels(target: &LogTarget) -> String {
    let Severities { least, gravest } = target.severities;
    if target.severities != Severities::ALL {
        let gravest =
            if gravest == Severities::ALL.gravest { String::new() } else { format!(" {}", said(gravest.literal())) };
        return format!(" {}{gravest}", said(least.literal()));
    }
    match target.level {
        LogLevel::Error => " err",
        LogLevel::Warn => " warning",
        LogLevel::Info if target.lines == LogLines::All => " info",
        LogLevel::Info | LogLevel::Debug | LogLevel::Trace => "",
    }
    .to_owned()
}

/// A word without TOML's quotation marks.
fn said(literal: Option<String>) -> String {
    literal.unwrap_or_default().trim_matches('"').to_owned()
}
