//! How a backend's servers are used: retries, the balance method, and the words of a `server` line that say more than where
//! it is (configuration manual, sections 4.2 and 5.2).

use std::time::Duration;

use super::super::read::Span;
use super::super::show::quoted;
use super::HOUR;
use super::argument::{Options, number_of, time_of};
use super::cfg::{Proxy, Statement};
use super::compose::Composer;
use super::document::Section;
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
        "source" if composer.as_haproxy() => {
            let remark = "evenkeel's way, \"source\": a server that comes or goes moves nobody else's clients";
            section.remarked("balance", quoted(by_source(proxy)), Some(word.span), remark);
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

/// How HAProxy finds a source's server.
fn by_source(proxy: &Proxy) -> &'static str {
    let words = proxy.last("hash-type").map_or(&[][..], |statement| &statement.arguments);
    let has = |word: &str| words.iter().any(|given| given.text == word);
    match (has("consistent"), has("avalanche")) {
        (true, _) => "source-ring",
        (false, true) => "source-mixed-map",
        (false, false) => "source-map",
    }
}

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
        if options.value("source").is_none() {
            let hint = format!("write `source 0.0.0.0 interface {}`", name.text);
            return composer.wrong(name.span, "`interface` belongs to `source`, and there is none before it", hint);
        }
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
    if let Some((time, at)) = options.value("agent-inter").and_then(|word| time_of(word, composer.mistakes)) {
        section.wait("agent.interval", time.clamp(Duration::from_millis(100), HOUR), Some(at));
    }
    if let Some(word) = options.value("agent-addr") {
        section.text("agent.address", &word.text, Some(word.span));
    }
    if let Some(word) = options.value("agent-send") {
        section.set("agent.send", escaped(&word.text), Some(word.span));
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroI32;
    use std::time::Duration;

    use crate::config;
    use crate::config::haproxy::Choice;
    use crate::model::{
        self, Balance, HostAddress, InitState, OnDown, OnErrors, OnPrimaryBack, ProbeTime, ProxyVersion, Redispatch,
        Retries, Server, Watchfulness,
    };

    /// The backend of a file with these lines in it, and `words` on its first server's line.
    fn backend(lines: &str, words: &str) -> model::Backend {
        let text = format!("listen b\n bind :1\n{lines}\n server s 10.0.0.1:1 {words}\n server t 10.0.0.2:1 check\n");
        let loaded = config::parse_haproxy(&text, "haproxy.cfg", Choice::default());
        loaded.unwrap_or_else(|report| panic!("{}", report.render(false))).0.backends.remove(0)
    }

    fn server(words: &str) -> Server {
        backend("", words).servers.remove(0)
    }

    fn refusals(lines: &str, words: &str) -> String {
        let text = format!("listen b\n bind :1\n{lines}\n server s 10.0.0.1:1 {words}\n");
        config::parse_haproxy(&text, "haproxy.cfg", Choice::default()).unwrap_err().to_string()
    }

    // Seen to fail with the option without a number taken for every retry.
    #[test]
    fn retries_are_counted_and_go_elsewhere_by_option_redispatch() {
        let counted = |most, redispatch| Retries::Counted { most, redispatch };
        let every = |number| Redispatch::Every(NonZeroI32::new(number).unwrap());
        assert_eq!(backend("", "").retries, counted(3, Redispatch::Never));
        assert_eq!(backend("retries 5\n option redispatch", "").retries, counted(5, Redispatch::LAST));
        assert_eq!(backend("option redispatch 1", "").retries, counted(3, every(1)));
        assert_eq!(backend("option redispatch -2", "").retries, counted(3, every(-2)));
        assert!(refusals("option redispatch often", "").contains("`often` is no such number"));
    }

    #[test]
    fn every_balance_method_is_known() {
        let balance = |line| {
            let backend = backend(line, "");
            (backend.balance, backend.draws)
        };
        assert_eq!(balance(""), (Balance::RoundRobin, 2));
        assert_eq!(balance("balance leastconn"), (Balance::IdleFirst, 2));
        assert_eq!(balance("balance static-rr"), (Balance::StaticRoundRobin, 2));
        assert_eq!(balance("balance random(4)"), (Balance::Random, 4));
        assert_eq!(balance("balance source"), (Balance::SourceMap, 2));
        assert_eq!(balance("balance source\n hash-type map-based sdbm avalanche"), (Balance::SourceMixedMap, 2));
        assert_eq!(balance("balance source\n hash-type consistent"), (Balance::SourceRing, 2));
        assert!(refusals("balance uri", "").contains("`balance uri` is not supported"));
        assert!(backend("option allbackups\n option log-health-checks", "").all_backups);
        assert!(backend("option log-health-checks", "").log_health_checks);
    }

    #[test]
    fn a_server_line_says_how_its_sessions_and_its_health_fare() {
        let told = server("check slowstart 9s on-marked-down shutdown-sessions on-marked-up shutdown-backup-sessions");
        assert_eq!(told.slow_start, Some(Duration::from_secs(9)));
        assert_eq!((told.on_down, told.on_primary_back), (Some(OnDown::Close), Some(OnPrimaryBack::Close)));
        let observes = |words: &str| server(&format!("check observe layer4 {words}")).observe;
        let ten = Watchfulness { errors: 10, then: OnErrors::FailProbe };
        assert_eq!(observes(""), Some(ten));
        let down = Watchfulness { errors: 2, then: OnErrors::Down };
        assert_eq!(observes("error-limit 2 on-error mark-down"), Some(down));
        assert_eq!(server("observe layer4").observe, None, "it has no health");
        assert!(refusals("", "check observe layer7").contains("`observe layer7` is not supported"));
        let tracked = server("track t").track.unwrap();
        assert_eq!((tracked.backend.as_str(), tracked.server.as_str()), ("b", "t"));
        assert_eq!(server("check init-state fully-down").init_state, InitState::FullyDown);
        assert_eq!(server("init-addr last,10.0.0.9,none").initial_address, Some("10.0.0.9".parse().unwrap()));
        assert_eq!(server("id 77").id.0, 77);
    }

    #[test]
    fn a_server_line_says_by_which_way_it_is_reached() {
        let way = |words: &str| {
            let server = server(words);
            (server.source.map(|source| source.to_string()), server.interface, server.user_timeout, server.send_proxy)
        };
        let source = |text: &str| Some(text.to_owned());
        assert_eq!(way("source 10.0.0.5"), (source("10.0.0.5:0"), None, None, None));
        assert_eq!(way("source 10.0.0.5:4000 interface eth1").1.as_deref(), Some("eth1"));
        assert_eq!(way("tcp-ut 30s send-proxy-v2").2, Some(Duration::from_secs(30)));
        assert_eq!(way("send-proxy").3, Some(ProxyVersion::V1));
        assert_eq!(way("send-proxy send-proxy-v2").3, Some(ProxyVersion::V2));
        let inherited = backend("source 10.0.0.5 interface eth1", "").servers.remove(0);
        assert_eq!(
            (inherited.source, inherited.interface.as_deref()),
            (Some("10.0.0.5:0".parse().unwrap()), Some("eth1"))
        );
        assert!(refusals("", "source 0.0.0.0 usesrc clientip").contains("usesrc"));
        assert!(refusals("", "interface eth1").contains("`interface` belongs to `source`"));
    }

    #[test]
    fn an_agent_and_a_check_have_places_and_times_of_their_own() {
        let agent =
            server("agent-check agent-port 9999 agent-inter 5s agent-addr 10.0.0.8 agent-send hi\\n").agent.unwrap();
        assert_eq!((agent.port, agent.interval, agent.send.as_slice()), (9999, Duration::from_secs(5), &b"hi\n"[..]));
        assert_eq!(agent.host, Some(HostAddress::Ip("10.0.0.8".parse().unwrap())));
        assert!(refusals("", "agent-check").contains("no port"));
        let check = server("check addr 10.0.0.7 inter 1s check-send-proxy send-proxy-v2").check.unwrap();
        assert_eq!((check.address, check.time), (Some("10.0.0.7".parse().unwrap()), ProbeTime::Interval));
        assert_eq!(check.send_proxy, Some(ProxyVersion::V2));
        let timed = backend("timeout check 5s\n timeout connect 3s", "check inter 1s").servers.remove(0).check.unwrap();
        assert_eq!((timed.timeout, timed.time), (Duration::from_secs(5), ProbeTime::Dial(Duration::from_secs(1))));
    }

    #[test]
    fn a_keepalive_has_the_times_that_are_stated_and_the_kernels_for_the_rest() {
        let keepalive = backend("option srvtcpka\n srvtcpka-idle 20s\n srvtcpka-cnt 4", "").keepalive.unwrap();
        let seconds = (keepalive.idle.as_secs(), keepalive.interval.as_secs(), keepalive.count);
        assert_eq!(seconds, (20, 75, 4));
        assert_eq!(backend("srvtcpka-idle 20s", "").keepalive, None, "it is off");
    }
}
