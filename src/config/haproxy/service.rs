//! How a backend's servers are used: retries, the balance method, and the words of a `server` line that say more than where
//! it is (configuration manual, sections 4.2 and 5.2).

use std::time::Duration;

use super::super::read::Span;
use super::HOUR;
use super::argument::{Options, number_of, time_of};
use super::compose::Composer;
use super::document::Section;
use super::file::{Proxy, Statement};
use super::question::escaped;
use super::words::Word;

/// Whom a session dials after a failed dial (`retries`, `option redispatch`).
pub fn retries(proxy: &Proxy, section: &mut Section, composer: &mut Composer<'_>) {
    let stated = proxy.last("retries").and_then(|statement| composer.number(statement, 0, 100));
    let redispatch = proxy.last("option redispatch");
    match stated {
        Some((number, at)) => section.set("retries", number, Some(at)),
        None if composer.as_haproxy() => {
            section.instead("retries", 3, "evenkeel's way, \"others\": the next server is dialled at once");
        }
        // An option alone says where retries go, and not how many there are.
        None => return,
    }
    if let Some(redispatch) = redispatch {
        match redispatch.arguments.first() {
            None => section.text("redispatch", "last", Some(redispatch.at)),
            Some(word) => match word.text.parse::<i32>() {
                Ok(0) => {}
                Ok(number) if number.abs() <= 100 => section.set("redispatch", number, Some(word.span)),
                _ => composer.wrong(
                    word.span,
                    format!("`{}` is no such number", word.text),
                    "write 1, or -1 for the last",
                ),
            },
        }
    }
}

/// `balance METHOD`, and what goes with it.
pub fn balance(proxy: &Proxy, section: &mut Section, composer: &mut Composer<'_>) {
    let Some(statement) = proxy.last("balance") else {
        // HAProxy's default (configuration manual, section 4.2, `balance`).
        if composer.as_haproxy() {
            let remark = "evenkeel's way, \"leastconn\": sessions last for days, and who has the fewest is due";
            section.instead("balance", "\"roundrobin\"", remark);
        }
        return;
    };
    let Some(word) = statement.arguments.first() else {
        return composer.wrong(statement.at, "`balance` names no method", "write `balance leastconn`");
    };
    match word.text.as_str() {
        // HAProxy gives an idle server the next session whatever the weights.
        "leastconn" if composer.as_haproxy() => {
            let remark = "evenkeel's way, \"leastconn\": an idle server has to wait for its turn by weight, too";
            section.remarked("balance", "\"idle-first\"", Some(word.span), remark);
        }
        method @ ("leastconn" | "roundrobin" | "static-rr" | "first" | "source" | "random") => {
            section.text("balance", method, Some(word.span));
        }
        other => match draws(other) {
            Some(draws) => {
                section.text("balance", "random", Some(word.span));
                section.set("random_draws", draws, Some(word.span));
            }
            None => {
                let what = format!("`balance {other}` is not supported");
                let hint = "write `balance leastconn`, roundrobin, static-rr, first, source or random";
                composer.wrong(word.span, what, hint);
            }
        },
    }
    hash_type(proxy, composer);
}

/// The number in `random(3)`.
fn draws(method: &str) -> Option<u32> {
    let number = method.strip_prefix("random(")?.strip_suffix(')')?;
    number.parse().ok().filter(|number| (1..=100).contains(number))
}

/// Both kinds are as stable here as `consistent` is: what a server loses or gains moves no other's sessions.
fn hash_type(proxy: &Proxy, composer: &mut Composer<'_>) {
    let Some(statement) = proxy.last("hash-type") else { return };
    let kind = statement.arguments.first();
    if let Some(word) = kind.filter(|word| !matches!(word.text.as_str(), "map-based" | "consistent")) {
        composer.wrong(word.span, format!("`hash-type {}` is unknown", word.text), "write map-based or consistent");
    }
}

/// What a backend has switches for.
pub fn switches(proxy: &Proxy, section: &mut Section) {
    for (keyword, key) in [("option allbackups", "all_backups"), ("option log-health-checks", "log_health_checks")] {
        if let Some(statement) = proxy.last(keyword) {
            section.set(key, true, Some(statement.at));
        }
    }
}

