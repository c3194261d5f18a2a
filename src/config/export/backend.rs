//! `backend` sections, with their servers.

use std::time::Duration;

use super::check;
use super::frontend::{keepalive, unlimited};
use super::log;
use super::tables;
use super::writer::{Writer, time, word};
use crate::model::{
    Backend, Balance, Config, HostAddress, InitState, JudgedBy, OnDown, OnErrors, OnFull, OnNoServer, OnPrimaryBack,
    Policy, ProxyVersion, Redispatch, Retries, Server, Weight,
};

pub fn write(backend: &Backend, config: &Config, out: &mut Writer) {
    out.section(&format!("backend {}", backend.name));
    out.line(format!("id {}", backend.id));
    log::proxy(backend.name.as_str(), config, out);
    // A frontend of this name that is no section with it has the table.
    if config.frontends.iter().all(|frontend| frontend.name.as_str() != backend.name.as_str()) {
        tables::own(backend.name.as_str(), config, out);
    }
    body(backend, config, out);
}

/// What follows the header, and stands in a `listen` section, too.
pub fn body(backend: &Backend, config: &Config, out: &mut Writer) {
    balance(backend, out);
    retries(backend.retries, out);
    timeouts(backend, config, out);
    keepalive(backend.keepalive, "srvtcpka", out);
    for (is_on, option) in [(backend.all_backups, "allbackups"), (backend.log_health_checks, "log-health-checks")] {
        if is_on {
            out.line(format!("option {option}"));
        }
    }
    if let Some(sessions) = backend.full_sessions {
        out.line(format!("fullconn {sessions}"));
    }
    beyond(backend, config, out);
    check::options(backend, out);
    for server in &backend.servers {
        check::beyond(server, backend, out);
        out.line(line(server, backend));
    }
}

fn balance(backend: &Backend, out: &mut Writer) {
    match backend.balance {
        Balance::LeastConn | Balance::IdleFirst => out.line("balance leastconn"),
        Balance::RoundRobin => out.line("balance roundrobin"),
        Balance::StaticRoundRobin => out.line("balance static-rr"),
        Balance::First => out.line("balance first"),
        Balance::Source => {
            out.line("balance source");
            out.line("hash-type consistent");
        }
        Balance::SourceMap => out.line("balance source"),
        Balance::SourceMixedMap => {
            out.line("balance source");
            out.line("hash-type map-based sdbm avalanche");
        }
        Balance::SourceRing => {
            out.line("balance source");
            out.line("hash-type consistent");
        }
        Balance::Random => out.line(format!("balance random({})", backend.draws)),
        Balance::Spread => {
            out.cannot("balance = \"spread\", each source at every server; this is the nearest");
            out.line("balance roundrobin");
        }
    }
}

/// Tries of HAProxy, which has no "next server at once" but on a retry.
const TRIES: u32 = 3;

fn retries(retries: Retries, out: &mut Writer) {
    match retries {
        Retries::Others => {
            out.cannot("the next server is dialled at once after a refused dial; HAProxy waits up to a second");
            out.line(format!("retries {TRIES}"));
            out.line("option redispatch 1");
        }
        Retries::Counted { most, redispatch } => {
            out.line(format!("retries {most}"));
            match redispatch {
                Redispatch::Never => {}
                Redispatch::LAST => out.line("option redispatch"),
                Redispatch::Every(interval) => out.line(format!("option redispatch {interval}")),
            }
        }
    }
}

fn timeouts(backend: &Backend, config: &Config, out: &mut Writer) {
    let timeouts = &backend.timeouts;
    out.line(format!("timeout connect {}", time(timeouts.dial)));
    out.line(format!("timeout queue {}", time(timeouts.queue)));
    let some = [
        ("server", timeouts.server.or_else(|| unlimited(config))),
        ("tunnel", timeouts.tunnel),
        ("server-fin", timeouts.half_close),
        ("check", check::timeout(backend)),
    ];
    for (keyword, wait) in some {
        if let Some(wait) = wait {
            out.line(format!("timeout {keyword} {}", time(wait)));
        }
    }
}

/// What evenkeel does beyond HAProxy's words.
fn beyond(backend: &Backend, config: &Config, out: &mut Writer) {
    let haproxy = Policy::haproxy();
    let longest = backend.retries.longest(backend.timeouts.dial);
    let closing = &backend.closing;
    let differs = [
        (
            backend.judged_by == JudgedBy::Everything,
            "failed dials and foreign certificates bear on who is chosen".to_owned(),
        ),
        (backend.dial_hedge.is_some(), "a silent dial is joined by one to another server".to_owned()),
        (
            backend.on_no_server == OnNoServer::TryAll,
            "servers that count as down are tried before a client is refused".to_owned(),
        ),
        (
            passes_over_full_ones(backend),
            "a session whose server is full goes to the next one; HAProxy has it wait".to_owned(),
        ),
        (backend.on_no_server == OnNoServer::Reset, "clients are reset where no server is usable".to_owned()),
        (backend.on_no_server == OnNoServer::CloseListener, "nobody listens where no server is usable".to_owned()),
        (
            closing.on_down == OnDown::Ask,
            "sessions of a server that is down are asked first; HAProxy closes all".to_owned(),
        ),
        (
            closing.kill_spread != Duration::ZERO && closing.on_down != OnDown::Keep,
            format!("sessions are closed over {}", time(closing.kill_spread)),
        ),
        (closing.on_draining != haproxy.closing.on_draining, "sessions of a draining server are closed".to_owned()),
        (backend.issuer.is_some(), "the authority of the servers' certificates is known".to_owned()),
        (
            backend.timeouts.connect < longest,
            format!("all dials of a session together have {}", time(backend.timeouts.connect)),
        ),
        (
            !backend.required && config.backends.iter().any(|other| other.required),
            "`/readyz` doesn't ask for a server here".to_owned(),
        ),
    ];
    differs.iter().filter(|(is, _)| *is).for_each(|(_, what)| out.cannot(what));
}

