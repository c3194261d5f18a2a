//! `global`.

use std::time::Duration;

use super::super::read::Value as _;
use super::writer::{Writer, time, word};
use crate::model::{Config, DatagramAddress, LogLevel, LogPlace, LogTarget, OnLimit, Process, Syslog, SyslogProtocol};

pub fn write(config: &Config, out: &mut Writer) {
    out.section("global");
    log(config, out);
    out.line(format!("maxconn {}", config.limits.max_sessions));
    if config.limits.on_limit == OnLimit::Reset {
        out.cannot("clients over the limit are reset; with HAProxy they wait");
    }
    rights(&config.process, out);
    end(&config.process, out);
    if let Some(admin) = &config.admin {
        out.cannot(format!(
            "the admin socket {}; HAProxy's own would be `stats socket /run/haproxy/admin.sock mode 660 level admin`",
            admin.socket.display()
        ));
    }
}

fn log(config: &Config, out: &mut Writer) {
    let targets = &config.log.targets;
    targets.iter().for_each(|target| out.line(format!("log {}", receiver(target))));
    let tags: Vec<&str> = targets.iter().filter_map(|target| tag(&target.place)).collect();
    if let Some(tag) = tags.first().filter(|tag| **tag != "haproxy") {
        out.line(format!("log-tag {}", word(tag)));
    }
    if tags.iter().any(|tag| Some(tag) != tags.first()) {
        out.cannot("a tag of its own for each log target");
    }
    if targets.iter().any(|target| matches!(target.place, LogPlace::Journald { .. })) {
        out.cannot("fields in the journal; lines reach it by its syslog socket");
    }
}

fn receiver(target: &LogTarget) -> String {
    let level = level(target.level);
    match &target.place {
        LogPlace::Stdout => format!("stdout format raw local0 {level}"),
        LogPlace::Journald { .. } => format!("{} daemon {level}", Syslog::SOCKET),
        LogPlace::Syslog(syslog) => {
            let address = match &syslog.address {
                DatagramAddress::Udp(address) => address.to_string(),
                DatagramAddress::Unix(path) => word(&path.display().to_string()),
            };
            let format = match syslog.protocol {
                SyslogProtocol::Rfc3164 => "",
                SyslogProtocol::Rfc5424 => " format rfc5424",
            };
            // A word stands in TOML's quotation marks.
            let facility = syslog.facility.literal().unwrap_or_default();
            format!("{address}{format} {} {level}", facility.trim_matches('"'))
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

/// The least grave lines that pass. evenkeel's gravest level has all that is worse for HAProxy, too.
fn level(level: LogLevel) -> &'static str {
    match level {
        LogLevel::Error => "err",
        LogLevel::Warn => "warning",
        LogLevel::Info => "info",
        LogLevel::Debug | LogLevel::Trace => "debug",
    }
}

fn rights(process: &Process, out: &mut Writer) {
    if let Some(path) = &process.chroot {
        out.line(format!("chroot {}", word(&path.display().to_string())));
    }
    for (keyword, account) in [("user", &process.user), ("group", &process.group)] {
        if let Some(account) = account {
            let number = account.to_string().parse::<u32>().is_ok();
            let keyword = if !number {
                keyword
            } else if keyword == "user" {
                "uid"
            } else {
                "gid"
            };
            out.line(format!("{keyword} {}", word(&account.to_string())));
        }
    }
}

fn end(process: &Process, out: &mut Writer) {
    if process.shutdown_grace > Duration::ZERO {
        out.line(format!("hard-stop-after {}", time(process.shutdown_grace)));
    }
    if let Some(workers) = process.workers {
        out.line(format!("nbthread {workers}"));
    }
}
