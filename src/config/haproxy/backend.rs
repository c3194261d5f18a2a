//! A `backend` section, or the back of a `listen` section, with its servers.

use std::time::Duration;

use super::super::read::Span;
use super::super::show::quoted;
use super::argument::Options;
use super::cfg::{Proxy, Statement};
use super::compose::Composer;
use super::document::Section;
use super::frontend::keepalive;
use super::words::Word;
use super::{HOUR, check, full, server, service};

/// As TOML: the backend, then each of its servers.
pub fn compose(proxy: &Proxy, number: u32, composer: &mut Composer<'_>) -> Vec<Section> {
    let mut section = Section::new("[[backend]]", Some(proxy.at));
    section.text("name", &proxy.name.text, Some(proxy.name.span));
    section.set("id", number, Some(proxy.at));
    service::balance(proxy, &mut section, composer);
    service::retries(proxy, &mut section, composer);
    service::switches(proxy, &mut section);
    timeouts(proxy, &mut section, composer);
    match keepalive(proxy, "option srvtcpka") {
        Some(at) => service::keepalive(proxy, "srvtcpka", "server_keepalive", at, &mut section, composer),
        None if composer.as_haproxy() => {
            section.instead(
                "server_keepalive",
                "\"off\"",
                "evenkeel's way: a server that is gone is found within half a minute",
            );
        }
        None => {}
    }
    if composer.as_haproxy() {
        unstated(&mut section);
    }
    let servers = servers(proxy, composer);
    full::backend(proxy, &servers, &mut section, composer);
    if proxy.own("server").next().is_none() {
        section.set("servers", "[]", Some(proxy.at));
    }
    std::iter::once(section).chain(servers).collect()
}

/// What HAProxy does unless it is told otherwise, and evenkeel does in another way.
fn unstated(section: &mut Section) {
    let mut instead = |key: &str, word: &str, remark: &str| section.instead(key, quoted(word), remark);
    instead(
        "on_down",
        "keep",
        "evenkeel's way, \"ask\": sessions of a server that is down are asked, and closed if it is silent",
    );
    instead(
        "on_no_server",
        "close",
        "evenkeel's way, \"try_all\": servers that count as down are tried before a client is refused",
    );
    instead("kill_spread", "0s", "evenkeel's way, \"3s\": sessions that are closed are not closed all at once");
    instead("dial_hedge", "off", "evenkeel's way, \"250ms\": a silent dial is joined by one to another server");
    instead("judged_by", "probes", "evenkeel's way, \"everything\": failed dials and foreign certificates count, too");
}

/// Between two dials of one server after an error (section 4.2, `retries`).
const TURN_AROUND: Duration = Duration::from_secs(1);

fn timeouts(proxy: &Proxy, section: &mut Section, composer: &mut Composer<'_>) {
    let connect = composer.time(proxy, "timeout connect");
    if let Some((connect, at)) = connect {
        let connect = connect.clamp(Duration::from_millis(1), HOUR);
        let all = connect * (retries(proxy) + 1) + connect.min(TURN_AROUND) * retries(proxy);
        section.wait("timeouts.dial", connect, Some(at));
        section.wait("timeouts.connect", all.min(HOUR), Some(at));
    }
    if let Some((queue, at)) = composer.time(proxy, "timeout queue").or(connect) {
        section.wait("timeouts.queue", queue.min(HOUR), Some(at));
    }
    for (keyword, key) in [("timeout server", "timeouts.server"), ("timeout tunnel", "timeouts.tunnel")] {
        if let Some((time, at)) = composer.time(proxy, keyword) {
            section.wait(key, time, Some(at));
        }
    }
    let fins = [composer.time(proxy, "timeout client-fin"), composer.time(proxy, "timeout server-fin")];
    match fins.into_iter().flatten().min() {
        Some((time, at)) => section.wait("timeouts.half_close", time, Some(at)),
        None if composer.as_haproxy() => {
            section.instead(
                "timeouts.half_close",
                "\"off\"",
                "evenkeel's way, \"30s\": a half-closed session ends without a byte",
            );
        }
        None => {}
    }
}

/// How often a dial is repeated (3 unless stated).
fn retries(proxy: &Proxy) -> u32 {
    let stated = proxy.last("retries").and_then(|statement| statement.arguments.first()?.text.parse().ok());
    stated.unwrap_or(3).min(100)
}

fn servers(proxy: &Proxy, composer: &mut Composer<'_>) -> Vec<Section> {
    let lenient = composer.choice.lenient;
    proxy.own("default-server").for_each(|line| server::look_at_defaults(&line.arguments, lenient, composer.mistakes));
    let lines = server::lines(proxy);
    lines.into_iter().filter_map(|(line, defaults)| one_server(proxy, line, defaults, composer)).collect()
}

fn one_server(proxy: &Proxy, line: &Statement, defaults: Options, composer: &mut Composer<'_>) -> Option<Section> {
    let [name, address, words @ ..] = line.arguments.as_slice() else {
        composer.wrong(line.at, "a `server` line needs a name and an address", "write `server NAME HOST:PORT`");
        return None;
    };
    let ports = composer.ports.get(&proxy.name.text).map(Vec::as_slice).unwrap_or_default();
    let only_port = ports.first().copied().filter(|first| ports.iter().all(|port| port == first));
    let endpoint = server::endpoint(address, only_port, composer.mistakes)?;
    let mut options = defaults;
    options.read(words, server::WORDS, "server", composer.choice.lenient, composer.mistakes);
    let mut section = Section::new("[[backend.servers]]", Some(line.at));
    section.text("name", &name.text, Some(name.span));
    section.text("address", &endpoint, Some(address.span));
    numbers(&options, &mut section, composer);
    full::server(&options, &mut section, composer);
    service::server(proxy, &options, &mut section, composer);
    check::compose(proxy, &options, line.at, &mut section, composer);
    Some(section)
}

fn numbers(options: &Options, section: &mut Section, composer: &mut Composer<'_>) {
    let mut number = |word: &str, key: &str, low: u64, high: u64| {
        let value: &Word = options.value(word)?;
        let number = super::argument::number_of(value, low, high, composer.mistakes)?;
        let at: Option<Span> = Some(value.span);
        section.set(key, number, at);
        Some(())
    };
    number("weight", "weight", 0, 256);
    if let Some(at) = options.has("backup") {
        section.set("backup", true, Some(at));
    }
    if let Some(at) = options.has("disabled").filter(|at| options.has("enabled").is_none_or(|enabled| enabled < *at)) {
        section.set("disabled", true, Some(at));
    }
}
