//! `global`.

use std::time::Duration;

use super::frontend::address;
use super::log;
use super::writer::{Writer, time, word};
use crate::model::{Account, Config, OnLimit, Process, RuntimeAddress, RuntimeLevel, RuntimeSocket};

pub fn write(config: &Config, out: &mut Writer) {
    out.section("global");
    log::global(config, out);
    out.line(format!("maxconn {}", config.limits.max_sessions));
    if config.limits.on_limit == OnLimit::Reset {
        out.cannot("clients over the limit are reset; with HAProxy they wait");
    }
    rights(&config.process, out);
    end(&config.process, out);
    runtime(config, out);
    peers(config, out);
    if let Some(admin) = &config.admin {
        out.cannot(format!(
            "the admin socket {}; HAProxy's own would be `stats socket /run/haproxy/admin.sock mode 660 level admin`",
            admin.socket.display()
        ));
    }
}

fn peers(config: &Config, out: &mut Writer) {
    if !config.peers.all.is_empty() {
        let urls: Vec<String> = config.peers.all.iter().map(ToString::to_string).collect();
        out.cannot(format!("the comparison with {}", urls.join(", ")));
    }
}

/// The sockets of the runtime API.
fn runtime(config: &Config, out: &mut Writer) {
    for socket in &config.runtime {
        let address = match &socket.listen {
            RuntimeAddress::Unix(path) => word(&path.display().to_string()),
            RuntimeAddress::Listen(listen) => match address(*listen) {
                Some(address) => format!("ipv4@{address}").replace("ipv4@fd@", "fd@").replace("ipv4@[", "ipv6@["),
                None => continue,
            },
        };
        let level = match socket.level {
            RuntimeLevel::User => "user",
            RuntimeLevel::Operator => "operator",
            RuntimeLevel::Admin => "admin",
        };
        let mut line = format!("stats socket {address} level {level}");
        if matches!(socket.listen, RuntimeAddress::Unix(_)) {
            line.push_str(&owner(socket.mode, &socket.user, &socket.group));
        }
        out.line(line);
    }
    if let Some(socket) = config.runtime.first().filter(|socket| socket.timeout != RuntimeSocket::TIMEOUT) {
        out.line(format!("stats timeout {}", time(socket.timeout)));
    }
}

/// Whose a unix socket's file is, as words of its line.
pub fn owner(mode: u32, user: &Option<Account>, group: &Option<Account>) -> String {
    let mut words = format!(" mode {mode:o}");
    for (keyword, account) in [("user", user), ("group", group)] {
        if let Some(account) = account {
            words.push_str(&format!(" {} {}", number_or_name(keyword, account), word(&account.to_string())));
        }
    }
    words
}

/// The keyword that takes an account as it is known.
fn number_or_name(keyword: &'static str, account: &Account) -> &'static str {
    match (keyword, account) {
        ("user", Account::Id(_)) => "uid",
        ("group", Account::Id(_)) => "gid",
        _ => keyword,
    }
}

fn rights(process: &Process, out: &mut Writer) {
    if let Some(path) = &process.chroot {
        out.line(format!("chroot {}", word(&path.display().to_string())));
    }
    for (keyword, account) in [("user", &process.user), ("group", &process.group)] {
        if let Some(account) = account {
            out.line(format!("{} {}", number_or_name(keyword, account), word(&account.to_string())));
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