/// Whether that makes a difference: other methods pass over a full server in HAProxy, too.
fn passes_over_full_ones(backend: &Backend) -> bool {
    let is_limited = backend.servers.iter().any(|server| server.max_sessions.is_some());
    backend.on_full == OnFull::Next && backend.balance.is_sticky() && is_limited
}

// ---- servers ----

fn line(server: &Server, backend: &Backend) -> String {
    let mut words = vec![format!("server {} {}", server.name, server.address), format!("id {}", server.id)];
    words.extend(share(server));
    words.extend(way(server));
    match &server.track {
        Some(tracked) => words.push(format!("track {}/{}", tracked.backend, tracked.server)),
        None => words.extend(check::words(server)),
    }
    words.extend(conduct(server, backend));
    words.extend(word_of_its_own(server));
    words.join(" ")
}

/// Its part of the sessions.
fn share(server: &Server) -> Vec<String> {
    let mut words = Vec::new();
    if server.weight != Weight::ONE {
        words.push(format!("weight {}", server.weight));
    }
    words.extend(server.backup.then(|| "backup".to_owned()));
    words.extend(server.max_sessions.map(|sessions| format!("maxconn {sessions}")));
    words.extend(server.min_sessions.map(|sessions| format!("minconn {sessions}")));
    words.extend(server.max_queue.map(|most| format!("maxqueue {most}")));
    words.extend(server.disabled.then(|| "disabled".to_owned()));
    words
}

/// By which way it is reached.
fn way(server: &Server) -> Vec<String> {
    let mut words = Vec::new();
    words.extend(server.source.map(|source| match (source.port(), source.is_ipv6()) {
        (0, false) => format!("source {}", source.ip()),
        (0, true) => format!("source [{}]", source.ip()),
        _ => format!("source {source}"),
    }));
    words.extend(server.interface.as_deref().map(|name| match server.source {
        Some(_) => format!("interface {}", word(name)),
        None => format!("source 0.0.0.0 interface {}", word(name)),
    }));
    words.extend(server.user_timeout.map(|timeout| format!("tcp-ut {}", time(timeout))));
    words.extend(server.send_proxy.map(|version| match version {
        ProxyVersion::V1 => "send-proxy".to_owned(),
        ProxyVersion::V2 => "send-proxy-v2".to_owned(),
    }));
    // A name that can't be looked up yet keeps HAProxy from starting unless it says so.
    if matches!(server.address.host, HostAddress::Name(_)) {
        let first = server.initial_address.map_or("none".to_owned(), |ip| ip.to_string());
        words.push(format!("init-addr last,libc,{first}"));
    }
    words
}

/// What becomes of its sessions, and when it comes back.
fn conduct(server: &Server, backend: &Backend) -> Vec<String> {
    let mut words = Vec::new();
    let is_watched = server.check.is_some() || server.track.is_some();
    if is_watched && server.on_down.unwrap_or(backend.closing.on_down) != OnDown::Keep {
        words.push("on-marked-down shutdown-sessions".to_owned());
    }
    let back = server.on_primary_back == Some(OnPrimaryBack::Close);
    if back || !server.backup && backend.closing.on_primary_back == OnPrimaryBack::Close {
        words.push("on-marked-up shutdown-backup-sessions".to_owned());
    }
    let slow_start = server.slow_start.or(backend.slow_start).filter(|_| server.check.is_some());
    words.extend(slow_start.map(|slow_start| format!("slowstart {}", time(slow_start))));
    words.extend(match server.init_state {
        InitState::Up => None,
        InitState::FullyUp => Some("init-state fully-up".to_owned()),
        InitState::Down => Some("init-state down".to_owned()),
        InitState::FullyDown => Some("init-state fully-down".to_owned()),
    });
    words
}

/// What its own dials and its agent say of it.
fn word_of_its_own(server: &Server) -> Vec<String> {
    let mut words = Vec::new();
    if let Some(watched) = &server.observe {
        let then = match watched.then {
            OnErrors::ProbeSoon => "fastinter",
            OnErrors::FailProbe => "fail-check",
            OnErrors::AlmostDown => "sudden-death",
            OnErrors::Down => "mark-down",
        };
        words.push(format!("observe layer4 error-limit {} on-error {then}", watched.errors));
    }
    if let Some(agent) = &server.agent {
        words.push(format!("agent-check agent-port {} agent-inter {}", agent.port, time(agent.interval)));
        words.extend(agent.host.as_ref().map(|host| format!("agent-addr {host}")));
        if !agent.send.is_empty() {
            words.push(format!("agent-send {}", word(&String::from_utf8_lossy(&agent.send))));
        }
    }
    words
}