/// Times of a keepalive that is on: those stated, or the kernel's own (tcp(7)), which HAProxy leaves as they are.
pub fn keepalive(proxy: &Proxy, side: &str, key: &str, at: Span, section: &mut Section, composer: &mut Composer<'_>) {
    const SECOND: Duration = Duration::from_secs(1);
    const LONGEST: Duration = Duration::from_secs(32_767);
    for (part, what, kernels) in [("idle", "idle", "2h"), ("intvl", "interval", "75s")] {
        match composer.time(proxy, &format!("{side}-{part}")) {
            // The kernel counts in seconds.
            Some((time, at)) => {
                let seconds = Duration::from_secs(time.as_millis().div_ceil(1_000) as u64);
                section.wait(format!("{key}.{what}"), seconds.clamp(SECOND, LONGEST), Some(at));
            }
            None => section.text(format!("{key}.{what}"), kernels, Some(at)),
        }
    }
    let count = proxy.last(&format!("{side}-cnt")).and_then(|statement| composer.number(statement, 1, 127));
    let (count, at) = count.unwrap_or((9, at));
    section.set(format!("{key}.count"), count, Some(at));
}

/// The words of a `server` line that bear on its sessions and its health.
pub fn server(proxy: &Proxy, options: &Options, section: &mut Section, composer: &mut Composer<'_>) {
    number(options, "id", "id", section, composer);
    conduct(options, section, composer);
    observe(options, section, composer);
    track(proxy, options, section);
    way(proxy, options, section, composer);
    init(options, section, composer);
    agent(options, section, composer);
}

fn number(options: &Options, word: &str, key: &str, section: &mut Section, composer: &mut Composer<'_>) {
    if let Some(value) = options.value(word)
        && let Some(number) = number_of(value, 1, i32::MAX as u64, composer.mistakes)
    {
        section.set(key, number, Some(value.span));
    }
}

fn conduct(options: &Options, section: &mut Section, composer: &mut Composer<'_>) {
    if let Some((time, at)) = options.value("slowstart").and_then(|word| time_of(word, composer.mistakes)) {
        match time.is_zero() {
            true => section.text("slow_start", "off", Some(at)),
            false => section.wait("slow_start", time.min(HOUR), Some(at)),
        }
    }
    let actions = [
        ("on-marked-down", "shutdown-sessions", "on_down"),
        ("on-marked-up", "shutdown-backup-sessions", "on_primary_back"),
    ];
    for (word, action, key) in actions {
        match options.value(word) {
            Some(value) if value.text == action => section.text(key, "close", Some(value.span)),
            Some(value) => {
                composer.wrong(
                    value.span,
                    format!("`{word} {}` is unknown", value.text),
                    format!("write `{word} {action}`"),
                );
            }
            None => {}
        }
    }
}

/// `observe layer4 [error-limit N] [on-error ACTION]`.
fn observe(options: &Options, section: &mut Section, composer: &mut Composer<'_>) {
    // A server without a check has no health that errors could lower.
    let Some(layer) = options.value("observe").filter(|_| options.has("check").is_some()) else { return };
    if layer.text != "layer4" {
        let what = format!("`observe {}` is not supported", layer.text);
        return composer.wrong(layer.span, what, "write `observe layer4`: sessions are passed on as bytes");
    }
    let limit = options.value("error-limit");
    let errors = limit.and_then(|word| Some((number_of(word, 1, 1_000_000, composer.mistakes)?, word.span)));
    let (errors, at) = errors.unwrap_or((10, layer.span));
    section.set("observe.errors", errors, Some(at));
    let action = options.value("on-error");
    let then = match action.map(|word| word.text.as_str()) {
        None | Some("fail-check") => "fail_probe",
        Some("fastinter") => "probe_soon",
        Some("sudden-death") => "almost_down",
        Some("mark-down") => "down",
        Some(other) => {
            let at = action.map_or(layer.span, |word| word.span);
            let hint = "write fastinter, fail-check, sudden-death or mark-down";
            return composer.wrong(at, format!("`on-error {other}` is unknown"), hint);
        }
    };
    section.text("observe.then", then, Some(action.map_or(layer.span, |word| word.span)));
}

fn track(proxy: &Proxy, options: &Options, section: &mut Section) {
    if let Some(word) = options.value("track") {
        let whole = match word.text.contains('/') {
            true => word.text.clone(),
            false => format!("{}/{}", proxy.name.text, word.text),
        };
        section.text("track", &whole, Some(word.span));
    }
}

/// By which way connections are made, and what they begin with.
fn way(proxy: &Proxy, options: &Options, section: &mut Section, composer: &mut Composer<'_>) {
    let of_backend = proxy.last("source").map_or(&[][..], |statement: &Statement| &statement.arguments);
    let source = options.value("source").or(of_backend.first());
    if let Some(word) = source {
        // A star, or nothing before the colon, leaves the address to the kernel.
        let (host, port) = word.text.rsplit_once(':').unwrap_or((&word.text, ""));
        match host {
            "" | "*" | "0.0.0.0" if port.is_empty() => {}
            "" | "*" => section.text("source", &format!("0.0.0.0:{port}"), Some(word.span)),
            _ => section.text("source", &word.text, Some(word.span)),
        }
    }
    match of_backend.get(1) {
        Some(word) if word.text == "interface" && options.value("interface").is_none() => {
            if let Some(name) = of_backend.get(2) {
                section.text("interface", &name.text, Some(name.span));
            }
        }
        Some(word) if word.text != "interface" => {
            let what = format!("`source … {}` is not supported", word.text);
            composer.wrong(word.span, what, "servers see evenkeel's address; `send-proxy-v2` tells them the client's");
        }
        _ => {}
    }
    if let Some(name) = options.value("interface") {
        section.text("interface", &name.text, Some(name.span));
    }
    if let Some((time, at)) = options.value("tcp-ut").and_then(|word| time_of(word, composer.mistakes)) {
        match time.is_zero() {
            true => {}
            false => section.wait("user_timeout", time.min(HOUR), Some(at)),
        }
    }
    if let Some((version, at)) = send_proxy(options) {
        section.text("send_proxy", version, Some(at));
    }
}

/// The version of the PROXY protocol that sessions begin with; the later word counts.
pub fn send_proxy(options: &Options) -> Option<(&'static str, Span)> {
    let first = options.has("send-proxy").map(|at| ("v1", at));
    let second = options.has("send-proxy-v2").map(|at| ("v2", at));
    first.into_iter().chain(second).max_by_key(|(_, at)| *at)
}

fn init(options: &Options, section: &mut Section, composer: &mut Composer<'_>) {
    if let Some(word) = options.value("init-state") {
        match word.text.as_str() {
            // Unless told otherwise a server is up, and one failure from down.
            "none" | "up" => section.text("init_state", "up", Some(word.span)),
            "fully-up" => section.text("init_state", "fully_up", Some(word.span)),
            "down" => section.text("init_state", "down", Some(word.span)),
            "fully-down" => section.text("init_state", "fully_down", Some(word.span)),
            other => {
                let what = format!("`init-state {other}` is unknown");
                composer.wrong(word.span, what, "write none, up, fully-up, down or fully-down");
            }
        }
    }
    // Of the ways to a first address only a stated one adds anything: names are looked up while running.
    let ways = options.value("init-addr").map(|word: &Word| (word.text.split(','), word.span));
    if let Some((mut ways, at)) = ways
        && let Some(ip) = ways.find(|way| way.parse::<std::net::IpAddr>().is_ok())
    {
        section.text("initial_address", ip, Some(at));
    }
}

fn agent(options: &Options, section: &mut Section, composer: &mut Composer<'_>) {
    let Some(at) = options.has("agent-check") else { return };
    if options.value("agent-port").is_none() {
        return composer.wrong(at, "`agent-check` has no port", "add `agent-port PORT`");
    }
    number(options, "agent-port", "agent.port", section, composer);
    let inter = options.value("agent-inter").or(options.value("inter"));
    if let Some((time, at)) = inter.and_then(|word| time_of(word, composer.mistakes)) {
        section.wait("agent.interval", time.clamp(Duration::from_millis(100), HOUR), Some(at));
    }
    if let Some(word) = options.value("agent-addr") {
        section.text("agent.address", &word.text, Some(word.span));
    }
    if let Some(word) = options.value("agent-send") {
        section.set("agent.send", escaped(&word.text), Some(word.span));
    }
}
